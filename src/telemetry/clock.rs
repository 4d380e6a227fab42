//! The time of day as the log shows it: local, to the millisecond.

use std::fmt::Write as _;

use jiff::Timestamp;
use jiff::tz::TimeZone;

/// Turns times into text, and remembers the text of the last second: at a thousand requests a second
/// the calendar is asked once.
#[derive(Debug, Default)]
pub(super) struct Clock {
    /// None: the system's, looked up once a second.
    zone: Option<TimeZone>,
    second: Option<i64>,
    date_time: String,
    offset: String,
}

/// A time in parts, local.
#[derive(Debug, Clone, Copy)]
pub(super) struct Stamp<'a> {
    /// `2026-11-22T13:14:23`
    pub(super) date_time: &'a str,
    /// 0 to 999
    pub(super) millis: u64,
    /// `+08:00`
    pub(super) offset: &'a str,
}

impl Clock {
    #[cfg(test)]
    pub(super) fn of(zone: TimeZone) -> Self {
        Self { zone: Some(zone), ..Self::default() }
    }

    pub(super) fn stamp(&mut self, now: Timestamp) -> Stamp<'_> {
        let second = now.as_second();
        if self.second.replace(second) != Some(second) {
            self.write_second(now);
        }
        let millis = now.subsec_millisecond().unsigned_abs().into();
        Stamp { date_time: &self.date_time, millis, offset: &self.offset }
    }

    fn write_second(&mut self, now: Timestamp) {
        let zone = self.zone.clone().unwrap_or_else(TimeZone::system);
        let local = now.to_zoned(zone);
        self.date_time.clear();
        self.offset.clear();
        // Writing to a String does not fail.
        let _ = write!(self.date_time, "{}", local.strftime("%Y-%m-%dT%H:%M:%S"));
        let _ = write!(self.offset, "{}", local.strftime("%:z"));
    }
}

#[cfg(test)]
mod tests {
    use jiff::tz::offset;

    use super::*;

    fn shown(clock: &mut Clock, time: &str) -> String {
        let Stamp { date_time, millis, offset } = clock.stamp(time.parse().unwrap());
        format!("{date_time}.{millis:03}{offset}")
    }

    #[test]
    fn a_time_is_local_with_its_offset() {
        let mut china = Clock::of(TimeZone::fixed(offset(8)));
        assert_eq!(shown(&mut china, "2026-11-22T05:14:23.123999Z"), "2026-11-22T13:14:23.123+08:00");
        assert_eq!(shown(&mut china, "2026-11-22T05:14:23.999Z"), "2026-11-22T13:14:23.999+08:00");
        assert_eq!(shown(&mut china, "2026-12-31T16:00:00.001Z"), "2027-01-01T00:00:00.001+08:00");
    }

    #[test]
    fn the_offset_follows_the_season() {
        let rule = TimeZone::posix("EST5EDT,M3.2.0,M11.1.0").unwrap();
        let mut clock = Clock::of(rule);
        assert_eq!(shown(&mut clock, "2026-07-01T12:00:00Z"), "2026-07-01T08:00:00.000-04:00");
        assert_eq!(shown(&mut clock, "2026-12-01T12:00:00Z"), "2026-12-01T07:00:00.000-05:00");
    }
}
