//! What a connection becomes when both sides have agreed on another protocol: bytes, passed on as they come.

use std::cell::Cell;
use std::fmt;
use std::io;
use std::rc::Rc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, ReadHalf, WriteHalf, split};
use tokio::time::{sleep_until, timeout};

use super::entry::Entry;

/// Memory for each direction, in bytes.
const ROOM: usize = 16 * 1024;
/// For the last words to each side, such as those of TLS.
const FAREWELL: Duration = Duration::from_secs(1);

/// A connection, whatever it is made of.
pub(super) trait Duplex: AsyncRead + AsyncWrite + Unpin {}

impl<S: AsyncRead + AsyncWrite + Unpin> Duplex for S {}

/// One side of a tunnel.
pub(super) struct Side {
    pub(super) socket: Box<dyn Duplex>,
    /// What it has said already.
    pub(super) first: Bytes,
}

/// A tunnel that the bot has agreed to.
pub(super) struct Tunnel {
    pub(super) bot: Side,
    /// It ends when nothing has moved for so long.
    pub(super) patience: Duration,
    pub(super) entry: Box<Entry>,
}

impl fmt::Debug for Tunnel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tunnel").field("entry", &self.entry).finish_non_exhaustive()
    }
}

impl Tunnel {
    /// Passes on what both sides say, until either has said all, or nothing moves any more.
    pub(super) async fn run(self, client: Side) {
        let Self { bot, patience, mut entry } = self;
        let tally = Tally { sent: entry.streamed(), received: Rc::default(), entry };
        let moved = Cell::new(Instant::now());
        let note = |bytes: &Cell<u64>, count: usize| {
            bytes.set(bytes.get() + count as u64);
            moved.set(Instant::now());
        };
        let ((client_out, mut client_in), (bot_out, mut bot_in)) = (split(client.socket), split(bot.socket));
        tokio::select! {
            _ = pour(client.first, client_out, &mut bot_in, |count| note(&tally.sent, count)) => {}
            _ = pour(bot.first, bot_out, &mut client_in, |count| note(&tally.received, count)) => {}
            () = silence(&moved, patience) => {}
        }
        drop(tally);
        let _ = timeout(FAREWELL, client_in.shutdown()).await;
        let _ = timeout(FAREWELL, bot_in.shutdown()).await;
    }
}

/// Counts what passes, and is logged when the tunnel ends, whatever ended it.
struct Tally {
    sent: Rc<Cell<u64>>,
    received: Rc<Cell<u64>>,
    /// Written to the log when it is dropped; it knows of `sent`.
    entry: Box<Entry>,
}

impl Drop for Tally {
    fn drop(&mut self) {
        self.entry.record.bytes_out = self.received.get();
    }
}

/// Passes on `first`, and then what comes, to its end. `note` is told of what the other side has taken.
async fn pour<S: Duplex>(
    first: Bytes,
    mut from: ReadHalf<S>,
    to: &mut WriteHalf<S>,
    note: impl Fn(usize),
) -> io::Result<()> {
    let mut room = Vec::with_capacity(ROOM.max(first.len()));
    room.extend_from_slice(&first);
    drop(first);
    loop {
        let mut rest = &room[..];
        while !rest.is_empty() {
            let taken = to.write(rest).await?;
            if taken == 0 {
                return Err(io::ErrorKind::WriteZero.into());
            }
            note(taken);
            rest = &rest[taken..];
        }
        to.flush().await?;
        room.clear();
        if from.read_buf(&mut room).await? == 0 {
            return Ok(());
        }
    }
}

/// Waits until nothing has moved for so long.
async fn silence(moved: &Cell<Instant>, patience: Duration) {
    loop {
        let end = moved.get() + patience;
        if end <= Instant::now() {
            return;
        }
        sleep_until(end.into()).await;
    }
}
