use std::cell::Cell;
use std::rc::Rc;
use std::time::Instant;

use super::tap::Tap;
use crate::telemetry::{Record, RequestLog};
use crate::wechat::{Inbound, UserMessage};

/// The log entry of a request under way. It is written when it is dropped: with the last byte of the
/// reply, or when there is nobody left to send it to.
#[derive(Debug)]
pub(super) struct Entry {
    pub(super) record: Record,
    /// Bytes of the body that were streamed past, if it is streamed.
    streamed: Option<Rc<Cell<u64>>>,
    /// When the request's first byte came.
    pub(super) began: Instant,
    log: RequestLog,
    tap: Rc<Tap>,
    /// Its number on its connection.
    request: u32,
    /// Another entry will tell of the request.
    is_void: bool,
}

impl Entry {
    pub(super) fn open(record: Record, log: RequestLog, tap: Rc<Tap>, began: Instant) -> Self {
        Self { record, streamed: None, began, log, request: tap.request(), tap, is_void: false }
    }

    /// Whether the connection ends with this request.
    pub(super) fn is_last(&self) -> bool {
        self.tap.is_last()
    }

    /// Nothing is written: the request is answered in another way, which tells of it.
    pub(super) fn forget(mut self) {
        self.is_void = true;
    }

    /// Where the bytes of a body that is streamed past are counted.
    pub(super) fn streamed(&mut self) -> Rc<Cell<u64>> {
        self.streamed.get_or_insert_default().clone()
    }

    /// Notes what a callback is.
    pub(super) fn note(&mut self, inbound: &Inbound<'_>) {
        let record = &mut self.record;
        let boxed = |text: Option<&str>| text.map(Box::from);
        match inbound {
            Inbound::Message(message) => self.note_message(message),
            Inbound::Event(event) => {
                record.msg_type = Some("event".into());
                record.event = boxed(event.name());
                record.openid = boxed(event.from_user());
            }
            Inbound::Other(other) => record.msg_type = other.msg_type.clone().map(|name| name.into_owned().into()),
        }
    }

    fn note_message(&mut self, message: &UserMessage<'_>) {
        let boxed = |text: Option<&str>| text.map(Box::from);
        let record = &mut self.record;
        record.msg_type = Some(message.kind().as_str().into());
        record.msg_id = boxed(message.msg_id());
        record.openid = boxed(Some(message.from_user()));
        record.content = boxed(message.words().filter(|_| self.log.shows_content()));
    }
}

impl Drop for Entry {
    fn drop(&mut self) {
        if self.is_void {
            return;
        }
        let now = Instant::now();
        self.tap.request_done(self.request, now);
        self.record.duration = now.saturating_duration_since(self.began);
        self.record.bytes_in += self.streamed.as_ref().map_or(0, |bytes| bytes.get());
        self.log.write(&self.record);
    }
}
