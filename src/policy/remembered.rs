//! Earlier transfers, as far as they decide on a message.

use std::sync::Arc;

use super::action::{Cause, Transfer, Via};

/// A transfer that went out, and is to go out again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Handover {
    pub account: Option<Arc<str>>,
}

impl Handover {
    pub fn again(self, via: Via, cause: Cause) -> Transfer {
        Transfer { via, cause, account: self.account }
    }
}

/// What is remembered of a message and of its user.
#[derive(Debug, Default)]
pub struct Remembered {
    /// The message was transferred already: this is WeChat's retry of it.
    pub retry: Option<Handover>,
    /// The user was handed over a while ago, and stays so.
    pub sticky: Option<Handover>,
}
