//! Whatever the shop sent is either in a unified field or in `platform_specific`, leaf by leaf.

use chrono::{DateTime, NaiveDateTime};
use connector::{Customer, Order, Product};
use proptest::prelude::*;
use rust_decimal::Decimal;
use serde_json::{Value, json};

use super::{connection, customer_fixture, order_fixture, product_fixtures, variation_fixtures, view};
use crate::woocommerce::convert;

/// Where a field of the shop's is carried: its pointer, with `#` for an index, and the pointer of the unified field.
type Carried = &'static [(&'static str, &'static str)];

const ORDER: Carried = &[
    ("/id", "/id"),
    ("/number", "/number"),
    ("/status", "/status"),
    ("/currency", "/currency"),
    ("/date_created_gmt", "/placed_at"),
    ("/date_modified_gmt", "/updated_at"),
    ("/discount_total", "/discount_total"),
    ("/shipping_total", "/shipping_total"),
    ("/total", "/total"),
    ("/total_tax", "/tax_total"),
    ("/customer_id", "/customer/id"),
    ("/customer_note", "/note"),
    ("/billing/email", "/customer/email"),
    ("/billing", "/billing_address"),
    ("/shipping", "/shipping_address"),
    ("/line_items", "/line_items"),
    ("/line_items/#/id", "/line_items/#/id"),
    ("/line_items/#/name", "/line_items/#/name"),
    ("/line_items/#/product_id", "/line_items/#/product_id"),
    ("/line_items/#/variation_id", "/line_items/#/variant_id"),
    ("/line_items/#/quantity", "/line_items/#/quantity"),
    ("/line_items/#/sku", "/line_items/#/sku"),
    ("/line_items/#/total", "/line_items/#/total"),
    ("/line_items/#/total_tax", "/line_items/#/tax"),
];

const CUSTOMER: Carried = &[
    ("/id", "/id"),
    ("/email", "/email"),
    ("/first_name", "/first_name"),
    ("/last_name", "/last_name"),
    ("/date_created_gmt", "/created_at"),
    ("/date_modified_gmt", "/updated_at"),
    ("/billing/email", "/email"),
    ("/billing", "/addresses/0"),
    ("/shipping", "/addresses/1"),
    // The only address there is.
    ("/shipping", "/addresses/0"),
];

const PRODUCT: Carried = &[
    ("/id", "/id"),
    ("/name", "/title"),
    ("/slug", "/handle"),
    ("/permalink", "/url"),
    ("/date_created_gmt", "/created_at"),
    ("/date_modified_gmt", "/updated_at"),
    ("/type", "/type"),
    ("/status", "/status"),
    ("/description", "/description_html"),
    ("/tags", "/tags"),
    ("/tags/#/name", "/tags/#"),
    ("/images", "/images"),
    ("/images/#/id", "/images/#/id"),
    ("/images/#/src", "/images/#/url"),
    ("/images/#/alt", "/images/#/alt"),
    ("/attributes", "/options"),
    ("/attributes/#/name", "/options/#/name"),
    ("/attributes/#/options", "/options/#/values"),
    ("/attributes/#/options/#", "/options/#/values/#"),
    ("/sku", "/variants/0/sku"),
    ("/global_unique_id", "/variants/0/barcode"),
    ("/price", "/variants/0/price"),
    ("/stock_quantity", "/variants/0/inventory_quantity"),
    ("/weight", "/variants/0/weight/value"),
];

const VARIATION: Carried = &[
    ("/id", "/id"),
    ("/sku", "/sku"),
    ("/global_unique_id", "/barcode"),
    ("/price", "/price"),
    ("/stock_quantity", "/inventory_quantity"),
    ("/weight", "/weight/value"),
    ("/attributes", "/options"),
    ("/attributes/#/name", "/options/#/name"),
    ("/attributes/#/option", "/options/#/value"),
];

const ADDRESS: Carried = &[
    ("first_name", "first_name"),
    ("last_name", "last_name"),
    ("company", "company"),
    ("address_1", "address1"),
    ("address_2", "address2"),
    ("city", "city"),
    ("state", "province"),
    ("postcode", "postcode"),
    ("country", "country_code"),
    ("phone", "phone"),
];

pub(super) fn order(sent: Value) -> Order {
    convert::order(sent.into(), &connection(), &view::everything(), format_args!("order")).unwrap()
}

pub(super) fn customer(sent: Value) -> Customer {
    convert::customer(sent.into(), &connection(), &view::everything(), format_args!("customer")).unwrap()
}

pub(super) fn product(sent: Value, variations: Vec<Value>) -> Product {
    convert::product(
        sent.into(),
        variations.into_iter().map(Into::into).collect(),
        &connection(),
        &view::everything(),
        format_args!("product"),
    )
    .unwrap()
}

/// The pointers of what is lost; none should be.
pub(super) fn lost_of_order(sent: &Value) -> Vec<String> {
    let unified = view::order(&order(sent.clone()));
    let mut lost = lost(sent, &unified, &unified["platform_specific"], ORDER);
    // Refunds are carried as their sum; those whose amount cannot be read are left.
    let amount = |refund: &Value| decimal(&refund["total"]).map(|amount| amount.abs());
    let refunds = sent["refunds"].as_array().cloned().unwrap_or_default();
    let sum: Decimal = refunds.iter().filter_map(amount).sum();
    let is_summed = unified["refunded_total"].as_str().is_some_and(|total| decimal(&json!(total)) == Some(sum));
    lost.retain(|pointer| {
        let is_amount = pointer.ends_with("/total")
            && sent.pointer(pointer).is_some_and(|total| total == "" || total.is_null() || decimal(total).is_some());
        !(is_summed && pointer.starts_with("/refunds") && (is_amount || pointer == "/refunds"))
    });
    lost
}

pub(super) fn lost_of_customer(sent: &Value) -> Vec<String> {
    let unified = view::customer(&customer(sent.clone()));
    lost(sent, &unified, &unified["platform_specific"], CUSTOMER)
}

pub(super) fn lost_of_product(sent: &Value, variations: &[Value]) -> Vec<String> {
    let unified = view::product(&product(sent.clone(), variations.to_vec()));
    let mut all = lost(sent, &unified, &unified["platform_specific"], PRODUCT);
    for (index, variation) in variations.iter().enumerate() {
        let rest = unified["platform_specific"].pointer(&format!("/variants/{index}")).unwrap_or(&Value::Null);
        all.extend(lost(variation, &unified["variants"][index], rest, VARIATION));
    }
    all
}

fn lost(sent: &Value, unified: &Value, rest: &Value, carried: Carried) -> Vec<String> {
    let mut leaves = vec![];
    walk(sent, String::new(), &mut leaves);
    let in_rest = |pointer: &str, leaf: &Value| rest.pointer(pointer) == Some(leaf);
    let in_unified = |pointer: &str, leaf: &Value| {
        candidates(pointer, carried).iter().any(|target| match find(unified, target) {
            found if found.is_empty() => is_nothing(leaf),
            found => found.iter().any(|value| says_the_same(leaf, value)),
        })
    };
    leaves.retain(|(pointer, leaf)| !in_rest(pointer, leaf) && !in_unified(pointer, leaf));
    leaves.into_iter().map(|(pointer, _)| pointer).collect()
}

/// Leaves with their pointers; an empty list or object is a leaf.
fn walk(value: &Value, pointer: String, leaves: &mut Vec<(String, Value)>) {
    let escape = |name: &str| name.replace('~', "~0").replace('/', "~1");
    match value {
        Value::Object(fields) if !fields.is_empty() => {
            fields.iter().for_each(|(name, value)| walk(value, format!("{pointer}/{}", escape(name)), leaves));
        }
        Value::Array(items) if !items.is_empty() => {
            items.iter().enumerate().for_each(|(index, value)| walk(value, format!("{pointer}/{index}"), leaves));
        }
        leaf => leaves.push((pointer, leaf.clone())),
    }
}

/// The unified pointers that may carry a field, with `#` where a list may have become shorter.
fn candidates(pointer: &str, carried: Carried) -> Vec<String> {
    let general: Vec<&str> =
        pointer.split('/').map(|part| if part.parse::<usize>().is_ok() { "#" } else { part }).collect();
    let general = general.join("/");
    let mut targets = vec![];
    for (from, to) in carried {
        if *from == general {
            targets.push((*to).to_owned());
        }
        if let Some(part) = general.strip_prefix(&format!("{from}/"))
            && matches!(*from, "/billing" | "/shipping")
            && let Some((_, part)) = ADDRESS.iter().find(|(name, _)| *name == part)
        {
            targets.push(format!("{to}/{part}"));
        }
    }
    targets
}

/// All values at a pointer whose `#` stands for any index.
fn find<'v>(value: &'v Value, pointer: &str) -> Vec<&'v Value> {
    let mut found = vec![value];
    for part in pointer.split('/').skip(1) {
        found = found
            .into_iter()
            .flat_map(|value| match (part, value) {
                ("#", Value::Array(items)) => items.iter().collect::<Vec<_>>(),
                (index, Value::Array(items)) => {
                    index.parse().ok().and_then(|index: usize| items.get(index)).into_iter().collect()
                }
                (name, value) => value.get(name).into_iter().collect(),
            })
            .collect();
    }
    found
}

fn is_nothing(leaf: &Value) -> bool {
    leaf.is_null() || leaf == "" || leaf == "0" || leaf == 0
}

fn says_the_same(sent: &Value, unified: &Value) -> bool {
    if unified.is_null() || unified == "" {
        return is_nothing(sent);
    }
    if let (Some(sent), Some(unified)) = (decimal(sent), decimal(unified)) {
        return sent == unified;
    }
    let (Some(sent), Some(unified)) = (sent.as_str(), unified.as_str()) else {
        return sent == unified;
    };
    let same_time = || {
        let unified = DateTime::parse_from_rfc3339(unified).ok()?.to_utc();
        let naive = NaiveDateTime::parse_from_str(sent, "%Y-%m-%dT%H:%M:%S%.f").map(|naive| naive.and_utc());
        Some(naive.or_else(|_| DateTime::parse_from_rfc3339(sent).map(|time| time.to_utc())).ok()? == unified)
    };
    let same_word = matches!((sent, unified), ("on-hold", "on_hold") | ("publish", "active") | ("trash", "archived"));
    sent == unified || convert::decode_entities(sent) == unified || same_word || same_time() == Some(true)
}

fn decimal(value: &Value) -> Option<Decimal> {
    let text = value.as_str().map(str::to_owned).or_else(|| value.is_number().then(|| value.to_string()))?;
    Decimal::from_str_exact(&text).or_else(|_| Decimal::from_scientific(&text)).ok()
}

#[test]
fn nothing_of_an_order_is_lost() {
    assert_eq!(lost_of_order(&order_fixture()), Vec::<String>::new());
}

#[test]
fn nothing_of_a_customer_is_lost() {
    assert_eq!(lost_of_customer(&customer_fixture()), Vec::<String>::new());
}

#[test]
fn nothing_of_a_product_and_its_variations_is_lost() {
    let [variable, simple] = product_fixtures().try_into().unwrap();
    assert_eq!(lost_of_product(&variable, &variation_fixtures()), Vec::<String>::new());
    assert_eq!(lost_of_product(&simple, &[]), Vec::<String>::new());
}

/// The walk itself can fail: a table that carries nothing finds everything lost that is not left over.
#[test]
fn a_field_that_is_carried_nowhere_is_found() {
    let sent = order_fixture();
    let unified = view::order(&order(sent.clone()));
    let lost = lost(&sent, &json!({}), &unified["platform_specific"], &[]);
    for pointer in ["/total", "/billing/city", "/line_items/1/name"] {
        assert!(lost.contains(&pointer.to_owned()), "{pointer} should be missed");
    }
}

/// Any JSON, since plugins change the types of fields.
fn any_json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i32>().prop_map(Value::from),
        (-1e6..1e6f64).prop_map(Value::from),
        "[a-z0-9&;# -]{0,12}".prop_map(Value::from),
        Just(json!("2026-07-03T08:15:30")),
        Just(json!("-12.345")),
        Just(json!("0")),
    ];
    leaf.prop_recursive(2, 8, 3, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..3).prop_map(Value::from),
            prop::collection::btree_map("[a-z_]{1,6}", inner, 0..3)
                .prop_map(|fields| Value::Object(fields.into_iter().collect())),
        ]
    })
}

/// Replaces the leaf, or what stands `up` levels above it.
fn plant(mut sent: Value, at: usize, up: usize, planted: Value) -> Value {
    let mut leaves = vec![];
    walk(&sent, String::new(), &mut leaves);
    let mut pointer = leaves[at % leaves.len()].0.as_str();
    for _ in 0..up {
        let above = pointer.rsplit_once('/').map_or("", |(above, _)| above);
        pointer = if above.is_empty() { pointer } else { above };
    }
    // Without its own id no record can be told from another; that is an error and not a loss.
    if pointer != "/id" {
        *sent.pointer_mut(pointer).unwrap() = planted;
    }
    sent
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn nothing_of_an_order_is_lost_whatever_a_plugin_puts_where(at in any::<usize>(), up in 0..3usize, planted in any_json()) {
        let sent = plant(order_fixture(), at, up, planted);
        prop_assert_eq!(lost_of_order(&sent), Vec::<String>::new(), "in {}", sent);
    }

    #[test]
    fn nothing_of_a_customer_is_lost_whatever_a_plugin_puts_where(at in any::<usize>(), up in 0..3usize, planted in any_json()) {
        let sent = plant(customer_fixture(), at, up, planted);
        prop_assert_eq!(lost_of_customer(&sent), Vec::<String>::new(), "in {}", sent);
    }

    #[test]
    fn nothing_of_a_product_is_lost_whatever_a_plugin_puts_where(which in 0..2usize, at in any::<usize>(), up in 0..3usize, planted in any_json()) {
        let sent = plant(product_fixtures().remove(which), at, up, planted);
        prop_assert_eq!(lost_of_product(&sent, &[]), Vec::<String>::new(), "in {}", sent);
    }

    #[test]
    fn nothing_of_a_variation_is_lost_whatever_a_plugin_puts_where(at in any::<usize>(), up in 0..3usize, planted in any_json()) {
        let [variable, _] = product_fixtures().try_into().unwrap();
        let variation = plant(variation_fixtures().remove(0), at, up, planted);
        prop_assert_eq!(lost_of_product(&variable, std::slice::from_ref(&variation)), Vec::<String>::new(), "in {}", variation);
    }
}
