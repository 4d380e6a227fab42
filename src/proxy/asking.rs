//! Asking the bot, and what may come of it.

use std::cell::OnceCell;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use http::{HeaderName, HeaderValue, StatusCode};

use super::transport::{Answer, Transport, Unanswered};
use super::upstream::Pool;
use crate::config::Route;
use crate::policy::{Action, OnFailure};
use crate::state::Snapshot;

/// What came of asking the bot.
pub(super) struct Asked<T: Transport> {
    pub(super) answer: Result<T::Answer, Unanswered<T::Unfit>>,
    pub(super) took: Duration,
}

/// What the head of an answer said, kept in case the body never comes.
pub(super) struct Said {
    pub(super) status: StatusCode,
    pub(super) flags: Vec<HeaderValue>,
}

/// Asks for a short reply to be read to its end, so that one that breaks off counts as a failure.
pub(super) struct Whole {
    pub(super) flag_header: HeaderName,
    /// Where its head is kept.
    pub(super) said: Rc<OnceCell<Said>>,
}

/// What came of asking the bot under a deadline.
pub(super) enum InTime<T: Transport> {
    Asked(Asked<T>),
    /// The deadline passed, and this is what happens.
    Late(Action),
    /// The deadline passed, and this would have happened; the bot's answer came later.
    LateInDryRun(Asked<T>, Action),
}

/// Sends a request to the bot, and waits for the head of its answer, or for all of it.
pub(super) async fn ask<T: Transport>(
    pool: Rc<Pool>,
    snapshot: Arc<Snapshot>,
    request: T::Request,
    whole: Option<Whole>,
) -> Asked<T> {
    let limits = &snapshot.config.limits;
    let began = T::asked_at(&request);
    let mut answer = T::ask(&pool, request, limits).await;
    if let (Ok(head), Some(whole)) = (&mut answer, whole) {
        let flags = head.named(&whole.flag_header);
        whole.said.get_or_init(|| Said { status: head.status(), flags });
        if let Err(error) = head.read(limits.callback_body, limits.upstream_timeout).await {
            answer = Err(error.into());
        }
    }
    Asked { answer, took: began.elapsed() }
}

/// The deadline, where something happens at it.
pub(super) fn acting_deadline(route: &Route) -> Option<Duration> {
    route.deadline.filter(|_| route.on_timeout != OnFailure::AsProxy)
}

/// Whether what the head of a reply said counts although the body may never come.
pub(super) fn keeps_heads(route: &Route) -> bool {
    acting_deadline(route).is_some() || route.on_error != OnFailure::AsProxy || route.dedupe
}
