//! The flag header: how a bot asks for a transfer, or forbids one.

use crate::wechat::is_writable;

/// What the values of a flag header ask for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Flag<'h> {
    Absent,
    /// Hand over: to this account, or to the route's if none is named.
    Ask(Option<&'h str>),
    /// Do not hand over, whatever comes later.
    Veto,
    /// Values that mean nothing, or not the same. Ignored, and logged.
    Invalid,
}

impl<'h> Flag<'h> {
    /// Reads all values of the header, each of which may be a comma-separated list.
    pub fn read(values: impl IntoIterator<Item = &'h [u8]>) -> Self {
        values
            .into_iter()
            .flat_map(|value| value.split(|byte| *byte == b','))
            .map(Self::of)
            .reduce(|first, next| if first == next { first } else { Self::Invalid })
            .unwrap_or(Self::Absent)
    }

    fn of(value: &'h [u8]) -> Self {
        let Ok(value) = str::from_utf8(value) else { return Self::Invalid };
        let value = value.trim();
        let is_any_of = |words: &[&str]| words.iter().any(|word| value.eq_ignore_ascii_case(word));
        if is_any_of(&["1", "true", "on", "yes"]) {
            Self::Ask(None)
        } else if is_any_of(&["0", "false", "off", "no"]) {
            Self::Veto
        } else if value.contains('@') && is_writable(value) {
            Self::Ask(Some(value))
        } else {
            Self::Invalid
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Flag::{self, Absent, Ask, Invalid, Veto};

    #[test]
    fn every_value_means_what_the_contract_says() {
        for (values, meaning) in [
            (vec![], Absent),
            (vec!["1"], Ask(None)),
            (vec!["true"], Ask(None)),
            (vec!["on"], Ask(None)),
            (vec!["yes"], Ask(None)),
            (vec![" TRUE "], Ask(None)),
            (vec!["0"], Veto),
            (vec!["false"], Veto),
            (vec!["Off"], Veto),
            (vec!["no"], Veto),
            (vec!["test1@test"], Ask(Some("test1@test"))),
            (vec![" Test1@test\t"], Ask(Some("Test1@test"))),
            (vec!["a@b@c"], Ask(Some("a@b@c"))),
            (vec!["客服@店"], Ask(Some("客服@店"))),
            (vec!["1", "yes"], Ask(None)),
            (vec!["1, true"], Ask(None)),
            (vec!["test1@test", "test1@test"], Ask(Some("test1@test"))),
            (vec!["1", "0"], Invalid),
            (vec!["1", "test1@test"], Invalid),
            (vec!["test1@test", "test2@test"], Invalid),
            (vec!["1", "maybe"], Invalid),
            (vec!["maybe"], Invalid),
            (vec![""], Invalid),
            (vec!["2"], Invalid),
            (vec!["te\tst@test"], Invalid),
            (vec!["test@test\u{ffff}"], Invalid),
            (vec!["1", ""], Invalid),
            (vec!["0", "no", "OFF"], Veto),
            (vec!["0", "test1@test"], Invalid),
            (vec!["1", "0", "1"], Invalid),
            (vec!["test1@test,test1@test"], Ask(Some("test1@test"))),
            (vec!["test1@test,test2@test"], Invalid),
            (vec!["Test1@test", "test1@test"], Invalid),
            (vec!["@"], Ask(Some("@"))),
            (vec!["truely"], Invalid),
            (vec!["１"], Invalid),
        ] {
            assert_eq!(Flag::read(values.iter().map(|value| value.as_bytes())), meaning, "{values:?}");
        }
    }

    #[test]
    fn bytes_that_are_no_utf8_are_invalid() {
        assert_eq!(Flag::read([&b"\xff@test"[..]]), Invalid);
    }
}
