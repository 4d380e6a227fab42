//! Lenient reading of a callback in JSON, under the same rules as the XML.

use std::borrow::Cow;
use std::fmt;

use serde::de::{self, MapAccess, Visitor};
use serde_json::value::RawValue;

use super::fields::{Fields, Name, Unreadable};

/// Reads the top-level members of a callback.
pub(super) fn read(text: &str) -> Result<Fields<'_>, Unreadable> {
    let mut input = serde_json::Deserializer::from_str(text);
    let fields = de::Deserializer::deserialize_map(&mut input, Members).map_err(|_| Unreadable::Malformed)?;
    input.end().map_err(|_| Unreadable::Malformed)?;
    Ok(fields)
}

struct Members;

impl<'de> Visitor<'de> for Members {
    type Value = Fields<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Fields<'de>, A::Error> {
        let mut fields = Fields::default();
        while let Some(Key(key)) = map.next_key()? {
            let raw: &RawValue = map.next_value()?;
            if let Some(name) = Name::of(&key) {
                fields[name].occur(plain_value(raw.get(), name));
            }
        }
        Ok(fields)
    }
}

/// A member's name with its escapes decoded.
#[derive(serde::Deserialize)]
struct Key<'a>(#[serde(borrow)] Cow<'a, str>);

/// A string or a number as text. Anything else is not a plain value.
fn plain_value<'a>(raw: &'a str, name: Name) -> Option<Cow<'a, str>> {
    match raw.as_bytes().first()? {
        b'"' => match serde_json::from_str::<Key<'a>>(raw) {
            Ok(Key(value)) => Some(value),
            Err(_) if name.is_words() => lossy_string(raw).map(Cow::Owned),
            Err(_) => None,
        },
        b'-' | b'0'..=b'9' => Some(Cow::Borrowed(raw)),
        _ => None,
    }
}

/// A string in which half of a surrogate pair stands alone: it becomes U+FFFD.
fn lossy_string(raw: &str) -> Option<String> {
    struct Bytes;
    impl Visitor<'_> for Bytes {
        type Value = String;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("a string")
        }

        fn visit_bytes<E: de::Error>(self, bytes: &[u8]) -> Result<String, E> {
            Ok(String::from_utf8_lossy(bytes).into_owned())
        }
    }
    let mut input = serde_json::Deserializer::from_str(raw);
    de::Deserializer::deserialize_bytes(&mut input, Bytes).ok()
}
