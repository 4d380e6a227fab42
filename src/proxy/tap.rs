//! What is known of a client by watching it: the head as it stands on the wire, when it began, and what is waited
//! for.

use std::cell::{Cell, RefCell};
use std::task::{Context, Waker};
use std::time::{Duration, Instant};

use super::frames::{Brought, Frames};
use super::framing::{self, Checked, Framing, Refusal};
use super::wire::Wire;
use crate::config::Limits;

/// What is known of one client connection beside what hyper tells.
#[derive(Debug)]
pub(super) struct Tap {
    wire: RefCell<Wire>,
    stage: Cell<Stage>,
    /// When the first byte of the request came that is being received.
    began: Cell<Option<Instant>>,
    /// Since when the client is waited for in the middle of a body or of a reply.
    stalled: Cell<Option<Instant>>,
    /// Counts requests, so that the end of one is not taken for the end of the next.
    request: Cell<u32>,
    /// Over HTTP/2, how many requests are being answered.
    streams: Cell<Option<u32>>,
    /// Over HTTP/2, what is being received.
    frames: RefCell<Frames>,
    /// The client wants the connection to end with the request that is being answered.
    closes: Cell<bool>,
    order: Cell<Order>,
    /// How often it was ordered to drain.
    reminders: Cell<u8>,
    waker: RefCell<Option<Waker>>,
    /// The connection's position among those of its worker.
    place: Cell<usize>,
}

/// What a connection is doing, since when.
#[derive(Debug, Clone, Copy)]
enum Stage {
    /// Nothing was sent since the last reply, or at all.
    Idle(Instant),
    /// A request's head is being received.
    Head(Instant),
    /// A request is being answered.
    Busy,
}

/// What a connection is asked to do from outside.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Order {
    Serve,
    /// Finish what is begun, and close.
    Drain,
    /// Close now.
    Close,
}

impl Tap {
    pub(super) fn new(now: Instant, place: usize) -> Self {
        Self {
            wire: RefCell::default(),
            stage: Cell::new(Stage::Idle(now)),
            began: Cell::new(None),
            stalled: Cell::new(None),
            request: Cell::new(0),
            streams: Cell::new(None),
            frames: RefCell::default(),
            closes: Cell::new(false),
            order: Cell::new(Order::Serve),
            reminders: Cell::new(0),
            waker: RefCell::new(None),
            place: Cell::new(place),
        }
    }

    /// Checks the head that hyper has just handed over, and steps behind it. Returns when its first
    /// byte came, if that is known, and how its body is delimited.
    pub(super) fn take_head(&self) -> Result<(Option<Instant>, Framing), Refusal> {
        self.stage.set(Stage::Busy);
        self.request.set(self.request.get().wrapping_add(1));
        let began = self.began.take();
        let mut wire = self.wire.borrow_mut();
        let Checked { len, framing } = framing::check(&wire.head)?;
        wire.step_behind(len, framing);
        Ok((began, framing))
    }

    /// Notes that a request is here whole, and is being answered without hyper.
    pub(super) fn take_whole(&self, closes: bool) {
        self.stage.set(Stage::Busy);
        self.request.set(self.request.get().wrapping_add(1));
        self.closes.set(closes);
    }

    /// Notes that the client is to show in time that it speaks TLS, and who it is.
    pub(super) fn shake_hands(&self, now: Instant) {
        self.stage.set(Stage::Head(now));
    }

    /// Notes that nothing of a request has come yet.
    pub(super) fn rest(&self, now: Instant) {
        self.stage.set(Stage::Idle(now));
        self.began.set(None);
    }

    /// Notes that the client speaks HTTP/2: requests are no longer found on the wire, and several are answered at
    /// once.
    pub(super) fn multiplex(&self, now: Instant) {
        self.step_aside();
        self.streams.set(Some(0));
        self.rest(now);
    }

    /// Notes that one more request is being answered, over HTTP/2.
    pub(super) fn take_stream(&self) {
        self.streams.set(Some(self.streams.get().unwrap_or(0) + 1));
        self.stage.set(Stage::Busy);
    }

    /// Notes that there is a part of a request, unless one is known already.
    pub(super) fn begin(&self) {
        if self.began.get().is_some() {
            return;
        }
        let now = Instant::now();
        self.began.set(Some(now));
        if matches!(self.stage.get(), Stage::Idle(_)) {
            self.stage.set(Stage::Head(now));
        }
    }

    /// When the first byte of the request came.
    pub(super) fn began(&self) -> Option<Instant> {
        self.began.get()
    }

    /// Whether the connection ends with the request that is being answered without hyper.
    pub(super) fn is_last(&self) -> bool {
        self.closes.get() || self.order.get() != Order::Serve
    }

    /// Whether hyper has nothing to do: no request is under way, and all of the last reply has gone out.
    pub(super) fn is_at_rest(&self) -> bool {
        matches!(self.stage.get(), Stage::Idle(_)) && self.stalled.get().is_none() && self.wire.borrow().is_at_rest()
    }

    /// Forgets what hyper was given: it has nothing to do with the connection any more.
    pub(super) fn step_aside(&self) {
        *self.wire.borrow_mut() = Wire::default();
    }

    /// Whether the connection can end now, because nobody waits for an answer.
    pub(super) fn may_end(&self, now: Instant) -> bool {
        matches!(self.stage.get(), Stage::Idle(_)) && !self.awaits_head(now)
    }

    /// The number of the request that is being answered.
    pub(super) fn request(&self) -> u32 {
        self.request.get()
    }

    /// The reply to this request has been written, or nobody wants it any more.
    pub(super) fn request_done(&self, request: u32, now: Instant) {
        if let Some(open) = self.streams.get() {
            let left = open.saturating_sub(1);
            self.streams.set(Some(left));
            if left == 0 {
                self.stage.set(Stage::Idle(now));
            }
            return;
        }
        if request != self.request.get() {
            return;
        }
        let more = !self.wire.borrow().is_blank;
        self.stage.set(if more { Stage::Head(now) } else { Stage::Idle(now) });
        self.began.set(more.then_some(now));
    }

    /// Calls `look` with the bytes of a head that hyper could not parse.
    pub(super) fn with_broken_head<T>(&self, look: impl FnOnce(&[u8]) -> T) -> T {
        look(&self.wire.borrow().head)
    }

    /// Whether the client takes longer than it may.
    pub(super) fn is_overdue(&self, now: Instant, limits: &Limits) -> bool {
        /// In the middle of a request there may be an answer to give first.
        const TO_ANSWER: Duration = Duration::from_secs(1);
        if let (Some(_), Some(began)) = (self.streams.get(), self.began.get())
            && now.saturating_duration_since(began) > limits.header_timeout
        {
            return true;
        }
        let (since, limit) = match (self.stalled.get(), self.stage.get()) {
            (Some(since), Stage::Busy) => (since, limits.idle_timeout + TO_ANSWER),
            (Some(since), _) | (None, Stage::Idle(since)) => (since, limits.idle_timeout),
            (None, Stage::Head(since)) => (since, limits.header_timeout),
            (None, Stage::Busy) => return false,
        };
        now.saturating_duration_since(since) > limit.max(Duration::from_millis(1))
    }

    /// Whether a request is on its way in: part of its head is here, or it may have been sent before the
    /// client could know that we end.
    pub(super) fn awaits_head(&self, now: Instant) -> bool {
        const ON_ITS_WAY: Duration = Duration::from_millis(250);
        /// Between two reminders the runtime asks the kernel what has come; a busy machine may take long for it.
        const ASKED: u8 = 4;
        match self.stage.get() {
            Stage::Busy => false,
            Stage::Head(_) => true,
            Stage::Idle(_) if self.began.get().is_some() => true,
            Stage::Idle(since) => self.reminders.get() < ASKED || now.saturating_duration_since(since) < ON_ITS_WAY,
        }
    }

    pub(super) fn place(&self) -> usize {
        self.place.get()
    }

    pub(super) fn move_to(&self, place: usize) {
        self.place.set(place);
    }

    pub(super) fn order(&self) -> Order {
        self.order.get()
    }

    /// Gives an order and wakes the connection.
    pub(super) fn give(&self, order: Order) {
        self.order.set(order);
        self.reminders.set(self.reminders.get().saturating_add(1));
        if let Some(waker) = self.waker.borrow_mut().take() {
            waker.wake();
        }
    }

    /// Remembers whom to wake when an order comes.
    pub(super) fn listen(&self, cx: &Context<'_>) {
        let mut waker = self.waker.borrow_mut();
        if !waker.as_ref().is_some_and(|known| known.will_wake(cx.waker())) {
            *waker = Some(cx.waker().clone());
        }
    }

    /// Takes up what the client has sent.
    pub(super) fn received(&self, bytes: &[u8]) {
        if self.streams.get().is_some() {
            return self.received_frames(bytes);
        }
        if self.wire.borrow_mut().receive(bytes) {
            self.begin();
        }
    }

    /// Over HTTP/2 heads come while requests are answered.
    fn received_frames(&self, bytes: &[u8]) {
        let Brought { ended, begun } = self.frames.borrow_mut().receive(bytes);
        if !begun {
            self.began.set(None);
        } else if ended || self.began.get().is_none() {
            self.began.set(Some(Instant::now()));
        }
    }

    /// The client has sent or taken something.
    pub(super) fn moved(&self) {
        if self.stalled.take().is_none() {
            return;
        }
        let now = Instant::now();
        match self.stage.get() {
            Stage::Idle(_) => self.stage.set(Stage::Idle(now)),
            Stage::Head(_) => self.stage.set(Stage::Head(now)),
            Stage::Busy => {}
        }
    }

    /// There is nothing to read. While a request is answered, that is only asked for in the middle of its body;
    /// over HTTP/2 always, and it says nothing.
    pub(super) fn nothing_to_read(&self) {
        if matches!(self.stage.get(), Stage::Busy) && self.streams.get().is_none() {
            self.nothing_moves();
        }
    }

    pub(super) fn nothing_moves(&self) {
        if self.stalled.get().is_none() {
            self.stalled.set(Some(Instant::now()));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEAD: &[u8] = b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\n";

    fn received(parts: &[&[u8]]) -> Tap {
        let tap = Tap::new(Instant::now(), 0);
        for part in parts {
            tap.received(part);
        }
        tap
    }

    #[test]
    fn a_body_is_stepped_over_wherever_the_reads_fall() {
        for parts in [&[HEAD, b"abc", HEAD, b"abc"][..], &[HEAD, b"a"], &[&[HEAD, b"abc", HEAD, b"ab"].concat()]] {
            let tap = received(parts);
            assert_eq!(tap.take_head().map(|(_, framing)| framing), Ok(Framing::Length(3)));
            tap.received(b"bc");
            tap.request_done(tap.request(), Instant::now());
            if parts.len() != 2 {
                assert_eq!(tap.take_head().map(|(_, framing)| framing), Ok(Framing::Length(3)), "the second request");
            }
        }
    }

    fn overdue(tap: &Tap, start: Instant, seconds: u64) -> bool {
        let limits = Limits {
            header_timeout: Duration::from_secs(10),
            idle_timeout: Duration::from_secs(75),
            ..Limits::default()
        };
        tap.is_overdue(start + Duration::from_secs(seconds), &limits)
    }

    #[test]
    fn the_head_and_the_idle_time_are_limited() {
        let start = Instant::now();
        let tap = Tap::new(start, 0);
        assert!(!overdue(&tap, start, 75));
        assert!(overdue(&tap, start, 76), "nothing came at all");
        tap.received(&HEAD[..5]);
        assert!(!overdue(&tap, start, 9));
        assert!(overdue(&tap, start, 12), "a head is not complete after 10 s");
        tap.received(&HEAD[5..]);
        tap.take_head().unwrap();
        assert!(!overdue(&tap, start, 1000), "a request is being answered");
        tap.received(b"abc");
        tap.request_done(tap.request(), start);
        assert!(!overdue(&tap, start, 75));
        assert!(overdue(&tap, start, 76), "nothing came for 75 s");
    }

    #[test]
    fn a_client_that_is_waited_for_has_the_idle_time() {
        let start = Instant::now();
        let tap = received(&[HEAD]);
        tap.nothing_to_read();
        assert!(overdue(&tap, start, 12), "it waits for a head, not for a body");
        tap.take_head().unwrap();
        tap.nothing_to_read();
        assert!(!overdue(&tap, start, 74));
        assert!(overdue(&tap, start, 78), "its body does not come");
        tap.moved();
        assert!(!overdue(&tap, start, 1000), "it goes on");
        tap.received(b"abc");
        tap.nothing_moves();
        tap.request_done(tap.request(), start);
        assert!(overdue(&tap, start, 77), "it does not take the reply");
    }

    #[test]
    fn empty_lines_begin_no_request() {
        let tap = received(&[HEAD]);
        tap.take_head().unwrap();
        tap.received(b"abc\r\n");
        tap.request_done(tap.request(), Instant::now());
        (0..4).for_each(|_| tap.give(Order::Drain));
        assert!(!tap.awaits_head(Instant::now() + Duration::from_secs(1)));
        tap.received(HEAD);
        assert!(tap.awaits_head(Instant::now() + Duration::from_secs(1)));
        assert_eq!(tap.take_head().map(|(began, _)| began.is_some()), Ok(true));
    }

    #[test]
    fn the_end_of_one_request_is_not_the_end_of_the_next() {
        let tap = received(&[HEAD, b"abc", HEAD, b"abc"]);
        tap.take_head().unwrap();
        let first = tap.request();
        tap.take_head().unwrap();
        tap.request_done(first, Instant::now());
        assert!(matches!(tap.stage.get(), Stage::Busy));
    }
}
