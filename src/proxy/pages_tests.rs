use http_body_util::BodyExt;

use super::*;
use crate::model::denial::Reason;

const ID: DecisionId = DecisionId::from_bytes([0x5a; 16]);
const BROWSER: &str = "text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,*/*;q=0.8";

fn wanted(lines: &[&str]) -> bool {
    let mut headers = HeaderMap::new();
    for line in lines {
        headers.append(ACCEPT, line.parse().unwrap());
    }
    are_wanted(&headers)
}

#[test]
fn those_who_prefer_html_get_it() {
    for lines in [
        &[BROWSER][..],
        &["text/html"],
        &["TEXT/HTML;level=1"],
        &["text/*"],
        &["text/html, */*"],
        &["application/json;q=0.5, text/html;q=0.6"],
        &["application/json;q=0.9", "text/html"],
        &["text/html;q=0.001"],
    ] {
        assert!(wanted(lines), "{lines:?}");
    }
    for lines in [
        &[][..],
        &["*/*"],
        &["application/json"],
        &["application/json, text/plain, */*"],
        &["text/html;q=0.5, application/json"],
        &["text/html, application/json"],
        &["text/html, application/problem+json;q=1.0"],
        &["text/html;q=0"],
        &["text/html;q=0.000, */*"],
        &["*/*, text/html;q=0.9"],
        &["text/plain"],
        &["image/png, text/css"],
        &["application/grpc"],
        &["text/"],
        &["text/htmlx"],
    ] {
        assert!(!wanted(lines), "{lines:?}");
    }
}

async fn page(pages: &Pages, reason: Reason, method: &Method) -> (Response<()>, String) {
    let (head, body) = pages.answer(reason.row(), ID, method).into_parts();
    let body = body.collect().await.unwrap().to_bytes();
    (Response::from_parts(head, ()), String::from_utf8(body.to_vec()).unwrap())
}

#[tokio::test]
async fn the_built_in_page_says_what_the_problem_document_says() {
    let pages = Pages::new(&PagesSettings::default());
    let (head, body) = page(&pages, Reason::NotAllowed, &Method::GET).await;
    assert_eq!(
        (head.status(), &head.headers()[CONTENT_TYPE]),
        (StatusCode::FORBIDDEN, &"text/html; charset=utf-8".parse().unwrap())
    );
    assert!(body.contains("<h1>Not allowed</h1>") && body.contains("403") && body.contains(&ID.to_string()), "{body}");
    for absent in ["<script", "http:", "https:", "src=", "href=", "url("] {
        assert!(!body.contains(absent), "{absent}: {body}");
    }
    let policy = head.headers()[CONTENT_SECURITY_POLICY].to_str().unwrap();
    let style = body.split_once("<style>").unwrap().1.split_once("</style>").unwrap().0;
    assert!(policy.contains(&STANDARD.encode(digest::sha256(style.as_bytes()))), "{policy}");
    assert!(policy.starts_with("default-src 'none'"), "{policy}");
    let (head, nothing) = page(&pages, Reason::NotAllowed, &Method::HEAD).await;
    assert_eq!((head.headers()[CONTENT_LENGTH].to_str().unwrap(), &*nothing), (&*body.len().to_string(), ""));
}

#[tokio::test]
async fn the_most_exact_template_counts() {
    let of = |text: &str| PageTemplate(vec![PagePiece::Text(text.into()), PagePiece::Status]);
    let templates =
        vec![(PageFor::Status(403), of("exact ")), (PageFor::Class(4), of("class ")), (PageFor::Default, of("other "))];
    let pages = Pages::new(&PagesSettings(templates));
    for (reason, expected) in
        [(Reason::NotAllowed, "exact 403"), (Reason::NoRoute, "class 404"), (Reason::Maintenance, "other 503")]
    {
        let (head, body) = page(&pages, reason, &Method::GET).await;
        assert_eq!((&*body, head.status().as_u16()), (expected, reason.row().status));
        assert!(!head.headers()[CONTENT_SECURITY_POLICY].to_str().unwrap().contains("script-src"));
    }
}

#[test]
fn f63_what_is_filled_in_is_text() {
    let row = Row { title: "<script>alert('x')</script> & \"y\"", ..Reason::NotAllowed.row() };
    let page = fill(&built_in(), row, ID);
    assert!(page.contains("&lt;script&gt;alert(&#39;x&#39;)&lt;/script&gt; &amp; &quot;y&quot;"), "{page}");
    assert!(!page.contains("<script"), "{page}");
}
