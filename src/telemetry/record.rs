//! What is known of a request when it is over.

use std::borrow::Cow;
use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use http::uri::PathAndQuery;
use http::{Method, Uri};

use super::RequestId;
use crate::policy::Action;

/// One request, filled along its path. What stays None was not known, and is null in the log.
#[derive(Clone)]
pub struct Record {
    pub id: RequestId,
    /// The name of the route.
    pub route: Option<Arc<str>>,
    pub client: Client,
    pub method: Option<Method>,
    pub path: Option<RequestPath>,
    /// What the client got. None: it left before.
    pub status: Option<u16>,
    pub action: Action,
    pub msg_type: Option<Cow<'static, str>>,
    /// The name of an event, such as `subscribe`.
    pub event: Option<Box<str>>,
    pub msg_id: Option<Box<str>>,
    /// The sender, in full: how much of it is shown is the log's business.
    pub openid: Option<Box<str>>,
    /// The user's own words, in full: they are shown only where the configuration says so.
    pub content: Option<Box<str>>,
    pub encrypted: bool,
    /// Whether the action is what would have been done.
    pub dry_run: bool,
    pub upstream_status: Option<u16>,
    /// From the request's way upstream to the last byte of the answer.
    pub upstream: Option<Duration>,
    /// From the request's first byte to the reply's last.
    pub duration: Duration,
    /// Of the request's body.
    pub bytes_in: u64,
    /// Of the reply's body.
    pub bytes_out: u64,
}

impl Record {
    /// A request of which nothing more is known yet.
    pub fn new(id: RequestId, client: Client, action: Action) -> Self {
        Self {
            id,
            route: None,
            client,
            method: None,
            path: None,
            status: None,
            action,
            msg_type: None,
            event: None,
            msg_id: None,
            openid: None,
            content: None,
            encrypted: false,
            dry_run: false,
            upstream_status: None,
            upstream: None,
            duration: Duration::ZERO,
            bytes_in: 0,
            bytes_out: 0,
        }
    }
}

/// Leaves out who said what: a debug print may end in another log.
impl fmt::Debug for Record {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Record")
            .field("id", &self.id)
            .field("path", &self.path)
            .field("action", &self.action)
            .finish_non_exhaustive()
    }
}

/// Who sent a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Client {
    /// Shown as IPv4 where it is IPv4 mapped into IPv6.
    Addr(IpAddr),
    /// A peer on a unix socket, which has no address. Shown as `unix`.
    Unix,
    Unknown,
}

impl fmt::Display for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Addr(address) => address.to_canonical().fmt(f),
            Self::Unix => f.write_str("unix"),
            Self::Unknown => f.write_str("-"),
        }
    }
}

/// The path of a request, as its client sent it. The query is never shown.
#[derive(Clone)]
pub struct RequestPath(Source);

#[derive(Clone)]
enum Source {
    Parsed(PathAndQuery),
    Raw(Box<[u8]>),
}

impl RequestPath {
    /// The path of a parsed target; shares its bytes. None for a target without one (`CONNECT`).
    pub fn of(target: &Uri) -> Option<Self> {
        target.path_and_query().cloned().map(|path| Self(Source::Parsed(path)))
    }

    /// The path of a target that did not parse: what stands before the query, and behind the
    /// authority if there is one. At most the first 1024 bytes are looked at.
    pub fn raw(target: &[u8]) -> Self {
        let target = &target[..target.len().min(1024)];
        let end = target.iter().position(|byte| matches!(byte, b'?' | b'#')).unwrap_or(target.len());
        Self(Source::Raw(behind_authority(&target[..end]).into()))
    }
}

/// An authority can hold a password, which is nobody's business here.
fn behind_authority(target: &[u8]) -> &[u8] {
    if target.starts_with(b"/") {
        return target;
    }
    let Some(scheme) = target.windows(3).position(|three| three == b"://") else { return target };
    let authority = &target[scheme + 3..];
    let path = authority.iter().position(|byte| *byte == b'/').unwrap_or(authority.len());
    &authority[path..]
}

/// Bytes that are no UTF-8 are shown as U+FFFD.
impl fmt::Display for RequestPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let bytes = match &self.0 {
            Source::Parsed(path) => return f.write_str(path.path()),
            Source::Raw(bytes) => bytes,
        };
        for chunk in bytes.utf8_chunks() {
            f.write_str(chunk.valid())?;
            if !chunk.invalid().is_empty() {
                f.write_str("\u{fffd}")?;
            }
        }
        Ok(())
    }
}

impl fmt::Debug for RequestPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "RequestPath({:?})", self.to_string())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(target: &'static str) -> String {
        RequestPath::of(&Uri::from_static(target)).unwrap().to_string()
    }

    #[test]
    fn a_parsed_target_shows_its_path_alone() {
        assert_eq!(parsed("/wechat/shop?signature=1&openid=o1"), "/wechat/shop");
        assert_eq!(parsed("http://user:secret@host/a?b"), "/a");
        assert_eq!(parsed("*"), "*");
        assert!(RequestPath::of(&Uri::from_static("host:443")).is_none());
    }

    #[test]
    fn a_raw_target_shows_its_path_alone() {
        for (target, path) in [
            (&b"/a b?c=d"[..], "/a b"),
            (b"/a#b?c", "/a"),
            (b"/caf\xe9/\xff\xfe?x", "/caf\u{fffd}/\u{fffd}\u{fffd}"),
            (b"http://user:secret@host/a?b", "/a"),
            (b"http://user:secret@host?b", ""),
            (b"/to/http://host/a", "/to/http://host/a"),
            (b"", ""),
        ] {
            assert_eq!(RequestPath::raw(target).to_string(), path);
        }
    }

    #[test]
    fn a_debug_print_tells_no_secrets() {
        let client = Client::Addr([127, 0, 0, 1].into());
        let mut record = Record::new(
            RequestId::new(std::time::UNIX_EPOCH, 0),
            client,
            Action::Forward(crate::policy::Cause::NoRule),
        );
        record.openid = Some("o-secret".into());
        record.content = Some("words-secret".into());
        record.path = RequestPath::of(&Uri::from_static("/a?query-secret"));
        assert!(!format!("{record:?}").contains("secret"));
    }

    #[test]
    fn a_mapped_address_is_shown_as_what_it_is() {
        assert_eq!(Client::Addr("::ffff:10.0.0.1".parse().unwrap()).to_string(), "10.0.0.1");
        assert_eq!(Client::Addr("2001:db8::1".parse().unwrap()).to_string(), "2001:db8::1");
    }
}
