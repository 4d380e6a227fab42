use std::collections::{HashMap, VecDeque};
use std::fmt;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::key::Key;
use crate::policy::Handover;

/// Transfers of late, each for a time of its own. There is room for so many: where it is full, the oldest goes
/// first.
pub(super) struct Recent {
    shards: [Mutex<Shard>; Self::SHARDS],
    room_of_one: usize,
    /// How many there are. Most accounts hand over now and then: nothing is looked for while there are none.
    count: AtomicUsize,
}

#[derive(Default)]
struct Shard {
    entries: HashMap<Key, Entry>,
    /// In the order in which they came. Some may be there no more.
    order: VecDeque<(Key, Instant)>,
}

struct Entry {
    handover: Handover,
    until: Instant,
}

impl Recent {
    const SHARDS: usize = 16;
    /// Some 120 bytes each, 8 MiB at most.
    const ROOM: usize = 65_536;

    fn with_room(room: usize) -> Self {
        Self { shards: Default::default(), room_of_one: room.div_ceil(Self::SHARDS), count: AtomicUsize::new(0) }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.count.load(Ordering::Acquire) == 0
    }

    pub(super) fn find(&self, key: Key, now: Instant) -> Option<Handover> {
        if self.is_empty() {
            return None;
        }
        let shard = self.shard(key);
        shard.entries.get(&key).filter(|entry| now < entry.until).map(|entry| entry.handover.clone())
    }

    /// Remembers a transfer for so long, unless there is one already.
    pub(super) fn add(&self, key: Key, handover: Handover, now: Instant, lasts: Duration) {
        let mut shard = self.shard(key);
        if shard.entries.get(&key).is_some_and(|entry| now < entry.until) {
            return;
        }
        let (before, until) = (shard.entries.len(), now + lasts);
        shard.entries.insert(key, Entry { handover, until });
        shard.order.push_back((key, until));
        while shard.order.len() > self.room_of_one {
            shard.forget_oldest();
        }
        self.counted(before, shard.entries.len());
    }

    pub(super) fn remove(&self, key: Key) {
        if self.is_empty() {
            return;
        }
        let mut shard = self.shard(key);
        let before = shard.entries.len();
        shard.entries.remove(&key);
        self.counted(before, shard.entries.len());
    }

    /// Gives back what is over.
    pub(super) fn sweep(&self, now: Instant) {
        if self.is_empty() {
            return;
        }
        for shard in &self.shards {
            let mut shard = lock(shard);
            let before = shard.entries.len();
            while shard.order.front().is_some_and(|(_, until)| *until <= now) {
                shard.forget_oldest();
            }
            self.counted(before, shard.entries.len());
        }
    }

    fn shard(&self, key: Key) -> MutexGuard<'_, Shard> {
        lock(&self.shards[key.spread(Self::SHARDS)])
    }

    fn counted(&self, before: usize, after: usize) {
        if after > before {
            self.count.fetch_add(after - before, Ordering::AcqRel);
        } else {
            self.count.fetch_sub(before - after, Ordering::AcqRel);
        }
    }
}

impl Shard {
    fn forget_oldest(&mut self) {
        let Some((key, until)) = self.order.pop_front() else { return };
        if self.entries.get(&key).is_some_and(|entry| entry.until == until) {
            self.entries.remove(&key);
        }
        if self.entries.is_empty() {
            *self = Self::default();
        }
    }
}

impl Default for Recent {
    fn default() -> Self {
        Self::with_room(Self::ROOM)
    }
}

impl fmt::Debug for Recent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Recent").field("count", &self.count).finish_non_exhaustive()
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::super::key::Keys;
    use super::*;

    const MINUTE: Duration = Duration::from_mins(1);

    fn to(account: &str) -> Handover {
        Handover { account: Some(account.into()) }
    }

    fn key(keys: &Keys, user: usize) -> Key {
        keys.of_user("bot", "gh_1", &user.to_string())
    }

    #[test]
    fn the_first_counts_and_lasts_for_its_time() {
        let (recent, keys, start) = (Recent::default(), Keys::default(), Instant::now());
        let at = |seconds| start + Duration::from_secs(seconds);
        let key = key(&keys, 1);
        recent.add(key, to("a@x"), start, MINUTE);
        recent.add(key, to("b@x"), at(30), MINUTE);
        assert_eq!(recent.find(key, at(59)), Some(to("a@x")));
        assert_eq!(recent.find(key, at(60)), None);
        recent.add(key, to("b@x"), at(60), MINUTE);
        recent.sweep(at(60));
        assert_eq!(recent.find(key, at(119)), Some(to("b@x")), "only the older one is over");
        recent.sweep(at(120));
        assert!(recent.is_empty());
    }

    #[test]
    fn what_is_removed_is_gone_and_may_come_again() {
        let (recent, keys, now) = (Recent::default(), Keys::default(), Instant::now());
        let key = key(&keys, 1);
        recent.add(key, to("a@x"), now, MINUTE);
        recent.remove(key);
        assert!(recent.is_empty());
        recent.add(key, to("b@x"), now + Duration::from_secs(1), MINUTE);
        recent.sweep(now + MINUTE);
        assert_eq!(recent.find(key, now + MINUTE), Some(to("b@x")));
    }

    #[test]
    fn where_it_is_full_the_oldest_goes_first() {
        let (recent, keys, now) = (Recent::with_room(160), Keys::default(), Instant::now());
        for user in 0..10_000 {
            recent.add(key(&keys, user), to("a@x"), now, MINUTE);
            assert!(recent.find(key(&keys, user), now).is_some());
            recent.remove(key(&keys, user / 2));
            assert!(recent.count.load(Ordering::Relaxed) <= 160);
        }
        for shard in &recent.shards {
            let shard = lock(shard);
            assert!(shard.order.len() <= 10 && shard.entries.len() <= shard.order.len());
        }
        assert!(recent.find(key(&keys, 5001), now).is_none());
        recent.sweep(now + MINUTE);
        assert!(recent.is_empty());
    }
}
