use std::fmt;

use super::matcher::normalise;
use crate::wechat::UserMessage;

/// The words with which a user ends a sticky transfer, compared as keywords are.
#[derive(Default)]
pub struct CancelWords(Box<[Box<str>]>);

impl CancelWords {
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether the user says one of them, and nothing else.
    pub fn are_said(&self, message: &UserMessage<'_>) -> bool {
        let said = || message.words().map(normalise);
        !self.is_empty() && said().is_some_and(|said| self.0.iter().any(|word| **word == *said))
    }
}

impl<'w> FromIterator<&'w str> for CancelWords {
    fn from_iter<I: IntoIterator<Item = &'w str>>(words: I) -> Self {
        Self(words.into_iter().map(|word| normalise(word).into()).collect())
    }
}

impl fmt::Debug for CancelWords {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("CancelWords").field(&self.0.len()).finish()
    }
}
