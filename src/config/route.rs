//! Reads one `[[route]]`.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use super::fault::{Fault, did_you_mean};
use super::keyword::keyword;
use super::table::Table;
use super::{Route, Tls, TransferMode, Upstream};
use super::{place, rule, upstream, value, wechat};
use crate::policy::{CancelWords, OnFailure, Policy, Types};
use crate::wechat::Kind;

/// When WeChat gives up waiting for a reply.
/// <https://developers.weixin.qq.com/doc/subscription/guide/product/message/Passive_user_reply_message.html>
const PATIENCE: Duration = Duration::from_secs(5);

/// None where the route has no valid name or no valid upstream, which has been reported.
pub(super) fn read(table: &Table<'_>, base: &Path) -> Option<Route> {
    refuse_unbuilt(table);
    let modes = [("on", TransferMode::On), ("off", TransferMode::Off), ("dry-run", TransferMode::DryRun)];
    let name = table.required("name", "shop").and_then(|name| table.reported(&name, place::route_name));
    let upstream = read_upstream(table, base);
    let host = table.parsed("host", place::host);
    let path = table.parsed("path", place::path);
    let transfer = table.choice("transfer", &modes);
    let flag_header = table.parsed("flag_header", place::flag_header);
    let policy = policy(table, base);
    let late = lateness(table);
    let on_error = table.choice("on_error", &on_failure("pass"));
    let fallbacks = table.count("fallbacks_per_minute", 0..=u32::MAX.into());
    let sticky = table.parsed("sticky", value::duration);
    let sticky_cancel = cancel_words(table);
    let wechat = wechat::account(table, base);
    let default = Route::new(name?, upstream?);
    Some(Route {
        host: host.unwrap_or(default.host),
        path: path.unwrap_or(default.path),
        transfer: transfer.unwrap_or(default.transfer),
        flag_header: flag_header.unwrap_or(default.flag_header),
        accept_request_flag: table.flag("accept_request_flag").unwrap_or(default.accept_request_flag),
        policy,
        deadline: late.deadline,
        on_timeout: late.then.unwrap_or(default.on_timeout),
        on_error: on_error.unwrap_or(default.on_error),
        fallbacks_per_minute: fallbacks.map_or(default.fallbacks_per_minute, |count| count as u32),
        upgrade: table.flag("upgrade").unwrap_or(default.upgrade),
        dedupe: table.flag("dedupe").unwrap_or(default.dedupe),
        sticky: sticky.unwrap_or(default.sticky),
        sticky_cancel,
        wechat,
        ..default
    })
}

fn refuse_unbuilt(table: &Table<'_>) {
    table.not_yet("desk");
}

fn on_failure(as_proxy: &'static str) -> [(&'static str, OnFailure); 3] {
    [(as_proxy, OnFailure::AsProxy), ("empty", OnFailure::Empty), ("transfer", OnFailure::Transfer)]
}

fn cancel_words(table: &Table<'_>) -> CancelWords {
    let words = table.each("sticky_cancel", cancel_word).unwrap_or_default();
    if !words.is_empty() && !table.has("sticky") {
        let fault = Fault::new("without `sticky` there is nothing to cancel");
        table.findings.warning(table.span_of("sticky_cancel"), fault.help("sticky = \"10m\""));
    }
    words.into_iter().collect()
}

fn cancel_word(text: &str) -> Result<&str, Fault> {
    keyword(text, false).map_err(|_| Fault::new("can never match: there is nothing but white space in it"))
}

/// What happens when the bot is late.
struct Lateness {
    deadline: Option<Duration>,
    then: Option<OnFailure>,
}

fn lateness(table: &Table<'_>) -> Lateness {
    let deadline = table.parsed("deadline", value::wait);
    let then = table.choice("on_timeout", &on_failure("wait"));
    let acts = then.is_some_and(|then| then != OnFailure::AsProxy);
    let warn = |key, text| table.findings.warning(table.span_of(key), Fault::new(text).help("deadline = \"4.5s\""));
    match deadline {
        Some(deadline) if acts && deadline >= PATIENCE => {
            warn("deadline", "WeChat gives up after 5 s: `on_timeout` would come too late");
        }
        None if acts && !table.has("deadline") => {
            warn("on_timeout", "without a `deadline` the bot has all of `upstream_timeout`; WeChat gives up after 5 s");
        }
        _ => {}
    }
    Lateness { deadline, then }
}

fn policy(table: &Table<'_>, base: &Path) -> Policy {
    let types = types(table).unwrap_or_default();
    Policy {
        account: table.parsed("account", place::account).map(Arc::from),
        types,
        rules: rule::rules(table, types, base),
    }
}

/// The message types of a route or a rule, None where there are none that can be used.
pub(super) fn types(table: &Table<'_>) -> Option<Types> {
    let texts = table.texts("types")?;
    if texts.is_empty() {
        let fault = Fault::new("without any type, no message could ever be transferred");
        table.error(table.span_of("types"), fault.help("leave `types` out, or name some: [\"text\"]"));
        return None;
    }
    let kinds: Vec<_> = texts.iter().filter_map(|text| table.reported(text, kind)).collect();
    (kinds.len() == texts.len()).then(|| kinds.into_iter().collect())
}

fn kind(text: &str) -> Result<Kind, Fault> {
    let fault = || match text {
        "event" => Fault::new("an event is no user's message, and can never be transferred"),
        _ => Fault::new("not a message type").maybe(did_you_mean(text, Kind::ALL.map(Kind::as_str))),
    };
    Kind::of(text).ok_or_else(fault)
}

fn read_upstream(table: &Table<'_>, base: &Path) -> Option<Upstream> {
    let written = table.required("upstream", "http://127.0.0.1:9000");
    let upstream = written.and_then(|url| table.reported(&url, |url| upstream::upstream(url, base)));
    let trust = trust(table, base);
    let upstream = upstream?;
    if upstream.tls.is_none() && trust.is_some() {
        let key = if table.has("upstream_ca") { "upstream_ca" } else { "upstream_insecure" };
        table.error(table.span_of(key), Fault::new(format!("`{key}` is for an upstream of https://")));
    }
    Some(Upstream { tls: upstream.tls.map(|system| trust.unwrap_or(system)), ..upstream })
}

/// How the operator wants the upstream's certificate checked, if not as usual.
fn trust(table: &Table<'_>, base: &Path) -> Option<Tls> {
    let authorities = table.parsed("upstream_ca", |path| upstream::authorities(&base.join(path)));
    let is_insecure = table.flag("upstream_insecure").unwrap_or(false);
    if is_insecure && table.has("upstream_ca") {
        let fault = Fault::new("with `upstream_ca` the certificate is checked, with `upstream_insecure` it is not");
        table.error(table.span_of("upstream_insecure"), fault.help("leave one of them out"));
    }
    authorities.or(is_insecure.then_some(Tls::Insecure))
}
