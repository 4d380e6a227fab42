//! What callbacks and replies look like in the wild, and what they are taken for.

mod callbacks;
mod events;
pub(crate) mod hostile;
mod json_callbacks;
mod messages;
pub(crate) mod properties;
mod replies;
mod sealed;
mod transfers;
mod vectors;
mod words;

use super::{Inbound, Kind, UserMessage, Why, open};

/// What a body was taken for.
#[derive(Debug, PartialEq, Eq)]
enum Is {
    Message(Kind),
    Event,
    Other(Why),
}

/// One test a row: its name, the body, the query if it has one, and what the two are taken for.
macro_rules! rows {
    ($($name:ident: $body:expr $(, $query:expr)? => $outcome:expr;)*) => {$(
        #[test]
        fn $name() {
            let query: Option<&str> = None$(.or(Some($query)))?;
            assert_eq!(what($body, query), $outcome);
        }
    )*};
}
use rows;

fn what(body: impl AsRef<[u8]>, query: Option<&str>) -> Is {
    match open(&String::from_utf8_lossy(body.as_ref()), query) {
        Inbound::Message(message) => Is::Message(message.kind()),
        Inbound::Event(_) => Is::Event,
        Inbound::Other(other) => Is::Other(other.why),
    }
}

fn message(body: &str) -> UserMessage<'_> {
    match open(body, None) {
        Inbound::Message(message) => message,
        other => panic!("{other:?}: {body}"),
    }
}

/// A callback of `o1` to `gh_1` with these elements behind its head.
fn callback(elements: &str) -> String {
    format!(
        "<xml><ToUserName><![CDATA[gh_1]]></ToUserName>\n<FromUserName><![CDATA[o1]]></FromUserName>\n\
         <CreateTime>1519483978</CreateTime>\n{elements}</xml>"
    )
}

/// A text message with this `Content`, as it stands in the document.
fn text(content: &str) -> String {
    callback(&format!("<MsgType><![CDATA[text]]></MsgType>\n<Content>{content}</Content>\n<MsgId>1</MsgId>\n"))
}

/// A callback in JSON of `o1` to `gh_1` with these members behind its head.
fn json(members: &str) -> String {
    format!(r#"{{"ToUserName":"gh_1","FromUserName":"o1","CreateTime":1519483978{members}}}"#)
}
