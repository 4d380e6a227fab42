//! Floor 1: what to do with a callback, as a value that the proxy only carries out.

pub mod action;
pub mod decide;
pub mod flag;
pub mod matcher;
pub mod route;
pub mod rule;
#[cfg(test)]
mod tests;

pub use action::{Action, Cause, Transfer, Via};
pub use decide::{Before, Case, Failure, OnFailure, Pending, Policy, before};
pub use flag::Flag;
pub use route::{HostPattern, RouteTable};
pub use rule::{Conditions, Rule, RuleMode, RuleSet, Types};
