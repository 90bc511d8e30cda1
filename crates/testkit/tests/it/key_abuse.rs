//! API keys that are guessed, and keys that behave as stolen ones do.

use axum::http::StatusCode;
use chrono::TimeDelta;
use kernel::Role;
use serde_json::{Value, json};
use testkit::{Answer, Client, Key, Member, Options, TestApp};

use crate::api_keys::unknown_key;

/// Somebody out there: the proxy on this machine says where.
fn from(client: &Client, network: &str) -> Client {
    client.with_header("x-forwarded-for", network)
}

async fn guess(at: &TestApp, network: &str, text: &str) -> Answer {
    from(&at.nobody().presenting(text), network).get("/api/stores").await
}

async fn works(key: &Client) -> bool {
    key.get("/api/stores").await.status.is_success()
}

#[tokio::test(flavor = "multi_thread")]
async fn who_guesses_keys_is_slowed_then_blocked_on_all_nodes_and_keys_at_work_go_on() {
    const GUESSER: &str = "203.0.113.7";
    let a = TestApp::start().await;
    let b = a.second_node().await;
    let kata = a.sign_up("Kata").await;
    let key = kata.create_key("at work").await;
    assert!(works(&from(&key, GUESSER)).await);

    let first = unknown_key();
    guess(&a, GUESSER, &first).await.expect_problem(401, "unauthenticated");
    for number in 1..20 {
        let node = if number % 2 == 0 { &a } else { &b };
        guess(node, GUESSER, &unknown_key()).await.expect_problem(401, "unauthenticated");
    }
    // One text is one guess, however often it comes.
    for _ in 0..5 {
        a.advance(TimeDelta::minutes(2)).await;
        guess(&a, GUESSER, &first).await.expect_problem(401, "unauthenticated");
    }
    let mut waits = vec![];
    for node in [&a, &b, &a, &b] {
        guess(node, GUESSER, &unknown_key()).await.expect_problem(401, "unauthenticated");
        let refused = guess(&a, GUESSER, &unknown_key()).await.expect_problem(429, "api_key_throttled");
        let wait: i64 = refused.header("retry-after").parse().expect("seconds");
        waits.push(wait);
        guess(&b, GUESSER, &unknown_key()).await.expect_problem(429, "api_key_throttled");
        // What the guesser writes there itself is not believed.
        guess(&b, &format!("198.51.100.9, {GUESSER}"), &unknown_key()).await.expect_problem(429, "api_key_throttled");
        a.advance(TimeDelta::seconds(wait)).await;
    }
    assert_eq!(waits, [1, 2, 4, 8]);
    guess(&a, GUESSER, &unknown_key()).await.expect_problem(401, "unauthenticated");

    assert!(works(&from(&key, GUESSER)).await, "a key at work, from the same network");
    guess(&a, "203.0.113.8", &unknown_key()).await.expect_problem(401, "unauthenticated");
    assert!(works(&from(&key.on(&b), GUESSER)).await, "a key that this node has not seen yet, too");
    b.finish().await;
    a.finish().await;
}

async fn listed(owner: &Member, key: &Key) -> Value {
    let rows = owner.get("/api-key-management/list?limit=100").await.expect(StatusCode::OK).at("/data");
    let rows = rows.as_array().cloned().unwrap_or_default();
    rows.into_iter().find(|row| row["key_id"] == json!(key.id)).expect("the key is listed")
}

async fn suspended(app: &TestApp, key: &Key) {
    app.eventually("the key is suspended", || async { key.get("/api/stores").await.status == 401 }).await;
}

async fn clear(by: &Client, key: &Key) -> Answer {
    by.post("/api-key-management/clear", json!({ "key_id": key.id })).await
}

/// Asks for a store that is not there, again and again.
async fn try_ids(key: &Key, times: u32) {
    for _ in 0..times {
        let path = format!("/webshop-data-api/products?store_id={}", uuid::Uuid::nil());
        key.get(&path).await.expect_problem(404, "not_found");
    }
}

fn plenty() -> Options {
    Options { live_requests_per_minute: 100_000, ..Options::default() }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_that_tries_ids_is_suspended_until_its_owner_clears_it_and_then_trusted() {
    let app = TestApp::with(plenty()).await;
    let other_node = app.second_node().await;
    let kata = app.sign_up("Kata").await;
    let creator = kata.member(Role::ShopManager).await;
    let key = creator.create_key("tries ids").await;
    let elsewhere = key.on(&other_node);
    assert!(works(&elsewhere).await);

    try_ids(&key, 299).await;
    assert!(works(&key).await, "299 in ten minutes may be a broken program");
    app.advance(TimeDelta::minutes(10)).await;
    try_ids(&key, 299).await;
    assert!(works(&key).await, "so may 299 in the next");
    try_ids(&key, 1).await;
    suspended(&app, &key).await;
    app.within_a_second("so it is on the other node", || async { !works(&elsewhere).await }).await;
    let row = listed(&kata, &key).await;
    assert_eq!(row["state"], "suspended");
    assert!(row["state_reason"].as_str().expect("a reason").contains("300 times within ten minutes"), "{row}");
    for person in [&kata.email, &creator.email] {
        let mails = || app.sandbox().mailbox().to(person);
        let about_key = |mail: &sandbox::mailbox::Mail| mail.subject.contains("API key");
        app.eventually("a mail tells of it", || async { mails().iter().any(about_key) }).await;
        let mail = mails().into_iter().find(about_key).expect("a mail");
        assert!(mail.text.contains("tries ids") && mail.text.contains("300 times"), "{}", mail.text);
    }
    let events = kata.get("/api/integrations/events/?event_type=api_key.suspended").await.expect(StatusCode::OK);
    assert_eq!(events.at("/data/0/meta/key_id"), json!(key.id));
    assert_eq!(events.at("/data/0/meta/reason"), "many_refusals");

    let viewer = kata.member(Role::Viewer).await;
    clear(&viewer, &key).await.expect_problem(403, "forbidden");
    clear(&*kata.create_key("a key").await, &key).await.expect_problem(403, "forbidden");
    clear(&*app.sign_up("Béla").await, &key).await.expect_problem(404, "not_found");
    let cleared = clear(&kata, &key).await.expect(StatusCode::OK);
    assert_eq!((cleared.at("/state"), cleared.at("/state_reason")), ("active".into(), Value::Null));
    assert!(works(&key).await, "at once");
    clear(&kata, &key).await.expect_problem(409, "conflict");
    app.advance(TimeDelta::minutes(10)).await;
    try_ids(&key, 301).await;
    app.advance(TimeDelta::hours(25)).await;
    assert!(works(&key).await, "what was cleared is not held against it again");
    assert_eq!(listed(&kata, &key).await["state"], "active");
    other_node.finish().await;
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_suspended_key_that_nobody_clears_is_revoked_a_day_later() {
    let app = TestApp::with(plenty()).await;
    let kata = app.sign_up("Kata").await;
    let key = kata.create_key("tries ids").await;
    try_ids(&key, 300).await;
    suspended(&app, &key).await;
    app.advance(TimeDelta::hours(23)).await;
    assert_eq!(listed(&kata, &key).await["state"], "suspended");
    app.advance(TimeDelta::hours(2)).await;
    app.eventually("it is revoked", || async { listed(&kata, &key).await["state"] == "revoked" }).await;
    clear(&kata, &key).await.expect_problem(409, "conflict");
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn visitors_of_a_page_cannot_have_its_key_suspended() {
    let app = TestApp::with(plenty()).await;
    let kata = app.sign_up("Kata").await;
    let store = kata.connect_woocommerce("kavebolt.example").await;
    let key = kata.create_key_with(json!({ "name": "page", "allowed_origins": ["https://shop.example"] })).await;
    let visitor = key.with_header("origin", "https://shop.example");
    let foreign = key.with_header("origin", "https://elsewhere.example");
    for number in 0..110 {
        assert!(works(&from(&visitor, &format!("203.0.113.{number}"))).await);
        foreign.get("/api/stores").await.expect_problem(403, "forbidden");
    }
    for number in 0..301 {
        let order = format!("/webshop-data-api/products/{}?store_id={store}", 900_000 + number);
        visitor.get(&order).await.expect_problem(404, "not_found");
    }
    app.advance(TimeDelta::minutes(1)).await;
    assert_eq!(listed(&kata, &key).await["state"], "active");
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_in_a_hundred_networks_is_suspended_and_one_in_ninety_nine_is_not() {
    let app = TestApp::with(plenty()).await;
    let kata = app.sign_up("Kata").await;
    let (spread, near) = (kata.create_key("spread").await, kata.create_key("near").await);
    for number in 0..99 {
        assert!(works(&from(&spread, &format!("203.0.113.{number}"))).await);
        assert!(works(&from(&near, &format!("203.0.113.{}", number % 98))).await);
        // All of these are one network, its ninety-ninth.
        assert!(works(&from(&near, &format!("2001:db8::{number}"))).await);
    }
    from(&spread, "203.0.113.99").get("/api/stores").await.expect(StatusCode::OK);
    suspended(&app, &spread).await;
    assert!(works(&near).await);
    app.finish().await;
}
