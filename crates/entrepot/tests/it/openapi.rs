//! `openapi.json` is the program's own document, checked in so that a change of the API is seen in review.

use std::{collections::BTreeSet, fs, path::Path};

use serde_json::Value;

fn checked_in() -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../openapi.json")
}

#[test]
fn the_checked_in_document_is_the_programs_own() {
    let own = entrepot::assembly::openapi().to_pretty_json().unwrap();
    let stored = fs::read_to_string(checked_in()).unwrap_or_default();
    assert!(
        own.trim() == stored.trim(),
        "openapi.json is not what the code says; write it anew: cargo run -q -p entrepot -- openapi > openapi.json"
    );
}

fn document() -> Value {
    serde_json::to_value(entrepot::assembly::openapi()).unwrap()
}

fn walk(value: &Value, look: &mut impl FnMut(&Value)) {
    look(value);
    match value {
        Value::Array(items) => items.iter().for_each(|item| walk(item, look)),
        Value::Object(fields) => fields.values().for_each(|field| walk(field, look)),
        _ => {}
    }
}

#[test]
fn every_reference_leads_somewhere_and_every_answer_is_described() {
    let document = document();
    assert_eq!(document["openapi"], "3.1.0");
    walk(&document, &mut |value| {
        if let Some(reference) = value["$ref"].as_str() {
            let pointer = reference.strip_prefix('#').unwrap();
            assert!(document.pointer(pointer).is_some(), "{reference} leads nowhere");
        }
    });
    for (path, item) in document["paths"].as_object().unwrap() {
        for (method, operation) in item.as_object().unwrap() {
            let place = format!("{method} {path}");
            assert!(operation["summary"].as_str().is_some_and(|summary| !summary.is_empty()), "{place} has no summary");
            assert!(operation["x-permission"].is_string(), "{place} says not who may call it");
            let answers = operation["responses"].as_object().unwrap();
            assert!(answers.keys().any(|status| status.starts_with(['2', '3'])), "{place} cannot succeed");
            for (status, answer) in answers {
                let description = answer["description"].as_str().unwrap_or_default();
                assert!(!description.is_empty(), "{place} does not describe {status}");
                if status.as_str() >= "400" {
                    let schema = &answer["content"]["application/problem+json"]["schema"]["$ref"];
                    assert_eq!(schema, "#/components/schemas/Problem", "{place}: {status}");
                }
                if matches!(status.as_str(), "429" | "503") {
                    assert!(
                        answer["headers"]["Retry-After"].is_object(),
                        "{place}: {status} says not when to come back"
                    );
                }
            }
        }
    }
}

#[test]
fn a_problem_names_its_code_beside_its_type() {
    let problem = document()["components"]["schemas"]["Problem"].clone();
    for member in ["type", "code", "title", "status", "detail"] {
        assert!(problem["required"].as_array().unwrap().iter().any(|name| name == member), "{member}");
    }
}

#[test]
fn every_operation_has_a_name_of_its_own() {
    let document = document();
    let mut names = BTreeSet::new();
    for (path, item) in document["paths"].as_object().unwrap() {
        for (method, operation) in item.as_object().unwrap() {
            let name = operation["operationId"].as_str().unwrap_or_default().to_owned();
            assert!(!name.is_empty() && names.insert(name.clone()), "{method} {path}: the name {name:?} is taken");
        }
    }
}
