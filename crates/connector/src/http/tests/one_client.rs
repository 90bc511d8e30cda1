//! Sockets are opened outward here and nowhere else: the guard protects what goes through it.

use std::{
    fs,
    path::{Path, PathBuf},
};

/// What opens a connection or asks a name service.
const SYMBOLS: &[&str] = &[
    "reqwest",
    "hyper_util::client",
    "hyper::client",
    "hyper::conn::http",
    "TcpStream::connect",
    "TcpSocket",
    "UdpSocket",
    "UnixStream::connect",
    "TlsConnector",
    "lookup_host",
    "to_socket_addrs",
    "ToSocketAddrs",
];

/// Who else may, and why.
const ALLOWED: &[(&str, &str)] = &[
    ("crates/connector/src/http", "this is the one client"),
    ("crates/entrepot/src/demo", "the demo walks through its own pages on loopback, which the guarded client refuses"),
    ("crates/entrepot/src/server", "a test calls the server under test"),
    (
        "crates/entrepot/src/telemetry",
        "collectors of the operator's, set in the environment of the program and often in a private network, which the guarded \
         client refuses; no redirect is followed, and no address comes from a request or a row",
    ),
    ("crates/entrepot/tests", "tests call the program under test"),
    ("crates/kernel/tests", "a test reads the names of crates in what the compiler prints"),
    ("crates/db", "PostgreSQL, whose address the operator configures"),
    ("crates/sandbox", "simulators call back to the program under test; they never run beside real shops"),
    ("crates/testkit", "tests call the program under test"),
    ("bench", "load generators, never in the shipped program"),
];

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").canonicalize().unwrap()
}

fn sources(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            // A crate's build output, where one is kept beside its source.
            if !path.ends_with("target") {
                sources(&path, found);
            }
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
}

/// The lines of a source that open sockets; comments do not.
fn offences(source: &str) -> Vec<(usize, &'static str)> {
    let is_code = |line: &&str| !line.trim_start().starts_with("//");
    let numbered = source.lines().zip(1..).filter(|(line, _)| is_code(line));
    numbered
        .flat_map(|(line, number)| SYMBOLS.iter().filter(move |s| line.contains(**s)).map(move |s| (number, *s)))
        .collect()
}

#[test]
fn nobody_else_opens_sockets_outward() {
    let root = root();
    let mut files = Vec::new();
    for folder in ["crates", "bench"] {
        sources(&root.join(folder), &mut files);
    }
    assert!(files.len() > 30, "the sources are not where they are looked for: {}", root.display());
    let mut found = Vec::new();
    for file in files {
        let name = file.strip_prefix(&root).unwrap();
        if ALLOWED.iter().any(|(folder, _)| name.starts_with(folder)) {
            continue;
        }
        for (line, symbol) in offences(&fs::read_to_string(&file).unwrap()) {
            found.push(format!("{}:{line}: {symbol}", name.display()));
        }
    }
    assert!(found.is_empty(), "reach the outside through connector::Http:\n{}", found.join("\n"));
}

#[test]
fn no_other_client_is_compiled_in() {
    let root = root();
    for entry in fs::read_dir(root.join("crates")).unwrap() {
        let folder = entry.unwrap().path();
        let name = folder.strip_prefix(&root).unwrap();
        let manifest = fs::read_to_string(folder.join("Cargo.toml")).unwrap();
        let product = manifest.split("[dev-dependencies]").next().unwrap();
        for client in ["ureq", "isahc", "surf", "curl", "attohttpc", "hyper-rustls", "hickory-resolver", "tonic"] {
            let is_used = product.lines().any(|line| line.starts_with(client));
            assert!(!is_used, "{} depends on {client}", name.display());
        }
    }
}

#[test]
fn the_list_of_exceptions_names_places_that_exist() {
    for (folder, _) in ALLOWED {
        assert!(root().join(folder).is_dir(), "{folder}");
    }
}

#[test]
fn the_search_finds_what_it_looks_for() {
    let source = "use tokio::net::TcpStream;\n// reqwest::get\nlet s = TcpStream::connect(x);\n  reqwest::get(y)\n";
    assert_eq!(offences(source), [(3, "TcpStream::connect"), (4, "reqwest")]);
}
