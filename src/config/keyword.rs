//! Keywords, in the configuration and in files of their own.

use std::path::Path;

use super::fault::Fault;
use super::read;
use crate::policy::matcher::normalise;

/// A keyword that can be found in a text.
pub(super) fn keyword(text: &str, exact_text: bool) -> Result<&str, Fault> {
    if text.is_empty() {
        Err(Fault::new("an empty keyword can never match"))
    } else if is_findable(text, exact_text) {
        Ok(text)
    } else {
        Err(Fault::new("can never match: surrounding white space is disregarded, and nothing else is here")
            .help("exact_text = true compares it as it is"))
    }
}

/// The keywords of a file: one a line, `#` comments.
pub(super) fn keywords_of_file(path: &Path, exact_text: bool) -> Result<Vec<String>, Fault> {
    let text = read::text(path)?;
    let lines = text.lines().map(str::trim).filter(|line| !line.starts_with('#') && is_findable(line, exact_text));
    Ok(lines.map(str::to_owned).collect())
}

fn is_findable(text: &str, exact_text: bool) -> bool {
    if exact_text { !text.is_empty() } else { !normalise(text).is_empty() }
}
