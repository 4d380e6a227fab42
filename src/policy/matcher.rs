//! Finding keywords in text: normalisation, and one automaton over all keywords of one side of a route.

use std::borrow::Cow;
use std::collections::HashMap;

use aho_corasick::{AhoCorasick, BuildError};
use unicase::UniCase;
use unicode_normalization::UnicodeNormalization;

/// The form in which text is compared: NFKC, case folded, without the characters that nobody sees, and
/// without surrounding white space. Both keywords and messages go through it.
pub fn normalise(text: &str) -> Cow<'_, str> {
    if text.chars().all(is_settled) {
        return Cow::Borrowed(text.trim());
    }
    let mut form = simple_form(text).unwrap_or_else(|| full_form(text));
    form.truncate(form.trim_end().len());
    form.drain(..form.len() - form.trim_start().len());
    Cow::Owned(form)
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
    for character in text.chars() {
        form.push(match character {
            '\u{3000}' => ' ',
            'A'..='Z' => character.to_ascii_lowercase(),
            '\u{ff01}'..='\u{ff5e}' => ascii_of_full_width(character).to_ascii_lowercase(),
            _ if is_settled(character) => character,
            _ => return None,
        });
    }
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

/// All keywords of some rules in one automaton: a search costs the length of the text, not the number
/// of keywords.
#[derive(Debug)]
pub struct Matcher {
    automaton: AhoCorasick,
    owners: Vec<Owner>,
    /// Where the owners of a pattern start in `owners`; those of pattern `p` end where `p + 1`'s start.
    starts: Vec<u32>,
}

impl Matcher {
    /// Calls `found` for every keyword in the text, with its rule and effect, in no particular order.
    pub fn search(&self, text: &str, mut found: impl FnMut(usize, Effect)) {
        for hit in self.automaton.find_overlapping_iter(text) {
            let pattern = hit.pattern().as_usize();
            for owner in &self.owners[self.starts[pattern] as usize..self.starts[pattern + 1] as usize] {
                let in_place = match owner.place {
                    Place::Anywhere => true,
                    Place::Start => hit.start() == 0,
                    Place::Whole => hit.start() == 0 && hit.end() == text.len(),
                };
                if in_place {
                    found(owner.rule as usize, owner.effect);
                }
            }
        }
    }
}

/// Collects the keywords of several rules, then becomes a [`Matcher`].
#[derive(Debug, Default)]
pub struct Builder {
    keywords: HashMap<String, Vec<Owner>>,
}

impl Builder {
    /// Adds a keyword, in the form in which text will be searched. An empty one is passed over.
    pub fn add(&mut self, keyword: String, rule: usize, place: Place, effect: Effect) {
        if !keyword.is_empty() {
            let rule = u32::try_from(rule).unwrap_or(u32::MAX);
            self.keywords.entry(keyword).or_default().push(Owner { rule, place, effect });
        }
    }

    /// None where there are no keywords.
    ///
    /// # Errors
    /// When the keywords are too many for one automaton (over 2³¹ states).
    pub fn build(self) -> Result<Option<Matcher>, BuildError> {
        if self.keywords.is_empty() {
            return Ok(None);
        }
        let (mut owners, mut starts) = (Vec::new(), Vec::with_capacity(self.keywords.len() + 1));
        let mut patterns = Vec::with_capacity(self.keywords.len());
        for (keyword, keyword_owners) in self.keywords {
            patterns.push(keyword);
            starts.push(owners.len() as u32);
            owners.extend(keyword_owners);
        }
        starts.push(owners.len() as u32);
        Ok(Some(Matcher { automaton: AhoCorasick::new(patterns)?, owners, starts }))
    }
}

#[cfg(test)]
mod tests {
    use super::{Builder, Effect, Place};

    #[test]
    fn keywords_are_found_where_they_have_to_stand() {
        let mut builder = Builder::default();
        builder.add("人工".into(), 0, Place::Anywhere, Effect::Hit);
        builder.add("人工".into(), 1, Place::Start, Effect::Hit);
        builder.add("人工".into(), 2, Place::Whole, Effect::Hit);
        builder.add("不要人工".into(), 0, Place::Anywhere, Effect::Cancel);
        let matcher = builder.build().unwrap().unwrap();
        let found = |text| {
            let mut rules = Vec::new();
            matcher.search(text, |rule, effect| rules.push((rule, effect)));
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
