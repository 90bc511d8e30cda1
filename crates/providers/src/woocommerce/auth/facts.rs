//! What prices and weights mean in a shop. It is said on no product, and keys may be refused it.

use serde_json::Value;

use crate::woocommerce::api::Shop;

#[derive(Default)]
pub(super) struct Facts {
    pub(super) currency: Option<String>,
    pub(super) price_decimals: Option<u32>,
    /// `kg`, `g`, `lb` or `oz`.
    pub(super) weight_unit: Option<String>,
    pub(super) version: Option<String>,
}

/// What of it can be read. A shop that keeps it to itself is connected all the same.
pub(super) async fn read(shop: &Shop<'_>) -> Facts {
    let status = fetch(shop, "system_status", &[("_fields", "environment,settings".to_owned())]).await;
    let text =
        |pointer| status.pointer(pointer).and_then(Value::as_str).filter(|text| !text.is_empty()).map(str::to_owned);
    let mut currency = text("/settings/currency");
    if currency.is_none() {
        let current = fetch(shop, "data/currencies/current", &[]).await;
        currency = current.get("code").and_then(Value::as_str).map(str::to_owned);
    }
    let decimals = status.pointer("/settings/number_of_decimals").and_then(Value::as_u64);
    let unit = fetch(shop, "settings/products/woocommerce_weight_unit", &[]).await;
    Facts {
        currency,
        price_decimals: decimals.and_then(|decimals| u32::try_from(decimals).ok()),
        weight_unit: unit.get("value").and_then(Value::as_str).and_then(weight_unit),
        version: text("/environment/version"),
    }
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
        Ok(Ok(reply)) => return reply.document,
        Ok(Err(refusal)) => refusal.into_error(),
        Err(error) => error,
    };
    tracing::debug!(path, reason = refused.kind(), "a shop keeps its settings to itself");
    Value::Null
}
