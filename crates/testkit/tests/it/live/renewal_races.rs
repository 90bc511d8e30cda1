//! Renewals whose answer was lost, and nodes that meet over one token.

use std::time::Duration;

use axum::http::StatusCode;
use chrono::TimeDelta;
use sandbox::faults::{Fault, Rule};
use sqlx::Connection;
use testkit::{Member, Options, TestApp};
use uuid::Uuid;

use super::{list, upstream_calls};

const SHOP: &str = "kis-bolt";
const TOKENS: &str = "/admin/oauth/access_token";

fn inject(app: &TestApp, fault: Fault, times: u32) {
    let shop = app.sandbox().shopify().shop(SHOP).expect("a shop");
    shop.faults().inject(Rule::from(fault).on(TOKENS).times(times));
}

fn refreshes(app: &TestApp) -> u64 {
    app.sandbox().shopify().shop(SHOP).expect("a shop").counts().refreshes
}

/// A store whose token has ended.
async fn with_ended_token(app: &TestApp) -> (Member, Uuid) {
    let kata = app.sign_up("Kata").await;
    let store = kata.connect_shopify(SHOP).await;
    app.advance(sandbox::shopify::ACCESS_LIFE + TimeDelta::seconds(1)).await;
    (kata, store)
}

/// How often the token was renewed, and what is sealed.
async fn stored(app: &TestApp) -> (i64, Vec<u8>) {
    sqlx::query_as("select renewals, sealed from credentials where revoked_at is null")
        .fetch_one(&mut app.superuser().await)
        .await
        .expect("a credential")
}

async fn events(app: &TestApp, event_type: &str) -> i64 {
    sqlx::query_scalar("select count(*) from events where event_type = $1")
        .bind(event_type)
        .fetch_one(&mut app.superuser().await)
        .await
        .expect("a count")
}

/// The next renewal of what is stored works: what is stored is what the platform takes.
async fn the_family_lives(app: &TestApp, owner: &Member, store: Uuid) {
    app.advance(sandbox::shopify::ACCESS_LIFE + TimeDelta::seconds(1)).await;
    let before = refreshes(app);
    owner.get(&list("orders", store)).await.expect(StatusCode::OK);
    assert_eq!(refreshes(app), before + 1);
    assert_eq!(app.sandbox().shopify().shop(SHOP).expect("a shop").counts().unauthorized, 0);
}

/// Whoever has the turn is taken for dead.
async fn end_the_turn(app: &TestApp) {
    let ended = "update credentials set refresh_leased_until = $1 where refresh_leased_until is not null";
    let ended = sqlx::query(ended).bind(app.clock().now()).execute(&mut app.superuser().await).await;
    assert_eq!(ended.expect("a turn").rows_affected(), 1);
}

async fn somebody_has_the_turn(app: &TestApp) {
    app.eventually("somebody has the turn", || async {
        sqlx::query_scalar("select refresh_leased_until is not null from credentials where revoked_at is null")
            .fetch_one(&mut app.superuser().await)
            .await
            .expect("a credential")
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_renewal_whose_answer_is_lost_is_made_again_with_the_same_token_and_nobody_notices() {
    let app = TestApp::start().await;
    let (kata, store) = with_ended_token(&app).await;
    // The platform has renewed the token, twice, and what it gave never came.
    inject(&app, Fault::CutAfterHeaders, 1);
    inject(&app, Fault::CutHalfway, 1);
    kata.get(&list("orders", store)).await.expect(StatusCode::OK);
    let asked = refreshes(&app);
    assert!((2..=3).contains(&asked), "{asked}");
    the_family_lives(&app, &kata, store).await;
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn after_three_renewals_without_an_answer_the_platform_has_half_a_minute_of_rest() {
    let app = TestApp::start().await;
    let (kata, store) = with_ended_token(&app).await;
    inject(&app, Fault::CutAfterHeaders, 3);
    let first = kata.get(&list("orders", store)).await.expect_problem(502, "store_unavailable");
    assert_eq!((refreshes(&app), first.header("retry-after")), (3, "30"));
    app.advance(TimeDelta::seconds(25)).await;
    let before = upstream_calls(&app);
    kata.get(&list("orders", store)).await.expect_problem(502, "store_unavailable");
    assert_eq!(upstream_calls(&app), before, "the platform is left alone");
    app.advance(TimeDelta::seconds(6)).await;
    kata.get(&list("orders", store)).await.expect(StatusCode::OK);
    the_family_lives(&app, &kata, store).await;
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn after_three_failures_the_next_try_is_half_a_minute_away_whichever_node_makes_it() {
    let a = TestApp::start().await;
    let b = a.second_node().await;
    let (kata, store) = with_ended_token(&a).await;
    inject(&a, Fault::answer(StatusCode::SERVICE_UNAVAILABLE, "application/json", "{}"), 3);
    let there = kata.on(&b);
    for (caller, wait) in [(&*kata, "5"), (&there, "5"), (&*kata, "30")] {
        let failed = caller.get(&list("orders", store)).await.expect_problem(502, "store_unavailable");
        assert_eq!(failed.header("retry-after"), wait);
        a.advance(TimeDelta::seconds(6)).await;
    }
    there.get(&list("orders", store)).await.expect_problem(502, "store_unavailable");
    a.advance(TimeDelta::seconds(25)).await;
    there.get(&list("orders", store)).await.expect(StatusCode::OK);
    b.finish().await;
    a.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_that_was_away_does_not_undo_the_token_of_another() {
    let a = TestApp::start().await;
    let b = a.second_node().await;
    let (kata, store) = with_ended_token(&a).await;
    inject(&a, Fault::LateAnswer(Duration::from_secs(2)), 1);
    let late = kata.clone();
    let late = tokio::spawn(async move { late.get(&list("orders", store)).await });
    a.eventually("the platform has renewed the token", || async { refreshes(&a) == 1 }).await;
    end_the_turn(&a).await;

    kata.on(&b).get(&list("orders", store)).await.expect(StatusCode::OK);
    let saved = stored(&a).await;
    late.await.expect("an answer").expect(StatusCode::OK);

    assert_eq!(refreshes(&a), 2);
    assert!(stored(&a).await == saved, "what was saved first stays");
    assert_eq!((saved.0, events(&a, "credential.refreshed").await), (1, 1));
    the_family_lives(&a, &kata, store).await;
    b.finish().await;
    a.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refusal_of_a_token_that_another_node_has_renewed_meanwhile_disconnects_nothing() {
    let a = TestApp::start().await;
    let b = a.second_node().await;
    let (kata, store) = with_ended_token(&a).await;
    // A platform that takes each refresh token once: the first to ask is told last, that its token was replaced.
    inject(&a, Fault::Delay(Duration::from_secs(2)), 1);
    inject(&a, Fault::answer(StatusCode::BAD_REQUEST, "application/json", r#"{"error":"invalid_grant"}"#), 1);
    let refused = kata.clone();
    let refused = tokio::spawn(async move { refused.get(&list("orders", store)).await });
    somebody_has_the_turn(&a).await;
    tokio::time::sleep(Duration::from_millis(300)).await;
    end_the_turn(&a).await;

    kata.on(&b).get(&list("orders", store)).await.expect(StatusCode::OK);
    refused.await.expect("an answer").expect(StatusCode::OK);
    let view = kata.get(&format!("/api/integrations/connections/{store}/")).await;
    assert_eq!((view.at("/status"), view.at("/health")), ("connected".into(), "ok".into()));
    assert_eq!(events(&a, "connection.status").await, 0);
    b.finish().await;
    a.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_keeps_its_turn_for_as_long_as_the_platform_takes() {
    let a = TestApp::with(Options { live_requests_per_minute: 1_000, ..Options::default() }).await;
    let b = a.second_node().await;
    let (kata, store) = with_ended_token(&a).await;
    inject(&a, Fault::LateAnswer(Duration::from_secs(8)), 1);
    let slow = kata.clone();
    let slow = tokio::spawn(async move { slow.get(&list("orders", store)).await });
    a.eventually("the platform works", || async { refreshes(&a) == 1 }).await;
    kata.on(&b).get(&list("products", store)).await.expect(StatusCode::OK);
    slow.await.expect("an answer").expect(StatusCode::OK);
    assert_eq!(refreshes(&a), 1, "the other node waited");
    b.finish().await;
    a.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_waited_for_the_turn_does_not_renew_what_was_renewed_meanwhile() {
    let app = TestApp::start().await;
    let kata = app.sign_up("Kata").await;
    let store = kata.connect_shopify(SHOP).await;
    let mut superuser = app.superuser().await;
    let expire = "update credentials set expires_at = $1, sealed = sealed";
    sqlx::query(expire).bind(app.clock().now()).execute(&mut superuser).await.expect("expired");
    // Another node is about to commit a renewal when this one has read what is stored.
    let mut other = superuser.begin().await.expect("a transaction");
    let renewed = "update credentials set renewals = renewals + 1, expires_at = $1, sealed = sealed";
    let until = app.clock().now() + TimeDelta::hours(1);
    sqlx::query(renewed).bind(until).execute(&mut *other).await.expect("renewed");
    let waits = kata.clone();
    let waits = tokio::spawn(async move { waits.get(&list("orders", store)).await });
    app.eventually("somebody waits for the turn", || async {
        let waiting = "select exists (select from pg_stat_activity
                       where datname = current_database() and wait_event_type = 'Lock' and query like '%take_refresh_turn%')";
        sqlx::query_scalar(waiting).fetch_one(&mut app.superuser().await).await.expect("an answer")
    })
    .await;
    other.commit().await.expect("a commit");
    waits.await.expect("an answer").expect(StatusCode::OK);
    assert_eq!(refreshes(&app), 0);
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_token_waits_for_a_database_that_cannot_take_it() {
    let app = TestApp::start().await;
    let (kata, store) = with_ended_token(&app).await;
    inject(&app, Fault::LateAnswer(Duration::from_millis(500)), 1);
    let caller = kata.clone();
    let call = tokio::spawn(async move { caller.get(&list("orders", store)).await });
    app.eventually("the platform has renewed the token", || async { refreshes(&app) == 1 }).await;
    let mut superuser = app.superuser().await;
    let mut blocks = superuser.begin().await.expect("a transaction");
    sqlx::query("select from connections for update").execute(&mut *blocks).await.expect("a lock");
    // Longer than a statement waits for a lock.
    tokio::time::sleep(Duration::from_secs(5)).await;
    blocks.rollback().await.expect("the end of it");
    call.await.expect("an answer").expect(StatusCode::OK);
    assert_eq!((refreshes(&app), stored(&app).await.0), (1, 1), "nothing was lost");
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_token_is_kept_for_as_long_as_the_database_is_away() {
    // A mail that is being sent just then would be sent again when its lease has ended, long after this test.
    let app = TestApp::with(Options { has_mail_server: false, ..Options::default() }).await;
    let (kata, store) = with_ended_token(&app).await;
    inject(&app, Fault::LateAnswer(Duration::from_secs(1)), 1);
    let caller = kata.clone();
    let call = tokio::spawn(async move { caller.get(&list("orders", store)).await });
    app.eventually("the platform has renewed the token", || async { refreshes(&app) == 1 }).await;
    let mut superuser = app.superuser().await;
    let database = app.installation.database.name().to_owned();
    let admit = |limit: i32| {
        let end = "select pg_terminate_backend(pid) from pg_stat_activity
                   where datname = current_database() and usename like 'entrepot_%'";
        sqlx::AssertSqlSafe(format!("alter database {database} connection limit {limit}; {end}"))
    };
    sqlx::raw_sql(admit(0)).execute(&mut superuser).await.expect("nobody gets in");
    tokio::time::sleep(Duration::from_secs(22)).await;
    assert_eq!(stored(&app).await.0, 0);
    sqlx::raw_sql(admit(-1)).execute(&mut superuser).await.expect("everybody gets in");
    app.eventually("the token is saved", || async { stored(&app).await.0 == 1 }).await;
    call.await.expect("an answer").expect(StatusCode::OK);
    assert_eq!(refreshes(&app), 1, "nothing was lost");
    app.finish().await;
}
