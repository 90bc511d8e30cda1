//! What WooCommerce sends becomes the unified objects, and nothing of it is lost; what is asked of it is what it documents.

mod address;
mod connect;
mod convert;
mod customers;
mod faults;
mod fuzz;
mod nothing_lost;
mod orders;
mod products;
mod query;
mod refusal;
mod samples;
mod shop;
mod view;

use connector::{ProviderError, Query};
use serde_json::{Value, json};

use super::{Connection, api};

/// A connection as establishing leaves it.
fn connection() -> Connection {
    Connection::read(&json!({
        "shop_url": "https://shop.example/",
        "home": "https://shop.example/",
        "rest_root": "https://shop.example/wp-json/",
        "auth": "basic",
        "currency": "EUR",
        "weight_unit": "kg",
        "timezone": "Europe/Berlin",
        "gmt_offset_minutes": 60,
    }))
    .unwrap()
}

fn fixture(text: &str) -> Value {
    serde_json::from_str(text).unwrap()
}

fn order_fixture() -> Value {
    fixture(include_str!("../fixtures/order.json"))
}

fn customer_fixture() -> Value {
    fixture(include_str!("../fixtures/customer.json"))
}

fn product_fixtures() -> Vec<Value> {
    serde_json::from_value(fixture(include_str!("../fixtures/products.json"))).unwrap()
}

fn variation_fixtures() -> Vec<Value> {
    serde_json::from_value(fixture(include_str!("../fixtures/variations.json"))).unwrap()
}

type Params = Result<Option<Vec<(&'static str, String)>>, ProviderError>;

fn customer_params(query: &Query) -> Params {
    api::customer_params(query, &connection())
}

fn order_params(query: &Query) -> Params {
    api::order_params(query, &connection())
}

fn product_params(query: &Query) -> Params {
    api::product_params(query, &connection())
}
