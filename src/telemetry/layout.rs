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
