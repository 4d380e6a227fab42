//! Headers that do not pass as they are: hop-by-hop ones, those that tell the bot about the client, and
//! the gate's own.

use std::net::IpAddr;

use bytes::Bytes;
use http::header::{ACCEPT_ENCODING, CONNECTION, CONTENT_LENGTH, HOST, TE, TRANSFER_ENCODING, UPGRADE};
use http::{HeaderMap, HeaderName, HeaderValue};

use crate::config::TrustedProxies;

const KEEP_ALIVE: HeaderName = HeaderName::from_static("keep-alive");
const PROXY_CONNECTION: HeaderName = HeaderName::from_static("proxy-connection");
pub(super) const FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
const FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");
const FORWARDED_HOST: HeaderName = HeaderName::from_static("x-forwarded-host");
pub(super) const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// Removes what belongs to one connection only (RFC 9110, section 7.6.1).
pub(super) fn strip_hop_by_hop(headers: &mut HeaderMap) {
    if headers.contains_key(CONNECTION) {
        for name in named_by_connection(headers) {
            headers.remove(name);
        }
        headers.remove(CONNECTION);
    }
    // Of two framings the chunks are the one that was read (RFC 9112, section 6.3); the other may be wrong.
    if headers.contains_key(TRANSFER_ENCODING) {
        headers.remove(CONTENT_LENGTH);
    }
    for name in [KEEP_ALIVE, PROXY_CONNECTION, TE, TRANSFER_ENCODING, UPGRADE] {
        headers.remove(name);
    }
}

/// The headers that Connection declares to be for this hop, less those that a request can not do without.
fn named_by_connection(headers: &HeaderMap) -> Vec<HeaderName> {
    let values = headers.get_all(CONNECTION).iter().filter_map(|value| value.to_str().ok());
    let names = values.flat_map(|value| value.split(',')).filter_map(|name| name.trim().parse().ok());
    names.filter(|name| !matches!(*name, HOST | CONTENT_LENGTH)).collect()
}

/// The same for a request, which keeps its `TE: trailers`: the gate passes trailers on.
pub(super) fn strip_request_hop_by_hop(headers: &mut HeaderMap) {
    let wants_trailers = headers.get(TE).is_some_and(|value| {
        value.to_str().is_ok_and(|value| value.split(',').any(|coding| coding.trim().eq_ignore_ascii_case("trailers")))
    });
    strip_hop_by_hop(headers);
    if wants_trailers {
        headers.insert(TE, HeaderValue::from_static("trailers"));
        headers.insert(CONNECTION, HeaderValue::from_static("te"));
    }
}

/// Removes the names that PHP and others read as one of the gate's own, because they turn both `-` and
/// `_` into the same letter.
pub(super) fn strip_twins(headers: &mut HeaderMap, flag: &HeaderName) {
    let has_underscore = |name: &&HeaderName| name.as_str().contains('_');
    let twins: Vec<_> = headers.keys().filter(has_underscore).filter(|name| is_twin(name, flag)).cloned().collect();
    for name in twins {
        headers.remove(name);
    }
    if flag.as_str().contains('_') {
        let folded: Vec<_> = headers.keys().filter(|name| is_twin(name, flag)).cloned().collect();
        for name in folded {
            headers.remove(name);
        }
    }
}

/// Removes the gate's own names, and what reads like them, from a request's trailers: some servers merge
/// trailers into the headers.
pub(super) fn strip_trailers(trailers: &mut HeaderMap, flag: &HeaderName) {
    let is_own = |name: &&HeaderName| *name == flag || *name == REQUEST_ID || name.as_str().starts_with("x-forwarded-");
    let own: Vec<_> = trailers.keys().filter(|name| is_own(name) || is_twin(name, flag)).cloned().collect();
    for name in own {
        trailers.remove(name);
    }
}

fn is_twin(name: &HeaderName, flag: &HeaderName) -> bool {
    let folded = name.as_str().replace('_', "-");
    let is_ours = folded.starts_with("x-forwarded-") || folded == REQUEST_ID.as_str();
    (is_ours && folded != name.as_str()) || (name != flag && folded == flag.as_str().replace('_', "-"))
}

/// The hop a request came over.
#[derive(Debug, Clone, Copy)]
pub(super) struct Hop<'a> {
    /// None over a unix socket.
    pub(super) peer: Option<IpAddr>,
    pub(super) trusted: bool,
    pub(super) scheme: &'static str,
    pub(super) host: Option<&'a HeaderValue>,
}

/// Tells the bot about the client. What an untrusted client says of itself is replaced.
pub(super) fn set_forwarded(headers: &mut HeaderMap, hop: Hop<'_>) {
    let peer = hop.peer.map(|peer| peer.to_string());
    let known = headers.get_all(&FORWARDED_FOR).iter().map(HeaderValue::as_bytes);
    let known = known.filter(|value| hop.trusted && !value.is_empty());
    let chain: Vec<_> = known.chain(peer.as_deref().map(str::as_bytes)).collect();
    let chain = Some(chain.join(&b", "[..])).filter(|chain| !chain.is_empty());
    set(headers, FORWARDED_FOR, chain.and_then(|chain| HeaderValue::from_maybe_shared(Bytes::from(chain)).ok()));
    if !hop.trusted || !headers.contains_key(FORWARDED_PROTO) {
        set(headers, FORWARDED_PROTO, Some(HeaderValue::from_static(hop.scheme)));
    }
    if !hop.trusted || !headers.contains_key(FORWARDED_HOST) {
        set(headers, FORWARDED_HOST, hop.host.cloned());
    }
}

fn set(headers: &mut HeaderMap, name: HeaderName, value: Option<HeaderValue>) {
    match value {
        Some(value) => headers.insert(name, value),
        None => headers.remove(name),
    };
}

/// The client behind the trusted proxies: the last address in X-Forwarded-For that is not one of them.
pub(super) fn client_address<'v>(
    forwarded_for: impl DoubleEndedIterator<Item = &'v [u8]>,
    peer: Option<IpAddr>,
    trusted: &TrustedProxies,
) -> Option<IpAddr> {
    if peer.is_some_and(|peer| !trusted.contains(peer)) {
        return peer;
    }
    let mut client = peer;
    for value in forwarded_for.rev() {
        for address in str::from_utf8(value).unwrap_or_default().rsplit(',') {
            let Some(address) = parse_address(address.trim()) else { return client };
            client = Some(address);
            if !trusted.contains(address) {
                return client;
            }
        }
    }
    client
}

/// An address with or without a port, IPv6 with or without brackets.
fn parse_address(text: &str) -> Option<IpAddr> {
    let bare = text.trim_start_matches('[').split(']').next()?;
    let address = bare.parse().ok().or_else(|| Some(text.parse::<std::net::SocketAddr>().ok()?.ip()));
    address.map(|address: IpAddr| address.to_canonical())
}

/// Asks for a reply that can be read as it comes, where the client would take a compressed one.
pub(super) fn ask_for_identity(headers: &mut HeaderMap) {
    if headers.contains_key(ACCEPT_ENCODING) {
        headers.insert(ACCEPT_ENCODING, HeaderValue::from_static("identity"));
    }
}
