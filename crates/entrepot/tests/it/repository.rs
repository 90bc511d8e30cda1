//! The repository as text, for tests that ask what stands where.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
};

/// What git does not keep, or what is not ours to word.
const SKIPPED: &[&str] = &["target", ".git", ".demo", ".sandbox", "data", ".sqlx", "node_modules"];

/// A text file of the repository.
pub(crate) struct Source {
    /// From the root, with slashes.
    pub path: String,
    pub text: String,
}

pub(crate) fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").canonicalize().unwrap()
}

/// All text files; what is not UTF-8 is none.
pub(crate) fn files() -> Vec<Source> {
    let root = root();
    let mut found = vec![];
    let mut folders = vec![root.clone()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).unwrap() {
            let path = entry.unwrap().path();
            let name = path.file_name().unwrap().to_str().unwrap();
            if SKIPPED.contains(&name) {
                continue;
            }
            if path.is_dir() {
                folders.push(path);
            } else if let Ok(text) = fs::read_to_string(&path) {
                found.push(Source { path: path.strip_prefix(&root).unwrap().to_str().unwrap().to_owned(), text });
            }
        }
    }
    found.sort_by(|a, b| a.path.cmp(&b.path));
    assert!(found.len() > 300, "only {} files were found: the walk is broken", found.len());
    found
}

/// The Rust of the program itself, without tests, simulators and comments.
pub(crate) fn product() -> Vec<Source> {
    files()
        .into_iter()
        .filter(|file| file.path.ends_with(".rs") && file.path.contains("/src/"))
        .filter(|file| !is_test(&file.path))
        .filter(|file| {
            !["crates/sandbox/", "crates/testkit/", "bench/"].iter().any(|other| file.path.starts_with(other))
        })
        .map(|file| Source { text: without_tests_and_comments(&file.text), path: file.path })
        .collect()
}

pub(crate) fn is_test(path: &str) -> bool {
    path.contains("/tests/") || path.ends_with("/tests.rs") || path.ends_with("/fuzz.rs")
}

pub(crate) fn without_tests_and_comments(text: &str) -> String {
    let product = text.split("#[cfg(test)]\nmod tests {").next().unwrap();
    product.lines().filter(|line| !line.trim_start().starts_with("//")).map(|line| format!("{line}\n")).collect()
}

/// How often `what` occurs, by file; files without it are left out.
pub(crate) fn count<'a>(sources: &'a [Source], what: &str) -> BTreeMap<&'a str, usize> {
    let counts = sources.iter().map(|source| (source.path.as_str(), source.text.matches(what).count()));
    counts.filter(|(_, count)| *count > 0).collect()
}

/// The file, which must be there.
pub(crate) fn file<'a>(sources: &'a [Source], path: &str) -> &'a Source {
    sources.iter().find(|source| source.path == path).unwrap_or_else(|| panic!("{path} is not there"))
}

/// The names of the folders in a folder of the repository.
pub(crate) fn folders(path: &str) -> Vec<String> {
    let mut names: Vec<String> = fs::read_dir(root().join(path))
        .unwrap()
        .map(|entry| entry.unwrap())
        .filter(|entry| entry.path().is_dir())
        .map(|entry| entry.file_name().into_string().unwrap())
        .collect();
    names.sort();
    assert!(!names.is_empty(), "{path} has no folders");
    names
}
