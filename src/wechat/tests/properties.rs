//! What holds for any callback.

use proptest::prelude::*;
use proptest::sample::Index;

use super::hostile::{escaped, event, words};
use super::{Is, message, text, what};
use crate::wechat::{BotReply, Inbound, Kind, open};

/// So many cases a property; a failure is told, and not written to a file.
pub(crate) fn config(cases: u32) -> ProptestConfig {
    ProptestConfig { cases, failure_persistence: None, ..ProptestConfig::default() }
}

fn is_message(body: &str) -> bool {
    matches!(open(body, None), Inbound::Message(_))
}

fn words_of(body: &str) -> Option<String> {
    message(body).words().map(str::to_owned)
}

/// Tokens of both formats in any order.
fn soup() -> impl Strategy<Value = String> {
    let tokens = vec![
        "<xml>",
        "</xml>",
        "<MsgType>",
        "</MsgType>",
        "<MsgType/>",
        "<![CDATA[",
        "]]>",
        "text",
        "event",
        "<!--",
        "-->",
        "<?xml ",
        "?>",
        "<!DOCTYPE ",
        "&#x65;",
        "&amp;",
        "&",
        "<",
        ">",
        "<a",
        "/>",
        "\"",
        "{",
        "}",
        "[",
        "]",
        ":",
        ",",
        "\"MsgType\"",
        "\"text\"",
        "\"event\"",
        "\\u0065",
        "\u{feff}",
        "\0",
        " ",
        "=",
        "<ToUserName>gh</ToUserName>",
        "<FromUserName>o</FromUserName>",
        "\"ToUserName\":\"gh\",",
        "\"FromUserName\":\"o\",",
        "<Event>",
        "</Event>",
    ];
    prop::collection::vec(prop::sample::select(tokens), 0..24).prop_map(|tokens| tokens.concat())
}

/// The elements of a text message, each of which may stand anywhere.
const ELEMENTS: [&str; 6] = [
    "<ToUserName><![CDATA[gh_1]]></ToUserName>",
    "<FromUserName><![CDATA[o1]]></FromUserName>",
    "<CreateTime>1</CreateTime>",
    "<MsgType><![CDATA[text]]></MsgType>",
    "<Content><![CDATA[<MsgType>text</MsgType>]]></Content>",
    "<MsgId>1</MsgId>",
];

/// An event that holds a whole text message in its key, and another below an element.
fn lure() -> String {
    let message = "<ToUserName>gh_1</ToUserName><FromUserName>o1</FromUserName><MsgType>text</MsgType>";
    format!(
        "<xml><ToUserName><![CDATA[gh_1]]></ToUserName><FromUserName><![CDATA[o1]]></FromUserName>\
         <MsgType><![CDATA[event]]></MsgType><Event><![CDATA[CLICK]]></Event><EventKey><![CDATA[{message}]]></EventKey>\
         <!-- {message} --><x>{message}</x></xml>"
    )
}

/// A body with one byte replaced, taken out or put in.
fn mutated(body: &str, (at, byte, how): (Index, u8, u8)) -> String {
    let mut bytes = body.as_bytes().to_vec();
    let at = at.index(bytes.len());
    match how % 3 {
        0 => bytes[at] = byte,
        1 => drop(bytes.remove(at)),
        _ => bytes.insert(at, byte),
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

proptest! {
    #![proptest_config(config(512))]

    #[test]
    fn any_text_is_read_as_something(body in prop_oneof![any::<String>(), soup(), words()], query in ".{0,40}") {
        what(&body, Some(&query));
        BotReply::read(&body, None);
    }

    #[test]
    fn any_bytes_are_read_as_something(body in prop::collection::vec(any::<u8>(), 0..200), root in any::<bool>()) {
        let start: &[u8] = if root { b"<xml>" } else { b"{" };
        what([start, &body].concat(), None);
    }

    #[test]
    fn a_text_in_a_section_gives_back_its_words(words in words()) {
        let body = text(&format!("<![CDATA[{}]]>", words.replace("]]>", "]]]]><![CDATA[>")));
        prop_assert_eq!(words_of(&body), Some(words));
    }

    #[test]
    fn an_escaped_text_gives_back_its_words(words in words()) {
        let body = text(&escaped(&words));
        prop_assert_eq!(words_of(&body), Some(words));
    }

    #[test]
    fn a_text_in_json_gives_back_its_words(words in words()) {
        let words = serde_json::Value::from(words);
        let body = format!(r#"{{"ToUserName":"gh","FromUserName":"o","MsgType":"text","Content":{words}}}"#);
        prop_assert_eq!(words_of(&body), words.as_str().map(str::to_owned));
    }

    #[test]
    fn the_order_of_elements_does_not_matter(elements in Just(ELEMENTS.to_vec()).prop_shuffle()) {
        prop_assert_eq!(what(format!("<xml>{}</xml>", elements.concat()), None), Is::Message(Kind::Text));
    }

    #[test]
    fn a_second_type_anywhere_makes_no_message(
        elements in Just(ELEMENTS.to_vec()).prop_shuffle(), at in 0..=ELEMENTS.len(), value in words(), section in any::<bool>(),
    ) {
        let value = if section { format!("<![CDATA[{}]]>", value.replace("]]>", "")) } else { escaped(&value) };
        let second = format!("<MsgType>{value}</MsgType>");
        let (ahead, behind) = elements.split_at(at);
        let body = format!("<xml>{}{second}{}</xml>", ahead.concat(), behind.concat());
        prop_assert!(!is_message(&body), "{body}");
    }

    #[test]
    fn words_that_break_out_of_their_section_never_change_the_type(words in words()) {
        let outcome = what(text(&format!("<![CDATA[{words}]]>")), None);
        prop_assert!(matches!(outcome, Is::Message(Kind::Text) | Is::Other(_)), "{outcome:?}");
    }

    #[test]
    fn half_a_message_is_none(words in words(), at in any::<Index>()) {
        let body = text(&escaped(&words));
        let end = body.floor_char_boundary(at.index(body.len()));
        prop_assert!(!is_message(&body[..end]));
    }

    #[test]
    fn half_a_message_in_json_is_none(words in words(), at in any::<Index>()) {
        let words = serde_json::Value::from(words);
        let body = format!(r#"{{"ToUserName":"gh","FromUserName":"o","MsgType":"text","Content":{words}}}"#);
        let end = body.floor_char_boundary(at.index(body.len()));
        prop_assert!(!is_message(&body[..end]));
    }

    #[test]
    fn an_event_in_any_spelling_is_never_a_message(body in event()) {
        prop_assert_eq!(what(&body, None), Is::Event);
    }

    #[test]
    fn an_event_with_a_few_bytes_changed_is_never_a_message(
        body in prop_oneof![Just(lure()), event()], changes in prop::collection::vec(any::<(Index, u8, u8)>(), 1..4),
    ) {
        let body = changes.into_iter().fold(body, |body, change| mutated(&body, change));
        prop_assert!(!is_message(&body), "{body}");
    }
}

/// One byte is too little to turn the one word into another, or to lay open what an event holds.
#[test]
fn an_event_with_any_one_byte_changed_is_never_a_message() {
    let body = lure();
    assert_eq!(what(&body, None), Is::Event);
    for at in 0..body.len() {
        for byte in *b"<>/!-?&;[]\"' \0xte\xff" {
            let (ahead, behind) = body.as_bytes().split_at(at);
            let replaced = [ahead, &[byte], &behind[1..]].concat();
            assert!(!is_message(&String::from_utf8_lossy(&replaced)), "{at} {byte}");
        }
    }
}
