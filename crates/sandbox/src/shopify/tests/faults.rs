use super::Harness;
use crate::faults::{Fault, Rule};
use crate::shopify::ShopStatus;
use http::StatusCode;
use serde_json::{Value, json};
use std::time::{Duration, Instant};

fn query() -> Value {
    json!({"query": "{ shop { name } }"})
}

#[tokio::test]
async fn a_shop_can_be_frozen_blocked_closed_locked_and_suspicious() {
    let harness = Harness::start().await;
    let token = harness.installed("euro").access_token;
    for (status, code) in [
        (ShopStatus::Frozen, 402),
        (ShopStatus::Forbidden, 403),
        (ShopStatus::Closed, 404),
        (ShopStatus::Locked, 423),
        (ShopStatus::Rejected, 430),
        (ShopStatus::Open, 200),
    ] {
        harness.shop("euro").set_status(status);
        let response = harness.send("euro", &token, &query()).await.unwrap();
        assert_eq!(response.status().as_u16(), code, "{status:?}");
        assert!(response.json::<Value>().await.is_ok());
    }
}

#[tokio::test]
async fn unknown_shops_tokens_and_paths_are_refused() {
    let harness = Harness::start().await;
    let token = harness.installed("euro").access_token;
    assert_eq!(harness.send("nobody", &token, &query()).await.unwrap().status(), 404);
    assert_eq!(harness.send("yen", &token, &query()).await.unwrap().status(), 401, "a token of another shop");
    assert_eq!(harness.send("euro", "shpat_nonsense", &query()).await.unwrap().status(), 401);
    assert_eq!(harness.shop("euro").counts().unauthorized, 1);
    assert_eq!(harness.client.get(harness.url("euro", "/admin/products.json")).send().await.unwrap().status(), 404);
    harness.shopify().revoke("euro");
    assert_eq!(harness.send("euro", &token, &query()).await.unwrap().status(), 401);
}

#[tokio::test]
async fn an_edge_that_limits_says_when_to_come_back() {
    let harness = Harness::start().await;
    let token = harness.installed("euro").access_token;
    let wait = Fault::too_many_requests(Some(Duration::from_secs(2)));
    harness.shop("euro").faults().inject(Rule::from(wait).on("graphql").times(1));
    let response = harness.send("euro", &token, &query()).await.unwrap();
    assert_eq!((response.status().as_u16(), response.headers()["retry-after"].to_str().unwrap()), (429, "2"));
    assert_eq!(harness.send("euro", &token, &query()).await.unwrap().status(), 200);
}

#[tokio::test]
async fn faults_strike_one_endpoint_of_one_shop() {
    let harness = Harness::start().await;
    let (euro, yen) = (harness.installed("euro"), harness.installed("yen").access_token);
    harness.shop("euro").faults().inject(Rule::from(Fault::html(StatusCode::BAD_GATEWAY, "502")).on("access_token"));
    assert_eq!(harness.send("euro", &euro.access_token, &query()).await.unwrap().status(), 200);
    let url = harness.url("euro", "/admin/oauth/access_token");
    assert_eq!(harness.client.post(url).json(&json!({})).send().await.unwrap().status(), 502);
    assert_eq!(harness.send("yen", &yen, &query()).await.unwrap().status(), 200);
}

#[tokio::test]
async fn answers_come_late_in_part_not_at_all_or_as_garbage() {
    let harness = Harness::start().await;
    let token = harness.installed("euro").access_token;
    let faults = harness.shop("euro").faults();

    faults.inject(Rule::from(Fault::Delay(Duration::from_millis(120))).times(1));
    let start = Instant::now();
    assert!(harness.send("euro", &token, &query()).await.is_ok());
    assert!(start.elapsed() >= Duration::from_millis(120));

    faults.inject(Rule::from(Fault::CutHalfway).times(1));
    let cut = harness.send("euro", &token, &query()).await.unwrap();
    assert_eq!(cut.status(), 200);
    assert!(cut.bytes().await.is_err());

    faults.inject(Rule::from(Fault::CutBeforeHeaders));
    assert!(harness.send("euro", &token, &query()).await.is_err());
    faults.clear();

    faults.inject(Rule::from(Fault::answer(StatusCode::OK, "application/json", "{\"data\": {\"sh")).times(1));
    assert!(harness.send("euro", &token, &query()).await.unwrap().json::<Value>().await.is_err());

    faults.inject(Rule::from(Fault::Hang).times(1));
    let asked = query();
    let hanging = tokio::time::timeout(Duration::from_millis(150), harness.send("euro", &token, &asked));
    assert!(hanging.await.is_err());
    assert_eq!(harness.send("euro", &token, &query()).await.unwrap().status(), 200);
}
