//! One request to the bot for all deliveries of a callback: the first asks, those that come meanwhile wait for its
//! answer, and those that come a little later get it again.

use std::collections::{HashMap, VecDeque};
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::HeaderMap;
use http::response::Parts;
use tokio::sync::watch;

use super::key::Key;

/// A bot's answer, whole, as it came.
#[derive(Clone)]
pub struct Kept {
    pub parts: Parts,
    pub body: Bytes,
    pub trailers: Option<HeaderMap>,
}

impl Kept {
    /// The memory it takes, more or less: with what is needed to find it, a kilobyte at least.
    fn size(&self) -> usize {
        let of = |headers: &HeaderMap| -> usize {
            headers.iter().map(|(name, value)| name.as_str().len() + value.len() + 64).sum()
        };
        1024 + self.body.len() + of(&self.parts.headers) + self.trailers.as_ref().map_or(0, of)
    }
}

/// Leaves out what the bot said.
impl fmt::Debug for Kept {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Kept").field("status", &self.parts.status).finish_non_exhaustive()
    }
}

/// The callbacks that the bot is being asked about, and those it answered a moment ago.
pub(super) struct Flights {
    room: Mutex<Room>,
    /// For the answers together, in bytes.
    limit: usize,
}

#[derive(Default)]
struct Room {
    flights: HashMap<Key, Stage>,
    /// Those that have been answered, in the order of their answers, and until when these are kept.
    answered: VecDeque<(Key, Instant)>,
    /// What the answers take, in bytes.
    size: usize,
}

enum Stage {
    /// Somebody asks. It ends when that one is done, or gone.
    UnderWay(watch::Receiver<()>),
    Answered(Arc<Kept>),
}

impl Flights {
    const KEPT: Duration = Duration::from_secs(30);
    const LIMIT: usize = 32 << 20;

    fn with_limit(limit: usize) -> Self {
        Self { room: Mutex::default(), limit }
    }

    fn room(&self) -> MutexGuard<'_, Room> {
        self.room.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn sweep(&self, now: Instant) {
        self.room().sweep(now);
    }
}

impl Default for Flights {
    fn default() -> Self {
        Self::with_limit(Self::LIMIT)
    }
}

impl fmt::Debug for Flights {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Flights").finish_non_exhaustive()
    }
}

impl Room {
    fn sweep(&mut self, now: Instant) {
        while self.answered.front().is_some_and(|(_, until)| *until <= now) {
            self.forget_oldest();
        }
        if self.flights.is_empty() {
            *self = Self::default();
        }
    }

    fn forget_oldest(&mut self) {
        let Some((key, _)) = self.answered.pop_front() else { return };
        if let Some(Stage::Answered(kept)) = self.flights.remove(&key) {
            self.size -= kept.size();
        }
    }
}

/// A callback, among others.
#[derive(Debug, Clone)]
pub struct Flight {
    flights: Arc<Flights>,
    key: Key,
}

/// What a delivery of a callback is to do.
#[derive(Debug)]
pub enum Joined {
    /// Ask the bot.
    Lead(Lead),
    /// Wait for the one that asks, and join again.
    Wait(Wait),
    /// Give this answer.
    Replay(Arc<Kept>),
}

impl Flight {
    pub(super) fn new(flights: Arc<Flights>, key: Key) -> Self {
        Self { flights, key }
    }

    pub fn join(&self, now: Instant) -> Joined {
        let mut room = self.flights.room();
        room.sweep(now);
        match room.flights.get(&self.key) {
            Some(Stage::UnderWay(end)) => Joined::Wait(Wait(end.clone())),
            Some(Stage::Answered(kept)) => Joined::Replay(kept.clone()),
            None => {
                let (over, end) = watch::channel(());
                room.flights.insert(self.key, Stage::UnderWay(end));
                Joined::Lead(Lead { flight: self.clone(), is_answered: false, _over: over })
            }
        }
    }
}

/// Asks the bot for all. If it is dropped, the bot has failed, and the next one asks.
#[derive(Debug)]
pub struct Lead {
    flight: Flight,
    is_answered: bool,
    /// Those who wait hear of its end.
    _over: watch::Sender<()>,
}

impl Lead {
    /// Leaves the answer to those who wait, and to those who come a little later; one that is too large for that
    /// is for nobody else.
    pub fn answered(mut self, kept: Kept, now: Instant) {
        let Flight { flights, key } = &self.flight;
        let size = kept.size();
        if size > flights.limit {
            return;
        }
        let mut room = flights.room();
        while room.size + size > flights.limit {
            room.forget_oldest();
        }
        room.size += size;
        room.flights.insert(*key, Stage::Answered(Arc::new(kept)));
        room.answered.push_back((*key, now + Flights::KEPT));
        drop(room);
        self.is_answered = true;
    }
}

impl Drop for Lead {
    fn drop(&mut self) {
        if !self.is_answered {
            self.flight.flights.room().flights.remove(&self.flight.key);
        }
    }
}

/// Waits for the one that asks the bot.
#[derive(Debug)]
pub struct Wait(watch::Receiver<()>);

impl Wait {
    /// Until that one is done, or gone.
    pub async fn over(mut self) {
        while self.0.changed().await.is_ok() {}
    }
}
