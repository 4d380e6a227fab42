//! One call of WeChat's, with its patience.

use std::fmt;
use std::io;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use form_urlencoded::Serializer;
use http::header::{ACCEPT, CACHE_CONTROL, CONTENT_LENGTH, CONTENT_TYPE, HOST, PRAGMA, USER_AGENT};
use http::{HeaderMap, HeaderValue, Method, Request, StatusCode};
use http_body_util::{BodyExt, Full};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use rustls::pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;

use super::callback::Callback;
use super::seal;
use super::target::Target;
use crate::proxy;
use crate::telemetry::Entropy;
use crate::wechat::{Account, Format, msg_signature, signature};

/// When WeChat hangs up.
const PATIENCE: Duration = Duration::from_secs(5);

/// What is delivered, signed.
#[derive(Debug)]
pub(in crate::cli) struct Delivery {
    pub(super) call: Call,
    /// Whose keys a reply is opened with: the callback was sealed with them.
    pub(super) account: Option<Account>,
    parameters: String,
}

#[derive(Debug)]
pub(super) enum Call {
    /// The check of the URL, which is answered with this.
    Check(String),
    Callback(Callback),
}

impl Delivery {
    pub(in crate::cli) fn of(callback: Callback, token: &str) -> Self {
        Self::made(callback, token, None)
    }

    /// In safe mode. `token` is the account's.
    pub(in crate::cli) fn sealed(callback: Callback, token: &str, account: Account) -> Self {
        let callback = callback.sealed(&account);
        Self::made(callback, token, Some(account))
    }

    fn made(callback: Callback, token: &str, account: Option<Account>) -> Self {
        let encrypt = seal::encrypt(&String::from_utf8_lossy(&callback.body));
        let mut parameters = signed(token, encrypt.as_deref());
        if let Some(openid) = &callback.from {
            parameters.append_pair("openid", openid);
        }
        Self { parameters: parameters.finish(), call: Call::Callback(callback), account }
    }

    pub(super) fn of_check(token: &str) -> Self {
        let echostr = (random() >> 1).to_string();
        let mut parameters = signed(token, None);
        parameters.append_pair("echostr", &echostr);
        Self { parameters: parameters.finish(), call: Call::Check(echostr), account: None }
    }

    /// In words.
    pub(in crate::cli) fn what(&self) -> &str {
        match &self.call {
            Call::Check(_) => "the check of the URL (GET with echostr)",
            Call::Callback(callback) => &callback.what,
        }
    }

    /// Sends it on a connection of its own, and waits as long as WeChat does.
    pub(in crate::cli) async fn send(&self, target: &Target) -> Result<Answer, NoAnswer> {
        let began = Instant::now();
        let exchange = async {
            let stream = TcpStream::connect((&*target.host, target.port)).await.map_err(NoAnswer::Connect)?;
            let request = self.request(target)?;
            if !target.is_https {
                return exchange(stream, request, began).await;
            }
            let tls = TlsConnector::from(proxy::system_tls().map_err(NoAnswer::Tls)?);
            let name =
                ServerName::try_from(target.host.clone()).map_err(|error| NoAnswer::Tls(io::Error::other(error)))?;
            exchange(tls.connect(name, stream).await.map_err(NoAnswer::Tls)?, request, began).await
        };
        timeout(PATIENCE, exchange).await.unwrap_or(Err(NoAnswer::Late))
    }

    /// With WeChat's headers, in its order.
    fn request(&self, target: &Target) -> Result<Request<Full<Bytes>>, NoAnswer> {
        let request = Request::builder()
            .uri(target.with(&self.parameters))
            .header(HOST, &target.authority)
            .header(USER_AGENT, "Mozilla/4.0");
        let request = match &self.call {
            Call::Check(_) => request.header(ACCEPT, "*/*").body(Full::default()),
            Call::Callback(callback) => request
                .method(Method::POST)
                .header(CONTENT_LENGTH, callback.body.len())
                .header(ACCEPT, "*/*")
                .header(CACHE_CONTROL, "no-cache")
                .header(CONTENT_TYPE, content_type(callback.format))
                .header(PRAGMA, "no-cache")
                .body(Full::from(callback.body.clone())),
        };
        request.map_err(NoAnswer::Url)
    }
}

fn content_type(format: Option<Format>) -> HeaderValue {
    HeaderValue::from_static(if format == Some(Format::Json) { "application/json" } else { "text/xml" })
}

/// The parameters that every call has, and those of one with a ciphertext.
fn signed(token: &str, encrypt: Option<&str>) -> Serializer<'static, String> {
    let timestamp = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs().to_string();
    let nonce = (random() % 1_000_000_000).to_string();
    let mut parameters = Serializer::new(String::new());
    parameters.append_pair("signature", &signature(token, &timestamp, &nonce));
    parameters.append_pair("timestamp", &timestamp).append_pair("nonce", &nonce);
    if let Some(encrypt) = encrypt {
        parameters.append_pair("encrypt_type", "aes");
        parameters.append_pair("msg_signature", &msg_signature(token, &timestamp, &nonce, encrypt));
    }
    parameters
}

fn random() -> u64 {
    Entropy::seeded().next_u128() as u64
}

async fn exchange<S>(stream: S, request: Request<Full<Bytes>>, began: Instant) -> Result<Answer, NoAnswer>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let builder = http1::Builder::new().title_case_headers(true).to_owned();
    let (mut sender, connection) = builder.handshake(TokioIo::new(stream)).await.map_err(NoAnswer::Http)?;
    let talk = async move {
        let response = sender.send_request(request).await?;
        let (parts, body) = response.into_parts();
        let body = body.collect().await?.to_bytes();
        Ok(Answer { status: parts.status, headers: parts.headers, body, took: began.elapsed() })
    };
    tokio::pin!(talk, connection);
    tokio::select! {
        answer = &mut talk => return answer.map_err(NoAnswer::Http),
        // When it ends before the answer is there, the answer says why.
        _ = &mut connection => {}
    }
    talk.await.map_err(NoAnswer::Http)
}

/// What came back.
#[derive(Debug)]
pub(in crate::cli) struct Answer {
    pub(super) status: StatusCode,
    pub(super) headers: HeaderMap,
    pub(super) body: Bytes,
    took: Duration,
}

impl Answer {
    #[cfg(test)]
    pub(super) fn made(status: StatusCode, headers: HeaderMap, body: Bytes) -> Self {
        Self { status, headers, body, took: Duration::ZERO }
    }

    pub(super) fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    pub(super) fn took(&self) -> String {
        let millis = self.took.as_secs_f64() * 1000.0;
        if millis < 1000.0 { format!("{millis:.1} ms") } else { format!("{:.2} s", millis / 1000.0) }
    }
}

/// Why nothing came back.
#[derive(Debug)]
pub(in crate::cli) enum NoAnswer {
    Url(http::Error),
    Connect(io::Error),
    Tls(io::Error),
    Http(hyper::Error),
    Late,
}

impl fmt::Display for NoAnswer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Url(error) => write!(f, "the URL can not be used: {error}"),
            Self::Connect(error) => write!(f, "can not connect: {error}"),
            Self::Tls(error) => write!(f, "TLS handshake failed: {error}"),
            Self::Http(error) if error.is_incomplete_message() => {
                f.write_str("the connection was closed before the reply was complete")
            }
            Self::Http(error) => write!(f, "the reply is not HTTP: {error}"),
            Self::Late => f.write_str("no reply within 5 s: WeChat hangs up"),
        }
    }
}

impl std::error::Error for NoAnswer {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Url(error) => Some(error),
            Self::Connect(error) | Self::Tls(error) => Some(error),
            Self::Http(error) => Some(error),
            Self::Late => None,
        }
    }
}
