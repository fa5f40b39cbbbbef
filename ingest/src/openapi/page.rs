//! A page that shows the document to people. It is made of three files of ours, takes nothing from
//! anywhere else, and writes what it shows as text.

use axum::{
    http::{HeaderValue, header},
    response::{IntoResponse, Response},
};
use serde_json::json;

use super::{Answer, Operation, Schemas, process::TAG};
use crate::problem::Success;

/// Its own script, style and document, and no frame around it.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; \
                      connect-src 'self'; base-uri 'none'; form-action 'none'; \
                      frame-ancestors 'none'";

/// `GET /docs`
pub async fn html() -> Response {
    let policy = (header::CONTENT_SECURITY_POLICY, HeaderValue::from_static(POLICY));
    ([policy], file("text/html; charset=utf-8", include_str!("page/page.html"))).into_response()
}

/// `GET /docs/page.js`
pub async fn script() -> Response {
    file("text/javascript; charset=utf-8", include_str!("page/page.js"))
}

/// `GET /docs/page.css`
pub async fn style() -> Response {
    file("text/css; charset=utf-8", include_str!("page/page.css"))
}

fn file(media_type: &'static str, text: &'static str) -> Response {
    ([(header::CONTENT_TYPE, HeaderValue::from_static(media_type))], text).into_response()
}

pub fn describe_html(_: &mut Schemas) -> Operation {
    describe("docs", "Show this description to people", "The page.", "text/html")
}

pub fn describe_script(_: &mut Schemas) -> Operation {
    describe("docsScript", "The script of that page", "The script.", "text/javascript")
}

pub fn describe_style(_: &mut Schemas) -> Operation {
    describe("docsStyle", "The style of that page", "The style.", "text/css")
}

fn describe(
    id: &'static str,
    summary: &'static str,
    answer: &'static str,
    media_type: &str,
) -> Operation {
    let media_type = format!("{media_type}; charset=utf-8");
    let served = Answer::new(Success::Found, answer, &media_type, &json!({"type": "string"}));
    Operation { answers: vec![served], ..Operation::new(id, TAG, summary) }
}

#[cfg(test)]
mod tests {
    use crate::doubles::Stage;

    const FILES: [&str; 3] = [
        include_str!("page/page.html"),
        include_str!("page/page.js"),
        include_str!("page/page.css"),
    ];

    #[tokio::test(start_paused = true)]
    async fn the_page_is_allowed_its_own_files_and_nothing_else() {
        let stage = Stage::new();
        let page = stage.get("/docs").await;
        let policy = page.header("content-security-policy").to_owned();
        assert!(policy.starts_with("default-src 'none'; script-src 'self';"), "{policy}");
        assert!(!policy.contains("unsafe") && !policy.contains('*'), "{policy}");
        for (path, media_type) in [("/docs/page.js", "javascript"), ("/docs/page.css", "css")] {
            assert!(FILES[0].contains(&format!("\"{path}\"")), "{path} is not on the page");
            let file = stage.get(path).await;
            assert_eq!(file.header("content-type"), format!("text/{media_type}; charset=utf-8"));
        }
    }

    #[test]
    fn the_page_takes_nothing_from_elsewhere_and_writes_no_markup() {
        for file in FILES {
            for word in
                ["//cdn", "http:", "https:", "@import", "url(", "style=", "onclick", "eval("]
            {
                assert!(!file.contains(word), "{word}");
            }
            for sink in ["innerHTML", "outerHTML", "insertAdjacentHTML", "document.write", "srcdoc"]
            {
                assert!(!file.contains(sink), "{sink}");
            }
        }
    }
}
