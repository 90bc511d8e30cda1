//! Examples, from schemas. Nobody in them exists.

use serde_json::{Map, Value, json};

use super::schema::resolve;

#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum For {
    /// Only what must be sent, or anything when nothing must.
    Request,
    Answer,
}

const ID: &str = "0198c5a2-7f30-7c11-9d4e-3b1f5a6c7d8e";
/// Words of closed sets that things mostly are, before the first of the set.
const TYPICAL: [&str; 4] = ["connected", "completed", "paid", "fulfilled"];
const TIME: &str = "2026-03-14T09:26:53Z";

pub(super) fn pretty(document: &Value, schema: &Value, purpose: For) -> String {
    let value = of(document, schema, "", purpose, 0);
    serde_json::to_string_pretty(&value).unwrap_or_default()
}

/// The shell variable that stands for a parameter in an example.
pub(super) fn variable(name: &str, path: &str) -> String {
    let name = match (name, path) {
        ("store_id", _) => "STORE_ID".to_owned(),
        ("id", path) => {
            let of = path.split('/').rev().skip_while(|part| !part.starts_with('{')).nth(1).unwrap_or("record");
            format!("{}_ID", of.strip_suffix('s').unwrap_or(of).to_uppercase())
        }
        ("provider", _) => return "shopify".to_owned(),
        (other, _) => other.to_uppercase(),
    };
    format!("${name}")
}

fn of(document: &Value, schema: &Value, name: &str, purpose: For, depth: usize) -> Value {
    if let Some(example) = schema.get("example").or_else(|| schema.get("default")) {
        return example.clone();
    }
    if let Some(reference) = schema["$ref"].as_str() {
        return resolve(document, reference)
            .map_or(Value::Null, |(_, target)| of(document, target, name, purpose, depth));
    }
    for key in ["oneOf", "anyOf"] {
        if let Some(options) = schema[key].as_array() {
            let option = options.iter().find(|option| option["type"] != "null").unwrap_or(&Value::Null);
            return of(document, option, name, purpose, depth);
        }
    }
    if let Some(parts) = schema["allOf"].as_array() {
        let objects = parts.iter().filter_map(|part| match of(document, part, name, purpose, depth) {
            Value::Object(object) => Some(object),
            _ => None,
        });
        return Value::Object(objects.flatten().collect());
    }
    if let Some(words) = schema["enum"].as_array() {
        let is_typical = |word: &&Value| word.as_str().is_some_and(|word| TYPICAL.contains(&word));
        return words.iter().find(is_typical).or(words.first()).cloned().unwrap_or_default();
    }
    let kind = match &schema["type"] {
        Value::Array(kinds) => kinds.iter().filter_map(Value::as_str).find(|kind| *kind != "null").unwrap_or("null"),
        other => other.as_str().unwrap_or("null"),
    };
    match kind {
        "object" => object(document, schema, name, purpose, depth),
        "array" if depth > 4 => json!([]),
        "array" => json!([of(document, &schema["items"], name, purpose, depth + 1)]),
        "boolean" => Value::Bool(true),
        "integer" => integer(name, schema),
        "number" => json!(1.0),
        "string" => string(name, schema),
        _ => Value::Null,
    }
}

fn object(document: &Value, schema: &Value, name: &str, purpose: For, depth: usize) -> Value {
    let Some(properties) = schema["properties"].as_object() else {
        return match name {
            "config" => json!({ "shop_url": "https://shop.example" }),
            "credential" => json!({ "consumer_key": "ck_…", "consumer_secret": "cs_…" }),
            _ => json!({}),
        };
    };
    let required: Vec<&str> = schema["required"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
    let is_shown = |name: &str| purpose == For::Answer || required.is_empty() || required.contains(&name);
    let shown: Map<String, Value> = properties
        .iter()
        .filter(|(name, _)| is_shown(name))
        .map(|(name, property)| (name.clone(), of(document, property, name, purpose, depth + 1)))
        .collect();
    Value::Object(shown)
}

fn integer(name: &str, schema: &Value) -> Value {
    match name {
        "limit" => json!(25),
        "total" => json!(1042),
        "expires_in_days" => json!(90),
        "overlap_hours" => json!(24),
        "upstream_ms" | "duration_ms" => json!(412),
        _ => schema.get("minimum").filter(|least| **least != json!(0)).cloned().unwrap_or(json!(1)),
    }
}

fn string(name: &str, schema: &Value) -> Value {
    let text = match (schema["format"].as_str(), name) {
        (Some("uuid"), _) => ID,
        (Some("date-time"), _) => TIME,
        (Some("email"), _) | (_, "email") => "somebody@shop.example",
        (Some("password"), _) => "a long password",
        (_, "api_key") => "api_shopcall_…",
        (_, "prefix") => "api_shopcall_4fK2mQ9x",
        (_, "session_token" | "csrf_token" | "next_cursor") => "…",
        (_, "provider_key" | "platform") => "woocommerce",
        (_, "status") => schema["description"].as_str().and_then(first_code).unwrap_or("connected"),
        (_, "currency") => "EUR",
        (_, "total" | "subtotal" | "price" | "unit_price") => "49.90",
        (_, "discount" | "discount_total" | "refunded_total") => "0.00",
        (_, "tax" | "tax_total" | "shipping_total" | "total_spent" | "compare_at_price") => "10.61",
        (_, "url" | "shop_url" | "src") => "https://shop.example/",
        (_, "name" | "title" | "display_name") => "Coffee grinder",
        (_, "organization_name") => "Example Shops",
        (_, "sku") => "GRINDER-01",
        (_, "id" | "product_id" | "variant_id" | "customer_id") => "1042",
        (_, "number") => "#1042",
        (_, "phone") => "+36 1 555 0100",
        (_, "locale") => "en-GB",
        (_, "role") => "owner",
        (_, "actor") => "user:0198c5a2-…",
        _ => schema["description"].as_str().and_then(first_code).unwrap_or("…"),
    };
    Value::String(text.to_owned())
}

/// The first of the values that a description lists in code marks.
fn first_code(description: &str) -> Option<&str> {
    let code = description.split('`').nth(1)?;
    (!code.is_empty() && code.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_')).then_some(code)
}
