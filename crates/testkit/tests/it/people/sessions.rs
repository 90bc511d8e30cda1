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

/// Sends a request while a transaction holds what it needs of this person, and ends that once the request waits for it, in a query with
/// this name, and `meanwhile` is done.
pub(crate) async fn while_held(
    app: &TestApp,
    held: &str,
    of: uuid::Uuid,
    query: &str,
    request: impl Future<Output = Answer> + Send + 'static,
    meanwhile: impl Future<Output = ()>,
) -> Answer {
    let mut connection = app.superuser().await;
    let mut transaction = sqlx::Connection::begin(&mut connection).await.expect("a transaction");
    sqlx::query(sqlx::AssertSqlSafe(held)).bind(of).execute(&mut *transaction).await.expect("it is held");
    let request = tokio::spawn(request);
    let waiting =
        "select count(*) from pg_stat_activity where wait_event_type = 'Lock' and query like '%-- ' || $1 || '%'";
    app.eventually("it waits", || async {
        let count = sqlx::query_scalar::<_, i64>(waiting).bind(query).fetch_one(&mut app.superuser().await).await;
        count.expect("a count") == 1 || request.is_finished()
    })
    .await;
    meanwhile.await;
    transaction.commit().await.expect("the end");
    request.await.expect("an answer")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_password_that_is_replaced_while_it_is_checked_opens_nothing() {
    let app = TestApp::start().await;
    let (kata, bela) = (app.sign_up("Kata").await, app.sign_up("Béla").await);
    let change = "update users set password_hash = 'another' where id = $1";
    let (at, email, password) = (app.nobody(), kata.email.clone(), kata.password.clone());
    let login = async move { log_in(&at, &email, &password).await };
    let answer = while_held(&app, change, kata.user, "hold_password_of_user", login, async {}).await;
    answer.expect_problem(401, "invalid_credentials");

    let (authenticator, _) = enrol(&app, &bela).await;
    authenticator.next_step(&app).await;
    let (at, pending) = (app.nobody(), first_step(&app.nobody(), &bela).await);
    let code = json!({ "totp_code": authenticator.code(0) });
    let second = async move { second_step(&at, &pending, code).await };
    let answer = while_held(&app, change, bela.user, "hold_password_of_user", second, async {}).await;
    answer.expect_problem(410, "challenge_invalid");
    app.finish().await;
}
