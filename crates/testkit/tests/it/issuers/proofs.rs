//! Tokens and proofs: what an issuer asked its person for proves nothing here.

use axum::http::StatusCode;
use chrono::TimeDelta;
use serde_json::{Value, json};
use testkit::Client;

use super::{identities, link, linked, me, token, with_email, with_issuer};
use crate::people::{
    PASSWORD, factors, log_in,
    passkeys::a_device_of,
    sessions::while_held,
    step_up::{always_asking, asking, send},
    token as mailed,
};

async fn session_of_tokens(by: &Client) -> Value {
    let sessions = by.get("/api/sessions").await.expect(StatusCode::OK).at("/data");
    sessions.as_array().into_iter().flatten().find(|one| one["device"] == "A token of Posta").cloned().expect("it")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_fresh_token_is_no_proof_and_whoever_has_it_proves_themself_by_their_password() {
    let app = with_issuer("").await;
    let kata = linked(&app, "kata").await;
    let by_token = kata.presenting(&token(&app, "kata"));
    let removal = ("DELETE", "/api/factors/totp".to_owned(), Value::Null);
    let always: Vec<_> = always_asking(&kata).into_iter().chain([removal]).collect();
    for (method, path, body) in &always {
        let body = (!body.is_null()).then(|| body.clone());
        let refused = by_token.send(method.parse().expect("a method"), path, body).await;
        let refused = refused.expect_problem(403, "step_up_required");
        assert_eq!(refused.at("/factors"), json!(["password"]), "{path}");
        let detail = refused.at("/detail");
        assert!(detail.as_str().is_some_and(|detail| detail.contains("POST /api/password-reset")), "{path}: {detail}");
    }
    let session = session_of_tokens(&by_token).await;
    assert!(session["proved_at"].is_null() && session["proved_by"].is_null(), "{session}");
    // What asks only those who have a second factor asks nothing of who has none.
    let form = json!({ "name": "by token" });
    by_token.post("/api-key-management/create", form).await.expect(StatusCode::CREATED);

    by_token.post("/api/sessions/current/proof", json!({ "password": kata.password })).await.expect(StatusCode::OK);
    assert_eq!(session_of_tokens(&by_token).await["proved_by"], "password");
    for operation in &always {
        assert_ne!(send(&by_token, operation).await.1, "step_up_required", "{}", operation.1);
    }
    app.advance(TimeDelta::minutes(11)).await;
    let by_token = kata.presenting(&token(&app, "kata"));
    for operation in &always {
        assert_eq!(send(&by_token, operation).await, (403, "step_up_required".to_owned()), "{}", operation.1);
    }
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_has_a_second_factor_shows_it_in_the_session_of_a_token_too() {
    let app = with_issuer("").await;
    let kata = linked(&app, "kata").await;
    let (authenticator, _) = factors::enrol(&app, &kata).await;
    authenticator.next_step(&app).await;
    let by_token = kata.presenting(&token(&app, "kata"));
    for operation in asking(&kata) {
        assert_eq!(send(&by_token, &operation).await, (403, "step_up_required".to_owned()), "{}", operation.1);
    }
    let password = json!({ "password": kata.password });
    by_token.post("/api/sessions/current/proof", password).await.expect_problem(403, "factor_refused");
    let code = json!({ "totp_code": authenticator.code(0) });
    by_token.post("/api/sessions/current/proof", code).await.expect(StatusCode::OK);
    for operation in asking(&kata) {
        assert_ne!(send(&by_token, &operation).await.1, "step_up_required", "{}", operation.1);
    }
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_signed_up_by_a_token_sets_a_password_by_mail_and_proves_themself_by_it() {
    let app = with_issuer(r#", "unknown_persons": "sign_up""#).await;
    let email = crate::people::fresh_address();
    let by_token = app.nobody().presenting(&with_email(&app, "new", &email));
    by_token.post("/api/factors/totp", Value::Null).await.expect_problem(403, "step_up_required");
    by_token.post("/api/password-reset", json!({ "email": email })).await.expect(StatusCode::ACCEPTED);
    let form = json!({ "token": mailed(&app, &email, "reset", 1).await, "password": PASSWORD });
    by_token.post("/api/password-reset/confirm", form).await.expect(StatusCode::NO_CONTENT);
    app.advance(TimeDelta::seconds(2)).await;
    // The address was the issuer's to verify, so the link stays.
    let by_token = app.nobody().presenting(&with_email(&app, "new", &email));
    by_token.post("/api/sessions/current/proof", json!({ "password": PASSWORD })).await.expect(StatusCode::OK);
    by_token.post("/api/factors/totp", Value::Null).await.expect(StatusCode::OK);
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_factor_opens_the_door_to_tokens_for_a_month() {
    let app = with_issuer("").await;
    let kata = linked(&app, "kata").await;
    let (authenticator, _) = factors::enrol(&app, &kata).await;
    let path = format!("/api/organizations/{}/second-factor", kata.organization);
    kata.put(&path, json!({ "required_of": "everybody" })).await.expect(StatusCode::NO_CONTENT);
    let fresh = || kata.presenting(&token(&app, "kata"));
    let prove = async |by: &Client| {
        authenticator.next_step(&app).await;
        let code = json!({ "totp_code": authenticator.code(0) });
        by.post("/api/sessions/current/proof", code).await.expect(StatusCode::OK);
    };
    fresh().get("/api/members").await.expect_problem(403, "second_factor_required");
    prove(&fresh()).await;
    // Used all the while, it goes on for as long as there are tokens, and what was proved in it does not.
    for _ in 0..2 {
        app.advance(TimeDelta::days(14)).await;
        fresh().get("/api/members").await.expect(StatusCode::OK);
    }
    app.advance(TimeDelta::days(3)).await;
    fresh().get("/api/members").await.expect_problem(403, "second_factor_required");

    // One that has run out begins anew, also when what was proved in it is younger: uses within ten minutes do not lengthen it.
    let by_token = fresh();
    by_token.get("/api/me").await.expect(StatusCode::OK);
    prove(&by_token).await;
    by_token.get("/api/members").await.expect(StatusCode::OK);
    app.advance(TimeDelta::days(30) - TimeDelta::seconds(30)).await;
    fresh().get("/api/members").await.expect_problem(403, "second_factor_required");
    let session = session_of_tokens(&fresh()).await;
    assert!(session["proved_at"].is_null() && session["created_at"] == session["last_seen_at"], "{session}");
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_reads_the_mail_of_an_unconfirmed_account_gets_it_for_themself_alone() {
    let a = with_issuer("").await;
    let b = a.second_node().await;
    let before = a.sign_up_unconfirmed("Before").await;
    let (_, codes) = factors::enrol(&a, &before).await;
    a_device_of(&before).await;
    link(&before, &token(&a, "before")).await.expect(StatusCode::OK);
    me(&b, &token(&a, "before")).await.expect(StatusCode::OK);

    b.nobody().post("/api/password-reset", json!({ "email": before.email })).await.expect(StatusCode::ACCEPTED);
    let form = json!({ "token": mailed(&a, &before.email, "reset", 1).await, "password": PASSWORD });
    b.nobody().post("/api/password-reset/confirm", form).await.expect(StatusCode::NO_CONTENT);
    // No second step.
    let opened = log_in(&a.nobody(), &before.email, PASSWORD).await.expect(StatusCode::OK);
    let owner = before.presenting(opened.at("/session_token").as_str().expect("a session"));
    let left = owner.get("/api/factors").await.expect(StatusCode::OK);
    assert!(left.at("/totp_since").is_null() && left.at("/passkeys") == json!([]), "{}", left.text());
    assert_eq!(left.at("/recovery_codes_left"), 0, "there were {}", codes.len());
    assert!(identities(&owner).await.is_empty());
    a.advance(TimeDelta::seconds(2)).await;
    me(&b, &token(&a, "before")).await.expect_problem(403, "identity_unknown");
    before.get("/api/me").await.expect_problem(401, "unauthenticated");
    let audit = owner.get("/api/audit?action=account.give_over").await.expect(StatusCode::OK);
    assert_eq!(audit.at("/data/0/after"), json!({ "factors_removed": true, "identities_unlinked": true }));
    let mail = a.sandbox().mailbox();
    a.eventually("a mail tells of it", || async {
        mail.to(&before.email).iter().any(|mail| mail.subject.starts_with("Other ways into your account"))
    })
    .await;

    // From then on it is theirs: what they set up stays when they forget their password.
    factors::enrol(&a, &owner).await;
    link(&owner, &token(&a, "owner")).await.expect(StatusCode::OK);
    a.nobody().post("/api/password-reset", json!({ "email": before.email })).await.expect(StatusCode::ACCEPTED);
    let form = json!({ "token": mailed(&a, &before.email, "reset", 2).await, "password": "yet another one" });
    a.nobody().post("/api/password-reset/confirm", form).await.expect(StatusCode::NO_CONTENT);
    log_in(&a.nobody(), &before.email, "yet another one").await.expect(StatusCode::ACCEPTED);
    a.advance(TimeDelta::seconds(2)).await;
    me(&a, &token(&a, "owner")).await.expect(StatusCode::OK);
    b.finish().await;
    a.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_that_was_under_way_when_all_sessions_ended_adds_no_way_in() {
    let app = with_issuer("").await;
    for (lock, query, path) in
        [(36, "lock_user_factors", "/api/factors/totp"), (37, "lock_user_identities", "/api/identities")]
    {
        let kata = app.sign_up("Kata").await;
        let opened = log_in(&app.nobody(), &kata.email, &kata.password).await.expect(StatusCode::OK);
        let elsewhere = kata.presenting(opened.at("/session_token").as_str().expect("a session"));
        let body = if lock == 37 { json!({ "token": token(&app, "kata") }) } else { Value::Null };
        let by = kata.on(&app);
        let adds = async move { by.post(path, body).await };
        let held = format!("select pg_advisory_xact_lock(hashtextextended($1::uuid::text, {lock}))");
        let signs_out = async {
            elsewhere.post("/api/sessions/end-others", json!({})).await.expect(StatusCode::OK);
        };
        let answer = while_held(&app, &held, kata.user, query, adds, signs_out).await;
        answer.expect_problem(401, "unauthenticated");
        assert!(identities(&elsewhere).await.is_empty(), "{path}");
    }
    app.finish().await;
}
