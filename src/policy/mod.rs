//! Floor 1: what to do with a callback, as a value that the proxy only carries out.

pub mod action;
mod cancel;
pub mod decide;
pub mod flag;
pub mod matcher;
mod remembered;
pub mod route;
pub mod rule;
#[cfg(test)]
mod tests;

pub use action::{Action, Cause, Transfer, Via};
pub use cancel::CancelWords;
pub use decide::{Before, Case, Failure, OnFailure, Pending, Policy, before};
pub use flag::Flag;
pub use remembered::{Handover, Remembered};
pub use route::{HostPattern, RouteTable};
pub use rule::{By, Conditions, Reading, Rule, RuleMode, RuleSet, Trace, Types};
