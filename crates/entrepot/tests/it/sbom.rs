//! The list of what the program consists of (SUP-1), as `script/sbom` writes it.

use std::{
    collections::{BTreeMap, BTreeSet},
    process::Command,
};

use serde_json::Value;

use crate::repository::root;

fn text<'a>(value: &'a Value, name: &str) -> &'a str {
    value[name].as_str().unwrap_or_else(|| panic!("no {name} in {value}"))
}

#[test]
fn the_bill_of_materials_has_what_is_linked_with_licence_and_hash_and_nothing_else() {
    let written = || Command::new(root().join("script/sbom")).output();
    let output = match written() {
        Ok(output) => output,
        Err(error) => {
            println!("skipped: script/sbom needs Python: {error}");
            return;
        }
    };
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    assert!(output.stdout == written().unwrap().stdout, "the same commit gives the same text");
    let bill: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!((text(&bill, "bomFormat"), text(&bill, "specVersion")), ("CycloneDX", "1.6"));
    assert!(text(&bill, "serialNumber").starts_with("urn:uuid:"));
    assert_eq!(text(&bill["metadata"]["component"], "name"), "entrepot");

    let lock = std::fs::read_to_string(root().join("Cargo.lock")).unwrap();
    let mut locked = BTreeMap::new();
    for package in lock.split("[[package]]").skip(1) {
        let of = |name: &str| {
            let line = package.lines().find_map(|line| line.strip_prefix(&format!("{name} = \"")))?;
            line.strip_suffix('"')
        };
        locked.insert((of("name").unwrap(), of("version").unwrap()), of("checksum"));
    }
    let components = bill["components"].as_array().unwrap();
    assert!(components.len() > 150, "only {} components: the search is broken", components.len());
    for component in components {
        let (name, version) = (text(component, "name"), text(component, "version"));
        let checksum = locked.get(&(name, version)).unwrap_or_else(|| panic!("{name} {version} is not in Cargo.lock"));
        assert_eq!(component["hashes"][0]["content"].as_str(), *checksum, "{name}");
        assert_eq!(text(component, "purl"), format!("pkg:cargo/{name}@{version}"));
        let licences = component["licenses"].as_array().unwrap();
        assert!(!licences.is_empty(), "{name} has no licence");
    }
    let names: BTreeSet<&str> = components.iter().map(|component| text(component, "name")).collect();
    for linked in ["kernel", "sqlx-postgres", "rustls", "aws-lc-sys", "tokio"] {
        assert!(names.contains(linked), "{linked} is linked");
    }
    // Tests, what only runs when it is built, and what is forbidden.
    for other in ["testkit", "proptest", "trybuild", "bench", "syn", "serde_derive", "cc", "ring", "openssl-sys"] {
        assert!(!names.contains(other), "{other} is not linked");
    }
    let refs: BTreeSet<&str> = components.iter().map(|component| text(component, "bom-ref")).collect();
    let program = text(&bill["metadata"]["component"], "bom-ref");
    for dependency in bill["dependencies"].as_array().unwrap() {
        let known = |name: &str| refs.contains(name) || name == program;
        assert!(known(text(dependency, "ref")));
        assert!(dependency["dependsOn"].as_array().unwrap().iter().all(|on| known(on.as_str().unwrap())));
    }
}
