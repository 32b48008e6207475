//! `Cookie` and `Set-Cookie` (RFC 6265), as far as our own session cookie is concerned.

use bytes::{BufMut, BytesMut};
use http::header::{COOKIE, SET_COOKIE};
use http::{HeaderMap, HeaderValue};
use percent_encoding::percent_decode;

/// The values of every cookie of this name, in the order sent. HTTP/2 may send each cookie in a header of its own
/// (RFC 9113, section 8.2.3), so all `Cookie` headers count as one list.
pub(in crate::gate) fn values<'a>(headers: &'a HeaderMap, name: &str) -> impl Iterator<Item = &'a [u8]> {
    let crumbs = headers.get_all(COOKIE).iter().flat_map(|list| list.as_bytes().split(|b| *b == b';'));
    crumbs.filter_map(move |crumb| {
        let (found, value) = read(crumb);
        (found == name.as_bytes()).then_some(value)
    })
}

/// Whether a cookie has this name to PHP and another one to everybody else: PHP decodes names, ends them at a NUL or an
/// index, and has `_` for what its variables cannot have.
pub(in crate::gate) fn has_php_alias(headers: &HeaderMap, name: &str) -> bool {
    let crumbs = headers.get_all(COOKIE).iter().flat_map(|list| list.as_bytes().split(|b| *b == b';'));
    let mut names = crumbs.map(|crumb| read(crumb).0).filter(|found| *found != name.as_bytes());
    names.any(|found| {
        let plain = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-');
        if found.iter().all(|b| plain(*b)) {
            return false;
        }
        let spaced: Vec<u8> = found.iter().map(|b| if *b == b'+' { b' ' } else { *b }).collect();
        let decoded: Vec<u8> = percent_decode(&spaced).collect();
        let text = decoded.split(|b| *b == 0).next().unwrap_or_default().trim_ascii_start();
        let is_name = |text: &[u8]| {
            let as_variable = text.iter().map(|b| if matches!(b, b' ' | b'.' | b'[') { b'_' } else { *b });
            as_variable.eq(name.bytes())
        };
        is_name(text) || is_name(text.split(|b| *b == b'[').next().unwrap_or_default())
    })
}

/// Takes every cookie of this name out of the request; the others stay byte for byte.
pub(in crate::gate) fn remove(headers: &mut HeaderMap, name: &str) {
    if values(headers, name).next().is_none() {
        return;
    }
    let kept: Vec<HeaderValue> = headers.get_all(COOKIE).iter().filter_map(|list| without(list, name)).collect();
    headers.remove(COOKIE);
    for list in kept {
        headers.append(COOKIE, list);
    }
}

/// Takes every `Set-Cookie` of this name out of an answer.
pub(in crate::gate) fn remove_set(headers: &mut HeaderMap, name: &str) {
    let sets = |header: &HeaderValue| {
        // A cookie without a name whose value reads `name=…` comes back from some browsers as a cookie of that name.
        let text = header.as_bytes();
        let start = text.iter().position(|b| !matches!(b, b' ' | b'\t' | b'='));
        read(start.and_then(|at| text.get(at..)).unwrap_or_default()).0 == name.as_bytes()
    };
    if !headers.get_all(SET_COOKIE).iter().any(sets) {
        return;
    }
    let kept: Vec<HeaderValue> = headers.get_all(SET_COOKIE).iter().filter(|header| !sets(header)).cloned().collect();
    headers.remove(SET_COOKIE);
    for header in kept {
        headers.append(SET_COOKIE, header);
    }
}

/// Name and value of one crumb. One without `=` is all name.
fn read(crumb: &[u8]) -> (&[u8], &[u8]) {
    let end = crumb.iter().position(|b| *b == b'=');
    match end.and_then(|end| crumb.split_at_checked(end)) {
        Some((name, value)) => {
            (name.trim_ascii(), value.trim_ascii().strip_prefix(b"=").unwrap_or_default().trim_ascii())
        }
        None => (crumb.trim_ascii(), b""),
    }
}

/// The list without cookies of this name; `None` where nothing is left.
fn without(list: &HeaderValue, name: &str) -> Option<HeaderValue> {
    let crumbs = list.as_bytes().split(|b| *b == b';');
    if crumbs.clone().all(|crumb| read(crumb).0 != name.as_bytes()) {
        return Some(list.clone());
    }
    let mut kept = BytesMut::with_capacity(list.len());
    for crumb in crumbs.filter(|crumb| read(crumb).0 != name.as_bytes() && !crumb.trim_ascii().is_empty()) {
        if kept.is_empty() {
            kept.put_slice(crumb.trim_ascii_start());
        } else {
            kept.put_u8(b';');
            kept.put_slice(crumb);
        }
    }
    if kept.is_empty() { None } else { HeaderValue::from_maybe_shared(kept.freeze()).ok() }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NAME: &str = "__Host-session";

    fn map(lists: &[&str]) -> HeaderMap {
        lists.iter().map(|list| (COOKIE, list.parse().unwrap())).collect()
    }

    fn removed(lists: &[&str]) -> Vec<String> {
        let mut headers = map(lists);
        remove(&mut headers, NAME);
        headers.get_all(COOKIE).iter().map(|v| v.to_str().unwrap().to_owned()).collect()
    }

    #[test]
    fn our_cookie_goes_and_the_others_stay_byte_for_byte() {
        for (sent, left) in [
            (&["a=1; __Host-session=s; b=2"][..], &["a=1; b=2"][..]),
            (&["__Host-session=s"], &[]),
            (&["__Host-session=s; b=2"], &["b=2"]),
            (&["a=1; __Host-session=s"], &["a=1"]),
            (&["a=\"x y\" ;b=%20=;  c"], &["a=\"x y\" ;b=%20=;  c"]),
            (&["a=1;;b=2"], &["a=1;;b=2"]),
            (&["a=1", "__Host-session=s", "b=2"], &["a=1", "b=2"]),
            (&["__Host-session = s; a=__Host-session"], &["a=__Host-session"]),
            (&["__Host-session; a=1; __Host-session=t"], &["a=1"]),
            (&["__host-session=other; x__Host-session=1"], &["__host-session=other; x__Host-session=1"]),
        ] {
            assert_eq!(removed(sent), left, "{sent:?}");
        }
    }

    #[test]
    fn f41_crumbs_of_several_headers_are_one_list() {
        let headers = map(&["a=1; __Host-session=one", "__Host-session=two", "b=2"]);
        let found: Vec<&[u8]> = values(&headers, NAME).collect();
        assert_eq!(found, [b"one", b"two"]);
    }

    #[test]
    fn f41_names_that_php_takes_for_the_cookie_are_found() {
        for (sent, is_alias) in [
            ("my_sess=1; a=b", false),
            ("a=my_sess; my_sess2=1; xmy_sess=1; MY_SESS=1; my-sess=1; %20=1; =; ;", false),
            ("a=1;  %6dy_sess=1", true),
            ("my.sess=1", true),
            ("my%20sess", true),
            ("my+sess=1", true),
            ("+my_sess=1", true),
            ("my_sess[a]=1", true),
            ("my_sess%5B=1", true),
            ("my[sess=1", true),
            ("my_sess%00x=1", true),
        ] {
            assert_eq!(has_php_alias(&map(&[sent]), "my_sess"), is_alias, "{sent}");
        }
    }

    #[test]
    fn an_upstream_cannot_set_our_cookie() {
        let mut headers = HeaderMap::new();
        for value in
            ["a=1; Path=/", "__Host-session=evil; Secure", " __Host-session =evil", "=__Host-session=evil", "b=2"]
        {
            headers.append(SET_COOKIE, value.parse().unwrap());
        }
        remove_set(&mut headers, NAME);
        let left: Vec<&str> = headers.get_all(SET_COOKIE).iter().map(|v| v.to_str().unwrap()).collect();
        assert_eq!(left, ["a=1; Path=/", "b=2"]);
    }
}
