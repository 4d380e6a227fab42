//! What a route answers for, and the names a route may bear.

use std::net::Ipv6Addr;

use http::HeaderName;

use super::fault::Fault;
use crate::policy::HostPattern;

/// `wx.example.com`, `*.example.com` or `[::1]`, without a port.
pub(super) fn host(text: &str) -> Result<HostPattern, Fault> {
    let text = text.strip_suffix('.').unwrap_or(text).to_ascii_lowercase();
    let fault = Fault::new("not a host name such as \"wx.example.com\" or \"*.example.com\"");
    let (name, is_wildcard) = text.strip_prefix("*.").map_or((text.as_str(), false), |name| (name, true));
    if text == "*" {
        Err(fault.help("leave `host` out for any"))
    } else if is_host_name(name) {
        Ok(if is_wildcard { HostPattern::Suffix(format!(".{name}")) } else { HostPattern::Exact(text) })
    } else if is_bracketed(&text) {
        Ok(HostPattern::Exact(text))
    } else if !text.is_ascii() {
        Err(fault.help("write it as it stands in a request: xn--…"))
    } else if text.contains("://") {
        Err(fault.help("the name alone, without http://"))
    } else if let Some((name, _)) = text.split_once(':').filter(|(name, _)| is_host_name(name)) {
        Err(fault.help(format!("the name alone, without a port: \"{name}\"")))
    } else {
        Err(fault)
    }
}

fn is_host_name(name: &str) -> bool {
    let is_label = |label: &str| {
        !label.is_empty() && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte))
    };
    name.len() <= 253 && name.split('.').all(is_label)
}

fn is_bracketed(text: &str) -> bool {
    let inner = text.strip_prefix('[').and_then(|rest| rest.strip_suffix(']'));
    inner.is_some_and(|address| address.parse::<Ipv6Addr>().is_ok())
}

/// A path prefix, as it stands on a request line.
pub(super) fn path(text: &str) -> Result<String, Fault> {
    if !text.starts_with('/') {
        Err(Fault::new("a path starts with /").maybe(text.is_ascii().then(|| format!("\"/{text}\""))))
    } else if text.contains(['?', '#']) {
        Err(Fault::new("a path has no query and no fragment"))
    } else if !text.is_ascii() {
        Err(Fault::new("no request matches this path").help(format!("percent-encoded: \"{}\"", percent_encoded(text))))
    } else if !text.bytes().all(|byte| byte.is_ascii_graphic()) {
        Err(Fault::new("a path has no white space and no control characters"))
    } else {
        Ok(text.to_owned())
    }
}

fn percent_encoded(text: &str) -> String {
    text.bytes()
        .map(|byte| if byte.is_ascii_graphic() { char::from(byte).to_string() } else { format!("%{byte:02X}") })
        .collect()
}

/// A route's name: `[a-z0-9_-]+`.
pub(super) fn route_name(text: &str) -> Result<&str, Fault> {
    let is_allowed = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"_-".contains(&byte);
    let fault = || Fault::new("a route's name is made of a-z, 0-9, _ and -");
    if !text.is_empty() && text.bytes().all(is_allowed) {
        return Ok(text);
    }
    let meant = text.to_ascii_lowercase().replace(' ', "-");
    let is_better = !meant.is_empty() && meant.bytes().all(is_allowed);
    Err(fault().maybe(is_better.then(|| format!("\"{meant}\""))))
}

/// A rule's name: it stands in the log.
pub(super) fn rule_name(text: &str) -> Result<&str, Fault> {
    if text.trim().is_empty() {
        Err(Fault::new("a rule's name can not be empty"))
    } else if text.chars().any(char::is_control) {
        Err(Fault::new("a rule's name has no control characters"))
    } else {
        Ok(text)
    }
}

/// A KfAccount: `name@account`.
pub(super) fn account(text: &str) -> Result<&str, Fault> {
    let is_whole = text.split_once('@').is_some_and(|(name, account)| !name.is_empty() && !account.is_empty());
    if is_whole && !text.contains(|c: char| c.is_whitespace() || c.is_control()) {
        Ok(text)
    } else {
        Err(Fault::new("not a customer-service account").help("as in \"test1@test\": a name, @, the WeChat account"))
    }
}

/// Headers that carry the exchange itself: as a flag they would be lost to the client.
const TAKEN: [&str; 16] = [
    "connection",
    "content-encoding",
    "content-length",
    "content-type",
    "date",
    "host",
    "keep-alive",
    "location",
    "proxy-connection",
    "set-cookie",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
    "x-forwarded-for",
    "x-request-id",
];

pub(super) fn flag_header(text: &str) -> Result<HeaderName, Fault> {
    let fault = Fault::new("not a header name").help("letters, digits and -, as in \"X-Kf-Transfer\"");
    match HeaderName::from_bytes(text.as_bytes()) {
        Ok(name) if TAKEN.contains(&name.as_str()) => Err(Fault::new("this header has a meaning of its own")),
        Ok(name) => Ok(name),
        Err(error) => Err(fault.because(error)),
    }
}

#[cfg(test)]
mod tests {
    use super::{account, flag_header, host, path, route_name};
    use crate::policy::HostPattern::{Exact, Suffix};

    #[test]
    fn hosts_are_names_or_wildcards() {
        for (text, pattern) in [
            ("wx.example.com", Some(Exact("wx.example.com".into()))),
            ("WX.Example.com.", Some(Exact("wx.example.com".into()))),
            ("*.example.com", Some(Suffix(".example.com".into()))),
            ("127.0.0.1", Some(Exact("127.0.0.1".into()))),
            ("[::1]", Some(Exact("[::1]".into()))),
            ("", None),
            ("*", None),
            ("a.*.com", None),
            ("wx..com", None),
            ("wx.example.com:80", None),
            ("http://wx.example.com", None),
            ("微信.com", None),
            ("::1", None),
        ] {
            assert_eq!(host(text).ok(), pattern, "{text:?}");
        }
    }

    #[test]
    fn paths_are_as_on_a_request_line() {
        for (text, is_path) in [
            ("/", true),
            ("/wechat/shop", true),
            ("/%E5%BE%AE", true),
            ("", false),
            ("wechat", false),
            ("/a?b", false),
            ("/a b", false),
            ("/微信", false),
        ] {
            assert_eq!(path(text).is_ok(), is_path, "{text:?}");
        }
        assert_eq!(path("/微").unwrap_err().suggestion(), Some("percent-encoded: \"/%E5%BE%AE\""));
    }

    #[test]
    fn names_keep_to_their_letters() {
        for (text, is_name) in [("shop_1-a", true), ("Shop", false), ("", false), ("a b", false), ("店", false)] {
            assert_eq!(route_name(text).is_ok(), is_name, "{text:?}");
        }
        for (text, is_account) in
            [("test1@test", true), ("客服@店", true), ("test1", false), ("@a", false), ("a@ b", false)]
        {
            assert_eq!(account(text).is_ok(), is_account, "{text:?}");
        }
        for (text, is_header) in [("X-Kf-Transfer", true), ("X Kf", false), ("", false), ("Content-Length", false)] {
            assert_eq!(flag_header(text).is_ok(), is_header, "{text:?}");
        }
    }
}
