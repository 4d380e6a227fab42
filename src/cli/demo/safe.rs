//! The account in safe mode.

use std::time::{SystemTime, UNIX_EPOCH};

use crate::telemetry::Entropy;
use crate::wechat::{Account, AesKey, Format, Token, Verify, envelope};

pub(super) const TOKEN: &str = "kfgatedemo";
pub(super) const AES_KEY: &str = "kfgatedemokfgatedemokfgatedemokfgatedemo123";
pub(super) const APP_ID: &str = "wx0123456789abcdef";

pub(super) fn account() -> Account {
    let keys = AesKey::parse(AES_KEY).into_iter().collect();
    Account::new(Token::new(TOKEN.to_owned()), Verify::Off).sealed_with(keys, APP_ID)
}

/// A reply as a bot in safe mode writes it.
pub(super) fn sealed(account: &Account, reply: &str) -> String {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
    let encrypt = account.seal(reply, Entropy::unguessable()).unwrap_or_default();
    envelope(account, Format::Xml, &encrypt, now, "415670741")
}
