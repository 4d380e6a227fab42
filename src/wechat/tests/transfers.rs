//! The transfer that goes to WeChat, byte for byte, and read back.

use proptest::prelude::*;
use quick_xml::Reader;
use quick_xml::events::Event;

use super::super::{BotReply, TransferReply, is_writable};
use super::{callback, json, message};

const NOW: u64 = 1_400_000_000;

fn render(body: &str, account: Option<&str>) -> String {
    TransferReply::answering(&message(body)).to_account(account).render(NOW, || [0; 16])
}

#[test]
fn a_transfer_without_an_account_is_as_documented() {
    assert_eq!(
        render(&callback("<MsgType>text</MsgType>"), None),
        "<xml><ToUserName><![CDATA[o1]]></ToUserName><FromUserName><![CDATA[gh_1]]></FromUserName>\
         <CreateTime>1400000000</CreateTime><MsgType><![CDATA[transfer_customer_service]]></MsgType></xml>"
    );
}

#[test]
fn a_transfer_to_an_account_is_as_documented() {
    assert_eq!(
        render(&callback("<MsgType>image</MsgType>"), Some("test1@test")),
        "<xml><ToUserName><![CDATA[o1]]></ToUserName><FromUserName><![CDATA[gh_1]]></FromUserName>\
         <CreateTime>1400000000</CreateTime><MsgType><![CDATA[transfer_customer_service]]></MsgType>\
         <TransInfo><KfAccount><![CDATA[test1@test]]></KfAccount></TransInfo></xml>"
    );
}

#[test]
fn a_transfer_in_json_is_as_documented_and_never_names_an_account() {
    for account in [None, Some("test1@test")] {
        assert_eq!(
            render(&json(r#","MsgType":"text""#), account),
            r#"{"ToUserName":"o1","FromUserName":"gh_1","CreateTime":1400000000,"MsgType":"transfer_customer_service"}"#
        );
    }
}

#[test]
fn the_content_type_is_that_of_the_callback() {
    let (xml, json) = (callback("<MsgType>text</MsgType>"), json(r#","MsgType":"text""#));
    for (body, content_type) in [(xml, "text/xml; charset=utf-8"), (json, "application/json; charset=utf-8")] {
        assert_eq!(TransferReply::answering(&message(&body)).content_type(), content_type);
    }
}

#[test]
fn an_end_of_section_in_a_name_is_split() {
    for (name, written) in [
        ("a]]>b", "<![CDATA[a]]]]><![CDATA[>b]]>"),
        ("]]>", "<![CDATA[]]]]><![CDATA[>]]>"),
        ("]]>]]>", "<![CDATA[]]]]><![CDATA[>]]]]><![CDATA[>]]>"),
        ("]]", "<![CDATA[]]]]>"),
        ("]", "<![CDATA[]]]>"),
        (">", "<![CDATA[>]]>"),
        ("]]]>", "<![CDATA[]]]]]><![CDATA[>]]>"),
        ("<![CDATA[x", "<![CDATA[<![CDATA[x]]>"),
        ("&amp;", "<![CDATA[&amp;]]>"),
    ] {
        let reply = render(&from(name), Some(name));
        assert!(reply.contains(&format!("<ToUserName>{written}</ToUserName>")), "{reply}");
        assert!(reply.contains(&format!("<KfAccount>{written}</KfAccount>")), "{reply}");
        assert_eq!(read_xml(&reply)["ToUserName"], name);
    }
}

/// A text message of this sender.
fn from(name: &str) -> String {
    let name = name.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;");
    format!("<xml><ToUserName>gh_1</ToUserName><FromUserName>{name}</FromUserName><MsgType>text</MsgType></xml>")
}

/// The text of each element, by a reader that knows nothing of ours.
fn read_xml(document: &str) -> std::collections::HashMap<String, String> {
    let (mut reader, mut path, mut read) = (Reader::from_str(document), Vec::new(), std::collections::HashMap::new());
    loop {
        match reader.read_event().unwrap() {
            Event::Start(tag) => {
                path.push(tag.name().as_ref().to_owned());
                assert!(read.insert(path.last().unwrap().clone(), String::new()).is_none(), "twice: {document}");
            }
            Event::End(_) => drop(path.pop()),
            Event::CData(text) => read.get_mut(path.last().unwrap()).unwrap().push_str(&text.into_inner()),
            Event::Text(text) => read.get_mut(path.last().unwrap()).unwrap().push_str(&text.into_inner()),
            Event::Eof => return read,
            other => panic!("{other:?}: {document}"),
        }
    }
}

/// Names as nobody has them, that are fit to be written.
fn names() -> impl Strategy<Value = String> {
    prop_oneof![r"[]>\[<!&;CDAT]{1,12}", r"\PC{1,20}", "[a-zA-Z0-9_-]{1,28}"]
        .prop_filter("writable", |name: &String| is_writable(name) && name.trim() == name && !name.is_empty())
}

proptest! {
    #![proptest_config(super::properties::config(256))]

    #[test]
    fn whatever_the_names_a_transfer_in_xml_reads_back(to in names(), from in names(), account in proptest::option::of(names())) {
        let escape = |name: &str| name.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;");
        let body = format!(
            "<xml><ToUserName>{}</ToUserName><FromUserName>{}</FromUserName><MsgType>text</MsgType></xml>",
            escape(&to), escape(&from),
        );
        let reply = render(&body, account.as_deref());
        let read = read_xml(&reply);
        prop_assert_eq!((&read["ToUserName"], &read["FromUserName"]), (&from, &to));
        prop_assert_eq!((&*read["MsgType"], &*read["CreateTime"]), ("transfer_customer_service", "1400000000"));
        prop_assert_eq!(read.get("KfAccount"), account.as_ref());
        prop_assert_eq!(BotReply::read(&reply, None), BotReply::Transfer);
    }

    #[test]
    fn whatever_the_names_a_transfer_in_json_reads_back(to in names(), from in names()) {
        let quoted = |name: &str| serde_json::Value::from(name).to_string();
        let body = format!(r#"{{"ToUserName":{},"FromUserName":{},"MsgType":"text"}}"#, quoted(&to), quoted(&from));
        let reply = render(&body, None);
        let read: serde_json::Value = serde_json::from_str(&reply).unwrap();
        prop_assert_eq!(&read, &serde_json::json!({
            "ToUserName": from, "FromUserName": to, "CreateTime": NOW, "MsgType": "transfer_customer_service",
        }));
        prop_assert_eq!(BotReply::read(&reply, None), BotReply::Transfer);
    }
}
