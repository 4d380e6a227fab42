use std::future::poll_fn;
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::task::Poll;
use std::time::Instant;

use http::Request;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;

use super::arrival::Connection;
use super::client::Client;
use super::entry::Entry;
use super::framing;
use super::handler::handle;
use super::http2;
use super::rewound::Rewound;
use super::stream::{Accepted, Stream};
use super::tap::{Order, Tap};
use super::tapped::Tapped;
use super::terminate::Secured;
use super::tunnel::Side;
use super::whole::{self, Next};
use super::worker::Worker;
use crate::policy::{Action, Cause};
use crate::telemetry::{Client as Peer, Record, RequestPath};

/// Serves one client connection to its end: what can be exchanged whole by ourselves, all else by hyper.
pub(super) async fn serve(worker: Rc<Worker>, accepted: Accepted, tap: Rc<Tap>) {
    let Accepted { mut stream, peer } = accepted;
    let (mut scheme, mut is_http2) = ("http", false);
    // Nobody listens in on a unix socket.
    if peer.is_some() && worker.live.snapshot().config.tls.is_some() {
        let Some(secured) = Box::pin(secure(&worker, &tap, stream)).await else { return };
        (stream, scheme, is_http2) = (secured.stream, "https", secured.is_http2);
    }
    let connection = Rc::new(Connection::new(worker, tap, peer, scheme));
    let mut client = Client::new(stream, Vec::new());
    if is_http2 {
        return Box::pin(http2::serve(&connection, client)).await;
    }
    loop {
        let serving = pin!(whole::serve(&connection, client));
        match under_orders(&connection.tap, serving).await {
            Some(Next::Stream(unfit, resumed)) => {
                connection.resumed.replace(resumed);
                client = unfit;
            }
            Some(Next::Closed) | None => return,
        }
        if connection.tap.request() == 0 {
            let begins = under_orders(&connection.tap, pin!(http2::begins(&connection, &mut client))).await;
            match begins {
                Some(false) => {}
                Some(true) => return Box::pin(http2::serve(&connection, client)).await,
                None => return,
            }
        }
        // Boxed: few connections need it, and it takes much room.
        match Box::pin(stream_requests(&connection, client)).await {
            Some(rest) => client = rest,
            None => return,
        }
    }
}

/// Begins TLS, for which a client has as long as for the head of a request. None: it is gone.
async fn secure(worker: &Worker, tap: &Tap, stream: Stream) -> Option<Secured> {
    tap.shake_hands(Instant::now());
    let secured = under_orders(tap, pin!(worker.terminator.accept(stream))).await?;
    tap.rest(Instant::now());
    secured.inspect_err(|error| tracing::debug!("client connection: no TLS: {error}")).ok()
}

/// Serves for as long as no order from outside ends it.
async fn under_orders<T>(tap: &Tap, mut serving: Pin<&mut impl Future<Output = T>>) -> Option<T> {
    poll_fn(|cx| {
        tap.listen(cx);
        if tap.order() == Order::Close {
            return Poll::Ready(None);
        }
        // First what has come in already.
        match serving.as_mut().poll(cx) {
            Poll::Ready(done) => Poll::Ready(Some(done)),
            Poll::Pending if tap.order() == Order::Drain && tap.may_end(Instant::now()) => Poll::Ready(None),
            Poll::Pending => Poll::Pending,
        }
    })
    .await
}

/// Serves requests with hyper, until there is none under way. None: the connection is over.
async fn stream_requests(connection: &Rc<Connection>, client: Client) -> Option<Client> {
    let tap = &connection.tap;
    let served = connection.clone();
    let service = service_fn(move |request: Request<Incoming>| {
        let connection = served.clone();
        Box::pin(async move { Ok::<_, std::convert::Infallible>(handle(connection, request).await) })
    });
    let requests = tap.request();
    let socket = Rewound::new(client.unread.into(), client.stream);
    let mut http = http1::Builder::new()
        .preserve_header_case(true)
        .title_case_headers(true)
        .auto_date_header(false)
        // A client that has said all it has to say still waits for its answer.
        .half_close(true)
        .serve_connection(TokioIo::new(Tapped::new(socket, tap.clone())), service);
    let mut draining = false;
    let ended = poll_fn(|cx| {
        tap.listen(cx);
        if tap.order() == Order::Close {
            return Poll::Ready(Some(Ok(())));
        }
        // First what has come in already: hyper closes a connection on which it has read nothing yet.
        if let Poll::Ready(result) = Pin::new(&mut http).poll(cx) {
            return Poll::Ready(Some(result));
        }
        if !draining && tap.request() != requests && tap.is_at_rest() {
            return Poll::Ready(None);
        }
        if draining || tap.order() != Order::Drain || tap.awaits_head(Instant::now()) {
            return Poll::Pending;
        }
        draining = true;
        Pin::new(&mut http).graceful_shutdown();
        Pin::new(&mut http).poll(cx).map(Some)
    })
    .await;
    match ended {
        None => {
            let parts = http.into_parts();
            let (unread, stream) = parts.io.into_inner().into_socket().into_parts();
            tap.step_aside();
            Some(Client::new(stream, [parts.read_buf, unread].concat()))
        }
        Some(Ok(())) => {
            let tunnel = connection.tunnel.take()?;
            let parts = http.into_parts();
            let (unread, stream) = parts.io.into_inner().into_socket().into_parts();
            let client = Side { socket: Box::new(stream), first: [parts.read_buf, unread].concat().into() };
            // Its silence is the tunnel's own to judge.
            tap.moved();
            under_orders(tap, pin!(tunnel.run(client))).await;
            None
        }
        Some(Err(error)) => {
            ended_badly(connection, &error);
            None
        }
    }
}

/// What hyper refuses by itself is logged too, with what is known of the request.
fn ended_badly(connection: &Connection, error: &hyper::Error) {
    if !error.is_parse() {
        tracing::debug!("client connection: {error}");
        return;
    }
    let Connection { worker, tap, peer, .. } = connection;
    let client = peer.map_or(Peer::Unix, Peer::Addr);
    let mut record = Record::new(worker.new_request_id(), client, Action::Reject(Cause::BadRequest));
    record.status = Some(if error.is_parse_too_large() { 431 } else { 400 });
    tap.with_broken_head(|head| {
        let (method, path) = framing::first_words(head);
        record.method = method.and_then(|method| method.parse().ok());
        record.path = path.map(|path| RequestPath::raw(path.as_bytes()));
    });
    drop(Entry::open(record, worker.log.clone(), tap.clone(), Instant::now()));
}
