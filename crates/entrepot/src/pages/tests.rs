use std::collections::{BTreeMap, BTreeSet};

use axum::{
    extract::Path,
    http::{HeaderMap, StatusCode, header},
};
use kit::Code;
use serde_json::{Value, json};

use super::{CONTENT_SECURITY_POLICY, Shell, assets, errors, home, html, reference};
use crate::assembly;

const ORIGIN: &str = "https://hub.example";

fn document() -> Value {
    serde_json::to_value(assembly::openapi()).unwrap()
}

fn reference_page() -> String {
    shell("docs", &reference::render(&assembly::openapi(), ORIGIN))
}

fn shell(section: &str, content: &str) -> String {
    Shell { title: "Test", section, script: Some("reference.js") }.wrap(content)
}

/// Every page that is served, by its path.
fn pages() -> BTreeMap<String, String> {
    let mut pages = BTreeMap::from([
        ("/".to_owned(), shell("home", &home::render(false, true, ORIGIN).0)),
        ("/ (signed in)".to_owned(), shell("home", &home::render(true, false, ORIGIN).0)),
        ("/account".to_owned(), shell("account", include_str!("templates/account.html"))),
        ("/link".to_owned(), shell("link", include_str!("templates/link.html"))),
        ("/docs".to_owned(), reference_page()),
        ("/docs/errors".to_owned(), shell("errors", &errors::render_index())),
    ]);
    for code in Code::ALL {
        pages.insert(format!("/docs/errors/{}", code.as_str()), shell("errors", &errors::render(*code)));
    }
    pages
}

/// The values of an attribute, in a page that writes them all in double quotes.
fn attributes<'a>(page: &'a str, name: &str) -> Vec<&'a str> {
    let start = format!(" {name}=\"");
    page.split(&start).skip(1).filter_map(|rest| rest.split('"').next()).collect()
}

#[test]
fn every_operation_of_the_document_is_shown_once_with_its_permission_and_a_line_to_paste() {
    let (page, document) = (reference_page(), document());
    let mut count = 0;
    for (path, item) in document["paths"].as_object().unwrap() {
        for (method, operation) in item.as_object().unwrap() {
            count += 1;
            let anchor = format!(" id=\"{method}-{}\"", html::slug(path));
            let articles: Vec<&str> =
                page.split("<article class=\"operation\"").filter(|text| text.starts_with(&anchor)).collect();
            assert_eq!(articles.len(), 1, "{method} {path}");
            let article = articles[0].split("</article>").next().unwrap();
            assert!(article.contains("curl -s"), "{method} {path} has no line to paste");
            let permission = operation["x-permission"].as_str().unwrap();
            if permission.contains(':') {
                assert!(
                    article.contains(&format!("<code class=\"permission\">{permission}</code>")),
                    "{method} {path}"
                );
            }
            for parameter in operation["parameters"].as_array().into_iter().flatten() {
                let name = parameter["name"].as_str().unwrap();
                assert!(article.contains(&format!("<dt><code>{name}</code>")), "{method} {path}: {name}");
            }
            for status in operation["responses"].as_object().unwrap().keys() {
                assert!(article.contains(&format!("\">{status}</span>")), "{method} {path}: {status}");
            }
        }
    }
    assert!(count > 20, "only {count} operations");
}

#[test]
fn every_reference_of_the_document_resolves_to_a_schema_that_is_shown() {
    fn references<'a>(value: &'a Value, found: &mut BTreeSet<&'a str>) {
        match value {
            Value::Object(object) => {
                found.extend(object.get("$ref").and_then(Value::as_str));
                object.values().for_each(|value| references(value, found));
            }
            Value::Array(values) => values.iter().for_each(|value| references(value, found)),
            _ => {}
        }
    }
    let (page, document) = (reference_page(), document());
    let mut found = BTreeSet::new();
    references(&document, &mut found);
    assert!(found.len() > 10, "only {} references", found.len());
    for reference in found {
        let name = reference.strip_prefix("#/components/schemas/").unwrap();
        assert!(document["components"]["schemas"].get(name).is_some(), "{reference} leads nowhere");
        assert!(page.contains(&format!("id=\"schema-{name}\"")), "{reference} is not shown");
    }
}

#[test]
fn links_within_the_pages_lead_somewhere_and_ids_are_unique() {
    let pages = pages();
    let elsewhere = ["/openapi.json"];
    for (path, page) in &pages {
        let ids = attributes(page, "id");
        let unique: BTreeSet<&str> = ids.iter().copied().collect();
        assert_eq!(unique.len(), ids.len(), "{path} has an id twice");
        for link in attributes(page, "href").into_iter().chain(attributes(page, "src")) {
            if let Some(anchor) = link.strip_prefix('#') {
                assert!(unique.contains(anchor), "{path}: #{anchor} leads nowhere");
            } else if let Some(asset) = link.strip_prefix("/assets/") {
                assert!(assets::ALL.iter().any(|(name, ..)| *name == asset), "{path}: {link} leads nowhere");
            } else {
                assert!(pages.contains_key(link) || elsewhere.contains(&link), "{path}: {link} leads nowhere");
            }
        }
    }
}

#[test]
fn text_of_the_document_is_escaped() {
    let hostile = "<script>alert('&')</script>";
    let document = json!({
        "info": { "title": "t", "version": hostile, "description": hostile },
        "paths": { format!("/x/{hostile}"): { "get": {
            "tags": [hostile], "summary": hostile, "description": hostile, "operationId": "x", "x-permission": hostile,
            "parameters": [{ "name": hostile, "in": "query", "required": true, "description": hostile,
                "schema": { "type": hostile, "format": hostile, "enum": [hostile], "default": hostile } }],
            "requestBody": { "content": { "application/json": { "schema": { "$ref": format!("#/components/schemas/{hostile}") } } } },
            "responses": { "200": { "description": hostile, "content": { "application/json": { "schema": { "type": "array",
                "items": { "type": "string", "example": hostile } } } } } },
        } } },
        "components": { "schemas": { hostile: { "type": "object", "description": hostile,
            "properties": { hostile: { "type": hostile, "description": hostile } } } } },
    });
    let page = reference::render_value(&document, ORIGIN);
    assert!(!page.contains("<script"), "{page}");
    assert!(!page.contains("('&')"), "{page}");
    assert!(page.contains("&lt;script&gt;"));
}

#[test]
fn html_in_markdown_is_shown_as_text() {
    assert_eq!(html::inline_markdown("a `<b>` <i>c</i> & d"), "a <code>&lt;b&gt;</code> &lt;i&gt;c&lt;/i&gt; &amp; d");
    assert!(!html::markdown("<script>\nx\n</script>\n\ntext").contains("<script"));
}

#[test]
fn a_value_that_looks_like_a_place_of_a_template_stays_as_it_is() {
    assert_eq!(html::fill("{{a}}-{{b}}-{{c}}", &[("a", "{{b}}"), ("b", "1")]), "{{b}}-1-");
}

#[test]
fn pages_run_and_style_nothing_inline_and_load_nothing_from_elsewhere() {
    for forbidden in ["unsafe-inline", "unsafe-eval", "*", "data:", "http"] {
        assert!(!CONTENT_SECURITY_POLICY.contains(forbidden), "{forbidden}");
    }
    for (path, page) in pages() {
        let handlers = page.split('<').filter(|tag| tag.split('>').next().is_some_and(|tag| tag.contains(" on")));
        // Words in text may begin with "on"; attributes that do would hold code.
        let handlers = handlers
            .filter(|tag| tag.split_whitespace().skip(1).any(|word| word.starts_with("on") && word.contains("=\"")));
        assert_eq!(handlers.count(), 0, "{path} has an inline handler");
        assert!(!page.contains("<style") && !page.contains(" style=\""), "{path} has inline style");
        assert!(!page.contains("<script>") && page.matches("<script ").count() == 1, "{path} has an inline script");
        for source in attributes(&page, "src") {
            assert!(source.starts_with("/assets/"), "{path} loads {source}");
        }
    }
    for (name, kind, content) in assets::ALL {
        let forbidden: &[&str] =
            if kind.starts_with("text/css") { &["@import", "url("] } else { &["innerHTML", "outerHTML", "eval("] };
        for what in forbidden {
            assert!(!content.contains(what), "{name} uses {what}");
        }
    }
}

#[test]
fn modules_and_templates_that_scripts_name_are_there() {
    let templates = home::render(true, false, ORIGIN).0 + include_str!("templates/account.html");
    for (name, _, content) in assets::ALL.iter().filter(|(name, ..)| name.ends_with(".js")) {
        for import in content.split("from './").skip(1).filter_map(|rest| rest.split('\'').next()) {
            assert!(assets::ALL.iter().any(|(known, ..)| *known == import), "{name} imports {import}");
        }
        for template in content.split("copyOf('").skip(1).filter_map(|rest| rest.split('\'').next()) {
            assert!(templates.contains(&format!("<template id=\"{template}\">")), "{name} copies {template}");
        }
    }
}

#[test]
fn every_error_has_its_page_and_every_page_its_error() {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/errors");
    let files: BTreeSet<String> = std::fs::read_dir(folder)
        .unwrap()
        .filter_map(|file| Some(file.unwrap().file_name().to_str()?.strip_suffix(".md")?.to_owned()))
        .collect();
    let codes: BTreeSet<String> = Code::ALL.iter().map(|code| code.as_str().to_owned()).collect();
    assert_eq!(files, codes);
}

#[test]
fn every_error_page_is_about_its_error_and_says_whose_side_it_is_on() {
    for code in Code::ALL {
        let (name, text) = (code.as_str(), errors::text(*code));
        assert!(text.starts_with(&format!("# {}\n", code.title())), "{name} begins with another title");
        let sections: Vec<&str> = text.lines().filter_map(|line| line.strip_prefix("## ")).collect();
        assert_eq!(sections, ["What happened", "Whose side", "What to do", "Example"], "{name}");
        assert!(errors::SIDES.iter().any(|(side, _)| *side == errors::side(*code)), "{name} does not say whose side");
        let lines = text.lines().count();
        assert!((10..=35).contains(&lines), "{name} has {lines} lines");
        let example = text.split("```json\n").nth(1).and_then(|rest| rest.split("```").next()).unwrap();
        let example: Value = serde_json::from_str(example).unwrap();
        assert_eq!(example["type"], format!("/docs/errors/{name}"), "{name}");
        assert_eq!(example["code"], name);
        assert!(
            example["request_id"].is_string() && example["errors"].is_array(),
            "{name} leaves out what is always there"
        );
        assert_eq!(example["title"], code.title(), "{name}");
        assert_eq!(example["status"], code.status().as_u16(), "{name}");
    }
}

#[test]
fn the_index_of_errors_names_every_error_once() {
    let index = errors::render_index();
    for code in Code::ALL {
        assert_eq!(index.matches(&format!("href=\"/docs/errors/{}\"", code.as_str())).count(), 1, "{}", code.as_str());
    }
}

#[tokio::test]
async fn pages_carry_the_policy_and_unknown_ones_are_problems() {
    let page = errors::one(Path("not_found".to_owned())).await;
    assert_eq!(page.status(), StatusCode::OK);
    assert_eq!(page.headers()[header::CONTENT_SECURITY_POLICY], CONTENT_SECURITY_POLICY);
    let unknown = errors::one(Path("no_such_error".to_owned())).await;
    assert_eq!(unknown.status(), StatusCode::NOT_FOUND);
    assert_eq!(unknown.headers()[header::CONTENT_TYPE], "application/problem+json");
    assert_eq!(assets::serve(Path("../mod.rs".to_owned()), HeaderMap::new()).await.status(), StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn an_asset_is_not_sent_again_to_a_browser_that_has_it() {
    for (name, kind, _) in assets::ALL {
        let first = assets::serve(Path((*name).to_owned()), HeaderMap::new()).await;
        assert_eq!(first.status(), StatusCode::OK);
        assert_eq!(first.headers()[header::CONTENT_TYPE], *kind);
        let known = HeaderMap::from_iter([(header::IF_NONE_MATCH, first.headers()[header::ETAG].clone())]);
        assert_eq!(assets::serve(Path((*name).to_owned()), known).await.status(), StatusCode::NOT_MODIFIED, "{name}");
        let other = HeaderMap::from_iter([(header::IF_NONE_MATCH, "W/\"0\"".parse().unwrap())]);
        assert_eq!(assets::serve(Path((*name).to_owned()), other).await.status(), StatusCode::OK, "{name}");
    }
}
