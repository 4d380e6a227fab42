//! Reads `[route.wechat]`.

use std::path::Path;

use subtle::ConstantTimeEq;

use super::fault::Fault;
use super::secret::{Secret, secret, secrets};
use super::table::Table;
use crate::wechat::{Account, AesKey, Token, Verify};

/// The account of a route. None where the file says nothing of it, or not enough, which has been reported.
pub(super) fn account(route: &Table<'_>, base: &Path) -> Option<Account> {
    let table = route.section("wechat")?;
    let modes = [("off", Verify::Off), ("transfer", Verify::Transfer), ("enforce", Verify::Enforce)];
    let verify = table.choice("verify", &modes).unwrap_or(Verify::Off);
    let token = secret(&table, "token", base);
    let keys = keys(&table, base);
    let app_id = table.parsed("app_id", app_id);
    for (key, why) in [("token", "signs the replies"), ("app_id", "stands inside every ciphertext")] {
        if table.has("aes_key") && !table.has(key) {
            let fault = Fault::new(format!("`aes_key` needs `{key}`, which {why}"));
            table.findings.missing(table.span_of("aes_key"), fault);
        }
    }
    if verify != Verify::Off && !table.has("token") && !table.has("aes_key") {
        table.findings.missing(table.span_of("verify"), Fault::new("`verify` needs the `token` of the account"));
    }
    let token = token.and_then(|token| checked(&table, token, self::token))?;
    Some(Account::new(token, verify).sealed_with(keys, app_id.unwrap_or_default()))
}

fn keys(table: &Table<'_>, base: &Path) -> Vec<AesKey> {
    let written = secrets(table, "aes_key", base);
    if table.is_empty_list("aes_key") {
        let fault = Fault::new("without a key nothing can be decrypted").help("leave `aes_key` out");
        table.error(table.span_of("aes_key"), fault);
    }
    for (at, key) in written.iter().enumerate() {
        let is_same = |other: &Secret| bool::from(other.text.as_bytes().ct_eq(key.text.as_bytes()));
        if written[..at].iter().any(is_same) {
            table.error(key.span.clone(), Fault::new("this key is there already"));
        }
    }
    written.into_iter().filter_map(|key| checked(table, key, aes_key)).collect()
}

/// What a secret is, or None and one more error.
fn checked<T>(table: &Table<'_>, secret: Secret, check: impl Fn(&str) -> Result<T, Fault>) -> Option<T> {
    check(&secret.text).map_err(|fault| table.error(secret.span, fault)).ok()
}

/// As WeChat's form takes it.
fn token(text: &str) -> Result<Token, Fault> {
    let fault = Fault::new("WeChat takes no such Token: it has 3 to 32 letters and digits");
    if text.trim() != text {
        Err(fault.help("there is white space around it"))
    } else if !text.bytes().all(|byte| byte.is_ascii_alphanumeric()) {
        Err(fault.help("this one has other characters in it"))
    } else if !(3..=32).contains(&text.len()) {
        Err(fault.help(format!("this one has {}", text.len())))
    } else {
        Ok(Token::new(text.to_owned()))
    }
}

fn aes_key(text: &str) -> Result<AesKey, Fault> {
    let fault = Fault::new("not an EncodingAESKey: it has 43 letters and digits");
    let length = text.chars().count();
    if text.trim() != text {
        Err(fault.help("there is white space around it"))
    } else if length == AesKey::LENGTH + 1 && text.ends_with('=') {
        Err(fault.help("leave the = at its end out"))
    } else if length == 32 {
        Err(fault.help("this one has 32, as an AppSecret has; the EncodingAESKey (消息加解密密钥) is another one"))
    } else if length != AesKey::LENGTH {
        Err(fault.help(format!("this one has {length}")))
    } else if !text.bytes().all(|byte| byte.is_ascii_alphanumeric()) {
        Err(fault.help("this one has other characters in it"))
    } else {
        AesKey::parse(text).map_err(|_| fault)
    }
}

fn app_id(text: &str) -> Result<&str, Fault> {
    let is_app_id = |rest: &str| rest.len() == 16 && rest.bytes().all(|byte| byte.is_ascii_alphanumeric());
    let fault = || Fault::new("not an AppID such as \"wx1234567890abcdef\": wx, and 16 letters and digits");
    if text.strip_prefix("wx").is_some_and(is_app_id) {
        Ok(text)
    } else if text.starts_with("gh_") {
        Err(fault().help("this is the account's original ID (原始ID); the AppID stands beside it"))
    } else if text.trim() != text {
        Err(fault().help("there is white space around it"))
    } else {
        Err(fault())
    }
}

#[cfg(test)]
mod tests {
    use super::{aes_key, app_id, token};

    #[test]
    fn tokens_are_those_that_wechat_takes() {
        for (text, is_token) in [
            ("abc", true),
            ("Kfgatetoken2026", true),
            (&*"a".repeat(32), true),
            ("", false),
            ("ab", false),
            (&*"a".repeat(33), false),
            ("my-token", false),
            ("my_token", false),
            ("令牌令牌", false),
            ("token ", false),
        ] {
            assert_eq!(token(text).is_ok(), is_token, "{text:?}");
        }
    }

    #[test]
    fn keys_have_43_characters() {
        let key = "abcdefghijklmnopqrstuvwxyz0123456789ABCDEFG";
        for (text, help) in [
            (key.to_owned(), None),
            (format!("{key}="), Some("leave the =")),
            (key[..42].to_owned(), Some("this one has 42")),
            (key[..32].to_owned(), Some("AppSecret")),
            (key.replace('a', "+"), Some("other characters")),
            (key.replace('a', "人"), Some("other characters")),
            (format!(" {key}"), Some("white space")),
        ] {
            match (aes_key(&text), help) {
                (Ok(_), None) => {}
                (Err(fault), Some(help)) => assert!(fault.suggestion().unwrap().contains(help), "{text:?}"),
                (found, _) => panic!("{text:?}: {found:?}"),
            }
        }
    }

    #[test]
    fn an_app_id_looks_like_one() {
        for (text, is_app_id) in [
            ("wx1234567890abcdef", true),
            ("wxba5fad812f8e6fb9", true),
            ("", false),
            ("wx1", false),
            ("gh_2b7da7a439a4", false),
            ("1234567890abcdefwx", false),
            ("wx1234567890abcde ", false),
        ] {
            assert_eq!(app_id(text).is_ok(), is_app_id, "{text:?}");
        }
        assert!(app_id("gh_2b7da7a439a4").unwrap_err().suggestion().unwrap().contains("original ID"));
    }
}
