//! The configurations in `tests/config`: those of `good` load, those of `bad` are refused with the
//! words of the `.stderr` beside them. `KFGATE_BLESS=1` writes these anew.

use std::fs;
use std::path::{Path, PathBuf};

use super::load;

/// The fixtures of a folder, relative to where the tests run: errors name them so.
fn fixtures(folder: &str) -> Vec<PathBuf> {
    let entries = fs::read_dir(Path::new("tests/config").join(folder)).unwrap();
    let mut files: Vec<_> = entries.map(|entry| entry.unwrap().path()).collect();
    files.retain(|file| file.extension().is_some_and(|extension| extension == "toml"));
    files.sort();
    files
}

/// Compares what was said with what is expected beside the file.
fn assert_said(file: &Path, said: &str) {
    let expected = file.with_extension("stderr");
    if std::env::var_os("KFGATE_BLESS").is_some() {
        fs::write(&expected, said).unwrap();
    }
    assert_eq!(said, fs::read_to_string(&expected).unwrap_or_default(), "{}", file.display());
}

#[test]
fn what_is_right_loads() {
    let files = fixtures("good");
    for file in files.iter().map(PathBuf::as_path).chain([Path::new("deploy/kfgate.toml")]) {
        let loaded = load(file).unwrap_or_else(|errors| panic!("{errors}"));
        let warnings: String = loaded.warnings.iter().map(|warning| format!("{warning}\n")).collect();
        if warnings.is_empty() {
            assert!(!file.with_extension("stderr").exists(), "{}: no warnings", file.display());
        } else {
            assert_said(file, &warnings);
        }
    }
    assert_eq!(files.len(), 4);
}

#[test]
fn what_is_wrong_is_refused_with_everything_that_is_wrong() {
    let files = fixtures("bad");
    for file in &files {
        let errors = load(file).expect_err(&file.display().to_string());
        assert_said(file, &format!("{errors}\n"));
    }
    assert_eq!(files.len(), 0);
}
