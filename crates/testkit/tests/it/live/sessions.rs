//! People: how they come in, what a browser must prove, how they leave.

use axum::http::StatusCode;
use serde_json::{Value, json};
use testkit::{Answer, Client, Member, TestApp};

fn browser(app: &TestApp, member: &Member) -> Client {
    let cookie = format!("other=1; __Host-entrepot_session={}", member.bearer.as_deref().expect("a session"));
    app.nobody().with_header("cookie", &cookie)
}

fn without_request_id(answer: &Answer) -> Value {
    let mut body = answer.json();
    body.as_object_mut().expect("a problem").remove("request_id");
    body
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_browser_changes_needs_a_token_that_other_sites_cannot_read() {
    let app = TestApp::start().await;
    let (kata, other) = (app.sign_up("Kata").await, app.sign_up("Other").await);
    let browser = browser(&app, &kata);
    let me = browser.get("/api/me").await.expect(StatusCode::OK);
    let token = me.at("/csrf_token").as_str().expect("a token").to_owned();
    let foreign = other.get("/api/me").await.at("/csrf_token").as_str().expect("a token").to_owned();
    let form = json!({ "name": "from the browser" });
    let create = "/api-key-management/create";
    browser.post(create, form.clone()).await.expect_problem(403, "csrf_refused");
    browser.with_header("x-csrf-token", "").post(create, form.clone()).await.expect_problem(403, "csrf_refused");
    browser.with_header("x-csrf-token", &foreign).post(create, form.clone()).await.expect_problem(403, "csrf_refused");
    let with_token = browser.with_header("x-csrf-token", &token);
    for origin in ["https://evil.example", "null", "http://entrepot.example"] {
        with_token.with_header("origin", origin).post(create, form.clone()).await.expect_problem(403, "csrf_refused");
    }
    with_token
        .with_header("origin", testkit::app::PUBLIC_URL)
        .post(create, form.clone())
        .await
        .expect(StatusCode::CREATED);
    with_token.post(create, form).await.expect(StatusCode::CREATED);
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_that_was_ended_is_known_to_no_node() {
    let a = TestApp::start().await;
    let b = a.second_node().await;
    let kata = a.sign_up("Kata").await;
    let there = kata.on(&b);
    there.get("/api/me").await.expect(StatusCode::OK);
    let left = kata.post("/api/logout", json!({})).await.expect(StatusCode::NO_CONTENT);
    assert!(left.header("set-cookie").starts_with("__Host-entrepot_session=;"), "{}", left.header("set-cookie"));
    kata.get("/api/me").await.expect_problem(401, "unauthenticated");
    there.get("/api/me").await.expect_problem(401, "unauthenticated");
    browser(&a, &kata).get("/api/me").await.expect_problem(401, "unauthenticated");

    let again =
        a.nobody().post("/api/login", json!({ "email": kata.email.to_uppercase(), "password": kata.password })).await;
    let cookie = again.expect(StatusCode::OK).header("set-cookie").to_owned();
    for word in ["__Host-entrepot_session=", "HttpOnly", "SameSite=Lax", "Secure", "Path=/"] {
        assert!(cookie.contains(word), "{cookie}");
    }
    b.finish().await;
    a.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_ends_by_itself() {
    let app = TestApp::start().await;
    let kata = app.sign_up("Kata").await;
    app.advance(chrono::TimeDelta::days(31)).await;
    kata.get("/api/me").await.expect_problem(401, "unauthenticated");
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_password_and_an_unknown_address_get_the_same_answer() {
    let app = TestApp::start().await;
    let kata = app.sign_up("Kata").await;
    let attempt = async |email: &str, password: &str| {
        let answer = app.nobody().post("/api/login", json!({ "email": email, "password": password })).await;
        answer.expect_problem(401, "invalid_credentials")
    };
    let wrong = attempt(&kata.email, "a wrong password").await;
    let unknown = attempt("nobody@people.example", "a wrong password").await;
    let member = attempt(&kata.member(kernel::Role::Viewer).await.email, "none").await;
    assert_eq!(without_request_id(&wrong), without_request_id(&unknown));
    assert_eq!(without_request_id(&wrong), without_request_id(&member), "a person without a password");
    app.finish().await;
}
