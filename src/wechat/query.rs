use std::borrow::Cow;

use memchr::{memchr_iter, memchr2};

/// A request's raw query string, read for the parameters that WeChat adds to a callback's URL.
#[derive(Debug, Clone, Copy)]
pub(super) struct Query<'q> {
    text: &'q str,
    /// There is something to decode in it, which may be a name.
    is_encoded: bool,
    /// The first letters of its names, a bit each: most of what is asked for is not there.
    initials: u32,
}

impl<'q> Query<'q> {
    pub(super) fn new(query: Option<&'q str>) -> Self {
        let text = query.unwrap_or_default();
        let pairs = text.as_bytes();
        let starts = std::iter::once(0).chain(memchr_iter(b'&', pairs).map(|at| at + 1));
        let initials = starts.filter_map(|at| pairs.get(at)).fold(0, |initials, first| initials | bit(*first));
        Self { text, is_encoded: is_encoded(text), initials }
    }

    /// Whether this is WeChat's check of the URL, which carries no callback.
    pub(super) fn has_echostr(self) -> bool {
        self.values("echostr").next().is_some()
    }

    /// Whether nobody else than this sender is named as the `openid`.
    pub(super) fn allows_sender(self, from: &str) -> bool {
        self.values("openid").all(|openid| openid == from)
    }

    /// Whether the body should hold ciphertext. None where that is unknown: an `encrypt_type` that does not
    /// exist, or two that differ.
    pub(super) fn is_sealed(self) -> Option<bool> {
        let mut said = self.values("encrypt_type").map(|value| match &*value {
            "aes" => Some(true),
            "raw" => Some(false),
            _ => None,
        });
        let first = said.next().unwrap_or(Some(false))?;
        said.all(|next| next == Some(first)).then_some(first)
    }

    /// The value of a parameter that is there once; two could be read differently by two readers.
    pub(super) fn only(self, name: &str) -> Option<Cow<'q, str>> {
        let mut values = self.values(name);
        let value = values.next()?;
        values.next().is_none().then_some(value)
    }

    /// All values of a parameter; copied only where there is something to decode.
    fn values(self, name: &str) -> impl Iterator<Item = Cow<'q, str>> {
        let initial = name.bytes().next().map_or(0, bit);
        let may_be_there = self.is_encoded || self.initials & initial != 0;
        let pairs = if may_be_there { self.text } else { "" };
        pairs.split('&').filter_map(move |pair| {
            let (given, value) = pair.split_once('=').unwrap_or((pair, ""));
            (given == name || (is_encoded(given) && decoded(given) == name)).then(|| decoded(value))
        })
    }
}

/// The bit of a letter; others share theirs with one.
fn bit(byte: u8) -> u32 {
    1 << (byte % 32)
}

fn is_encoded(text: &str) -> bool {
    memchr2(b'%', b'+', text.as_bytes()).is_some()
}

/// One side of a pair of `application/x-www-form-urlencoded`, decoded.
fn decoded(text: &str) -> Cow<'_, str> {
    if !is_encoded(text) {
        return Cow::Borrowed(text);
    }
    let pair = format!("={text}");
    Cow::Owned(form_urlencoded::parse(pair.as_bytes()).map(|(_, value)| value).collect())
}
