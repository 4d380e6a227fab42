use std::time::Instant;

use super::key::Keys;
use super::recent::Recent;
use crate::config::Route;
use crate::policy::{Cause, Handover, Transfer};
use crate::wechat::{Event, UserMessage};

/// The users who were handed over, and whose later messages go to the desk too, for as long as their route says.
#[derive(Debug, Default)]
pub(super) struct Sticky(Recent);

impl Sticky {
    /// The transfer that is in force for the sender of a message, which may end it.
    pub(super) fn find(&self, keys: &Keys, route: &Route, message: &UserMessage<'_>, now: Instant) -> Option<Handover> {
        if route.sticky.is_zero() || self.0.is_empty() {
            return None;
        }
        let key = keys.of_user(&route.name, message.to_user(), message.from_user());
        if route.sticky_cancel.are_said(message) {
            self.0.remove(key);
            return None;
        }
        self.0.find(key, now)
    }

    /// Begins with a user's first transfer, which those that follow from it do not prolong.
    pub(super) fn begin(
        &self,
        keys: &Keys,
        route: &Route,
        message: &UserMessage<'_>,
        transfer: &Transfer,
        now: Instant,
    ) {
        if route.sticky.is_zero() || matches!(transfer.cause, Cause::Retry | Cause::Sticky) {
            return;
        }
        let key = keys.of_user(&route.name, message.to_user(), message.from_user());
        self.0.add(key, Handover { account: transfer.account.clone() }, now, route.sticky);
    }

    /// Ends where an agent takes the user over, or is done with them: WeChat sends the user's messages to the agent
    /// in between, and to the bot's URL afterwards.
    pub(super) fn see(&self, keys: &Keys, route: &Route, event: &Event<'_>) {
        if !route.sticky.is_zero()
            && matches!(event.name(), Some("kf_create_session" | "kf_close_session"))
            && let (Some(to), Some(from)) = (event.to_user(), event.from_user())
        {
            self.0.remove(keys.of_user(&route.name, to, from));
        }
    }

    pub(super) fn sweep(&self, now: Instant) {
        self.0.sweep(now);
    }
}
