//! The front page: for a visitor what this is and a way in, for a person with a session their organization.

use axum::{
    extract::{Request, State},
    http::StatusCode,
    response::Response,
};
use kernel::Actor;
use kit::App;

use super::{
    Shell,
    html::{escape, fill},
    page,
};

pub(super) async fn show(State(app): State<App>, request: Request) -> Response {
    let (parts, _) = request.into_parts();
    // Whoever cannot be told, for whatever reason, is shown the way in; the live status beside it says what is wrong.
    let identity = app.authenticate.identify(&app, &parts).await;
    let is_signed_in = identity.is_ok_and(|identity| matches!(identity.actor, Actor::Person { .. }));
    let origin = app.config.public_url.origin().ascii_serialization();
    let (content, script) = render(is_signed_in, app.http.hosts().is_sandbox(), &origin);
    page(StatusCode::OK, &Shell { title: "Entrepot", section: "home", script: Some(script) }, &content)
}

/// The content and its module.
pub(super) fn render(is_signed_in: bool, is_sandbox: bool, origin: &str) -> (String, &'static str) {
    let demo = if is_sandbox { include_str!("templates/demo.html") } else { "" };
    let values = [("demo", demo), ("origin", &*escape(origin)), ("version", env!("CARGO_PKG_VERSION"))];
    if is_signed_in {
        (fill(include_str!("templates/signed_in.html"), &values), "home.js")
    } else {
        (fill(include_str!("templates/signed_out.html"), &values), "sign-in.js")
    }
}
