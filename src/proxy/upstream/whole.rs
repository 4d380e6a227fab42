//! Requests that are sent as a whole, over connections on which the gate speaks HTTP itself, for replies
//! that are read whole.

use std::io;
use std::rc::Rc;
use std::time::Instant;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::{timeout, timeout_at};

use super::{Pool, UpstreamError};
use crate::config::Limits;
use crate::proxy::rewound::Rewound;
use crate::proxy::stream::Stream;
use crate::proxy::transport::Unanswered;
use crate::proxy::whole::{Look, Reply};
use crate::telemetry::RequestId;

/// A request, ready to be sent.
#[derive(Debug)]
pub(in crate::proxy) struct Question {
    /// Head and body.
    pub(in crate::proxy) wire: Vec<u8>,
    /// Memory for the reply.
    pub(in crate::proxy) room: Vec<u8>,
    /// It is a callback, whose reply is of no use before it is complete.
    pub(in crate::proxy) waits: bool,
    pub(in crate::proxy) id: RequestId,
    /// When the bot was asked.
    pub(in crate::proxy) asked: Instant,
}

/// A bot's answer that has begun.
#[derive(Debug)]
pub(in crate::proxy) struct Resumed {
    stream: Stream,
    /// What came so far.
    wire: Vec<u8>,
    /// What ended it, unless the bot did.
    broken: Option<io::Error>,
    pub(in crate::proxy) id: RequestId,
    /// When the request was sent.
    pub(in crate::proxy) asked: Instant,
}

impl Resumed {
    pub(super) fn rewound(self) -> Rewound<Stream> {
        Rewound::new(self.wire.into(), self.stream).broken(self.broken)
    }
}

/// How an attempt over one connection ended.
enum Attempt {
    Answered(Box<Reply>),
    Failed(UpstreamError),
    /// The connection ended before any of an answer came. The question, for another attempt.
    Silent(Option<io::Error>, Box<Question>),
    Unfit(Box<Resumed>),
}

impl Pool {
    /// Sends a request, and reads the reply.
    ///
    /// A pooled connection that the upstream had closed before any byte of an answer came is the one case
    /// in which the request is sent again, once, over a fresh connection.
    pub(in crate::proxy) async fn ask(
        self: &Rc<Self>,
        mut question: Box<Question>,
        limits: &Limits,
    ) -> Result<Box<Reply>, Unanswered<Box<Resumed>>> {
        self.idle_for.set(limits.upstream_idle);
        if let Some(stream) = self.whole.take(limits.upstream_idle, Stream::is_quiet) {
            match self.attempt(stream, question, limits).await {
                Attempt::Silent(_, again) => question = again,
                other => return other.into(),
            }
        }
        // Boxed: most requests find a connection, and should not carry the room that making one takes.
        Box::pin(self.ask_afresh(question, limits)).await
    }

    async fn ask_afresh(
        self: &Rc<Self>,
        question: Box<Question>,
        limits: &Limits,
    ) -> Result<Box<Reply>, Unanswered<Box<Resumed>>> {
        let stream = timeout(limits.connect_timeout, self.open()).await;
        let stream = stream.map_err(|_| UpstreamError::ConnectTimeout)??;
        self.attempt(stream, question, limits).await.into()
    }

    async fn attempt(self: &Rc<Self>, mut stream: Stream, question: Box<Question>, limits: &Limits) -> Attempt {
        let Question { wire: request, room: mut wire, waits, id, asked } = *question;
        wire.clear();
        let mut until = asked + limits.upstream_timeout;
        let exchange = async {
            // A bot that takes no more of the request may have answered all the same; if not, nothing will come.
            let _ = stream.write_all(&request).await;
            stream.read_buf(&mut wire).await
        };
        let Ok(read) = timeout_at(until.into(), exchange).await else {
            return Attempt::Failed(UpstreamError::Timeout);
        };
        let mut end = End::of(read);
        let mut has_head = false;
        loop {
            let has_ended = end.is_some();
            let missing = match Reply::look(wire, matches!(end, Some(End::Closed))) {
                Look::Whole(mut reply) if waits || reply.is_delimited() => {
                    self.keep(stream, &reply);
                    reply.spare = request;
                    return Attempt::Answered(reply);
                }
                Look::Headless(so_far) if !has_ended => {
                    wire = so_far;
                    0
                }
                Look::Bodiless(so_far, missing) if !has_ended && waits => {
                    if !std::mem::replace(&mut has_head, true) {
                        until = Instant::now() + limits.upstream_timeout;
                    }
                    wire = so_far;
                    missing.unwrap_or(0)
                }
                Look::Headless(room) | Look::Unfit(room) if room.is_empty() => {
                    let question = Box::new(Question { wire: request, room, waits, id, asked });
                    return Attempt::Silent(end.and_then(End::into_error), question);
                }
                other => {
                    let (wire, broken) = (other.into_wire(), end.and_then(End::into_error));
                    return Attempt::Unfit(Box::new(Resumed { stream, wire, broken, id, asked }));
                }
            };
            wire.reserve(missing.max(1));
            match timeout_at(until.into(), stream.read_buf(&mut wire)).await {
                Ok(read) => end = End::of(read),
                Err(_) if has_head => {
                    return Attempt::Unfit(Box::new(Resumed { stream, wire, broken: None, id, asked }));
                }
                Err(_) => return Attempt::Failed(UpstreamError::Timeout),
            }
        }
    }

    /// Keeps a connection for the next request, if there can be one.
    fn keep(self: &Rc<Self>, stream: Stream, reply: &Reply) {
        if reply.keeps_connection {
            self.whole.put(stream);
            self.watch();
        }
    }
}

/// How the bot's answer ended.
enum End {
    Closed,
    Broken(io::Error),
}

impl End {
    /// None if it goes on.
    fn of(read: io::Result<usize>) -> Option<Self> {
        match read {
            Ok(0) => Some(Self::Closed),
            Ok(_) => None,
            Err(error) => Some(Self::Broken(error)),
        }
    }

    fn into_error(self) -> Option<io::Error> {
        match self {
            Self::Closed => None,
            Self::Broken(error) => Some(error),
        }
    }
}

impl From<Attempt> for Result<Box<Reply>, Unanswered<Box<Resumed>>> {
    fn from(attempt: Attempt) -> Self {
        match attempt {
            Attempt::Answered(reply) => Ok(reply),
            Attempt::Failed(error) => Err(Unanswered::Failed(error)),
            Attempt::Silent(error, _) => Err(Unanswered::Failed(UpstreamError::Silent(error))),
            Attempt::Unfit(resumed) => Err(Unanswered::Unfit(resumed)),
        }
    }
}
