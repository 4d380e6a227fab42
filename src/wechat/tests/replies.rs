//! What a bot's reply says.

use super::super::BotReply::{self, Nothing, Other, Text, Transfer};

fn reply(elements: &str) -> String {
    format!(
        "<xml><ToUserName><![CDATA[o1]]></ToUserName><FromUserName><![CDATA[gh_1]]></FromUserName>\
         <CreateTime>12345678</CreateTime>{elements}</xml>"
    )
}

const HI: &str = "<MsgType><![CDATA[text]]></MsgType><Content><![CDATA[hi]]></Content>";
const TRANSFER: &str = "<MsgType><![CDATA[transfer_customer_service]]></MsgType>";
const WARNING: &str = "<br />\n<b>Warning</b>: Undefined index: x in <b>/w/index.php</b> on line <b>3</b><br />\n";

/// One test a row: its name, the body, and what it says.
macro_rules! replies {
    ($($name:ident: $body:expr => $said:expr;)*) => {$(
        #[test]
        fn $name() {
            assert_eq!(BotReply::read(&$body, None), $said);
        }
    )*};
}

fn says(text: &str) -> BotReply<'_> {
    Text(text.into())
}

replies! {
    success: "success" => Nothing;
    success_with_space: " success\r\n" => Nothing;
    success_behind_a_byte_order_mark: "\u{feff}success" => Nothing;
    success_behind_two_marks_and_space: "\u{feff}\n\u{feff} success \u{feff}" => Nothing;
    an_empty_body: "" => Nothing;
    white_space: " \t\r\n" => Nothing;
    a_byte_order_mark: "\u{feff}" => Nothing;
    success_in_capitals: "SUCCESS" => Other;
    success_in_quotes: "\"success\"" => Other;
    success_behind_a_warning: format!("{WARNING}success") => Other;
    success_twice: "successsuccess" => Other;
    success_as_an_element: "<xml>success</xml>" => Other;

    a_text: reply(HI) => says("hi");
    a_text_without_cdata: reply("<MsgType>text</MsgType><Content>a &amp; b</Content>") => says("a & b");
    a_text_over_lines: format!("\n            {}\n", reply(HI).replace('>', ">\n  ")) => says("\n  hi\n  ");
    a_text_without_words: reply("<MsgType>text</MsgType><Content/>") => says("");
    a_text_without_content: reply("<MsgType>text</MsgType>") => Other;
    a_text_with_content_twice: reply(&format!("{HI}<Content>2</Content>")) => Other;
    a_text_behind_a_declaration: format!("<?xml version=\"1.0\" encoding=\"utf-8\"?>{}", reply(HI)) => says("hi");
    a_text_behind_a_byte_order_mark: format!("\u{feff}{}", reply(HI)) => says("hi");
    a_text_behind_a_warning: format!("{WARNING}{}", reply(HI)) => says("hi");
    a_text_behind_a_warning_and_a_declaration: format!("{WARNING}<?xml version='1.0'?>{}", reply(HI)) => says("hi");
    a_text_behind_a_notice: format!("\nNotice: Undefined index: x & y\n{}", reply(HI)) => says("hi");
    a_text_ahead_of_a_page: format!("{}\n</body></html>", reply(HI)) => says("hi");
    a_text_with_a_namespace: reply(HI).replace("<xml>", "<xml xmlns=\"\">") => says("hi");
    a_text_in_another_encoding: format!("<?xml version='1.0' encoding='gbk'?>{}", reply(HI)) => Other;
    a_text_in_another_encoding_behind_a_warning: format!("{WARNING}<?xml version='1.0' encoding='gbk'?>{}", reply(HI)) => Other;
    a_text_about_documents: reply("<MsgType>text</MsgType><Content><![CDATA[</xml><xml>]]></Content>") => says("</xml><xml>");
    a_text_about_transfers: reply("<MsgType>text</MsgType><Content>transfer_customer_service</Content>") => says("transfer_customer_service");
    a_text_in_json: r#"{"ToUserName":"o1","MsgType":"text","Content":"h\u0069"}"# => says("hi");
    a_text_in_json_behind_a_mark: "\u{feff} {\"MsgType\":\"text\",\"Content\":\"hi\"}\n" => says("hi");
    a_type_of_text_with_a_capital: reply("<MsgType>Text</MsgType><Content>hi</Content>") => Other;

    a_picture: reply("<MsgType>image</MsgType><Image><MediaId>m</MediaId></Image>") => Other;
    news: reply("<MsgType>news</MsgType><ArticleCount>1</ArticleCount><Articles><item><Title>t</Title></item></Articles>") => Other;
    a_sealed_reply: "<xml><Encrypt><![CDATA[x]]></Encrypt><MsgSignature>s</MsgSignature><TimeStamp>1</TimeStamp><Nonce>1</Nonce></xml>" => Other;
    a_sealed_reply_in_json: r#"{"Encrypt":"x","MsgSignature":"s","TimeStamp":1713424427,"Nonce":"415670741"}"# => Other;
    an_error_page: "<!DOCTYPE html><html><body><h1>500</h1></body></html>" => Other;
    an_error_page_about_transfers: "<html><p>no handler for transfer_customer_service</p></html>" => Other;
    plain_text: "hi" => Other;
    an_answer_of_an_api: r#"{"errcode":0,"errmsg":"ok"}"# => Other;
    a_list: "[1]" => Other;
    a_broken_text: "<xml><MsgType>text</MsgType><Content>a<b</Content></xml>" => Other;
    half_a_text: &reply(HI)[..150] => Other;

    a_transfer: reply(TRANSFER) => Transfer;
    a_transfer_without_cdata: reply("<MsgType>transfer_customer_service</MsgType>") => Transfer;
    a_transfer_with_space: reply("<MsgType>\n <![CDATA[ transfer_customer_service ]]>\n</MsgType>") => Transfer;
    a_transfer_in_capitals: reply("<MsgType>TRANSFER_CUSTOMER_SERVICE</MsgType>") => Transfer;
    a_transfer_in_pieces: reply("<MsgType>transfer<![CDATA[_customer_]]>&#x73;ervice</MsgType>") => Transfer;
    a_transfer_to_an_account: reply(&format!("{TRANSFER}<TransInfo><KfAccount>a@b</KfAccount></TransInfo>")) => Transfer;
    a_transfer_as_in_the_old_sample: reply(&format!("{TRANSFER}<TransInfo><KfAccount>![CDATA[a@b]]</KfAccount></TransInfo>")) => Transfer;
    a_transfer_with_an_old_type: reply("<MsgType>![CDATA[transfer_customer_service]]</MsgType>") => Other;
    a_transfer_behind_a_warning: format!("{WARNING}{}", reply(TRANSFER)) => Transfer;
    a_transfer_behind_a_warning_with_a_document: format!("parser error : <xml><Content>\n{}", reply(TRANSFER)) => Transfer;
    a_transfer_behind_a_declaration: format!("<?xml version='1.0' encoding='gbk'?>{}", reply(TRANSFER)) => Transfer;
    a_transfer_under_a_root_in_capitals: reply(TRANSFER).replace("xml>", "XML>") => Transfer;
    a_transfer_under_another_root: reply(TRANSFER).replace("xml>", "root>") => Transfer;
    a_transfer_with_a_doctype: format!("<!DOCTYPE xml>{}", reply(TRANSFER)) => Transfer;
    a_transfer_in_json: r#"{"MsgType":"transfer_customer_service"}"# => Transfer;
    an_escaped_transfer_in_json: r#"{"MsgType":"\u0074ransfer_customer_service"}"# => Transfer;

    a_transfer_and_a_text: reply(&format!("{TRANSFER}{HI}")) => Transfer;
    a_text_and_a_transfer: reply(&format!("{HI}{TRANSFER}")) => Transfer;
    a_text_and_a_transfer_in_capitals: reply(&format!("{HI}<MsgType>Transfer_Customer_Service</MsgType>")) => Transfer;
    two_transfers: reply(&format!("{TRANSFER}{TRANSFER}")) => Transfer;
    two_transfers_in_json: r#"{"MsgType":"text","MsgType":"transfer_customer_service"}"# => Transfer;
    two_texts: reply(&format!("{HI}{HI}")) => Other;
    two_texts_about_transfers: reply("<MsgType>text</MsgType><MsgType>text</MsgType><Content>transfer_customer_service</Content>") => Other;
    two_documents: format!("{}{}", reply(HI), reply(TRANSFER)) => Transfer;
    a_transfer_nested_in_another: reply("<TransInfo><MsgType>transfer_customer_service</MsgType></TransInfo>") => Other;

    a_transfer_that_breaks_off: reply(TRANSFER).trim_end_matches("</xml>") => Transfer;
    a_transfer_with_a_broken_account: reply(&format!("{TRANSFER}<TransInfo><KfAccount>a@b</TransInfo>")) => Transfer;
    a_broken_transfer_with_an_attribute: "<xml><MsgType a='b'>transfer_customer_service" => Transfer;
    a_broken_transfer_with_space: "<xml><MsgType> <![CDATA[ transfer_customer_service ]]></MsgType>" => Transfer;
    a_broken_transfer_in_capitals: "<xml><MsgType>TRANSFER_CUSTOMER_SERVICE</MsgType>" => Transfer;
    a_broken_transfer_in_json: r#"{"MsgType":"transfer_customer_service",}"# => Transfer;
    a_broken_transfer_in_json_with_space: "Notice: x\n{\"MsgType\" :\n \"transfer_customer_service\"}" => Transfer;
    a_broken_text_about_transfers: "<xml><MsgType>text</MsgType><Content>transfer_customer_service<</xml>" => Other;
    a_broken_text_in_json_about_transfers: r#"{"MsgType":"text","Content":"transfer_customer_service",}"# => Other;
    a_broken_reply_full_of_types: format!("<xml>{}人", "MsgType".repeat(20_000)) => Other;
}
