//! Floor 4: what changes while we run.

mod budget;
pub mod live;

pub use live::{Live, Snapshot};
