//! Row 26: callbacks in JSON, under the same rules as those in XML.

use super::{Is, json, rows, what};
use crate::wechat::Kind;
use crate::wechat::Why::{Encrypted, Malformed, MsgType, NotCallback, OpenidMismatch};

const TEXT: Is = Is::Message(Kind::Text);
const EVENT: Is = Is::Event;

rows! {
    a_text: json(r#","MsgType":"text","Content":"hi","MsgId":1"#) => TEXT;
    an_event: json(r#","MsgType":"event","Event":"debug_demo","debug_str":"hello world""#) => EVENT;
    space_everywhere: json(",\n\t\"MsgType\" : \" text \" ").replace('{', " \r\n{ ") => TEXT;
    a_byte_order_mark: format!("\u{feff}{}", json(r#","MsgType":"text""#)) => TEXT;
    a_byte_order_mark_ahead_of_an_event: format!("\u{feff} {}", json(r#","MsgType":"event""#)) => EVENT;

    an_escaped_event: json(r#","MsgType":"\u0065vent""#) => EVENT;
    an_escaped_name: json(r#","Msg\u0054ype":"event""#) => EVENT;
    an_event_in_capitals: json(r#","MsgType":"EVENT""#) => EVENT;
    an_event_with_space: json(r#","MsgType":"\tevent ""#) => EVENT;
    a_text_in_capitals: json(r#","MsgType":"Text""#) => Is::Other(MsgType);
    an_escaped_text: json(r#","MsgType":"\u0074ext""#) => TEXT;
    an_unknown_type: json(r#","MsgType":"device_text""#) => Is::Other(MsgType);

    text_then_event: json(r#","MsgType":"text","MsgType":"event""#) => Is::Other(Malformed);
    event_then_text: json(r#","MsgType":"event","MsgType":"text""#) => Is::Other(Malformed);
    event_then_text_by_another_spelling: json(r#","MsgType":"event","\u004dsgType":"text""#) => Is::Other(Malformed);
    text_twice: json(r#","MsgType":"text","MsgType":"text""#) => Is::Other(Malformed);
    text_and_null: json(r#","MsgType":"text","MsgType":null"#) => Is::Other(Malformed);
    a_sender_given_twice: json(r#","MsgType":"text","FromUserName":"o1""#) => Is::Other(Malformed);
    words_given_twice: json(r#","MsgType":"text","Content":"a","Content":"b""#) => Is::Other(Malformed);

    no_type: json(r#","InfoType":"authorized""#) => Is::Other(NotCallback);
    a_container_probe: r#"{"action":"CheckContainerPath"}"# => Is::Other(NotCallback);
    an_empty_object: "{}" => Is::Other(NotCallback);
    a_type_in_an_object: json(r#","x":{"MsgType":"text"}"#) => Is::Other(NotCallback);
    a_type_in_a_list: json(r#","List":[{"MsgType":"text"}]"#) => Is::Other(NotCallback);
    an_event_in_an_object: json(r#","MsgType":"text","x":{"MsgType":"event","Event":"CLICK"}"#) => TEXT;
    a_text_in_an_event: json(r#","MsgType":"event","x":{"MsgType":"text"}"#) => EVENT;
    a_type_that_is_null: json(r#","MsgType":null"#) => Is::Other(Malformed);
    a_type_that_is_a_list: json(r#","MsgType":["text"]"#) => Is::Other(Malformed);
    a_type_that_is_an_object: json(r#","MsgType":{"text":"text"}"#) => Is::Other(Malformed);
    a_type_that_is_true: json(r#","MsgType":true"#) => Is::Other(Malformed);
    a_type_that_is_a_number: json(r#","MsgType":1"#) => Is::Other(MsgType);
    an_empty_type: json(r#","MsgType":"""#) => Is::Other(Malformed);
    a_type_with_half_a_pair: json(r#","MsgType":"text\ud83d""#) => Is::Other(Malformed);

    an_event_member_beside_text: json(r#","MsgType":"text","Event":"CLICK""#) => Is::Other(MsgType);
    an_event_member_that_is_null: json(r#","MsgType":"text","Event":null"#) => Is::Other(MsgType);
    an_event_member_that_is_an_object: json(r#","MsgType":"text","Event":{}"#) => Is::Other(MsgType);

    half_a_pair_in_the_words: json(r#","MsgType":"text","Content":"\ud83d人工""#) => TEXT;
    words_that_are_a_number: json(r#","MsgType":"text","Content":1"#) => TEXT;
    words_that_are_a_list: json(r#","MsgType":"text","Content":["人工"]"#) => Is::Other(Malformed);
    words_that_are_null: json(r#","MsgType":"text","Content":null"#) => Is::Other(Malformed);
    a_control_byte: json(",\"MsgType\":\"text\",\"Content\":\"\x02\"") => Is::Other(Malformed);

    no_sender: r#"{"ToUserName":"gh","MsgType":"text"}"# => Is::Other(Malformed);
    a_sender_that_is_null: r#"{"ToUserName":"gh","FromUserName":null,"MsgType":"text"}"# => Is::Other(Malformed);
    an_empty_receiver: r#"{"ToUserName":"","FromUserName":"o","MsgType":"text"}"# => Is::Other(Malformed);
    a_sender_with_half_a_pair: r#"{"ToUserName":"gh","FromUserName":"o\udead","MsgType":"text"}"# => Is::Other(Malformed);
    a_sender_with_a_line_feed: r#"{"ToUserName":"gh","FromUserName":"o\n1","MsgType":"text"}"# => Is::Other(Malformed);
    an_event_of_nobody: r#"{"MsgType":"event"}"# => EVENT;

    the_senders_openid: json(r#","MsgType":"text""#), "openid=o1" => TEXT;
    somebody_elses_openid: json(r#","MsgType":"text""#), "openid=o2" => Is::Other(OpenidMismatch);

    safe_mode: r#"{"ToUserName":"gh_1","Encrypt":"x"}"#, "encrypt_type=aes" => Is::Other(Encrypted);
    compatible_mode: json(r#","MsgType":"text","Encrypt":"x""#), "encrypt_type=aes" => TEXT;
    ciphertext_without_a_word_of_it: json(r#","MsgType":"text","Encrypt":"x""#) => Is::Other(Encrypted);
    ciphertext_that_is_null: json(r#","MsgType":"text","Encrypt":null"#), "encrypt_type=aes" => Is::Other(Encrypted);

    half_an_object: json(r#","MsgType":"text""#).trim_end_matches('}') => Is::Other(Malformed);
    two_objects: json(r#","MsgType":"text""#).repeat(2) => Is::Other(Malformed);
    text_behind_the_object: format!("{}x", json(r#","MsgType":"text""#)) => Is::Other(Malformed);
    a_comma_at_the_end: json(r#","MsgType":"text","#) => Is::Other(Malformed);
    a_comment: json(r#"/* */,"MsgType":"text""#) => Is::Other(Malformed);
    single_quotes: json(",'MsgType':'text'") => Is::Other(Malformed);
    a_list: r#"[{"MsgType":"text"}]"# => Is::Other(NotCallback);
    a_string: r#""text""# => Is::Other(NotCallback);
    deep_lists: json(&format!(r#","MsgType":"text","x":{}{}"#, "[".repeat(20_000), "]".repeat(20_000))) => TEXT;
    a_number_beyond_all_bounds: json(r#","MsgType":"text","MsgId":1e999"#) => TEXT;
}
