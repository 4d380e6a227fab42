//! The architecture, as a test: folders are floors, and imports go down only.

#![allow(clippy::unwrap_used, reason = "a test that can not go on fails")]

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

/// The floors, from the lowest up.
const FLOORS: [&str; 8] = ["wechat", "policy", "config", "telemetry", "state", "proxy", "admin", "cli"];

/// What the pure floors do not know: no runtime, no sockets, no clock, no randomness.
const IMPURE: [&str; 14] = [
    "tokio",
    "hyper",
    "hyper_util",
    "TcpStream",
    "TcpListener",
    "UdpSocket",
    "UnixStream",
    "UnixListener",
    "UnixDatagram",
    "SystemTime::now",
    "Instant::now",
    "Timestamp::now",
    "Zoned::now",
    "getrandom",
];

const PURE: usize = 3;

struct Line {
    file: PathBuf,
    number: usize,
    code: String,
}

impl Line {
    fn at(&self) -> String {
        format!("{}:{}: {}", self.file.display(), self.number, self.code.trim())
    }
}

fn files(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display())) {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(files(&path));
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
    found.sort();
    found
}

/// The lines of a folder that are code, without their comments.
fn code(folder: &str) -> Vec<Line> {
    let files = files(&Path::new(env!("CARGO_MANIFEST_DIR")).join(folder));
    files.iter().flat_map(|file| code_of(file)).collect()
}

fn code_of(file: &Path) -> Vec<Line> {
    let text = fs::read_to_string(file).unwrap();
    let short = file.strip_prefix(env!("CARGO_MANIFEST_DIR")).unwrap();
    let lines = text.lines().enumerate();
    let lines =
        lines.map(|(at, line)| Line { file: short.to_owned(), number: at + 1, code: without_comment(line).to_owned() });
    lines.filter(|line| !line.code.trim().is_empty()).collect()
}

/// A line up to its comment; `://` in a string is none.
fn without_comment(line: &str) -> &str {
    let comment = line.match_indices("//").find(|(at, _)| !line[..*at].ends_with(':') && !line[..*at].contains('"'));
    comment.map_or(line, |(at, _)| &line[..at])
}

/// The number of a floor.
fn floor(name: &str) -> Option<usize> {
    FLOORS.iter().position(|floor| *floor == name)
}

/// The words (identifiers) of a piece of code.
fn words(code: &str) -> impl Iterator<Item = &str> {
    code.split(|character: char| !character.is_alphanumeric() && character != '_').filter(|word| !word.is_empty())
}

/// The modules behind each `crate::` of a file, where a list may go on over several lines.
fn imports(lines: &[Line]) -> Vec<(usize, String)> {
    let mut found = Vec::new();
    for (at, line) in lines.iter().enumerate() {
        for (start, _) in line.code.match_indices("crate::") {
            let rest = &line.code[start + "crate::".len()..];
            if !rest.starts_with('{') {
                found.extend(words(rest).next().map(|name| (at, name.to_owned())));
                continue;
            }
            let list: String = lines[at..].iter().map(|line| line.code.as_str()).collect::<Vec<_>>().join(" ");
            let list = &list[list.find("crate::{").unwrap_or(0) + "crate::{".len()..];
            found.extend(top_level(list).into_iter().map(|name| (at, name)));
        }
    }
    found
}

/// The first word of each item of a braced list, up to its closing brace.
fn top_level(list: &str) -> Vec<String> {
    let (mut depth, mut items, mut item) = (0, Vec::new(), String::new());
    for character in list.chars() {
        match character {
            '}' if depth == 0 => break,
            '{' => depth += 1,
            '}' => depth -= 1,
            ',' if depth == 0 => items.push(std::mem::take(&mut item)),
            _ => {}
        }
        item.push(character);
    }
    items.push(item);
    items.iter().filter_map(|item| words(item).next().map(str::to_owned)).collect()
}

fn folders() -> BTreeSet<String> {
    let entries = fs::read_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("src")).unwrap();
    let folders = entries.map(|entry| entry.unwrap()).filter(|entry| entry.path().is_dir());
    folders.map(|entry| entry.file_name().into_string().unwrap()).collect()
}

#[test]
fn imports_go_down_only() {
    let mut seen = 0;
    for folder in folders() {
        let own = floor(&folder).unwrap_or_else(|| panic!("src/{folder} is no floor"));
        for file in files(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src").join(&folder)) {
            let lines = code_of(&file);
            for (at, name) in imports(&lines) {
                let target = floor(&name).unwrap_or_else(|| panic!("{name} is no floor: {}", lines[at].at()));
                assert!(target <= own, "floor {own} ({folder}) imports floor {target} ({name}): {}", lines[at].at());
                seen += 1;
            }
        }
    }
    assert!(seen > 50, "only {seen} imports were found: is this still looking at the right thing?");
}

#[test]
fn nobody_climbs_out_of_a_floor_by_the_stairs() {
    // src/floor/file.rs, with a module of tests in it, is two below the crate root.
    for line in code("src") {
        assert!(!line.code.contains("super::super::super"), "{}", line.at());
        assert!(!line.code.contains("#[path"), "{}", line.at());
    }
}

#[test]
fn the_lowest_floors_are_pure() {
    for folder in &FLOORS[..PURE] {
        for line in code(&format!("src/{folder}")) {
            for impure in IMPURE {
                let is_there = match impure.split_once("::") {
                    Some(_) => line.code.contains(impure),
                    None => words(&line.code).any(|word| word == impure),
                };
                assert!(!is_there, "{impure} on a pure floor: {}", line.at());
            }
        }
    }
}

#[test]
fn no_test_is_ignored() {
    let mut tests = 0;
    for line in code("src").iter().chain(&code("tests")) {
        let attribute = line.code.trim();
        assert!(!attribute.starts_with(concat!("#[", "ignore")), "{}", line.at());
        tests += usize::from(attribute == concat!("#[", "test]"));
    }
    assert!(tests > 100, "only {tests} tests were found");
}

#[test]
fn the_transfer_is_written_in_one_place() {
    let name = concat!("transfer_customer", "_service");
    let mut written = Vec::new();
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    for file in files(&source) {
        let place = file.strip_prefix(&source).unwrap();
        if place.components().any(|part| matches!(part.as_os_str().to_str(), Some("tests" | "tests.rs"))) {
            continue;
        }
        let lines = code_of(&file);
        // What a module's own tests compare with is not what it says.
        let tests = lines.iter().position(|line| line.code.starts_with("mod tests {")).unwrap_or(lines.len());
        written.extend(lines.into_iter().take(tests).filter(|line| line.code.contains(name)));
    }
    let [line] = &written[..] else {
        panic!("written in {} places:\n{}", written.len(), written.iter().map(Line::at).collect::<Vec<_>>().join("\n"))
    };
    assert!(line.file.starts_with("src/wechat") && line.code.contains("const TRANSFER"), "{}", line.at());
}

#[test]
fn the_crate_root_lists_the_floors() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/lib.rs");
    let lines = code_of(&root);
    let listed: BTreeSet<_> = lines
        .iter()
        .map(|line| {
            let module = line.code.trim().strip_prefix("pub mod ").and_then(|rest| rest.strip_suffix(';'));
            module.unwrap_or_else(|| panic!("the crate root is a list of modules: {}", line.at())).to_owned()
        })
        .collect();
    assert_eq!(listed, folders(), "src/lib.rs and the folders of src");
    let map = fs::read_to_string(root).unwrap();
    for name in listed {
        let number = floor(&name).unwrap_or_else(|| panic!("src/{name} is no floor"));
        assert!(map.contains(&format!("| {number} | [`{name}`] |")), "the map has no row for floor {number}, {name}");
    }
}

#[test]
fn main_is_a_doorknob() {
    let lines = code_of(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src/main.rs"));
    assert!(lines.len() < 10, "src/main.rs has {} lines", lines.len());
}
