//! Signatures, and the cipher of safe mode: one payload sealed or opened with one key.

use std::fmt;

use aes::Aes256;
use aes::cipher::block_padding::NoPadding;
use aes::cipher::{BlockModeDecrypt, BlockModeEncrypt, KeyIvInit};
use base64::Engine;
use base64::alphabet::STANDARD;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use sha1::{Digest, Sha1};
use subtle::{Choice, ConstantTimeEq, ConstantTimeLess};
use zeroize::{Zeroize, ZeroizeOnDrop, Zeroizing};

/// An `EncodingAESKey` has 43 characters of base64, which are 2 bits more than its 32 bytes: whatever these
/// bits are, the key is a good one.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &STANDARD,
    GeneralPurposeConfig::new()
        .with_decode_allow_trailing_bits(true)
        .with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// Bytes of padding go up to this, twice the block of AES.
const PAD: usize = 32;

/// Bytes of noise, and bytes of the length, ahead of the message.
const NOISE: usize = 16;
const HEAD: usize = NOISE + 4;

/// The `signature` parameter of every call WeChat makes, over its other parameters as they are decoded.
/// <https://developers.weixin.qq.com/miniprogram/dev/framework/server-ability/message-push.html>
pub fn signature(token: &str, timestamp: &str, nonce: &str) -> String {
    hex(digest([token, timestamp, nonce]))
}

/// The `msg_signature` parameter of an encrypted call, and the `MsgSignature` of its reply.
pub fn msg_signature(token: &str, timestamp: &str, nonce: &str, encrypt: &str) -> String {
    hex(digest([token, timestamp, nonce, encrypt]))
}

/// Whether a signature, in hexadecimal of either case, is the one over these parts. How long it takes says
/// nothing about how much of it is right.
pub(super) fn is_signed<const N: usize>(given: &str, parts: [&str; N]) -> bool {
    let Some(given) = unhex(given) else { return false };
    digest(parts).ct_eq(&given).into()
}

fn digest<const N: usize>(mut parts: [&str; N]) -> [u8; 20] {
    parts.sort_unstable();
    let mut sha1 = Sha1::new();
    for part in parts {
        sha1.update(part);
    }
    sha1.finalize().into()
}

fn hex(bytes: [u8; 20]) -> String {
    let digit = |value: u8| char::from(b"0123456789abcdef"[usize::from(value)]);
    bytes.iter().flat_map(|byte| [digit(byte >> 4), digit(byte & 15)]).collect()
}

fn unhex(text: &str) -> Option<[u8; 20]> {
    let (pairs, rest) = text.as_bytes().as_chunks::<2>();
    let digit = |byte: u8| char::from(byte).to_digit(16);
    let mut bytes = [0; 20];
    if pairs.len() != bytes.len() || !rest.is_empty() {
        return None;
    }
    for (byte, [high, low]) in bytes.iter_mut().zip(pairs) {
        *byte = (digit(*high)? << 4 | digit(*low)?) as u8;
    }
    Some(bytes)
}

/// An account's Token. It is wiped when it is dropped.
///
/// It does not show itself:
///
/// ```
/// use kfgate::wechat::Token;
/// assert_eq!(format!("{:?}", Token::new("secret".to_owned())), "Token(***)");
/// ```
///
/// ```compile_fail,E0277
/// use kfgate::wechat::Token;
/// let text = format!("{}", Token::new("secret".to_owned()));
/// ```
///
/// nor is it compared in a time that depends on it:
///
/// ```compile_fail,E0369
/// use kfgate::wechat::Token;
/// let is_same = Token::new("secret".to_owned()) == Token::new("secret".to_owned());
/// ```
pub struct Token(Zeroizing<String>);

impl Token {
    pub fn new(token: String) -> Self {
        Self(token.into())
    }

    pub(super) fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Token(***)")
    }
}

/// An account's AES key. It is wiped when it is dropped.
///
/// ```
/// use kfgate::wechat::AesKey;
/// let key = AesKey::parse("abcdefghijklmnopqrstuvwxyz0123456789ABCDEFG").unwrap();
/// assert_eq!(format!("{key:?}"), "AesKey(***)");
/// ```
///
/// It does not show itself, nor is it compared in a time that depends on it:
///
/// ```compile_fail,E0277
/// use kfgate::wechat::AesKey;
/// let key = AesKey::parse("abcdefghijklmnopqrstuvwxyz0123456789ABCDEFG").unwrap();
/// let text = format!("{key}");
/// ```
///
/// ```compile_fail,E0369
/// use kfgate::wechat::AesKey;
/// let key = || AesKey::parse("abcdefghijklmnopqrstuvwxyz0123456789ABCDEFG").unwrap();
/// let is_same = key() == key();
/// ```
///
/// The processor's own instructions do the work, where it has them: the crate `aes` asks it when the first key
/// is used.
pub struct AesKey(
    // What is moved from one place to another stays in both; a box moves its address alone.
    Box<[u8; 32]>,
);

impl ZeroizeOnDrop for AesKey {}

impl Drop for AesKey {
    fn drop(&mut self) {
        self.0.as_mut().zeroize();
    }
}

/// A text is no `EncodingAESKey`: that has 43 letters and digits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NoAesKey;

impl AesKey {
    /// The characters of an `EncodingAESKey`.
    pub const LENGTH: usize = 43;

    /// The key of an `EncodingAESKey`.
    pub fn parse(text: &str) -> Result<Self, NoAesKey> {
        if text.len() != Self::LENGTH {
            return Err(NoAesKey);
        }
        let mut key = Self(Box::new([0; 32]));
        match BASE64.decode_slice(text, &mut *key.0) {
            Ok(32) => Ok(key),
            _ => Err(NoAesKey),
        }
    }

    /// Seals a message for an AppID, in base64. `noise` has to be fresh and not to be guessed: it is all that
    /// makes two ciphertexts of the same message differ.
    pub fn seal(&self, message: &str, app_id: &str, noise: [u8; NOISE]) -> String {
        let length = HEAD + message.len() + app_id.len();
        let pad = PAD - length % PAD;
        let mut buffer = Vec::with_capacity(length + pad);
        buffer.extend_from_slice(&noise);
        // A reply is written by us, or fits into memory at least; WeChat takes a few KiB.
        buffer.extend_from_slice(&(message.len() as u32).to_be_bytes());
        buffer.extend_from_slice(message.as_bytes());
        buffer.extend_from_slice(app_id.as_bytes());
        buffer.resize(length + pad, pad as u8);
        let cipher = cbc::Encryptor::<Aes256>::new((&*self.0).into(), self.iv().into());
        let total = buffer.len();
        // Whole blocks always fit.
        let _ = cipher.encrypt_padded::<NoPadding>(&mut buffer, total);
        BASE64.encode(buffer)
    }

    /// Opens what [`unpack`] gave, in place: the message and the AppID behind it.
    fn open<'b>(&self, sealed: &'b mut [u8]) -> Result<(&'b [u8], &'b [u8]), Fault> {
        let cipher = cbc::Decryptor::<Aes256>::new((&*self.0).into(), self.iv().into());
        let opened = cipher.decrypt_padded::<NoPadding>(sealed).map_err(|_| Fault::Cipher)?;
        let opened = unpadded(opened).ok_or(Fault::Buffer)?;
        let (head, rest) = opened.split_at_checked(HEAD).ok_or(Fault::Buffer)?;
        let length = head.last_chunk().map_or(0, |length| u32::from_be_bytes(*length));
        rest.split_at_checked(length as usize).ok_or(Fault::Buffer)
    }

    /// The first half of the key.
    fn iv(&self) -> &[u8; 16] {
        &self.0.as_chunks().0[0]
    }
}

impl fmt::Debug for AesKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("AesKey(***)")
    }
}

/// Opens a ciphertext in base64 with the first key that can. `app_id` says whose it must be; None: anybody's.
///
/// # Errors
/// How far the key that came farthest came. This is for the operator: to the outside, all of them are one.
pub(super) fn open<'k>(
    keys: &'k [AesKey],
    encrypt: &str,
    app_id: Option<&str>,
) -> Result<(Vec<u8>, &'k AesKey), Fault> {
    let sealed = unpack(encrypt)?;
    let mut farthest = Fault::Cipher;
    for key in keys {
        let mut buffer = sealed.clone();
        match key.open(&mut buffer) {
            Ok((_, id)) if app_id.is_some_and(|app_id| id != app_id.as_bytes()) => {
                farthest = farthest.max(Fault::AppId);
            }
            Ok((message, _)) => return Ok((message.to_vec(), key)),
            Err(fault) => farthest = farthest.max(fault),
        }
    }
    Err(farthest)
}

/// The bytes of a ciphertext. Some libraries break its base64 into lines.
fn unpack(encrypt: &str) -> Result<Vec<u8>, Fault> {
    let unpacked = if encrypt.contains(|character: char| character.is_ascii_whitespace()) {
        BASE64.decode(encrypt.split_ascii_whitespace().collect::<String>())
    } else {
        BASE64.decode(encrypt)
    };
    match unpacked {
        Ok(bytes) if bytes.is_empty() || bytes.len() % 16 != 0 => Err(Fault::Cipher),
        Ok(bytes) => Ok(bytes),
        Err(_) => Err(Fault::Base64),
    }
}

/// PKCS#7 with blocks of 32 bytes. Where in the padding the first wrong byte stands makes no difference in
/// time.
fn unpadded(opened: &[u8]) -> Option<&[u8]> {
    let pad = *opened.last()?;
    let mut is_right = !pad.ct_eq(&0) & pad.ct_lt(&(PAD as u8 + 1)) & Choice::from(u8::from(opened.len() >= PAD));
    for (back, byte) in (1..=PAD as u8).zip(opened.iter().rev()) {
        is_right &= byte.ct_eq(&pad) | pad.ct_lt(&back);
    }
    bool::from(is_right).then(|| &opened[..opened.len() - usize::from(pad)])
}

/// What is wrong with a call, with WeChat's own number for it, from the first step to the last. It is told to
/// the operator, and to nobody else.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Fault {
    /// There is a ciphertext, and no key.
    NoKey,
    /// The body is no envelope: no XML or JSON with one `Encrypt`.
    Envelope,
    Base64,
    /// Not whole blocks.
    Cipher,
    /// What came out is no payload: another key, or tampered with.
    Buffer,
    /// A payload for somebody else.
    AppId,
    /// A parameter is missing, given twice, or does not belong to the others.
    Signature,
}

impl Fault {
    /// WeChat's number, as its sample code (`WXBizMsgCrypt`) has it.
    pub fn code(self) -> Option<i32> {
        Some(match self {
            Self::NoKey => return None,
            Self::Signature => -40001,
            Self::Envelope => -40002,
            Self::AppId => -40005,
            Self::Cipher => -40007,
            Self::Buffer => -40008,
            Self::Base64 => -40010,
        })
    }

    fn reason(self) -> &'static str {
        match self {
            Self::NoKey => "encrypted, and the route has no aes_key: it is never transferred",
            Self::Signature => "the signature is wrong or missing: another token, or not from WeChat",
            Self::Envelope => "encrypted, says the URL, and the body has no Encrypt",
            Self::AppId => "decrypted, and for another AppID than app_id",
            Self::Cipher => "does not decrypt: the ciphertext is cut off",
            Self::Buffer => "does not decrypt: another aes_key, or tampered with",
            Self::Base64 => "does not decrypt: the Encrypt is no base64",
        }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.code().map_or(Ok(()), |code| write!(f, "{code}: "))?;
        f.write_str(self.reason())
    }
}
