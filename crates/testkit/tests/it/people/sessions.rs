use axum::http::StatusCode;
use chrono::TimeDelta;
use serde_json::{Value, json};
use testkit::{Answer, Client, TestApp};

use super::{
    factors::{enrol, first_step, second_step},
    log_in,
};

async fn sessions(of: &Client) -> Vec<Value> {
    of.get("/api/sessions").await.expect(StatusCode::OK).at("/data").as_array().cloned().expect("sessions")
}

#[tokio::test(flavor = "multi_thread")]
async fn people_see_where_they_are_signed_in_and_sign_out_there_on_every_node() {
    let a = TestApp::start().await;
    let b = a.second_node().await;
    let (kata, bela) = (a.sign_up("Kata").await, a.sign_up("Béla").await);
    let open = async |agent: &str| {
        let answer = log_in(&a.nobody().with_header("user-agent", agent), &kata.email, &kata.password).await;
        b.nobody().presenting(answer.expect(StatusCode::OK).at("/session_token").as_str().expect("a session"))
    };
    let phone = open("Mozilla/5.0 (Android 16; Mobile; rv:140.0) Gecko/140.0 Firefox/140.0").await;
    let laptop = open("Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0").await;
    a.advance(TimeDelta::minutes(11)).await;
    let seen = sessions(&kata).await;
    assert_eq!(seen.len(), 3);
    assert_eq!(seen[0]["is_current"], true, "the one that asks was used last");
    assert!(seen[0]["last_seen_at"].as_str() > seen[1]["last_seen_at"].as_str());
    let device = |name: &str| seen.iter().find(|one| one["device"] == name).expect(name)["id"].clone();
    let path = format!("/api/sessions/{}", device("Firefox on Android").as_str().expect("an id"));
    // Somebody else's is as unknown as none.
    bela.delete(&path, json!({})).await.expect_problem(404, "not_found");
    phone.get("/api/me").await.expect(StatusCode::OK);
    kata.delete(&path, json!({})).await.expect(StatusCode::NO_CONTENT);
    phone.get("/api/me").await.expect_problem(401, "unauthenticated");
    kata.delete(&path, json!({})).await.expect_problem(404, "not_found");
    laptop.get("/api/me").await.expect(StatusCode::OK);
    let ended = kata.post("/api/sessions/end-others", json!({})).await.expect(StatusCode::OK);
    assert_eq!(ended.at("/ended"), 1);
    laptop.get("/api/me").await.expect_problem(401, "unauthenticated");
    assert_eq!(sessions(&kata).await.len(), 1);
    bela.get("/api/me").await.expect(StatusCode::OK);
    b.finish().await;
    a.finish().await;
}

/// Sends a request while the person's password is being replaced, by a transaction that ends once the request has come to wait for it.
async fn while_the_password_changes(
    app: &TestApp,
    of: uuid::Uuid,
    request: impl Future<Output = Answer> + Send + 'static,
) -> Answer {
    let mut connection = app.superuser().await;
    let mut change = sqlx::Connection::begin(&mut connection).await.expect("a transaction");
    sqlx::query("update users set password_hash = 'another' where id = $1")
        .bind(of)
        .execute(&mut *change)
        .await
        .expect("another password");
    let request = tokio::spawn(request);
    let waiting =
        "select count(*) from pg_stat_activity where wait_event_type = 'Lock' and query like '%hold_password%'";
    app.eventually("it waits for the password", || async {
        let count = sqlx::query_scalar::<_, i64>(waiting).fetch_one(&mut app.superuser().await).await;
        count.expect("a count") == 1 || request.is_finished()
    })
    .await;
    change.commit().await.expect("the change");
    request.await.expect("an answer")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_password_that_is_replaced_while_it_is_checked_opens_nothing() {
    let app = TestApp::start().await;
    let (kata, bela) = (app.sign_up("Kata").await, app.sign_up("Béla").await);
    let (at, email, password) = (app.nobody(), kata.email.clone(), kata.password.clone());
    let answer = while_the_password_changes(&app, kata.user, async move { log_in(&at, &email, &password).await }).await;
    answer.expect_problem(401, "invalid_credentials");

    let (authenticator, _) = enrol(&app, &bela).await;
    authenticator.next_step(&app).await;
    let (at, pending) = (app.nobody(), first_step(&app.nobody(), &bela).await);
    let code = json!({ "totp_code": authenticator.code(0) });
    let answer =
        while_the_password_changes(&app, bela.user, async move { second_step(&at, &pending, code).await }).await;
    answer.expect_problem(410, "challenge_invalid");
    app.finish().await;
}
