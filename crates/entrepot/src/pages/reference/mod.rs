//! `/docs`: the API reference, from the OpenAPI document.

mod example;
mod operation;
mod schema;

use serde_json::Value;
use utoipa::openapi::OpenApi;

use super::html::{escape, fill, inline_markdown, slug};
use operation::Operation;

/// What readers come for first; tags that are not named here follow by name.
const READING_ORDER: [&str; 6] = ["live data", "stores", "connections", "events", "api keys", "sessions"];

/// The content of the page. `origin` is where the examples call.
pub(super) fn render(document: &OpenApi, origin: &str) -> String {
    match serde_json::to_value(document) {
        Ok(document) => render_value(&document, origin),
        Err(error) => {
            tracing::error!(%error, "the OpenAPI document cannot be written");
            "<p>The reference cannot be shown; see <a href=\"/openapi.json\">openapi.json</a>.</p>".to_owned()
        }
    }
}

/// The same for a document as JSON.
pub(super) fn render_value(document: &Value, origin: &str) -> String {
    let operations = operation::all(document);
    let mut tags: Vec<&str> = operations.iter().map(|operation| operation.tag).collect();
    tags.sort_by_key(|tag| (READING_ORDER.iter().position(|known| known == tag).unwrap_or(READING_ORDER.len()), *tag));
    tags.dedup();
    let of = |tag: &str| operations.iter().filter(move |operation| operation.tag == tag).collect::<Vec<_>>();

    let navigation: String = tags.iter().map(|tag| navigation(tag, &of(tag))).collect();
    let groups: String = tags.iter().map(|tag| group(document, origin, tag, &of(tag))).collect();
    let schemas = schema::named(document);
    fill(
        include_str!("../templates/reference.html"),
        &[
            ("description", &inline_markdown(document["info"]["description"].as_str().unwrap_or_default())),
            ("version", &escape(document["info"]["version"].as_str().unwrap_or_default())),
            ("count", &operations.len().to_string()),
            ("origin", &escape(origin)),
            ("navigation", &navigation),
            ("groups", &groups),
            ("schemas", &schemas),
        ],
    )
}

fn navigation(tag: &str, operations: &[&Operation<'_>]) -> String {
    let entries: String = operations
        .iter()
        .map(|operation| {
            format!(
                "<li data-for=\"{anchor}\"><a href=\"#{anchor}\"><span class=\"method m-{method}\">{method}</span>{summary}</a></li>",
                anchor = operation.anchor,
                method = operation.method,
                summary = escape(&operation.summary),
            )
        })
        .collect();
    format!(
        "<div data-group=\"{0}\"><a class=\"nav-tag\" href=\"#tag-{0}\">{1}</a><ul>{entries}</ul></div>",
        slug(tag),
        title(tag)
    )
}

fn group(document: &Value, origin: &str, tag: &str, operations: &[&Operation<'_>]) -> String {
    let articles: String = operations.iter().map(|operation| operation.render(document, origin)).collect();
    format!(
        "<section class=\"tag\" data-group=\"{0}\"><h2 id=\"tag-{0}\">{1}</h2>{articles}</section>",
        slug(tag),
        title(tag)
    )
}

fn title(tag: &str) -> String {
    let tag = if tag == "api keys" { "API keys" } else { tag };
    let mut chars = tag.chars();
    let first: String = chars.next().into_iter().flat_map(char::to_uppercase).collect();
    escape(&format!("{first}{}", chars.as_str())).into_owned()
}
