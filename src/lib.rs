//! kfgate: a transparent reverse proxy ahead of a WeChat Official Account bot that turns some of its replies
//! into `transfer_customer_service`, which hands the user's message to the human customer-service desk.
//!
//! # The floors
//!
//! Each module is a floor, and imports only those below it (`tests/floors.rs` holds it to that):
//!
//! | floor | module | |
//! |---|---|---|
//! | 0 | [`wechat`] | the platform's own words: callbacks, replies |
//! | 1 | [`policy`] | what to do with a callback: routes, rules, flags, the decision |
//! | 2 | [`config`] | what the operator wrote, and what it means |
//! | 3 | [`telemetry`] | one record a request, and the log it goes to |
//! | 4 | [`state`] | what changes while we run |
//! | 5 | [`proxy`] | the shell around the decision: sockets, HTTP, the bots |
//! | 7 | [`cli`] | one file a command |
//!
//! The three lowest are pure: no runtime, no sockets, no clock, no randomness.
//!
//! # The path of a callback
//!
//! accept → check the framing → route → read (bounded; the bytes are kept untouched) → open and classify →
//! decide → *short-circuit*, or forward → decide again → the bot's bytes or a transfer → log.
//!
//! It travels in one of two ways: whole, over HTTP of the gate's own (a short POST of known length and a reply that
//! is read to its end, which is nearly every callback), or streamed by hyper, which is everything else. The decision
//! around it is the same code for both.
//!
//! The decision is a value ([`policy::Action`]), and the proxy only carries it out. When in doubt, it passes
//! the bytes; a transfer is never a doubt: [`wechat::TransferReply`] can only answer a
//! [`wechat::UserMessage`], which only the classifier can make.

pub mod cli;
pub mod config;
pub mod policy;
pub mod proxy;
pub mod state;
pub mod telemetry;
pub mod wechat;
