//! Clients that want one request to be two: whatever they send, the bot gets the requests that there is one way to
//! read, in order, and nothing else.

pub(crate) mod payloads;

use std::fmt::Write as _;
use std::io::{Read as _, Write as _};
use std::net::{Shutdown, TcpStream};
use std::thread;

use self::payloads::{Corpus, SMUGGLED};
use crate::support::strict::{self, Read, Request};
use crate::support::{Gate, PATIENCE, Recorder, Setup, shown};

/// A callback, which goes whole where the route lets it.
const GOOD: &str = "POST /good HTTP/1.1\r\nHost: a\r\nContent-Length: 6\r\n\r\n<xml/>";

/// How a payload is sent.
#[derive(Debug, Clone, Copy)]
struct Way {
    is_whole: bool,
    behind_another: bool,
    byte_by_byte: bool,
}

fn ways() -> impl Iterator<Item = Way> {
    (0..8).map(|bits| Way { is_whole: bits & 1 == 0, behind_another: bits & 2 != 0, byte_by_byte: bits & 4 != 0 })
}

/// What became of the payloads of a corpus.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
struct Tally {
    tried: usize,
    refused: usize,
    passed: usize,
    /// Odd chunks that went on as plain ones, on a connection that ended with them.
    resolved: usize,
}

/// What became of a payload.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fate {
    Refused,
    Passed,
    Resolved,
}

struct Scene {
    way: Way,
    bot: Recorder,
    gate: Gate,
}

impl Scene {
    fn new(way: Way) -> Self {
        let bot = Recorder::echoing();
        // The second is a flag that the gate's own HTTP leaves to hyper.
        let flag = if way.is_whole { "X-Flag" } else { "X_Flag" };
        let gate = Setup::to(&bot.url()).route(&format!("flag_header = \"{flag}\"")).start();
        Self { way, bot, gate }
    }

    /// Sends everything, says that this was all, and returns all that comes back.
    fn exchange(&self, bytes: &[u8]) -> Vec<u8> {
        let mut stream = TcpStream::connect(("127.0.0.1", self.gate.port)).unwrap();
        stream.set_nodelay(true).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        let size = if self.way.byte_by_byte && bytes.len() < 3000 { 1 } else { bytes.len() };
        for piece in bytes.chunks(size) {
            // It may have been refused already.
            if stream.write_all(piece).is_err() {
                break;
            }
        }
        let _ = stream.shutdown(Shutdown::Write);
        let mut answers = Vec::new();
        if let Err(error) = stream.read_to_end(&mut answers) {
            assert_eq!(error.kind(), std::io::ErrorKind::ConnectionReset, "{:?}: {}", self.way, shown(bytes));
        }
        answers
    }

    fn try_payload(&self, payload: &[u8]) -> Fate {
        let before = if self.way.behind_another { GOOD } else { "" };
        let bytes = [before.as_bytes(), payload].concat();
        let answers = self.exchange(&bytes);
        let (mut expected, stop) = strict::all(&bytes);
        let seen = self.bot.take();
        let what = || format!("{:?}: {}\nanswered {}", self.way, shown(&bytes), shown(&answers));
        let mut fate = if seen.len() > usize::from(self.way.behind_another) { Fate::Passed } else { Fate::Refused };
        if let (Read::OddChunks(mut odd), true) = (stop, seen.len() > expected.len()) {
            // hyper has read them in its own way: what it made of them is clear, and was the last of its connection.
            odd.body.clone_from(&seen[expected.len()].body);
            let says_close = answers.windows(20).any(|window| window.eq_ignore_ascii_case(b"\r\nConnection: close\r"));
            assert!(says_close, "{}", what());
            expected.push(*odd);
            fate = Fate::Resolved;
        }
        assert!(seen.len() <= expected.len(), "{}\nwas {} requests: {seen:?}", what(), seen.len());
        for (seen, expected) in seen.iter().zip(&expected) {
            assert_eq!(key(seen), key(expected), "{}", what());
        }
        assert_eq!(self.bot.faults(), Vec::<String>::new(), "{}", what());
        in_order(&answers, &expected).unwrap_or_else(|fault| panic!("{fault}: {}", what()));
        // What it left behind spoils nothing for others.
        let next = self.exchange(SMUGGLED.replace("smuggled", "innocent").as_bytes());
        assert!(next.ends_with(b"\r\n\r\n/innocent"), "{}\nthen {}", what(), shown(&next));
        assert_eq!(self.bot.take().len(), 1, "{}", what());
        fate
    }
}

fn key(request: &Request) -> (&str, &str, &[u8], Vec<&[u8]>) {
    (&request.method, &request.target, &request.body, request.values("x"))
}

/// The answers are those to the requests, in order, and at most one refusal at the end.
fn in_order(mut answers: &[u8], requests: &[Request]) -> Result<(), String> {
    let mut requests = requests.iter();
    while !answers.is_empty() {
        let Some(end) = answers.windows(4).position(|window| window == b"\r\n\r\n") else { return Ok(()) };
        let head = String::from_utf8_lossy(&answers[..end]).to_ascii_lowercase();
        answers = &answers[end + 4..];
        let status = head.get(9..12).unwrap_or_default();
        if status == "100" {
            continue;
        }
        let length = head.split("content-length: ").nth(1).and_then(|rest| rest.lines().next());
        let length: usize = length.and_then(|length| length.parse().ok()).unwrap_or(0);
        if status != "200" {
            return Ok(());
        }
        let request = requests.next().ok_or("an answer to nothing")?;
        if request.method != "HEAD" {
            let body = answers.get(..length).ok_or("half an answer")?;
            if body != request.target.as_bytes() {
                return Err(format!("the answer to {} is {}", request.target, body.escape_ascii()));
            }
            answers = &answers[length..];
        }
    }
    Ok(())
}

#[test]
fn one_request_in_is_never_two_out() {
    let corpora = payloads::all();
    let tallies: Vec<Vec<Tally>> = thread::scope(|scope| {
        let corpora = &corpora;
        let runs: Vec<_> = ways().map(|way| scope.spawn(move || run(way, corpora))).collect();
        runs.into_iter().map(|run| run.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))).collect()
    });
    let mut table = String::new();
    let mut of_all = Tally::default();
    for (number, corpus) in corpora.iter().enumerate() {
        let Tally { tried, refused, passed, resolved } = tallies[0][number];
        let _ = writeln!(
            table,
            "{}: {tried} payloads, {refused} refused, {passed} passed unambiguously, {resolved} passed as plain chunks",
            corpus.name
        );
        for (tally, way) in tallies.iter().zip(ways()) {
            assert_eq!(tally[number], tallies[0][number], "{way:?}: {}", corpus.name);
        }
        of_all.tried += tried;
        of_all.refused += refused;
        of_all.passed += passed;
    }
    eprintln!("{table}each in {} ways", tallies.len());
    assert!(of_all.tried > 700 && of_all.refused > 400 && of_all.passed > 50, "{of_all:?}\n{table}");
}

fn run(way: Way, corpora: &[Corpus]) -> Vec<Tally> {
    let scene = Scene::new(way);
    let tally = |corpus: &Corpus| {
        let fates: Vec<_> = corpus.payloads.iter().map(|payload| scene.try_payload(payload)).collect();
        let count = |fate| fates.iter().filter(|other| **other == fate).count();
        let (refused, passed) = (count(Fate::Refused), count(Fate::Passed));
        Tally { tried: fates.len(), refused, passed, resolved: count(Fate::Resolved) }
    };
    corpora.iter().map(tally).collect()
}
