use std::future::poll_fn;
use std::pin::pin;
use std::rc::Rc;
use std::task::Poll;
use std::time::Instant;

use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;

use super::entry::Entry;
use super::framing;
use super::handler::{Connection, handle};
use super::stream::Accepted;
use super::tap::{Order, Tap, Tapped};
use super::worker::Worker;
use crate::policy::{Action, Cause};
use crate::telemetry::{Client, Record, RequestPath};

/// Serves one client connection to its end.
pub(super) async fn serve(worker: Rc<Worker>, accepted: Accepted, tap: Rc<Tap>) {
    let Accepted { stream, peer } = accepted;
    let connection = Rc::new(Connection { worker, tap: tap.clone(), peer });
    let served = connection.clone();
    let service = service_fn(move |request| {
        let connection = served.clone();
        async move { Ok::<_, std::convert::Infallible>(handle(connection, request).await) }
    });
    let io = TokioIo::new(Tapped::new(stream, tap.clone()));
    let mut http = pin!(
        http1::Builder::new()
            .preserve_header_case(true)
            .title_case_headers(true)
            .auto_date_header(false)
            // A client that has said all it has to say still waits for its answer.
            .half_close(true)
            .serve_connection(io, service)
    );
    let mut draining = false;
    let result = poll_fn(|cx| {
        tap.listen(cx);
        if tap.order() == Order::Close {
            return Poll::Ready(Ok(()));
        }
        // First what has come in already: hyper closes a connection on which it has read nothing yet.
        if let Poll::Ready(result) = http.as_mut().poll(cx) {
            return Poll::Ready(result);
        }
        if draining || tap.order() != Order::Drain || tap.awaits_head(Instant::now()) {
            return Poll::Pending;
        }
        draining = true;
        http.as_mut().graceful_shutdown();
        http.as_mut().poll(cx)
    })
    .await;
    if let Err(error) = result {
        ended_badly(&connection, &error);
    }
}

/// What hyper refuses by itself is logged too, with what is known of the request.
fn ended_badly(connection: &Connection, error: &hyper::Error) {
    if !error.is_parse() {
        tracing::debug!("client connection: {error}");
        return;
    }
    let Connection { worker, tap, peer } = connection;
    let client = peer.map_or(Client::Unix, Client::Addr);
    let mut record = Record::new(worker.new_request_id(), client, Action::Reject(Cause::BadRequest));
    record.status = Some(if error.is_parse_too_large() { 431 } else { 400 });
    tap.with_broken_head(|head| {
        let (method, path) = framing::first_words(head);
        record.method = method.and_then(|method| method.parse().ok());
        record.path = path.map(|path| RequestPath::raw(path.as_bytes()));
    });
    drop(Entry::open(record, worker.log.clone(), tap.clone(), Instant::now()));
}
