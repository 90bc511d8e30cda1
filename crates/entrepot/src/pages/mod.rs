//! What people see until the dashboard stands: the front page, the API reference, and a page for every error.
//!
//! HTML is written here and in `templates/`; what moves in the browser is in `assets/` and talks to the same API as
//! everybody. Nothing is loaded from elsewhere, and nothing inline runs.

mod assets;
mod errors;
mod home;
mod html;
mod reference;
#[cfg(test)]
mod tests;

use std::sync::{Arc, OnceLock};

use axum::{
    Router,
    extract::State,
    http::{HeaderValue, StatusCode, header},
    response::{Html, IntoResponse, Response},
    routing::get,
};
use kit::App;
use tower_http::compression::CompressionLayer;
use utoipa::openapi::OpenApi;

use html::{escape, fill};

/// Only our own files, no inline code, no frames around us, and no HTML made from text by scripts.
const CONTENT_SECURITY_POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; \
    connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'; \
    require-trusted-types-for 'script'; trusted-types 'none'";

/// The pages. `document` is what `/openapi.json` serves.
pub fn routes(document: Arc<OpenApi>) -> Router<App> {
    // The same for everybody, so rendered once: when first asked for, since the examples name our address.
    let reference = Arc::new(OnceLock::new());
    let show_reference = move |State(app): State<App>| async move {
        let origin = app.config.public_url.origin().ascii_serialization();
        let body = reference.get_or_init(|| reference::render(&document, &origin)).clone();
        page(StatusCode::OK, &Shell { title: "API reference", section: "docs", script: Some("reference.js") }, &body)
    };
    Router::new()
        .route("/", get(home::show))
        .route("/link", get(link))
        .route("/account", get(account))
        .route("/docs", get(show_reference))
        .route("/docs/errors", get(errors::index))
        .route("/docs/errors/{code}", get(errors::one))
        .route("/assets/{name}", get(assets::serve))
        .layer(CompressionLayer::new())
}

/// Where the links in mails lead. What they prove stands behind `#`, which does not reach us.
async fn link() -> Response {
    let shell = Shell { title: "From a mail", section: "link", script: Some("link.js") };
    page(StatusCode::OK, &shell, include_str!("templates/link.html"))
}

/// What somebody proves themself by. Its module asks who that is, and leads whoever is not signed in to the way in.
async fn account(State(app): State<App>) -> Response {
    let origin = app.config.public_url.origin().ascii_serialization();
    let content = fill(include_str!("templates/account.html"), &[("origin", &escape(&origin))]);
    page(StatusCode::OK, &Shell { title: "Your account", section: "account", script: Some("account.js") }, &content)
}

/// What stands around the content of a page.
struct Shell<'a> {
    title: &'a str,
    /// Which entry of the navigation is the current one: `home`, `docs`, `errors`, or none of them.
    section: &'a str,
    /// The module that runs on the page.
    script: Option<&'a str>,
}

impl Shell<'_> {
    fn wrap(&self, content: &str) -> String {
        let current = |section: &str| if section == self.section { " aria-current=\"page\"" } else { "" };
        let script = self
            .script
            .map_or(String::new(), |name| format!("<script type=\"module\" src=\"/assets/{name}\"></script>"));
        let title =
            if self.section == "home" { "Entrepot".to_owned() } else { format!("{} · Entrepot", escape(self.title)) };
        fill(
            include_str!("templates/shell.html"),
            &[
                ("title", &title),
                ("section", self.section),
                ("home", current("home")),
                ("docs", current("docs")),
                ("errors", current("errors")),
                ("version", env!("CARGO_PKG_VERSION")),
                ("script", &script),
                ("content", content),
            ],
        )
    }
}

/// A page with its security headers. Pages may differ by who looks, so nobody keeps them unasked.
fn page(status: StatusCode, shell: &Shell<'_>, content: &str) -> Response {
    let mut response = (status, Html(shell.wrap(content))).into_response();
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_SECURITY_POLICY, HeaderValue::from_static(CONTENT_SECURITY_POLICY));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("private, no-cache"));
    headers.insert("cross-origin-opener-policy", HeaderValue::from_static("same-origin"));
    response
}
