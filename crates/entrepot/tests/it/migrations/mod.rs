//! Migrations and the versions beside them (RES-2): files are held to the rules of `migrations/README.md`, and two versions of the
//! program run from one database.

mod rolling;
mod rules;
mod statement;

use std::collections::BTreeSet;

use crate::repository::files;

/// Those up to here were run before two versions ever met.
const FIRST_RELEASE: i64 = 20_261_120_000_015;

/// The files of `migrations/`: number, name without it, text.
fn migrations() -> Vec<(i64, String, String)> {
    let files = files().into_iter().filter(|file| file.path.starts_with("migrations/") && file.path.ends_with(".sql"));
    let found = files.map(|file| {
        let name = file.path.strip_prefix("migrations/").unwrap().strip_suffix(".sql").unwrap();
        let (version, name) = name.split_once('_').unwrap();
        (version.parse().unwrap(), name.to_owned(), file.text)
    });
    found.collect()
}

#[test]
fn migrations_can_be_run_while_the_version_before_serves() {
    let all = migrations();
    assert!(all.len() >= 13, "only {} migrations were found: the search is broken", all.len());
    let versions: BTreeSet<i64> = all.iter().map(|(version, ..)| *version).collect();
    assert_eq!(versions.len(), all.len(), "two have the same number");
    let mut faults = vec![];
    for (version, name, sql) in all.iter().filter(|(version, ..)| *version > FIRST_RELEASE) {
        let contract = rules::contract_since(name);
        if name.starts_with("contract") {
            match contract {
                Some(since) if since < *version && versions.contains(&since) => {}
                _ => {
                    faults.push(format!("{version}: a contract is named contract_since_<an earlier migration>_<what>"))
                }
            }
        }
        let found = rules::faults(sql, contract.is_some());
        faults.extend(found.into_iter().map(|fault| format!("{version}_{name}: {fault}")));
    }
    assert!(faults.is_empty(), "migrations/README.md has the rules:\n{}", faults.join("\n"));
}
