//! Records for tests.

use std::time::{Duration, UNIX_EPOCH};

use http::{Method, Uri};
use jiff::tz::{TimeZone, offset};

use super::clock::Clock;
use super::layout::Layout;
use super::{Client, Record, RequestId, RequestPath};
use crate::policy::{Action, Cause, Transfer, Via};

/// A text message that was handed over.
pub(super) fn transferred() -> Record {
    let action = Action::Transfer(Transfer {
        via: Via::ShortCircuit,
        cause: Cause::Rule("ask-for-human".into()),
        account: Some("test1@test".into()),
    });
    Record {
        route: Some("shop".into()),
        method: Some(Method::POST),
        path: RequestPath::of(&Uri::from_static("/wechat/shop?signature=s3cret&openid=oABCDEFGHIJKLMNOPQRSTUVWXxyz")),
        status: Some(200),
        msg_type: Some("text".into()),
        msg_id: Some("23456789012345678".into()),
        openid: Some("oABCDEFGHIJKLMNOPQRSTUVWXxyz".into()),
        content: Some("转人工\n\"now\"".into()),
        duration: Duration::from_nanos(184_999),
        bytes_in: 401,
        bytes_out: 283,
        ..Record::new(id(), Client::Addr([101, 226, 103, 59].into()), action)
    }
}

/// An event whose bot answered.
pub(super) fn forwarded() -> Record {
    Record {
        route: Some("shop".into()),
        method: Some(Method::POST),
        path: RequestPath::of(&Uri::from_static("/wechat/shop")),
        status: Some(200),
        msg_type: Some("event".into()),
        event: Some("subscribe".into()),
        openid: Some("oABCDEFGHIJKLMNOPQRSTUVWXxyz".into()),
        upstream_status: Some(200),
        upstream: Some(Duration::from_millis(12)),
        duration: Duration::from_micros(12_345),
        bytes_in: 300,
        bytes_out: 7,
        ..Record::new(id(), Client::Unix, Action::Forward(Cause::Event))
    }
}

/// Bytes that were no request.
pub(super) fn refused() -> Record {
    Record::new(id(), Client::Unknown, Action::Reject(Cause::BadRequest))
}

/// `01ARYZ6S410000000000000000`
fn id() -> RequestId {
    RequestId::new(UNIX_EPOCH + Duration::from_millis(1_469_918_176_385), 0)
}

/// The record's line, written in China on 2026-11-22 at 13:14:23.123.
pub(super) fn line(layout: Layout, record: &Record) -> String {
    written(|clock, out| layout.record(record, clock.stamp(now()), out))
}

pub(super) fn dropped_line(layout: Layout, count: u64) -> String {
    written(|clock, out| layout.dropped(count, clock.stamp(now()), out))
}

fn written(write: impl FnOnce(&mut Clock, &mut Vec<u8>)) -> String {
    let mut out = Vec::new();
    write(&mut Clock::of(TimeZone::fixed(offset(8))), &mut out);
    String::from_utf8(out).unwrap()
}

fn now() -> jiff::Timestamp {
    "2026-11-22T05:14:23.123Z".parse().unwrap()
}
