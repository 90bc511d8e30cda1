//! Tokens of OpenID Connect issuers: which are taken, for whom, and for how long.

mod keys;
mod linking;
mod proofs;
mod refusals;
mod signing_out;

use axum::http::StatusCode;
use sandbox::oidc::{AUDIENCE, ISSUER};
use serde_json::{Value, json};
use testkit::{Answer, Client, Member, Options, TestApp};

/// The simulated issuer, with further members of its settings.
pub(crate) fn file(more: &str) -> String {
    format!(r#"{{"issuers": [{{"issuer": "{ISSUER}", "audiences": ["{AUDIENCE}"], "label": "Posta"{more}}}]}}"#)
}

async fn with_issuer(more: &str) -> TestApp {
    TestApp::with(Options { issuers: file(more), ..Options::default() }).await
}

async fn link(member: &Client, token: &str) -> Answer {
    member.post("/api/identities", json!({ "token": token })).await
}

/// Somebody whose person at the issuer has this subject.
async fn linked(app: &TestApp, subject: &str) -> Member {
    let kata = app.sign_up("Kata").await;
    link(&kata, &token(app, subject)).await.expect(StatusCode::OK);
    kata
}

/// A token of this person, without an e-mail.
fn token(app: &TestApp, subject: &str) -> String {
    app.sandbox().issuer().token(json!({ "sub": subject }))
}

/// A token of this person, with an e-mail that the issuer says is verified.
fn with_email(app: &TestApp, subject: &str, email: &str) -> String {
    app.sandbox()
        .issuer()
        .token(json!({ "sub": subject, "email": email, "email_verified": true, "name": "Kata at Posta" }))
}

async fn me(app: &TestApp, token: &str) -> Answer {
    app.nobody().presenting(token).get("/api/me").await
}

async fn identities(of: &Client) -> Vec<Value> {
    of.get("/api/identities").await.expect(StatusCode::OK).at("/data").as_array().cloned().expect("identities")
}
