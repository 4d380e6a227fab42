//! The vectors in `tests/vectors/crypto.json`, both ways: what WeChat's own samples and pages sealed and signed.

use serde_json::Value;

use crate::wechat::{Account, AesKey, Fault, Inbound, Token, Verify, Why, crypto, msg_signature, receive, signature};

fn vectors() -> Vec<Value> {
    let text = std::fs::read_to_string("tests/vectors/crypto.json").unwrap();
    let vectors: Vec<Value> = serde_json::from_str(&text).unwrap();
    assert_eq!(vectors.len(), 8);
    vectors
}

fn text<'v>(vector: &'v Value, name: &str) -> &'v str {
    vector[name].as_str().unwrap_or_else(|| panic!("no {name} in {}", vector["id"]))
}

fn key(vector: &Value) -> AesKey {
    AesKey::parse(text(vector, "encoding_aes_key")).unwrap()
}

/// Those that open.
fn good() -> Vec<Value> {
    let mut vectors = vectors();
    vectors.retain(|vector| vector["id"] != "N1");
    assert_eq!(vectors.len(), 7);
    vectors
}

#[test]
fn every_ciphertext_opens() {
    for vector in good() {
        let keys = [key(&vector)];
        let (message, _) = crypto::open(&keys, text(&vector, "encrypt"), vector["appid"].as_str()).unwrap();
        assert_eq!(String::from_utf8(message).unwrap(), text(&vector, "plaintext"), "{}", vector["id"]);
    }
}

#[test]
fn every_plaintext_is_sealed_into_the_same_bytes() {
    for vector in good() {
        let noise: [u8; 16] = text(&vector, "random16").as_bytes().try_into().unwrap();
        let sealed = key(&vector).seal(text(&vector, "plaintext"), text(&vector, "appid"), noise);
        assert_eq!(sealed, text(&vector, "encrypt"), "{}", vector["id"]);
    }
}

#[test]
fn every_signature_is_the_same() {
    let signed: Vec<_> = vectors().into_iter().filter(|vector| vector.get("nonce").is_some()).collect();
    assert_eq!(signed.len(), 7);
    for vector in signed {
        let [token, timestamp, nonce, encrypt] =
            ["token", "timestamp", "nonce", "encrypt"].map(|name| text(&vector, name));
        if vector["id"] == "N1" {
            assert_eq!(msg_signature(token, timestamp, nonce, encrypt), text(&vector, "msg_signature_computed"));
            continue;
        }
        assert_eq!(signature(token, timestamp, nonce), text(&vector, "signature"));
        assert_eq!(msg_signature(token, timestamp, nonce, encrypt), text(&vector, "msg_signature"));
    }
}

#[test]
fn what_another_key_sealed_fails_cleanly() {
    let vectors = vectors();
    let vector = vectors.iter().find(|vector| vector["id"] == "N1").unwrap();
    let keys = [key(vector)];
    assert_eq!(crypto::open(&keys, text(vector, "encrypt"), None).err(), Some(Fault::Buffer));

    let account = Account::new(Token::new(text(vector, "token").into()), Verify::Off);
    let account = account.sealed_with(vec![key(vector)], "wx1234567890abcdef");
    let body = format!("<xml><ToUserName>gh_1</ToUserName><Encrypt>{}</Encrypt></xml>", text(vector, "encrypt"));
    let query = Some("encrypt_type=aes");
    let received = receive(Some(&account), None, &body, query);
    let inbound = received.inbound(query);
    assert!(matches!(&inbound, Inbound::Other(other) if other.why == Why::Encrypted), "{inbound:?}");
    assert_eq!(received.fault(&inbound).and_then(Fault::code), Some(-40008));
}

#[test]
fn every_ciphertext_is_a_callback_that_its_signature_vouches_for() {
    for vector in good().iter().filter(|vector| vector.get("nonce").is_some()) {
        let account = Account::new(Token::new(text(vector, "token").into()), Verify::Enforce);
        let account = account.sealed_with(vec![key(vector)], text(vector, "appid"));
        let encrypt = text(vector, "encrypt");
        let body = if text(vector, "plaintext").starts_with('{') {
            format!(r#"{{"Encrypt":"{encrypt}"}}"#)
        } else {
            format!("<xml>\n    <Encrypt><![CDATA[{encrypt}]]></Encrypt>\n</xml>\n")
        };
        let query = format!(
            "signature=0&timestamp={}&nonce={}&encrypt_type=aes&msg_signature={}",
            text(vector, "timestamp"),
            text(vector, "nonce"),
            text(vector, "msg_signature")
        );
        let received = receive(Some(&account), None, &body, Some(&query));
        assert!(!received.is_refused(), "{}", vector["id"]);
        assert_eq!(received.plaintext(), Some(text(vector, "plaintext")));
    }
}
