//! Durations, sizes and rates as people write them.

use std::time::Duration;

use super::report::Fault;

/// `"250ms"`, `"30s"`, `"5m"`, `"12h"`, `"7d"`.
pub(super) fn duration(text: &str) -> Result<Duration, Fault> {
    let wrong = || Fault::new(format!("`{text}` is no duration")).help(DURATION_HELP);
    let (number, unit) = split(text).ok_or_else(wrong)?;
    let millis = match unit {
        "ms" => 1,
        "s" => 1_000,
        "m" => 60_000,
        "h" => 3_600_000,
        "d" => 86_400_000,
        _ => return Err(wrong()),
    };
    number.checked_mul(millis).map(Duration::from_millis).ok_or_else(wrong)
}

/// What a duration looks like.
pub(super) const DURATION_HELP: &str = "a whole number and a unit: \"250ms\", \"30s\", \"5m\", \"12h\" or \"7d\"";

/// `"512"`, `"64KiB"`, `"1MiB"`.
pub(super) fn size(text: &str) -> Result<usize, Fault> {
    let wrong = || Fault::new(format!("`{text}` is no size")).help(SIZE_HELP);
    let (number, unit) = split(text).ok_or_else(wrong)?;
    let bytes = match unit {
        "" | "B" => 1,
        "KiB" => 1 << 10,
        "MiB" => 1 << 20,
        "GiB" => 1 << 30,
        _ => return Err(wrong()),
    };
    number.checked_mul(bytes).and_then(|bytes| usize::try_from(bytes).ok()).ok_or_else(wrong)
}

/// What a size looks like.
pub(super) const SIZE_HELP: &str = "a whole number and a unit: \"512B\", \"64KiB\" or \"1MiB\"";

/// `"50/s"`, `"600/m"`, `"10/5m"`: how many in how long.
pub(super) fn rate(text: &str) -> Result<(u32, Duration), Fault> {
    let wrong = || {
        Fault::new(format!("`{text}` is no rate")).help("a number from 1 and a time: \"50/s\", \"600/m\" or \"5/15m\"")
    };
    let (count, per) = text.split_once('/').ok_or_else(wrong)?;
    let count = digits(count).and_then(|n| u32::try_from(n).ok()).filter(|n| *n > 0).ok_or_else(wrong)?;
    let per = if per.starts_with(|c: char| c.is_ascii_digit()) { per.to_owned() } else { format!("1{per}") };
    let per = duration(&per).ok().filter(|per| !per.is_zero()).ok_or_else(wrong)?;
    Ok((count, per))
}

fn split(text: &str) -> Option<(u64, &str)> {
    let end = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (number, unit) = text.split_at_checked(end)?;
    Some((digits(number)?, unit.strip_prefix(' ').unwrap_or(unit)))
}

fn digits(text: &str) -> Option<u64> {
    text.bytes().all(|b| b.is_ascii_digit()).then(|| text.parse().ok())?
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations() {
        for (text, millis) in [("250ms", 250), ("30s", 30_000), ("5m", 300_000), ("12h", 43_200_000), ("0s", 0)] {
            assert_eq!(duration(text), Ok(Duration::from_millis(millis)), "{text}");
        }
        for text in ["", "5", "s", "-1s", "+1s", "1.5s", "1S", "1sec", "99999999999999999999s", "18446744073709551615h"]
        {
            assert!(duration(text).is_err(), "{text}");
        }
    }

    #[test]
    fn sizes() {
        for (text, bytes) in [("512", 512), ("512B", 512), ("64KiB", 65_536), ("1 MiB", 1_048_576)] {
            assert_eq!(size(text), Ok(bytes), "{text}");
        }
        for text in ["", "KiB", "64KB", "64k", "-1B", "99999999999GiB"] {
            assert!(size(text).is_err(), "{text}");
        }
    }

    #[test]
    fn rates() {
        assert_eq!(rate("50/s"), Ok((50, Duration::from_secs(1))));
        assert_eq!(rate("5/15m"), Ok((5, Duration::from_secs(900))));
        for text in ["", "50", "/s", "0/s", "50/0s", "50/", "50/x", "5.5/s", "-5/s", "4294967296/s"] {
            assert!(rate(text).is_err(), "{text}");
        }
    }
}
