//! Pages for people: plain HTML without scripts.

use axum::http::StatusCode;
use axum::response::{Html, IntoResponse, Response};

const STYLE: &str = "
:root{color-scheme:light dark;font:16px/1.5 system-ui,sans-serif}
body{margin:0;background:#f1f1f1;color:#303030;display:grid;place-items:start center;min-height:100vh}
main{background:#fff;margin:8vh 1rem;padding:2rem;border-radius:12px;max-width:34rem;width:calc(100% - 2rem);box-sizing:border-box;box-shadow:0 1px 4px #0003}
h1{font-size:1.3rem;margin:0 0 .5rem}
ul{padding-left:1.2rem}
li a{font-weight:600;color:#005bd3}
small{color:#616161}
form{display:flex;gap:.75rem;margin-top:1.5rem}
button{font:inherit;padding:.55rem 1.1rem;border-radius:8px;border:1px solid #8a8a8a;background:#fff;color:#303030;cursor:pointer}
button.primary{background:#303030;border-color:#303030;color:#fff}
code{background:#0000000d;padding:.1em .3em;border-radius:4px}
@media(prefers-color-scheme:dark){body{background:#1a1a1a;color:#e3e3e3}main{background:#2b2b2b}small{color:#b5b5b5}li a{color:#8cc1ff}button.primary{background:#e3e3e3;color:#1a1a1a}}
";

/// A page with this title; `body` is HTML.
pub(super) fn page(title: &str, body: &str) -> Html<String> {
    let title = escape(title);
    Html(format!(
        "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"><meta name=\"viewport\" content=\"width=device-width\">\
         <title>{title}</title><style>{STYLE}</style></head>\n<body><main><h1>{title}</h1>\n{body}\n\
         <p><small>Simulated Shopify: nothing here is real.</small></p></main></body></html>\n"
    ))
}

/// 400 with an error page, as Shopify shows when it cannot send the merchant back.
pub(super) fn refusal(code: &str, description: &str) -> Response {
    let body = format!("<p>Oauth error {}: {}</p>", escape(code), escape(description));
    (StatusCode::BAD_REQUEST, page("Something is wrong with this link", &body)).into_response()
}

/// Text as HTML, also inside a quoted attribute.
pub(super) fn escape(text: &str) -> String {
    let mut html = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => html.push_str("&amp;"),
            '<' => html.push_str("&lt;"),
            '>' => html.push_str("&gt;"),
            '"' => html.push_str("&quot;"),
            '\'' => html.push_str("&#39;"),
            other => html.push(other),
        }
    }
    html
}
