//! The three places where Shopify says that something went wrong.

use std::time::Duration;

use connector::{ProviderError, Read, Selection, WithheldReason, model::Order};
use serde_json::{Value, json};

use super::{
    fixtures::fixture,
    reads::{orders, page},
    shop::{Reply, Shop},
};
use crate::shopify::Shopify;

async fn error(reply: impl Fn() -> Reply + Send + Sync + 'static) -> ProviderError {
    let shop = Shop::open(move |_, _| reply()).await;
    orders(&shop, page(1, 25)).await.err().unwrap()
}

fn body_error(code: &str) -> Value {
    json!({"errors": [{"message": "secret@example.com is no date", "extensions": {"code": code}}]})
}

#[tokio::test]
async fn each_status_has_its_meaning() {
    let kinds = [
        (400, "rejected"),
        (401, "unauthorized"),
        (402, "suspended"),
        (403, "forbidden"),
        (404, "suspended"),
        (406, "rejected"),
        (423, "suspended"),
        (429, "rate_limited"),
        (430, "rate_limited"),
        (500, "unavailable"),
        (503, "unavailable"),
        (530, "unavailable"),
        (301, "unavailable"),
    ];
    for (status, kind) in kinds {
        let error = error(move || Reply::status(status, &json!({"errors": "[API] secret@example.com"}))).await;
        assert_eq!(error.kind(), kind, "{status}");
        assert!(!error.to_string().contains("example.com"), "{error}");
    }
}

#[tokio::test]
async fn the_edges_wait_is_believed_and_a_refusal_for_security_is_long() {
    let limited = error(|| Reply::status(429, &json!({})).header("retry-after", "7.0")).await;
    assert!(matches!(limited, ProviderError::RateLimited { retry_after } if retry_after == Duration::from_secs(7)));
    let refused = error(|| Reply::status(430, &json!({})).header("retry-after", "1")).await;
    assert!(matches!(refused, ProviderError::RateLimited { retry_after } if retry_after >= Duration::from_secs(60)));
}

#[tokio::test]
async fn each_code_has_its_meaning_and_messages_are_not_repeated() {
    let kinds = [
        ("SHOP_INACTIVE", "suspended"),
        ("INTERNAL_SERVER_ERROR", "unavailable"),
        ("BAD_REQUEST", "rejected"),
        ("undefinedField", "rejected"),
        ("not a code: secret@example.com", "rejected"),
    ];
    for (code, kind) in kinds {
        let error = error(move || body_error(code).into()).await;
        assert_eq!(error.kind(), kind, "{code}");
        assert!(!error.to_string().contains("example.com"), "{error}");
    }
}

#[tokio::test]
async fn what_is_no_answer_is_malformed_and_says_where() {
    let mut wrong = fixture!("orders");
    wrong["data"]["records"]["nodes"][1]["totalPriceSet"]["shopMoney"]["amount"] = json!("ten");
    let malformed = error(move || wrong.clone().into()).await;
    let ProviderError::Malformed { path } = malformed else { panic!("{malformed}") };
    assert!(path.contains("records.nodes[1].totalPriceSet.shopMoney.amount"), "{path}");
    for body in [json!({"data": null}), json!({"data": {}}), json!("<html>"), json!({"errors": "text"})] {
        let error = error(move || body.clone().into()).await;
        assert_eq!(error.kind(), "malformed");
    }
}

/// As the fixture, but with so many points there as make the wait what a test can afford.
fn throttled(available: f64) -> Value {
    let mut body = fixture!("throttled");
    body["extensions"]["cost"]["throttleStatus"]["currentlyAvailable"] = json!(available);
    body
}

#[tokio::test]
async fn a_throttled_call_is_repeated_after_the_time_that_the_points_take() {
    // 978 wanted, 958 there, 100 a second: 0.2 s.
    let shop =
        Shop::open(|_, before| if before < 2 { throttled(958.0).into() } else { fixture!("orders").into() }).await;
    let started = std::time::Instant::now();
    let found = orders(&shop, page(1, 25)).await.ok().unwrap();
    assert_eq!(found.items.len(), 5);
    assert!(started.elapsed() >= Duration::from_millis(400), "{:?}", started.elapsed());
    let asked = shop.asked();
    assert_eq!(asked.len(), 3);
    assert!(asked.iter().all(|asked| asked.body == asked.body), "the same call");
    assert_eq!(asked[0].body, asked[2].body);
}

#[tokio::test]
async fn a_wait_beyond_patience_is_the_callers() {
    // 978 wanted, none there and less than none promised: 15 s.
    let shop = Shop::open(|_, _| throttled(-522.0).into()).await;
    let started = std::time::Instant::now();
    let error = orders(&shop, page(1, 25)).await.err().unwrap();
    assert!(matches!(error, ProviderError::RateLimited { retry_after } if retry_after == Duration::from_secs(15)));
    assert!(started.elapsed() < Duration::from_secs(5));
    assert_eq!(shop.asked().len(), 1);
}

#[tokio::test]
async fn a_shop_that_always_throttles_is_given_up() {
    let shop = Shop::open(|_, _| throttled(977.0).into()).await;
    let error = orders(&shop, page(1, 25)).await.err().unwrap();
    assert_eq!(error.kind(), "rate_limited");
    assert_eq!(shop.asked().len(), 5);
}

#[tokio::test]
async fn what_is_too_expensive_is_asked_for_in_halves() {
    let shop = Shop::open(|asked, _| {
        let first = asked.variable("first").as_u64().unwrap();
        if first > 6 { body_error("MAX_COST_EXCEEDED").into() } else { fixture!("orders").into() }
    })
    .await;
    orders(&shop, page(1, 25)).await.ok().unwrap();
    let firsts: Vec<u64> = shop.asked().iter().map(|asked| asked.variable("first").as_u64().unwrap()).collect();
    assert_eq!(firsts, [25, 12, 6]);
}

#[tokio::test]
async fn a_bucket_that_never_holds_a_query_makes_it_smaller_too() {
    let small = || {
        let mut body = throttled(100.0);
        body["extensions"]["cost"]["throttleStatus"]["maximumAvailable"] = json!(500);
        body
    };
    let shop = Shop::open(move |_, before| if before == 0 { small().into() } else { fixture!("orders").into() }).await;
    orders(&shop, page(1, 25)).await.ok().unwrap();
    assert_eq!(*shop.asked()[1].variable("first"), json!(12));
}

#[tokio::test]
async fn one_record_that_is_too_expensive_is_no_endless_loop() {
    let shop = Shop::open(|_, _| body_error("MAX_COST_EXCEEDED").into()).await;
    assert_eq!(orders(&shop, page(1, 25)).await.err().unwrap().kind(), "rejected");
    assert_eq!(shop.asked().len(), 5, "25, 12, 6, 3, 1");
}

#[tokio::test]
async fn a_denied_field_leaves_the_rest_and_is_said_to_be_withheld() {
    let shop = Shop::open(|_, _| fixture!("orders_denied_customer").into()).await;
    let found = orders(&shop, page(1, 25)).await.ok().unwrap();
    assert_eq!(found.items.len(), 2);
    let [withheld] = found.notes.withheld.as_slice() else { panic!("{:?}", found.notes.withheld) };
    assert_eq!((withheld.field, withheld.reason), ("customer", WithheldReason::Scope));
}

#[tokio::test]
async fn data_that_shopify_has_not_approved_is_withheld_for_that_reason() {
    let shop = Shop::open(|_, _| fixture!("orders_unapproved").into()).await;
    let found = orders(&shop, page(1, 25)).await.ok().unwrap();
    let withheld: Vec<_> = found.notes.withheld.iter().map(|withheld| (withheld.field, withheld.reason)).collect();
    let approval = WithheldReason::ProviderApproval;
    assert_eq!(withheld, [("customer", approval), ("email", approval), ("shipping_address", approval)]);
}

#[tokio::test]
async fn a_denied_resource_is_forbidden_with_the_scopes_that_are_missing() {
    let error = error(|| fixture!("orders_denied").into()).await;
    let ProviderError::Forbidden { missing_scopes, .. } = error else { panic!("{error}") };
    assert_eq!(missing_scopes, ["read_marketplace_orders", "read_orders"]);
}

#[tokio::test]
async fn a_denied_record_is_forbidden_and_not_absent() {
    let shop = Shop::open(|_, _| {
        let mut body = fixture!("orders_denied");
        body["data"] = json!({"record": null});
        body["errors"][0]["path"] = json!(["record"]);
        body.into()
    })
    .await;
    let one = Read::<Order>::one(&Shopify, &shop.call(), "1", &Selection::standard()).await;
    assert_eq!(one.err().unwrap().kind(), "forbidden");
}

#[tokio::test]
async fn a_denied_count_is_only_no_total() {
    let shop = Shop::open(|_, _| {
        let mut body = fixture!("orders");
        body["data"]["total"] = Value::Null;
        body["errors"] =
            json!([{"message": "Access denied", "path": ["total"], "extensions": {"code": "ACCESS_DENIED"}}]);
        body.into()
    })
    .await;
    let found = orders(&shop, page(1, 25)).await.ok().unwrap();
    assert_eq!((found.total, found.notes.withheld.len()), (None, 0));
}
