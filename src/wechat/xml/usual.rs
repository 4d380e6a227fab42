//! The short way to read a callback as WeChat writes it: `<xml>` with plain elements side by side, each one
//! section of CDATA or one run of text. It takes a third of the instructions of the long way, and whatever is
//! written in any other way is left to that one.

use std::borrow::Cow;

use memchr::{memchr, memchr_iter, memchr2};

use crate::wechat::fields::{Fields, Name};

/// The fields of a usual callback, which are those that [`super::read`] would find. None for any other.
pub(super) fn read(text: &str) -> Option<Fields<'_>> {
    let mut fields = Fields::default();
    let mut rest = text.strip_prefix("<xml>")?;
    loop {
        rest = rest.trim_ascii_start().strip_prefix('<')?;
        if let Some(behind) = rest.strip_prefix("/xml>") {
            return behind.trim_ascii().is_empty().then_some(fields);
        }
        let name = name(rest)?;
        let (value, behind) = value(rest[name.len()..].strip_prefix('>')?)?;
        if let Some(known) = Name::of(name) {
            fields[known].occur(Some(Cow::Borrowed(value)));
        }
        rest = behind.strip_prefix("</")?.strip_prefix(name)?.strip_prefix('>')?;
    }
}

/// The name that a text begins with.
fn name(text: &str) -> Option<&str> {
    let end = text.bytes().position(|byte| !byte.is_ascii_alphanumeric())?;
    (end > 0).then(|| &text[..end])
}

/// The value that a text begins with, and what stands behind it.
fn value(text: &str) -> Option<(&str, &str)> {
    if let Some(section) = text.strip_prefix("<![CDATA[") {
        let bytes = section.as_bytes();
        let end = memchr_iter(b']', bytes).find(|at| bytes[*at..].starts_with(b"]]>"))?;
        return Some((&section[..end], &section[end + "]]>".len()..]));
    }
    let (run, behind) = text.split_at(memchr(b'<', text.as_bytes())?);
    // A reference has to be decoded, and a bare `]]>` is no text.
    memchr2(b'&', b'>', run.as_bytes()).is_none().then_some((run, behind))
}
