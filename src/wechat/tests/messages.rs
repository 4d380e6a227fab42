//! All messages a user can send, as WeChat writes them.

use super::{callback, json, message};
use crate::wechat::{Format, Kind};

const RECOGNITION: &str = "<Recognition><![CDATA[腾讯微信团队]]></Recognition>\n";

/// Each message's elements behind its head, its kind, id and words.
const MESSAGES: &[(&str, Kind, Option<&str>, Option<&str>)] = &[
    (
        "<MsgType><![CDATA[text]]></MsgType>\n<Content><![CDATA[this is a test]]></Content>\n<MsgId>1234567890123456</MsgId>\n",
        Kind::Text,
        Some("1234567890123456"),
        Some("this is a test"),
    ),
    (
        "<MsgType><![CDATA[text]]></MsgType>\n<Content><![CDATA[满意]]></Content>\n<MsgId>1</MsgId>\n<bizmsgmenuid>101</bizmsgmenuid>\n",
        Kind::Text,
        Some("1"),
        Some("满意"),
    ),
    (
        "<MsgType><![CDATA[text]]></MsgType><Content><![CDATA[hi]]></Content><MsgId>1</MsgId><MsgDataId>2</MsgDataId><Idx>3</Idx>",
        Kind::Text,
        Some("1"),
        Some("hi"),
    ),
    (
        "<MsgType><![CDATA[text]]></MsgType><Content><![CDATA[【收到不支持的消息类型，暂无法显示】]]></Content><MsgId>1</MsgId>",
        Kind::Text,
        Some("1"),
        Some("【收到不支持的消息类型，暂无法显示】"),
    ),
    ("<MsgType>text</MsgType><Content><![CDATA[]]></Content><MsgId>1</MsgId>", Kind::Text, Some("1"), Some("")),
    ("<MsgType>text</MsgType><MsgId>1</MsgId>", Kind::Text, Some("1"), None),
    (
        "<MsgType><![CDATA[image]]></MsgType>\n<PicUrl><![CDATA[http://x/?a=1&b=2]]></PicUrl>\n<MediaId><![CDATA[m]]></MediaId>\n<MsgId>1</MsgId>\n",
        Kind::Image,
        Some("1"),
        None,
    ),
    ("<MsgType>image</MsgType><PicUrl>u</PicUrl><Content>人工</Content>", Kind::Image, None, None),
    (
        "<MsgType><![CDATA[voice]]></MsgType>\n<MediaId><![CDATA[m]]></MediaId>\n<Format><![CDATA[amr]]></Format>\n<MsgId>1</MsgId>\n",
        Kind::Voice,
        Some("1"),
        None,
    ),
    (
        "<MsgType>voice</MsgType><MediaId>m</MediaId><Format>speex</Format>R<MsgID>1</MsgID>",
        Kind::Voice,
        Some("1"),
        None,
    ),
    (
        "<MsgType>video</MsgType><MediaId>m</MediaId><ThumbMediaId>t</ThumbMediaId><MsgId>1</MsgId>",
        Kind::Video,
        Some("1"),
        None,
    ),
    ("<MsgType>video</MsgType><MediaId>m</MediaId><ThumbMediaId>t</ThumbMediaId>", Kind::Video, None, None),
    (
        "<MsgType>shortvideo</MsgType><MediaId>m</MediaId><ThumbMediaId>t</ThumbMediaId><MsgId>1</MsgId>",
        Kind::ShortVideo,
        Some("1"),
        None,
    ),
    (
        "<MsgType><![CDATA[location]]></MsgType>\n<Location_X>23.134521</Location_X>\n<Location_Y>113.358803</Location_Y>\n<Scale>20</Scale>\n<Label><![CDATA[位置信息]]></Label>\n<MsgId>1</MsgId>\n",
        Kind::Location,
        Some("1"),
        None,
    ),
    (
        "<MsgType>link</MsgType><Title><![CDATA[公众平台官网链接]]></Title><Description>d</Description><Url>u</Url><MsgId>1</MsgId>",
        Kind::Link,
        Some("1"),
        None,
    ),
    (
        "<MsgType><![CDATA[file]]></MsgType>\n<Title><![CDATA[test.zip]]></Title>\n<Description><![CDATA[]]></Description>\n<FileKey><![CDATA[BAAAAAAAAACJHA0y]]></FileKey>\n<FileMd5><![CDATA[95d98d3bf1b251a9e4a40f3bd88eef29]]></FileMd5>\n<FileTotalLen>222</FileTotalLen>\n<MsgId>6526133992738756795</MsgId>\n",
        Kind::File,
        Some("6526133992738756795"),
        None,
    ),
    (
        "<MsgType>miniprogrampage</MsgType><Title>t</Title><AppId>wx1</AppId><PagePath>p</PagePath><ThumbUrl>u</ThumbUrl><ThumbMediaId>m</ThumbMediaId><MsgId>1</MsgId>",
        Kind::MiniProgramPage,
        Some("1"),
        None,
    ),
    (
        "<MsgType>text</MsgType><MsgId><![CDATA[ 49d72d67_1555684067 ]]></MsgId>",
        Kind::Text,
        Some("49d72d67_1555684067"),
        None,
    ),
    ("<MsgType>text</MsgType><MsgId>12345678901234567890</MsgId>", Kind::Text, Some("12345678901234567890"), None),
    ("<MsgType>text</MsgType><MsgId></MsgId>", Kind::Text, None, None),
    ("<MsgType>text</MsgType><MsgId>1</MsgId><MsgId>1</MsgId>", Kind::Text, None, None),
];

#[test]
fn every_message_in_xml_has_its_kind_id_and_words() {
    for (elements, kind, id, words) in MESSAGES {
        let body = callback(elements);
        let message = message(&body);
        assert_eq!((message.kind(), message.msg_id(), message.words()), (*kind, *id, *words), "{body}");
        assert_eq!((message.to_user(), message.from_user()), ("gh_1", "o1"), "{body}");
        assert_eq!((message.format(), message.create_time()), (Format::Xml, Some("1519483978")), "{body}");
    }
}

#[test]
fn every_message_in_json_has_its_kind_id_and_words() {
    for (members, kind, id, words) in [
        (
            r#","MsgType":"text","Content":"hi","MsgId":1234567890123456"#,
            Kind::Text,
            Some("1234567890123456"),
            Some("hi"),
        ),
        (r#","MsgType":"text","Content":"\u4eba工\n\"\\","MsgId":1"#, Kind::Text, Some("1"), Some("人工\n\"\\")),
        (r#","MsgType":"text","Content":"\ud83d\ude00","MsgId":"49d7_1""#, Kind::Text, Some("49d7_1"), Some("😀")),
        (
            r#","MsgType":"text","Content":"","MsgId":12345678901234567890"#,
            Kind::Text,
            Some("12345678901234567890"),
            Some(""),
        ),
        (r#","MsgType":"image","PicUrl":"u","MediaId":"m","MsgId":1"#, Kind::Image, Some("1"), None),
        (
            r#","MsgType":"voice","MediaId":"m","Format":"amr","Recognition":"人工。","MsgID":1"#,
            Kind::Voice,
            Some("1"),
            Some("人工。"),
        ),
        (r#","MsgType":"video","MediaId":"m","ThumbMediaId":"t","MsgId":null"#, Kind::Video, None, None),
        (r#","MsgType":"shortvideo","MediaId":"m","MsgId":1"#, Kind::ShortVideo, Some("1"), None),
        (r#","MsgType":"location","Location_X":23.13,"Scale":20,"MsgId":1"#, Kind::Location, Some("1"), None),
        (r#","MsgType":"link","Title":"t","Url":"u","MsgId":1"#, Kind::Link, Some("1"), None),
        (r#","MsgType":"file","Title":"t","FileTotalLen":222,"MsgId":1"#, Kind::File, Some("1"), None),
        (r#","MsgType":"miniprogrampage","Title":"t","AppId":"wx1","MsgId":1"#, Kind::MiniProgramPage, Some("1"), None),
    ] {
        let body = json(members);
        let message = message(&body);
        assert_eq!((message.kind(), message.msg_id(), message.words()), (kind, id, words), "{body}");
        assert_eq!((message.to_user(), message.from_user()), ("gh_1", "o1"), "{body}");
        assert_eq!((message.format(), message.create_time()), (Format::Json, Some("1519483978")), "{body}");
    }
}

#[test]
fn a_voice_has_the_words_that_were_recognised_wherever_they_stand() {
    let behind =
        format!("<MsgType>voice</MsgType><MediaId>m</MediaId><Format>amr</Format><MsgId>1</MsgId>{RECOGNITION}");
    let ahead = format!("{RECOGNITION}<MsgType>voice</MsgType><Content>no words of a voice</Content>");
    for elements in [behind, ahead] {
        assert_eq!(message(&callback(&elements)).words(), Some("腾讯微信团队"), "{elements}");
    }
}

/// A request as it was captured, byte for byte.
#[test]
fn a_captured_message_is_read() {
    let body = "<xml><ToUserName><![CDATA[gh_2b7da7a439a4]]></ToUserName>\n<FromUserName><![CDATA[oGO4t07Fz_DGdbkIs1snsuHFKRRE]]></FromUserName>\n<CreateTime>1521777871</CreateTime>\n<MsgType><![CDATA[text]]></MsgType>\n<Content><![CDATA[1]]></Content>\n<MsgId>6535986188354779215</MsgId>\n</xml>";
    assert_eq!(body.len(), 274);
    let message = message(body);
    assert_eq!(message.from_user(), "oGO4t07Fz_DGdbkIs1snsuHFKRRE");
    assert_eq!((message.words(), message.msg_id()), (Some("1"), Some("6535986188354779215")));
}

#[test]
fn a_debug_print_of_a_message_tells_no_words_and_no_names() {
    let body = callback("<MsgType>text</MsgType><Content>secret</Content>");
    assert_eq!(format!("{:?}", message(&body)), "UserMessage { kind: Text, format: Xml, .. }");
}
