//! What breaks is written down once for each way to break, and shown to those whom it concerns.

use std::time::Duration;

use axum::http::StatusCode;
use chrono::TimeDelta;
use entrepot::housekeeping::purge;
use kernel::Role;
use kit::{
    error_reports::{ErrorReports, Report},
    retention::Kind,
};
use serde_json::{Value, json};
use sqlx::AssertSqlSafe;
use testkit::{Answer, Client, Options, TestApp, collector::Collector};

/// Breaks something in the database, which no program expects.
async fn sql(app: &TestApp, sql: &str) {
    sqlx::query(AssertSqlSafe(sql.to_owned())).execute(&mut app.superuser().await).await.expect("it is done");
}

/// The reports of a route, as its organization sees them.
async fn of(client: &Client, place: &str) -> Vec<Value> {
    let page = client.get("/api/errors?limit=100").await.expect(StatusCode::OK);
    let all = page.at("/data").as_array().cloned().expect("a page");
    all.into_iter().filter(|report| report["place"] == place).collect()
}

fn request_id(answer: &Answer) -> Value {
    answer.at("/request_id")
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_of_500_is_reported_to_its_organization_with_its_request_and_to_no_other() {
    const PLACE: &str = "GET /api/integrations/events/";
    let app = TestApp::start().await;
    let (kata, other) = (app.sign_up("Kata").await, app.sign_up("Other").await);
    sql(&app, "alter table events rename column message to elsewhere").await;
    let mut last = Value::Null;
    for _ in 0..50 {
        let answer = kata.get("/api/integrations/events/").await.expect_problem(500, "internal");
        last = request_id(&answer);
    }
    assert!(last.is_string(), "the caller is told what to ask for");
    sql(&app, "alter table events rename column elsewhere to message").await;
    app.eventually("it is written down", || async {
        of(&kata, PLACE).await.first().is_some_and(|report| report["occurrences"] == 50)
    })
    .await;
    let reports = of(&kata, PLACE).await;
    let [report] = &reports[..] else { panic!("one way to break: {reports:?}") };
    assert_eq!((&report["kind"], &report["code"]), (&json!("answer"), &json!("internal")));
    assert_eq!(report["last_request_id"], last);
    let message = report["message"].as_str().expect("a message");
    assert!(message.starts_with("database error 42703 at crates/integrations/src/events/"), "{message}");
    assert_eq!(report["release"], env!("CARGO_PKG_VERSION"));

    assert!(of(&other, PLACE).await.is_empty());
    kata.member(Role::Viewer).await.get("/api/errors").await.expect(StatusCode::OK);
    kata.member(Role::Employee).await.get("/api/errors").await.expect_problem(403, "forbidden");
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_breaks_before_anybody_is_known_is_the_operators() {
    let app = TestApp::start().await;
    let kata = app.sign_up("Kata").await;
    sql(&app, "alter table login_attempts rename to elsewhere").await;
    let form = json!({ "email": kata.email, "password": "a wrong password of hers" });
    app.nobody().post("/api/login", form).await.expect_problem(500, "internal");
    sql(&app, "alter table elsewhere rename to login_attempts").await;
    let rows = || async {
        sqlx::query_as::<_, (String, String, Option<uuid::Uuid>, i64)>(
            "select place, message, organization_id, occurrences from error_reports where place = 'POST /api/login'",
        )
        .fetch_all(&mut app.superuser().await)
        .await
        .expect("rows")
    };
    app.eventually("it is written down", || async { !rows().await.is_empty() }).await;
    let rows = rows().await;
    assert!(rows.len() == 1 && rows[0].2.is_none() && rows[0].3 == 1, "{rows:?}");
    assert!(of(&kata, "POST /api/login").await.is_empty(), "it belongs to nobody");
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_that_gives_up_is_reported_to_its_organization() {
    let app = TestApp::start().await;
    let kata = app.sign_up("Kata").await;
    let id = kernel::JobId::new(app.clock());
    let now = app.clock().now().to_rfc3339();
    // Its last attempt was begun, and never ended.
    let job = format!(
        "insert into jobs (organization_id, id, name, payload, run_at, due_at, state, attempts, created_at)
         values ('{}', '{id}', 'seal_logs', '{{}}', '{now}', '{now}', 'ready', 1000, '{now}')",
        kata.organization
    );
    sql(&app, &job).await;
    app.eventually("it is reported", || async { !of(&kata, "seal_logs").await.is_empty() }).await;
    let report = of(&kata, "seal_logs").await.remove(0);
    assert_eq!((&report["kind"], &report["code"]), (&json!("job"), &json!("dead")));
    assert_eq!(report["message"], "the lease of the last attempt ran out");
    sql(&app, &format!("delete from jobs where id = '{id}'")).await;
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_broke_on_two_nodes_is_counted_together_and_kept_for_thirty_days() {
    const PLACE: &str = "GET /api/audit";
    let app = TestApp::start().await;
    let second = app.second_node().await;
    let kata = app.sign_up("Kata").await;
    let there = kata.on(&second);
    sql(&app, "alter table audit_log rename column action to elsewhere").await;
    for _ in 0..3 {
        kata.get("/api/audit").await.expect_problem(500, "internal");
        there.get("/api/audit").await.expect_problem(500, "internal");
    }
    sql(&app, "alter table audit_log rename column elsewhere to action").await;
    app.eventually("both are written down", || async {
        of(&kata, PLACE).await.first().is_some_and(|report| report["occurrences"] == 6)
    })
    .await;
    assert_eq!(of(&kata, PLACE).await.len(), 1);
    app.advance(TimeDelta::days(29)).await;
    assert_eq!(purge(app.app()).await.expect("a purge").of(Kind::ErrorReports), 0);
    app.advance(TimeDelta::days(2)).await;
    assert!(purge(app.app()).await.expect("a purge").of(Kind::ErrorReports) >= 1);
    let left: i64 = sqlx::query_scalar("select count(*) from error_reports where place = $1")
        .bind(PLACE)
        .fetch_one(&mut app.superuser().await)
        .await
        .expect("a count");
    assert_eq!(left, 0);
    second.finish().await;
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_being_written_when_it_is_given_up_is_written_the_next_time() {
    let app = TestApp::start().await;
    let clock = app.app().clock.clone();
    // One that nobody else writes from.
    let reports = ErrorReports::new(clock, env!("CARGO_PKG_VERSION"));
    for _ in 0..3 {
        reports.record(Report::task("half_way", "it broke"));
    }
    reports.take();
    let mut holder = app.superuser().await;
    sqlx::raw_sql("begin; lock table error_reports in access exclusive mode")
        .execute(&mut holder)
        .await
        .expect("a lock");
    let given_up = tokio::time::timeout(Duration::from_millis(300), reports.save(&app.app().db)).await;
    assert!(given_up.is_err(), "it did not wait");
    sqlx::raw_sql("rollback").execute(&mut holder).await.expect("it is free");
    reports.save(&app.app().db).await.expect("it is written");
    let written = async || -> Option<i64> {
        sqlx::query_scalar("select occurrences from error_reports where place = 'half_way'")
            .fetch_optional(&mut app.superuser().await)
            .await
            .expect("an answer")
    };
    assert_eq!(written().await, Some(3));
    reports.save(&app.app().db).await.expect("nothing is left");
    assert_eq!(written().await, Some(3), "once");
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sentry_gets_what_broke_without_whose_it_was() {
    let collector = Collector::start();
    let app = TestApp::with(Options { sentry_dsn: Some(collector.dsn()), ..Options::default() }).await;
    let kata = app.sign_up("Kata").await;
    sql(&app, "alter table events rename column message to elsewhere").await;
    kata.get("/api/integrations/events/").await.expect_problem(500, "internal");
    sql(&app, "alter table events rename column elsewhere to message").await;
    let told = || collector.events().into_iter().find(|event| event["transaction"] == "GET /api/integrations/events/");
    app.eventually("it is told", || async { told().is_some() }).await;
    let event = told().expect("it is told");
    assert_eq!(event["exception"]["values"][0]["type"], "internal");
    let everything = String::from_utf8_lossy(&collector.everything()).into_owned();
    for hers in [kata.organization.to_string(), kata.user.to_string(), kata.email.clone()] {
        assert!(!everything.contains(&hers), "{hers}");
    }
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn somebody_who_is_no_trusted_proxy_and_says_to_be_one_is_told_of() {
    let app = TestApp::start().await;
    let counted = || async {
        sqlx::query_scalar::<_, Option<i64>>(
            "select sum(occurrences)::int8 from error_reports where code = 'untrusted_proxy'",
        )
        .fetch_one(&mut app.superuser().await)
        .await
        .expect("a sum")
    };
    let ask = async |peer: [u8; 4]| {
        let request = axum::http::Request::get("/healthz").header("x-forwarded-for", "198.51.100.7");
        let mut request = request.body(axum::body::Body::empty()).expect("a request");
        let peer = std::net::SocketAddr::from((peer, 1));
        request.extensions_mut().insert(axum::extract::ConnectInfo(peer));
        assert_eq!(app.serve(request).await.status(), StatusCode::OK);
    };
    ask([127, 0, 0, 1]).await;
    for _ in 0..3 {
        ask([203, 0, 113, 9]).await;
    }
    app.eventually("it is written down", || async { counted().await == Some(3) }).await;
    app.finish().await;
}
