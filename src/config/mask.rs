//! Which bytes of a file are not to be shown: the values of secrets, of unknown keys (a secret's name
//! may be mistyped), passwords in URLs, and on a line that could not be read whatever may be one.

use std::ops::Range;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::schema::{Keys, ROOT, Shape, shape};
use super::source::line_at;

const STARS: &str = "***";

/// The hidden ranges of a text.
#[derive(Debug)]
pub(super) struct Mask {
    hidden: Vec<Range<usize>>,
    /// The text could not be read as a whole: its structure is not to be relied on.
    broken: bool,
}

impl Mask {
    pub(super) fn new(text: &str, root: &DeTable<'_>, broken: bool) -> Self {
        let mut hidden = Vec::new();
        hide_in(text, root, ROOT, &mut hidden);
        Self { hidden, broken }
    }

    /// The line with its hidden parts replaced, and where the marked bytes are in it.
    pub(super) fn apply(&self, text: &str, line: Range<usize>, mark: Range<usize>) -> (String, Range<usize>) {
        let hidden = self.hidden_in(text, &line);
        let start = cover(text, line.start..mark.start, &hidden).len();
        let end = cover(text, line.start..mark.end, &hidden).len();
        (cover(text, line, &hidden), start..end)
    }

    /// The hidden ranges that touch a line, in order and apart from each other.
    fn hidden_in(&self, text: &str, line: &Range<usize>) -> Vec<Range<usize>> {
        let touches = |range: &&Range<usize>| range.start < line.end && range.end > line.start;
        let mut hidden: Vec<_> = self.hidden.iter().filter(touches).cloned().collect();
        if self.broken {
            hidden.extend(doubtful(text, line));
        }
        // A comment beside a secret may hold the secret's older brother.
        if let Some(last) = hidden.iter().map(|range| range.end.min(line.end)).max() {
            hidden.extend(text[last..line.end].find('#').map(|comment| last + comment..line.end));
        }
        hidden.sort_by_key(|range| range.start);
        hidden.dedup_by(|next, kept| {
            next.start <= kept.end && {
                kept.end = kept.end.max(next.end);
                true
            }
        });
        hidden
    }
}

/// A stretch of text with stars in the place of what is hidden.
fn cover(text: &str, stretch: Range<usize>, hidden: &[Range<usize>]) -> String {
    let (mut shown, mut at) = (String::new(), stretch.start);
    for range in hidden.iter().filter(|range| range.start < stretch.end) {
        shown.push_str(&text[at..range.start.max(at)]);
        shown.push_str(STARS);
        at = range.end.min(stretch.end);
    }
    shown + &text[at..stretch.end]
}

fn hide_in(text: &str, table: &DeTable<'_>, keys: Keys, hidden: &mut Vec<Range<usize>>) {
    for (key, value) in table {
        match shape(keys, key.get_ref()) {
            Some(Shape::Table(keys) | Shape::Tables(keys)) => hide_below(text, value, keys, hidden),
            Some(Shape::Url) if value.get_ref().is_str() => hidden.extend(password(text, value.span())),
            Some(Shape::Secret | Shape::Secrets) | None => hide_all(value, hidden),
            Some(_) => hide_tables(value, hidden),
        }
    }
}

/// The user name and password of a URL; where they begin is not relied on.
fn password(text: &str, url: Range<usize>) -> Option<Range<usize>> {
    let scheme = text[url.clone()].find("://").map_or(1, |colon| colon + 3);
    let at = text[url.clone()].rfind('@').filter(|at| *at > scheme)?;
    Some(url.start + scheme..url.start + at)
}

/// Tables in the place of a plain value may hold anything.
fn hide_tables(value: &Spanned<DeValue<'_>>, hidden: &mut Vec<Range<usize>>) {
    match value.get_ref() {
        DeValue::Table(_) => hide_all(value, hidden),
        DeValue::Array(values) => values.iter().for_each(|value| hide_tables(value, hidden)),
        _ => {}
    }
}

fn hide_below(text: &str, value: &Spanned<DeValue<'_>>, keys: Keys, hidden: &mut Vec<Range<usize>>) {
    match value.get_ref() {
        DeValue::Table(table) => hide_in(text, table, keys, hidden),
        DeValue::Array(values) => values.iter().for_each(|value| hide_below(text, value, keys, hidden)),
        _ => hidden.push(value.span()),
    }
}

fn hide_all(value: &Spanned<DeValue<'_>>, hidden: &mut Vec<Range<usize>>) {
    match value.get_ref() {
        DeValue::Table(table) => table.iter().for_each(|(_, value)| hide_all(value, hidden)),
        DeValue::Array(values) => values.iter().for_each(|value| hide_all(value, hidden)),
        _ => hidden.push(value.span()),
    }
}

/// Of a line in a file that could not be read as a whole: everything but table headers, keys, and the
/// values of keys that are known and hold no secret.
fn doubtful(text: &str, line: &Range<usize>) -> Option<Range<usize>> {
    let written = &text[line.clone()];
    let start = line.end - written.trim_start().len();
    if header(written).is_some() || written.trim_start().starts_with('#') || continues_list(text, line) {
        return None;
    }
    let Some((key, value)) = written.split_once('=') else { return Some(start..line.end) };
    let is_shown = !value.contains('=') && holds_no_secret(text, line, key);
    (!is_shown).then(|| line.end - value.trim_start().len()..line.end)
}

/// Whether the line is an element of a list whose key holds no secret.
fn continues_list(text: &str, line: &Range<usize>) -> bool {
    let is_element = |line: &str| line.trim_start().starts_with(['"', '\'', ']']) && !line.contains('=');
    let owner = lines_above(text, line).find(|above| !is_element(&text[above.clone()]));
    let opens_list = |above: &Range<usize>| {
        let parts = text[above.clone()].split_once('=');
        parts.is_some_and(|(key, value)| value.trim_start().starts_with('[') && holds_no_secret(text, above, key))
    };
    is_element(&text[line.clone()]) && owner.is_some_and(|owner| opens_list(&owner))
}

/// Whether a key on this line is known in its table, and no secret.
fn holds_no_secret(text: &str, line: &Range<usize>, key: &str) -> bool {
    let keys = match lines_above(text, line).find(|above| text[above.clone()].trim_start().starts_with('[')) {
        Some(above) => header(&text[above]),
        None => Some(ROOT),
    };
    let shape = keys.and_then(|keys| shape(keys, key.trim()));
    matches!(shape, Some(Shape::Text | Shape::Texts | Shape::Duration | Shape::Size | Shape::Flag | Shape::Count))
}

fn lines_above(text: &str, line: &Range<usize>) -> impl Iterator<Item = Range<usize>> {
    let above = |line: &Range<usize>| line.start.checked_sub(1).map(|newline| line_at(text, newline));
    std::iter::successors(above(line), move |line| above(line))
}

/// The keys of the table that a header line opens, if it is one.
fn header(line: &str) -> Option<Keys> {
    let name = line.trim().trim_start_matches('[').strip_suffix(']')?.trim_end_matches(']');
    line.trim_start().starts_with('[').then_some(())?;
    name.split('.').try_fold(ROOT, |keys, part| match shape(keys, part.trim())? {
        Shape::Table(keys) | Shape::Tables(keys) => Some(keys),
        _ => None,
    })
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::super::parse;

    const SECRETS: &str = r#"state = "redis://:S3CRET@cache:6379/0"
admin_token = "S3CRET"

[[route]]
name = "shop"
types = [
  "text",
]
upstream = "http://user:S3CRET@127.0.0.1:9000"

[route.wechat]
token = "S3CRET" # S3CRET
aes_key = [
  "S3CRET",
  { file = "S3CRET" },
]
app_id = "wx1"

[[route.rule]]
name = "words"

[route.desk]
app_secret = { env = "S3CRET" }
token_url = """
S3CRET"""
"#;

    /// Every single slip of a finger: a character too few, or one too many.
    fn slips() -> impl Iterator<Item = String> {
        let places = SECRETS.char_indices().filter(|(_, character)| *character != '@');
        let less = places.map(|(at, _)| [&SECRETS[..at], &SECRETS[at + 1..]].concat());
        let more = SECRETS.char_indices().flat_map(|(at, _)| {
            let (before, after) = SECRETS.split_at(at);
            "\"[]{=#:.\n".chars().map(move |slip| format!("{before}{slip}{after}"))
        });
        less.chain(more)
    }

    #[test]
    fn no_slip_of_a_finger_shows_a_secret() {
        for text in slips() {
            let shown = parse(&text, Path::new("kfgate.toml")).unwrap_err().to_string();
            assert!(!shown.contains("S3CRET"), "{text}\n\n{shown}");
        }
    }
}
