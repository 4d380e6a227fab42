//! Finding keywords in text: normalisation, and one automaton over all keywords of one side of a route.

use std::borrow::Cow;
use std::collections::HashMap;

use aho_corasick::{AhoCorasick, BuildError};
use unicase::UniCase;
use unicode_normalization::UnicodeNormalization;

/// The form in which text is compared: NFKC, case folded, without the characters that nobody sees, and
/// without surrounding white space. Both keywords and messages go through it.
pub fn normalise(text: &str) -> Cow<'_, str> {
    if text.bytes().all(|byte| byte.is_ascii() && !byte.is_ascii_uppercase()) || text.chars().all(is_settled) {
        return Cow::Borrowed(text.trim());
    }
    let folded = UniCase::unicode(text.nfkc().filter(|c| !is_invisible(*c)).collect::<String>()).to_folded_case();
    let settled: String = folded.nfkc().collect();
    Cow::Owned(settled.trim().to_owned())
}

/// Characters that are their own normal form, whatever stands beside them: most of a Chinese text.
fn is_settled(character: char) -> bool {
    matches!(character, '\u{4e00}'..='\u{9fff}' | '\u{3001}' | '\u{3002}')
        || (character.is_ascii() && !character.is_ascii_uppercase())
}

/// The default-ignorable characters that turn up in chats (zero-width space and joiners, variation
/// selectors, soft hyphen, byte order mark): NFKC case folding drops them.
/// <https://www.unicode.org/reports/tr44/#NFKC_Casefold>
fn is_invisible(character: char) -> bool {
    matches!(character, '\u{ad}' | '\u{200b}'..='\u{200f}' | '\u{2060}'..='\u{2064}' | '\u{fe00}'..='\u{fe0f}' | '\u{feff}')
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
    use super::{Builder, Effect, Place, normalise};

    #[test]
    fn the_same_words_have_one_form() {
        for (text, form) in [
            ("人工", "人工"),
            ("  人工\n", "人工"),
            ("\u{3000}人工\u{3000}", "人工"),
            ("ＶＩＰ１２３", "vip123"),
            ("Straße", "strasse"),
            ("STRASSE", "strasse"),
            ("Kefu", "kefu"),
            ("ﾃｽﾄ", "テスト"),
            ("人\u{200b}工", "人工"),
            ("☎\u{fe0f}", "☎"),
            ("①", "1"),
            ("e\u{301}", "é"),
            ("É", "é"),
            ("", ""),
        ] {
            assert_eq!(normalise(text), form, "{text:?}");
            assert_eq!(normalise(form), form, "the form of {text:?} is settled");
        }
    }

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
