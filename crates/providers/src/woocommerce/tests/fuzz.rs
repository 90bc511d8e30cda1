//! What shops of WooCommerce send, of any kind (`script/soak fuzz`).

use std::time::Duration;

use bytes::Bytes;
use chrono::{DateTime, FixedOffset};
use connector::{http::Response, json::Json};
use http::{HeaderMap, HeaderValue, StatusCode, header};
use proptest::prelude::*;
use rust_decimal::Decimal;
use serde_json::Value;

use super::{
    super::{Connection, auth::announced_root, convert},
    customer_fixture, nothing_lost, order_fixture, product_fixtures, variation_fixtures,
};
use crate::woocommerce::api::refusal;

fn answer(status: u16, headers: &[(header::HeaderName, String)], body: Vec<u8>) -> Response {
    let headers: HeaderMap =
        headers.iter().filter_map(|(name, value)| Some((name.clone(), HeaderValue::from_str(value).ok()?))).collect();
    let url = "https://shop.example/wp-json/wc/v3/orders".parse().unwrap();
    Response {
        status: StatusCode::from_u16(status).unwrap(),
        headers,
        body: Bytes::from(body),
        url,
        took: Duration::ZERO,
    }
}

/// Anything a plugin may put into a field, at the limits of numbers and times.
fn values() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<u64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        any::<String>().prop_map(Value::from),
        "-?[0-9]{0,40}\\.?[0-9]{0,40}(e[+-]?[0-9]{0,12})?".prop_map(Value::from),
        "[+-]?[0-9]{1,7}-[01][0-9]-[0-3][0-9]T[0-2][0-9]:[0-6][0-9]:[0-6][0-9](\\.[0-9]{0,10})?(Z|[+-][0-9]{2}:[0-9]{2})?".prop_map(Value::from),
    ];
    leaf.prop_recursive(3, 16, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::btree_map("[a-z_]{1,8}", inner, 0..4)
                .prop_map(|fields| Value::Object(fields.into_iter().collect())),
        ]
    })
}

/// Puts values in the place of some of what is there, at any depth.
fn spoiled(mut sent: Value, places: &[(prop::sample::Index, Value)]) -> Value {
    for (place, value) in places {
        let mut pointers = vec![];
        walk(&sent, String::new(), &mut pointers);
        let pointer = place.get(pointers.as_slice());
        // Without its id no record can be told from another; that is refused, and not what is looked at here.
        if pointer != "/id" && !pointer.is_empty() {
            *sent.pointer_mut(pointer).unwrap() = value.clone();
        }
    }
    sent
}

fn walk(value: &Value, at: String, pointers: &mut Vec<String>) {
    match value {
        Value::Object(members) => members.iter().for_each(|(name, value)| {
            walk(value, format!("{at}/{}", name.replace('~', "~0").replace('/', "~1")), pointers);
        }),
        Value::Array(items) => {
            items.iter().enumerate().for_each(|(index, value)| walk(value, format!("{at}/{index}"), pointers))
        }
        _ => {}
    }
    pointers.push(at);
}

fn places() -> impl Strategy<Value = Vec<(prop::sample::Index, Value)>> {
    prop::collection::vec((any::<prop::sample::Index>(), values()), 1..6)
}

proptest! {
    #[test]
    fn records(orders in places(), customers in places(), products in places(), which in 0..2usize) {
        // The id is the shop's, whatever else it sends.
        let sent = spoiled(order_fixture(), &orders);
        prop_assert_eq!(nothing_lost::order(sent.clone()).id, sent["id"].to_string());
        let sent = spoiled(customer_fixture(), &customers);
        prop_assert_eq!(nothing_lost::customer(sent.clone()).id, sent["id"].to_string());
        let sent = spoiled(product_fixtures().remove(which), &products);
        let variation = spoiled(variation_fixtures().remove(0), &products);
        prop_assert_eq!(nothing_lost::product(sent.clone(), vec![variation]).id, sent["id"].to_string());
    }

    #[test]
    fn times(text in prop_oneof![any::<String>(), "[+-]?[0-9]{1,7}-[01][0-9]-[0-3][0-9][T ][0-2][0-9]:[0-6][0-9]:[0-6][0-9](\\.[0-9]{0,10})?(Z|[+-][0-9]{2}:?[0-9]{2})?"], minutes in -1439..=1439i32) {
        let offset = FixedOffset::east_opt(minutes * 60);
        let local = convert::parse_time(&text, offset);
        let utc = convert::parse_time(&text, None);
        prop_assert_eq!(local.is_some(), utc.is_some() && local.is_some());
        if let (Some(local), Some(utc)) = (local, utc)
            && DateTime::parse_from_rfc3339(&text).is_err()
            // The second 60 is one in UTC only.
            && !text.contains(":60")
        {
            prop_assert_eq!(utc - local, chrono::Duration::minutes(minutes.into()), "{} without a zone is local", text);
        }
    }

    #[test]
    fn amounts(text in prop_oneof![any::<String>(), "-?[0-9]{0,40}\\.?[0-9]{0,40}([eE][+-]?[0-9]{0,12})?"]) {
        if let Some(read) = convert::decimal(&Json::from(Value::from(text.clone()))) {
            // Nothing is rounded: what was read is what was written, in digits.
            if let Ok(exact) = Decimal::from_str_exact(&text) {
                prop_assert_eq!(read, exact);
            } else {
                prop_assert!(text.contains(['e', 'E']), "{} is no number", text);
            }
        }
        if let Ok(number) = serde_json::from_str::<serde_json::Number>(&text) {
            let _ = convert::decimal(&Json::from(Value::Number(number)));
        }
    }

    #[test]
    fn entities(text in prop_oneof![any::<String>(), "(&(amp|lt|gt|quot|#[0-9]{0,9}|#[xX][0-9a-fA-F]{0,8}|[a-zé]{0,12});?|[a-zé& ;#]){0,8}"]) {
        let decoded = convert::decode_entities(&text);
        prop_assert!(decoded.len() <= text.len());
        prop_assert_eq!(text.contains('&') || decoded == text, true, "only entities are changed");
        prop_assert_eq!(convert::decode_entities(&text.replace('&', "&amp;")), text, "each is resolved once");
    }

    #[test]
    fn refusals(status in 100u16..=599, kind in "(application/json|text/html|[ -~]{0,20})", wait in "[ -~]{0,20}", date in "([A-Z][a-z]{2}, [0-9]{1,2} [A-Z][a-z]{2} [0-9]{1,6} [0-9]{2}:[0-9]{2}:[0-9]{2} (GMT|[+-][0-9]{4})|[ -~]{0,30})", body in prop_oneof![any::<Vec<u8>>(), values().prop_map(|value| value.to_string().into_bytes()), values().prop_map(|value| format!("{{\"code\":{value},\"data\":{{\"params\":{value}}}}}").into_bytes())]) {
        let headers = [(header::CONTENT_TYPE, kind), (header::RETRY_AFTER, wait), (header::DATE, date)];
        let response = answer(status, &headers, body.clone());
        match refusal::read(&response, DateTime::UNIX_EPOCH) {
            Ok(Ok(document)) => {
                prop_assert!(response.status.is_success());
                let text = body.strip_prefix(b"\xef\xbb\xbf").unwrap_or(&body);
                prop_assert_eq!(serde_json::from_slice::<Value>(text).ok(), Some(document));
            }
            Ok(Err(refusal)) => {
                prop_assert!(!response.status.is_success());
                let error = refusal.into_error();
                prop_assert!(error.to_string().len() < 1_000, "{}", error);
            }
            Err(error) => prop_assert!(error.to_string().len() < 1_000, "{}", error),
        }
    }

    #[test]
    fn announced_roots(link in prop_oneof!["(<[!-~]{0,30}>; ?rel=\"?https://api\\.w\\.org/\"?,? ?){0,3}", "[ -~]{0,60}"]) {
        let page = answer(200, &[(header::LINK, link.clone())], vec![]);
        if announced_root(&page).is_some() {
            prop_assert!(link.contains("https://api.w.org/") && link.contains('<'));
        }
    }

    #[test]
    fn kept_facts(config in values()) {
        // What discovery has written is read again; anything else is refused with its place, and not quoted.
        if let Err(error) = Connection::read(&config) {
            prop_assert!(error.to_string().len() < 400);
        }
    }
}
