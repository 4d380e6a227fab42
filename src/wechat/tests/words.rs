//! What is read of a user's words where the document makes it hard.

use super::{callback, message, text};
use crate::wechat::{Inbound, open};

#[test]
fn words_are_read_around_what_can_not_be_decoded() {
    for (content, words) in [
        ("人工", "人工"),
        ("<![CDATA[人工]]>", "人工"),
        ("<![CDATA[ 人工\n]]>", " 人工\n"),
        ("<![CDATA[人]]><![CDATA[工]]>", "人工"),
        ("人<![CDATA[工]]>", "人工"),
        ("人<!-- x -->工", "人工"),
        ("&#x4eba;&#24037;", "人工"),
        ("&lt;a&gt; &amp; &quot;&apos;", "<a> & \"'"),
        ("<![CDATA[&lt;]]>", "&lt;"),
        ("a & b", "a & b"),
        ("人&foo;工", "人\u{fffd}工"),
        ("人&#xD83D;工", "人\u{fffd}工"),
        ("人&#0;工", "人\u{fffd}工"),
        ("&#2;", "\u{2}"),
        ("<![CDATA[\u{2}\u{10}\u{1d}]]>", "\u{2}\u{10}\u{1d}"),
        ("a]]&gt;b", "a]]>b"),
        ("<![CDATA[a]]]]><![CDATA[>b]]>", "a]]>b"),
        ("<![CDATA[<xml><MsgType>event</MsgType></xml>]]>", "<xml><MsgType>event</MsgType></xml>"),
        ("", ""),
    ] {
        assert_eq!(message(&text(content)).words(), Some(words), "{content}");
    }
}

#[test]
fn bytes_that_are_no_utf8_become_replacement_characters() {
    let mut body = text("<![CDATA[人@工]]>").into_bytes();
    let at = body.iter().position(|byte| *byte == b'@').unwrap();
    body[at] = 0xff;
    assert_eq!(message(&String::from_utf8_lossy(&body)).words(), Some("人\u{fffd}工"));
}

#[test]
fn half_a_pair_in_json_leaves_the_rest_readable() {
    let body = r#"{"ToUserName":"gh","FromUserName":"o","MsgType":"text","Content":"人\ud83d工"}"#;
    let message = message(body);
    let words = message.words().unwrap();
    assert!(words.starts_with('人') && words.contains('\u{fffd}') && words.ends_with('工'), "{words}");
}

#[test]
fn words_in_another_encoding_are_not_guessed_at() {
    for (declaration, is_read) in [
        ("", true),
        ("<?xml version='1.0'?>", true),
        ("<?xml version='1.0' encoding='UTF-8'?>", true),
        ("<?xml version='1.0' encoding='utf8'?>", true),
        ("<?xml version='1.0' encoding='us-ascii'?>", true),
        ("<?xml version='1.0' encoding='gb2312'?>", false),
        ("<?xml version='1.0' encoding='GBK'?>", false),
        ("<?xml version='1.0' encoding='utf-16'?>", false),
        ("<?xml version='1.0' encoding=''?>", false),
    ] {
        let body = format!("{declaration}{}", text("hi"));
        assert_eq!(message(&body).words().is_some(), is_read, "{declaration}");
    }
}

#[test]
fn an_id_or_a_time_that_can_not_be_decoded_is_unknown() {
    let body = callback("<MsgType>text</MsgType><MsgId>1&x;</MsgId>").replace("1519483978", "&x;");
    let message = message(&body);
    assert_eq!((message.msg_id(), message.create_time()), (None, None));
}

#[test]
fn what_is_neither_message_nor_event_tells_its_type_where_it_is_clear() {
    for (msg_type, told) in [
        ("<MsgType>device_text</MsgType>", Some("device_text")),
        ("<MsgType> TEXT </MsgType>", Some("TEXT")),
        ("<MsgType>text</MsgType><Event>CLICK</Event>", Some("text")),
        ("<MsgType>text</MsgType><FromUserName>o2</FromUserName>", Some("text")),
        ("<MsgType>text</MsgType><MsgType>text</MsgType>", None),
        ("<MsgType>te&x;xt</MsgType>", None),
        ("<MsgType/>", None),
        ("", None),
    ] {
        let body = callback(msg_type);
        let Inbound::Other(other) = open(&body, None) else { panic!("{body}") };
        assert_eq!(other.msg_type.as_deref(), told, "{body}");
    }
}
