//! What Shopify sends, of any kind (`script/soak fuzz`).

use std::time::Duration;

use bytes::Bytes;
use chrono::DateTime;
use connector::{Filters, http::Response};
use http::{HeaderMap, HeaderValue, StatusCode, header};
use proptest::prelude::*;
use rust_decimal::Decimal;
use serde_json::{Value, json};

use super::fixtures::fixture;
use crate::shopify::{
    api::{SHOP, error, search},
    auth::{end_of_life, shop_domain, shop_url},
    convert::{
        self,
        wire::{self, Exact, Gid, Whole},
    },
};

fn values() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<u64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        ".{0,20}".prop_map(Value::from),
        "-?[0-9]{0,32}\\.?[0-9]{0,32}(e[+-]?[0-9]{0,11})?".prop_map(Value::from),
        "gid://shopify/[A-Za-z]{0,8}/[0-9]{0,24}(\\?[a-z]{0,3})?".prop_map(Value::from),
        "[+-]?[0-9]{4,6}-[01][0-9]-[0-3][0-9]T[0-2][0-9]:[0-6][0-9]:[0-6][0-9](Z|[+-][0-9]{2}:[0-9]{2})"
            .prop_map(Value::from),
        "[A-Z_]{0,16}".prop_map(Value::from),
    ];
    leaf.prop_recursive(2, 12, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::btree_map("[a-zA-Z]{1,10}", inner, 0..4)
                .prop_map(|fields| Value::Object(fields.into_iter().collect())),
        ]
    })
}

fn pointers(value: &Value, at: String, found: &mut Vec<String>) {
    match value {
        Value::Object(members) => {
            members.iter().for_each(|(name, value)| pointers(value, format!("{at}/{name}"), found))
        }
        Value::Array(items) => {
            items.iter().enumerate().for_each(|(index, value)| pointers(value, format!("{at}/{index}"), found))
        }
        _ => {}
    }
    found.push(at);
}

/// One value in the place of another, at any depth.
fn spoiled(mut sent: Value, place: &prop::sample::Index, value: Value) -> Value {
    let mut found = vec![];
    pointers(&sent, String::new(), &mut found);
    let place: &String = place.get(&found);
    *sent.pointer_mut(place).unwrap() = value;
    sent
}

proptest! {
    #[test]
    fn records(place in any::<prop::sample::Index>(), value in values(), platform: bool) {
        let record = |answer: Value| spoiled(answer["data"]["record"].clone(), &place, value.clone()).to_string();
        if let Ok(order) = serde_json::from_str::<wire::Order>(&record(fixture!("order"))) {
            let order = convert::order(order, platform);
            prop_assert!(order.id.bytes().all(|byte| byte.is_ascii_digit()) && !order.id.is_empty());
        }
        if let Ok(customer) = serde_json::from_str::<wire::Customer>(&record(fixture!("customer"))) {
            prop_assert!(!convert::customer(customer, platform).id.is_empty());
        }
        if let Ok(product) = serde_json::from_str::<wire::Product>(&record(fixture!("product"))) {
            prop_assert!(!convert::product(product, Some("EUR"), platform).id.is_empty());
        }
    }

    #[test]
    fn global_ids(text in prop_oneof![any::<String>(), "(gid://shopify/)?[A-Za-z]{0,8}/?[0-9]{0,24}(\\?[a-z]{0,3})?/?"]) {
        if let Some(gid) = Gid::parse(&text) {
            prop_assert_eq!(gid.as_str(), &text);
            prop_assert!(gid.number().bytes().all(|byte| byte.is_ascii_digit()) && !gid.number().is_empty());
            let rest = text.strip_prefix("gid://shopify/").unwrap();
            prop_assert!(rest.split_once('/').unwrap().1.starts_with(gid.number()));
        }
        let quoted = serde_json::to_string(&text).unwrap();
        prop_assert_eq!(serde_json::from_str::<Gid>(&quoted).is_ok(), Gid::parse(&text).is_some());
    }

    #[test]
    fn numbers(text in prop_oneof![any::<String>(), "-?[0-9]{0,40}\\.?[0-9]{0,40}([eE][+-]?[0-9]{0,12})?"]) {
        let quoted = serde_json::to_string(&text).unwrap();
        for (sent, is_text) in [(quoted.as_str(), true), (text.as_str(), false)] {
            if let Ok(Exact(read)) = serde_json::from_str::<Exact>(sent)
                && let Ok(exact) = Decimal::from_str_exact(text.trim())
                // Beyond 15 digits a bare number has lost some before we see it.
                && (is_text || text.bytes().filter(u8::is_ascii_digit).count() <= 15)
            {
                prop_assert_eq!(read, exact, "nothing is rounded");
            }
            if let Ok(Whole(read)) = serde_json::from_str::<Whole>(sent) {
                prop_assert_eq!(text.trim().parse::<u64>().ok(), Some(read));
            }
        }
    }

    #[test]
    fn answers(status in 100u16..=599, wait in "[ -~]{0,12}", body in prop_oneof![any::<Vec<u8>>(), values().prop_map(|value| value.to_string().into_bytes()), (values(), values()).prop_map(|(errors, cost)| json!({"errors": errors, "extensions": {"cost": cost}}).to_string().into_bytes()), ("[A-Z_]{0,24}", any::<f64>(), any::<f64>(), any::<f64>()).prop_map(|(code, asked, left, rate)| json!({"errors": [{"message": "Throttled", "extensions": {"code": code}}], "extensions": {"cost": {"requestedQueryCost": asked, "throttleStatus": {"maximumAvailable": asked, "currentlyAvailable": left, "restoreRate": rate}}}}).to_string().into_bytes())]) {
        let headers = HeaderMap::from_iter([(header::RETRY_AFTER, HeaderValue::from_str(&wait).unwrap())]);
        let url = "https://a.myshopify.com/admin/api/2026-10/graphql.json".parse().unwrap();
        let response = Response { status: StatusCode::from_u16(status).unwrap(), headers, body: Bytes::from(body), url, took: Duration::ZERO };
        let read = error::read(&response, &SHOP, DateTime::UNIX_EPOCH);
        prop_assert!(read.is_err() || response.status.is_success());
    }

    #[test]
    fn shops(text in prop_oneof![any::<String>(), "[a-zA-Z0-9.@/:?#-]{0,20}(\\.myshopify\\.com)?[/.:@]{0,2}"]) {
        if let Some(domain) = shop_domain(&text) {
            prop_assert_eq!(shop_domain(&domain), Some(domain.clone()), "what was accepted is accepted again");
            prop_assert!(domain.ends_with(".myshopify.com") && domain.matches('.').count() == 2);
            if let Ok(url) = shop_url(&domain, "admin/oauth/access_token") {
                prop_assert!(url.host_str().unwrap().ends_with(".myshopify.com") && url.port().is_none() && url.username().is_empty());
            }
        }
    }

    #[test]
    fn lives_of_tokens(seconds: i64, at in -8_334_601_228_800_i64..=8_210_266_876_799) {
        let asked_at = DateTime::from_timestamp(at, 0).unwrap();
        if let Some(end) = end_of_life(asked_at, seconds) {
            prop_assert_eq!((end - asked_at).num_seconds(), seconds);
        }
    }

    #[test]
    fn times_of_filters(at in -8_334_601_228_800_i64..=8_210_266_876_799) {
        let at = DateTime::from_timestamp(at, 0);
        let filters = Filters { created_after: at, created_before: at, ..Filters::default() };
        let _ = (search::customers(&filters), search::orders(&filters).is_ok());
    }
}
