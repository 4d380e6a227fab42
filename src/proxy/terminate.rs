//! TLS towards clients, which ends here.

use std::fmt;
use std::io;
use std::sync::{Arc, OnceLock};

use rustls::ServerConfig;
use rustls::crypto::aws_lc_rs::Ticketer;
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use tokio_rustls::TlsAcceptor;

use super::stream::Stream;
use super::tls::provider;
use crate::state::Live;

const HTTP_2: &[u8] = b"h2";
const HTTP_1: &[u8] = b"http/1.1";

/// Takes clients' TLS sessions: one for all workers, so that a session can be resumed at any of them.
#[derive(Clone)]
pub(super) struct Terminator(Arc<Shared>);

struct Shared {
    live: Arc<Live>,
    /// Made where there is a certificate: its keys for tickets take 50 ms, which a start without TLS does not.
    acceptor: OnceLock<TlsAcceptor>,
}

impl Terminator {
    /// TLS 1.2 and 1.3, with the certificate that is in force when a client comes.
    pub(super) fn new(live: Arc<Live>) -> io::Result<Self> {
        let has_certificate = live.snapshot().config.tls.is_some();
        let terminator = Self(Arc::new(Shared { live, acceptor: OnceLock::new() }));
        if has_certificate {
            terminator.0.acceptor()?;
        }
        Ok(terminator)
    }

    /// Begins a session.
    ///
    /// # Errors
    /// When the client speaks no TLS, none that is recent enough, or breaks off.
    pub(super) async fn accept(&self, stream: Stream) -> io::Result<Secured> {
        let session = self.0.acceptor()?.accept(stream).await?;
        let is_http2 = session.get_ref().1.alpn_protocol() == Some(HTTP_2);
        Ok(Secured { stream: Stream::Tls(Box::new(session)), is_http2 })
    }
}

impl Shared {
    fn acceptor(&self) -> io::Result<&TlsAcceptor> {
        if let Some(acceptor) = self.acceptor.get() {
            return Ok(acceptor);
        }
        let builder = ServerConfig::builder_with_provider(provider()).with_safe_default_protocol_versions();
        let builder = builder.map_err(io::Error::other)?.with_no_client_auth();
        let mut config = builder.with_cert_resolver(Arc::new(InForce(self.live.clone())));
        config.alpn_protocols = vec![HTTP_2.to_vec(), HTTP_1.to_vec()];
        config.ticketer = Ticketer::new().map_err(io::Error::other)?;
        Ok(self.acceptor.get_or_init(|| TlsAcceptor::from(Arc::new(config))))
    }
}

impl fmt::Debug for Terminator {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Terminator").finish_non_exhaustive()
    }
}

/// A client's TLS session.
pub(super) struct Secured {
    pub(super) stream: Stream,
    /// Both sides have agreed on HTTP/2.
    pub(super) is_http2: bool,
}

/// Shows the certificate of the configuration in force.
#[derive(Debug)]
struct InForce(Arc<Live>);

impl ResolvesServerCert for InForce {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        self.0.snapshot().config.tls.as_ref().map(|identity| identity.certified().clone())
    }
}
