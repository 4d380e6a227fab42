//! The words the tests are written in: a bot, a gate, a client, and what WeChat and a bot say.

pub(crate) mod bot;
pub(crate) mod client;
pub(crate) mod gate;
pub(crate) mod process;
pub(crate) mod recorder;
pub(crate) mod sealing;
pub(crate) mod strict;
pub(crate) mod tls;
pub(crate) mod wechat;
pub(crate) mod wire;

pub(crate) use bot::{Bot, Talk};
pub(crate) use client::Client;
pub(crate) use gate::{Gate, Setup};
pub(crate) use recorder::Recorder;
pub(crate) use wechat::{event, post, text};
pub(crate) use wire::{Message, ok};

use std::thread;
use std::time::{Duration, Instant};

/// No test waits longer for anything; what is to happen happens in milliseconds.
pub(crate) const PATIENCE: Duration = Duration::from_secs(10);

/// Waits until there is something.
#[track_caller]
pub(crate) fn eventually<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let started = Instant::now();
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(started.elapsed() < PATIENCE, "still not: {what}");
        thread::sleep(Duration::from_millis(1));
    }
}

/// Bytes for a person to read.
pub(crate) fn shown(bytes: &[u8]) -> String {
    bytes[..bytes.len().min(2000)].escape_ascii().to_string()
}
