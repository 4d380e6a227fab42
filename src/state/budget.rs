use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// At most so many fallback transfers in any one minute, so that a dead bot can not flood the desk.
#[derive(Debug)]
pub(super) struct Budget {
    per_minute: usize,
    /// When the transfers of the last minute went out; never more than `per_minute` of them.
    spent: Mutex<VecDeque<Instant>>,
}

impl Budget {
    const WINDOW: Duration = Duration::from_mins(1);

    pub(super) fn new(per_minute: u32) -> Self {
        Self { per_minute: per_minute as usize, spent: Mutex::default() }
    }

    /// Takes one transfer out of the minute that ends now; false when none is left.
    pub(super) fn spend(&self, now: Instant) -> bool {
        let mut spent = self.spent.lock().unwrap_or_else(PoisonError::into_inner);
        while spent.front().is_some_and(|at| now.duration_since(*at) >= Self::WINDOW) {
            spent.pop_front();
        }
        let left = spent.len() < self.per_minute;
        if left {
            spent.push_back(now);
        }
        left
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_minute_holds_more_than_the_budget() {
        let (budget, start) = (Budget::new(2), Instant::now());
        let at = |seconds| start + Duration::from_secs(seconds);
        assert!(budget.spend(at(0)));
        assert!(budget.spend(at(30)));
        assert!(!budget.spend(at(59)));
        assert!(budget.spend(at(60)), "the first is a minute old");
        assert!(!budget.spend(at(89)));
        assert!(budget.spend(at(90)));
    }

    #[test]
    fn a_budget_of_zero_allows_nothing() {
        assert!(!Budget::new(0).spend(Instant::now()));
    }
}
