use super::Harness;
use crate::shopify::Rate;
use chrono::TimeDelta;
use serde_json::{Value, json};

const TEN: &str = "{ products(first: 10) { nodes { id } } }";

#[tokio::test]
async fn every_answer_tells_requested_and_actual_cost_and_what_is_left() {
    let harness = Harness::start().await;
    let token = harness.installed("euro").access_token;
    let query = "{ products(first: 100, query: \"title:nonesuch\") { nodes { id } } }";
    let body = harness.query("euro", &token, query, json!({})).await;
    let cost = &body["extensions"]["cost"];
    assert_eq!((&cost["requestedQueryCost"], &cost["actualQueryCost"]), (&json!(101), &json!(1)));
    let throttle = &cost["throttleStatus"];
    assert_eq!(throttle["maximumAvailable"].to_string(), "2000.0", "a fraction");
    assert_eq!(throttle["restoreRate"].to_string(), "100.0");
    let left = throttle["currentlyAvailable"].as_u64().expect("a whole number");
    assert!(
        (1999..=2000).contains(&left),
        "{left}: the difference was given back, and a point may have leaked back since"
    );
}

#[tokio::test]
async fn an_empty_bucket_throttles_with_status_200_until_it_is_full_enough() {
    let harness = Harness::start().await;
    harness.shopify().set_rate("euro", Rate { bucket: 25.0, restore_per_second: 0.001, single_query: 1000.0 });
    let token = harness.installed("euro").access_token;
    for _ in 0..2 {
        assert!(harness.query("euro", &token, TEN, json!({})).await["data"].is_object());
    }
    let body = harness.query("euro", &token, TEN, json!({})).await;
    assert_eq!(body.get("data"), None);
    assert_eq!(body["errors"][0]["message"], "Throttled");
    assert_eq!(body["errors"][0]["extensions"]["code"], "THROTTLED");
    assert_eq!(body["extensions"]["cost"]["actualQueryCost"], Value::Null);
    assert_eq!(body["extensions"]["cost"]["throttleStatus"]["currentlyAvailable"], 3);
    assert_eq!(harness.shop("euro").counts().throttled, 1);

    let other_shop = harness.installed("yen").access_token;
    assert!(
        harness.query("yen", &other_shop, TEN, json!({})).await["data"].is_object(),
        "each shop has its own bucket"
    );
    let clock = harness.shopify().clock();
    clock.set_now(clock.now() + TimeDelta::seconds(3000));
    let expired_or_not = harness.installed("euro").access_token;
    assert!(harness.query("euro", &expired_or_not, "{ shop { id } }", json!({})).await["data"].is_object());
}

#[tokio::test]
async fn a_query_that_asks_for_too_much_is_refused_whatever_the_bucket_holds() {
    let harness = Harness::start().await;
    let token = harness.installed("euro").access_token;
    let query = "{ products(first: 250) { nodes { seo { title } variants(first: 5) { nodes { id } } } } }";
    let body = harness.query("euro", &token, query, json!({})).await;
    assert_eq!(body["errors"][0]["extensions"]["code"], "MAX_COST_EXCEEDED");
    assert_eq!(body["errors"][0]["extensions"]["cost"], 1 + 250 * (1 + 1 + 1 + 5));
    assert_eq!(body.get("data"), None);
}

#[tokio::test]
async fn the_recommended_page_sizes_stay_below_the_limit() {
    let harness = Harness::start().await;
    let token = harness.installed("euro").access_token;
    for (operation, first) in
        [("ProductsPage", 5), ("OrdersPage", 10), ("InventoryPage", 15), ("AbandonedPage", 20), ("CustomersPage", 100)]
    {
        harness.shopify().set_rate("euro", Rate::default());
        harness.read("euro", &token, operation, json!({"first": first})).await;
    }
}

#[tokio::test]
async fn a_storm_throttles_so_many_calls_and_passes() {
    let harness = Harness::start().await;
    let token = harness.installed("euro").access_token;
    harness.shop("euro").set_rate(Rate { bucket: 2000.0, restore_per_second: 0.001, single_query: 1000.0 });
    harness.shop("euro").throttle_next(2);
    for _ in 0..2 {
        let body = harness.query("euro", &token, TEN, json!({})).await;
        assert_eq!(body["errors"][0]["extensions"]["code"], "THROTTLED");
        assert_eq!(body["extensions"]["cost"]["throttleStatus"]["currentlyAvailable"], 0);
    }
    harness.shop("euro").set_rate(Rate::default());
    assert!(harness.query("euro", &token, TEN, json!({})).await["data"].is_object());
}
