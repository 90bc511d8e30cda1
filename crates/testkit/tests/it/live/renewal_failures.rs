//! Tokens that are not renewed: whose side it is on, and how often the platform is asked.

use std::time::Duration;

use axum::http::StatusCode;
use chrono::TimeDelta;
use sandbox::faults::{Fault, Rule};
use serde_json::{Value, json};
use testkit::{Answer, Member, TestApp, app::SHOPIFY_CLIENT_ID};
use uuid::Uuid;

use super::{list, upstream_calls};

const TOKENS: &str = "/admin/oauth/access_token";

/// The simulator, under another secret of our app than ours.
fn register(app: &TestApp, secret: &str) {
    let callback = |path: &str| format!("{}/api/oauth/shopify/{path}", testkit::app::PUBLIC_URL);
    app.sandbox().shopify().register(sandbox::shopify::App::new(
        SHOPIFY_CLIENT_ID,
        secret,
        &callback("install"),
        &callback("callback"),
        "read_customers,read_orders,read_products",
    ));
}

fn faults(app: &TestApp) -> sandbox::faults::Faults {
    app.sandbox().shopify().shop("kis-bolt").expect("a shop").faults().clone()
}

fn retry_after(answer: &Answer) -> u64 {
    answer.header("retry-after").parse().unwrap_or_else(|_| panic!("no Retry-After: {}", answer.short()))
}

async fn status(owner: &Member, store: Uuid) -> Value {
    owner.get(&format!("/api/integrations/connections/{store}/")).await.at("/status")
}

/// A store whose token has ended.
async fn with_ended_token(app: &TestApp) -> (Member, Uuid) {
    let kata = app.sign_up("Kata").await;
    let store = kata.connect_shopify("kis-bolt").await;
    app.advance(sandbox::shopify::ACCESS_LIFE + TimeDelta::seconds(1)).await;
    (kata, store)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_secret_of_our_own_is_the_operators_to_mend_and_no_store_is_disconnected() {
    let app = TestApp::start().await;
    let (kata, store) = with_ended_token(&app).await;
    register(&app, "another secret than ours");
    let refused = kata.get(&list("orders", store)).await.expect_problem(503, "platform_app_refused");
    assert!((1..=5).contains(&retry_after(&refused)), "{}", retry_after(&refused));
    assert!(refused.at("/detail").as_str().is_some_and(|detail| detail.contains("operator")), "{}", refused.short());
    assert_eq!(status(&kata, store).await, "connected");

    register(&app, &app.installation.shopify_secret);
    app.advance(TimeDelta::seconds(6)).await;
    kata.get(&list("orders", store)).await.expect(StatusCode::OK);
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_consent_under_a_wrong_secret_of_our_own_is_the_operators_to_mend() {
    let app = TestApp::start().await;
    let kata = app.sign_up("Kata").await;
    let refused = Fault::answer(StatusCode::UNAUTHORIZED, "application/json", r#"{"error":"invalid_client"}"#);
    faults(&app).inject(Rule::from(refused).on(TOKENS));
    kata.consent_to("kis-bolt", json!({})).await.answer.expect_problem(503, "platform_app_refused");
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_shop_that_took_our_app_out_must_be_connected_again() {
    let app = TestApp::start().await;
    let kata = app.sign_up("Kata").await;
    let store = kata.connect_shopify("kis-bolt").await;
    // The token is dead before its time, and the platform does not know the app in this shop.
    app.sandbox().shopify().expire_tokens("kis-bolt");
    let refused = Fault::answer(StatusCode::BAD_REQUEST, "application/json", r#"{"error":"invalid_client"}"#);
    faults(&app).inject(Rule::from(refused).on(TOKENS));
    kata.get(&list("orders", store)).await.expect_problem(424, "store_reauthorization_required");
    assert_eq!(status(&kata, store).await, "needs_reauth");
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_renewal_that_failed_is_tried_once_in_a_few_seconds_by_all_nodes_together() {
    let a = TestApp::start().await;
    let b = a.second_node().await;
    let (kata, store) = with_ended_token(&a).await;
    let down = Fault::answer(StatusCode::SERVICE_UNAVAILABLE, "application/json", "{}");
    faults(&a).inject(Rule::from(down).on(TOKENS).times(1));
    let first = kata.get(&list("orders", store)).await.expect_problem(502, "store_unavailable");
    assert_eq!(retry_after(&first), 5);

    // The platform is well again, and nobody asks yet.
    let before = upstream_calls(&a);
    let there = kata.on(&b);
    for caller in [&*kata, &there, &there, &*kata] {
        let again = caller.get(&list("orders", store)).await.expect_problem(502, "store_unavailable");
        assert!((1..=5).contains(&retry_after(&again)), "{}", retry_after(&again));
    }
    assert_eq!(upstream_calls(&a), before, "the platform is left alone");
    assert_eq!(status(&kata, store).await, "connected");

    a.advance(TimeDelta::seconds(6)).await;
    there.get(&list("orders", store)).await.expect(StatusCode::OK);
    kata.get(&list("orders", store)).await.expect(StatusCode::OK);
    b.finish().await;
    a.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_platforms_own_retry_after_reaches_the_caller_and_is_kept() {
    let app = TestApp::start().await;
    let (kata, store) = with_ended_token(&app).await;
    faults(&app).inject(Rule::from(Fault::too_many_requests(Some(Duration::from_secs(42)))).on(TOKENS).times(1));
    let first = kata.get(&list("orders", store)).await.expect_problem(429, "store_rate_limited");
    assert_eq!(retry_after(&first), 42);
    app.advance(TimeDelta::seconds(30)).await;
    let again = kata.get(&list("orders", store)).await.expect_problem(429, "store_rate_limited");
    assert!((8..=12).contains(&retry_after(&again)), "{}", retry_after(&again));
    app.advance(TimeDelta::seconds(13)).await;
    kata.get(&list("orders", store)).await.expect(StatusCode::OK);
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_credential_that_its_owner_sets_meanwhile_is_used_at_once() {
    let app = TestApp::start().await;
    let (kata, store) = with_ended_token(&app).await;
    let down = Fault::answer(StatusCode::SERVICE_UNAVAILABLE, "application/json", "{}");
    faults(&app).inject(Rule::from(down).on(TOKENS).times(1));
    kata.get(&list("orders", store)).await.expect_problem(502, "store_unavailable");
    assert_eq!(kata.connect_shopify("kis-bolt").await, store);
    kata.get(&list("orders", store)).await.expect(StatusCode::OK);
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_renewal_in_the_background_is_finished_before_the_program_ends() {
    let app = TestApp::start().await;
    let kata = app.sign_up("Kata").await;
    let store = kata.connect_shopify("kis-bolt").await;
    let installation = app.installation.clone();
    let sealed = async || -> (Vec<u8>, bool) {
        sqlx::query_as("select sealed, refresh_leased_until is null from credentials")
            .fetch_one(&mut installation.database.superuser().await)
            .await
            .expect("a credential")
    };
    let (before, _) = sealed().await;
    app.advance(sandbox::shopify::ACCESS_LIFE - TimeDelta::minutes(2)).await;
    faults(&app).inject(Rule::from(Fault::Delay(Duration::from_millis(1_500))).on(TOKENS));
    kata.get(&list("orders", store)).await.expect(StatusCode::OK);
    app.finish().await;
    let (after, is_free) = sealed().await;
    assert_ne!(after, before, "the new token was saved");
    assert!(is_free, "and the turn given back");
}
