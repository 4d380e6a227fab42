//! Floor 4: what changes while we run.

mod budget;
mod flights;
mod key;
pub mod live;
mod memory;
mod recent;
mod retries;
mod sticky;
#[cfg(test)]
mod tests;

pub use flights::{Flight, Joined, Kept, Lead, Wait};
pub use live::{Live, Snapshot};
pub use memory::Memory;
