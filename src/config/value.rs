//! Durations and sizes, with their units.

use std::time::Duration;

use super::fault::Fault;

/// Longer than any wait that makes sense, and short enough for every clock.
const LONGEST: Duration = Duration::from_hours(365 * 24);

const TIME_UNITS: [(&str, f64); 4] = [("ms", 0.001), ("s", 1.0), ("m", 60.0), ("h", 3600.0)];
const SIZE_UNITS: [(&str, u64); 4] = [("B", 1), ("KiB", 1 << 10), ("MiB", 1 << 20), ("GiB", 1 << 30)];

/// `"4.5s"`, `"500ms"`, `"10m"`, `"2h"`; from 0 to a year.
pub(super) fn duration(text: &str) -> Result<Duration, Fault> {
    let (number, unit) = split(text);
    let fault = || Fault::new("not a duration such as \"4.5s\", \"500ms\", \"10m\" or \"2h\"");
    let Ok(number) = number.parse::<f64>() else { return Err(fault()) };
    let Some((_, seconds)) = TIME_UNITS.into_iter().find(|(name, _)| *name == unit) else {
        return Err(fault().maybe(time_unit(unit).map(|unit| format!("write \"{number}{unit}\""))));
    };
    match Duration::try_from_secs_f64(number * seconds) {
        Ok(duration) if duration <= LONGEST => Ok(duration),
        _ => Err(Fault::new("longer than a year")),
    }
}

/// A duration above zero.
pub(super) fn wait(text: &str) -> Result<Duration, Fault> {
    match duration(text)? {
        Duration::ZERO => Err(Fault::new("must be longer than nothing")),
        duration => Ok(duration),
    }
}

/// Bytes: `"256B"`, `"64KiB"`, `"1MiB"`, `"1GiB"`; at least 1.
pub(super) fn size(text: &str) -> Result<usize, Fault> {
    let (number, unit) = split(text);
    let fault = || Fault::new("not a size such as \"64KiB\", \"1MiB\" or \"256B\"");
    let Ok(number) = number.parse::<u64>() else { return Err(fault()) };
    let Some((_, bytes)) = SIZE_UNITS.into_iter().find(|(name, _)| *name == unit) else {
        return Err(fault().maybe(size_unit(unit).map(|unit| format!("write \"{number}{unit}\""))));
    };
    match number.checked_mul(bytes).map(usize::try_from) {
        Some(Ok(0)) => Err(Fault::new("must be at least \"1B\"")),
        Some(Ok(size)) => Ok(size),
        _ => Err(Fault::new("larger than this machine can count")),
    }
}

/// The digits, and what stands behind them.
fn split(text: &str) -> (&str, &str) {
    let digits = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
    (&text[..digits], text[digits..].trim())
}

fn time_unit(written: &str) -> Option<&'static str> {
    match written.to_lowercase().as_str() {
        "" | "sec" | "secs" | "second" | "seconds" | "秒" => Some("s"),
        "msec" | "millis" | "毫秒" => Some("ms"),
        "min" | "mins" | "minute" | "minutes" | "分钟" => Some("m"),
        "hr" | "hour" | "hours" | "小时" => Some("h"),
        _ => None,
    }
}

fn size_unit(written: &str) -> Option<&'static str> {
    match written.to_lowercase().as_str() {
        "" | "b" | "byte" | "bytes" => Some("B"),
        "k" | "kb" | "kib" => Some("KiB"),
        "m" | "mb" | "mib" => Some("MiB"),
        "g" | "gb" | "gib" => Some("GiB"),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::{duration, size, wait};

    #[test]
    fn durations_have_a_unit() {
        for (text, millis) in [
            ("4.5s", Some(4500)),
            ("500ms", Some(500)),
            ("0.1s", Some(100)),
            ("10m", Some(600_000)),
            ("2h", Some(7_200_000)),
            ("0s", Some(0)),
            ("8760h", Some(31_536_000_000)),
            ("8761h", None),
            ("99999999999999999999999h", None),
            ("10", None),
            ("", None),
            ("s", None),
            (".", None),
            ("-1s", None),
            ("1e3s", None),
            ("1.2.3s", None),
            ("infs", None),
            ("1m30s", None),
            ("10 sec", None),
        ] {
            assert_eq!(duration(text).ok(), millis.map(Duration::from_millis), "{text:?}");
        }
        assert!(wait("0ms").is_err());
    }

    #[test]
    fn sizes_have_a_unit() {
        for (text, bytes) in [
            ("256B", Some(256)),
            ("64KiB", Some(65_536)),
            ("1MiB", Some(1_048_576)),
            ("2GiB", Some(2_147_483_648)),
            ("0B", None),
            ("64", None),
            ("64KB", None),
            ("64k", None),
            ("1.5MiB", None),
            ("18446744073709551615GiB", None),
            ("99999999999999999999B", None),
            ("", None),
        ] {
            assert_eq!(size(text).ok(), bytes, "{text:?}");
        }
    }

    #[test]
    fn the_usual_slips_are_corrected() {
        for (fault, help) in [
            (duration("10").unwrap_err(), "write \"10s\""),
            (duration("5 min").unwrap_err(), "write \"5m\""),
            (duration("2hours").unwrap_err(), "write \"2h\""),
            (size("64k").unwrap_err(), "write \"64KiB\""),
            (size("65536").unwrap_err(), "write \"65536B\""),
        ] {
            assert_eq!(fault.suggestion(), Some(help));
        }
    }
}
