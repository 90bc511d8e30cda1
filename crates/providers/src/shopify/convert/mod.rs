//! Wire to canonical model: pure functions, one file per resource.
//!
//! `platform_specific` is what was asked for and sent and has no field of its own in the unified object, under Shopify's own
//! names. It is filled only when it was asked for.

mod customer;
mod order;
mod product;
pub(crate) mod wire;

pub(crate) use customer::customer;
pub(crate) use order::order;
#[cfg(test)]
pub(crate) use order::{fulfillment_status, payment_status, status};
pub(crate) use product::product;

use kernel::Personal;
use rust_decimal::Decimal;
use serde_json::{Map, Value};

use wire::MoneyBag;

fn amount(bag: Option<&MoneyBag>) -> Option<Decimal> {
    bag.map(|bag| bag.shop_money.amount.0)
}

/// Text that says something.
fn filled(text: Option<String>) -> Option<String> {
    text.filter(|text| !text.is_empty())
}

fn filled_personal(text: Option<Personal<String>>) -> Option<Personal<String>> {
    text.filter(|text| text.satisfies(|text| !text.is_empty()))
}

/// Puts a value under a name, unless there is none.
fn keep(into: &mut Map<String, Value>, name: &str, value: Option<impl Into<Value>>) {
    if let Some(value) = value {
        into.insert(name.to_owned(), value.into());
    }
}
