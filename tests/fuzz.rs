//! The fuzz targets of `tests/fuzz` on a stable toolchain: the seeds, and blind mutations of them. With
//! `KFGATE_FUZZ_SECONDS` for so long, else a fixed number of times.

#![allow(clippy::unwrap_used, reason = "a test that can not go on fails")]

#[path = "fuzz/gate.rs"]
mod gate;
#[path = "fuzz/oracle.rs"]
mod oracle;

use std::fs;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::time::{Duration, Instant};

use kfgate::telemetry::Entropy;

/// Mutations of a run that is not told how long to go on.
const ROUNDS: u64 = 5_000;

/// What is put in whole: a flipped bit would not find it.
const TOKENS: [&str; 36] = [
    "<xml>",
    "</xml>",
    "<MsgType>",
    "</MsgType>",
    "event",
    "text",
    "<![CDATA[",
    "]]>",
    "<Encrypt>",
    "</Encrypt>",
    "<Event>",
    "<!--",
    "-->",
    "<?xml",
    "<!DOCTYPE",
    "&#x65;",
    "encrypt_type=aes&",
    "msg_signature=",
    "nonce=",
    "%",
    "\"MsgType\":",
    "\u{feff}",
    "\0",
    "=",
    "\r\n",
    "\n",
    "\r",
    "0\r\n\r\n",
    "Content-Length: 3\r\n",
    "Transfer-Encoding: chunked\r\n",
    "Host: b\r\n",
    "Connection: ",
    " HTTP/1.1\r\n",
    "GET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n",
    "\t",
    ";",
];

#[test]
fn no_envelope_is_believed_that_should_not_be() {
    fuzz("envelope", oracle::envelope);
}

#[test]
fn no_document_is_read_in_two_ways() {
    fuzz("document", oracle::document);
}

#[test]
fn no_request_reaches_the_bot_that_can_be_read_in_two_ways() {
    fuzz("request", gate::request);
}

fn fuzz(target: &str, check: fn(&[u8])) {
    let seeds = seeds(target);
    for seed in &seeds {
        check(seed);
    }
    let seconds = std::env::var("KFGATE_FUZZ_SECONDS").ok().map(|text| text.parse().expect("seconds"));
    let began = Instant::now();
    let is_over = |round| seconds.map_or(round == ROUNDS, |limit| began.elapsed() >= Duration::from_secs(limit));
    let mut source = Source(Entropy::seeded());
    let mut round = 0;
    while !is_over(round) {
        let input = source.mutated(&seeds);
        if let Err(panic) = catch_unwind(AssertUnwindSafe(|| check(&input))) {
            let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("{target}.failed"));
            fs::write(&path, &input).unwrap();
            eprintln!("{target}: the input is in {}: {}", path.display(), input.escape_ascii());
            std::panic::resume_unwind(panic);
        }
        round += 1;
    }
    eprintln!("{target}: {round} blind mutations of {} seeds, no coverage", seeds.len());
}

fn seeds(target: &str) -> Vec<Vec<u8>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fuzz/corpus").join(target);
    let mut paths: Vec<_> = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    assert!(paths.len() >= 10, "{paths:?}");
    paths.iter().map(|path| fs::read(path).unwrap()).collect()
}

struct Source(Entropy);

impl Source {
    fn below(&mut self, end: usize) -> usize {
        (self.0.next_u64() % end.max(1) as u64) as usize
    }

    fn mutated(&mut self, seeds: &[Vec<u8>]) -> Vec<u8> {
        let mut bytes = seeds[self.below(seeds.len())].clone();
        for _ in 0..=self.below(6) {
            let at = self.below(bytes.len() + 1);
            let end = (at + self.below(24)).min(bytes.len());
            match self.below(7) {
                0 if at < bytes.len() => bytes[at] ^= 1 << self.below(8),
                1 if at < bytes.len() => bytes[at] = self.below(256) as u8,
                2 => drop(bytes.drain(at..end)),
                3 => {
                    let copy = bytes[at..end].to_vec();
                    let to = self.below(bytes.len());
                    bytes.splice(to..to, copy);
                }
                4 => {
                    let other = &seeds[self.below(seeds.len())];
                    let from = self.below(other.len());
                    bytes.truncate(at);
                    bytes.extend_from_slice(&other[from..]);
                }
                _ => {
                    let token = TOKENS[self.below(TOKENS.len())];
                    bytes.splice(at..at, token.bytes());
                }
            }
        }
        bytes
    }
}
