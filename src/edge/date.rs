//! `Date` of answers that have none (RFC 9110, section 6.6.1).

use std::cell::RefCell;

use http::HeaderValue;
use time::OffsetDateTime;
use time::format_description::BorrowedFormatItem;
use time::macros::format_description;

use crate::model::{Clock, SystemClock};

/// IMF-fixdate (section 5.6.7).
const FORMAT: &[BorrowedFormatItem<'_>] =
    format_description!("[weekday repr:short], [day] [month repr:short] [year] [hour]:[minute]:[second] GMT");

thread_local! {
    /// The second that was written last, and how.
    static WRITTEN: RefCell<(u64, HeaderValue)> = const { RefCell::new((u64::MAX, HeaderValue::from_static(""))) };
}

/// The time now, by the system's clock, as for HTTP/1 hyper has it.
pub(super) fn now() -> HeaderValue {
    at(SystemClock.now().as_secs())
}

fn at(second: u64) -> HeaderValue {
    WRITTEN.with_borrow_mut(|(written, value)| {
        if *written != second {
            *value = write(second).unwrap_or_else(|| HeaderValue::from_static("Thu, 01 Jan 1970 00:00:00 GMT"));
            *written = second;
        }
        value.clone()
    })
}

fn write(second: u64) -> Option<HeaderValue> {
    let time = OffsetDateTime::from_unix_timestamp(i64::try_from(second).ok()?).ok()?;
    HeaderValue::try_from(time.format(FORMAT).ok()?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_are_as_http_has_them() {
        assert_eq!(at(784_111_777), "Sun, 06 Nov 1994 08:49:37 GMT");
        assert_eq!(at(784_111_777), "Sun, 06 Nov 1994 08:49:37 GMT");
        assert_eq!(at(1_709_164_800), "Thu, 29 Feb 2024 00:00:00 GMT");
        assert_eq!(at(0), "Thu, 01 Jan 1970 00:00:00 GMT");
    }
}
