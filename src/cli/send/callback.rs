//! Callbacks as WeChat writes them in plain mode: an element a line, no declaration, no line end at the end.

use std::time::{SystemTime, UNIX_EPOCH};

use super::seal;
use crate::wechat::{Account, Format, Inbound, Kind, push_element};

/// The OpenID of WeChat's own documentation.
pub(in crate::cli) const USER: &str = "o6_bmjrPTlm6_2sgVt7hMZOPfL2M";

/// The official account that messages are sent to.
const ACCOUNT: &str = "gh_2b7da7a439a4";

/// A callback, and what a reply to it is judged by.
#[derive(Debug)]
pub(in crate::cli) struct Callback {
    pub(super) body: Vec<u8>,
    pub(in crate::cli) what: String,
    pub(super) nature: Nature,
    pub(super) format: Option<Format>,
    /// Who sent it, and to whom, where that is known.
    pub(super) from: Option<String>,
    pub(super) to: Option<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Nature {
    Message,
    Event,
    Other,
}

impl Callback {
    pub(in crate::cli) fn text(from: &str, words: &str) -> Self {
        let mut body = Body::begin(from, Kind::Text.as_str());
        body.text("Content", words);
        let made = Self::of(body.end(true), None);
        Self { what: format!("text \"{}\"", words.escape_debug()), ..made }
    }

    pub(in crate::cli) fn event(from: &str, name: &str, key: Option<&str>) -> Self {
        let mut body = Body::begin(from, "event");
        body.text("Event", name);
        let needs_key = matches!(name, "subscribe" | "unsubscribe" | "SCAN" | "CLICK" | "VIEW");
        if let Some(key) = key.or(needs_key.then_some("")) {
            body.text("EventKey", key);
        }
        let made = Self::of(body.end(false), None);
        let key = key.map_or_else(String::new, |key| format!(", EventKey \"{}\"", key.escape_debug()));
        Self { what: format!("event {}{key}", name.escape_debug()), ..made }
    }

    /// A message of this kind, with content that is made up.
    pub(in crate::cli) fn message(from: &str, kind: Kind) -> Self {
        let mut body = Body::begin(from, kind.as_str());
        for (name, value) in content(kind) {
            body.text(name, value);
        }
        let made = Self::of(body.end(true), None);
        Self { what: format!("{} message", kind.as_str()), ..made }
    }

    /// Whatever this is, opened if it is sealed for the account.
    pub(super) fn of(body: Vec<u8>, account: Option<&Account>) -> Self {
        let text = String::from_utf8_lossy(&body);
        let owned = |name: &str| Some(name.to_owned());
        let (nature, from, to) = seal::read(account, &text, |inbound| match inbound {
            Inbound::Message(message) => (Nature::Message, owned(message.from_user()), owned(message.to_user())),
            Inbound::Event(event) => {
                (Nature::Event, event.from_user().and_then(owned), event.to_user().and_then(owned))
            }
            Inbound::Other(_) => (Nature::Other, None, None),
        });
        let what = format!("a body of {} bytes", body.len());
        Self { what, nature, format: Format::sniff(&body), from, to, body }
    }
}

/// The elements that a message of this kind has beside those of all, in WeChat's order.
fn content(kind: Kind) -> &'static [(&'static str, &'static str)] {
    const MEDIA: (&str, &str) = ("MediaId", "kfgate_sample_media_id");
    const THUMB: (&str, &str) = ("ThumbMediaId", "kfgate_sample_thumb_id");
    match kind {
        Kind::Text => &[("Content", "text")],
        Kind::Image => &[("PicUrl", "http://mmbiz.qpic.cn/sample/0"), MEDIA],
        Kind::Voice => &[MEDIA, ("Format", "amr"), ("Recognition", "你好。")],
        Kind::Video | Kind::ShortVideo => &[MEDIA, THUMB],
        Kind::Location => {
            &[("Location_X", "23.134521"), ("Location_Y", "113.358803"), ("Scale", "20"), ("Label", "广州市天河区")]
        }
        Kind::Link => &[("Title", "标题"), ("Description", "描述"), ("Url", "https://example.com/")],
        Kind::File => &[
            ("Title", "sample.zip"),
            ("Description", ""),
            ("FileKey", "BAAAAAAAAACJHA0y"),
            ("FileMd5", "95d98d3bf1b251a9e4a40f3bd88eef29"),
            ("FileTotalLen", "222"),
        ],
        Kind::MiniProgramPage => &[
            ("Title", "标题"),
            ("AppId", "wx1234567890abcdef"),
            ("PagePath", "pages/index/index"),
            ("ThumbUrl", "https://example.com/thumb.png"),
            THUMB,
        ],
    }
}

/// A body under construction.
struct Body {
    text: String,
    /// Since 1970, in nanoseconds: the time, and an id that no other message has.
    now: u128,
}

impl Body {
    fn begin(from: &str, msg_type: &str) -> Self {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_nanos();
        let mut body = Self { text: "<xml>".to_owned(), now };
        body.text("ToUserName", ACCOUNT);
        body.text("FromUserName", from);
        body.number("CreateTime", now / 1_000_000_000);
        body.text("MsgType", msg_type);
        body
    }

    fn text(&mut self, name: &str, value: &str) {
        // WeChat writes what is a number without CDATA.
        if matches!(name, "Location_X" | "Location_Y" | "Scale" | "FileTotalLen") {
            return self.number(name, value);
        }
        push_element(&mut self.text, name, value);
        self.text.push('\n');
    }

    fn number(&mut self, name: &str, value: impl std::fmt::Display) {
        self.text.extend(["<", name, ">", &value.to_string(), "</", name, ">\n"]);
    }

    fn end(mut self, is_message: bool) -> Vec<u8> {
        if is_message {
            self.number("MsgId", self.now);
        }
        self.text.push_str("</xml>");
        self.text.into_bytes()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wechat::open;

    #[test]
    fn a_text_is_written_as_wechat_writes_it() {
        let body = String::from_utf8(Callback::text("o1", "a]]>b").body).unwrap();
        let lines: Vec<_> = body.split('\n').collect();
        assert_eq!(lines[0], "<xml><ToUserName><![CDATA[gh_2b7da7a439a4]]></ToUserName>");
        assert_eq!(lines[1], "<FromUserName><![CDATA[o1]]></FromUserName>");
        assert!(lines[2].starts_with("<CreateTime>1"), "{}", lines[2]);
        assert_eq!(lines[3], "<MsgType><![CDATA[text]]></MsgType>");
        assert_eq!(lines[4], "<Content><![CDATA[a]]]]><![CDATA[>b]]></Content>");
        assert!(lines[5].starts_with("<MsgId>1"), "{}", lines[5]);
        assert_eq!(lines[6..], ["</xml>"]);
    }

    #[test]
    fn every_kind_is_what_it_says() {
        for kind in Kind::ALL {
            let callback = Callback::message("o1", kind);
            let text = String::from_utf8(callback.body).unwrap();
            let Inbound::Message(message) = open(&text, Some("openid=o1")) else { panic!("{text}") };
            assert_eq!(message.kind(), kind);
        }
    }

    #[test]
    fn an_event_is_an_event() {
        let callback = Callback::event("o1", "CLICK", Some("人工"));
        let text = String::from_utf8(callback.body).unwrap();
        let Inbound::Event(event) = open(&text, None) else { panic!("{text}") };
        assert_eq!((event.name(), event.key(), event.from_user()), (Some("CLICK"), Some("人工"), Some("o1")));
    }
}
