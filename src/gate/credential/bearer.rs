//! `Authorization`: `Bearer` (RFC 6750, section 2.1), `DPoP` (RFC 9449, section 7.1) and `Basic` (RFC 7617, section 2),
//! and what a bearer text is.

use super::Presented;
use crate::crypto::{api_key, jwt};

/// What an `Authorization` header holds.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Authorization<'a> {
    /// A bearer token.
    Bearer(&'a str),
    /// A token with a proof in another header.
    Dpop(&'a str),
    /// User name and password in base64.
    Basic(&'a str),
    /// Another scheme.
    Other,
    /// No grammar allows it.
    Malformed,
}

/// Reads the header's value: a scheme, in any case, and for those that are read one or more spaces and a `b64token`.
pub(super) fn read<'a>(value: &'a [u8], reads: Reads) -> Authorization<'a> {
    let end = value.iter().position(|b| !is_token_char(*b)).unwrap_or(value.len());
    let Some((scheme, rest)) = value.split_at_checked(end).filter(|(scheme, _)| !scheme.is_empty()) else {
        return Authorization::Malformed;
    };
    let is = |name: &str| scheme.eq_ignore_ascii_case(name.as_bytes());
    let kind: fn(&'a str) -> Authorization<'a> = if is("bearer") {
        Authorization::Bearer
    } else if reads.dpop && is("dpop") {
        Authorization::Dpop
    } else if reads.basic && is("basic") {
        Authorization::Basic
    } else {
        return Authorization::Other;
    };
    let start = rest.iter().position(|b| *b != b' ').unwrap_or(rest.len());
    match rest.get(start..).map(std::str::from_utf8) {
        Some(Ok(token)) if start > 0 && is_b64token(token) => kind(token),
        _ => Authorization::Malformed,
    }
}

/// Which schemes are read besides `Bearer`.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Reads {
    pub(super) basic: bool,
    pub(super) dpop: bool,
}

/// What a bearer text is, by its form alone.
pub(super) fn classify(token: &str) -> Presented<'_> {
    if api_key::has_prefix(token) {
        return Presented::ApiKey(token);
    }
    if jwt::has_form(token) { Presented::Jwt(token) } else { Presented::Opaque(token) }
}

/// `1*( ALPHA / DIGIT / "-" / "." / "_" / "~" / "+" / "/" ) *"="`
pub(super) fn is_b64token(token: &str) -> bool {
    let body = token.trim_end_matches('=');
    // Without a branch, many bytes are looked at in one instruction: a token is long, and comes with each request.
    !body.is_empty() && body.bytes().fold(true, |fine, byte| fine & is_b64token_char(byte))
}

const fn is_b64token_char(byte: u8) -> bool {
    ((byte | 0x20).wrapping_sub(b'a') < 26)
        | (byte.wrapping_sub(b'0') < 10)
        | (byte == b'-')
        | (byte == b'.')
        | (byte == b'_')
        | (byte == b'~')
        | (byte == b'+')
        | (byte == b'/')
}

/// RFC 9110, section 5.6.2.
const fn is_token_char(byte: u8) -> bool {
    byte.is_ascii_alphanumeric()
        || matches!(
            byte,
            b'!' | b'#' | b'$' | b'%' | b'&' | b'\'' | b'*' | b'+' | b'-' | b'.' | b'^' | b'_' | b'`' | b'|' | b'~'
        )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::CredentialKind;
    use proptest::prelude::*;

    const ALL: Reads = Reads { basic: true, dpop: true };

    #[test]
    fn the_scheme_is_read_in_any_case_and_the_token_as_the_grammar_has_it() {
        for (value, expected) in [
            ("Bearer abc", Authorization::Bearer("abc")),
            ("bEARER   a.b-c_d~e+f/g==", Authorization::Bearer("a.b-c_d~e+f/g==")),
            ("bASIC  dXNlcjpw", Authorization::Basic("dXNlcjpw")),
            ("DPoP abc", Authorization::Dpop("abc")),
            ("dpop  a.b.c", Authorization::Dpop("a.b.c")),
            ("DPoP", Authorization::Malformed),
            ("DPoP a b", Authorization::Malformed),
            ("DPoP a, DPoP b", Authorization::Malformed),
            ("DPoPx abc", Authorization::Other),
            ("Basic", Authorization::Malformed),
            ("Basic user:password", Authorization::Malformed),
            ("Bearerx abc", Authorization::Other),
            ("Negotiate", Authorization::Other),
            ("", Authorization::Malformed),
            ("=x", Authorization::Malformed),
            (" Bearer abc", Authorization::Malformed),
            ("Bearer", Authorization::Malformed),
            ("Bearer ", Authorization::Malformed),
            ("Bearer\tabc", Authorization::Malformed),
            ("Bearer=abc", Authorization::Malformed),
            ("Bearer a b", Authorization::Malformed),
            ("Bearer a, Bearer b", Authorization::Malformed),
            ("Bearer \"a\"", Authorization::Malformed),
            ("Bearer ==", Authorization::Malformed),
            ("Bearer a=b", Authorization::Malformed),
            ("Bearer ä", Authorization::Malformed),
        ] {
            assert_eq!(read(value.as_bytes(), ALL), expected, "{value:?}");
        }
        for value in ["Basic dXNlcjpw", "Basic", "Basic \"", "basic a b", "DPoP abc", "DPoP", "dpop a b"] {
            assert_eq!(
                read(value.as_bytes(), Reads::default()),
                Authorization::Other,
                "{value:?} is the application's"
            );
        }
    }

    #[test]
    fn the_form_alone_says_what_a_bearer_is() {
        let kind = |token| classify(token).kind();
        assert_eq!(kind("a.b.c"), CredentialKind::Jwt);
        assert_eq!(kind("pc_dev_a_b"), CredentialKind::ApiKey);
        assert_eq!(kind("pc_a.b.c"), CredentialKind::ApiKey);
        for opaque in ["", "a", "a.b", "a.b.", ".b.c", "a..c", "a.b.c.d", "a.b.c.", "PC_x", "..", "..."] {
            assert_eq!(kind(opaque), CredentialKind::Opaque, "{opaque}");
        }
    }

    #[test]
    fn the_characters_of_a_token_are_those_of_the_grammar() {
        for byte in 0..=u8::MAX {
            let fits = byte.is_ascii_alphanumeric() || b"-._~+/".contains(&byte);
            assert_eq!(is_b64token_char(byte), fits, "{byte:#x}");
        }
    }

    proptest! {
        #[test]
        fn f26_no_bytes_panic_or_make_a_token_that_is_none(value in prop::collection::vec(any::<u8>(), 0..40)) {
            for scheme in [b"Bearer ".as_slice(), b"Basic ", b"DPoP "] {
                let value = [scheme, &value].concat();
                match read(&value, ALL) {
                    Authorization::Bearer(text) | Authorization::Dpop(text) | Authorization::Basic(text) => {
                        prop_assert!(is_b64token(text));
                    }
                    Authorization::Other | Authorization::Malformed => {}
                }
            }
        }
    }
}
