use std::sync::Arc;
use std::time::Instant;

use super::flights::{Flight, Flights};
use super::key::Keys;
use super::retries::Retries;
use super::sticky::Sticky;
use crate::config::Route;
use crate::policy::{Case, Handover, Remembered, Transfer};
use crate::wechat::{Event, UserMessage};

/// What is remembered of callbacks that have passed, for a while and in bounded memory: nothing but hashes of who
/// they were from, where transfers went, and the bot's answers.
#[derive(Debug, Default)]
pub struct Memory {
    keys: Keys,
    retries: Retries,
    sticky: Sticky,
    flights: Arc<Flights>,
}

impl Memory {
    /// What decides on a message before anything else is asked.
    pub fn recall(&self, route: &Route, message: &UserMessage<'_>, now: Instant) -> Remembered {
        let retry = self.transfer_of(route, message, now);
        let sticky = if retry.is_some() { None } else { self.sticky.find(&self.keys, route, message, now) };
        Remembered { retry, sticky }
    }

    /// The transfer that another delivery of this message led to.
    pub fn transfer_of(&self, route: &Route, message: &UserMessage<'_>, now: Instant) -> Option<Handover> {
        self.retries.find(&self.keys, &route.name, message, now)
    }

    /// Remembers a transfer that goes out.
    pub fn keep(&self, route: &Route, message: &UserMessage<'_>, transfer: &Transfer, now: Instant) {
        self.retries.remember(&self.keys, &route.name, message, transfer, now);
        self.sticky.begin(&self.keys, route, message, transfer, now);
    }

    /// Heeds an event that passes by.
    pub fn see(&self, route: &Route, event: &Event<'_>) {
        self.sticky.see(&self.keys, route, event);
    }

    /// What the deliveries of one callback share, where its route wants that and they can be told from others.
    pub fn flight(&self, route: &Route, case: &Case<'_>) -> Option<Flight> {
        if !route.dedupe {
            return None;
        }
        let key = match case {
            Case::Message(message, _) => self.keys.of_message(&route.name, message),
            Case::Event(event) => self.keys.of_event(&route.name, event),
        };
        Some(Flight::new(self.flights.clone(), key?))
    }

    /// Gives back what is over.
    pub fn sweep(&self, now: Instant) {
        self.retries.sweep(now);
        self.sticky.sweep(now);
        self.flights.sweep(now);
    }
}
