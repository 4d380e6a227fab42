//! Requests to go on in another protocol, such as WebSocket, on routes that allow it.

use std::time::Instant;

use http::header::{CONNECTION, TE, UPGRADE};
use http::{HeaderMap, HeaderValue, Request, Response, StatusCode, Version, request};
use http_body::Body;

use super::arrival::Connection;
use super::body::{Outgoing, RequestBody};
use super::error::Error;
use super::exchange::Exchange;
use super::header as headers;
use super::streamed::Streamed;
use super::transport::Transport;
use super::tunnel::Tunnel;
use super::upstream::{Switch, UpstreamError};
use crate::config::TransferMode;
use crate::policy::{Action, Cause};
use crate::wechat::Fault;

/// The protocol that a request without a body asks for, if it asks for one.
///
/// Other versions of HTTP are no such protocol: a client that spoke one to the bot would get past what the gate
/// checks and removes. A server may ignore what it does not want to switch to (RFC 9110, section 7.8).
pub(super) fn protocol(parts: &request::Parts, body: &impl Body) -> Option<HeaderValue> {
    if parts.version != Version::HTTP_11 || !body.is_end_stream() || !has_token(&parts.headers, "upgrade") {
        return None;
    }
    one_protocol(&parts.headers)
}

/// Whether Connection names this.
fn has_token(headers: &HeaderMap, token: &str) -> bool {
    let values = headers.get_all(CONNECTION).iter().filter_map(|value| value.to_str().ok());
    values.flat_map(|value| value.split(',')).any(|named| named.trim().eq_ignore_ascii_case(token))
}

fn one_protocol(headers: &HeaderMap) -> Option<HeaderValue> {
    let mut values = headers.get_all(UPGRADE).iter();
    let (Some(value), None) = (values.next(), values.next()) else { return None };
    let name = value.to_str().ok()?.trim();
    let base = name.split('/').next().unwrap_or_default().to_ascii_lowercase();
    let is_one = !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-._+/".contains(&byte));
    (is_one && !matches!(&*base, "h2" | "h2c" | "h3" | "http" | "https" | "tls" | "connect-udp" | "connect-ip"))
        .then(|| value.clone())
}

/// Lets the next hop know what is asked for, or agreed on.
fn announce(headers: &mut HeaderMap, protocol: HeaderValue) {
    // Declared to be for this hop too, it would have to be named beside.
    headers.remove(TE);
    headers.insert(CONNECTION, HeaderValue::from_static("upgrade"));
    headers.insert(UPGRADE, protocol);
}

impl Exchange {
    /// Asks the bot to go on in this protocol. If it agrees, the client's connection becomes a tunnel to it; any
    /// other answer goes back as it came.
    pub(super) async fn switch(
        mut self: Box<Self>,
        mut parts: request::Parts,
        protocol: HeaderValue,
        connection: &Connection,
    ) -> Response<Outgoing> {
        let mode = self.route().transfer;
        let mut action = Action::Forward(if mode == TransferMode::Off { Cause::Off } else { Cause::NotCallback });
        if self.refuses(&parts.method, false, parts.uri.query()) {
            self.pool.warn(&self.route().name, Fault::Signature);
            if mode != TransferMode::DryRun {
                return self.refuse::<Streamed>(&Error::BadSignature);
            }
            action = Action::Reject(Cause::BadSignature);
        }
        announce(&mut parts.headers, protocol.clone());
        let request = Box::new(Request::from_parts(parts, RequestBody::default()));
        let snapshot = self.snapshot.clone();
        let (limits, asked) = (&snapshot.config.limits, Instant::now());
        let answer = self.pool.switch(request, limits).await;
        self.entry.record.upstream = Some(asked.elapsed());
        let answer = match answer {
            Ok(Switch::Agreed(head, _))
                if one_protocol(head.headers()).is_none_or(|named| !is_same(&named, &protocol)) =>
            {
                Err(UpstreamError::Switched)
            }
            answer => answer,
        };
        match answer {
            Ok(Switch::Agreed(head, bot)) => {
                let (status, flag) = (StatusCode::SWITCHING_PROTOCOLS, &self.route().flag_header);
                let mut headers = head.into_parts().0.headers;
                headers::strip_hop_by_hop(&mut headers);
                headers.remove(flag);
                announce(&mut headers, protocol);
                let record = &mut self.entry.record;
                record.action = action;
                (record.status, record.upstream_status) = (Some(status.as_u16()), Some(status.as_u16()));
                let tunnel = Tunnel { bot, patience: limits.idle_timeout, entry: self.entry };
                connection.tunnel.replace(Some(Box::new(tunnel)));
                let mut response = Response::new(Outgoing::nothing());
                (*response.status_mut(), *response.headers_mut()) = (status, headers);
                response
            }
            Ok(Switch::Declined(answer)) => {
                let record = &mut self.entry.record;
                record.action = action;
                let status = Some(answer.parts.status.as_u16());
                (record.status, record.upstream_status) = (status, status);
                Streamed::relay(answer, &self.snapshot.route(self.position).flag_header, self.entry)
            }
            Err(error) => {
                self.pool.warn(&self.route().name, &error);
                self.refuse::<Streamed>(&Error::Upstream(error))
            }
        }
    }
}

/// The names of protocols are compared without regard to case (RFC 9110, section 7.8).
fn is_same(one: &HeaderValue, other: &HeaderValue) -> bool {
    one.as_bytes().trim_ascii().eq_ignore_ascii_case(other.as_bytes().trim_ascii())
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use http_body_util::{Empty, Full};

    use super::*;

    fn asked(headers: &[(&str, &str)]) -> Option<HeaderValue> {
        let builder = headers.iter().fold(Request::get("/"), |builder, (name, value)| builder.header(*name, *value));
        protocol(&builder.body(()).unwrap().into_parts().0, &Empty::<Bytes>::new())
    }

    #[test]
    fn one_protocol_is_asked_for() {
        for value in ["websocket", "WebSocket", "SPDY/3.1"] {
            assert_eq!(asked(&[("connection", "keep-alive, Upgrade"), ("upgrade", value)]).unwrap(), value);
        }
        for headers in [
            &[("connection", "upgrade")][..],
            &[("upgrade", "websocket")],
            &[("connection", "keep-alive"), ("upgrade", "websocket")],
            &[("connection", "upgrade"), ("upgrade", "websocket"), ("upgrade", "websocket")],
            &[("connection", "upgrade"), ("upgrade", "websocket, a")],
            &[("connection", "upgrade"), ("upgrade", "h2c")],
            &[("connection", "upgrade, http2-settings"), ("upgrade", "H2C")],
            &[("connection", "upgrade"), ("upgrade", "HTTP/2.0")],
            &[("connection", "upgrade"), ("upgrade", "TLS/1.2")],
            &[("connection", "upgrade"), ("upgrade", "")],
        ] {
            assert_eq!(asked(headers), None, "{headers:?}");
        }
    }

    #[test]
    fn nothing_with_a_body_or_of_another_version_becomes_a_tunnel() {
        let request = || Request::get("/").header("connection", "upgrade").header("upgrade", "websocket");
        let parts = |builder: http::request::Builder| builder.body(()).unwrap().into_parts().0;
        assert!(protocol(&parts(request()), &Empty::<Bytes>::new()).is_some());
        assert_eq!(protocol(&parts(request()), &Full::new(Bytes::from_static(b"a"))), None);
        assert_eq!(protocol(&parts(request().version(Version::HTTP_10)), &Empty::<Bytes>::new()), None);
    }
}
