//! Published samples of WooCommerce, where they are at hand: the folder that `ENTREPOT_SHARED` names.

use std::{fs, path::PathBuf, time::Duration};

use bytes::Bytes;
use connector::{ProviderError, http::Response};
use http::{HeaderMap, StatusCode};
use serde_json::{Value, json};

use super::nothing_lost::{lost_of_customer, lost_of_order, lost_of_product};
use crate::woocommerce::{api::refusal, auth};

fn samples() -> Option<PathBuf> {
    let shared = std::env::var_os("ENTREPOT_SHARED")
        .map_or_else(|| PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../../shared")), PathBuf::from);
    Some(shared.join("providers/samples/woocommerce")).filter(|folder| folder.is_dir())
}

fn items(document: Value) -> Vec<Value> {
    match document {
        Value::Array(items) => items,
        one => vec![one],
    }
}

#[test]
fn nothing_of_any_sample_is_lost() {
    let Some(folder) = samples() else {
        println!("skipped: no folder with samples");
        return;
    };
    let mut checked = 0;
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        if path.extension().is_none_or(|extension| extension != "json") {
            continue;
        }
        let document: Value = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
        let none = Vec::<String>::new();
        match name.as_str() {
            "order.json" | "order_guest_partial.json" | "order_modern_wc10.json" | "orders_list.json" => {
                items(document).iter().for_each(|order| assert_eq!(lost_of_order(order), none, "{name}"));
            }
            "orders_batch_response.json" => {
                let lists = document.as_object().unwrap().values();
                lists
                    .flat_map(|list| items(list.clone()))
                    .for_each(|order| assert_eq!(lost_of_order(&order), none, "{name}"));
            }
            "webhook_delivery_order_updated.json" => {
                let order = serde_json::from_str(document["raw_body"].as_str().unwrap()).unwrap();
                assert_eq!(lost_of_order(&order), none, "{name}");
            }
            "customer.json" | "customers_list.json" => {
                items(document).iter().for_each(|customer| assert_eq!(lost_of_customer(customer), none, "{name}"));
            }
            "product_simple.json" | "product_variable.json" | "products_list.json" => {
                items(document).iter().for_each(|product| assert_eq!(lost_of_product(product, &[]), none, "{name}"));
            }
            "variation.json" | "variation_modern_partial.json" | "variations_list.json" => {
                let parent = json!({ "id": 22, "type": "variable" });
                assert_eq!(lost_of_product(&parent, &items(document)), none, "{name}");
            }
            "errors.json" => items(document).iter().for_each(error_is_told_apart),
            "system_status.json" => {
                let facts = auth::facts(&document, &json!({ "value": "lbs" }));
                assert_eq!(facts.currency.as_deref(), Some("USD"));
                assert_eq!(facts.price_decimals, Some(2));
                assert_eq!(facts.version.as_deref(), Some("3.0.0"));
                assert_eq!(facts.weight_unit.as_deref(), Some("lb"));
            }
            // Of things that are not read here, or that the signature module is tested with.
            "order_refund.json"
            | "product_category.json"
            | "data_current_currency.json"
            | "auth_callback_body.json"
            | "webhook_delivery_product_deleted.json"
            | "webhook_ping.json"
            | "webhook_resource.json"
            | "webhooks_list.json"
            | "test_vectors.json" => continue,
            unknown => panic!("{unknown} is checked by nothing"),
        }
        checked += 1;
    }
    assert!(checked >= 15, "only {checked} samples were there");
}

/// By status and code alone: messages are translated.
fn error_is_told_apart(sample: &Value) {
    let status = u16::try_from(sample["http_status"].as_u64().unwrap()).unwrap();
    let code = sample["body"]["code"].as_str().unwrap();
    let mut headers = HeaderMap::new();
    headers.insert("content-type", "application/json; charset=UTF-8".parse().unwrap());
    let response = Response {
        status: StatusCode::from_u16(status).unwrap(),
        headers,
        body: Bytes::from(sample["body"].to_string()),
        url: "https://shop.example/wp-json/wc/v3/orders".parse().unwrap(),
        took: Duration::ZERO,
    };
    let error = refusal::read(&response, chrono::DateTime::UNIX_EPOCH).unwrap().unwrap_err().into_error();
    let expected = match (status, code) {
        (404, "rest_no_route") => "suspended",
        (401, _) => "unauthorized",
        (403, _) => "forbidden",
        _ => "rejected",
    };
    assert_eq!(error.kind(), expected, "{status} {code}");
    if let ProviderError::Rejected { detail } = &error {
        assert!(detail.starts_with(code), "{detail} does not name {code}");
    }
    let message = sample["body"]["message"].as_str().unwrap();
    assert!(!error.to_string().contains(message), "the shop's own words are repeated");
}
