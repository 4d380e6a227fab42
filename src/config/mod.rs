//! Floor 2: what the operator wrote, and what it means.
//!
//! A [`Config`] can only be had checked: [`load`] reads a file and reports everything that is wrong
//! with it at once, [`Config::zero`] is the one route of a command line.

mod defaults;
mod error;
mod fault;
mod file;
mod findings;
mod identity;
mod keyword;
mod listen;
mod mask;
mod place;
mod reach;
mod read;
mod route;
mod rule;
mod schema;
mod secret;
mod source;
mod table;
mod trusted;
mod upstream;
mod value;
mod wechat;
mod zero;

#[cfg(test)]
mod tests;

use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use http::HeaderName;

pub use error::{Errors, Warning};
pub use file::{load, parse};
pub use identity::Identity;
pub use zero::ZeroConfig;

use crate::policy::{CancelWords, HostPattern, OnFailure, Policy, RouteTable};
use crate::wechat::Account;

/// A checked configuration, and what looks odd in it.
#[derive(Debug)]
pub struct Loaded {
    pub config: Config,
    pub warnings: Vec<Warning>,
}

/// A whole configuration, checked and compiled.
#[derive(Debug)]
pub struct Config {
    pub listen: Vec<Listen>,
    /// Worker threads, at least 1.
    pub workers: usize,
    pub trusted_proxies: TrustedProxies,
    pub shutdown_grace: Duration,
    /// What TCP clients are shown, where TLS is terminated.
    pub tls: Option<Identity>,
    pub log: LogConfig,
    pub limits: Limits,
    pub routes: Vec<Arc<Route>>,
    /// Finds a route by host and path; its answers are positions in `routes`.
    pub table: RouteTable,
}

/// Where connections are accepted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Listen {
    Tcp(SocketAddr),
    Unix(PathBuf),
}

/// The peers whose forwarding headers and request flags are believed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TrustedProxies(Vec<(IpAddr, u8)>);

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogConfig {
    pub target: LogTarget,
    pub format: LogFormat,
    pub openid: OpenidStyle,
    /// Log the user's words too.
    pub content: bool,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LogTarget {
    Stdout,
    Off,
    File(PathBuf),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogFormat {
    Json,
    Text,
}

/// How an OpenID is written into the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OpenidStyle {
    Masked,
    Full,
    Hash,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limits {
    /// Bytes; a larger body is streamed through without being looked at.
    pub callback_body: usize,
    pub connections: usize,
    pub header_timeout: Duration,
    pub idle_timeout: Duration,
    pub connect_timeout: Duration,
    pub upstream_timeout: Duration,
    pub upstream_idle: Duration,
}

/// One route.
#[derive(Debug)]
pub struct Route {
    pub name: Arc<str>,
    pub host: HostPattern,
    pub path: String,
    pub upstream: Arc<Upstream>,
    pub transfer: TransferMode,
    pub flag_header: HeaderName,
    pub accept_request_flag: bool,
    pub policy: Policy,
    pub deadline: Option<Duration>,
    pub on_timeout: OnFailure,
    pub on_error: OnFailure,
    pub fallbacks_per_minute: u32,
    /// Requests may go on in another protocol, such as WebSocket.
    pub upgrade: bool,
    /// WeChat's deliveries of one callback are one request to the bot.
    pub dedupe: bool,
    /// How long a transfer makes the user's later messages transfers too; zero: not at all.
    pub sticky: Duration,
    pub sticky_cancel: CancelWords,
    /// What is known of the account on WeChat's side.
    pub wechat: Option<Account>,
}

impl Route {
    /// The host and path it is for: `wx.example.com/wechat`, or `/` for all.
    pub fn place(&self) -> String {
        format!("{}{}", self.host, if self.path.is_empty() { "/" } else { &self.path })
    }
}

/// Whether a route decides anything, and whether the decision counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TransferMode {
    On,
    Off,
    /// Decide and log, change nothing.
    DryRun,
}

impl TransferMode {
    /// As written in the configuration.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::On => "on",
            Self::Off => "off",
            Self::DryRun => "dry-run",
        }
    }
}

/// Where a bot is.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Upstream {
    pub address: Address,
    /// For https: how the certificate is checked.
    pub tls: Option<Tls>,
    /// Prepended to every path; without a trailing slash.
    pub base_path: String,
    /// As written, for messages.
    pub url: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Address {
    /// A name or an address (IPv6 without brackets), resolved on connect.
    Tcp {
        host: String,
        port: u16,
    },
    Unix(PathBuf),
}

/// How an https upstream's certificate is checked.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Tls {
    /// Against the roots of the system.
    System,
    /// Against this private CA: the certificates of a PEM file, in DER.
    Ca(Vec<Vec<u8>>),
    /// Not at all.
    Insecure,
}
