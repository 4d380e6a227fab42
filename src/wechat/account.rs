//! What an operator knows of an account: what signs its calls, what seals them, and whose they are.

use http::Method;

use super::crypto::{self, AesKey, Fault, Token, is_signed, msg_signature};
use super::query::Query;

/// An account on WeChat's side. Its secrets are wiped when it is dropped.
#[derive(Debug)]
pub struct Account {
    token: Token,
    sealing: Option<Sealing>,
    verify: Verify,
}

/// What safe mode needs.
#[derive(Debug)]
struct Sealing {
    /// Newest first; at least one.
    keys: Vec<AesKey>,
    /// The account's, or the component's on a third-party platform.
    app_id: Box<str>,
}

/// What a bad signature leads to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verify {
    /// Nothing: it is not looked at.
    Off,
    /// Forwarded, never transferred.
    Transfer,
    /// Refused.
    Enforce,
}

impl Verify {
    /// As written in the configuration.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Off => "off",
            Self::Transfer => "transfer",
            Self::Enforce => "enforce",
        }
    }
}

impl Account {
    /// An account in plain mode, or one whose key is not known.
    pub fn new(token: Token, verify: Verify) -> Self {
        Self { token, sealing: None, verify }
    }

    /// With its keys, newest first, and the AppID that stands inside every ciphertext. No key is plain mode.
    #[must_use]
    pub fn sealed_with(self, keys: Vec<AesKey>, app_id: &str) -> Self {
        let sealing = (!keys.is_empty()).then(|| Sealing { keys, app_id: app_id.into() });
        Self { sealing, ..self }
    }

    pub fn verify(&self) -> Verify {
        self.verify
    }

    /// Whether it can open what is encrypted.
    pub fn has_key(&self) -> bool {
        self.sealing.is_some()
    }

    /// How many keys there are; none is plain mode.
    pub fn keys(&self) -> usize {
        self.sealing.as_ref().map_or(0, |sealing| sealing.keys.len())
    }

    /// Whether a request that is not read as a callback is refused for its `signature`: under
    /// [`Verify::Enforce`], the check of the URL, and whatever a bot may take for a callback. A page that is
    /// asked for is neither.
    pub fn refuses(&self, method: &Method, has_body: bool, query: Option<&str>) -> bool {
        let query = Query::new(query);
        let is_page = matches!(*method, Method::GET | Method::HEAD) && !has_body && !query.has_echostr();
        self.verify == Verify::Enforce && !is_page && !self.has_signed(query, None)
    }

    /// Whether a call is signed: an encrypted one with its `msg_signature`, whatever its `signature` says.
    pub(super) fn has_signed(&self, query: Query<'_>, encrypt: Option<&str>) -> bool {
        let name = if encrypt.is_some() { "msg_signature" } else { "signature" };
        let (Some(given), Some(timestamp), Some(nonce)) =
            (query.only(name), query.only("timestamp"), query.only("nonce"))
        else {
            return false;
        };
        let token = self.token.reveal();
        match encrypt {
            Some(encrypt) => is_signed(&given, [token, &timestamp, &nonce, encrypt]),
            None => is_signed(&given, [token, &timestamp, &nonce]),
        }
    }

    /// Opens a ciphertext that is for this account, and says with which key.
    pub(super) fn open(&self, encrypt: &str) -> Result<(Vec<u8>, &AesKey), Fault> {
        let sealing = self.sealing.as_ref().ok_or(Fault::NoKey)?;
        crypto::open(&sealing.keys, encrypt, Some(&sealing.app_id))
    }

    /// Opens a ciphertext that the bot wrote, whoever it wrote it for. None if no key can.
    pub(super) fn open_reply(&self, encrypt: &str) -> Option<String> {
        let sealing = self.sealing.as_ref()?;
        let (message, _) = crypto::open(&sealing.keys, encrypt, None).ok()?;
        Some(String::from_utf8_lossy(&message).into_owned())
    }

    /// The signature over a ciphertext.
    pub fn sign(&self, timestamp: &str, nonce: &str, encrypt: &str) -> String {
        msg_signature(self.token.reveal(), timestamp, nonce, encrypt)
    }

    /// Seals a message with the newest key, as WeChat and bots do. None where there is no key. `noise` has to
    /// be fresh.
    pub fn seal(&self, message: &str, noise: [u8; 16]) -> Option<String> {
        let sealing = self.sealing.as_ref()?;
        Some(sealing.keys.first()?.seal(message, &sealing.app_id, noise))
    }

    /// Empty where there is no key.
    pub(super) fn app_id(&self) -> &str {
        self.sealing.as_ref().map_or("", |sealing| &sealing.app_id)
    }
}
