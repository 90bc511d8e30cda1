//! `/sandbox/mail`: the mails, for people who try things out.

use super::{Mail, Mailbox};
use crate::server::Site;
use axum::Router;
use axum::extract::{Path, State};
use axum::http::{StatusCode, header};
use axum::response::{Html, IntoResponse, Response};
use axum::routing::get;
use std::fmt::Write;

/// Links in a mail lead out of the frame that shows it; nothing runs in it and nothing is loaded.
const POLICY: &str = "default-src 'none'; style-src 'unsafe-inline'; frame-src 'self'; base-uri 'none'";

/// The page, on the listeners of the simulators.
pub(crate) struct Page(pub(crate) Mailbox);

impl Site for Page {
    fn hosts(&self) -> Vec<String> {
        vec!["localhost".to_owned(), "127.0.0.1".to_owned()]
    }

    fn router(&self) -> Router {
        Router::new()
            .route("/sandbox/mail", get(list))
            .route("/sandbox/mail/{number}", get(one))
            .route("/sandbox/mail/{number}/html", get(html))
            .with_state(self.0.clone())
    }

    fn serves_https(&self) -> bool {
        false
    }
}

async fn list(State(mailbox): State<Mailbox>) -> Response {
    let mut rows = String::new();
    for mail in mailbox.all().iter().rev() {
        let _infallible = write!(
            rows,
            "<tr><td><a href=\"/sandbox/mail/{}\">{}</a></td><td>{}</td></tr>",
            mail.number,
            escape(&mail.subject),
            escape(&mail.to.join(", "))
        );
    }
    let content = if rows.is_empty() {
        "<p>No mail has arrived yet. Sign up, invite somebody, or ask for a new password.</p>".to_owned()
    } else {
        format!("<table><thead><tr><th>Subject</th><th>To</th></tr></thead><tbody>{rows}</tbody></table>")
    };
    page("Mail of the sandbox", &content)
}

async fn one(State(mailbox): State<Mailbox>, Path(number): Path<u64>) -> Response {
    let Some(Mail { subject, from, to, text, .. }) = mailbox.find(number) else { return not_found() };
    let content = format!(
        "<p><a href=\"/sandbox/mail\">All mail</a></p><dl><dt>From</dt><dd>{}</dd><dt>To</dt><dd>{}</dd></dl>\
         <iframe title=\"The mail as HTML\" src=\"/sandbox/mail/{number}/html\" sandbox=\"allow-popups \
         allow-popups-to-escape-sandbox\"></iframe><h2>Plain text</h2><pre>{}</pre>",
        escape(&from),
        escape(&to.join(", ")),
        linked(&text)
    );
    page(&subject, &content)
}

async fn html(State(mailbox): State<Mailbox>, Path(number): Path<u64>) -> Response {
    let Some(mail) = mailbox.find(number) else { return not_found() };
    let html = mail.html.replacen("<head>", "<head><base target=\"_blank\">", 1);
    ([(header::CONTENT_SECURITY_POLICY, "default-src 'none'; style-src 'unsafe-inline'")], Html(html)).into_response()
}

fn not_found() -> Response {
    (StatusCode::NOT_FOUND, "no such mail").into_response()
}

fn page(title: &str, content: &str) -> Response {
    let title = escape(title);
    let html = format!(
        "<!doctype html><html lang=\"en\"><head><meta charset=\"utf-8\"><meta name=\"viewport\" \
         content=\"width=device-width, initial-scale=1\"><meta name=\"color-scheme\" content=\"light dark\">\
         <title>{title}</title><style>body{{font:16px/1.5 system-ui,sans-serif;max-width:960px;margin:0 auto;padding:24px}}\
         table{{border-collapse:collapse;width:100%}}th,td{{text-align:left;padding:8px 12px 8px 0;\
         border-bottom:1px solid #8884;overflow-wrap:anywhere}}dt{{font-weight:600}}dd{{margin:0 0 8px}}\
         iframe{{width:100%;height:480px;border:1px solid #8884;background:#fff}}pre{{white-space:pre-wrap;\
         overflow-wrap:anywhere}}</style></head><body><h1>{title}</h1>{content}</body></html>"
    );
    ([(header::CONTENT_SECURITY_POLICY, POLICY)], Html(html)).into_response()
}

/// Text with its web addresses as links.
fn linked(text: &str) -> String {
    let word = |word: &str| match word.trim_end() {
        url if url.starts_with("http://") || url.starts_with("https://") => {
            format!("<a href=\"{0}\">{0}</a>{1}", escape(url), &word[url.len()..])
        }
        _ => escape(word),
    };
    text.split_inclusive([' ', '\n']).map(word).collect()
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}
