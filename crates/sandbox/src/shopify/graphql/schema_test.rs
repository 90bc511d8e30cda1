//! The simulated schema against the real one, where an introspection result of it is at hand.

use super::engine::SCHEMA;
use apollo_compiler::Node;
use apollo_compiler::ast::InputValueDefinition;
use apollo_compiler::schema::ExtendedType;
use serde_json::Value;
use std::collections::HashMap;

/// Type, field, argument or enum value to its type in SDL; empty where there is none.
type Facts = HashMap<String, String>;

fn real(introspection: &Value) -> Facts {
    fn ty(value: &Value) -> String {
        match value["kind"].as_str() {
            Some("NON_NULL") => format!("{}!", ty(&value["ofType"])),
            Some("LIST") => format!("[{}]", ty(&value["ofType"])),
            _ => value["name"].as_str().unwrap_or_default().to_owned(),
        }
    }
    let list = |value: &Value| value.as_array().cloned().unwrap_or_default();
    let mut facts = Facts::new();
    for of in list(&introspection["types"]) {
        let name = of["name"].as_str().unwrap();
        facts.insert(name.to_owned(), of["kind"].as_str().unwrap().to_owned());
        for field in list(&of["fields"]) {
            let path = format!("{name}.{}", field["name"].as_str().unwrap());
            for argument in list(&field["args"]) {
                facts.insert(format!("{path}({})", argument["name"].as_str().unwrap()), ty(&argument["type"]));
            }
            facts.insert(path, ty(&field["type"]));
        }
        for field in list(&of["inputFields"]) {
            facts.insert(format!("{name}.{}", field["name"].as_str().unwrap()), ty(&field["type"]));
        }
        for value in list(&of["enumValues"]) {
            facts.insert(format!("{name}.{}", value["name"].as_str().unwrap()), String::new());
        }
        for interface in list(&of["interfaces"]) {
            facts.insert(format!("{name} implements {}", interface["name"].as_str().unwrap()), String::new());
        }
    }
    facts
}

fn simulated() -> Facts {
    let mut facts = Facts::new();
    let argument = |path: &str, argument: &Node<InputValueDefinition>| {
        (format!("{path}({})", argument.name), argument.ty.to_string())
    };
    for (name, of) in SCHEMA.types.iter().filter(|(_, of)| !of.is_built_in()) {
        let kind = match of {
            ExtendedType::Scalar(_) => "SCALAR",
            ExtendedType::Object(_) => "OBJECT",
            ExtendedType::Interface(_) => "INTERFACE",
            ExtendedType::Union(_) => "UNION",
            ExtendedType::Enum(_) => "ENUM",
            ExtendedType::InputObject(_) => "INPUT_OBJECT",
        };
        facts.insert(name.to_string(), kind.to_owned());
        let (fields, interfaces) = match of {
            ExtendedType::Object(object) => (Some(&object.fields), Some(&object.implements_interfaces)),
            ExtendedType::Interface(interface) => (Some(&interface.fields), None),
            _ => (None, None),
        };
        for field in fields.into_iter().flat_map(|fields| fields.values()) {
            let path = format!("{name}.{}", field.name);
            facts.extend(field.arguments.iter().map(|given| argument(&path, given)));
            facts.insert(path, field.ty.to_string());
        }
        for interface in interfaces.into_iter().flatten() {
            facts.insert(format!("{name} implements {}", interface.name), String::new());
        }
        if let ExtendedType::Enum(of) = of {
            facts.extend(of.values.keys().map(|value| (format!("{name}.{value}"), String::new())));
        }
        if let ExtendedType::InputObject(of) = of {
            facts.extend(of.fields.values().map(|field| (format!("{name}.{}", field.name), field.ty.to_string())));
        }
    }
    facts
}

/// What `ours` says and `theirs` does not.
fn differences(ours: &Facts, theirs: &Facts) -> Vec<String> {
    let differs = |(path, ty): &(&String, &String)| theirs.get(*path) != Some(*ty);
    let tell = |(path, ty): (&String, &String)| format!("{path}: {ty}, really {:?}", theirs.get(path));
    ours.iter().filter(differs).map(tell).collect()
}

#[test]
fn a_difference_would_be_noticed() {
    let ours = simulated();
    assert!(ours.len() > 1000 && ours["Order.customer"] == "Customer" && ours["QueryRoot.orders(first)"] == "Int");
    let mut theirs = ours.clone();
    theirs.insert("Order.customer".to_owned(), "Customer!".to_owned());
    theirs.remove("Order.name");
    assert_eq!(differences(&ours, &theirs).len(), 2);
}

/// `ENTREPOT_SHOPIFY_SCHEMA`: path of `admin_2026-10.json.gz` of the npm package `@shopify/dev-mcp`, or of it unpacked.
#[test]
fn everything_simulated_exists_in_the_real_schema_with_the_same_type() {
    let Ok(path) = std::env::var("ENTREPOT_SHOPIFY_SCHEMA") else {
        println!("skipped: ENTREPOT_SHOPIFY_SCHEMA does not name an introspection result of the Admin API 2026-10");
        return;
    };
    let bytes = std::fs::read(&path).unwrap();
    let text = if bytes.starts_with(&[0x1f, 0x8b]) {
        let unpacked = std::process::Command::new("gzip").args(["-dc", &path]).output().unwrap();
        assert!(unpacked.status.success(), "gzip could not unpack {path}");
        unpacked.stdout
    } else {
        bytes
    };
    let parsed: Value = serde_json::from_slice(&text).unwrap();
    let schema = parsed.pointer("/data/__schema").or(parsed.get("__schema")).unwrap();
    let differences = differences(&simulated(), &real(schema));
    assert!(differences.is_empty(), "{differences:#?}");
}
