//! Where a bot is: http, https, or a unix socket.

use std::net::Ipv6Addr;
use std::path::Path;

use super::fault::Fault;
use super::identity::certificates;
use super::listen::socket;
use super::{Address, Tls, Upstream};

/// `http://host:port/base`, `https://host`, `unix:/path.sock`, or `unix:/path.sock:/base`.
pub(super) fn upstream(url: &str, base: &Path) -> Result<Upstream, Fault> {
    if let Some(rest) = url.strip_prefix("unix:") {
        let (path, base_path) = rest.find(":/").map_or((rest, ""), |colon| (&rest[..colon], &rest[colon + 1..]));
        return Upstream::at(url, Address::Unix(socket(path, base)?), None, base_path);
    }
    let (scheme, rest) = url.split_once("://").ok_or_else(|| no_scheme(url))?;
    let (tls, port) = match scheme.to_ascii_lowercase().as_str() {
        "http" => (None, 80),
        "https" => (Some(Tls::System), 443),
        _ => return Err(no_scheme("")),
    };
    let (authority, base_path) = rest.find('/').map_or((rest, ""), |slash| rest.split_at(slash));
    if authority.contains('@') {
        return Err(Fault::new("no user name or password is possible here"));
    }
    if authority.starts_with("unix:") {
        return Err(Fault::new("a unix socket has no http:// in front").help("\"unix:/path.sock\""));
    }
    Upstream::at(url, tcp(authority, port)?, tls, base_path)
}

fn no_scheme(url: &str) -> Fault {
    let is_clear = !url.is_empty() && !url.contains(['@', '/', '?', ' ']);
    Fault::new("must start with http://, https:// or unix:").maybe(is_clear.then(|| format!("\"http://{url}\"")))
}

fn tcp(authority: &str, default_port: u16) -> Result<Address, Fault> {
    let (host, port) = match authority.rfind(':') {
        Some(colon) if !authority[colon..].contains(']') => (&authority[..colon], Some(&authority[colon + 1..])),
        _ => (authority, None),
    };
    let port = match port.map(str::parse::<u16>) {
        None => default_port,
        Some(Ok(port)) if port > 0 => port,
        Some(_) => return Err(Fault::new("the port must be a number from 1 to 65535")),
    };
    host_name(host).map(|host| Address::Tcp { host, port })
}

fn host_name(host: &str) -> Result<String, Fault> {
    let is_name = |host: &str| host.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte));
    match host.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
        Some(address) if address.parse::<Ipv6Addr>().is_ok() => Ok(address.to_owned()),
        None if host.parse::<Ipv6Addr>().is_ok() || host.contains(':') => {
            Err(Fault::new("an IPv6 address stands in brackets").help("\"http://[::1]:9000\""))
        }
        None if host.is_empty() => Err(Fault::new("the host is missing").help("\"http://127.0.0.1:9000\"")),
        None if is_name(host) => Ok(host.to_owned()),
        _ => Err(Fault::new("not a host name or address")),
    }
}

impl Upstream {
    fn at(url: &str, address: Address, tls: Option<Tls>, base_path: &str) -> Result<Self, Fault> {
        if base_path.contains(['?', '#']) || url.contains(['?', '#']) {
            return Err(Fault::new("an upstream has no query and no fragment"));
        }
        if !base_path.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(Fault::new("the path holds what must be percent-encoded"));
        }
        let base_path = base_path.trim_end_matches('/').to_owned();
        Ok(Self { address, tls, base_path, url: url.to_owned() })
    }
}

/// The certificates of a PEM file.
pub(super) fn authorities(path: &Path) -> Result<Tls, Fault> {
    let all = certificates(path)?;
    Ok(Tls::Ca(all.into_iter().map(|certificate| certificate.to_vec()).collect()))
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::super::{Address, Tls, Upstream};
    use super::upstream;

    fn tcp(host: &str, port: u16) -> Address {
        Address::Tcp { host: host.to_owned(), port }
    }

    #[test]
    fn urls_are_taken_apart() {
        let tls = Some(Tls::System);
        for (url, address, tls, base_path) in [
            ("http://127.0.0.1:9000", tcp("127.0.0.1", 9000), None, ""),
            ("http://bot", tcp("bot", 80), None, ""),
            ("HTTP://bot/", tcp("bot", 80), None, ""),
            ("https://bot.example.com/wx/", tcp("bot.example.com", 443), tls.clone(), "/wx"),
            ("https://bot:8443/a/b", tcp("bot", 8443), tls, "/a/b"),
            ("http://[::1]:9000/x", tcp("::1", 9000), None, "/x"),
            ("http://[::1]", tcp("::1", 80), None, ""),
            ("http://php_fpm:9000", tcp("php_fpm", 9000), None, ""),
            ("unix:/run/bot.sock", Address::Unix("/run/bot.sock".into()), None, ""),
            ("unix:bot.sock", Address::Unix("/etc/bot.sock".into()), None, ""),
            ("unix:/run/bot.sock:/wx", Address::Unix("/run/bot.sock".into()), None, "/wx"),
        ] {
            let expected = Upstream { address, tls, base_path: base_path.to_owned(), url: url.to_owned() };
            assert_eq!(upstream(url, Path::new("/etc")).unwrap(), expected, "{url}");
        }
    }

    #[test]
    fn what_is_no_upstream_is_refused() {
        for url in [
            "",
            "127.0.0.1:9000",
            "bot",
            "ftp://bot",
            "http://",
            "http://:80",
            "http://bot:",
            "http://bot:0",
            "http://bot:65536",
            "http://u:p@bot",
            "http://bot/?a",
            "http://bot/#a",
            "http://bot?a",
            "http://::1:80",
            "http://[::1",
            "http://[bot]",
            "http://b ot",
            "http://bot/微信",
            "http://微信",
            "unix:",
            "http://unix:/a",
        ] {
            assert!(upstream(url, Path::new("")).is_err(), "{url:?}");
        }
    }
}
