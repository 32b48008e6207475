//! Refusals for people: a page of HTML for those who prefer it to a problem document.

use std::cmp::Reverse;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use http::header::{ACCEPT, CONTENT_LENGTH, CONTENT_SECURITY_POLICY, CONTENT_TYPE, X_CONTENT_TYPE_OPTIONS};
use http::{HeaderMap, HeaderValue, Method, Response, StatusCode};

use super::Body;
use crate::crypto::digest;
use crate::model::DecisionId;
use crate::model::denial::Row;
use crate::model::settings::{PageFor, PagePiece, PageTemplate, PagesSettings};

/// Runs nothing, loads nothing, is framed by nobody. The digest is that of [`STYLE`].
const OWN_POLICY: &str = "default-src 'none'; style-src 'sha256-STYLE'; base-uri 'none'; form-action 'none'; \
                          frame-ancestors 'none'";

/// For pages of the operator's: styles and pictures, but no script.
const POLICY: &str = "default-src 'none'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; font-src 'self' data:; \
                      base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

const STYLE: &str = "body{font:1rem/1.5 system-ui,sans-serif;max-width:36rem;margin:15vh auto;padding:0 1rem;\
                     color:#222;background:#fff}h1{font-size:1.5rem}p{color:#555}code{overflow-wrap:anywhere}\
                     @media(prefers-color-scheme:dark){body{color:#ddd;background:#181818}p{color:#aaa}}";

/// What refusals look like to people.
pub(super) struct Pages {
    settings: PagesSettings,
    built_in: PageTemplate,
    own_policy: HeaderValue,
}

impl Pages {
    pub(super) fn new(settings: &PagesSettings) -> Self {
        let digest = STANDARD.encode(digest::sha256(STYLE.as_bytes()));
        Self {
            settings: settings.clone(),
            built_in: built_in(),
            own_policy: HeaderValue::try_from(OWN_POLICY.replace("STYLE", &digest))
                .unwrap_or(HeaderValue::from_static("default-src 'none'")),
        }
    }

    /// The page of a refusal.
    pub(super) fn answer(&self, row: Row, id: DecisionId, method: &Method) -> Response<Body> {
        let written = self.settings.0.iter().find(|(page_for, _)| match page_for {
            PageFor::Status(status) => *status == row.status,
            PageFor::Class(class) => *class == row.status / 100,
            PageFor::Default => true,
        });
        let (template, policy) = match written {
            Some((_, template)) => (template, HeaderValue::from_static(POLICY)),
            None => (&self.built_in, self.own_policy.clone()),
        };
        let text = Bytes::from(fill(template, row, id));
        let length = text.len();
        let mut response = Response::new(if method == Method::HEAD { Body::empty() } else { Body::full(text) });
        *response.status_mut() = StatusCode::from_u16(row.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/html; charset=utf-8"));
        headers.insert(CONTENT_LENGTH, length.into());
        headers.insert(CONTENT_SECURITY_POLICY, policy);
        headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
        response
    }
}

fn fill(template: &PageTemplate, row: Row, id: DecisionId) -> String {
    let mut page = String::with_capacity(2048);
    for piece in &template.0 {
        match piece {
            PagePiece::Text(text) => page.push_str(text),
            PagePiece::Status => escape(&row.status.to_string(), &mut page),
            PagePiece::Title => escape(row.title, &mut page),
            PagePiece::DecisionId => escape(&id.to_string(), &mut page),
        }
    }
    page
}

/// As text and within a quoted attribute (f63). Nothing that is filled in comes from a client; this does not rely on it.
fn escape(text: &str, page: &mut String) {
    for character in text.chars() {
        match character {
            '&' => page.push_str("&amp;"),
            '<' => page.push_str("&lt;"),
            '>' => page.push_str("&gt;"),
            '"' => page.push_str("&quot;"),
            '\'' => page.push_str("&#39;"),
            other => page.push(other),
        }
    }
}

fn built_in() -> PageTemplate {
    let text = |text: String| PagePiece::Text(text.into());
    PageTemplate(vec![
        text("<!DOCTYPE html>\n<html lang=\"en\"><meta charset=\"utf-8\"><meta name=\"viewport\" content=\"width=device-width\">\n<title>".to_owned()),
        PagePiece::Title,
        text(format!("</title>\n<style>{STYLE}</style>\n<h1>")),
        PagePiece::Title,
        text("</h1>\n<p>".to_owned()),
        PagePiece::Status,
        text(" · <code>".to_owned()),
        PagePiece::DecisionId,
        text("</code></p>\n</html>\n".to_owned()),
    ])
}

/// Whether a client would rather have HTML than JSON (RFC 9110, section 12.5.1), as browsers that navigate do. Who takes
/// anything gets the problem document.
pub(super) fn are_wanted(headers: &HeaderMap) -> bool {
    let ranges = || headers.get_all(ACCEPT).iter().filter_map(|value| value.to_str().ok()).flat_map(|v| v.split(','));
    if !ranges().any(|range| range.trim_start().get(..5).is_some_and(|kind| kind.eq_ignore_ascii_case("text/"))) {
        return false;
    }
    let quality = |names: [&str; 3]| {
        let found = ranges().filter_map(|range| {
            let (name, parameters) = range.split_once(';').unwrap_or((range, ""));
            let rank = names.iter().position(|known| name.trim().eq_ignore_ascii_case(known))?;
            Some((rank, thousandths(parameters)))
        });
        // The most exact range counts; of equal ones the better.
        found.min_by_key(|(rank, quality)| (*rank, Reverse(*quality)))
    };
    let html = quality(["text/html", "text/*", "*/*"]);
    let json = ["application/problem+json", "application/json"].map(|name| quality([name, "application/*", "*/*"]));
    let json = json.into_iter().flatten().max_by_key(|(rank, quality)| (*quality, Reverse(*rank)));
    match (html, json) {
        (None | Some((_, 0)), _) => false,
        (Some(_), None) => true,
        (Some((rank, html)), Some((other, json))) => html > json || (html == json && rank < other),
    }
}

/// `;q=0.8` of a range, in thousandths; 1 where there is none that can be read.
fn thousandths(parameters: &str) -> u16 {
    let weight = parameters.split(';').find_map(|parameter| {
        let (name, value) = parameter.split_once('=')?;
        name.trim().eq_ignore_ascii_case("q").then(|| value.trim())
    });
    let Some(weight) = weight else { return 1000 };
    let (whole, fraction) = weight.split_once('.').unwrap_or((weight, ""));
    let digits = format!("{fraction:0<3}");
    match (whole, digits.get(..3).and_then(|digits| digits.parse().ok())) {
        ("0", Some(thousandths)) => thousandths,
        _ => 1000,
    }
}

#[cfg(test)]
#[path = "pages_tests.rs"]
mod tests;
