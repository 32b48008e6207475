//! What a client expects before it sends its body (RFC 9110, section 10.1.1).

use http::header::EXPECT;
use http::{Request, Version};

use crate::model::Denial;
use crate::model::denial::Reason;

/// Refuses to go on where a client expects what nobody here offers. `100-continue` is met by our own server, which says
/// so when the body is first read: after the decision, once there is a connection to the upstream. It must stand alone,
/// in one line: our server would not know it in a list, and its client would wait.
pub(super) fn check<B>(request: &Request<B>) -> Result<(), Denial> {
    // HTTP/1.0 has no such header; what was relayed from a newer client is not for us.
    if request.version() < Version::HTTP_11 {
        return Ok(());
    }
    let mut said = request.headers().get_all(EXPECT).iter();
    match (said.next(), said.next()) {
        (None, _) => Ok(()),
        (Some(one), None) if one.as_bytes().eq_ignore_ascii_case(b"100-continue") => Ok(()),
        _ => Err(Denial::new(Reason::ExpectationUnknown)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_one_expectation_is_met() {
        let asked = |version: Version, lines: &[&str]| {
            let mut request = Request::builder().version(version);
            for line in lines {
                request = request.header(EXPECT, *line);
            }
            check(&request.body(()).unwrap()).map_err(|denial| denial.reason)
        };
        for version in [Version::HTTP_11, Version::HTTP_2] {
            assert_eq!(asked(version, &[]), Ok(()));
            assert_eq!(asked(version, &["100-Continue"]), Ok(()));
            for lines in [
                &["200-ok"][..],
                &[""],
                &["100-continue", "100-continue"],
                &["100-continue, x=y"],
                &["100-continue;q=1"],
                &["x", "100-continue"],
            ] {
                assert_eq!(asked(version, lines), Err(Reason::ExpectationUnknown), "{lines:?}");
            }
        }
        assert_eq!(asked(Version::HTTP_10, &["200-ok"]), Ok(()));
    }
}
