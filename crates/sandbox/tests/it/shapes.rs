//! Answers have the shape of real ones. The samples of real answers are not part of this repository: where they are
//! absent, the tests that need them say so and pass.

use crate::lab::{Lab, admin};
use serde_json::Value;
use std::collections::BTreeSet;
use std::path::PathBuf;

/// A sample, if the folder of samples is there.
#[expect(clippy::print_stdout, reason = "a skipped test must say so")]
pub(crate) fn sample(name: &str) -> Option<Value> {
    let shared = std::env::var_os("ENTREPOT_SHARED")
        .map_or_else(|| PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../../shared")), PathBuf::from);
    let folder = shared.join("providers/samples/woocommerce");
    if !folder.is_dir() {
        println!("skipped: no samples at {}", folder.display());
        return None;
    }
    let text = std::fs::read_to_string(folder.join(name)).expect("the sample is in the folder");
    Some(serde_json::from_str(&text).expect("the sample is JSON"))
}

/// Paths whose type varies in real shops.
const VARIES: &[&str] = &[".line_items[].image.id", ".meta_data[].value", ".line_items[].meta_data[].value"];
/// Paths that are there for some objects only, by what they are.
const OPTIONAL: &[&str] = &["._links.customer"];

/// Everything the sample has must be in `ours`, with the same type. Notes the paths compared.
fn compare(sample: &Value, ours: &Value, path: &str, compared: &mut BTreeSet<String>) {
    if VARIES.contains(&path) {
        return;
    }
    match (sample, ours) {
        (Value::Null, _) | (_, Value::Null) => {}
        (Value::Object(sample), Value::Object(ours)) => {
            for (key, value) in sample {
                let path = format!("{path}.{key}");
                match ours.get(key) {
                    Some(own) => compare(value, own, &path, compared),
                    None if OPTIONAL.contains(&path.as_str()) => {}
                    None => panic!("{path} is missing"),
                }
            }
        }
        (Value::Array(sample), Value::Array(ours)) => {
            for own in ours {
                if let Some(first) = sample.first() {
                    compare(first, own, &format!("{path}[]"), compared);
                }
            }
        }
        _ => {
            let kind = std::mem::discriminant::<Value>;
            assert_eq!(kind(sample), kind(ours), "{path}: {sample} in a real shop, {ours} here");
            compared.insert(path.to_owned());
        }
    }
}

/// All paths of scalars in the sample that `compare` can reach.
fn leaves(sample: &Value, path: &str, out: &mut BTreeSet<String>) {
    match sample {
        Value::Object(fields) => fields.iter().for_each(|(key, value)| leaves(value, &format!("{path}.{key}"), out)),
        Value::Array(items) => items.iter().take(1).for_each(|item| leaves(item, &format!("{path}[]"), out)),
        Value::Null => {}
        _ if VARIES.contains(&path) || OPTIONAL.iter().any(|optional| path.starts_with(optional)) => {}
        _ => {
            out.insert(path.to_owned());
        }
    }
}

/// Compares every one of `ours` with the sample, and checks that nothing in the sample was left uncompared.
fn all_like(name: &str, ours: &[Value]) {
    let Some(sample) = sample(name) else { return };
    assert!(!ours.is_empty());
    let (mut compared, mut expected) = (BTreeSet::new(), BTreeSet::new());
    ours.iter().for_each(|own| compare(&sample, own, "", &mut compared));
    leaves(&sample, "", &mut expected);
    let missed: Vec<&String> = expected.difference(&compared).collect();
    assert!(missed.is_empty(), "{name}: never compared {missed:?}");
}

async fn every(lab: &Lab, path: &str) -> Vec<Value> {
    let mut all = vec![];
    let separator = if path.contains('?') { '&' } else { '?' };
    for page in 1.. {
        let items = lab.wc(&format!("{path}{separator}per_page=100&page={page}")).await.list();
        if items.is_empty() {
            return all;
        }
        all.extend(items);
    }
    all
}

#[tokio::test]
async fn orders_look_like_those_of_real_shops() {
    let lab = Lab::start().await;
    let orders = every(&lab, "orders").await;
    assert!(orders.len() > 100);
    for name in ["order.json", "order_modern_wc10.json", "order_guest_partial.json"] {
        all_like(name, &orders);
    }
}

#[tokio::test]
async fn customers_look_like_those_of_real_shops() {
    let lab = Lab::start().await;
    all_like("customer.json", &every(&lab, "customers?role=all").await);
}

#[tokio::test]
async fn products_and_variations_look_like_those_of_real_shops() {
    let lab = Lab::start().await;
    let products = every(&lab, "products").await;
    let simple: Vec<Value> = products.iter().filter(|product| product["type"] == "simple").cloned().collect();
    let variable: Vec<Value> = products.iter().filter(|product| product["type"] == "variable").cloned().collect();
    all_like("product_simple.json", &simple);
    all_like("product_variable.json", &variable);
    let mut variations = vec![];
    for product in &variable {
        variations.extend(lab.wc(&format!("products/{}/variations?per_page=100", product["id"])).await.list());
    }
    all_like("variation.json", &variations);
    all_like("variation_modern_partial.json", &variations);
    // A variation by its own id is a product.
    let single = lab.wc(&format!("products/{}", variations[0]["id"])).await.json();
    assert_eq!(
        (&single["type"], &single["parent_id"]),
        (
            &"variation".into(),
            &variable.iter().find(|p| p["variations"].as_array().unwrap().contains(&single["id"])).unwrap()["id"]
        )
    );
    all_like("product_simple.json", &[simple, vec![single]].concat());
}

#[tokio::test]
async fn refunds_look_like_those_of_real_shops() {
    let lab = Lab::start().await;
    let mut refunds = vec![];
    for order in every(&lab, "orders").await.iter().filter(|order| order["refunds"] != Value::Array(vec![])) {
        refunds.extend(lab.wc(&format!("orders/{}/refunds", order["id"])).await.list());
    }
    all_like("order_refund.json", &refunds);
}

#[tokio::test]
async fn shop_facts_look_like_those_of_real_shops() {
    let lab = Lab::start().await;
    all_like("system_status.json", &[lab.wc("system_status").await.json()]);
    all_like("data_current_currency.json", &[lab.wc("data/currencies/current").await.json()]);
}

#[tokio::test]
async fn errors_are_those_of_real_shops() {
    let Some(errors) = sample("errors.json") else { return };
    let known = |code: &str, status: u16| {
        errors.as_array().unwrap().iter().any(|error| error["body"]["code"] == code && error["http_status"] == status)
    };
    let lab = Lab::start().await;
    for path in ["nothing", "orders/1", "orders?orderby=nonsense"] {
        let (status, code) = lab.wc(path).await.error();
        assert!(known(&code, status), "{path}: {status} {code}");
    }
    let (status, code) = lab.anonymous("https://kavebolt.example/wp-json/wc/v3/orders").await.error();
    assert!(known(&code, status));
}

#[tokio::test]
async fn a_single_object_is_the_same_as_in_its_list() {
    let lab = Lab::start().await;
    for path in ["orders", "customers", "products"] {
        for item in lab.wc(&format!("{path}?per_page=5")).await.list() {
            assert_eq!(lab.wc(&format!("{path}/{}", item["id"])).await.json(), item);
        }
    }
}

#[tokio::test]
async fn amounts_have_the_decimals_of_the_shop_unless_asked_otherwise() {
    let lab = Lab::start().await;
    let total = async |host: &str, path: &str, dp: &str| {
        let url = format!("https://{host}{path}/wp-json/wc/v3/orders?per_page=1{dp}");
        let total = lab.get(&admin(lab.shop(host)), &url).await.list()[0]["total"].as_str().unwrap().to_owned();
        total.split_once('.').map_or(0, |(_, decimals)| decimals.len())
    };
    assert_eq!(total("kavebolt.example", "", "").await, 0, "forints");
    assert_eq!(total("tea.example", "", "").await, 0, "yen");
    assert_eq!(total("nagyker.example", "/bolt", "").await, 3, "dinars");
    assert_eq!(total("kavebolt.example", "", "&dp=2").await, 2);
}

#[tokio::test]
async fn the_numbers_of_an_order_add_up() {
    let lab = Lab::start().await;
    for order in every(&lab, "orders?dp=6").await {
        let number = |value: &Value| value.as_str().unwrap().parse::<f64>().unwrap();
        let lines = order["line_items"].as_array().unwrap();
        let items: f64 = lines.iter().map(|line| number(&line["total"])).sum();
        let fees: f64 = order["fee_lines"].as_array().unwrap().iter().map(|fee| number(&fee["total"])).sum();
        let total = items + fees + number(&order["shipping_total"]) + number(&order["total_tax"]);
        assert!((total - number(&order["total"])).abs() < 1e-6, "{order}");
        for line in lines {
            let price = line["price"].as_f64().unwrap() * line["quantity"].as_f64().unwrap();
            assert!((price - number(&line["total"])).abs() < 1e-6, "price is without tax and not rounded: {line}");
        }
        let refunded: f64 = order["refunds"].as_array().unwrap().iter().map(|refund| number(&refund["total"])).sum();
        assert!(refunded <= 0.0, "negative in the order");
        assert_eq!(order["status"] == "refunded", -refunded == number(&order["total"]) && refunded != 0.0);
    }
}

#[tokio::test]
async fn refunds_are_positive_at_their_own_address() {
    let lab = Lab::start().await;
    let order = every(&lab, "orders?status=refunded").await.swap_remove(0);
    let refund = lab.wc(&format!("orders/{}/refunds", order["id"])).await.list().swap_remove(0);
    assert_eq!(format!("-{}", refund["amount"].as_str().unwrap()), order["refunds"][0]["total"].as_str().unwrap());
    assert!(refund["line_items"][0]["quantity"].as_i64().unwrap() < 0);
    let by_id = lab.wc(&format!("orders/{}/refunds/{}", order["id"], refund["id"])).await.json();
    assert_eq!(by_id["amount"], refund["amount"]);
    assert_eq!(lab.wc(&format!("orders/{}", refund["id"])).await.status, 404, "a refund is no order");
}

#[tokio::test]
async fn local_times_and_gmt_times_are_the_same_moments() {
    let lab = Lab::start().await;
    for order in every(&lab, "orders").await {
        for name in ["date_created", "date_modified", "date_paid", "date_completed"] {
            let parse = |value: &Value| {
                Some(chrono::NaiveDateTime::parse_from_str(value.as_str()?, "%Y-%m-%dT%H:%M:%S").unwrap())
            };
            let (local, gmt) = (parse(&order[name]), parse(&order[format!("{name}_gmt")]));
            assert_eq!(local.is_some(), gmt.is_some());
            if let (Some(local), Some(gmt)) = (local, gmt) {
                assert!([1, 2].contains(&(local - gmt).num_hours()), "Budapest, winter or summer");
            }
        }
    }
}

#[tokio::test]
async fn the_peculiarities_of_the_data_come_through() {
    let lab = Lab::start().await;
    let orders = every(&lab, "orders").await;
    let guests = || orders.iter().filter(|order| order["customer_id"] == 0);
    assert!(guests().any(|order| order["billing"]["email"] == ""));
    assert!(guests().any(|order| order["billing"]["email"].as_str().is_some_and(|email| email.contains("EXAMPLE"))));
    let lines: Vec<&Value> = orders.iter().flat_map(|order| order["line_items"].as_array().unwrap()).collect();
    let deleted = lines.iter().find(|line| line["product_id"] == 0).expect("a deleted product");
    assert!(deleted["sku"].is_null() && deleted["name"] != "");
    let products = every(&lab, "products").await;
    assert!(products.iter().any(|product| product["price"] == ""));
    assert!(products.iter().any(|product| product["stock_quantity"].as_i64().is_some_and(|stock| stock < 0)));
    assert!(products.iter().any(|product| product["categories"][0]["name"] == "Home &amp; Kitchen"));
    assert!(products.iter().all(|product| product["type"] != "variation"));
    let parent =
        products.iter().find(|product| product["sku"].as_str().is_some_and(|sku| sku.starts_with("PARENT-"))).unwrap();
    let variations = lab.wc(&format!("products/{}/variations?per_page=100", parent["id"])).await.list();
    assert!(variations.len() > 1 && variations.iter().all(|variation| variation["sku"] == parent["sku"]));
    let currency =
        lab.get(&admin(lab.shop("tea.example")), "https://tea.example/wp-json/wc/v3/data/currencies/current").await;
    assert_eq!(currency.json()["symbol"], "&yen;");
}

#[tokio::test]
async fn json_is_escaped_as_php_does_and_still_says_the_same() {
    let lab = Lab::start().await;
    let reply = lab.wc("customers?role=all&per_page=100").await;
    assert!(reply.body.is_ascii());
    assert!(reply.body.contains(r"https:\/\/kavebolt.example"));
    let names: Vec<Value> = reply.list().iter().map(|customer| customer["last_name"].clone()).collect();
    for name in ["O'Brien", "Größl", "Szőke", "العتيبي", "בן־דוד", "髙橋"] {
        assert!(names.contains(&name.into()), "{name}");
    }
}
