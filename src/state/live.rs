use std::sync::Arc;
use std::time::Instant;

use arc_swap::ArcSwap;

use super::budget::Budget;
use super::memory::Memory;
use crate::config::{Config, Route};

/// What is in force now. Shared by all workers; each request takes one [`Snapshot`] and keeps to it.
#[derive(Debug)]
pub struct Live {
    current: ArcSwap<Snapshot>,
    memory: Memory,
}

impl Live {
    pub fn new(config: Config) -> Self {
        Self { current: ArcSwap::from_pointee(Snapshot::new(config)), memory: Memory::default() }
    }

    pub fn snapshot(&self) -> Arc<Snapshot> {
        self.current.load_full()
    }

    /// Of all routes, by their names: it outlives a configuration.
    pub fn memory(&self) -> &Memory {
        &self.memory
    }
}

/// A configuration, and the counters that belong to its routes.
#[derive(Debug)]
pub struct Snapshot {
    pub config: Config,
    budgets: Vec<Budget>,
}

impl Snapshot {
    fn new(config: Config) -> Self {
        let budgets = config.routes.iter().map(|route| Budget::new(route.fallbacks_per_minute)).collect();
        Self { config, budgets }
    }

    /// The route of a request, known by its position.
    pub fn find(&self, host: &str, path: &str) -> Option<usize> {
        self.config.table.find(host, path)
    }

    pub fn route(&self, position: usize) -> &Arc<Route> {
        &self.config.routes[position]
    }

    /// Whether one more fallback transfer of this route may go out.
    pub fn spend_fallback(&self, position: usize) -> bool {
        self.budgets[position].spend(Instant::now())
    }
}
