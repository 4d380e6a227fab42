//! How many instructions the hot functions take, against what was recorded: a rise over 5 % fails.
//!
//! Instructions and not time, as a busy machine changes nothing about them. What does change them is named
//! in the record: the compiler, the C library, valgrind, the processor's extensions. Where one of these is
//! another than it was, nothing is compared: `NOT COMPARED` says so, and `tests/run` says so in its last line.

use std::collections::BTreeMap;
use std::env;
use std::fmt::Write as _;
use std::fs;
use std::path::Path;
use std::process::{Command, ExitCode};

mod workloads;

use workloads::{ALL, Given};

/// Where the counts are recorded.
const RECORD: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/bench/counts.txt");

const RECORD_ANEW: &str = "cargo bench --profile count --bench count -- --record";

/// Calls of each workload: what happens once, such as a look at the calendar, weighs little among them.
const CALLS: u64 = 200;

/// Instructions that count as a rise, in percent of what was recorded.
const TOLERANCE: u64 = 5;

/// An inner run does the work, under valgrind.
const INNER: &str = "--inner";

type Counts = BTreeMap<String, u64>;

fn main() -> ExitCode {
    let has = |flag: &str| env::args().any(|argument| argument == flag);
    if has(INNER) {
        work();
        return ExitCode::SUCCESS;
    }
    match count().and_then(|counts| if has("--record") { record(&counts) } else { compare(&counts) }) {
        Ok(()) => ExitCode::SUCCESS,
        Err(problem) => {
            eprintln!("count: {problem}");
            ExitCode::FAILURE
        }
    }
}

fn work() {
    let given = Given::new();
    for (_, workload) in ALL {
        for _ in 0..CALLS {
            workload(&given);
        }
    }
    given.end();
}

/// Counts the instructions of one call of each workload.
fn count() -> Result<Counts, String> {
    let inner = env::current_exe().map_err(|error| format!("can not find myself: {error}"))?;
    let profile = Path::new(env!("CARGO_TARGET_TMPDIR")).join("callgrind.out");
    let options = ["--tool=callgrind", "--demangle=no", "--compress-strings=no", "--compress-pos=no", "--quiet"];
    let status = Command::new("valgrind")
        .args(options)
        .arg(format!("--callgrind-out-file={}", profile.display()))
        .arg(inner)
        .arg(INNER)
        // The size of the environment moves the stack, and the time zone's file may be read.
        .env_clear()
        .envs(env::var_os("PATH").map(|path| ("PATH", path)))
        .env("TZ", "UTC")
        .status()
        .map_err(|error| format!("can not run valgrind (Debian's package valgrind): {error}"))?;
    if !status.success() {
        return Err(format!("valgrind: {status}"));
    }
    let read = fs::read_to_string(&profile).map_err(|error| format!("{}: {error}", profile.display()))?;
    let totals = totals(&read);
    let one = |name: &str| totals.get(name).map(|total| (name.to_owned(), total / CALLS));
    ALL.iter().map(|(name, _)| one(name).ok_or_else(|| format!("{name} is not in {}", profile.display()))).collect()
}

/// The instructions in each workload and in what it calls, from a profile as described in
/// <https://valgrind.org/docs/manual/cl-format.html>: a call is its callee's name, `calls=`, and on the line
/// behind that a position and the cost.
fn totals(profile: &str) -> Counts {
    let mut totals = Counts::new();
    let (mut callee, mut is_cost) = (None, false);
    for line in profile.lines() {
        if let Some(symbol) = line.strip_prefix("cfn=") {
            callee = ALL.iter().map(|(name, _)| *name).find(|name| is_symbol_of(symbol, name));
        } else if is_cost && let Some(name) = callee {
            let cost = line.split(' ').next_back().and_then(|cost| cost.parse::<u64>().ok());
            *totals.entry(name.to_owned()).or_default() += cost.unwrap_or(0);
        }
        is_cost = line.starts_with("calls=");
    }
    totals
}

/// Both ways in which rustc writes a path write the length of each name ahead of it.
fn is_symbol_of(symbol: &str, name: &str) -> bool {
    symbol.contains(&format!("9workloads{}{name}", name.len()))
}

/// What a count depends on, beside the code.
fn surroundings() -> String {
    let said = |program: &str, argument: &str| {
        let output = Command::new(program).arg(argument).output().ok();
        let text = output.map(|output| String::from_utf8_lossy(&output.stdout).trim().to_owned());
        text.filter(|text| !text.is_empty()).unwrap_or_else(|| format!("no {program}"))
    };
    let rustc = env::var("RUSTC").unwrap_or_else(|_| "rustc".to_owned());
    let (rustc, libc, valgrind) =
        (said(&rustc, "-V"), said("getconf", "GNU_LIBC_VERSION"), said("valgrind", "--version"));
    format!("{rustc}, {libc}, {valgrind}, {}{}", env::consts::ARCH, extensions())
}

/// Valgrind shows every processor that has AVX2 as one and the same.
#[cfg(target_arch = "x86_64")]
fn extensions() -> &'static str {
    if is_x86_feature_detected!("avx2") { " with AVX2" } else { " without AVX2" }
}

#[cfg(not(target_arch = "x86_64"))]
fn extensions() -> &'static str {
    ""
}

fn record(counts: &Counts) -> Result<(), String> {
    let mut text = format!(
        "# Instructions of one call of each hot function. To record them anew:\n#   {RECORD_ANEW}\n# {}\n",
        surroundings()
    );
    for (name, _) in ALL {
        let _ = writeln!(text, "{name} {}", counts[*name]);
    }
    fs::write(RECORD, text).map_err(|error| format!("{RECORD}: {error}"))?;
    println!("count: recorded in {RECORD}");
    Ok(())
}

fn compare(counts: &Counts) -> Result<(), String> {
    let recorded = fs::read_to_string(RECORD).map_err(|error| format!("{RECORD}: {error}; {RECORD_ANEW}"))?;
    let surroundings = surroundings();
    let is_alike = recorded.lines().any(|line| line.strip_prefix("# ") == Some(&surroundings));
    let recorded: Counts = recorded.lines().filter_map(entry).collect();
    let mut faults = Vec::new();
    for (name, _) in ALL {
        let new = counts[*name];
        let Some(old) = recorded.get(*name).copied() else {
            println!("{name:20} {:>9} {new:>9}", "-");
            faults.push(format!("{name} is not recorded"));
            continue;
        };
        let change = 100.0 * (new as f64 / old as f64 - 1.0);
        println!("{name:20} {old:>9} {new:>9} {change:>+6.1} %");
        if new * 100 > old * (100 + TOLERANCE) {
            faults.push(format!("{name} takes {new} instructions, {change:.1} % more than the {old} recorded"));
        }
    }
    if !is_alike {
        eprintln!("count: NOT COMPARED: the counts were recorded elsewhere, here it is: {surroundings}");
        eprintln!("count: to record them here: {RECORD_ANEW}");
    } else if !faults.is_empty() {
        let faults = faults.join("\n");
        return Err(format!("{faults}\nIf that is what it has to cost, record it anew: {RECORD_ANEW}"));
    }
    Ok(())
}

/// A line of the record.
fn entry(line: &str) -> Option<(String, u64)> {
    let (name, count) = line.split_once(' ')?;
    Some((name.to_owned(), count.parse().ok()?))
}
