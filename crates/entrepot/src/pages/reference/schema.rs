//! Schemas as lists of fields.

use std::collections::BTreeSet;

use serde_json::{Map, Value};

use super::{
    super::html::{escape, inline_markdown},
    example::For,
};

const PREFIX: &str = "#/components/schemas/";

/// What a `$ref` means; None when it leads nowhere.
pub(in crate::pages) fn resolve<'a>(document: &'a Value, reference: &str) -> Option<(&'a str, &'a Value)> {
    let name = reference.strip_prefix(PREFIX)?;
    document["components"]["schemas"].as_object()?.get_key_value(name).map(|(name, schema)| (name.as_str(), schema))
}

/// Every schema of the document that others refer to, each with an anchor.
pub(super) fn named(document: &Value) -> String {
    let mut sent = BTreeSet::new();
    for operation in
        document["paths"].as_object().into_iter().flatten().flat_map(|(_, item)| item.as_object()).flatten()
    {
        reach(document, &operation.1["requestBody"], &mut sent);
    }
    let purpose = |name: &str| if sent.contains(name) { For::Request } else { For::Answer };
    let schemas = document["components"]["schemas"].as_object().into_iter().flatten();
    schemas
        .map(|(name, schema)| {
            format!(
                "<article class=\"schema\" id=\"{anchor}\"><h3><a class=\"anchor\" href=\"#{anchor}\">{name}</a></h3>{}{}</article>",
                schema["description"].as_str().map_or(String::new(), |text| format!("<p>{}</p>", inline_markdown(text))),
                fields(document, schema, purpose(name)),
                anchor = anchor(name),
                name = escape(name),
            )
        })
        .collect()
}

/// The names of the schemas that a part of the document leads to.
fn reach<'a>(document: &'a Value, part: &'a Value, found: &mut BTreeSet<&'a str>) {
    match part {
        Value::Object(object) => {
            let reference = object.get("$ref").and_then(Value::as_str);
            if let Some((name, target)) = reference.and_then(|reference| resolve(document, reference))
                && found.insert(name)
            {
                reach(document, target, found);
            }
            object.values().for_each(|value| reach(document, value, found));
        }
        Value::Array(values) => values.iter().for_each(|value| reach(document, value, found)),
        _ => {}
    }
}

fn anchor(name: &str) -> String {
    format!("schema-{}", escape(name))
}

/// A body: its fields, from the named schema where it is one, with a link to that.
pub(super) fn described(document: &Value, schema: &Value, purpose: For) -> String {
    match schema["$ref"].as_str().and_then(|reference| resolve(document, reference)) {
        Some((name, target)) => {
            format!(
                "<p class=\"named\"><a href=\"#{}\">{}</a></p>{}",
                anchor(name),
                escape(name),
                fields(document, target, purpose)
            )
        }
        None => fields(document, schema, purpose),
    }
}

/// The fields of an object, or one line about anything else.
fn fields(document: &Value, schema: &Value, purpose: For) -> String {
    let rows = rows(document, schema, purpose);
    if rows.is_empty() {
        return format!("<p class=\"type-line\">{}</p>", kind(document, schema));
    }
    format!("<dl class=\"fields\">{rows}</dl>")
}

fn rows(document: &Value, schema: &Value, purpose: For) -> String {
    if let Some((_, target)) = schema["$ref"].as_str().and_then(|reference| resolve(document, reference)) {
        return rows(document, target, purpose);
    }
    if let Some(parts) = schema["allOf"].as_array() {
        return parts.iter().map(|part| rows(document, part, purpose)).collect();
    }
    let required: Vec<&str> = schema["required"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
    let properties = schema["properties"].as_object().into_iter().flatten();
    let mut named: Vec<(&String, &Value)> = properties.collect();
    named.sort_by_key(|(name, _)| (!required.contains(&name.as_str()), *name != "id"));
    named
        .into_iter()
        .map(|(name, property)| {
            let description = description(property);
            // What an answer has is always there; the word would stand on every line.
            let is_required = purpose == For::Request && required.contains(&name.as_str());
            row(document, name, property, is_required, description, "")
        })
        .collect()
}

/// Where a field refers to a schema, its own description stands beside the reference.
fn description(property: &Value) -> &str {
    let beside = || options(property).iter().find_map(|option| option["description"].as_str());
    property["description"].as_str().or_else(beside).unwrap_or_default()
}

/// One field or parameter. `note` is HTML.
pub(super) fn row(
    document: &Value,
    name: &str,
    schema: &Value,
    is_required: bool,
    description: &str,
    note: &str,
) -> String {
    let required = if is_required { " <span class=\"required\">required</span>" } else { "" };
    format!(
        "<div><dt><code>{}</code> <span class=\"type\">{}</span>{}{required}{note}</dt><dd>{}{}</dd></div>",
        escape(name),
        kind(document, schema),
        limits(schema),
        inline_markdown(description),
        nested(document, schema),
    )
}

/// The fields of an object that has no name of its own, such as one row of a page.
fn nested(document: &Value, schema: &Value) -> String {
    let inner = if schema["type"] == "array" { &schema["items"] } else { schema };
    if inner["properties"].is_object() { fields(document, inner, For::Answer) } else { String::new() }
}

fn options(schema: &Value) -> &[Value] {
    ["oneOf", "anyOf"].iter().find_map(|key| schema[key].as_array()).map_or(&[], Vec::as_slice)
}

/// The type in words; named schemas are links.
fn kind(document: &Value, schema: &Value) -> String {
    if let Some(reference) = schema["$ref"].as_str() {
        return match resolve(document, reference) {
            // A few words say more than the name of their set.
            Some((_, target)) if target["enum"].as_array().is_some_and(|words| words.len() <= 8) => {
                kind(document, target)
            }
            Some((name, _)) => format!("<a href=\"#{}\">{}</a>", anchor(name), escape(name)),
            None => escape(reference).into_owned(),
        };
    }
    let options = options(schema);
    if !options.is_empty() {
        return options.iter().map(|option| kind(document, option)).collect::<Vec<_>>().join(" or ");
    }
    if let Some(values) = schema["enum"].as_array() {
        return values
            .iter()
            .map(|value| format!("<code>{}</code>", escape(&text(value))))
            .collect::<Vec<_>>()
            .join(", ");
    }
    if let Some(parts) = schema["allOf"].as_array() {
        return parts.iter().map(|part| kind(document, part)).collect::<Vec<_>>().join(" with ");
    }
    match &schema["type"] {
        Value::String(name) => simple(document, schema, name),
        Value::Array(names) => names
            .iter()
            .filter_map(Value::as_str)
            .map(|name| simple(document, schema, name))
            .collect::<Vec<_>>()
            .join(" or "),
        _ => "any".to_owned(),
    }
}

fn simple(document: &Value, schema: &Value, name: &str) -> String {
    match (name, schema["format"].as_str(), &schema["items"], &schema["additionalProperties"]) {
        ("array", _, items, _) => format!("list of {}", kind(document, items)),
        ("object", _, _, Value::Object(values)) if !values.is_empty() => {
            format!("map of {}", kind(document, &Value::Object(values.clone())))
        }
        ("string", Some(format), ..) => escape(format).into_owned(),
        (name, ..) => escape(name).into_owned(),
    }
}

/// Ranges and lengths, in words.
fn limits(schema: &Value) -> String {
    let Some(map) = schema.as_object() else { return String::new() };
    let mut parts = vec![];
    parts.extend(range(map, "minimum", "maximum", ""));
    parts.extend(range(map, "minLength", "maxLength", " characters"));
    parts.extend(range(map, "minItems", "maxItems", " entries"));
    if let Some(default) = map.get("default") {
        parts.push(format!("default <code>{}</code>", escape(&text(default))));
    }
    if parts.is_empty() { String::new() } else { format!(" <span class=\"limits\">{}</span>", parts.join(", ")) }
}

fn range(map: &Map<String, Value>, low: &str, high: &str, unit: &str) -> Option<String> {
    match (map.get(low).map(text), map.get(high).map(text)) {
        (Some(low), Some(high)) => Some(format!("{low} to {high}{unit}")),
        // That a number is not below zero is told by its meaning.
        (Some(low), None) if low == "0" => None,
        (Some(low), None) => Some(format!("at least {low}{unit}")),
        (None, Some(high)) => Some(format!("at most {high}{unit}")),
        (None, None) => None,
    }
}

fn text(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}
