//! What is wrong with one thing that was written, wherever it stands.

use std::error::Error;
use std::fmt;

/// A reason, what to write instead, and the error below it. Never quotes a value: it may be a secret.
#[derive(Debug)]
pub(super) struct Fault {
    reason: String,
    help: Option<String>,
    source: Option<Box<dyn Error + Send + Sync>>,
}

impl Fault {
    pub(super) fn new(reason: impl Into<String>) -> Self {
        Self { reason: reason.into(), help: None, source: None }
    }

    pub(super) fn help(self, help: impl Into<String>) -> Self {
        Self { help: Some(help.into()), ..self }
    }

    /// Help, where there is some to give.
    pub(super) fn maybe(self, help: Option<String>) -> Self {
        Self { help, ..self }
    }

    pub(super) fn because(self, source: impl Error + Send + Sync + 'static) -> Self {
        Self { source: Some(Box::new(source)), ..self }
    }

    pub(super) fn suggestion(&self) -> Option<&str> {
        self.help.as_deref()
    }

    pub(super) fn cause(&self) -> Option<&(dyn Error + 'static)> {
        self.source.as_deref().map(|source| source as _)
    }
}

/// The reason, with the last line of the error below: a regex error draws the pattern above it.
impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.reason)?;
        let Some(source) = &self.source else { return Ok(()) };
        let source = source.to_string();
        let last = source.lines().next_back().unwrap_or_default();
        write!(f, ": {}", last.trim_start_matches("error: "))
    }
}

/// What a mistyped word was probably meant to be.
pub(super) fn did_you_mean(word: &str, known: impl IntoIterator<Item = &'static str>) -> Option<String> {
    let written = word.to_lowercase().replace('-', "_");
    let distance = |name: &str| strsim::damerau_levenshtein(&written, &name.replace('-', "_"));
    let (near, name) = known.into_iter().map(|name| (distance(name), name)).min()?;
    (near <= 1 + name.len() / 4).then(|| format!("did you mean `{name}`?"))
}
