//! Callbacks of an account in safe and compatible mode, and their replies.

use proptest::prelude::*;
use proptest::sample::Index;

use super::hostile::words;
use super::properties::config;
use super::{Is, callback, json, text};
use crate::wechat::{
    Account, AesKey, BotReply, Fault, Format, Inbound, Kind, Token, TransferReply, Verify, Why, bot_reply, crypto,
    envelope, msg_signature, receive, receive_unsigned, signature,
};

const TOKEN: &str = "kfgatetoken";
const APP_ID: &str = "wx1234567890abcdef";
const KEY: &str = "abcdefghijklmnopqrstuvwxyz0123456789ABCDEFG";
const OLD_KEY: &str = "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789abcdefg";
const NOISE: [u8; 16] = *b"0123456789abcdef";
const NOW: u64 = 1_713_424_427;

fn key(text: &str) -> AesKey {
    AesKey::parse(text).unwrap()
}

/// An account with this key, and the one before it.
fn account(verify: Verify) -> Account {
    Account::new(Token::new(TOKEN.to_owned()), verify).sealed_with(vec![key(KEY), key(OLD_KEY)], APP_ID)
}

fn without_key(verify: Verify) -> Account {
    Account::new(Token::new(TOKEN.to_owned()), verify)
}

fn sealed(message: &str) -> String {
    key(KEY).seal(message, APP_ID, NOISE)
}

/// An envelope as captured.
fn safe(encrypt: &str) -> String {
    format!(
        "<xml>\n    <ToUserName><![CDATA[gh_1]]></ToUserName>\n    <Encrypt><![CDATA[{encrypt}]]></Encrypt>\n</xml>\n"
    )
}

/// A message with its ciphertext behind it.
fn compatible(plain: &str, encrypt: &str) -> String {
    plain.replace("</xml>", &format!("    <Encrypt><![CDATA[{encrypt}]]></Encrypt>\n</xml>\n"))
}

/// The query of a call that is signed for this ciphertext, as captured.
fn query(encrypt: &str) -> String {
    let (timestamp, nonce) = ("1409735669", "1320562132");
    format!(
        "signature={}&timestamp={timestamp}&nonce={nonce}&openid=o1&encrypt_type=aes&msg_signature={}",
        signature(TOKEN, timestamp, nonce),
        msg_signature(TOKEN, timestamp, nonce, encrypt)
    )
}

/// What is made of it, what the operator is told, and whether it counts as encrypted.
fn what(account: Option<&Account>, body: &str, query: &str) -> (Is, Option<Fault>, bool) {
    let received = receive(account, None, body, Some(query));
    let inbound = received.inbound(Some(query));
    let (fault, is_encrypted) = (received.fault(&inbound), received.is_encrypted(&inbound, Some(query)));
    let is = match inbound {
        Inbound::Message(message) => Is::Message(message.kind()),
        Inbound::Event(_) => Is::Event,
        Inbound::Other(other) => Is::Other(other.why),
    };
    (is, fault, is_encrypted)
}

fn click() -> String {
    callback("<MsgType>event</MsgType><Event>CLICK</Event><EventKey></EventKey>")
}

#[test]
fn what_is_sealed_is_what_it_says_inside() {
    let in_json = json(r#","MsgType":"text","Content":"hi","MsgId":1"#);
    let push = "<xml><AppId>wx1</AppId><InfoType>authorized</InfoType></xml>";
    for (inside, is) in [
        (&*text("hi"), Is::Message(Kind::Text)),
        (&*in_json, Is::Message(Kind::Text)),
        (&*click(), Is::Event),
        (push, Is::Other(Why::NotCallback)),
        ("success", Is::Other(Why::NotCallback)),
        ("<xml><MsgType>text", Is::Other(Why::Malformed)),
        ("", Is::Other(Why::NotCallback)),
    ] {
        let encrypt = sealed(inside);
        let third_party = safe(&encrypt).replace("ToUserName", "AppId");
        let envelopes = [safe(&encrypt), third_party, format!(r#"{{"ToUserName":"gh_1","Encrypt":"{encrypt}"}}"#)];
        for body in envelopes {
            for verify in [Verify::Off, Verify::Transfer, Verify::Enforce] {
                let (found, fault, is_encrypted) = what(Some(&account(verify)), &body, &query(&encrypt));
                assert_eq!((found, fault, is_encrypted), (is_copy(&is), None, true), "{inside}");
            }
        }
    }
}

fn is_copy(is: &Is) -> Is {
    match is {
        Is::Message(kind) => Is::Message(*kind),
        Is::Event => Is::Event,
        Is::Other(why) => Is::Other(*why),
    }
}

#[test]
fn what_does_not_open_is_never_a_message() {
    let message = text("hi");
    let encrypt = sealed(&message);
    let other_key = key("AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA").seal(&message, APP_ID, NOISE);
    let other_app = key(KEY).seal(&message, "wx0000000000000000", NOISE);
    let of_nobody = key(KEY).seal(&message, "", NOISE);
    for (encrypt, fault) in [
        (&*other_key, Fault::Buffer),
        (&*other_app, Fault::AppId),
        (&*of_nobody, Fault::AppId),
        (&encrypt[..encrypt.len() - 8], Fault::Cipher),
        (&encrypt[..64], Fault::Buffer),
        ("AAAA", Fault::Cipher),
        ("no base64!", Fault::Base64),
    ] {
        for body in [safe(encrypt), compatible(&message, encrypt)] {
            let found = what(Some(&account(Verify::Transfer)), &body, &query(encrypt));
            assert_eq!(found, (Is::Other(Why::Encrypted), Some(fault), true), "{encrypt}");
        }
    }
}

#[test]
fn body_and_url_have_to_agree_on_what_is_sealed() {
    let encrypt = sealed(&text("hi"));
    let account = account(Verify::Off);
    let safe = safe(&encrypt);
    for (body, query, fault) in [
        (&*safe, "", Fault::NoKey),
        (&*safe, "encrypt_type=raw", Fault::NoKey),
        (&*safe, "encrypt_type=des", Fault::NoKey),
        (&*safe, "encrypt_type=aes&encrypt_type=raw", Fault::NoKey),
        (&*text("hi"), "encrypt_type=aes", Fault::Envelope),
        ("<xml><Encrypt>a</Encrypt><Encrypt>a</Encrypt></xml>", "encrypt_type=aes", Fault::Envelope),
    ] {
        assert_eq!(what(Some(&account), body, query), (Is::Other(Why::Encrypted), Some(fault), true), "{query}");
    }
}

#[test]
fn without_a_key_plain_elements_decide_where_there_are_any() {
    let message = text("hi");
    let encrypt = sealed(&message);
    let query = query(&encrypt);
    for verify in [Verify::Off, Verify::Transfer] {
        let account = without_key(verify);
        for account in [None, Some(&account)] {
            assert_eq!(what(account, &safe(&encrypt), &query), (Is::Other(Why::Encrypted), Some(Fault::NoKey), true));
            let found = what(account, &compatible(&message, &encrypt), &query);
            assert_eq!(found, (Is::Message(Kind::Text), None, true));
        }
    }
    let account = without_key(Verify::Transfer);
    let forged = what(Some(&account), &compatible(&message, &sealed("forged")), &query);
    assert_eq!(forged, (Is::Other(Why::BadSignature), Some(Fault::Signature), true));
}

#[test]
fn in_compatible_mode_the_ciphertext_decides_and_nothing_may_contradict_it() {
    let message = text("hi");
    let encrypt = sealed(&message);
    let query = query(&encrypt);
    let account = account(Verify::Transfer);
    let found = |plain: &str| what(Some(&account), &compatible(plain, &encrypt), &query).0;
    assert_eq!(found(&message), Is::Message(Kind::Text));
    assert_eq!(found(&message.replace("1519483978", "1519483979")), Is::Message(Kind::Text), "a second later");
    for (from, to) in [
        ("gh_1", "gh_2"),
        ("o1", "o2"),
        ("hi", "ho"),
        ("<MsgId>1", "<MsgId>2"),
        ("[text]", "[event]"),
        ("[text]", "[image]"),
        ("<Content>hi</Content>", "<Content>hi</Content><Content>hi</Content>"),
        ("<Content>", "<Event>CLICK</Event><Content>"),
    ] {
        let plain = message.replace(from, to);
        assert_ne!(plain, message);
        assert_eq!(found(&plain), Is::Other(Why::Malformed), "{plain}");
    }
    let lure = sealed(&click());
    let found = what(Some(&account), &compatible(&message, &lure), &self::query(&lure)).0;
    assert_eq!(found, Is::Other(Why::Malformed), "an event inside");
}

#[test]
fn a_signature_counts_as_the_account_says() {
    let (plain, encrypt) = (text("hi"), sealed(&text("hi")));
    let (safe, good) = (safe(&encrypt), query(&encrypt));
    let signed = good.split("&encrypt_type").next().unwrap();
    let of_another = query(&sealed("another"));
    for (body, query, is_good) in [
        (&*plain, signed, true),
        (&*safe, &*good, true),
        // The two are not to be mixed up.
        (&*safe, &*good.replace("?signature", "?x").replace("signature=", "signatur="), false),
        (&*safe, &*good.replacen("signature=", "x=", 1), true),
        (&*plain, &*signed.replacen("signature=", "msg_signature=", 1), false),
        (&*safe, &*of_another, false),
        (&*safe, &*good.to_uppercase().replace("ENCRYPT_TYPE=AES", "encrypt_type=aes"), false),
        (&*plain, &*signed.replace("&nonce=", "&nonce=9&nonce="), false),
        (&*plain, &*signed.replace("timestamp=1", "timestamp=2"), false),
        (&*plain, &*signed.replace("nonce=1", "nonce=%31"), true),
        (&*plain, &*signed.replace("&timestamp=1409735669", ""), false),
        (&*plain, "", false),
        (&*plain, "signature=&timestamp=&nonce=", false),
        (&*plain, "signature=zz&timestamp=1409735669&nonce=1320562132", false),
    ] {
        let bad = (Is::Other(Why::BadSignature), Some(Fault::Signature));
        let expected = if is_good { (Is::Message(Kind::Text), None) } else { bad };
        for verify in [Verify::Transfer, Verify::Enforce] {
            let account = account(verify);
            let (is, fault, _) = what(Some(&account), body, query);
            assert_eq!((is, fault), expected, "{query}");
            let received = receive(Some(&account), None, body, Some(query));
            assert_eq!(received.is_refused(), !is_good && verify == Verify::Enforce, "{query}");
        }
        let query = if body == safe { "encrypt_type=aes" } else { "" };
        assert_eq!(what(Some(&account(Verify::Off)), body, query).0, Is::Message(Kind::Text), "not looked at");
        let enforcing = account(Verify::Enforce);
        let received = receive_unsigned(Some(&enforcing), None, body, Some(query));
        assert!(matches!(received.inbound(Some(query)), Inbound::Message(_)), "not known");
    }
}

#[test]
fn hexadecimal_may_be_of_either_case() {
    let signed = query("").split("&encrypt_type").next().unwrap().to_owned();
    let (name, rest) = signed.split_at("signature=".len());
    let (hex, rest) = rest.split_at(40);
    let query = format!("{name}{}{rest}", hex.to_uppercase());
    assert_eq!(what(Some(&account(Verify::Enforce)), &text("hi"), &query).0, Is::Message(Kind::Text));
}

#[test]
fn under_enforce_only_a_page_needs_no_signature() {
    use http::Method;
    let signed = query("");
    for (method, has_body, query, refused) in [
        (Method::GET, false, "", false),
        (Method::HEAD, false, "code=1&state=2", false),
        (Method::GET, false, "echostr=1", true),
        (Method::GET, true, "", true),
        (Method::POST, true, "", true),
        (Method::POST, false, "", true),
        (Method::PUT, true, "", true),
        (Method::GET, false, &*format!("{signed}&echostr=1"), false),
        (Method::POST, true, &*signed, false),
    ] {
        assert_eq!(account(Verify::Enforce).refuses(&method, has_body, Some(query)), refused, "{method} {query}");
        assert!(!account(Verify::Transfer).refuses(&method, has_body, Some(query)));
        assert!(!account(Verify::Off).refuses(&method, has_body, None));
    }
}

/// The reply to this body.
fn reply(account: &Account, body: &str, query: &str) -> (String, &'static str) {
    let received = receive(Some(account), None, body, Some(query));
    let Inbound::Message(message) = received.inbound(Some(query)) else { panic!("{body}") };
    let reply = TransferReply::answering(&message).to_account(Some("test1@test"));
    (reply.render(NOW, || NOISE), reply.content_type())
}

#[test]
fn a_reply_in_xml_is_sealed_as_the_official_samples_are() {
    for body in [safe(&sealed(&text("hi"))), compatible(&text("hi"), &sealed(&text("hi")))] {
        let (reply, content_type) = reply(&account(Verify::Off), &body, "encrypt_type=aes&nonce=415670741");
        let lines: Vec<_> = reply.split('\n').collect();
        let [open, encrypt, signature, timestamp, nonce, close] = lines[..] else { panic!("{reply}") };
        let encrypt = encrypt.strip_prefix("<Encrypt><![CDATA[").and_then(|rest| rest.strip_suffix("]]></Encrypt>"));
        let encrypt = encrypt.unwrap();
        assert_eq!((open, close, content_type), ("<xml>", "</xml>", "text/xml; charset=utf-8"));
        assert_eq!(timestamp, "<TimeStamp>1713424427</TimeStamp>");
        assert_eq!(nonce, "<Nonce><![CDATA[415670741]]></Nonce>");
        let expected = msg_signature(TOKEN, "1713424427", "415670741", encrypt);
        assert_eq!(signature, format!("<MsgSignature><![CDATA[{expected}]]></MsgSignature>"));
        let (opened, _) = crypto::open(&[key(KEY)], encrypt, Some(APP_ID)).map_err(|fault| fault.to_string()).unwrap();
        let opened = String::from_utf8(opened).unwrap();
        assert!(opened.starts_with("<xml><ToUserName><![CDATA[o1]]></ToUserName>"), "{opened}");
        assert!(opened.contains("<KfAccount><![CDATA[test1@test]]></KfAccount>"), "{opened}");
    }
}

#[test]
fn a_reply_in_json_is_sealed_in_json() {
    let encrypt = sealed(&json(r#","MsgType":"text","Content":"hi""#));
    let body = format!(r#"{{"ToUserName":"gh_1","Encrypt":"{encrypt}"}}"#);
    let (reply, content_type) = reply(&account(Verify::Off), &body, "encrypt_type=aes&nonce=415670741");
    assert_eq!(content_type, "application/json; charset=utf-8");
    let start = reply.strip_prefix(r#"{"Encrypt":""#).and_then(|rest| rest.split_once('"'));
    let (encrypt, rest) = start.unwrap();
    let signature = msg_signature(TOKEN, "1713424427", "415670741", encrypt);
    assert_eq!(rest, format!(r#","MsgSignature":"{signature}","TimeStamp":1713424427,"Nonce":"415670741"}}"#));
    let (opened, _) = crypto::open(&[key(KEY)], encrypt, Some(APP_ID)).unwrap();
    let opened: serde_json::Value = serde_json::from_slice(&opened).unwrap();
    assert_eq!((&opened["ToUserName"], &opened["FromUserName"]), (&"o1".into(), &"gh_1".into()));
}

#[test]
fn the_official_replies_come_out_of_the_same_envelope() {
    let text = std::fs::read_to_string("tests/vectors/crypto.json").unwrap();
    let vectors: Vec<serde_json::Value> = serde_json::from_str(&text).unwrap();
    let vector = vectors.iter().find(|vector| vector["id"] == "V1r").unwrap();
    let [token, encrypt, signature] = ["token", "encrypt", "msg_signature"].map(|name| vector[name].as_str().unwrap());
    let account = Account::new(Token::new(token.to_owned()), Verify::Off);
    assert_eq!(
        envelope(&account, Format::Json, encrypt, NOW, "415670741"),
        format!(r#"{{"Encrypt":"{encrypt}","MsgSignature":"{signature}","TimeStamp":1713424427,"Nonce":"415670741"}}"#)
    );
}

#[test]
fn the_reply_is_sealed_with_the_key_that_opened() {
    for (sealing, other) in [(KEY, OLD_KEY), (OLD_KEY, KEY)] {
        let encrypt = key(sealing).seal(&text("hi"), APP_ID, NOISE);
        let (reply, _) = reply(&account(Verify::Transfer), &safe(&encrypt), &query(&encrypt));
        let fields = bot_reply::fields(&reply).unwrap();
        let encrypt = fields[crate::wechat::Name::Encrypt].value().unwrap();
        assert!(crypto::open(&[key(sealing)], encrypt, Some(APP_ID)).is_ok());
        assert!(crypto::open(&[key(other)], encrypt, Some(APP_ID)).is_err());
    }
}

#[test]
fn a_sealed_reply_of_the_bot_is_read_as_what_is_inside() {
    let account = account(Verify::Off);
    let transfer = callback("<MsgType><![CDATA[transfer_customer_service]]></MsgType>");
    let known = Some(&account);
    let bots = |inside: &str| {
        let sealed = [KEY, OLD_KEY].map(|text| key(text).seal(inside, "wx0", NOISE));
        let envelopes = sealed.map(|encrypt| {
            let lower = format!(r#"{{"encrypt":"{encrypt}","msgsignature":"","timestamp":1,"nonce":""}}"#);
            [envelope(&account, Format::Xml, &encrypt, 1, ""), envelope(&account, Format::Json, &encrypt, 1, ""), lower]
        });
        envelopes.concat()
    };
    for (inside, said) in [
        (&*text("hi"), BotReply::Text("hi".into())),
        (&*transfer, BotReply::Transfer),
        ("success", BotReply::Nothing),
        ("<html>", BotReply::Other),
    ] {
        for body in bots(inside) {
            assert_eq!(BotReply::read(&body, known), said, "{body}");
            assert_eq!(BotReply::read(&body, None), BotReply::Other);
            assert_eq!(BotReply::read(&body, Some(&without_key(Verify::Off))), BotReply::Other);
        }
    }
    assert_eq!(BotReply::read(&safe("AAAA"), known), BotReply::Other);
    for body in [compatible(&text("hi"), &sealed(&transfer)), compatible(&transfer, &sealed(&text("hi")))] {
        assert_eq!(BotReply::read(&body, known), BotReply::Transfer, "neither hides the other");
    }
}

#[test]
fn no_debug_print_shows_a_secret_or_the_users_words() {
    let encrypt = sealed(&text("WORDS"));
    let (body, query) = (safe(&encrypt), query(&encrypt));
    let account = account(Verify::Off);
    let received = receive(Some(&account), None, &body, Some(&query));
    let shown = format!("{account:?} {received:?} {:?}", received.inbound(Some(&query)));
    for secret in [TOKEN, KEY, OLD_KEY, "WORDS", "[105", "69, b7"] {
        assert!(!shown.contains(secret), "{shown}");
    }
}

#[test]
fn a_key_has_43_characters_of_base64() {
    for (text, is_key) in [
        (KEY, true),
        ("AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA", true),
        ("", false),
        (&KEY[1..], false),
        ("abcdefghijklmnopqrstuvwxyz0123456789ABCDEFG=", false),
        ("abcdefghijklmnopqrstuvwxyz0123456789ABCDEF ", false),
        ("abcdefghijklmnopqrstuvwxyz0123456789ABCDEF=", false),
        ("abcdefghijklmnopqrstuvwxyz0123456789ABC人F", false),
    ] {
        assert_eq!(AesKey::parse(text).is_ok(), is_key, "{text:?}");
    }
}

proptest! {
    #![proptest_config(config(256))]

    #[test]
    fn what_is_sealed_opens_again(message in prop_oneof![any::<String>(), words()], noise: [u8; 16], id in "[a-z0-9]{0,40}") {
        let encrypt = key(KEY).seal(&message, &id, noise);
        let (opened, _) = crypto::open(&[key(OLD_KEY), key(KEY)], &encrypt, Some(&id)).unwrap();
        prop_assert_eq!(opened, message.into_bytes());
    }

    #[test]
    fn any_ciphertext_is_opened_or_not(encrypt in "[A-Za-z0-9+/]{1,400}={0,2}", blocks in prop::collection::vec(any::<[u8; 32]>(), 1..20)) {
        use base64::Engine as _;
        let blocks = base64::engine::general_purpose::STANDARD.encode(blocks.concat());
        for encrypt in [encrypt, blocks] {
            let query = query(&encrypt);
            let (is, ..) = what(Some(&account(Verify::Transfer)), &safe(&encrypt), &query);
            prop_assert_eq!(is, Is::Other(Why::Encrypted));
        }
    }

    #[test]
    fn no_flipped_bit_is_believed(words in words(), at: Index, bit in 0..8_u32) {
        let encrypt = sealed(&text(&format!("<![CDATA[{}]]>", words.replace("]]>", ""))));
        let (body, query) = (safe(&encrypt), query(&encrypt));
        let mut bytes = body.clone().into_bytes();
        let at = at.index(bytes.len());
        bytes[at] ^= 1 << bit;
        let flipped = String::from_utf8_lossy(&bytes);
        let (is, ..) = what(Some(&account(Verify::Transfer)), &flipped, &query);
        // Outside of the ciphertext, a flipped bit may be in white space, or in an element that is not read.
        let is_outside = body.find(&encrypt).is_none_or(|start| at < start || at >= start + encrypt.len());
        prop_assert!(is_outside || !matches!(is, Is::Message(_) | Is::Event), "{is:?}");
    }
}

/// Where no signature is looked at, it is the ciphertext alone that tells.
#[test]
fn no_flipped_bit_of_a_ciphertext_transfers_where_signatures_are_not_looked_at() {
    use base64::Engine as _;
    let base64 = base64::engine::general_purpose::STANDARD;
    let sealed = base64.decode(sealed(&text("<![CDATA[转人工]]>"))).unwrap();
    let account = account(Verify::Off);
    for bit in 0..sealed.len() * 8 {
        let mut flipped = sealed.clone();
        flipped[bit / 8] ^= 1 << (bit % 8);
        let (is, ..) = what(Some(&account), &safe(&base64.encode(flipped)), "encrypt_type=aes");
        assert!(!matches!(is, Is::Message(_)), "bit {bit}");
    }
}
