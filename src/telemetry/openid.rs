//! An OpenID as far as the configuration lets it be seen.

use std::fmt;

use sha2::{Digest, Sha256};

use crate::config::OpenidStyle;

/// Shorter ids than this would be given away by their first and last characters.
const MASKED_MIN: usize = 10;

/// Displays an OpenID in a style.
#[derive(Debug, Clone, Copy)]
pub(super) struct Shown<'a>(pub(super) OpenidStyle, pub(super) &'a str);

impl fmt::Display for Shown<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            OpenidStyle::Full => f.write_str(self.1),
            OpenidStyle::Masked => masked(self.1, f),
            OpenidStyle::Hash => hash(self.1, f),
        }
    }
}

/// The first 4 characters and the last 3; of a short id the first alone.
fn masked(openid: &str, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    let length = openid.chars().count();
    let (first, last) = if length < MASKED_MIN { (1, 0) } else { (4, 3) };
    f.write_str(&openid[..start_of(first, openid)])?;
    f.write_str("…")?;
    f.write_str(&openid[start_of(length - last, openid)..])
}

/// Where the character of this number begins.
fn start_of(number: usize, text: &str) -> usize {
    text.char_indices().nth(number).map_or(text.len(), |(at, _)| at)
}

/// The first 64 bits of the SHA-256, in hexadecimal: the same for the same user everywhere.
fn hash(openid: &str, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    Sha256::digest(openid).iter().take(8).try_for_each(|byte| write!(f, "{byte:02x}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_openid_is_masked_by_its_length() {
        for (openid, masked) in [
            ("oABCDEFGHIJKLMNOPQRSTUVWXxyz", "oABC…xyz"),
            ("0123456789", "0123…789"),
            ("012345678", "0…"),
            ("o", "o…"),
            ("", "…"),
            ("用户零一二三四五六七", "用户零一…五六七"),
            ("用户零一二三四五六", "用…"),
        ] {
            assert_eq!(Shown(OpenidStyle::Masked, openid).to_string(), masked);
        }
    }

    #[test]
    fn a_hash_is_the_start_of_its_sha256() {
        // printf abc | sha256sum: ba7816bf 8f01cfea 414140de …
        assert_eq!(Shown(OpenidStyle::Hash, "abc").to_string(), "ba7816bf8f01cfea");
    }

    #[test]
    fn a_full_openid_is_itself() {
        assert_eq!(Shown(OpenidStyle::Full, "oABCDEFGHIJK").to_string(), "oABCDEFGHIJK");
    }
}
