//! What asks for a proof that is not older than ten minutes, and organizations that ask for a second factor.

use axum::http::StatusCode;
use chrono::TimeDelta;
use kernel::Role;
use serde_json::{Value, json};
use testkit::{Client, Member, TestApp};

use super::factors::{Authenticator, enrol};

/// What asks for it and is tried by itself, since it would take away what the others are proved by.
const BY_ITSELF: &str = "DELETE /api/factors/totp";

async fn prove(person: &Client, authenticator: &Authenticator) {
    let proof = json!({ "totp_code": authenticator.code(0) });
    person.post("/api/sessions/current/proof", proof).await.expect(StatusCode::OK);
}

/// Everything that asks for it of people with a second factor.
pub(crate) fn asking(of: &Member) -> Vec<(&'static str, String, Value)> {
    let nil = uuid::Uuid::nil();
    vec![
        ("POST", "/api-key-management/create".to_owned(), json!({ "name": "" })),
        ("POST", "/api-key-management/rotate".to_owned(), json!({ "key_id": nil })),
        ("POST", "/api-key-management/clear".to_owned(), json!({ "key_id": nil })),
        (
            "POST",
            "/api/integrations/connections/".to_owned(),
            json!({ "provider_key": "none", "config": {}, "credential": {} }),
        ),
        ("POST", format!("/api/integrations/connections/{nil}/credential/"), json!({ "credential": {} })),
        ("POST", format!("/api/integrations/connections/{nil}/revoke/"), Value::Null),
        ("POST", format!("/api/integrations/connections/{nil}/disconnect/"), Value::Null),
        ("DELETE", format!("/api/integrations/connections/{nil}/"), Value::Null),
        ("POST", format!("/api/integrations/connections/{nil}/reauthorize/"), Value::Null),
        ("POST", "/api/oauth/none/start".to_owned(), json!({})),
        ("PATCH", format!("/api/members/{nil}"), json!({ "role": "owner" })),
        ("DELETE", format!("/api/members/{nil}"), Value::Null),
        ("DELETE", format!("/api/members/{nil}/grants/{nil}"), Value::Null),
        (
            "POST",
            format!("/api/members/{nil}/grants"),
            json!({ "effect": "allow", "resource": "products", "action": "read" }),
        ),
        ("POST", "/api/invitations".to_owned(), json!({ "email": "", "role": "viewer" })),
        ("POST", format!("/api/invitations/{nil}/resend"), Value::Null),
        ("DELETE", format!("/api/organizations/{}", of.organization), json!({ "name": "not its name" })),
        ("PUT", format!("/api/organizations/{}/second-factor", of.organization), json!({ "required_of": "none" })),
        ("PUT", "/api/me/password".to_owned(), json!({ "password": "short" })),
        ("POST", "/api/identities".to_owned(), json!({ "token": "none" })),
        ("POST", "/api/factors/recovery-codes".to_owned(), Value::Null),
        ("POST", "/api/factors/totp".to_owned(), Value::Null),
        ("POST", "/api/factors/passkeys/start".to_owned(), Value::Null),
        ("DELETE", format!("/api/factors/passkeys/{nil}"), Value::Null),
    ]
}

/// Those that ask it of everybody.
pub(crate) fn always_asking(of: &Member) -> Vec<(&'static str, String, Value)> {
    let begins = ["/api/organizations/", "/api/me/", "/api/factors/", "/api/identities"];
    asking(of).into_iter().filter(|(_, path, _)| begins.iter().any(|begin| path.starts_with(begin))).collect()
}

pub(crate) async fn send(by: &Client, (method, path, body): &(&'static str, String, Value)) -> (u16, String) {
    let body = (!body.is_null()).then(|| body.clone());
    let answer = by.send(method.parse().expect("a method"), path, body).await;
    (answer.status.as_u16(), answer.problem())
}

#[tokio::test(flavor = "multi_thread")]
async fn everything_that_the_document_says_asks_for_a_proof_is_tried_here() {
    let app = TestApp::start().await;
    let kata = app.sign_up("Kata").await;
    let document = app.nobody().get("/openapi.json").await.expect(StatusCode::OK).json();
    let mut said = std::collections::BTreeSet::new();
    for (path, item) in document["paths"].as_object().expect("paths") {
        for (method, operation) in item.as_object().expect("operations") {
            if operation["responses"]["403"]["x-step-up"].is_string() {
                said.insert(format!("{} {path}", method.to_uppercase()));
            }
        }
    }
    let (nil, organization) = (uuid::Uuid::nil().to_string(), kata.organization.to_string());
    let tried = asking(&kata).into_iter().map(|(method, path, _)| {
        let path = path.replace(&format!("grants/{nil}"), "grants/{grant_id}").replace(&nil, "{id}");
        format!("{method} {}", path.replace(&organization, "{id}").replace("/oauth/none/", "/oauth/{provider}/"))
    });
    let tried: std::collections::BTreeSet<_> = tried.chain([BY_ITSELF.to_owned()]).collect();
    assert_eq!(tried, said);
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn asking_others_for_a_second_factor_waits_for_nobody_who_refers_to_the_organization() {
    let app = TestApp::start().await;
    let kata = app.sign_up("Kata").await;
    enrol(&app, &kata).await;
    let mut connection = app.superuser().await;
    let mut held = sqlx::Connection::begin(&mut connection).await.expect("a transaction");
    // As a row does that names the organization, until its transaction ends.
    sqlx::query("select id from organizations where id = $1 for key share")
        .bind(kata.organization)
        .execute(&mut *held)
        .await
        .expect("the organization");
    let path = format!("/api/organizations/{}/second-factor", kata.organization);
    kata.put(&path, json!({ "required_of": "owners" })).await.expect(StatusCode::NO_CONTENT);
    held.rollback().await.expect("its end");
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_has_a_second_factor_proves_it_again_after_ten_minutes() {
    let a = TestApp::start().await;
    let b = a.second_node().await;
    let kata = a.sign_up("Kata").await;
    let (authenticator, _) = enrol(&a, &kata).await;
    a.advance(TimeDelta::seconds(599)).await;
    kata.create_key("within ten minutes").await;
    a.advance(TimeDelta::seconds(2)).await;
    for operation in asking(&kata) {
        let refused = (403, "step_up_required".to_owned());
        assert_eq!(send(&kata, &operation).await, refused, "{} {}", operation.0, operation.1);
        // Who may not do it at all is told that first, and not sent for a proof.
        let viewer = kata.member(Role::Viewer).await;
        let (status, problem) = send(&viewer, &operation).await;
        assert!(!(problem == "step_up_required" && operation.1.starts_with("/api/members")), "{status}");
    }
    prove(&kata.on(&b), &authenticator).await;
    for operation in asking(&kata) {
        let (status, problem) = send(&kata, &operation).await;
        assert_ne!(problem, "step_up_required", "{} {}: {status}", operation.0, operation.1);
    }
    // A proof is one session's.
    authenticator.next_step(&a).await;
    let pending = super::factors::first_step(&a.nobody(), &kata).await;
    let code = json!({ "totp_code": authenticator.code(0) });
    let opened = super::factors::second_step(&a.nobody(), &pending, code).await.expect(StatusCode::OK);
    let elsewhere = kata.presenting(opened.at("/session_token").as_str().expect("a session"));
    a.advance(TimeDelta::minutes(11)).await;
    prove(&elsewhere, &authenticator).await;
    assert_eq!(send(&kata, &asking(&kata)[0]).await.1, "step_up_required");
    assert_eq!(send(&elsewhere, &asking(&kata)[0]).await.1, "invalid_request");
    b.finish().await;
    a.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_has_none_is_asked_for_the_password_before_the_account_or_the_organization_is_changed() {
    let app = TestApp::start().await;
    let kata = app.sign_up("Kata").await;
    app.advance(TimeDelta::minutes(11)).await;
    kata.create_key("long after signing in").await;
    let always = always_asking(&kata);
    assert_eq!(always.len(), 8);
    for operation in &always {
        assert_eq!(send(&kata, operation).await, (403, "step_up_required".to_owned()), "{}", operation.1);
    }
    let wrong = json!({ "password": "not the password" });
    kata.post("/api/sessions/current/proof", wrong).await.expect_problem(403, "factor_refused");
    assert_eq!(send(&kata, &always[0]).await.1, "step_up_required");
    let both = json!({ "password": kata.password, "totp_code": "000000" });
    kata.post("/api/sessions/current/proof", both).await.expect_problem(400, "invalid_request");
    let right = json!({ "password": kata.password });
    let proof = kata.post("/api/sessions/current/proof", right).await.expect(StatusCode::OK);
    assert_eq!(proof.at("/proved_by"), "password");
    for operation in &always {
        assert_ne!(send(&kata, operation).await.1, "step_up_required", "{}", operation.1);
    }
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_password_that_is_changed_ends_the_other_sessions_and_is_told_of() {
    let a = TestApp::start().await;
    let b = a.second_node().await;
    let kata = a.sign_up("Kata").await;
    let opened = super::log_in(&b.nobody(), &kata.email, &kata.password).await.expect(StatusCode::OK);
    let elsewhere = kata.presenting(opened.at("/session_token").as_str().expect("a session")).on(&b);
    let form = json!({ "password": super::PASSWORD });
    kata.put("/api/me/password", form).await.expect(StatusCode::NO_CONTENT);
    a.within_a_second("other sessions end", || async { elsewhere.get("/api/me").await.status == 401 }).await;
    kata.get("/api/me").await.expect(StatusCode::OK);
    super::log_in(&a.nobody(), &kata.email, &kata.password).await.expect_problem(401, "invalid_credentials");
    super::log_in(&a.nobody(), &kata.email, super::PASSWORD).await.expect(StatusCode::OK);
    let mail = a.sandbox().mailbox();
    a.eventually("a mail tells of it", || async {
        mail.to(&kata.email).iter().any(|mail| mail.subject == "Your password for Entrepot was changed")
    })
    .await;
    b.finish().await;
    a.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_organization_that_asks_for_a_second_factor_is_closed_without_one() {
    let a = TestApp::start().await;
    let b = a.second_node().await;
    let kata = a.sign_up("Kata").await;
    let (viewer, administrator) = (kata.member(Role::Viewer).await, kata.member(Role::Administrator).await);
    let path = format!("/api/organizations/{}/second-factor", kata.organization);
    let of = |of: &str| json!({ "required_of": of });
    administrator.put(&path, of("owners")).await.expect_problem(403, "forbidden");
    // Whoever asks it of others has one.
    kata.put(&path, of("owners")).await.expect_problem(403, "second_factor_required");
    let key = kata.create_key("goes on").await;
    let (authenticator, _) = enrol(&a, &kata).await;
    kata.put(&path, of("owners")).await.expect(StatusCode::NO_CONTENT);
    viewer.get("/api/members").await.expect(StatusCode::OK);
    kata.get("/api/members").await.expect(StatusCode::OK);
    kata.put(&path, of("everybody")).await.expect(StatusCode::NO_CONTENT);
    let shown = kata.get(&format!("/api/organizations/{}", kata.organization)).await.expect(StatusCode::OK);
    assert_eq!(shown.at("/second_factor_required_of"), "everybody");
    for node in [&a, &b] {
        let refused = viewer.on(node).get("/api/members").await.expect_problem(403, "second_factor_required");
        assert_eq!(refused.at("/factors"), json!([]));
        kata.on(node).get("/api/members").await.expect(StatusCode::OK);
        key.on(node).get("/api/stores").await.expect(StatusCode::OK);
    }
    // What is one's own stays open, so that one can be set up; from then on it lets in.
    viewer.get("/api/me").await.expect(StatusCode::OK);
    enrol(&a, &viewer).await;
    viewer.on(&b).get("/api/members").await.expect(StatusCode::OK);
    viewer.delete("/api/factors/totp", Value::Null).await.expect(StatusCode::NO_CONTENT);
    viewer.get("/api/members").await.expect_problem(403, "second_factor_required");

    // A session from before there was a factor proves it first.
    sqlx::query("update sessions set second_factor_at = null").execute(&mut a.superuser().await).await.expect("so");
    let refused = kata.get("/api/members").await.expect_problem(403, "second_factor_required");
    assert_eq!(refused.at("/factors"), json!(["totp", "recovery_code"]));
    authenticator.next_step(&a).await;
    prove(&kata, &authenticator).await;
    kata.get("/api/members").await.expect(StatusCode::OK);
    kata.put(&path, of("nobody")).await.expect(StatusCode::NO_CONTENT);
    viewer.get("/api/members").await.expect(StatusCode::OK);
    let events = kata.get("/api/integrations/events/?limit=100").await.expect(StatusCode::OK).text();
    assert!(events.contains("organization.second_factor_required") && events.contains("member.factor_removed"));
    b.finish().await;
    a.finish().await;
}
