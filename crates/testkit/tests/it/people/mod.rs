//! People: how they come into an organization and out of it, back into their account, and what is left of them.

pub(crate) mod factors;
mod grants;
mod invitations;
mod members;
pub(crate) mod passkeys;
mod recovery;
pub(crate) mod sessions;
pub(crate) mod step_up;
mod team_members;
mod throttle;
mod traces;

use axum::http::StatusCode;
use serde_json::{Value, json};
use testkit::{Answer, Client, Member, TestApp};

pub(crate) const PASSWORD: &str = "a new pass phrase";

/// What stands behind `#name=` in the link of the so-manieth mail with such a link to this address, counted from 1.
pub(crate) async fn token(app: &TestApp, to: &str, name: &str, number: usize) -> String {
    let start = format!("https://entrepot.example/link#{name}=");
    let found = || -> Vec<String> {
        let mut links: Vec<String> = vec![];
        for mail in app.sandbox().mailbox().to(to) {
            // A mail may arrive twice when the clock is moved while it is being sent.
            let link = mail.link().and_then(|link| link.strip_prefix(&start)).map(str::to_owned);
            links.extend(link.filter(|link| !links.contains(link)));
        }
        links
    };
    app.eventually("a mail with a link arrives", || async { found().len() >= number }).await;
    found().swap_remove(number - 1)
}

pub(crate) fn fresh_address() -> String {
    format!("{}@people.example", kernel::random::token())
}

async fn invite(by: &Client, email: &str, role: &str) -> Answer {
    by.post("/api/invitations", json!({ "email": email, "role": role })).await
}

/// Invites, waits for the mail, and gives its token and the invitation's id.
pub(crate) async fn invited(app: &TestApp, by: &Client, email: &str, role: &str) -> (String, String) {
    let answer = invite(by, email, role).await.expect(StatusCode::CREATED);
    let token = token(app, email, "invitation", 1).await;
    (token, answer.at("/id").as_str().expect("an id").to_owned())
}

pub(crate) async fn accept_as_new(at: &Client, token: &str) -> Answer {
    at.post("/api/invitations/accept-as-new", json!({ "token": token, "name": "New", "password": PASSWORD })).await
}

pub(crate) async fn accept(by: &Client, token: &str) -> Answer {
    by.post("/api/invitations/accept", json!({ "token": token })).await
}

pub(crate) async fn log_in(at: &Client, email: &str, password: &str) -> Answer {
    at.post("/api/login", json!({ "email": email, "password": password })).await
}

/// The member's row in the list of the organization.
async fn seat(of: &Member, email: &str) -> Value {
    let members = of.naming(of.organization).get("/api/members?limit=100").await.expect(StatusCode::OK).at("/data");
    members.as_array().and_then(|all| all.iter().find(|seat| seat["email"] == email)).cloned().unwrap_or_default()
}

pub(crate) async fn seat_path(of: &Member, email: &str) -> String {
    format!("/api/members/{}", seat(of, email).await["id"].as_str().expect("a seat"))
}
