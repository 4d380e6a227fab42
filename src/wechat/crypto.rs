//! Signatures.

use std::fmt::Write as _;

use sha1::{Digest, Sha1};

/// The `signature` parameter of every call WeChat makes, over its other parameters as they are decoded.
/// <https://developers.weixin.qq.com/miniprogram/dev/framework/server-ability/message-push.html>
pub fn signature(token: &str, timestamp: &str, nonce: &str) -> String {
    let mut parts = [token, timestamp, nonce];
    parts.sort_unstable();
    Sha1::digest(parts.concat()).iter().fold(String::with_capacity(40), |mut hex, byte| {
        // Writing to a String does not fail.
        let _ = write!(hex, "{byte:02x}");
        hex
    })
}

#[cfg(test)]
mod tests {
    use super::signature;

    #[test]
    fn signatures_are_as_wechat_makes_them() {
        for (token, timestamp, nonce, expected) in [
            ("AAAAA", "1714036504", "1514711492", "f464b24fc39322e44b38aa78f5edd27bd1441696"),
            ("AAAAA", "1714037059", "486452656", "899cf89e464efb63f54ddac96b0a0a235f53aa78"),
        ] {
            assert_eq!(signature(token, timestamp, nonce), expected);
        }
    }

    #[test]
    fn the_parts_are_sorted_as_strings() {
        assert_eq!(signature("b", "999", "1000"), signature("999", "1000", "b"));
    }
}
