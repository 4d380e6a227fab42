//! Is it a user's message? Numbers are those of the rows that collect what real traffic and hostile users
//! hold: `r07` is row 7.
//!
//! Some are tested elsewhere: a body's limit, chunks (19), methods and HTTP versions (29) with the proxy;
//! what a key opens (21, 24) with the envelope; retries (30) with what remembers them; JSON (26) beside this.

use super::{Is, callback, rows, text, what};
use crate::wechat::Kind;
use crate::wechat::Why::{Encrypted, Malformed, MsgType, NotCallback, OpenidMismatch};

const TEXT: Is = Is::Message(Kind::Text);
const EVENT: Is = Is::Event;

/// Elements of a text message that are fine.
const FINE: &str = "<MsgType>text</MsgType><Content>hi</Content><MsgId>1</MsgId>";

/// The text of a callback whose `MsgType` stands like this in the document.
fn typed(msg_type: &str) -> String {
    callback(&format!("<MsgType>{msg_type}</MsgType><Content>hi</Content><MsgId>1</MsgId>"))
}

fn bare(elements: &str) -> String {
    format!("<xml>{elements}</xml>")
}

rows! {
    r01_an_event_without_cdata: typed("event") => EVENT;
    r01_a_text_without_cdata: typed("text") => TEXT;

    r02_space_around_the_type: typed(" <![CDATA[event]]> ") => EVENT;
    r02_space_within_cdata: typed("<![CDATA[\n event\t]]>") => EVENT;
    r02_space_around_a_text: typed(" <![CDATA[ text ]]>\r\n") => TEXT;
    r02_space_around_names:
        bare("<ToUserName> <![CDATA[gh]]></ToUserName><FromUserName>\n<![CDATA[o]]> </FromUserName><MsgType>text</MsgType>") => TEXT;

    r03_an_event_in_two_sections: typed("<![CDATA[ev]]><![CDATA[ent]]>") => EVENT;
    r03_an_event_in_text_and_a_section: typed("e<![CDATA[vent]]>") => EVENT;
    r03_an_event_in_a_section_and_text: typed("<![CDATA[even]]>t") => EVENT;
    r03_an_event_around_a_comment: typed("ev<!-- x -->ent") => EVENT;
    r03_an_event_around_an_instruction: typed("ev<?x y?>ent") => EVENT;
    r03_a_text_in_two_sections: typed("<![CDATA[te]]><![CDATA[xt]]>") => TEXT;
    r03_a_text_that_goes_on: typed("<![CDATA[text]]>s") => Is::Other(MsgType);

    r04_an_event_by_number: typed("&#x65;vent") => EVENT;
    r04_an_event_by_decimal_number: typed("&#101;ven&#116;") => EVENT;
    r04_a_text_by_number: typed("&#x74;ext") => TEXT;
    r04_a_known_entity: typed("text&amp;") => Is::Other(MsgType);
    r04_an_undefined_entity: typed("text&foo;") => Is::Other(Malformed);
    r04_nothing_but_an_undefined_entity: typed("&foo;") => Is::Other(Malformed);
    r04_a_number_that_is_no_character: typed("text&#xD800;") => Is::Other(Malformed);
    r04_an_escape_within_cdata_is_none: typed("<![CDATA[&#x65;vent]]>") => Is::Other(MsgType);
    r04_a_lone_ampersand: typed("text&") => Is::Other(MsgType);
    r04_an_undefined_entity_in_the_sender:
        bare("<ToUserName>gh</ToUserName><FromUserName>o&foo;</FromUserName><MsgType>text</MsgType>") => Is::Other(Malformed);
    r04_an_undefined_entity_elsewhere: callback(&format!("{FINE}<Label>&foo;</Label>")) => TEXT;
    r04_an_undefined_entity_in_the_words: text("人工&foo;") => TEXT;

    r05_event_in_capitals: typed("EVENT") => EVENT;
    r05_event_with_a_capital: typed("<![CDATA[Event]]>") => EVENT;
    r05_text_in_capitals: typed("TEXT") => Is::Other(MsgType);
    r05_a_kind_with_a_capital: typed("shortVideo") => Is::Other(MsgType);
    r05_event_in_full_width: typed("ｅｖｅｎｔ") => Is::Other(MsgType);
    r05_event_with_a_long_s_like_letter: typed("e\u{301}vent") => Is::Other(MsgType);
    r05_event_with_a_zero_width_space: typed("ev\u{200b}ent") => Is::Other(MsgType);
    r05_event_with_a_nul: typed("event\0") => Is::Other(MsgType);
    r05_text_with_a_nul: typed("text\0") => Is::Other(MsgType);

    r06_location_is_a_message:
        callback("<MsgType><![CDATA[location]]></MsgType><Location_X>23.1</Location_X><Label>x</Label>") => Is::Message(Kind::Location);
    r06_location_is_an_event_too:
        callback("<MsgType>event</MsgType><Event>LOCATION</Event><Latitude>23.1</Latitude>") => EVENT;
    r06_an_event_named_text: callback("<MsgType>event</MsgType><Event>text</Event>") => EVENT;
    r06_words_that_name_an_event: text("<![CDATA[subscribe]]>") => TEXT;
    r06_words_that_name_the_type: text("<![CDATA[event]]>") => TEXT;
    r06_words_that_look_like_an_event: text("<![CDATA[<MsgType>event</MsgType><Event>CLICK</Event>]]>") => TEXT;

    r07_text_then_event: callback("<MsgType>text</MsgType><MsgType>event</MsgType>") => Is::Other(Malformed);
    r07_event_then_text: callback("<MsgType>event</MsgType><MsgType>text</MsgType>") => Is::Other(Malformed);
    r07_text_twice: callback("<MsgType>text</MsgType><MsgType>text</MsgType>") => Is::Other(Malformed);
    r07_text_and_an_empty_type: callback("<MsgType>text</MsgType><MsgType/>") => Is::Other(Malformed);
    r07_an_empty_type_and_text: callback("<MsgType></MsgType><MsgType>text</MsgType>") => Is::Other(Malformed);
    r07_three_types: callback("<MsgType>text</MsgType><MsgType>text</MsgType><MsgType>text</MsgType>") => Is::Other(Malformed);
    r07_an_event_whose_key_breaks_out:
        callback("<MsgType>event</MsgType><Event>CLICK</Event><EventKey><![CDATA[]]></EventKey><MsgType>text</MsgType><x><![CDATA[]]></x>") => Is::Other(Malformed);
    r07_a_type_that_breaks_out:
        callback("<MsgType><![CDATA[event]]></MsgType><MsgType><![CDATA[text]]></MsgType>") => Is::Other(Malformed);
    r07_a_sender_given_twice: callback(&format!("{FINE}<FromUserName>o2</FromUserName>")) => Is::Other(Malformed);
    r07_the_same_sender_twice: callback(&format!("{FINE}<FromUserName>o1</FromUserName>")) => Is::Other(Malformed);
    r07_a_receiver_given_twice: callback(&format!("{FINE}<ToUserName>gh_2</ToUserName>")) => Is::Other(Malformed);
    r07_words_given_twice: callback(&format!("{FINE}<Content>人工</Content>")) => Is::Other(Malformed);
    r07_an_id_given_twice: callback(&format!("{FINE}<MsgID>2</MsgID>")) => TEXT;

    r08_a_type_below_another_element:
        callback("<SendPicsInfo><MsgType>text</MsgType></SendPicsInfo>") => Is::Other(NotCallback);
    r08_a_text_below_an_event:
        callback("<MsgType>event</MsgType><SendPicsInfo><PicList><item><MsgType>text</MsgType></item></PicList></SendPicsInfo>") => EVENT;
    r08_an_event_below_a_text: callback(&format!("{FINE}<x><MsgType>event</MsgType><Event>CLICK</Event></x>")) => TEXT;
    r08_a_type_within_the_type: typed("<MsgType>text</MsgType>") => Is::Other(Malformed);
    r08_elements_within_the_type: typed("text<b/>") => Is::Other(Malformed);
    r08_names_below_another_element:
        bare(&format!("<x><ToUserName>gh</ToUserName><FromUserName>o</FromUserName></x>{FINE}")) => Is::Other(Malformed);
    r08_transfer_info: callback("<TransInfo><KfAccount>a@b</KfAccount></TransInfo>") => Is::Other(NotCallback);

    r09_an_event_element_beside_text: callback(&format!("{FINE}<Event>CLICK</Event>")) => Is::Other(MsgType);
    r09_an_event_element_before_text: callback(&format!("<Event>CLICK</Event>{FINE}")) => Is::Other(MsgType);
    r09_an_empty_event_element_beside_text: callback(&format!("{FINE}<Event/>")) => Is::Other(MsgType);
    r09_an_undecodable_event_element_beside_text: callback(&format!("{FINE}<Event>&x;</Event>")) => Is::Other(MsgType);
    r09_an_event_key_beside_text: callback(&format!("{FINE}<EventKey>k</EventKey>")) => TEXT;

    r10_a_platform_push:
        bare("<AppId>wx1</AppId><CreateTime>1</CreateTime><InfoType>component_verify_ticket</InfoType>") => Is::Other(NotCallback);
    r10_a_container_probe: "<xml><action>CheckContainerPath</action></xml>" => Is::Other(NotCallback);
    r10_no_element_at_all: "<xml/>" => Is::Other(NotCallback);
    r10_an_empty_type: typed("") => Is::Other(Malformed);
    r10_a_blank_type: typed("<![CDATA[ \n]]>") => Is::Other(Malformed);

    r11_a_device_text: typed("device_text") => Is::Other(MsgType);
    r11_a_device_event: typed("device_event") => Is::Other(MsgType);
    r11_a_device_status: typed("device_status") => Is::Other(MsgType);
    r11_hardware: typed("hardware") => Is::Other(MsgType);
    r11_an_unknown_type: typed("foo") => Is::Other(MsgType);
    r11_music_is_a_reply: typed("music") => Is::Other(MsgType);
    r11_a_transfer_is_a_reply: typed("transfer_customer_service") => Is::Other(MsgType);

    r12_the_type_last:
        bare("<MsgId>1</MsgId><Content>hi</Content><FromUserName>o</FromUserName><ToUserName>gh</ToUserName><MsgType>text</MsgType>") => TEXT;
    r12_a_friend_before_the_type:
        bare("<ToUserName>gh</ToUserName><FromUserName>o</FromUserName><FriendUserName>f</FriendUserName><CreateTime>1</CreateTime><MsgType>event</MsgType><Event>user_get_card</Event>") => EVENT;
    r12_the_event_before_the_type: callback("<Event>CLICK</Event><EventKey>k</EventKey><MsgType>event</MsgType>") => EVENT;

    r13_a_byte_order_mark: format!("\u{feff}{}", callback(FINE)) => TEXT;
    r13_a_declaration: format!("<?xml version=\"1.0\" encoding=\"utf-8\"?>\n{}", callback(FINE)) => TEXT;
    r13_blank_lines: format!("\r\n\n  {}\n\n", callback(FINE)) => TEXT;
    r13_all_three: format!("\u{feff}\n<?xml version='1.0'?>\n{}\n", callback(FINE)) => TEXT;
    r13_an_event_behind_all_three: format!("\u{feff}\n<?xml version='1.0'?>\n{}\n", typed("event")) => EVENT;

    r14_a_foreign_encoding: [
        &b"<?xml version=\"1.0\" encoding=\"gb2312\"?><xml><ToUserName>gh</ToUserName><FromUserName>o</FromUserName>"[..],
        b"<MsgType>text</MsgType><Content>\xc8\xcb\xb9\xa4</Content></xml>",
    ].concat() => TEXT;
    r14_an_event_in_a_foreign_encoding: [
        &b"<?xml version=\"1.0\" encoding=\"gbk\"?><xml><MsgType>event</MsgType><EventKey>\xc8\xcb</EventKey></xml>"[..],
    ].concat() => EVENT;

    r15_a_comment_with_a_type: callback(&format!("<!-- <MsgType>event</MsgType> -->{FINE}")) => TEXT;
    r15_a_text_in_a_comment: callback("<!-- <MsgType>text</MsgType> --><MsgType>event</MsgType>") => EVENT;
    r15_only_a_comment_has_a_type: callback("<!-- <MsgType>text</MsgType> -->") => Is::Other(NotCallback);
    r15_a_comment_that_two_readers_end_elsewhere:
        callback("<!--><MsgType>event</MsgType><!-- --><MsgType>text</MsgType>") => Is::Other(Malformed);
    r15_a_comment_without_end: callback(&format!("{FINE}<!-- ")) => Is::Other(Malformed);
    r15_an_instruction: callback(&format!("<?php echo 1 ?>{FINE}")) => TEXT;
    r15_stray_text: callback(&format!("{FINE}//不通过为card_not_pass_check\n")) => TEXT;
    r15_the_version_of_web_wechat: callback(&format!("{FINE}webwx_msg_cli_ver_0x1")) => TEXT;
    r15_an_event_with_stray_text: callback("<MsgType>event</MsgType>text<Event>CLICK</Event>webwx_msg_cli_ver_0x1") => EVENT;
    r15_a_comment_around_the_root: format!("<!-- a -->{}<!-- b -->", callback(FINE)) => TEXT;

    r16_a_doctype: format!("<!DOCTYPE xml>{}", callback(FINE)) => Is::Other(Malformed);
    r16_an_external_entity:
        format!("<!DOCTYPE xml [<!ENTITY e SYSTEM \"file:///etc/passwd\">]>{}", text("&e;")) => Is::Other(Malformed);
    r16_a_billion_laughs:
        format!("<?xml version='1.0'?><!DOCTYPE l [<!ENTITY a \"event\"><!ENTITY b \"&a;&a;\">]>{}", typed("&b;")) => Is::Other(Malformed);
    r16_a_doctype_in_small_letters: format!("<!doctype xml>{}", callback(FINE)) => Is::Other(Malformed);
    r16_a_doctype_within: callback(&format!("<!DOCTYPE xml>{FINE}")) => Is::Other(Malformed);
    r16_a_doctype_ahead_of_an_event: format!("<!DOCTYPE xml>{}", typed("event")) => Is::Other(Malformed);
    r16_words_with_a_doctype: text("<![CDATA[<!DOCTYPE x>]]>") => TEXT;

    r17_control_bytes_in_the_words: text("<![CDATA[\x02\x10\x1d人工]]>") => TEXT;
    r17_words_that_are_no_utf8: [
        callback("<MsgType>text</MsgType><Content><![CDATA[").trim_end_matches("</xml>").as_bytes(), b"\xff\xfe\x80]]></Content></xml>",
    ].concat() => TEXT;
    r17_half_a_surrogate_pair: text("&#xD83D;") => TEXT;
    r17_a_nul_by_number: text("&#0;") => TEXT;
    r17_control_bytes_by_number: text("&#2;") => TEXT;
    r17_a_control_byte_in_the_sender:
        bare("<ToUserName>gh</ToUserName><FromUserName>o\x02</FromUserName><MsgType>text</MsgType>") => Is::Other(Malformed);
    r17_a_sender_that_is_no_utf8:
        b"<xml><ToUserName>gh</ToUserName><FromUserName>o\xff</FromUserName><MsgType>text</MsgType></xml>" => Is::Other(Malformed);

    r18_words_that_close_their_section: text("<![CDATA[a]]>b]]>") => Is::Other(Malformed);
    r18_words_that_close_another_element: text("<![CDATA[a]]></status>") => Is::Other(Malformed);
    r18_a_document_in_the_words: text("<xml><a>b</a></xml>") => Is::Other(Malformed);
    r18_a_document_in_a_section: text("<![CDATA[<xml><a>b</a></xml>]]>") => TEXT;
    r18_an_open_element_in_the_words: text("a<b") => Is::Other(Malformed);
    r18_a_section_within_a_section: text("<![CDATA[a<![CDATA[b]]>c]]>") => Is::Other(Malformed);
    r18_an_end_of_section_elsewhere: callback(&format!("{FINE}<Label>]]></Label>")) => Is::Other(Malformed);
    r18_an_escaped_end_of_section: text("a]]&gt;b") => TEXT;
    r18_an_event_that_breaks_off: callback("<MsgType>event</MsgType><EventKey>a]]>b</EventKey>") => Is::Other(Malformed);

    r19_an_empty_body: "" => Is::Other(NotCallback);
    r19_white_space: " \r\n" => Is::Other(NotCallback);
    r19_a_byte_order_mark_alone: "\u{feff}" => Is::Other(NotCallback);
    r19_a_form: "MsgType=text&FromUserName=o" => Is::Other(NotCallback);
    r19_a_page: "<html><body>hi</body></html>" => Is::Other(NotCallback);
    r19_a_page_that_never_closes: "<p>hi<br>" => Is::Other(NotCallback);
    r19_half_a_document: &callback(FINE)[..120] => Is::Other(Malformed);
    r19_a_document_without_its_end: callback(FINE).trim_end_matches("</xml>") => Is::Other(Malformed);
    r19_a_document_without_its_last_byte: callback(FINE).trim_end_matches('>') => Is::Other(Malformed);
    r19_gzip: b"\x1f\x8b\x08\x00\x00\x00\x00\x00" => Is::Other(NotCallback);
    r19_two_roots: format!("{0}{0}", callback(FINE)) => Is::Other(Malformed);
    r19_an_empty_root_first: format!("<xml/>{}", callback(FINE)) => Is::Other(Malformed);
    r19_text_behind_the_root: format!("{}x", callback(FINE)) => Is::Other(Malformed);
    r19_a_section_behind_the_root: format!("{}<![CDATA[x]]>", callback(FINE)) => Is::Other(Malformed);
    r19_a_reference_behind_the_root: format!("{}&amp;", callback(FINE)) => Is::Other(Malformed);
    r19_text_ahead_of_the_root: format!("x{}", callback(FINE)) => Is::Other(NotCallback);
    r19_utf_16: callback(FINE).encode_utf16().flat_map(u16::to_le_bytes).collect::<Vec<_>>() => Is::Other(NotCallback);
    r19_a_long_text: text(&"人工".repeat(40_000)) => TEXT;
    r19_deep_elements: callback(&format!("{FINE}{}{}", "<a>".repeat(20_000), "</a>".repeat(20_000))) => TEXT;

    r20_a_root_in_capitals: callback(FINE).replace("xml>", "XML>") => TEXT;
    r20_an_event_under_a_root_in_capitals: typed("event").replace("xml>", "Xml>") => EVENT;
    r20_a_root_that_ends_otherwise: callback(FINE).replace("</xml>", "</XML>") => Is::Other(Malformed);
    r20_another_root: callback(FINE).replace("xml>", "root>") => Is::Other(NotCallback);
    r20_an_event_under_another_root: typed("event").replace("xml>", "root>") => Is::Other(NotCallback);
    r20_attributes_of_the_root: callback(FINE).replace("<xml>", "<xml version='1' a=\"<x>\">") => TEXT;
    r20_an_empty_namespace: callback(FINE).replace("<xml>", "<xml xmlns=\"\">") => TEXT;
    r20_a_namespace: callback(FINE).replace("<xml>", "<xml xmlns=\"urn:x\">") => TEXT;
    r20_an_attribute_of_the_type: callback("<MsgType a='event'>text</MsgType>") => TEXT;
    r20_an_event_with_an_attribute: callback("<MsgType a='text'>event</MsgType>") => EVENT;
    r20_a_prefix_of_the_type: callback("<wx:MsgType>text</wx:MsgType>") => Is::Other(NotCallback);
    r20_a_prefix_of_the_root: callback(FINE).replace("xml>", "wx:xml>") => Is::Other(NotCallback);
    r20_a_type_in_small_letters: callback("<msgtype>text</msgtype>") => Is::Other(NotCallback);
    r20_a_space_in_the_end_tag: callback("<MsgType>event</MsgType >") => EVENT;

    r21_compatible_mode: callback(&format!("{FINE}<Encrypt>x</Encrypt>")), "encrypt_type=aes&msg_signature=x" => TEXT;
    r21_an_event_in_compatible_mode:
        callback("<MsgType>event</MsgType><Encrypt>x</Encrypt>"), "encrypt_type=aes&msg_signature=x" => EVENT;

    r22_safe_mode: bare("<ToUserName>gh_1</ToUserName><Encrypt>x</Encrypt>"), "encrypt_type=aes&msg_signature=x" => Is::Other(Encrypted);
    r22_a_platform_push_in_safe_mode: bare("<AppId>wx1</AppId><Encrypt>x</Encrypt>"), "encrypt_type=aes" => Is::Other(Encrypted);
    r22_safe_mode_without_its_query: bare("<ToUserName>gh_1</ToUserName><Encrypt>x</Encrypt>") => Is::Other(Encrypted);

    r23_ciphertext_without_a_word_of_it: callback(&format!("{FINE}<Encrypt>x</Encrypt>")) => Is::Other(Encrypted);
    r23_ciphertext_said_to_be_raw: callback(&format!("{FINE}<Encrypt>x</Encrypt>")), "encrypt_type=raw" => Is::Other(Encrypted);
    r23_no_ciphertext_where_there_should_be: callback(FINE), "encrypt_type=aes" => Is::Other(Encrypted);
    r23_no_ciphertext_and_none_said: callback(FINE), "encrypt_type=raw" => TEXT;
    r23_an_unknown_encryption: callback(&format!("{FINE}<Encrypt>x</Encrypt>")), "encrypt_type=des" => Is::Other(Encrypted);
    r23_an_unknown_encryption_without_ciphertext: callback(FINE), "encrypt_type=" => Is::Other(Encrypted);
    r23_two_encryptions: callback(&format!("{FINE}<Encrypt>x</Encrypt>")), "encrypt_type=aes&encrypt_type=raw" => Is::Other(Encrypted);
    r23_an_escaped_encryption: callback(&format!("{FINE}<Encrypt>x</Encrypt>")), "%65ncrypt_type=%61es" => TEXT;
    r23_ciphertext_given_twice:
        callback(&format!("{FINE}<Encrypt>x</Encrypt><Encrypt>y</Encrypt>")), "encrypt_type=aes" => Is::Other(Encrypted);
    r23_an_event_with_ciphertext_out_of_place: callback("<MsgType>event</MsgType><Encrypt>x</Encrypt>") => Is::Other(Encrypted);

    r25_no_id: callback("<MsgType>video</MsgType><MediaId>m</MediaId>") => Is::Message(Kind::Video);
    r25_an_undecodable_id: callback("<MsgType>text</MsgType><MsgId>&x;</MsgId>") => TEXT;

    r27_a_time_in_milliseconds: typed("text").replace("1519483978", "1519483978000") => TEXT;
    r27_a_negative_time: typed("text").replace("1519483978", "-1") => TEXT;
    r27_an_empty_time: typed("text").replace("1519483978", "") => TEXT;
    r27_no_sender: bare(&format!("<ToUserName>gh</ToUserName>{FINE}")) => Is::Other(Malformed);
    r27_an_empty_sender: bare(&format!("<ToUserName>gh</ToUserName><FromUserName/>{FINE}")) => Is::Other(Malformed);
    r27_a_blank_sender:
        bare(&format!("<ToUserName>gh</ToUserName><FromUserName><![CDATA[ ]]></FromUserName>{FINE}")) => Is::Other(Malformed);
    r27_no_receiver: bare(&format!("<FromUserName>o</FromUserName>{FINE}")) => Is::Other(Malformed);
    r27_an_empty_receiver:
        bare(&format!("<ToUserName></ToUserName><FromUserName>o</FromUserName>{FINE}")) => Is::Other(Malformed);
    r27_neither: bare(FINE) => Is::Other(Malformed);
    r27_an_end_of_section_in_names:
        bare(&format!("<ToUserName>g]]&gt;h</ToUserName><FromUserName>]]&gt;</FromUserName>{FINE}")) => TEXT;
    r27_an_event_of_nobody: bare("<MsgType>event</MsgType>") => EVENT;
    r27_an_event_of_a_system_account:
        bare("<ToUserName>gh</ToUserName><FromUserName>weixin</FromUserName><MsgType>event</MsgType><Event>annual_renew</Event>"), "openid=o1" => EVENT;

    r28_the_senders_openid: callback(FINE), "signature=a&timestamp=1&nonce=2&openid=o1" => TEXT;
    r28_somebody_elses_openid: callback(FINE), "openid=o2" => Is::Other(OpenidMismatch);
    r28_the_receiver_as_openid: callback(FINE), "openid=gh_1" => Is::Other(OpenidMismatch);
    r28_an_empty_openid: callback(FINE), "openid=" => Is::Other(OpenidMismatch);
    r28_an_openid_without_value: callback(FINE), "openid" => Is::Other(OpenidMismatch);
    r28_an_openid_in_other_letters: callback(FINE), "openid=O1" => Is::Other(OpenidMismatch);
    r28_two_openids: callback(FINE), "openid=o1&openid=o2" => Is::Other(OpenidMismatch);
    r28_the_same_openid_twice: callback(FINE), "openid=o1&openid=o1" => TEXT;
    r28_an_escaped_openid: callback(FINE), "openid=%6f1" => TEXT;
    r28_another_parameter: callback(FINE), "my_openid=o2&OPENID=o3" => TEXT;
    r28_an_empty_query: callback(FINE), "" => TEXT;
    r28_an_event_of_somebody_else: typed("event"), "openid=o2" => EVENT;

    r29_a_post_with_an_echo: callback(FINE), "echostr=1&openid=o1" => Is::Other(NotCallback);
    r29_an_event_with_an_echo: typed("event"), "echostr=" => Is::Other(NotCallback);
}
