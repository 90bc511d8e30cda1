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

/// Which operations ask for a proof that is not older than ten minutes, and of whom. A line less here is a decision.
const STEP_UPS: &[(&str, &str)] = &[
    ("DELETE /api/factors/passkeys/{id}", "always"),
    ("DELETE /api/factors/totp", "always"),
    ("DELETE /api/integrations/connections/{id}/", "second_factor"),
    ("DELETE /api/members/{id}", "second_factor"),
    ("DELETE /api/members/{id}/grants/{grant_id}", "second_factor"),
    ("DELETE /api/organizations/{id}", "always"),
    ("PATCH /api/members/{id}", "second_factor"),
    ("POST /api-key-management/clear", "second_factor"),
    ("POST /api-key-management/create", "second_factor"),
    ("POST /api-key-management/rotate", "second_factor"),
    ("POST /api/factors/passkeys/start", "always"),
    ("POST /api/factors/recovery-codes", "always"),
    ("POST /api/factors/totp", "always"),
    ("POST /api/identities", "always"),
    ("POST /api/integrations/connections/", "second_factor"),
    ("POST /api/integrations/connections/{id}/credential/", "second_factor"),
    ("POST /api/integrations/connections/{id}/disconnect/", "second_factor"),
    ("POST /api/integrations/connections/{id}/reauthorize/", "second_factor"),
    ("POST /api/integrations/connections/{id}/revoke/", "second_factor"),
    ("POST /api/invitations", "second_factor"),
    ("POST /api/invitations/{id}/resend", "second_factor"),
    ("POST /api/members/{id}/grants", "second_factor"),
    ("POST /api/oauth/{provider}/start", "second_factor"),
    ("PUT /api/me/password", "always"),
    ("PUT /api/organizations/{id}/second-factor", "always"),
];

#[test]
fn the_operations_that_ask_for_a_proof_are_those_that_are_listed() {
    let document = document();
    let mut asked: Vec<(String, String)> = vec![];
    for (path, item) in document["paths"].as_object().unwrap() {
        for (method, operation) in item.as_object().unwrap() {
            let Some(step_up) = operation["responses"]["403"]["x-step-up"].as_str() else { continue };
            asked.push((format!("{} {path}", method.to_uppercase()), step_up.to_owned()));
            assert_ne!(operation["x-permission"], "public", "{path}: of whom nothing is known nothing can be proved");
        }
    }
    asked.sort();
    let listed: Vec<(String, String)> =
        STEP_UPS.iter().map(|(name, step_up)| ((*name).to_owned(), (*step_up).to_owned())).collect();
    assert_eq!(asked, listed);
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

/// The named schemas that a part of the document leads to.
fn reached(document: &Value, part: &Value, found: &mut BTreeSet<String>) {
    let mut names = vec![];
    walk(part, &mut |value| {
        names.extend(value["$ref"].as_str().and_then(|name| name.rsplit('/').next()).map(str::to_owned))
    });
    for name in names {
        if found.insert(name.clone()) {
            reached(document, &document["components"]["schemas"][&name], found);
        }
    }
}

/// What requests and what answers lead to.
fn sides(document: &Value) -> [BTreeSet<String>; 2] {
    let mut sides = [BTreeSet::new(), BTreeSet::new()];
    for operation in document["paths"].as_object().unwrap().values().flat_map(|item| item.as_object().unwrap().values())
    {
        reached(document, &operation["requestBody"], &mut sides[0]);
        reached(document, &operation["responses"], &mut sides[1]);
    }
    sides
}

#[test]
fn every_field_of_an_answer_is_there() {
    let document = document();
    let [asked, answered] = sides(&document);
    assert!(answered.len() > 40, "only {answered:?}");
    for name in &answered {
        walk(&document["components"]["schemas"][name], &mut |schema| {
            for field in schema["properties"].as_object().into_iter().flat_map(|properties| properties.keys()) {
                let is_required =
                    schema["required"].as_array().is_some_and(|names| names.iter().any(|name| name == field));
                assert!(is_required, "{name} may leave out {field}");
            }
        });
    }
    // What is asked with and answered in the same form has nothing that may be left out.
    let both: Vec<&str> = asked.intersection(&answered).map(String::as_str).collect();
    assert_eq!(
        both,
        [
            "CommissionType",
            "DataAccess",
            "GrantEffect",
            "KeyPermissions",
            "MemberRole",
            "PermissionAction",
            "PermissionResource",
            "SecondFactorRequirement",
            "TeamMemberType"
        ],
        "look whether these can be left out of a request, then add them"
    );
}

#[test]
fn records_of_a_page_have_a_name() {
    let document = document();
    for (name, schema) in document["components"]["schemas"].as_object().unwrap() {
        if name.starts_with("Page_") || name.starts_with("LivePage_") {
            assert!(schema["properties"]["data"]["items"]["$ref"].is_string(), "{name} describes its records again");
        }
    }
}

/// The filters of a list's query string; of a provider, those that it can apply.
#[test]
fn lists_name_the_filters_of_their_resource_and_no_others() {
    let document = document();
    let named = |resource: &str| -> BTreeSet<String> {
        let parameters =
            document["paths"][format!("/webshop-data-api/{resource}")]["get"]["parameters"].as_array().unwrap();
        parameters.iter().map(|parameter| parameter["name"].as_str().unwrap().to_owned()).collect()
    };
    let mut used: BTreeSet<(&str, &str)> = BTreeSet::new();
    for provider in entrepot::assembly::PROVIDERS.iter() {
        let filters = [
            ("customers", provider.customers().map(|read| read.filters())),
            ("orders", provider.orders().map(|read| read.filters())),
            ("products", provider.products().map(|read| read.filters())),
        ];
        for (resource, filters) in filters {
            for filter in filters.unwrap_or_default() {
                used.insert((resource, filter.as_str()));
                let key = provider.manifest().key;
                assert!(
                    named(resource).contains(filter.as_str()),
                    "{key} filters {resource} by {filter:?}, undocumented"
                );
            }
        }
    }
    // Orders by phone: no shop can yet, and the caller is told so.
    let unused: Vec<(&str, String)> = ["customers", "orders", "products"]
        .into_iter()
        .flat_map(|resource| named(resource).into_iter().map(move |name| (resource, name)))
        .filter(|(_, name)| !["store_id", "page", "limit", "cursor", "fields"].contains(&name.as_str()))
        .filter(|(resource, name)| !used.contains(&(*resource, name.as_str())))
        .collect();
    assert_eq!(unused, [("orders", "phone".to_owned())]);
}
