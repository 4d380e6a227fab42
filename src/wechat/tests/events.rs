//! All events that are known, with what they carry: none is ever taken for a message.

use Value::{Text, Tree};

use super::super::{Event, Inbound, open};

/// What an element holds.
#[derive(Clone, Copy)]
enum Value {
    Text(&'static str),
    Tree(Elements),
}

type Elements = &'static [(&'static str, Value)];

const CARD: Elements = &[("CardId", Text("c")), ("UserCardCode", Text("12312312"))];
const SUBSCRIPTION: Elements =
    &[("TemplateId", Text("t")), ("SubscribeStatusString", Text("accept")), ("PopupScene", Text("2"))];
const PICTURES: Elements = &[(
    "SendPicsInfo",
    Tree(&[
        ("Count", Text("1")),
        ("PicList", Tree(&[("item", Tree(&[("PicMd5Sum", Text("5a75")), ("MsgType", Text("text"))]))])),
    ]),
)];
const BEACON: Elements =
    &[("Uuid", Text("u")), ("Major", Text("1")), ("Minor", Text("1")), ("Distance", Text("0.057"))];

/// Each event's name, its key, and its other elements in their order.
const EVENTS: &[(&str, Option<&str>, Elements)] = &[
    ("subscribe", None, &[]),
    ("subscribe", Some("qrscene_123123"), &[("Ticket", Text("TICKET"))]),
    ("unsubscribe", None, &[]),
    ("SCAN", Some("123"), &[("Ticket", Text("TICKET"))]),
    ("scan", Some("123"), &[("Ticket", Text("TICKET"))]),
    ("LOCATION", None, &[("Latitude", Text("23.13")), ("Longitude", Text("113.35")), ("Precision", Text("119.38"))]),
    ("CLICK", Some("转人工"), &[]),
    ("VIEW", Some("https://example.com/?a=1&b=2"), &[("MenuId", Text("1"))]),
    ("view_miniprogram", Some("pages/index/index"), &[("MenuId", Text("1"))]),
    ("scancode_push", Some("6"), &[("ScanCodeInfo", Tree(&[("ScanType", Text("qrcode")), ("ScanResult", Text("1"))]))]),
    (
        "scancode_waitmsg",
        Some("6"),
        &[("ScanCodeInfo", Tree(&[("ScanType", Text("qrcode")), ("ScanResult", Text("2"))]))],
    ),
    ("pic_sysphoto", Some("6"), PICTURES),
    ("pic_photo_or_album", Some("6"), PICTURES),
    ("pic_weixin", Some("6"), PICTURES),
    (
        "location_select",
        Some("6"),
        &[(
            "SendLocationInfo",
            Tree(&[
                ("Location_X", Text("23")),
                ("Location_Y", Text("113")),
                ("Scale", Text("15")),
                ("Label", Text("广州市")),
                ("Poiname", Text("")),
            ]),
        )],
    ),
    ("media_id", Some("m"), &[]),
    ("view_limited", Some("m"), &[]),
    ("TEMPLATESENDJOBFINISH", None, &[("MsgID", Text("200163836")), ("Status", Text("failed: system failed"))]),
    (
        "MASSSENDJOBFINISH",
        None,
        &[
            ("MsgID", Text("1000001625")),
            ("Status", Text("err(30003)")),
            ("TotalCount", Text("0")),
            ("FilterCount", Text("0")),
            ("SentCount", Text("0")),
            ("ErrorCount", Text("0")),
            (
                "CopyrightCheckResult",
                Tree(&[("Count", Text("1")), ("ResultList", Tree(&[("item", Tree(&[("ArticleIdx", Text("1"))]))]))]),
            ),
            (
                "ArticleUrlResult",
                Tree(&[("Count", Text("1")), ("ResultList", Tree(&[("item", Tree(&[("ArticleUrl", Text("u"))]))]))]),
            ),
        ],
    ),
    (
        "PUBLISHJOBFINISH",
        None,
        &[(
            "PublishEventInfo",
            Tree(&[("publish_id", Text("2247")), ("publish_status", Text("0")), ("article_id", Text("a"))]),
        )],
    ),
    ("kf_create_session", None, &[("KfAccount", Text("test1@test"))]),
    ("kf_close_session", None, &[("KfAccount", Text("test1@test")), ("CloseType", Text("KF"))]),
    ("kf_switch_session", None, &[("FromKfAccount", Text("test1@test")), ("ToKfAccount", Text("test2@test"))]),
    ("user_enter_tempsession", None, &[("SessionFrom", Text("转人工"))]),
    ("user_enter_session_from_card", None, CARD),
    ("subscribe_msg_popup_event", None, &[("SubscribeMsgPopupEvent", Tree(&[("List", Tree(SUBSCRIPTION))]))]),
    ("subscribe_msg_change_event", None, &[("SubscribeMsgChangeEvent", Tree(&[("List", Tree(SUBSCRIPTION))]))]),
    (
        "subscribe_msg_sent_event",
        None,
        &[(
            "SubscribeMsgSentEvent",
            Tree(&[(
                "List",
                Tree(&[
                    ("TemplateId", Text("t")),
                    ("MsgID", Text("1700")),
                    ("ErrorCode", Text("0")),
                    ("ErrorStatus", Text("success")),
                ]),
            )]),
        )],
    ),
    ("card_pass_check", None, &[("CardId", Text("c"))]),
    ("card_not_pass_check", None, &[("CardId", Text("c")), ("RefuseReason", Text("非法代制"))]),
    (
        "user_get_card",
        None,
        &[
            ("FriendUserName", Text("o2")),
            ("CardId", Text("c")),
            ("IsGiveByFriend", Text("1")),
            ("UserCardCode", Text("12312312")),
            ("OuterId", Text("0")),
        ],
    ),
    ("user_gifting_card", None, &[("FriendUserName", Text("o2")), ("CardId", Text("c"))]),
    ("user_del_card", None, CARD),
    ("user_consume_card", None, &[("CardId", Text("c")), ("ConsumeSource", Text("FROM_API"))]),
    ("user_pay_from_pay_cell", None, CARD),
    ("user_view_card", None, CARD),
    ("user_enter_card", None, CARD),
    ("update_member_card", None, CARD),
    ("submit_membercard_user_info", None, CARD),
    ("card_sku_remind", None, &[("CardId", Text("c")), ("Detail", Text("the sku is out"))]),
    ("card_pay_order", None, &[("OrderId", Text("404091456"))]),
    ("giftcard_pay_done", None, &[("PageId", Text("p")), ("OrderId", Text("1"))]),
    ("giftcard_send_to_friend", None, &[("PageId", Text("p")), ("OrderId", Text("1"))]),
    ("giftcard_user_accept", None, &[("PageId", Text("p")), ("OrderId", Text("1"))]),
    ("qualification_verify_success", None, &[("ExpiredTime", Text("1442401156"))]),
    ("qualification_verify_fail", None, &[("FailTime", Text("1442401122")), ("FailReason", Text("by time"))]),
    ("naming_verify_success", None, &[("ExpiredTime", Text("1442401093"))]),
    ("naming_verify_fail", None, &[("FailTime", Text("1442401061")), ("FailReason", Text("by time"))]),
    ("annual_renew", None, &[("ExpiredTime", Text("1442401004"))]),
    ("verify_expired", None, &[("ExpiredTime", Text("1442400900"))]),
    (
        "poi_check_notify",
        None,
        &[("UniqId", Text("123adb")), ("PoiId", Text("123123")), ("Result", Text("fail")), ("Msg", Text("xxxxxx"))],
    ),
    (
        "WifiConnected",
        None,
        &[
            ("ConnectTime", Text("0")),
            ("ExpireTime", Text("0")),
            ("VendorId", Text("3001224419")),
            ("ShopId", Text("s")),
        ],
    ),
    (
        "ShakearoundUserShake",
        None,
        &[("ChosenBeacon", Tree(BEACON)), ("AroundBeacons", Tree(&[("AroundBeacon", Tree(BEACON))]))],
    ),
    (
        "merchant_order",
        None,
        &[("OrderId", Text("1")), ("OrderStatus", Text("2")), ("ProductId", Text("p")), ("SkuInfo", Text("1:2"))],
    ),
    ("add_store_audit_info", None, &[("audit_id", Text("1")), ("status", Text("3")), ("reason", Text("x"))]),
    ("modify_store_audit_info", None, &[("audit_id", Text("1")), ("status", Text("3")), ("reason", Text("x"))]),
    ("create_map_poi_audit_info", None, &[("audit_id", Text("1")), ("status", Text("1")), ("name", Text("x"))]),
    ("apply_merchant_audit_info", None, &[("audit_id", Text("1")), ("status", Text("1")), ("reason", Text("x"))]),
    ("user_info_modified", None, &[("OpenID", Text("o1")), ("AppID", Text("wx1")), ("RevokeInfo", Text("1"))]),
    ("user_authorization_revoke", None, &[("OpenID", Text("o1")), ("RevokeInfo", Text("1"))]),
    ("user_authorization_cancellation", None, &[("OpenID", Text("o1"))]),
    ("weapp_audit_success", None, &[("SuccTime", Text("1488856741"))]),
    ("weapp_audit_fail", None, &[("Reason", Text("1:账号信息不符合规范")), ("FailTime", Text("1488856591"))]),
    ("weapp_audit_delay", None, &[("Reason", Text("为了更好的服务")), ("DelayTime", Text("1591761463"))]),
    (
        "wxa_media_check",
        None,
        &[("appid", Text("wx1")), ("trace_id", Text("t")), ("result", Tree(&[("suggest", Text("risky"))]))],
    ),
    ("wxa_nickname_audit", None, &[("ret", Text("2")), ("nickname", Text("n")), ("reason", Text("x"))]),
    ("wxa_illegal_record", None, &[("appid", Text("wx1")), ("illegal_record_id", Text("1"))]),
    ("wxa_appeal_record", None, &[("appid", Text("wx1")), ("appeal_record_id", Text("1"))]),
    (
        "wxa_privacy_apply",
        None,
        &[("result_info", Tree(&[("api_name", Text("wx.chooseAddress")), ("reason", Text("x"))]))],
    ),
    ("wxa_category_audit", None, &[("ret", Text("3")), ("first", Text("1")), ("second", Text("2"))]),
    ("user_authorize_invoice", None, &[("SuccOrderId", Text("1")), ("FailOrderId", Text(""))]),
    ("update_invoice_status", None, &[("Status", Text("INVOICE_REIMBURSE_INIT")), ("CardId", Text("c"))]),
    ("submit_invoice_title", None, &[("title", Text("腾讯")), ("tax_no", Text("1")), ("attach", Text(""))]),
    ("cloud_invoice_invoiceresult_event", None, &[("fpqqlsh", Text("1"))]),
    ("guide_invite_result_event", None, &[("GuideAccount", Text("g"))]),
    ("wx_verify_pay_succ", None, &[("appid", Text("wx1")), ("orderid", Text("1"))]),
    ("wx_verify_dispatch", None, &[("appid", Text("wx1")), ("provider", Text("x"))]),
    ("open_product_order_pay", None, &[("order_info", Tree(&[("order_id", Text("1"))]))]),
    ("xpay_goods_deliver_notify", None, &[("OpenId", Text("o1")), ("OutTradeNo", Text("1")), ("Env", Text("0"))]),
    (
        "user_scan_product",
        None,
        &[("KeyStandard", Text("ean13")), ("KeyStr", Text("6901481811083")), ("Scene", Text("2"))],
    ),
    ("user_scan_product_enter_session", None, &[("KeyStandard", Text("ean13")), ("KeyStr", Text("6901481811083"))]),
    ("user_scan_product_async", None, &[("KeyStandard", Text("ean13")), ("RegionCode", Text("440105"))]),
    ("user_scan_product_verify_action", None, &[("KeyStandard", Text("ean13")), ("Result", Text("verify_ok"))]),
    ("debug_demo", None, &[("debug_str", Text("hello world"))]),
    ("ENTER", None, &[]),
    ("an event that does not exist yet", Some("转人工"), &[("Content", Text("转人工")), ("MsgId", Text("1"))]),
];

/// All elements of an event, in the order in which WeChat writes them.
fn elements(name: &'static str, key: Option<&'static str>, extra: Elements) -> Vec<(&'static str, Value)> {
    let is_ahead = |(name, _): &&(&str, Value)| *name == "FriendUserName";
    let mut all = vec![("ToUserName", Text("gh_1")), ("FromUserName", Text("o1"))];
    all.extend(extra.iter().filter(is_ahead));
    all.extend([("CreateTime", Text("1399197672")), ("MsgType", Text("event")), ("Event", Text(name))]);
    all.extend(key.map(|key| ("EventKey", Text(key))));
    all.extend(extra.iter().filter(|element| !is_ahead(element)));
    all
}

fn xml(elements: &[(&str, Value)]) -> String {
    let element = |(name, value): &(&str, Value)| match value {
        Text(text) => format!("<{name}><![CDATA[{text}]]></{name}>\n"),
        Tree(elements) => format!("<{name}>{}</{name}>\n", xml(elements)),
    };
    elements.iter().map(element).collect()
}

fn json(elements: &[(&str, Value)]) -> String {
    let member = |(name, value): &(&str, Value)| match value {
        Text(text) => format!("{name:?}:{text:?}"),
        Tree(elements) => format!("{name:?}:[{0},{0}]", json(elements)),
    };
    format!("{{{}}}", elements.iter().map(member).collect::<Vec<_>>().join(","))
}

/// An event in both formats, with its elements in both orders.
fn spellings(elements: &[(&str, Value)]) -> [String; 4] {
    let backwards: Vec<_> = elements.iter().rev().copied().collect();
    let document = |elements: &[(&str, Value)]| format!("<xml>{}</xml>", xml(elements));
    [document(elements), document(&backwards), json(elements), json(&backwards)]
}

fn event(body: &str) -> Event<'_> {
    match open(body, Some("signature=s&timestamp=1&nonce=2&openid=o1")) {
        Inbound::Event(event) => event,
        other => panic!("{other:?}: {body}"),
    }
}

#[test]
fn every_event_is_one_in_both_formats_and_in_any_order() {
    for (name, key, extra) in EVENTS {
        for body in spellings(&elements(name, *key, extra)) {
            let event = event(&body);
            assert_eq!((event.name(), event.key()), (Some(*name), *key), "{body}");
            assert_eq!((event.to_user(), event.from_user()), (Some("gh_1"), Some("o1")), "{body}");
            assert_eq!(event.create_time(), Some("1399197672"), "{body}");
        }
    }
}

#[test]
fn an_event_with_an_empty_key_has_none() {
    let event = event("<xml><MsgType>event</MsgType><Event>subscribe</Event><EventKey><![CDATA[]]></EventKey></xml>");
    assert_eq!((event.name(), event.key(), event.from_user()), (Some("subscribe"), None, None));
}

#[test]
fn an_event_whose_name_is_not_clear_is_one_all_the_same() {
    for body in [
        "<xml><MsgType>event</MsgType></xml>",
        "<xml><MsgType>event</MsgType><Event/></xml>",
        "<xml><MsgType>event</MsgType><Event>CLICK</Event><Event>VIEW</Event></xml>",
        r#"{"MsgType":"event","Event":null}"#,
    ] {
        assert_eq!(event(body).name(), None, "{body}");
    }
}

/// As in the official page, with its indentation.
#[test]
fn a_session_that_changes_hands_is_an_event() {
    let body = "<xml>\n <ToUserName><![CDATA[touser]]></ToUserName>\n <FromUserName><![CDATA[o1]]></FromUserName>\n \
                <CreateTime>1399197672</CreateTime>\n <MsgType><![CDATA[event]]></MsgType>\n \
                <Event><![CDATA[kf_switch_session]]></Event>\n <FromKfAccount><![CDATA[test1@test]]></FromKfAccount>\n \
                <ToKfAccount><![CDATA[test2@test]]></ToKfAccount>\n</xml>\n";
    assert_eq!(event(body).name(), Some("kf_switch_session"));
}

#[test]
fn a_debug_print_of_an_event_tells_no_names() {
    let body = "<xml><FromUserName>o1</FromUserName><MsgType>event</MsgType><Event>CLICK</Event></xml>";
    assert_eq!(format!("{:?}", event(body)), "Event { name: Some(\"CLICK\"), .. }");
}
