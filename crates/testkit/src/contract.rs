//! Holds every JSON answer that a test gets to the OpenAPI document: its fields are there, no others are, and words are of
//! their sets.

use std::sync::LazyLock;

use http::{Method, header};
use serde_json::Value;

use crate::Answer;

static DOCUMENT: LazyLock<Value> =
    LazyLock::new(|| serde_json::to_value(entrepot::assembly::openapi()).expect("the document is JSON"));

/// Looks at an answer. `is_partial`: the request named the fields that it wants, so records have no others.
///
/// # Panics
/// When the answer is not what the document says of this operation and status.
pub(crate) fn hold(method: &Method, target: &str, answer: &Answer, is_partial: bool) {
    // Where a browser is sent to and fro, people get pages.
    if answer.header(header::CONTENT_TYPE.as_str()).starts_with("text/html") {
        return;
    }
    let (status, path) = (answer.status, target.split('?').next().unwrap_or_default());
    let Some(operation) = operation(method, path) else { return };
    let content = &operation["responses"][status.as_str()]["content"];
    let kind = if status.as_u16() < 400 { "application/json" } else { "application/problem+json" };
    let schema = &content[kind]["schema"];
    if schema.is_null() {
        return;
    }
    let Ok(value) = serde_json::from_slice(&answer.body) else {
        panic!("{method} {path} answered {status} without JSON")
    };
    if let Err(wrong) = validate(&value, schema, is_partial) {
        panic!("{method} {path} answered {status}, which is not as the document says: {wrong}");
    }
}

/// Holds a record that did not come as an answer of its own to a schema of the document.
///
/// # Panics
/// When it is not as the document says.
pub(crate) fn hold_record(value: &Value, schema: &str) {
    let schema = serde_json::json!({ "$ref": format!("#/components/schemas/{schema}") });
    if let Err(wrong) = validate(value, &schema, false) {
        panic!("{value} is not as the document says: {wrong}");
    }
}

fn operation(method: &Method, path: &str) -> Option<&'static Value> {
    let path = path.strip_prefix("/functions/v1").unwrap_or(path);
    let asked: Vec<&str> = path.trim_end_matches('/').split('/').collect();
    let is_of = |template: &str| {
        let parts: Vec<&str> = template.trim_end_matches('/').split('/').collect();
        parts.len() == asked.len()
            && parts.iter().zip(&asked).all(|(part, asked)| part.starts_with('{') || part == asked)
    };
    // A word is nearer than a place for one: `/orders/search` is not an order.
    let paths = DOCUMENT["paths"].as_object()?.iter().filter(|(template, _)| is_of(template));
    let (_, item) = paths.min_by_key(|(template, _)| template.matches('{').count())?;
    item.get(method.as_str().to_lowercase())
}

/// What is wrong, with its place.
fn validate(value: &Value, schema: &Value, is_partial: bool) -> Result<(), String> {
    if let Some(reference) = schema["$ref"].as_str() {
        let target = reference.strip_prefix('#').and_then(|pointer| DOCUMENT.pointer(pointer));
        let target = target.ok_or_else(|| format!("{reference} leads nowhere"))?;
        let is_record = reference.contains("/Unified");
        return members(value, target, is_partial && is_record, reference.ends_with("/Problem"), is_partial);
    }
    members(value, schema, false, false, is_partial)
}

/// `may_lack`: required fields may be absent. `may_have`: so may fields be there that are not described.
fn members(value: &Value, schema: &Value, may_lack: bool, may_have: bool, is_partial: bool) -> Result<(), String> {
    for key in ["oneOf", "anyOf"] {
        if let Some(options) = schema[key].as_array() {
            let wrong: Vec<String> =
                options.iter().filter_map(|option| validate(value, option, is_partial).err()).collect();
            return if wrong.len() < options.len() { Ok(()) } else { Err(wrong.join("; or ")) };
        }
    }
    if let Some(parts) = schema["allOf"].as_array() {
        return parts.iter().try_for_each(|part| {
            let part = part["$ref"].as_str().and_then(|name| DOCUMENT.pointer(name.strip_prefix('#')?)).unwrap_or(part);
            members(value, part, may_lack, true, is_partial)
        });
    }
    if let Some(words) = schema["enum"].as_array()
        && !words.contains(value)
    {
        return Err(format!("{value} is none of {words:?}"));
    }
    let kinds: Vec<&str> = match &schema["type"] {
        Value::String(kind) => vec![kind],
        Value::Array(kinds) => kinds.iter().filter_map(Value::as_str).collect(),
        _ => vec![],
    };
    if !kinds.is_empty() && !kinds.iter().any(|kind| is_a(value, kind)) {
        return Err(format!("{value} is no {}", kinds.join(" or ")));
    }
    match value {
        Value::Array(items) => items.iter().enumerate().try_for_each(|(index, item)| {
            validate(item, &schema["items"], is_partial).map_err(|wrong| format!("[{index}] {wrong}"))
        }),
        Value::Object(fields) => {
            let Some(described) = schema["properties"].as_object() else { return Ok(()) };
            let required = schema["required"].as_array().into_iter().flatten().filter_map(Value::as_str);
            if let Some(missing) = required.into_iter().find(|name| !may_lack && !fields.contains_key(*name)) {
                return Err(format!("{missing} is missing"));
            }
            fields.iter().try_for_each(|(name, value)| match described.get(name) {
                Some(schema) => validate(value, schema, is_partial).map_err(|wrong| format!(".{name} {wrong}")),
                None if may_have => Ok(()),
                None => Err(format!("{name} is not described")),
            })
        }
        _ => Ok(()),
    }
}

fn is_a(value: &Value, kind: &str) -> bool {
    match kind {
        "null" => value.is_null(),
        "boolean" => value.is_boolean(),
        "integer" => value.is_i64() || value.is_u64(),
        "number" => value.is_number(),
        "string" => value.is_string(),
        "array" => value.is_array(),
        "object" => value.is_object(),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn problem(change: impl FnOnce(&mut Value)) -> Result<(), String> {
        let schema = json!({ "$ref": "#/components/schemas/Problem" });
        let mut problem = json!({
            "type": "/docs/errors/forbidden", "code": "forbidden", "title": "You may not do this", "status": 403,
            "detail": "…", "request_id": null, "errors": [], "permission": "orders:read",
        });
        change(&mut problem);
        validate(&problem, &schema, false)
    }

    #[test]
    fn what_is_not_as_described_is_found() {
        assert_eq!(problem(|_| ()), Ok(()));
        assert_eq!(
            problem(|problem| drop(problem.as_object_mut().unwrap().remove("errors"))),
            Err("errors is missing".into())
        );
        assert!(
            problem(|problem| problem["code"] = json!("other")).unwrap_err().starts_with(".code \"other\" is none of")
        );
        assert_eq!(problem(|problem| problem["status"] = json!("403")), Err(".status \"403\" is no integer".into()));
        assert_eq!(
            problem(|problem| problem["errors"] = json!([{ "pointer": "/a", "detail": "b", "c": 1 }])),
            Err(".errors [0] c is not described".into())
        );
    }

    #[test]
    fn a_search_is_not_taken_for_a_record() {
        let search = operation(&Method::POST, "/webshop-data-api/orders/search/").unwrap();
        assert!(search["requestBody"].is_object());
        let one = operation(&Method::GET, "/functions/v1/webshop-data-api/orders/1042").unwrap();
        assert!(one["responses"]["200"].is_object());
        assert!(operation(&Method::GET, "/healthz").is_none());
    }
}
