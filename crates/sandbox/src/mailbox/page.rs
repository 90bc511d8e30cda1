//! `/sandbox/mail`: the mails, for people who try things out.

use super::{Mail, Mailbox};
use crate::pages::{escape, page};
use axum::Router;
use axum::extract::{Path, State};
use axum::http::{StatusCode, header};
use axum::response::{Html, IntoResponse, Response};
use axum::routing::get;
use std::fmt::Write;

pub(crate) fn router(mailbox: &Mailbox) -> Router {
    Router::new()
        .route("/sandbox/mail", get(list))
        .route("/sandbox/mail/{number}", get(one))
        .route("/sandbox/mail/{number}/html", get(html))
        .with_state(mailbox.clone())
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
