//! The words of a list in a text, all of them in one pass: the automaton of Aho and Corasick, over characters.
//!
//! One over bytes takes three steps for a Chinese character, and those to be had are built in a larger form
//! first. This one grows in its final form, level by level from the sorted words: 16 bytes for each beginning
//! of a word.

/// The state of a text in which no word has begun.
const ROOT: u32 = 0;

/// No word.
const NONE: u32 = u32::MAX;

/// Characters from here on are not in the table of first characters.
const TABLED: u32 = 0x1_0000;

/// A state is a beginning of words: the longest that a text ends with so far.
///
/// States are numbered by length, and within a length in the order of their texts: so the children of one,
/// which are longer by a character, stand side by side, in order.
#[derive(Debug)]
pub(super) struct Automaton {
    /// The last character of each state.
    characters: Vec<u32>,
    /// Where the children of each state start; they end where those of the next state start.
    children: Vec<u32>,
    /// The longest other state that each state ends with.
    fallbacks: Vec<u32>,
    /// The longest word that each state ends with.
    words: Vec<u32>,
    /// The longest other word that each word ends with.
    shorter: Vec<u32>,
    /// The root's children by character: most characters of a text are looked up there.
    first: Vec<u32>,
}

/// The words that begin with a state. There are as many groups at a time as words, so they are small.
#[derive(Clone, Copy)]
struct Group {
    start: u32,
    end: u32,
    /// The length of the state in bytes.
    length: u32,
}

impl Automaton {
    /// The automaton of `words`, which are sorted, not empty, and all different. Together they have less than
    /// 4 GiB: so there are fewer words, and no more states, than 32 bits can number.
    pub(super) fn new(words: &[&str]) -> Self {
        let states = count_states(words);
        let mut automaton = Self {
            characters: beginning_with(0, states),
            children: beginning_with(1, states + 1),
            fallbacks: beginning_with(ROOT, states),
            words: beginning_with(NONE, states),
            shorter: vec![NONE; words.len()],
            first: Vec::new(),
        };
        let mut level = vec![Group { start: 0, end: words.len() as u32, length: 0 }];
        while !level.is_empty() {
            let mut next = Vec::new();
            for group in level {
                automaton.grow(words, group, &mut next);
            }
            level = next;
        }
        automaton.first = automaton.table();
        automaton
    }

    /// Completes the next state, whose words are `group`, and adds its children, whose words go to `next`.
    fn grow(&mut self, words: &[&str], group: Group, next: &mut Vec<Group>) {
        let state = self.children.len() - 1;
        let fallback = self.fallbacks[state];
        let (mut start, end, length) = (group.start as usize, group.end as usize, group.length as usize);
        self.words[state] = self.words[fallback as usize];
        // The shortest word of a group stands first, and is the state itself if it is no longer.
        if words[start..end].first().is_some_and(|word| word.len() == length) {
            self.shorter[start] = self.words[state];
            self.words[state] = start as u32;
            start += 1;
        }
        while let Some(character) = words[start..end].first().and_then(|word| word[length..].chars().next()) {
            let group = words[start..end].iter().take_while(|word| word[length..].starts_with(character)).count();
            self.characters.push(character.into());
            self.fallbacks.push(if state == 0 { ROOT } else { self.next(fallback, character.into()) });
            self.words.push(NONE);
            let (from, length) = (start, length + character.len_utf8());
            start += group;
            next.push(Group { start: from as u32, end: start as u32, length: length as u32 });
        }
        self.children.push(self.characters.len() as u32);
    }

    fn table(&self) -> Vec<u32> {
        let children = 1..self.children[1];
        let tabled = children.filter(|child| self.characters[*child as usize] < TABLED);
        let mut table = Vec::new();
        for child in tabled.rev() {
            let character = self.characters[child as usize] as usize;
            if table.is_empty() {
                // Zeroed by the system, so that what nobody looks at takes no memory.
                table = vec![ROOT; character + 1];
            }
            table[character] = child;
        }
        table
    }

    /// Calls `found` for every word in the text, with its number and its end.
    pub(super) fn search(&self, text: &str, mut found: impl FnMut(usize, usize)) {
        let (mut state, mut end) = (ROOT, 0);
        for character in text.chars() {
            end += character.len_utf8();
            state = self.next(state, character.into());
            let mut word = self.words[state as usize];
            while word != NONE {
                found(word as usize, end);
                word = self.shorter[word as usize];
            }
        }
    }

    /// The longest state that a text in `state` ends with behind one more character.
    fn next(&self, mut state: u32, character: u32) -> u32 {
        while state != ROOT {
            if let Some(child) = self.child(state, character) {
                return child;
            }
            state = self.fallbacks[state as usize];
        }
        match self.first.get(character as usize) {
            Some(child) => *child,
            None => self.child(ROOT, character).unwrap_or(ROOT),
        }
    }

    fn child(&self, state: u32, character: u32) -> Option<u32> {
        let start = self.children[state as usize];
        let end = self.children[state as usize + 1];
        let at = self.characters[start as usize..end as usize].binary_search(&character).ok()?;
        Some(start + at as u32)
    }
}

/// A vector with room for all that will come: one that grows leaves holes in the process's memory.
fn beginning_with(first: u32, room: usize) -> Vec<u32> {
    let mut vector = Vec::with_capacity(room);
    vector.push(first);
    vector
}

/// The number of different beginnings of sorted words, the empty one among them.
fn count_states(words: &[&str]) -> usize {
    let mut before = "";
    let new = words.iter().map(|word| {
        let shared = word.chars().zip(before.chars()).take_while(|(one, other)| one == other).count();
        before = word;
        word.chars().count() - shared
    });
    1 + new.sum::<usize>()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::collection::btree_set;
    use proptest::prelude::*;

    use super::Automaton;
    use crate::wechat::tests::properties::config;

    fn found<'w>(words: &BTreeSet<&'w str>, text: &str) -> BTreeSet<(&'w str, usize)> {
        let words: Vec<_> = words.iter().copied().collect();
        let mut found = BTreeSet::new();
        Automaton::new(&words).search(text, |word, end| {
            assert!(found.insert((words[word], end)), "twice");
        });
        found
    }

    fn looked_for<'w>(words: &BTreeSet<&'w str>, text: &str) -> BTreeSet<(&'w str, usize)> {
        let ends = |end: &usize| text.is_char_boundary(*end);
        let here = |end| words.iter().filter(move |word| text[..end].ends_with(**word)).map(move |word| (*word, end));
        (0..=text.len()).filter(ends).flat_map(here).collect()
    }

    #[test]
    fn a_word_within_another_is_found_too() {
        for (words, text) in [
            (&["人", "人工", "工", "转人工客服", "客"][..], "转人工客人工"),
            (&["aab", "ab", "b"], "aaabab"),
            (&["😀", "é", "a😀"], "😀a😀éa"),
            (&["\u{ffff}", "\u{10000}", "\u{10ffff}"], "\u{10000}\u{ffff}\u{fffe}\u{10ffff}\u{10fffe}"),
            (&["人工"], "人"),
            (&["人工"], ""),
            (&[], "人工"),
        ] {
            let words = words.iter().copied().collect();
            assert_eq!(found(&words, text), looked_for(&words, text), "{text}");
        }
    }

    proptest! {
        #![proptest_config(config(2000))]

        #[test]
        fn what_is_found_is_what_stands_there(words in btree_set("[ab人工é😀]{1,5}", 0..20), text in "[ab人工é😀z]{0,30}") {
            let words = words.iter().map(String::as_str).collect();
            prop_assert_eq!(found(&words, &text), looked_for(&words, &text));
        }
    }
}
