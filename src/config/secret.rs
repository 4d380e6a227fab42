//! Secrets: written in the file, or named there as another file or an environment variable.
//!
//! What stands in the place of a name may be the secret itself, so neither is ever shown.

use std::env;
use std::fs;
use std::ops::Range;
use std::path::Path;

use zeroize::Zeroizing;

use super::fault::Fault;
use super::table::{Item, Table};

/// A secret and where it stands.
pub(super) struct Secret {
    pub(super) text: Zeroizing<String>,
    pub(super) span: Range<usize>,
}

/// The secret of a key, and whether there is one at all: what is wrong with it has been reported.
pub(super) fn secret(table: &Table<'_>, key: &str, base: &Path) -> Option<Secret> {
    secrets(table, key, base).pop()
}

/// The secret of a key, or those of its list.
pub(super) fn secrets(table: &Table<'_>, key: &str, base: &Path) -> Vec<Secret> {
    let read = |item| {
        let (text, span) = match item {
            Item::Text(text) => (Ok(Zeroizing::new(text.text.to_owned())), text.span),
            Item::Table(place) => (resolve(&place, base)?, place.span),
        };
        let text =
            text.and_then(|text| if text.is_empty() { Err(Fault::new("this secret is empty")) } else { Ok(text) });
        text.map_err(|fault| table.error(span.clone(), fault)).ok().map(|text| Secret { text, span })
    };
    table.items(key).into_iter().filter_map(read).collect()
}

/// The secret that is kept elsewhere. None where the table has another fault, which the schema's check reports.
fn resolve(place: &Table<'_>, base: &Path) -> Option<Result<Zeroizing<String>, Fault>> {
    let which = Fault::new("expected one of `file` and `env`").help("{ file = \"…\" } or { env = \"…\" }");
    match (place.text("file"), place.text("env")) {
        (Some(file), None) => Some(of_file(&base.join(file.text))),
        (None, Some(name)) => Some(of_environment(name.text)),
        (None, None) if place.keys().next().is_some() => None,
        _ => Some(Err(which)),
    }
}

fn of_file(path: &Path) -> Result<Zeroizing<String>, Fault> {
    let help = "the user that runs kfgate must be able to read it; a relative path starts at this file";
    let read = fs::read_to_string(path).map(Zeroizing::new);
    let text = read.map_err(|error| Fault::new("can not read the file of this secret").help(help).because(error))?;
    Ok(Zeroizing::new(text.trim_start_matches('\u{feff}').trim().to_owned()))
}

fn of_environment(name: &str) -> Result<Zeroizing<String>, Fault> {
    // Some names make the system's call panic.
    let is_name = !name.is_empty() && !name.contains(['=', '\0']);
    let value = if is_name { env::var(name).ok() } else { None };
    let value = value.map(Zeroizing::new);
    let fault = || Fault::new("the environment variable of this secret is not set, or is not UTF-8");
    value.map(|value| Zeroizing::new(value.trim().to_owned())).ok_or_else(fault)
}
