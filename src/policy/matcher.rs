//! Finding keywords in text: normalisation, and one automaton over all keywords of one side of a route.

mod automaton;

use std::borrow::Cow;
use std::error::Error;
use std::fmt;

use unicase::UniCase;
use unicode_normalization::UnicodeNormalization;

use self::automaton::Automaton;

/// The form in which text is compared: NFKC, case folded, without the characters that nobody sees, and
/// without surrounding white space. Both keywords and messages go through it.
pub fn normalise(text: &str) -> Cow<'_, str> {
    if text.chars().all(is_settled) {
        return Cow::Borrowed(text.trim());
    }
    let form = simple_form(text).unwrap_or_else(|| full_form(text));
    let trimmed = form.trim();
    Cow::Owned(if trimmed.len() == form.len() { form } else { trimmed.to_owned() })
}

/// Characters that are their own normal form, whatever stands beside them: most of a Chinese text.
pub(super) fn is_settled(character: char) -> bool {
    match character {
        '\0'..='\x7f' => !character.is_ascii_uppercase(),
        // Chinese characters; quotation marks; `、。〃`; brackets; emoji.
        '\u{4e00}'..='\u{9fff}'
        | '\u{2018}'..='\u{201d}'
        | '\u{3001}'..='\u{3003}'
        | '\u{3008}'..='\u{3011}'
        | '\u{1f300}'..='\u{1f64f}' => true,
        _ => false,
    }
}

/// The form of a text that is settled but for its capitals, full-width punctuation and white space: most of
/// what is left of Chinese text. None if there is more to it.
pub(super) fn simple_form(text: &str) -> Option<String> {
    let mut form = String::with_capacity(text.len());
    let mut copied = 0;
    for (at, character) in text.char_indices().filter(|(_, character)| !is_settled(*character)) {
        let simple = match character {
            '\u{3000}' => ' ',
            'A'..='Z' => character.to_ascii_lowercase(),
            '\u{ff01}'..='\u{ff5e}' => ascii_of_full_width(character).to_ascii_lowercase(),
            _ => return None,
        };
        form.push_str(&text[copied..at]);
        form.push(simple);
        copied = at + character.len_utf8();
    }
    form.push_str(&text[copied..]);
    Some(form)
}

/// The full-width forms stand in the order of ASCII, from `!` on.
fn ascii_of_full_width(character: char) -> char {
    char::from((u32::from(character) - 0xff01) as u8 + b'!')
}

pub(super) fn full_form(text: &str) -> String {
    let visible: String = text.nfkc().filter(|character| !is_invisible(*character)).collect();
    UniCase::unicode(visible).to_folded_case().nfkc().collect()
}

/// The characters that nobody sees (zero-width space and joiners, marks of direction, variation selectors,
/// fillers, soft hyphen, byte order mark): NFKC case folding drops them. `Default_Ignorable_Code_Point` of
/// <https://www.unicode.org/Public/UCD/latest/ucd/DerivedCoreProperties.txt>
fn is_invisible(character: char) -> bool {
    matches!(character,
        '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{115f}'..='\u{1160}' | '\u{17b4}'..='\u{17b5}'
        | '\u{180b}'..='\u{180f}' | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{206f}'
        | '\u{3164}' | '\u{fe00}'..='\u{fe0f}' | '\u{feff}' | '\u{ffa0}' | '\u{fff0}'..='\u{fff8}'
        | '\u{1bca0}'..='\u{1bca3}' | '\u{1d173}'..='\u{1d17a}' | '\u{e0000}'..='\u{e0fff}')
}

/// Where in a text a keyword has to stand.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    Anywhere,
    Start,
    Whole,
}

/// What a keyword does when it is found: it counts for a rule, or cancels it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Effect {
    Hit,
    Cancel,
}

/// A rule that a keyword belongs to.
#[derive(Debug, Clone, Copy)]
struct Owner {
    rule: u32,
    place: Place,
    effect: Effect,
}

/// A keyword that was found.
#[derive(Debug, Clone, Copy)]
pub struct Found<'t> {
    /// The position of the rule it belongs to.
    pub rule: usize,
    pub place: Place,
    pub effect: Effect,
    /// The keyword, as it stands in the text.
    pub word: &'t str,
}

/// All keywords of some rules in one automaton: a search costs the length of the text, not the number
/// of keywords.
#[derive(Debug)]
pub struct Matcher {
    automaton: Automaton,
    keywords: Vec<Keyword>,
    owners: Vec<Owner>,
}

#[derive(Debug)]
struct Keyword {
    /// In bytes.
    length: u32,
    /// Where its owners start in `owners`; they end where those of the next keyword start.
    owners: u32,
}

impl Matcher {
    /// Calls `found` for every keyword in the text, in no particular order.
    pub fn search<'t>(&self, text: &'t str, mut found: impl FnMut(Found<'t>)) {
        self.automaton.search(text, |keyword, end| {
            let Keyword { length, owners } = self.keywords[keyword];
            let start = end - length as usize;
            for &Owner { rule, place, effect } in
                &self.owners[owners as usize..self.keywords[keyword + 1].owners as usize]
            {
                let in_place = match place {
                    Place::Anywhere => true,
                    Place::Start => start == 0,
                    Place::Whole => start == 0 && end == text.len(),
                };
                if in_place {
                    found(Found { rule: rule as usize, place, effect, word: &text[start..end] });
                }
            }
        });
    }
}

/// All keywords together have 4 GiB or more.
#[derive(Debug)]
pub struct TooManyKeywords;

impl fmt::Display for TooManyKeywords {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the keywords have 4 GiB or more")
    }
}

impl Error for TooManyKeywords {}

/// Collects the keywords of several rules, then becomes a [`Matcher`].
#[derive(Debug, Default)]
pub struct Builder {
    /// All keywords, one behind the other: a string for each would take twice the memory.
    text: String,
    entries: Vec<Entry>,
}

/// A keyword in the builder's text, and a rule that it belongs to.
#[derive(Debug, Clone, Copy)]
struct Entry {
    start: u32,
    end: u32,
    owner: Owner,
}

impl Entry {
    fn keyword(self, text: &str) -> &str {
        &text[self.start as usize..self.end as usize]
    }
}

impl Builder {
    /// Adds a keyword, in the form in which text will be searched. An empty one is passed over.
    pub fn add(&mut self, keyword: &str, rule: usize, place: Place, effect: Effect) {
        if !keyword.is_empty() {
            let start = self.text.len() as u32;
            self.text.push_str(keyword);
            let rule = u32::try_from(rule).unwrap_or(u32::MAX);
            self.entries.push(Entry { start, end: self.text.len() as u32, owner: Owner { rule, place, effect } });
        }
    }

    /// None where there are no keywords.
    ///
    /// # Errors
    /// When the keywords are too many for one automaton.
    pub fn build(self) -> Result<Option<Matcher>, TooManyKeywords> {
        let Self { text, mut entries } = self;
        if entries.is_empty() {
            return Ok(None);
        }
        if u32::try_from(text.len()).is_err() {
            return Err(TooManyKeywords);
        }
        entries.sort_unstable_by(|one, other| one.keyword(&text).cmp(other.keyword(&text)));
        let mut words: Vec<&str> = Vec::with_capacity(entries.len());
        let (mut keywords, mut owners) = (Vec::with_capacity(entries.len() + 1), Vec::with_capacity(entries.len()));
        for entry in entries {
            let word = entry.keyword(&text);
            if words.last() != Some(&word) {
                keywords.push(Keyword { length: word.len() as u32, owners: owners.len() as u32 });
                words.push(word);
            }
            owners.push(entry.owner);
        }
        keywords.push(Keyword { length: 0, owners: owners.len() as u32 });
        Ok(Some(Matcher { automaton: Automaton::new(&words), keywords, owners }))
    }
}

#[cfg(test)]
mod tests {
    use super::{Builder, Effect, Place};

    #[test]
    fn keywords_are_found_where_they_have_to_stand() {
        let mut builder = Builder::default();
        builder.add("人工", 0, Place::Anywhere, Effect::Hit);
        builder.add("人工", 1, Place::Start, Effect::Hit);
        builder.add("人工", 2, Place::Whole, Effect::Hit);
        builder.add("不要人工", 0, Place::Anywhere, Effect::Cancel);
        let matcher = builder.build().unwrap().unwrap();
        let found = |text| {
            let mut rules = Vec::new();
            matcher.search(text, |found| rules.push((found.rule, found.effect)));
            rules.sort_by_key(|(rule, effect)| (*rule, *effect == Effect::Cancel));
            rules
        };
        assert_eq!(found("人工"), [(0, Effect::Hit), (1, Effect::Hit), (2, Effect::Hit)]);
        assert_eq!(found("人工客服"), [(0, Effect::Hit), (1, Effect::Hit)]);
        assert_eq!(found("找人工"), [(0, Effect::Hit)]);
        assert_eq!(found("不要人工"), [(0, Effect::Hit), (0, Effect::Cancel)]);
        assert_eq!(found("人"), []);
    }
}
