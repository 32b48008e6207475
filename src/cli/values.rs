//! Values of arguments.

use std::path::PathBuf;
use std::time::Duration;

/// `90s`, `15m`, `12h`, `30d`.
pub(super) fn duration(text: &str) -> Result<Duration, String> {
    let wrong = || "a whole number and a unit is wanted: `90s`, `15m`, `12h` or `30d`".to_owned();
    let (number, seconds) = match text.char_indices().last() {
        Some((end, 's')) => (text.get(..end), 1),
        Some((end, 'm')) => (text.get(..end), 60),
        Some((end, 'h')) => (text.get(..end), 3_600),
        Some((end, 'd')) => (text.get(..end), 86_400),
        _ => return Err(wrong()),
    };
    let digits = number.filter(|number| number.bytes().all(|byte| byte.is_ascii_digit()));
    let number: u64 = digits.and_then(|digits| digits.parse().ok()).ok_or_else(wrong)?;
    number.checked_mul(seconds).filter(|seconds| *seconds > 0).map(Duration::from_secs).ok_or_else(wrong)
}

/// The path of a Unix socket, with or without `unix:` before it.
pub(super) fn socket(text: &str) -> Result<PathBuf, String> {
    let path = text.strip_prefix("unix:").unwrap_or(text);
    if path.is_empty() || path.contains("://") {
        return Err("the path of a Unix socket is wanted: `unix:/run/portcullis.sock`".to_owned());
    }
    Ok(PathBuf::from(path))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_have_a_unit() {
        assert_eq!(duration("90s"), Ok(Duration::from_secs(90)));
        assert_eq!(duration("30d"), Ok(Duration::from_secs(30 * 86_400)));
        for bad in
            ["", "5", "m", "-1s", "+1s", "1.5h", "0s", "1w", "99999999999999999999s", "18446744073709551615d", "1é"]
        {
            assert!(duration(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_socket_is_named_with_or_without_its_scheme() {
        assert_eq!(socket("unix:/run/x.sock"), Ok(PathBuf::from("/run/x.sock")));
        assert_eq!(socket("x.sock"), Ok(PathBuf::from("x.sock")));
        assert!(socket("http://127.0.0.1:9901").is_err());
    }
}
