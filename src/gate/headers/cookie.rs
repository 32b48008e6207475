//! `Cookie` and `Set-Cookie` (RFC 6265), as far as our own session cookie is concerned.

use bytes::{BufMut, BytesMut};
use http::header::{COOKIE, SET_COOKIE};
use http::{HeaderMap, HeaderValue};

/// The values of every cookie of this name, in the order sent. HTTP/2 may send each cookie in a header of its own
/// (RFC 9113, section 8.2.3), so all `Cookie` headers count as one list.
pub(in crate::gate) fn values<'a>(headers: &'a HeaderMap, name: &str) -> impl Iterator<Item = &'a [u8]> {
    let crumbs = headers.get_all(COOKIE).iter().flat_map(|list| list.as_bytes().split(|b| *b == b';'));
    crumbs.filter_map(move |crumb| {
        let (found, value) = read(crumb);
        (found == name.as_bytes()).then_some(value)
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
