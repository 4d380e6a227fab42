//! Reads the configuration file: the keys outside of its routes.

use std::path::Path;

use toml::de::{DeTable, DeValue};
use zeroize::Zeroizing;

use super::error::{Errors, Issue, Place};
use super::fault::Fault;
use super::findings::Findings;
use super::listen::listen;
use super::mask::Mask;
use super::source::Source;
use super::table::{Table, distinct};
use super::{Config, Limits, Listen, Loaded, LogConfig, LogFormat, LogTarget, OpenidStyle, Route, TrustedProxies};
use super::{defaults, identity, read, route, schema, trusted, value};

/// Reads and checks a configuration file, with the files it names.
///
/// # Errors
/// With everything that is wrong, if anything is.
pub fn load(path: &Path) -> Result<Loaded, Errors> {
    match read::text(path) {
        // It may hold secrets.
        Ok(text) => parse(&Zeroizing::new(text), path),
        Err(fault) => Err(Errors::one(Issue { fault, place: Place::File(path.display().to_string()) })),
    }
}

/// Checks the text of a configuration file. `file` is its name in errors, and where relative paths start.
///
/// # Errors
/// With everything that is wrong, if anything is.
pub fn parse(text: &str, file: &Path) -> Result<Loaded, Errors> {
    let (root, syntax) = DeTable::parse_recoverable(text);
    let source = Source { text, file, mask: Mask::new(text, root.get_ref(), !syntax.is_empty()) };
    let findings = Findings::new(text);
    for error in syntax {
        let in_list = error.message().contains("array elements");
        let help = in_list.then(|| "if the list ends above this line, its `]` is missing".to_owned());
        findings.syntax(error.span().unwrap_or_default(), Fault::new(error.message()).maybe(help));
    }
    schema::check(root.get_ref(), schema::ROOT, &findings);
    let config = config(&Table::root(root.get_ref(), &findings), file.parent().unwrap_or(Path::new("")));
    let warnings = findings.sum_up(&source)?;
    Ok(Loaded { config, warnings })
}

fn config(root: &Table<'_>, base: &Path) -> Config {
    refuse_unbuilt(root);
    let default = Config::new(routes(root, base));
    Config {
        listen: listens(root, base).unwrap_or(default.listen),
        workers: workers(root).unwrap_or(default.workers),
        trusted_proxies: root.each("trusted_proxies", trusted::network).map_or(default.trusted_proxies, TrustedProxies),
        shutdown_grace: root.parsed("shutdown_grace", value::duration).unwrap_or(default.shutdown_grace),
        tls: root.section("tls").and_then(|table| identity::identity(&table, base)),
        log: root.section("log").map_or(default.log, |table| log(&table, base)),
        limits: root.section("limits").map_or(default.limits, |table| limits(&table)),
        ..default
    }
}

fn refuse_unbuilt(root: &Table<'_>) {
    let is = |word| move |value: &DeValue<'_>| value.as_str() == Some(word);
    root.not_yet_but("admin", "\"off\"", is("off"));
    root.not_yet("admin_token");
    root.not_yet_but("state", "\"memory\"", is("memory"));
}

fn listens(root: &Table<'_>, base: &Path) -> Option<Vec<Listen>> {
    let texts = root.texts("listen")?;
    if texts.is_empty() {
        root.error(root.span_of("listen"), Fault::new("at least one address is needed").help("[\"0.0.0.0:8080\"]"));
    }
    let mut listens = Vec::new();
    for text in texts {
        let Some(next) = root.reported(&text, |text| listen(text, base)) else { continue };
        if listens.contains(&next) {
            root.error(text.span, Fault::new("this address is there already"));
        }
        listens.push(next);
    }
    Some(listens)
}

fn workers(root: &Table<'_>) -> Option<usize> {
    let workers = root.count("workers", 0..=1024)?;
    Some(if workers == 0 { defaults::cores() } else { workers as usize })
}

fn log(table: &Table<'_>, base: &Path) -> LogConfig {
    let formats = [("json", LogFormat::Json), ("text", LogFormat::Text)];
    let styles = [("masked", OpenidStyle::Masked), ("full", OpenidStyle::Full), ("hash", OpenidStyle::Hash)];
    let default = LogConfig::default();
    LogConfig {
        target: table.parsed("path", |text| log_target(text, base)).unwrap_or(default.target),
        format: table.choice("format", &formats).unwrap_or(default.format),
        openid: table.choice("openid", &styles).unwrap_or(default.openid),
        content: table.flag("content").unwrap_or(default.content),
    }
}

fn log_target(text: &str, base: &Path) -> Result<LogTarget, Fault> {
    match text {
        "" => Err(Fault::new("the path is empty").help("\"-\" for stdout, \"off\" for no log")),
        "-" => Ok(LogTarget::Stdout),
        "off" => Ok(LogTarget::Off),
        path => Ok(LogTarget::File(base.join(path))),
    }
}

fn limits(table: &Table<'_>) -> Limits {
    let default = Limits::default();
    let wait = |key, default| table.parsed(key, value::wait).unwrap_or(default);
    Limits {
        callback_body: table.parsed("callback_body", value::size).unwrap_or(default.callback_body),
        connections: table.count("connections", 1..=10_000_000).map_or(default.connections, |count| count as usize),
        header_timeout: wait("header_timeout", default.header_timeout),
        idle_timeout: wait("idle_timeout", default.idle_timeout),
        connect_timeout: wait("connect_timeout", default.connect_timeout),
        upstream_timeout: wait("upstream_timeout", default.upstream_timeout),
        upstream_idle: table.parsed("upstream_idle", value::duration).unwrap_or(default.upstream_idle),
    }
}

fn routes(root: &Table<'_>, base: &Path) -> Vec<Route> {
    let tables = root.sections("route");
    if tables.is_empty() {
        let fault = Fault::new("there is no [[route]]").help("at least one, with a `name` and an `upstream`");
        root.findings.missing(root.span_of("route"), fault);
    }
    distinct(&tables, "name", "route");
    let routes: Vec<_> = tables.iter().filter_map(|table| Some((table, route::read(table, base)?))).collect();
    refuse_twins(&routes);
    routes.into_iter().map(|(_, route)| route).collect()
}

/// Of two routes for the same host and path, one would never be taken.
fn refuse_twins(routes: &[(&Table<'_>, Route)]) {
    for (at, (table, route)) in routes.iter().enumerate() {
        let same = |other: &Route| other.host == route.host && trimmed(&other.path) == trimmed(&route.path);
        if let Some((_, other)) = routes[..at].iter().find(|(_, other)| same(other)) {
            let fault = Fault::new(format!("route `{}` has the same host and path", other.name));
            table.error(table.span_of("path"), fault.help("give one of them another `host` or `path`"));
        }
    }
}

fn trimmed(path: &str) -> &str {
    path.trim_end_matches('/')
}
