//! Reads the bodies and queries of operations.

use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, StatusCode, header};
use http_body::Body;
use http_body_util::{BodyExt, Limited};
use serde::de::DeserializeOwned;

use super::operations::{self, DEFAULT_LIMIT, OperationError};
use crate::model::Principal;

/// Longest body.
const MAX_BODY: usize = 64 * 1024;
/// How long it may take.
const BODY_TIMEOUT: Duration = Duration::from_secs(5);

/// A body of JSON. Its type must be said: what a plain HTML form can send is no operation.
pub(super) async fn json<T, B>(headers: &HeaderMap, body: B) -> Result<T, (StatusCode, String)>
where
    T: DeserializeOwned,
    B: Body<Data = Bytes>,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    let kind = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    if !kind.split(';').next().is_some_and(|kind| kind.trim().eq_ignore_ascii_case("application/json")) {
        return Err((StatusCode::UNSUPPORTED_MEDIA_TYPE, "the body must be application/json".to_owned()));
    }
    let body = match tokio::time::timeout(BODY_TIMEOUT, Limited::new(body, MAX_BODY).collect()).await {
        Ok(Ok(body)) => body.to_bytes(),
        Ok(Err(_)) => {
            return Err((StatusCode::PAYLOAD_TOO_LARGE, "the body is incomplete or longer than 64 KiB".to_owned()));
        }
        Err(_) => return Err((StatusCode::REQUEST_TIMEOUT, "the body took too long".to_owned())),
    };
    serde_json::from_slice(&body).map_err(|problem| (StatusCode::BAD_REQUEST, format!("the body: {problem}")))
}

/// The principal that a query names with `subject` and, if it is not a local one, `issuer`.
pub(super) fn principal(query: Option<&str>) -> Result<Option<Principal>, OperationError> {
    match parameters(query, ["issuer", "subject"])? {
        [issuer, Some(subject)] => operations::principal(issuer.as_deref(), &subject).map(Some),
        [Some(_), None] => Err(OperationError::Invalid("`issuer` needs `subject`".to_owned())),
        [None, None] => Ok(None),
    }
}

/// Which revocations a query names with `kind`, and how many of them it wants with `limit`.
pub(super) fn kind_and_limit(query: Option<&str>) -> Result<(Option<String>, usize), OperationError> {
    let [kind, limit] = parameters(query, ["kind", "limit"])?;
    let limit = limit.map_or(Ok(DEFAULT_LIMIT), |limit| limit.parse());
    let limit = limit.map_err(|_| OperationError::Invalid("`limit` must be a whole number".to_owned()))?;
    Ok((kind, limit))
}

/// The values of these parameters, each at most once; there may be no others.
fn parameters<const N: usize>(query: Option<&str>, names: [&str; N]) -> Result<[Option<String>; N], OperationError> {
    let mut values = [const { None }; N];
    for (name, value) in url::form_urlencoded::parse(query.unwrap_or_default().as_bytes()) {
        let place = names.iter().position(|known| *known == name).and_then(|at| values.get_mut(at));
        let place = place.ok_or_else(|| OperationError::Invalid(format!("unknown parameter `{name}`")))?;
        if place.replace(value.into_owned()).is_some() {
            return Err(OperationError::Invalid(format!("the parameter `{name}` stands twice")));
        }
    }
    Ok(values)
}

#[cfg(test)]
mod tests {
    use http_body_util::Full;

    use super::*;
    use crate::admin::NewKey;

    async fn read(kind: &'static str, body: &'static str) -> Result<NewKey, StatusCode> {
        let mut headers = HeaderMap::new();
        headers.insert(header::CONTENT_TYPE, kind.parse().unwrap());
        json(&headers, Full::new(Bytes::from_static(body.as_bytes()))).await.map_err(|(status, _)| status)
    }

    #[tokio::test]
    async fn only_json_that_is_fully_understood_is_taken() {
        assert_eq!(read("application/json; charset=utf-8", r#"{"subject":"ci"}"#).await.unwrap().grants.subject, "ci");
        for (kind, body, status) in [
            ("text/plain", r#"{"subject":"ci"}"#, 415),
            ("application/json", r#"{"subject":"ci","role":["admin"]}"#, 400),
            ("application/json", r#"{"#, 400),
            ("application/json", r#"{}"#, 400),
        ] {
            assert_eq!(read(kind, body).await.unwrap_err().as_u16(), status, "{body}");
        }
    }

    #[tokio::test]
    async fn f61_a_body_has_a_limit() {
        let long: &'static str = Box::leak(" ".repeat(MAX_BODY + 1).into_boxed_str());
        assert_eq!(read("application/json", long).await.unwrap_err(), StatusCode::PAYLOAD_TOO_LARGE);
    }

    #[test]
    fn a_query_names_a_principal_or_nobody() {
        assert_eq!(principal(Some("subject=a%7Cb")).unwrap(), Some(Principal::new("portcullis", "a|b")));
        assert_eq!(principal(None).unwrap(), None);
        for bad in ["issuer=x", "subject=", "subject=a&subject=b", "user=a"] {
            assert!(principal(Some(bad)).is_err(), "{bad}");
        }
    }
    #[test]
    fn a_query_names_a_kind_and_a_limit() {
        assert_eq!(kind_and_limit(Some("limit=5&kind=token")).unwrap(), (Some("token".to_owned()), 5));
        assert_eq!(kind_and_limit(None).unwrap(), (None, DEFAULT_LIMIT));
        for bad in ["limit=-1", "limit=", "limit=1&limit=2", "kinds=token"] {
            assert!(kind_and_limit(Some(bad)).is_err(), "{bad}");
        }
    }
}
