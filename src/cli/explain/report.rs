//! The explanation, as it is shown.

use std::fmt;

use super::words;
use crate::cli::terminal::harmless;
use crate::config::{Route, TransferMode};
use crate::policy::Action;
use crate::wechat::{Inbound, SUCCESS};

/// The steps of the decision, by number from 1.
const STEPS: [&str; 10] = [
    "a readable callback",
    "an event",
    "transferred already",
    "request flag",
    "sticky transfer",
    "short-circuit rules",
    "the bot",
    "response flag",
    "rewrite and reply rules",
    "otherwise",
];

/// What is said of a callback.
#[derive(Debug)]
pub(super) struct Explanation {
    what: String,
    addresses: Option<String>,
    words: Option<String>,
    route: String,
    mode: TransferMode,
    steps: [Vec<String>; STEPS.len()],
    result: Outcome,
}

/// What it comes to.
#[derive(Debug)]
pub(super) enum Outcome {
    /// Only the bot's reply decides.
    Open,
    /// This, whatever else goes out with it.
    Decided(Action),
    /// A transfer, with its Content-Type and body.
    Transfer(Action, &'static str, String),
}

impl Explanation {
    pub(super) fn new(route: &Route, inbound: &Inbound<'_>) -> Self {
        let words = match inbound {
            Inbound::Message(message) => message.words().map(words::quoted),
            Inbound::Event(_) | Inbound::Other(_) => None,
        };
        let mode = route.transfer;
        let (name, place, url) = (&route.name, route.place(), &route.upstream.url);
        let route = format!("{name} ({place}) to {url}, transfer {}", mode.as_str());
        let (what, addresses) = (words::inbound(inbound), words::addresses(inbound));
        Self { what, addresses, words, route, mode, steps: Default::default(), result: Outcome::Open }
    }

    /// Adds that it came encrypted, and whether it was opened.
    pub(super) fn is_encrypted(&mut self, is_opened: bool) {
        self.what.push_str(if is_opened { ", encrypted" } else { ", encrypted, not decrypted" });
    }

    /// Adds a line to a step.
    pub(super) fn say(&mut self, step: usize, line: impl Into<String>) {
        self.steps[step - 1].push(line.into());
    }

    /// Adds a line to a step of which nothing has been said.
    pub(super) fn or_say(&mut self, step: usize, line: &str) {
        if self.steps[step - 1].is_empty() {
            self.say(step, line);
        }
    }

    pub(super) fn end(self, result: Outcome) -> Self {
        Self { result, ..self }
    }
}

impl fmt::Display for Explanation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "callback  {}", self.what)?;
        for (name, line) in [("from", &self.addresses), ("words", &self.words)] {
            line.as_ref().map_or(Ok(()), |line| writeln!(f, "{name:9} {line}"))?;
        }
        writeln!(f, "route     {}", self.route)?;
        if self.mode == TransferMode::Off {
            writeln!(
                f,
                "\nNothing is looked at, all passes untouched (log: forward, off). With transfer = \"on\" it would be:"
            )?;
        }
        writeln!(f)?;
        for (at, lines) in self.steps.iter().enumerate() {
            step(f, at + 1, lines)?;
        }
        writeln!(f)?;
        self.result(f)
    }
}

fn step(f: &mut fmt::Formatter<'_>, number: usize, lines: &[String]) -> fmt::Result {
    let first = lines.first().map_or("not reached", String::as_str);
    writeln!(f, "{number:2} {:25} {first}", STEPS[number - 1])?;
    lines.iter().skip(1).try_for_each(|line| writeln!(f, "{:28} {line}", ""))
}

impl Explanation {
    fn result(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let action = match &self.result {
            Outcome::Open => {
                return writeln!(f, "result    the bot decides; give its reply (--reply, --reply-flag) to see how");
            }
            Outcome::Decided(action) | Outcome::Transfer(action, ..) => action,
        };
        writeln!(f, "result    {}; log: {}", words::deed(action), words::logged(action))?;
        if self.mode == TransferMode::DryRun && !matches!(action, Action::Forward(_)) {
            return writeln!(f, "          transfer = \"dry-run\": this is logged, and the bot's reply goes out");
        }
        match &self.result {
            Outcome::Transfer(_, content_type, body) => {
                writeln!(f, "          200, Content-Type: {content_type}, {} bytes:\n\n{}", body.len(), harmless(body))
            }
            Outcome::Decided(Action::Empty(_) | Action::Suppress) => {
                writeln!(f, "          200, Content-Type: text/plain; charset=utf-8, {} bytes", SUCCESS.len())
            }
            _ => Ok(()),
        }
    }
}
