//! Asking a bot to go on in another protocol.

use std::future::poll_fn;

use http::{Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use tokio::sync::oneshot;
use tokio::task::spawn_local;
use tokio::time::timeout;

use super::streamed::{Lease, builder};
use super::{Pool, UpstreamError};
use crate::config::Limits;
use crate::proxy::body::{Leased, RequestBody};
use crate::proxy::reply::Streaming;
use crate::proxy::tunnel::{Duplex, Side};

/// What a bot says to it.
pub(in crate::proxy) enum Switch {
    /// The head of its answer, and its side of the tunnel.
    Agreed(Response<()>, Side),
    Declined(Box<Streaming>),
}

impl Pool {
    /// Asks over a connection that serves nothing else, and waits for the head of the answer.
    pub(in crate::proxy) async fn switch(
        &self,
        request: Box<Request<RequestBody>>,
        limits: &Limits,
    ) -> Result<Switch, UpstreamError> {
        let socket = timeout(limits.connect_timeout, self.socket()).await;
        let socket = socket.map_err(|_| UpstreamError::ConnectTimeout)??;
        let handshake = builder().handshake(TokioIo::new(socket)).await;
        let (mut sender, mut connection) = handshake.map_err(UpstreamError::Broken)?;
        let (hand, handed) = oneshot::channel();
        spawn_local(async move {
            match poll_fn(|cx| connection.poll_without_shutdown(cx)).await {
                Ok(()) => {
                    let parts = connection.into_parts();
                    // Nobody waits where no tunnel was agreed on.
                    let _ = hand.send(Side { socket: parts.io.into_inner(), first: parts.read_buf });
                }
                Err(error) => tracing::debug!("upstream connection: {error}"),
            }
        });
        let answer = timeout(limits.upstream_timeout, sender.send_request(*request)).await;
        let answer = answer.map_err(|_| UpstreamError::Timeout)?.map_err(UpstreamError::Broken)?;
        if answer.status() != StatusCode::SWITCHING_PROTOCOLS {
            let lease = Lease::last(sender);
            return Ok(Switch::Declined(Streaming::unread(answer.map(|incoming| Leased { incoming, lease }), None)));
        }
        let bot = handed.await.map_err(|_| UpstreamError::Silent(None))?;
        Ok(Switch::Agreed(answer.map(drop), bot))
    }

    async fn socket(&self) -> Result<Box<dyn Duplex>, UpstreamError> {
        let stream = self.open().await?;
        Ok(match self.connector().map_err(UpstreamError::Tls)? {
            Some(connector) => Box::new(connector.connect(stream).await.map_err(UpstreamError::Tls)?),
            None => Box::new(stream),
        })
    }
}
