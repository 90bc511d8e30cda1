//! A caller's minute, and what is asked of a shop.

use axum::http::StatusCode;
use chrono::{TimeDelta, Timelike};
use futures::future::join_all;
use kernel::{Actor, ApiKeyId, SessionId};
use kit::rate_limit::RateLimit;
use serde_json::json;
use testkit::{Client, Options, TestApp};

use super::{list, upstream_calls};

/// To the beginning of a minute, so that the calls of a test are in one.
async fn begin_a_minute(app: &TestApp) {
    let rest = 60 - i64::from(app.clock().now().second());
    app.advance(TimeDelta::seconds(rest)).await;
}

async fn let_through(callers: &[Client], path: &str, calls: usize) -> usize {
    let answers = join_all((0..calls).map(|number| callers[number % callers.len()].get(path))).await;
    for answer in &answers {
        assert!(matches!(answer.status.as_u16(), 404 | 429), "{}", answer.short());
    }
    answers.iter().filter(|answer| answer.status == StatusCode::NOT_FOUND).count()
}

#[tokio::test(flavor = "multi_thread")]
async fn one_node_lets_exactly_a_hundred_a_minute_through() {
    let app = TestApp::start().await;
    let kata = app.sign_up("Kata").await;
    let key = kata.create_key("reader").await;
    // Of a store that is not there: what counts is the call.
    let path = list("orders", uuid::Uuid::nil());
    key.get("/api/stores").await.expect(StatusCode::OK);
    begin_a_minute(&app).await;
    assert_eq!(let_through(&[(*key).clone()], &path, 130).await, 100);
    let refused = key.get(&path).await.expect_problem(429, "rate_limited");
    assert!(refused.header("retry-after").parse::<u64>().is_ok_and(|wait| (1..=60).contains(&wait)));
    assert_eq!(refused.header("ratelimit-policy"), "\"minute\";q=100;w=60");
    assert!(refused.header("ratelimit").starts_with("\"minute\";r=0;t="), "{}", refused.header("ratelimit"));
    // Another key, and the person, have minutes of their own.
    kata.create_key("other").await.get(&path).await.expect(StatusCode::NOT_FOUND);
    kata.get(&path).await.expect(StatusCode::NOT_FOUND);
    app.advance(TimeDelta::seconds(60)).await;
    let first = key.get(&path).await.expect(StatusCode::NOT_FOUND);
    assert!(first.header("ratelimit").starts_with("\"minute\";r=99;t="), "{}", first.header("ratelimit"));
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_person_has_one_minute_in_all_their_sessions() {
    let app = TestApp::with(Options { live_requests_per_minute: 10, ..Options::default() }).await;
    let kata = app.sign_up("Kata").await;
    let limit = app.app().slice::<RateLimit>();
    let (organization, user) = (kata.organization.into(), kata.user.into());
    begin_a_minute(&app).await;
    let mut allowed = 0;
    for _ in 0..20 {
        let actor = Actor::Person { user, session: SessionId::new(app.clock()) };
        allowed += u32::from(limit.take_for(organization, actor).await.expect("a verdict").allowed);
    }
    assert_eq!(allowed, 10);
    // A key of theirs has a minute of its own.
    let key = Actor::Key { user, key: ApiKeyId::new(app.clock()) };
    assert!(limit.take_for(organization, key).await.expect("a verdict").allowed);
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn two_nodes_together_let_no_more_than_a_hundred_through() {
    let a = TestApp::start().await;
    let b = a.second_node().await;
    let kata = a.sign_up("Kata").await;
    let key = kata.create_key("reader").await;
    let callers = [(*key).clone(), key.on(&b)];
    let path = list("orders", uuid::Uuid::nil());
    for caller in &callers {
        caller.get("/api/stores").await.expect(StatusCode::OK);
    }
    for _ in 0..3 {
        begin_a_minute(&a).await;
        let through = let_through(&callers, &path, 160).await;
        assert!(through <= 100, "{through} were let through");
        // At most a leased chunk of each node is left unspent.
        assert!(through >= 80, "only {through} were let through");
    }
    b.finish().await;
    a.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn calls_over_the_limit_do_not_reach_the_shop_and_are_written_down_once_a_minute() {
    let app = TestApp::start().await;
    let kata = app.sign_up("Kata").await;
    let store = kata.connect_woocommerce("kavebolt.example").await;
    let key = kata.create_key("reader").await;
    key.get("/api/stores").await.expect(StatusCode::OK);
    begin_a_minute(&app).await;
    assert_eq!(let_through(&[(*key).clone()], &list("orders", uuid::Uuid::nil()), 100).await, 100);
    let before = upstream_calls(&app);
    for _ in 0..5 {
        key.get(&list("orders", store)).await.expect_problem(429, "rate_limited");
    }
    assert_eq!(upstream_calls(&app), before);
    let log = kata.get(&format!("/api/access-log?key_id={}&limit=10", key.id)).await.expect(StatusCode::OK);
    let limited =
        log.at("/data").as_array().expect("lines").iter().filter(|line| line["result"] == "rate_limited").count();
    // The first of a minute: a caller beyond the limit cannot fill the log.
    assert_eq!(limited, 1);
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn every_attempt_leaves_a_line_without_data() {
    let app = TestApp::start().await;
    let kata = app.sign_up("Kata").await;
    let store = kata.connect_woocommerce("kavebolt.example").await;
    let key = kata.create_key("reader").await;
    let viewer = kata.member(kernel::Role::Viewer).await;
    let search = json!({ "store_id": store, "email": "somebody@example.com" });
    let attempts = [
        (key.get(&format!("{}&limit=2", list("orders", store))).await, "orders", "list", "ok", 2),
        (key.post("/webshop-data-api/customers/search", search).await, "customers", "search", "ok", 0),
        (key.get(&format!("/webshop-data-api/products/0?store_id={store}")).await, "products", "one", "not_found", -1),
        (key.get(&list("products", uuid::Uuid::nil())).await, "products", "list", "not_found", -1),
        (
            key.get(&format!("{}&email=a@b.example", list("orders", store))).await,
            "orders",
            "list",
            "filter_unsupported",
            -1,
        ),
        (viewer.get(&list("orders", store)).await, "orders", "list", "forbidden", -1),
    ];
    let log = kata.get("/api/access-log?limit=50").await.expect(StatusCode::OK);
    let lines = log.at("/data").as_array().expect("lines").clone();
    assert_eq!(lines.len(), attempts.len(), "{lines:#?}");
    for (answer, resource, operation, result, records) in &attempts {
        let request = answer.header("x-request-id");
        let line = lines
            .iter()
            .find(|line| line["request_id"] == request)
            .unwrap_or_else(|| panic!("no line: {}", answer.short()));
        assert_eq!(
            (&line["resource"], &line["operation"], &line["result"]),
            (&json!(resource), &json!(operation), &json!(result))
        );
        assert_eq!(line["records"].as_i64().unwrap_or(-1), *records, "{line}");
        if *result == "ok" {
            assert_eq!(line["id"], answer.at("/meta/receipt_id"), "the receipt names the line");
            assert!(line["fields_returned"].as_array().is_some_and(|fields| fields.contains(&json!("id"))), "{line}");
        }
    }
    assert!(!log.text().contains("somebody@example.com"));
    app.finish().await;
}

/// The lines of the access log that a key left at the live API, newest first: operation and result.
async fn lines_of(kata: &testkit::Member, key: &testkit::Key) -> Vec<(String, String)> {
    let log = kata.get(&format!("/api/access-log?key_id={}&limit=50", key.id)).await.expect(StatusCode::OK);
    let text = |value: &serde_json::Value| value.as_str().expect("a text").to_owned();
    let lines = log.at("/data").as_array().expect("lines").clone();
    lines.iter().map(|line| (text(&line["operation"]), text(&line["result"]))).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_known_key_that_may_not_be_used_leaves_a_line_for_each_attempt() {
    let app = TestApp::start().await;
    let kata = app.sign_up("Kata").await;
    let store = kata.connect_woocommerce("kavebolt.example").await;
    let path = list("products", store);
    let limits = [
        json!({ "name": "revoked" }),
        json!({ "name": "expiring", "expires_in_days": 1 }),
        json!({ "name": "of a page", "allowed_origins": ["https://shop.example"] }),
    ];
    let [revoked, expired, of_a_page] =
        join_all(limits.map(|form| kata.create_key_with(form))).await.try_into().ok().expect("three");
    for key in [&revoked, &expired, &of_a_page] {
        key.get(&path).await.expect(StatusCode::OK);
    }
    kata.post("/api-key-management/revoke", json!({ "key_id": revoked.id })).await.expect(StatusCode::OK);
    app.within_a_second("a revoked key", || async {
        revoked.get("/api/stores").await.status == StatusCode::UNAUTHORIZED
    })
    .await;
    app.advance(TimeDelta::hours(25)).await;
    let before = upstream_calls(&app);
    for key in [&revoked, &expired] {
        key.get(&path).await.expect_problem(401, "unauthenticated");
        key.post("/webshop-data-api/orders/search", json!({ "store_id": store }))
            .await
            .expect_problem(401, "unauthenticated");
    }
    of_a_page.with_header("origin", "https://evil.example").get(&path).await.expect_problem(403, "forbidden");
    // A key has its organization, whichever other it names.
    of_a_page.naming(uuid::Uuid::nil()).get(&path).await.expect_problem(404, "not_found");
    assert_eq!(upstream_calls(&app), before);
    let line = |operation: &str, result: &str| (operation.to_owned(), result.to_owned());
    for key in [&revoked, &expired] {
        let expected = [line("search", "unauthenticated"), line("list", "unauthenticated"), line("list", "ok")];
        assert_eq!(lines_of(&kata, key).await, expected);
    }
    let expected = [line("list", "not_found"), line("list", "forbidden"), line("list", "ok")];
    assert_eq!(lines_of(&kata, &of_a_page).await, expected);

    // Nobody's text is nobody's line.
    let changed = format!("{}x", revoked.text);
    app.nobody().presenting(&changed).get(&path).await.expect_problem(401, "unauthenticated");
    app.nobody().get(&path).await.expect_problem(401, "unauthenticated");
    let log = kata.get("/api/access-log?limit=50").await.expect(StatusCode::OK);
    assert_eq!(log.at("/data").as_array().expect("lines").len(), 9);
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn another_session_is_not_another_minute() {
    let app = TestApp::with(Options { live_requests_per_minute: 10, ..Options::default() }).await;
    let kata = app.sign_up("Kata").await;
    let form = json!({ "email": kata.email, "password": kata.password });
    let again = app.nobody().post("/api/login", form).await.expect(StatusCode::OK);
    let sessions = [(*kata).clone(), kata.presenting(again.at("/session_token").as_str().expect("a session"))];
    begin_a_minute(&app).await;
    assert_eq!(let_through(&sessions, &list("orders", uuid::Uuid::nil()), 30).await, 10);
    app.finish().await;
}
