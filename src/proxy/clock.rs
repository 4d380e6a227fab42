use std::cell::RefCell;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use http::HeaderValue;

/// The time, and the last Date header made of it: many replies go out in one second.
#[derive(Debug, Default)]
pub(super) struct Clock {
    date: RefCell<Option<(u64, HeaderValue)>>,
}

impl Clock {
    /// Since 1970.
    pub(super) fn unix_time() -> Duration {
        SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default()
    }

    /// The Date header of this second. None for a time that has no such form.
    pub(super) fn date(&self, unix_seconds: u64) -> Option<HeaderValue> {
        let mut date = self.date.borrow_mut();
        if date.as_ref().is_none_or(|(second, _)| *second != unix_seconds) {
            let time = UNIX_EPOCH.checked_add(Duration::from_secs(unix_seconds))?;
            *date =
                HeaderValue::from_maybe_shared(httpdate::fmt_http_date(time)).ok().map(|value| (unix_seconds, value));
        }
        date.as_ref().map(|(_, value)| value.clone())
    }
}
