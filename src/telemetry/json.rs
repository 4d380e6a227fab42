//! A record as a line of JSON, written by hand into a buffer: nothing is allocated.

use std::fmt::Display;
use std::time::Duration;

use http::Method;

use super::clock::Stamp;
use super::escape::{CONTENT_MAX, NAME_MAX, PATH_MAX, Spaces, escape, escape_text};
use super::openid::Shown;
use super::record::{Client, Record};
use crate::config::OpenidStyle;
use crate::policy::Action;

/// The name of a field with all that stands around it.
macro_rules! name {
    ($name:literal) => {
        concat!(",\"", $name, "\":")
    };
}

/// Appends the record's line. Names and order of the fields are fixed: other programs read them.
pub(super) fn record(record: &Record, openid: OpenidStyle, content: bool, now: Stamp<'_>, out: &mut Vec<u8>) {
    let mut object = Object::begin(now, out);
    object.request(record);
    object.decision(&record.action);
    object.callback(record, openid);
    object.outcome(record);
    if content {
        object.text(name!("content"), record.content.as_deref(), CONTENT_MAX);
    }
    object.end();
}

/// Appends the line that owns up to lost records.
pub(super) fn dropped(count: u64, now: Stamp<'_>, out: &mut Vec<u8>) {
    let mut object = Object::begin(now, out);
    object.number(name!("dropped"), Some(count));
    object.end();
}

struct Object<'a>(&'a mut Vec<u8>);

impl<'a> Object<'a> {
    fn begin(now: Stamp<'_>, out: &'a mut Vec<u8>) -> Self {
        out.extend_from_slice(b"{\"time\":\"");
        out.extend_from_slice(now.date_time.as_bytes());
        out.push(b'.');
        three_digits(now.millis, out);
        out.extend_from_slice(now.offset.as_bytes());
        out.push(b'"');
        Self(out)
    }

    fn request(&mut self, record: &Record) {
        let client = (record.client != Client::Unknown).then_some(record.client);
        self.text(name!("id"), Some(record.id.as_str()), NAME_MAX);
        self.text(name!("route"), record.route.as_deref(), NAME_MAX);
        self.shown(name!("client"), client, NAME_MAX);
        self.text(name!("method"), record.method.as_ref().map(Method::as_str), NAME_MAX);
        self.shown(name!("path"), record.path.as_ref(), PATH_MAX);
        self.number(name!("status"), record.status);
    }

    fn decision(&mut self, action: &Action) {
        let transfer = if let Action::Transfer(transfer) = action { Some(transfer) } else { None };
        self.text(name!("action"), Some(action.as_str()), NAME_MAX);
        self.text(name!("via"), transfer.map(|transfer| transfer.via.as_str()), NAME_MAX);
        self.shown(name!("cause"), Some(action.cause()), NAME_MAX);
        self.text(name!("account"), transfer.and_then(|transfer| transfer.account.as_deref()), NAME_MAX);
    }

    fn callback(&mut self, record: &Record, style: OpenidStyle) {
        self.text(name!("msg_type"), record.msg_type.as_deref(), NAME_MAX);
        self.text(name!("event"), record.event.as_deref(), NAME_MAX);
        self.text(name!("msg_id"), record.msg_id.as_deref(), NAME_MAX);
        self.shown(name!("openid"), record.openid.as_deref().map(|openid| Shown(style, openid)), NAME_MAX);
        self.truth(name!("encrypted"), record.encrypted);
        self.truth(name!("dry_run"), record.dry_run);
    }

    fn outcome(&mut self, record: &Record) {
        self.number(name!("upstream_status"), record.upstream_status);
        self.millis(name!("upstream_ms"), record.upstream);
        self.millis(name!("duration_ms"), Some(record.duration));
        self.number(name!("bytes_in"), Some(record.bytes_in));
        self.number(name!("bytes_out"), Some(record.bytes_out));
    }

    fn end(self) {
        self.0.extend_from_slice(b"}\n");
    }

    fn text(&mut self, name: &str, value: Option<&str>, max: usize) {
        let Some(value) = value else { return self.bare(name, b"null") };
        self.bare(name, b"\"");
        escape_text(value, max, Spaces::Kept, self.0);
        self.0.push(b'"');
    }

    fn shown(&mut self, name: &str, value: Option<impl Display>, max: usize) {
        let Some(value) = value else { return self.bare(name, b"null") };
        self.bare(name, b"\"");
        escape(value, max, Spaces::Kept, self.0);
        self.0.push(b'"');
    }

    fn number(&mut self, name: &str, value: Option<impl Into<u64>>) {
        let Some(value) = value else { return self.bare(name, b"null") };
        self.bare(name, b"");
        digits(value.into(), self.0);
    }

    /// Milliseconds with three decimals, always: a reader that guesses types from the first line
    /// it sees must not take them for whole numbers.
    fn millis(&mut self, name: &str, value: Option<Duration>) {
        let Some(value) = value else { return self.bare(name, b"null") };
        let micros = u64::try_from(value.as_micros()).unwrap_or(u64::MAX);
        self.bare(name, b"");
        digits(micros / 1000, self.0);
        self.0.push(b'.');
        three_digits(micros % 1000, self.0);
    }

    fn truth(&mut self, name: &str, value: bool) {
        self.bare(name, if value { b"true" } else { b"false" });
    }

    /// Appends a name, and `value` as it is.
    fn bare(&mut self, name: &str, value: &[u8]) {
        self.0.extend_from_slice(name.as_bytes());
        self.0.extend_from_slice(value);
    }
}

/// Appends a number in decimal.
fn digits(mut number: u64, out: &mut Vec<u8>) {
    // u64::MAX has 20 digits.
    let mut decimal = [0; 20];
    let mut start = decimal.len();
    loop {
        start -= 1;
        decimal[start] = b'0' + (number % 10) as u8;
        number /= 10;
        if number == 0 {
            return out.extend_from_slice(&decimal[start..]);
        }
    }
}

/// Appends 0 to 999 as three digits.
fn three_digits(number: u64, out: &mut Vec<u8>) {
    out.extend([number / 100, number / 10, number].map(|digit| b'0' + (digit % 10) as u8));
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::telemetry::layout::Layout;
    use crate::telemetry::samples::{dropped_line, forwarded, line, refused, transferred};

    const MASKED: Layout = Layout::Json { openid: OpenidStyle::Masked, content: false };

    #[test]
    fn a_full_record_is_the_line_of_the_contract() {
        let expected = concat!(
            r#"{"time":"2026-11-22T13:14:23.123+08:00","id":"01ARYZ6S410000000000000000","route":"shop","#,
            r#""client":"101.226.103.59","method":"POST","path":"/wechat/shop","status":200,"action":"transfer","#,
            r#""via":"short-circuit","cause":"rule:ask-for-human","account":"test1@test","msg_type":"text","#,
            r#""event":null,"msg_id":"23456789012345678","openid":"oABC…xyz","encrypted":false,"dry_run":false,"#,
            r#""upstream_status":null,"upstream_ms":null,"duration_ms":0.184,"bytes_in":401,"bytes_out":283}"#,
            "\n",
        );
        assert_eq!(line(MASKED, &transferred()), expected);
    }

    #[test]
    fn what_is_unknown_is_null() {
        let expected = concat!(
            r#"{"time":"2026-11-22T13:14:23.123+08:00","id":"01ARYZ6S410000000000000000","route":null,"#,
            r#""client":null,"method":null,"path":null,"status":null,"action":"reject","via":null,"#,
            r#""cause":"bad-request","account":null,"msg_type":null,"event":null,"msg_id":null,"openid":null,"#,
            r#""encrypted":false,"dry_run":false,"upstream_status":null,"upstream_ms":null,"duration_ms":0.000,"#,
            r#""bytes_in":0,"bytes_out":0}"#,
            "\n",
        );
        assert_eq!(line(MASKED, &refused()), expected);
    }

    #[test]
    fn a_program_reads_what_was_recorded() {
        let read: Value = serde_json::from_str(&line(MASKED, &forwarded())).unwrap();
        let expected = json!({
            "time": "2026-11-22T13:14:23.123+08:00", "id": "01ARYZ6S410000000000000000", "route": "shop",
            "client": "unix", "method": "POST", "path": "/wechat/shop", "status": 200, "action": "forward",
            "via": null, "cause": "event", "account": null, "msg_type": "event", "event": "subscribe",
            "msg_id": null, "openid": "oABC…xyz", "encrypted": false, "dry_run": false,
            "upstream_status": 200, "upstream_ms": 12.0, "duration_ms": 12.345, "bytes_in": 300, "bytes_out": 7,
        });
        assert_eq!(read, expected);
    }

    #[test]
    fn the_users_words_come_last_and_only_where_wanted() {
        let with_words = line(Layout::Json { openid: OpenidStyle::Masked, content: true }, &transferred());
        assert!(with_words.ends_with(",\"bytes_out\":283,\"content\":\"转人工\\u000a\\\"now\\\"\"}\n"));
        assert!(!line(MASKED, &transferred()).contains("转人工"));
    }

    #[test]
    fn an_openid_is_shown_as_configured() {
        let shown = |openid| line(Layout::Json { openid, content: false }, &transferred());
        assert!(shown(OpenidStyle::Full).contains(r#""openid":"oABCDEFGHIJKLMNOPQRSTUVWXxyz""#));
        let hashed: Value = serde_json::from_str(&shown(OpenidStyle::Hash)).unwrap();
        assert_eq!(hashed["openid"].as_str().unwrap().len(), 16);
        assert!(!shown(OpenidStyle::Hash).contains("oABC"));
    }

    #[test]
    fn a_line_can_not_be_forged() {
        let mut record = forwarded();
        record.event = Some("x\",\"action\":\"transfer\"}\n{\"time\":\"".into());
        record.path = Some(crate::telemetry::RequestPath::raw(b"/\r\n{\"forged\":1}"));
        let line = line(MASKED, &record);
        assert_eq!(line.lines().count(), 1);
        let read: Value = serde_json::from_str(&line).unwrap();
        assert_eq!(read["action"], "forward");
        assert_eq!(read["event"], "x\",\"action\":\"transfer\"}\n{\"time\":\"");
        assert_eq!(read["path"], "/\r\n{\"forged\":1}");
    }

    #[test]
    fn lost_records_are_owned_up_to() {
        assert_eq!(dropped_line(MASKED, 17), "{\"time\":\"2026-11-22T13:14:23.123+08:00\",\"dropped\":17}\n");
    }

    #[test]
    fn numbers_are_decimal() {
        for (number, expected) in [(0, "0"), (7, "7"), (10, "10"), (u64::MAX, "18446744073709551615")] {
            let mut out = Vec::new();
            digits(number, &mut out);
            assert_eq!(out, expected.as_bytes());
        }
    }
}
