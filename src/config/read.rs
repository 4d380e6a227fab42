//! Reads files, and says clearly why one can not be read.

use std::fs;
use std::io;
use std::path::Path;

use super::fault::Fault;

pub(super) fn bytes(path: &Path) -> Result<Vec<u8>, Fault> {
    fs::read(path).map_err(|error| {
        let help = match error.kind() {
            io::ErrorKind::PermissionDenied => Some("the user that runs kfgate must be able to read it".to_owned()),
            _ => None,
        };
        Fault::new(format!("can not read {}", path.display())).maybe(help).because(error)
    })
}

/// A text without its byte order mark.
pub(super) fn text(path: &Path) -> Result<String, Fault> {
    let mut text = String::from_utf8(bytes(path)?).map_err(|error| {
        let line = error.as_bytes()[..error.utf8_error().valid_up_to()].split(|byte| *byte == b'\n').count();
        Fault::new(format!("{}, line {line}, is not UTF-8", path.display()))
            .help("save the file as UTF-8: iconv -f GB18030 -t UTF-8")
            .because(error.utf8_error())
    })?;
    if text.starts_with('\u{feff}') {
        text.drain(..'\u{feff}'.len_utf8());
    }
    Ok(text)
}
