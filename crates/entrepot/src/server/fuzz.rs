//! The paths that callers ask for, of any kind (`script/soak fuzz`).

use std::sync::LazyLock;

use axum::http::Uri;
use proptest::prelude::*;

use super::Paths;
use crate::assembly;

static PATHS: LazyLock<Paths> = LazyLock::new(|| Paths::of(&assembly::openapi()));

fn paths() -> impl Strategy<Value = String> {
    let segment = prop_oneof![
        3 => prop::sample::select(vec!["api", "integrations", "connections", "events", "functions", "v1", "test", "restore", "providers"])
            .prop_map(str::to_owned),
        1 => "[a-z0-9%~._:-]{0,6}",
        1 => Just(String::new()),
    ];
    let path = prop::collection::vec(segment, 0..7).prop_map(|segments| format!("/{}", segments.join("/")));
    let known = prop::sample::select(vec![
        "/api/integrations/connections",
        "/functions/v1/api/integrations/connections/0198/",
        "/functions/v1",
        "/functions/v1/",
        "/",
    ]);
    prop_oneof![4 => path, 1 => known.prop_map(str::to_owned), 1 => "/[!-~]{0,20}"]
}

proptest! {
    #[test]
    fn canonical_paths(path in paths(), query in prop::option::of("[a-z0-9=&%/?]{0,10}")) {
        let text = query.as_ref().map_or_else(|| path.clone(), |query| format!("{path}?{query}"));
        let Ok(given) = text.parse::<Uri>() else { return Ok(()) };
        let mut once = given.clone();
        PATHS.canonicalize(&mut once);
        let mut twice = once.clone();
        PATHS.canonicalize(&mut twice);
        prop_assert_eq!(once.query(), given.query());
        prop_assert!(once.path().starts_with('/'), "{}", once);
        // What is canonical stays so. Of an alias within the alias, and of slashes that follow one another, one is taken off.
        let is_odd = once.path().starts_with("/functions/v1/") || given.path().contains("//");
        prop_assert!(twice == once || is_odd, "{} {}", once, twice);
        // With and without a slash it is the same place; the alias alone is none.
        let bare = given.path().trim_end_matches('/');
        if !bare.is_empty() && bare != "/functions/v1" && !given.path().contains("//") {
            let place = |path: &str| {
                let mut uri: Uri = path.parse().expect("a path");
                PATHS.canonicalize(&mut uri);
                uri
            };
            prop_assert_eq!(place(bare), place(&format!("{bare}/")));
        }
    }
}
