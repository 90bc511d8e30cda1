//! What people look at, on the plain listener, under the names of this machine: `/sandbox/mail` and `/sandbox/faults`.

use crate::faults::board::Board;
use crate::mailbox::{self, Mailbox};
use crate::server::Site;
use axum::Router;
use axum::http::header;
use axum::response::{Html, IntoResponse, Response};
use axum::routing::get;

/// Links in a mail lead out of the frame that shows it; nothing runs and nothing is loaded. Forms go to where they came from.
const POLICY: &str = "default-src 'none'; style-src 'unsafe-inline'; frame-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'self'";

const STYLE: &str = "body{font:16px/1.5 system-ui,sans-serif;max-width:960px;margin:0 auto;padding:24px}\
table{border-collapse:collapse;width:100%}th,td{text-align:left;padding:8px 12px 8px 0;\
border-bottom:1px solid #8884;overflow-wrap:anywhere}dt{font-weight:600}dd{margin:0 0 8px}\
iframe{width:100%;height:480px;border:1px solid #8884;background:#fff}pre{white-space:pre-wrap;overflow-wrap:anywhere}\
code{overflow-wrap:anywhere}form[action$=faults]{display:grid;gap:12px;grid-template-columns:repeat(auto-fill,minmax(200px,1fr));\
align-items:end}label{display:grid;gap:4px}.wide{grid-column:1/-1}input,select,button{font:inherit;padding:6px 8px;\
min-width:0;width:100%;box-sizing:border-box}button{width:auto;justify-self:start;margin-top:8px;\
white-space:nowrap}th{overflow-wrap:normal}select{height:100%}@media(max-width:600px){.rows thead{display:none}\
.rows tr{display:block;padding:8px 0;border-bottom:1px solid #8884}.rows td{display:block;border:0;padding:0}\
.rows td[data-label]::before{content:attr(data-label) \": \"}}";

/// The pages of a sandbox.
pub(crate) struct Pages {
    pub(crate) mailbox: Mailbox,
    pub(crate) board: Board,
}

impl Site for Pages {
    fn hosts(&self) -> Vec<String> {
        vec!["localhost".to_owned(), "127.0.0.1".to_owned()]
    }

    fn router(&self) -> Router {
        Router::new()
            .route("/sandbox", get(index))
            .merge(mailbox::page::router(&self.mailbox))
            .merge(self.board.router())
    }

    fn serves_https(&self) -> bool {
        false
    }
}

async fn index() -> Response {
    let links = "<ul><li><a href=\"/sandbox/mail\">Mail</a>: what was sent to the simulated mail server</li>\
                 <li><a href=\"/sandbox/faults\">Faults</a>: what goes wrong between a client and the simulated shops</li></ul>";
    page("The sandbox", links)
}

/// A page with nothing but its own style.
pub(crate) fn page(title: &str, content: &str) -> Response {
    let title = escape(title);
    let html = format!(
        "<!doctype html><html lang=\"en\"><head><meta charset=\"utf-8\"><meta name=\"viewport\" \
         content=\"width=device-width, initial-scale=1\"><meta name=\"color-scheme\" content=\"light dark\">\
         <title>{title}</title><style>{STYLE}</style></head><body><h1>{title}</h1>{content}</body></html>"
    );
    ([(header::CONTENT_SECURITY_POLICY, POLICY)], Html(html)).into_response()
}

pub(crate) fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}
