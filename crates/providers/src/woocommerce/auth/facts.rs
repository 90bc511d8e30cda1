//! What prices and weights mean in a shop. It is said on no product, and keys may be refused it.

use serde_json::Value;

use crate::woocommerce::api::Shop;

#[derive(Debug, PartialEq, Eq)]
pub(in crate::woocommerce) struct Facts {
    pub(in crate::woocommerce) currency: Option<String>,
    pub(in crate::woocommerce) price_decimals: Option<u32>,
    /// `kg`, `g`, `lb` or `oz`.
    pub(in crate::woocommerce) weight_unit: Option<String>,
    pub(in crate::woocommerce) version: Option<String>,
}

/// What of it can be read. A shop that keeps it to itself is connected all the same.
pub(super) async fn read(shop: &Shop<'_>) -> Facts {
    let status = fetch(shop, "system_status", &[("_fields", "environment,settings".to_owned())]).await;
    let weight = fetch(shop, "settings/products/woocommerce_weight_unit", &[]).await;
    let mut facts = facts(&status, &weight);
    if facts.currency.is_none() {
        facts.currency = text(&fetch(shop, "data/currencies/current", &[]).await, "/code");
    }
    facts
}

/// From `GET /system_status` and `GET /settings/products/woocommerce_weight_unit`.
pub(in crate::woocommerce) fn facts(status: &Value, weight: &Value) -> Facts {
    let decimals = status.pointer("/settings/number_of_decimals").and_then(Value::as_u64);
    Facts {
        currency: text(status, "/settings/currency"),
        price_decimals: decimals.and_then(|decimals| u32::try_from(decimals).ok()),
        weight_unit: weight.get("value").and_then(Value::as_str).and_then(weight_unit),
        version: text(status, "/environment/version"),
    }
}

fn text(value: &Value, pointer: &str) -> Option<String> {
    value.pointer(pointer).and_then(Value::as_str).filter(|text| !text.is_empty()).map(str::to_owned)
}

/// WooCommerce's four units, of which one is written otherwise.
fn weight_unit(word: &str) -> Option<String> {
    match word {
        "lbs" => Some("lb".to_owned()),
        "kg" | "g" | "oz" => Some(word.to_owned()),
        _ => None,
    }
}

async fn fetch(shop: &Shop<'_>, path: &str, params: &[(&'static str, String)]) -> Value {
    let refused = match shop.ask(path, params).await {
        Ok(Ok(reply)) => match reply.document() {
            Ok(document) => return document,
            Err(error) => error,
        },
        Ok(Err(refusal)) => refusal.into_error(),
        Err(error) => error,
    };
    tracing::debug!(path, reason = refused.kind(), "a shop keeps its settings to itself");
    Value::Null
}
