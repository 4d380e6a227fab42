//! The id of a request: in the log, and in the `X-Request-Id` that goes to the bot.

use std::fmt;
use std::time::{SystemTime, UNIX_EPOCH};

use http::HeaderValue;

/// Crockford's digits: no I, L, O or U.
const DIGITS: &[u8; 32] = b"0123456789ABCDEFGHJKMNPQRSTVWXYZ";

/// Characters of an id made here: 26 × 5 bits hold the 128 bits of a ULID.
const ULID_LEN: usize = 26;

/// The longest id that is kept from a peer, in characters.
const KEPT_MAX: usize = 128;

/// The id of one request: made here, or kept from a trusted peer.
#[derive(Clone, PartialEq, Eq)]
pub struct RequestId(Origin);

#[derive(Clone, PartialEq, Eq)]
enum Origin {
    Made([u8; ULID_LEN]),
    Kept(HeaderValue),
}

impl RequestId {
    /// Makes a ULID (<https://github.com/ulid/spec>): the milliseconds since 1970, then the lower 80
    /// bits of `random`. Ids sort by time, to the millisecond. Nothing is allocated.
    pub fn new(now: SystemTime, random: u128) -> Self {
        let millis = now.duration_since(UNIX_EPOCH).map_or(0, |since| since.as_millis());
        let bits = millis << 80 | random & ((1 << 80) - 1);
        let digit = |place: usize| DIGITS[(bits >> (5 * (ULID_LEN - 1 - place)) & 31) as usize];
        Self(Origin::Made(std::array::from_fn(digit)))
    }

    /// Keeps a peer's id. None unless it is 1 to 128 visible ASCII characters.
    pub fn kept(value: &HeaderValue) -> Option<Self> {
        let id = value.as_bytes();
        let fits = (1..=KEPT_MAX).contains(&id.len()) && id.iter().all(u8::is_ascii_graphic);
        fits.then(|| Self(Origin::Kept(value.clone())))
    }

    pub fn as_str(&self) -> &str {
        // Both are ASCII by construction, so the defaults are never taken.
        match &self.0 {
            Origin::Made(digits) => str::from_utf8(digits).unwrap_or_default(),
            Origin::Kept(value) => value.to_str().unwrap_or_default(),
        }
    }

    /// The value of the `X-Request-Id` header.
    pub fn to_header(&self) -> HeaderValue {
        match &self.0 {
            Origin::Made(digits) => HeaderValue::from_bytes(digits).unwrap_or_else(|_| HeaderValue::from_static("")),
            Origin::Kept(value) => value.clone(),
        }
    }
}

impl fmt::Display for RequestId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Debug for RequestId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "RequestId({self})")
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;
    use std::time::Duration;

    use super::*;
    use crate::telemetry::Entropy;

    fn at(millis: u64) -> SystemTime {
        UNIX_EPOCH + Duration::from_millis(millis)
    }

    #[test]
    fn the_example_of_the_specification_is_reproduced() {
        // The time part of "01ARYZ6S41TSV4RRFFQ69G5FAV" is 1469918176385; the random part its last 16 digits.
        let random = "TSV4RRFFQ69G5FAV"
            .bytes()
            .fold(0, |bits: u128, digit| bits << 5 | DIGITS.iter().position(|known| *known == digit).unwrap() as u128);
        assert_eq!(RequestId::new(at(1_469_918_176_385), random).as_str(), "01ARYZ6S41TSV4RRFFQ69G5FAV");
    }

    #[test]
    fn the_limits_of_time_and_randomness_fit() {
        assert_eq!(RequestId::new(at(0), 0).as_str(), "0".repeat(26));
        assert_eq!(RequestId::new(at((1 << 48) - 1), u128::MAX).as_str(), "7ZZZZZZZZZZZZZZZZZZZZZZZZZ");
        let before_1970 = UNIX_EPOCH - Duration::from_secs(1);
        assert_eq!(RequestId::new(before_1970, 0).as_str(), "0".repeat(26));
    }

    #[test]
    fn a_later_id_sorts_behind_whatever_its_random_bits() {
        let ids: Vec<_> = (0..2000).map(|millis| RequestId::new(at(millis), Entropy::bits())).collect();
        assert!(ids.windows(2).all(|pair| pair[0].as_str() < pair[1].as_str()));
    }

    #[test]
    fn ids_of_one_millisecond_are_unique_and_of_the_alphabet() {
        let ids: HashSet<_> = (0..10_000).map(|_| RequestId::new(at(7), Entropy::bits()).to_string()).collect();
        assert_eq!(ids.len(), 10_000);
        assert!(ids.iter().all(|id| id.len() == 26 && id.bytes().all(|digit| DIGITS.contains(&digit))));
    }

    #[test]
    fn a_peers_id_is_kept_as_it_is() {
        for id in ["1", "4bf92f3577b34da6-00f0", "a\"b\\c", &"x".repeat(128)] {
            let kept = RequestId::kept(&HeaderValue::from_str(id).unwrap()).unwrap();
            assert_eq!((kept.as_str(), kept.to_header().as_bytes()), (id, id.as_bytes()));
        }
    }

    #[test]
    fn a_peers_id_that_could_spoil_a_log_is_not_kept() {
        let long = "x".repeat(129);
        for id in [&b""[..], b"two words", b"tab\there", b"caf\xc3\xa9", long.as_bytes()] {
            assert_eq!(RequestId::kept(&HeaderValue::from_bytes(id).unwrap()), None);
        }
    }

    #[test]
    fn an_id_made_here_goes_out_as_it_is_logged() {
        let id = RequestId::new(at(1), 2);
        assert_eq!(id.to_header().to_str().unwrap(), id.as_str());
    }
}
