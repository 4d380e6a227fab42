use std::time::{Duration, Instant};

use super::key::Keys;
use super::recent::Recent;
use crate::policy::{Cause, Handover, Transfer};
use crate::wechat::UserMessage;

/// The messages that were transferred, so that WeChat's retries of them are transferred too.
#[derive(Debug, Default)]
pub(super) struct Retries(Recent);

impl Retries {
    /// WeChat's last try begins 10 s after the first.
    const REMEMBERED: Duration = Duration::from_mins(1);

    pub(super) fn find(&self, keys: &Keys, route: &str, message: &UserMessage<'_>, now: Instant) -> Option<Handover> {
        if self.0.is_empty() {
            return None;
        }
        self.0.find(keys.of_message(route, message)?, now)
    }

    pub(super) fn remember(
        &self,
        keys: &Keys,
        route: &str,
        message: &UserMessage<'_>,
        transfer: &Transfer,
        now: Instant,
    ) {
        // The time of a retry counts from the first delivery.
        if transfer.cause != Cause::Retry
            && let Some(key) = keys.of_message(route, message)
        {
            self.0.add(key, Handover { account: transfer.account.clone() }, now, Self::REMEMBERED);
        }
    }

    pub(super) fn sweep(&self, now: Instant) {
        self.0.sweep(now);
    }
}
