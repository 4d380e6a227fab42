//! Never for events: whatever is asked for, however the bot fails, an event is not answered with a transfer.

use std::thread;
use std::time::Duration;

use serde_json::json;

use crate::support::bot::DEAD;
use crate::support::wechat::{bot_reply, bots_json_transfer, bots_transfer, json_event, message, post_to, says};
use crate::support::wire::{chunked, reply};
use crate::support::{Bot, Client, Gate, Setup, event, post, text};

/// Every event of the protocol, with the names that SDKs know beside the documented ones.
const EVENTS: [&str; 105] = [
    "subscribe",
    "unsubscribe",
    "SCAN",
    "scan",
    "LOCATION",
    "CLICK",
    "VIEW",
    "view_miniprogram",
    "scancode_push",
    "scancode_waitmsg",
    "pic_sysphoto",
    "pic_photo_or_album",
    "pic_weixin",
    "location_select",
    "media_id",
    "view_limited",
    "TEMPLATESENDJOBFINISH",
    "MASSSENDJOBFINISH",
    "PUBLISHJOBFINISH",
    "kf_create_session",
    "kf_close_session",
    "kf_switch_session",
    "user_enter_tempsession",
    "user_enter_session_from_card",
    "subscribe_msg_popup_event",
    "subscribe_msg_change_event",
    "subscribe_msg_sent_event",
    "card_pass_check",
    "card_not_pass_check",
    "user_get_card",
    "user_gifting_card",
    "user_del_card",
    "user_consume_card",
    "user_pay_from_pay_cell",
    "user_view_card",
    "update_member_card",
    "submit_membercard_user_info",
    "card_sku_remind",
    "card_pay_order",
    "giftcard_pay_done",
    "giftcard_send_to_friend",
    "giftcard_user_accept",
    "qualification_verify_success",
    "naming_verify_success",
    "qualification_verify_fail",
    "naming_verify_fail",
    "annual_renew",
    "verify_expired",
    "poi_check_notify",
    "WifiConnected",
    "ShakearoundUserShake",
    "merchant_order",
    "add_store_audit_info",
    "modify_store_audit_info",
    "create_map_poi_audit_info",
    "apply_merchant_audit_info",
    "user_info_modified",
    "user_authorization_revoke",
    "user_authorization_cancellation",
    "weapp_audit_success",
    "weapp_audit_fail",
    "weapp_audit_delay",
    "wxa_media_check",
    "wxa_nickname_audit",
    "wxa_illegal_record",
    "wxa_appeal_record",
    "wxa_privacy_apply",
    "wxa_category_audit",
    "user_authorize_invoice",
    "update_invoice_status",
    "submit_invoice_title",
    "cloud_invoice_invoiceresult_event",
    "guide_invite_result_event",
    "wx_verify_pay_succ",
    "wx_verify_dispatch",
    "open_product_order_pay",
    "xpay_goods_deliver_notify",
    "user_scan_product",
    "user_scan_product_enter_session",
    "user_scan_product_async",
    "user_scan_product_verify_action",
    "debug_demo",
    "ENTER",
    // What no event is called, and what a bot may be told all the same.
    "text",
    "image",
    "voice",
    "transfer_customer_service",
    "人工",
    "event",
    "",
    " ",
    "message",
    "file",
    "link",
    "location",
    "video",
    "shortvideo",
    "miniprogrampage",
    "1",
    "test1@test",
    "X-Kf-Transfer",
    "<MsgType>text</MsgType>",
    "unknown_event",
    "device_event",
    "EVENT",
];

/// What may stand in an event beside its name, as documented.
fn elements(name: &str) -> &'static str {
    match name {
        "LOCATION" => "<Latitude>23.1</Latitude><Longitude>113.3</Longitude><Precision>119.3</Precision>",
        "kf_create_session" | "kf_close_session" => "<KfAccount><![CDATA[test1@test]]></KfAccount>",
        "kf_switch_session" => {
            "<FromKfAccount><![CDATA[test1@test]]></FromKfAccount><ToKfAccount><![CDATA[test2@test]]></ToKfAccount>"
        }
        "scancode_push" | "scancode_waitmsg" => {
            "<EventKey>6</EventKey><ScanCodeInfo><ScanType>qrcode</ScanType><ScanResult>人工</ScanResult></ScanCodeInfo>"
        }
        "pic_sysphoto" | "pic_photo_or_album" | "pic_weixin" => {
            "<EventKey>6</EventKey><SendPicsInfo><Count>1</Count><PicList><item><MsgType>text</MsgType></item></PicList></SendPicsInfo>"
        }
        "subscribe_msg_sent_event" => {
            "<SubscribeMsgSentEvent><List><MsgID>1700827132819554304</MsgID><ErrorCode>0</ErrorCode></List></SubscribeMsgSentEvent>"
        }
        "TEMPLATESENDJOBFINISH" | "MASSSENDJOBFINISH" => "<MsgID>200163836</MsgID><Status>success</Status>",
        _ => "<EventKey><![CDATA[人工]]></EventKey><Content><![CDATA[人工]]></Content><MsgId>1</MsgId>",
    }
}

fn xml_event(name: &str) -> String {
    message("event", &format!("<Event><![CDATA[{name}]]></Event>\n{}", elements(name)))
}

const TYPES: &str = "types = [\"text\", \"image\", \"voice\", \"video\", \"shortvideo\", \"location\", \"link\", \"miniprogrampage\", \"file\"]\n";

/// Every way to ask for a transfer, one a path; and a bot for each.
fn askers() -> (Vec<&'static str>, Vec<Bot>, Gate) {
    let answering = |headers: &'static str, body: String| Bot::saying(bot_reply(headers, &body));
    let plain = answering("", says("没听懂"));
    let catch_all = format!("[[route.rule]]\nname = \"all\"\non = \"message\"\n{TYPES}");
    let reply_rule = format!("[[route.rule]]\nname = \"reply\"\non = \"reply\"\n{TYPES}");
    let slow = || Bot::slow(Duration::from_millis(25), bot_reply("X-Kf-Transfer: 1\r\n", &says("late")));
    let own = |content_type: &str, body: String| {
        Bot::saying(reply("200 OK", &format!("Content-Type: {content_type}\r\nX-Kf-Transfer: 1\r\n"), body))
    };
    let own_in_chunks = [
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n",
        &*chunked(&bots_transfer().as_bytes().chunks(50).collect::<Vec<_>>(), ""),
    ]
    .concat();
    let timeout = "deadline = \"5ms\"\non_timeout = \"transfer\"\nfallbacks_per_minute = 1000000";
    let on_error = "on_error = \"transfer\"\nfallbacks_per_minute = 1000000";
    let all = format!("{on_error}\n{timeout}\naccept_request_flag = true\n{reply_rule}{catch_all}mode = \"rewrite\"\n")
        .replacen("\nfallbacks_per_minute = 1000000", "", 1);
    let ways: Vec<(&'static str, Option<Bot>, String)> = vec![
        ("flag", Some(answering("X-Kf-Transfer: 1\r\n", says("hm"))), String::new()),
        ("flag-account", Some(answering("X-Kf-Transfer: test1@test\r\n", says("hm"))), String::new()),
        ("flag-empty-reply", Some(answering("X-Kf-Transfer: 1\r\n", String::new())), String::new()),
        ("request-flag", Some(answering("", says("hm"))), "accept_request_flag = true".into()),
        ("short-circuit", Some(answering("", says("hm"))), catch_all.clone()),
        ("rewrite", Some(plain), format!("{catch_all}mode = \"rewrite\"")),
        ("reply-rule", Some(answering("", says("没听懂"))), reply_rule.clone()),
        ("dead", None, on_error.into()),
        ("reset", Some(Bot::with(|talk| talk.request().map(drop))), on_error.into()),
        (
            "half",
            Some(Bot::saying_and_closing("HTTP/1.1 200 OK\r\nContent-Length: 99\r\nX-Kf-Transfer: 1\r\n\r\n<xml>")),
            on_error.into(),
        ),
        ("5xx", Some(Bot::saying(reply("500 Oops", "X-Kf-Transfer: 1\r\n", "oops"))), on_error.into()),
        ("slow", Some(slow()), timeout.into()),
        ("own", Some(own("text/xml", bots_transfer())), String::new()),
        ("own-json", Some(own("application/json", bots_json_transfer())), String::new()),
        (
            "own-behind-a-warning",
            Some(own("text/html", format!("<b>Warning</b>: x<br />\n{}", bots_transfer()))),
            String::new(),
        ),
        ("own-in-chunks", Some(Bot::saying(own_in_chunks)), String::new()),
        ("own-on-500", Some(Bot::saying(reply("500 Oops", "", bots_transfer()))), on_error.into()),
        ("everything", Some(own("text/xml", bots_transfer())), all.clone()),
        ("everything-slow", Some(slow()), all),
    ];
    let (mut names, mut bots, mut setup) = (Vec::new(), Vec::new(), Setup::empty().limits("upstream_timeout = \"2s\""));
    for (name, bot, lines) in ways {
        let url = bot.as_ref().map_or(DEAD.to_owned(), Bot::url);
        setup = setup.and_route(name, &url, &format!("path = \"/{name}\"\n{lines}"));
        names.push(name);
        bots.extend(bot);
    }
    (names, bots, setup.top("workers = 2").start())
}

/// The answer to a callback, where the connection may end with it.
fn answer(client: &mut Option<Client>, gate: &Gate, path: &str, body: &str) -> Vec<u8> {
    let connection = client.get_or_insert_with(|| gate.connect());
    connection.send(post_to(&format!("/{path}"), "X-Kf-Transfer: 1\r\n", body));
    let mut reply = connection.head();
    if connection.try_body(&mut reply).is_err() || reply.header("connection").is_some() {
        *client = None;
    }
    reply.body
}

/// How often each of these was asked in vain.
fn never_a_transfer(gate: &Gate, ways: &[&str], bodies: &[String]) -> usize {
    thread::scope(|scope| {
        let each = ways.iter().map(|way| {
            scope.spawn(move || {
                let mut client = None;
                for body in bodies {
                    let answer = answer(&mut client, gate, way, body);
                    let said = String::from_utf8_lossy(&answer).to_lowercase();
                    assert!(!said.contains("transfer_customer_service"), "{way}: {said}\n{body}");
                }
                bodies.len()
            })
        });
        let each: Vec<_> = each.collect();
        each.into_iter().map(|one| one.join().unwrap()).sum()
    })
}

#[test]
fn no_event_becomes_a_transfer_whoever_asks() {
    let (ways, _bots, gate) = askers();
    // The question is a good one: a message is transferred, each time.
    for way in &ways {
        let said = answer(&mut None, &gate, way, &text("人工"));
        assert!(String::from_utf8_lossy(&said).contains("transfer_customer_service"), "{way}: {}", said.escape_ascii());
    }
    let json: Vec<_> = EVENTS.iter().map(|name| json_event(name)).collect();
    let xml: Vec<_> = EVENTS.iter().map(|name| xml_event(name)).collect();
    let asked = never_a_transfer(&gate, &ways, &[xml, json].concat());
    assert_eq!(asked, EVENTS.len() * 2 * 19);
    for record in gate.records(asked + 19).split_off(19) {
        assert_ne!(record["action"], "transfer", "{record}");
        assert_eq!(record["via"], json!(null), "{record}");
        assert_eq!(record["msg_type"], "event", "{record}");
    }
}

/// Where it is not certain that this is a user's message, there is no transfer of the gate's making.
#[test]
fn nothing_that_may_be_an_event_becomes_a_transfer() {
    let (ways, _bots, gate) = askers();
    let ways: Vec<_> = ways.into_iter().filter(|way| !way.starts_with("own") && *way != "everything").collect();
    let around = |elements: &str| {
        format!(
            "<xml><ToUserName>gh</ToUserName><FromUserName>oGO4t07Fz_DGdbkIs1snsuHFKRRE</FromUserName>{elements}</xml>"
        )
    };
    let bodies = [
        "<MsgType>event</MsgType>",
        "<MsgType> <![CDATA[event]]> </MsgType>",
        "<MsgType>\n<![CDATA[ event\t]]></MsgType>",
        "<MsgType><![CDATA[ev]]><![CDATA[ent]]></MsgType>",
        "<MsgType>e<![CDATA[vent]]></MsgType>",
        "<MsgType>&#x65;vent</MsgType>",
        "<MsgType>&#101;vent</MsgType>",
        "<MsgType>&foo;text</MsgType>",
        "<MsgType>EVENT</MsgType>",
        "<MsgType>Event</MsgType>",
        "<MsgType>text</MsgType><MsgType>event</MsgType>",
        "<MsgType>event</MsgType><MsgType>text</MsgType>",
        "<MsgType>text</MsgType><MsgType>text</MsgType>",
        "<MsgType>event</MsgType><Content>]]></Content><MsgType>text</MsgType><Content></Content>",
        "<X><MsgType>text</MsgType></X>",
        "<MsgType>text</MsgType><Event>CLICK</Event>",
        "<MsgType>text</MsgType><Event/>",
        "<MsgType></MsgType>",
        "<MsgType/>",
        "<MsgType>text event</MsgType>",
        "<MsgType>device_event</MsgType>",
        "<MsgType>device_text</MsgType>",
        "<MsgType>device_status</MsgType>",
        "<MsgType>hardware</MsgType>",
        "<MsgType>transfer_customer_service</MsgType>",
        "<MsgType><b>text</b></MsgType>",
        "<wx:MsgType>text</wx:MsgType>",
        "<msgtype>text</msgtype>",
        "<InfoType>component_verify_ticket</InfoType>",
        "<!-- <MsgType>text</MsgType> --><MsgType>event</MsgType>",
        "<MsgType>te<!-- x -->xt</MsgType><Event>CLICK</Event>",
        "<MsgType>text</MsgType>]]>",
        "<Encrypt>abc</Encrypt><MsgType>text</MsgType>",
    ]
    .map(around);
    let whole = [
        "<!DOCTYPE xml [<!ENTITY e \"event\">]><xml><MsgType>&e;</MsgType></xml>",
        "<xml><ToUserName>g</ToUserName><FromUserName>o</FromUserName><MsgType>event</MsgType></xml><xml><MsgType>text</MsgType></xml>",
        "<root><ToUserName>g</ToUserName><FromUserName>o</FromUserName><MsgType>text</MsgType></root>",
        "<xml><xml><ToUserName>g</ToUserName><FromUserName>o</FromUserName><MsgType>text</MsgType></xml></xml>",
        "{\"ToUserName\":\"g\",\"FromUserName\":\"o\",\"MsgType\":\"event\"}",
        "{\"ToUserName\":\"g\",\"FromUserName\":\"o\",\"MsgType\":\"\\u0065vent\"}",
        "{\"ToUserName\":\"g\",\"FromUserName\":\"o\",\"MsgType\":\"text\",\"MsgType\":\"event\"}",
        "{\"ToUserName\":\"g\",\"FromUserName\":\"o\",\"MsgType\":\"event\",\"\\u004dsgType\":\"text\"}",
        "{\"ToUserName\":\"g\",\"FromUserName\":\"o\",\"MsgType\":\"text\",\"Event\":\"CLICK\"}",
        "{\"ToUserName\":\"g\",\"FromUserName\":\"o\",\"MsgType\":\"text\",\"Event\":null}",
        "{\"ToUserName\":\"g\",\"FromUserName\":\"o\",\"MsgType\":[\"text\"]}",
        "{\"ToUserName\":\"g\",\"FromUserName\":\"o\",\"a\":{\"MsgType\":\"text\"}}",
        "{\"ToUserName\":\"g\",\"FromUserName\":\"o\",\"MsgType\":\"text\"}{}",
    ]
    .map(|body| body.replace("\"o\"", "\"oGO4t07Fz_DGdbkIs1snsuHFKRRE\"").replace(">o<", ">oGO4t07Fz_DGdbkIs1snsuHFKRRE<"));
    let asked = never_a_transfer(&gate, &ways, &[bodies.to_vec(), whole.to_vec()].concat());
    assert_eq!(asked, (33 + 13) * 13);
    assert!(gate.records(asked).iter().all(|record| record["action"] != "transfer"));
}

#[test]
fn a_bots_answer_to_an_event_passes_unless_it_is_a_transfer() {
    for body in [
        says("欢迎"),
        "success".to_owned(),
        String::new(),
        says("hm").replace("text", "news"),
        "<b>oops</b>".to_owned(),
    ] {
        let bot = Bot::saying(bot_reply("X-Kf-Transfer: 1\r\n", &body));
        let gate = Gate::before(&bot);
        gate.ask(post(event("subscribe"))).is(200, &body);
        gate.record()
            .is("forward", "event")
            .has(json!({"msg_type": "event", "event": "subscribe", "upstream_status": 200}));
    }
    for body in [
        bots_transfer(),
        bots_transfer().replace("transfer_customer_service", "Transfer_Customer_Service"),
        bots_json_transfer(),
        bots_transfer().replace("<![CDATA[transfer_customer_service]]>", "transfer_customer_service"),
        bots_transfer().replace("<![CDATA[transfer_customer_service]]>", " <![CDATA[transfer_customer_service]]>\n"),
        bots_transfer().replace("</xml>", ""),
        format!("<?xml version=\"1.0\"?>\n{}", bots_transfer()),
        format!("Warning: x\n{}\n", bots_transfer()),
    ] {
        let bot = Bot::saying(bot_reply("", &body));
        let gate = Gate::before(&bot);
        gate.ask(post(event("CLICK"))).is_success();
        gate.record().is("suppress", "event").has(json!({"via": null, "upstream_status": 200, "status": 200}));
    }
}

#[test]
fn words_about_a_transfer_are_no_transfer() {
    let body = says("send transfer_customer_service to get a human");
    let bot = Bot::saying(bot_reply("", &body));
    Gate::before(&bot).ask(post(event("CLICK"))).is(200, &body);
}
