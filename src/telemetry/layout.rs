//! What a record's line looks like, as configured.

use super::clock::Stamp;
use super::record::Record;
use super::text::Look;
use super::{json, text};
use crate::config::{LogConfig, LogFormat, OpenidStyle};

#[derive(Debug, Clone, Copy)]
pub(super) enum Layout {
    Json { openid: OpenidStyle, content: bool },
    Text(Look),
}

impl Layout {
    pub(super) fn of(config: &LogConfig, coloured: bool) -> Self {
        let LogConfig { openid, content, .. } = *config;
        match config.format {
            LogFormat::Json => Self::Json { openid, content },
            LogFormat::Text => Self::Text(Look { openid, content, coloured }),
        }
    }

    pub(super) fn shows_content(self) -> bool {
        match self {
            Self::Json { content, .. } | Self::Text(Look { content, .. }) => content,
        }
    }

    /// Appends the record's line, with its line feed.
    pub(super) fn record(self, record: &Record, now: Stamp<'_>, out: &mut Vec<u8>) {
        match self {
            Self::Json { openid, content } => json::record(record, openid, content, now, out),
            Self::Text(look) => text::record(record, look, now, out),
        }
    }

    /// Appends a line that says how many records were lost here.
    pub(super) fn dropped(self, count: u64, now: Stamp<'_>, out: &mut Vec<u8>) {
        match self {
            Self::Json { .. } => json::dropped(count, now, out),
            Self::Text(_) => text::dropped(count, now, out),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::collection::vec;
    use proptest::option::of;
    use proptest::prelude::*;
    use serde_json::Value;

    use super::*;
    use crate::policy::{Action, Cause, Transfer, Via};
    use crate::telemetry::samples::{line, transferred};
    use crate::telemetry::{Client, RequestPath};

    fn string() -> impl Strategy<Value = String> {
        vec(any::<char>(), 0..200).prop_map(String::from_iter)
    }

    fn action() -> impl Strategy<Value = Action> {
        (string(), string()).prop_map(|(rule, account)| {
            let (cause, account) = (Cause::Rule(rule.into()), Some(account.into()));
            Action::Transfer(Transfer { via: Via::Rewrite, cause, account })
        })
    }

    prop_compose! {
        fn record()(
            action in action(),
            path in of(vec(any::<u8>(), 0..3000)),
            [msg_type, event, msg_id, openid] in [of(string()), of(string()), of(string()), of(string())],
            content in of(vec(any::<char>(), 0..3000)),
            (micros, status, bytes) in any::<(u64, u16, u64)>(),
        ) -> Record {
            Record {
                client: Client::Unknown,
                path: path.map(|path| RequestPath::raw(&path)),
                msg_type: msg_type.map(Into::into),
                event: event.map(Into::into),
                msg_id: msg_id.map(Into::into),
                openid: openid.map(Into::into),
                content: content.map(|content| String::from_iter(content).into()),
                status: Some(status),
                duration: std::time::Duration::from_micros(micros),
                bytes_in: bytes,
                action,
                ..transferred()
            }
        }
    }

    /// Whether a field says what was sent, or the beginning of it and so much.
    fn tells(field: &Value, sent: Option<&str>) -> bool {
        match (field.as_str(), sent) {
            (Some(field), Some(sent)) => {
                field == sent || field.strip_suffix('…').is_some_and(|start| sent.starts_with(start))
            }
            (field, sent) => field.is_none() && sent.is_none(),
        }
    }

    fn is_one_line(line: &str) -> bool {
        line.ends_with('\n') && line.chars().filter(|character| character.is_control()).count() == 1
    }

    proptest! {
        #[test]
        fn whatever_was_sent_the_line_is_one_line_of_json(record in record()) {
            let line = line(Layout::Json { openid: OpenidStyle::Full, content: true }, &record);
            prop_assert!(is_one_line(&line) && line.len() < 8192, "{} bytes: {line}", line.len());
            let read: Value = serde_json::from_str(&line).unwrap();
            prop_assert_eq!(read.as_object().unwrap().len(), 23);
            prop_assert!(tells(&read["event"], record.event.as_deref()));
            prop_assert!(tells(&read["msg_id"], record.msg_id.as_deref()));
            prop_assert!(tells(&read["openid"], record.openid.as_deref()));
            prop_assert!(tells(&read["content"], record.content.as_deref()));
            prop_assert!(tells(&read["path"], record.path.map(|path| path.to_string()).as_deref()));
            prop_assert_eq!(&read["bytes_in"], &Value::from(record.bytes_in));
        }

        #[test]
        fn whatever_was_sent_the_line_is_one_line_of_text(record in record(), style in 0..3_usize) {
            let openid = [OpenidStyle::Masked, OpenidStyle::Full, OpenidStyle::Hash][style];
            let look = Look { openid, content: true, coloured: false };
            let line = line(Layout::Text(look), &record);
            prop_assert!(is_one_line(&line) && line.len() < 8192, "{} bytes: {line}", line.len());
        }
    }
}
