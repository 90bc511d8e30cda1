//! Consents that are under way: who may finish one, how many there may be, and what is left of those that nobody finished.

use std::time::Duration;

use axum::http::{Method, StatusCode};
use chrono::TimeDelta;
use serde_json::json;
use testkit::{
    Client, Member, TestApp,
    app::PUBLIC_URL,
    shops::{Grant, browse},
};

const SHOP: &str = "kavebolt.example";
const CALLBACK: &str = "/api/oauth/woocommerce/callback";

async fn states(app: &TestApp) -> (i64, i64) {
    sqlx::query_as("select count(*), count(sealed_keys) from oauth_states")
        .fetch_one(&mut app.superuser().await)
        .await
        .expect("counts")
}

fn beginner(app: &TestApp, grant: &Grant) -> Client {
    app.nobody().with_header("cookie", &grant.cookies)
}

fn way_back(grant: &Grant) -> String {
    format!("/api/oauth/woocommerce/return?success=1&user_id={}", grant.state)
}

/// The shop's owner consents in a browser of their own; where it is sent.
async fn consented_elsewhere(grant: &Grant) -> String {
    let (_, approve, _) = grant.page().await;
    let back = browse(Method::GET, &approve, None).await.expect(StatusCode::FOUND);
    back.header("location").strip_prefix(PUBLIC_URL).expect("ours").to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_of_a_shop_whose_owner_was_sent_the_page_connect_nothing() {
    let app = TestApp::start().await;
    let (kata, bela) = (app.sign_up("Kata").await, app.sign_up("Bela").await);
    for session in [None, Some(&bela)] {
        let grant = kata.ask_for_keys(kata.shop_address(SHOP)).await;
        let to = consented_elsewhere(&grant).await;
        // Whoever began asks without pause, and is faster than the owner's browser.
        for _ in 0..3 {
            let early = beginner(&app, &grant).get(&way_back(&grant)).await.expect_problem(400, "oauth_refused");
            assert!(!early.header("retry-after").is_empty());
        }
        let page = beginner(&app, &grant).with_header("accept", "text/html").get(&way_back(&grant)).await;
        assert!(page.text().contains("http-equiv=refresh"), "a browser looks again by itself: {}", page.text());
        let mut owner = app.nobody();
        owner.bearer = session.and_then(|bela: &Member| bela.bearer.clone());
        let expected = if session.is_some() { "oauth_session_mismatch" } else { "unauthenticated" };
        assert_eq!(owner.get(&to).await.problem(), expected);
        app.advance(TimeDelta::seconds(6)).await;
        beginner(&app, &grant).get(&way_back(&grant)).await.expect_problem(400, "oauth_state_invalid");
        assert_eq!(states(&app).await, (0, 0));
    }
    assert_eq!(kata.get("/api/integrations/connections/").await.at("/data"), json!([]));
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_that_nobody_comes_for_are_gone_within_minutes_and_with_their_organization() {
    let app = TestApp::start().await;
    let (kata, bela) = (app.sign_up("Kata").await, app.sign_up("Bela").await);
    for person in [&kata, &bela] {
        let grant = person.ask_for_keys(person.shop_address(SHOP)).await;
        consented_elsewhere(&grant).await;
        person.consent_without_coming_back("kis-bolt", json!({})).await;
    }
    assert_eq!(states(&app).await, (4, 2));
    let name = json!({ "name": bela.organization_name });
    bela.delete(&format!("/api/organizations/{}", bela.organization), name).await.expect(StatusCode::NO_CONTENT);
    assert_eq!(states(&app).await, (2, 1), "those of the other one stay");
    assert_eq!(entrepot::housekeeping::purge_consents(app.app()).await.expect("a purge"), 0);
    app.advance(TimeDelta::minutes(16)).await;
    assert!(entrepot::housekeeping::purge_consents(app.app()).await.expect("a purge") <= 2);
    assert_eq!(states(&app).await, (0, 0));
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_strangers_hand_over_is_refused_without_the_database_and_not_without_end() {
    let app = TestApp::start().await;
    let kata = app.sign_up("Kata").await;
    let body = |state: &str| json!({ "key_id": 1, "user_id": state, "consumer_key": "ck_1", "consumer_secret": "cs_1", "key_permissions": "read" });
    // Nobody gets at the states, so whoever asks for one waits.
    let mut superuser = app.superuser().await;
    sqlx::query("begin").execute(&mut superuser).await.expect("a transaction");
    sqlx::query("lock table oauth_states in access exclusive mode").execute(&mut superuser).await.expect("a lock");
    let nobody = app.nobody();
    let made_up = format!("{}{}", kernel::random::token(), kernel::random::token());
    for state in [made_up, "é".repeat(32), "x".repeat(32), String::from("x")] {
        let answer = tokio::time::timeout(Duration::from_secs(10), nobody.post(CALLBACK, body(&state)));
        answer.await.expect("the database is not asked").expect_problem(400, "oauth_state_invalid");
        let path = format!(
            "/api/oauth/woocommerce/return?success=1&user_id={}",
            url::form_urlencoded::byte_serialize(state.as_bytes()).collect::<String>()
        );
        let answer = tokio::time::timeout(Duration::from_secs(10), kata.get(&path));
        answer.await.expect("the database is not asked").expect_problem(400, "oauth_state_invalid");
    }
    sqlx::query("rollback").execute(&mut superuser).await.expect("the end");

    // A state that was ours, used up, and what has the form that the version before makes: each of these asks the database.
    let grant = kata.ask_for_keys(kata.shop_address(SHOP)).await;
    let from = |address: &str| app.nobody().with_header("x-forwarded-for", address);
    for (address, state) in [("198.51.100.7", grant.state.clone()), ("198.51.100.9", kernel::random::token())] {
        let mut refused = 0;
        for _ in 0..70 {
            let answer = from(address).post(CALLBACK, body(&state)).await;
            refused += u32::from(answer.problem() == "rate_limited");
        }
        assert!((1..=10).contains(&refused), "60 a minute: {refused}");
    }
    assert_ne!(from("198.51.100.8").post(CALLBACK, body(&grant.state)).await.problem(), "rate_limited");
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_person_begins_twenty_and_then_finishes_one_first() {
    let app = TestApp::start().await;
    let kata = app.sign_up("Kata").await;
    let partner = kata.member(kernel::Role::Owner).await;
    let mut last = None;
    for _ in 0..20 {
        last = Some(kata.ask_for_keys(kata.shop_address(SHOP)).await);
    }
    for path in ["/api/oauth/woocommerce/start", "/api/oauth/shopify/start"] {
        let form = if path.contains("shopify") { json!({}) } else { kata.shop_address(SHOP) };
        let refused = kata.post(path, form).await.expect_problem(429, "rate_limited");
        assert!(!refused.header("retry-after").is_empty());
    }
    partner.post("/api/oauth/shopify/start", json!({})).await.expect(StatusCode::OK);
    let grant = last.expect("one of twenty");
    let back = grant.approve().await.expect(StatusCode::FOUND);
    kata.connected(kata.redirected(&back, &grant.cookies).await);
    kata.post("/api/oauth/shopify/start", json!({})).await.expect(StatusCode::OK);
    app.finish().await;
}
