//! The words the tests are written in: a bot, a gate, a client, and what WeChat and a bot say.

pub mod bot;
pub mod client;
pub mod gate;
pub mod process;
pub mod tls;
pub mod wechat;
pub mod wire;

pub use bot::{Bot, Talk};
pub use client::Client;
pub use gate::{Gate, Setup};
pub use wechat::{event, post, text};
pub use wire::{Message, ok};

use std::thread;
use std::time::{Duration, Instant};

/// No test waits longer for anything; what is to happen happens in milliseconds.
pub const PATIENCE: Duration = Duration::from_secs(10);

/// Waits until there is something.
#[track_caller]
pub fn eventually<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
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
pub fn shown(bytes: &[u8]) -> String {
    bytes[..bytes.len().min(2000)].escape_ascii().to_string()
}
