//! What hangs on the master key is known: a use that is not listed would be lost with the next replacement of the key.

use std::collections::{BTreeMap, BTreeSet};

use crate::repository::{count, file, files, product};

/// Everything that is derived is derived from the installation key, for a purpose that `docs/keys.md` lists.
#[test]
fn every_purpose_that_a_key_is_derived_for_is_listed() {
    let sources = product();
    let mut found: BTreeMap<String, BTreeSet<&str>> = BTreeMap::new();
    for source in sources.iter().filter(|source| !source.path.starts_with("crates/kit/src/vault/")) {
        for call in [".derive(", "TokenSealer::new("] {
            for rest in source.text.split(call).skip(1) {
                let arguments = rest.split(");").next().unwrap();
                let purpose = arguments.split('"').nth(1);
                let purpose =
                    purpose.unwrap_or_else(|| panic!("{}: {call}{arguments} has no literal purpose", source.path));
                found.entry(purpose.to_owned()).or_default().insert(&source.path);
            }
        }
    }
    let sources = files();
    let text = &file(&sources, "docs/keys.md").text;
    let rows = text.lines().skip_while(|line| !line.starts_with("| purpose |")).skip(2);
    let listed: BTreeSet<String> = rows
        .take_while(|line| line.starts_with('|'))
        .map(|line| line.split('`').nth(1).unwrap_or_else(|| panic!("{line} names no purpose")).to_owned())
        .collect();
    assert!(listed.len() > 10, "the table was not found: {listed:?}");
    let used: BTreeSet<String> = found.keys().cloned().collect();
    assert_eq!(used, listed, "purposes in the code, and in the table of docs/keys.md; where: {found:?}");
}

/// What the master key wraps is wrapped anew when it is replaced: data keys and the installation key, and nothing else.
#[test]
fn the_master_key_wraps_two_things_and_nothing_is_derived_from_it() {
    let sources = product();
    let places = |what: &str| -> Vec<String> {
        count(&sources, what).into_iter().map(|(path, count)| format!("{path} {count}")).collect()
    };
    assert_eq!(places(".wrapping_key("), ["crates/kit/src/vault/data_key.rs 2"]);
    assert_eq!(places(".installation_wrapping_key("), ["crates/kit/src/vault/installation_key.rs 2"]);
    assert_eq!(places(".extract()"), ["crates/kit/src/vault/installation_key.rs 1"]);
    // Its bytes are nowhere else.
    assert_eq!(places("derive(&self.0"), ["crates/kit/src/vault/master_key.rs 3"]);
    let tables: BTreeSet<String> = files()
        .iter()
        .filter(|file| file.path.starts_with("migrations/") && file.path.ends_with(".sql"))
        .flat_map(|file| {
            let mut table = String::new();
            let mut naming = vec![];
            for line in file.text.lines() {
                if let Some(rest) = line.strip_prefix("create table ").or_else(|| line.strip_prefix("alter table ")) {
                    table = rest.split_whitespace().next().unwrap_or_default().to_owned();
                }
                if line.contains("master_fingerprint text") {
                    naming.push(table.clone());
                }
            }
            naming
        })
        .collect();
    assert_eq!(tables, BTreeSet::from(["data_keys".to_owned()]), "rows that name the master key they are under");
}
