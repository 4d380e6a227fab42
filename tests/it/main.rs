//! The gate over real sockets: a bot that says what it is told to, a client that sends exact bytes, and the
//! gate between them.

#![allow(clippy::unwrap_used, reason = "a test that can not go on fails")]

mod activation;
mod bodies;
mod cli;
mod decisions;
mod dedupe;
mod events;
mod fallbacks;
mod faults;
mod floods;
mod forwarding;
mod framing;
mod headers;
mod hostile;
mod http2;
mod lifecycle;
mod properties;
mod real_bots;
mod request_log;
mod retries;
mod round_trips;
mod routes;
mod safe_mode;
mod sticky;
mod support;
mod tls;
mod upgrade;
mod upstreams;
mod ways;
