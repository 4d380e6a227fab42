//! What holds where the operator wrote nothing.

use std::net::{Ipv4Addr, SocketAddr};
use std::num::NonZero;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use http::HeaderName;

use super::{
    Config, Limits, Listen, LogConfig, LogFormat, LogTarget, OpenidStyle, Route, TransferMode, TrustedProxies, Upstream,
};
use crate::policy::{CancelWords, HostPattern, OnFailure, Policy, RouteTable};

impl Config {
    pub(super) fn new(routes: Vec<Route>) -> Self {
        Self {
            listen: vec![Listen::Tcp(SocketAddr::from((Ipv4Addr::UNSPECIFIED, 8080)))],
            workers: cores(),
            trusted_proxies: TrustedProxies::default(),
            shutdown_grace: Duration::from_secs(10),
            tls: None,
            log: LogConfig::default(),
            limits: Limits::default(),
            table: RouteTable::new(routes.iter().map(|route| (route.host.clone(), route.path.clone()))),
            routes: routes.into_iter().map(Arc::new).collect(),
        }
    }
}

/// One worker a core, as far as this process may use them.
pub(super) fn cores() -> usize {
    thread::available_parallelism().map_or(1, NonZero::get)
}

impl Default for LogConfig {
    fn default() -> Self {
        Self { target: LogTarget::Stdout, format: LogFormat::Json, openid: OpenidStyle::Masked, content: false }
    }
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            callback_body: 256 * 1024,
            connections: 20_000,
            header_timeout: Duration::from_secs(10),
            idle_timeout: Duration::from_secs(75),
            connect_timeout: Duration::from_secs(1),
            upstream_timeout: Duration::from_mins(1),
            upstream_idle: Duration::from_secs(4),
        }
    }
}

impl Route {
    pub(super) fn new(name: &str, upstream: Upstream) -> Self {
        Self {
            name: name.into(),
            host: HostPattern::Any,
            path: "/".to_owned(),
            upstream: Arc::new(upstream),
            transfer: TransferMode::On,
            flag_header: HeaderName::from_static("x-kf-transfer"),
            accept_request_flag: false,
            policy: Policy::default(),
            deadline: None,
            on_timeout: OnFailure::AsProxy,
            on_error: OnFailure::AsProxy,
            fallbacks_per_minute: 60,
            upgrade: false,
            dedupe: false,
            sticky: Duration::ZERO,
            sticky_cancel: CancelWords::default(),
            wechat: None,
        }
    }
}
