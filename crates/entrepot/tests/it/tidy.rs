//! Rules of this repository that neither the compiler nor clippy can say. `docs/STYLE.md` and `docs/TENANCY.md` say why.

use std::collections::{BTreeMap, BTreeSet};

use crate::repository::{Source, count, file, files, folders, is_test, product, without_tests_and_comments};

/// The crates of ours that a crate may use: lower layers only (docs/ARCHITECTURE.md). Not in here: nothing may use it.
const LAYERS: &[(&str, &[&str])] = &[
    ("kernel", &[]),
    ("db", &["kernel"]),
    ("connector", &["kernel"]),
    ("jobs", &["kernel", "db"]),
    ("providers", &["kernel", "connector"]),
    ("kit", &["kernel", "db", "connector", "jobs"]),
    ("accounts", &["kernel", "db", "connector", "jobs", "kit"]),
    ("integrations", &["kernel", "db", "connector", "jobs", "kit", "accounts"]),
    // Written from the providers' contracts alone, so that a connector's mistake is not repeated in its simulator.
    ("sandbox", &[]),
    ("entrepot", &["kernel", "db", "connector", "jobs", "providers", "kit", "accounts", "integrations", "sandbox"]),
    // For tests of the other crates, never part of the program.
    (
        "testkit",
        &["kernel", "db", "connector", "jobs", "providers", "kit", "accounts", "integrations", "sandbox", "entrepot"],
    ),
];

#[test]
fn crates_use_lower_layers_only() {
    let sources = files();
    let known: BTreeSet<&str> = LAYERS.iter().map(|(name, _)| *name).collect();
    let there: BTreeSet<String> = folders("crates").into_iter().collect();
    assert_eq!(there, known.iter().map(|name| (*name).to_owned()).collect(), "LAYERS names the crates that there are");
    for (name, allowed) in LAYERS {
        let manifest = file(&sources, &format!("crates/{name}/Cargo.toml"));
        let used = ours_in(&manifest.text, "[dependencies]", &known);
        let allowed: BTreeSet<&str> = allowed.iter().copied().collect();
        let upward: Vec<_> = used.difference(&allowed).collect();
        assert!(upward.is_empty(), "{name} must not use {upward:?}: what goes up goes as data");
    }
}

/// The crates of ours in one section of a manifest.
fn ours_in<'a>(manifest: &'a str, section: &str, known: &BTreeSet<&str>) -> BTreeSet<&'a str> {
    names_in(manifest, section).filter(|name| known.contains(name)).collect()
}

/// What one section of a manifest lists.
fn names_in<'a>(manifest: &'a str, section: &str) -> impl Iterator<Item = &'a str> {
    let lines = manifest.lines().skip_while(move |line| *line != section).skip(1);
    let entries = lines.take_while(|line| !line.starts_with('[')).filter(|line| !line.starts_with('#'));
    entries.filter_map(|line| line.split(['.', ' ', '=']).next()).filter(|name| !name.is_empty())
}

#[test]
fn every_dependency_is_used_by_its_crate() {
    let sources = files();
    let manifests = sources.iter().filter(|file| file.path.ends_with("/Cargo.toml"));
    let mut looked_at = 0;
    for manifest in manifests {
        let folder = manifest.path.strip_suffix("Cargo.toml").unwrap();
        let rust = || sources.iter().filter(|file| file.path.starts_with(folder) && file.path.ends_with(".rs"));
        let everywhere: Vec<String> = rust().map(|file| file.text.clone()).collect();
        let product: Vec<String> =
            rust().filter(|file| !is_test(&file.path)).map(|file| without_tests_and_comments(&file.text)).collect();
        for (section, texts) in [("[dependencies]", &product), ("[dev-dependencies]", &everywhere)] {
            for name in names_in(&manifest.text, section) {
                let is_used = texts.iter().any(|text| names_crate(text, &name.replace('-', "_")));
                assert!(is_used, "{} has {name} in {section}, which nothing there uses", manifest.path);
                looked_at += 1;
            }
        }
    }
    assert!(looked_at > 100, "only {looked_at} dependencies were found: the search is broken");
}

#[test]
fn every_dependency_of_the_workspace_is_one_of_a_crate() {
    let sources = files();
    let known: BTreeSet<&str> = sources
        .iter()
        .filter(|file| file.path.ends_with("/Cargo.toml"))
        .flat_map(|file| names_in(&file.text, "[dependencies]").chain(names_in(&file.text, "[dev-dependencies]")))
        .collect();
    for name in names_in(&file(&sources, "Cargo.toml").text, "[workspace.dependencies]") {
        assert!(known.contains(name), "Cargo.toml has {name}, which no crate depends on");
    }
}

/// Whether Rust names a crate: `name::`, from the root or not, but not as a part of another path.
fn names_crate(text: &str, name: &str) -> bool {
    let is_in_a_name = |char: char| char.is_alphanumeric() || char == '_';
    text.match_indices(&format!("{name}::")).any(|(at, _)| {
        let before = &text[..at];
        let before = before.strip_suffix("::").unwrap_or(before);
        !before.ends_with(is_in_a_name)
    })
}

#[test]
fn sql_stands_in_stores_and_in_db() {
    let sources = product();
    for sql in
        ["sqlx::query", "sqlx::raw_sql", "query!(", "query_as!(", "query_scalar!(", "QueryBuilder", "AssertSqlSafe"]
    {
        for path in count(&sources, sql).keys() {
            let is_its_place = path.ends_with("/store.rs") || path.starts_with("crates/db/src/");
            assert!(is_its_place, "{path} has {sql}: SQL belongs into the store.rs of its folder");
        }
    }
}

#[test]
fn every_query_of_a_store_begins_with_its_name() {
    for source in product().iter().filter(|source| source.path.ends_with("/store.rs")) {
        let starts = source.text.split("sqlx::query").skip(1);
        for start in starts {
            // One of a single line needs no name to be recognised by.
            let Some((_, sql)) = start.split_once('"').filter(|(_, sql)| sql.starts_with('\n')) else { continue };
            let first = sql.trim_start_matches(['\n', ' ']).lines().next().unwrap_or_default();
            let named = first.strip_prefix("-- ").is_some_and(|name| !name.trim().is_empty());
            assert!(named, "{}: a query begins with `{first}` instead of a comment with its name", source.path);
        }
    }
}

#[test]
fn sql_never_asks_for_the_time() {
    let clocks = [
        "now()",
        "current_timestamp",
        "current_date",
        "current_time",
        "localtimestamp",
        "clock_timestamp",
        "statement_timestamp",
        "transaction_timestamp",
        "timeofday",
    ];
    for migration in files().iter().filter(|file| file.path.starts_with("migrations/") && file.path.ends_with(".sql")) {
        let sql: String =
            migration.text.to_lowercase().lines().filter(|line| !line.trim_start().starts_with("--")).collect();
        for clock in clocks {
            assert!(!sql.contains(clock), "{} has {clock}: times come as parameters", migration.path);
        }
    }
    for store in product().iter().filter(|source| source.path.ends_with("/store.rs")) {
        let sql = store.text.to_lowercase().replace("clock.now()", "");
        for clock in clocks {
            assert!(!sql.contains(clock), "{} has {clock}: times come as parameters", store.path);
        }
    }
}

#[test]
fn axum_is_for_routes_and_for_kit_and_the_program() {
    // Who is calling is found out from headers, before any handler.
    const ALSO: &[&str] = &["crates/accounts/src/authentication.rs", "crates/accounts/src/api_keys/verify.rs"];
    for path in count(&product(), "axum").keys() {
        let is_its_place = path.ends_with("/api.rs")
            || path.starts_with("crates/kit/src/")
            || path.starts_with("crates/entrepot/src/")
            || ALSO.contains(path);
        assert!(is_its_place, "{path} knows of axum: routes belong into the api.rs of their folder");
    }
}

/// A key may be limited to some stores: the argument that reads the id of one asks whether it is reached.
#[test]
fn a_connection_in_a_path_is_named_by_the_argument_that_asks_whether_the_caller_reaches_it() {
    let sources = product();
    let known = places(&[("crates/kit/src/caller.rs", 1)]);
    assert_eq!(count_in(&sources, "Path::<ConnectionId>"), known, "AtConnection is the way to the id of a connection");
    assert_eq!(
        count_in(&sources, "Path<ConnectionId>"),
        places(&[]),
        "AtConnection is the way to the id of a connection"
    );
    let mut checked = 0;
    for source in sources.iter().filter(|source| source.path.ends_with("/api.rs")) {
        for operation in source.text.split("#[utoipa::path(").skip(1) {
            let path =
                operation.split_once("path = \"").and_then(|(_, rest)| rest.split_once('"')).map(|(path, _)| path);
            let Some(path) = path.filter(|path| path.contains("connections/{") || path.contains("stores/{")) else {
                continue;
            };
            let arguments = operation.split_once("async fn ").and_then(|(_, rest)| rest.split_once("->")).unwrap().0;
            assert!(arguments.contains("AtConnection<"), "{}: {path} does not take AtConnection", source.path);
            checked += 1;
        }
    }
    assert!(checked >= 10, "{checked}");
}

#[test]
fn personal_data_leaves_through_three_doors() {
    let doors = count_in(&product(), "Exit::open(");
    assert_eq!(
        doors,
        places(&[
            ("crates/connector/src/query.rs", 1),
            ("crates/kit/src/answer.rs", 1),
            ("crates/kit/src/vault/sealed.rs", 1)
        ]),
        "a new exit for personal data: see docs/adr/0006-personal-data-has-three-exits.md"
    );
}

#[test]
fn a_caller_becomes_a_principal_in_two_places() {
    let callers = count_in(&product(), "Principal::authenticated(");
    let known = [("crates/accounts/src/api_keys/verify.rs", 1), ("crates/accounts/src/authentication.rs", 1)];
    assert_eq!(callers, places(&known), "a new way to become somebody: see docs/TENANCY.md");
}

#[test]
fn a_scope_without_a_person_comes_from_seven_places() {
    let sources = product();
    let callers = count_in(&sources, "TenantScope::internal");
    let known = [
        ("crates/accounts/src/plans/daily.rs", 2),
        ("crates/entrepot/src/verify.rs", 1),
        ("crates/integrations/src/connections/credential/refresh.rs", 1),
        ("crates/integrations/src/connections/exclusive/mod.rs", 1),
        ("crates/integrations/src/connections/open_stores.rs", 1),
        ("crates/jobs/src/job.rs", 1),
        ("crates/kit/src/rate_limit/mod.rs", 1),
    ];
    assert_eq!(callers, places(&known), "a new scope without a person: see docs/TENANCY.md");
    let tasks = count_in(&sources, "InternalTask for ");
    let known = [
        ("crates/accounts/src/plans/daily.rs", 1),
        ("crates/entrepot/src/verify.rs", 1),
        ("crates/integrations/src/connections/credential/mod.rs", 1),
        ("crates/integrations/src/connections/exclusive/mod.rs", 1),
        ("crates/jobs/src/job.rs", 1),
        ("crates/kit/src/rate_limit/mod.rs", 1),
    ];
    assert_eq!(tasks, places(&known), "a new task of the machine: see docs/TENANCY.md");
}

#[test]
fn transactions_outside_an_organization_are_opened_in_known_places() {
    let sources = product();
    let system = count_in(&sources, ".system(");
    let known = [
        ("crates/accounts/src/api_keys/verify.rs", 5),
        ("crates/accounts/src/authentication.rs", 3),
        ("crates/accounts/src/factors/mod.rs", 9),
        ("crates/accounts/src/factors/proof.rs", 6),
        ("crates/accounts/src/factors/step_up.rs", 1),
        ("crates/accounts/src/identities/mod.rs", 5),
        ("crates/accounts/src/invitations/mod.rs", 3),
        ("crates/accounts/src/organizations/mod.rs", 1),
        ("crates/accounts/src/plans/mod.rs", 1),
        ("crates/accounts/src/plans/operator.rs", 4),
        ("crates/accounts/src/sessions/api.rs", 2),
        ("crates/accounts/src/sessions/mod.rs", 9),
        ("crates/accounts/src/sessions/throttle.rs", 2),
        ("crates/accounts/src/user_links/mod.rs", 5),
        ("crates/db/src/lib.rs", 1),
        ("crates/entrepot/src/cli/keys.rs", 2),
        ("crates/entrepot/src/error_reporting.rs", 1),
        ("crates/entrepot/src/housekeeping/mod.rs", 3),
        ("crates/entrepot/src/keys/keep.rs", 1),
        ("crates/entrepot/src/keys/rotate.rs", 3),
        ("crates/entrepot/src/keys/status.rs", 1),
        ("crates/entrepot/src/server.rs", 2),
        ("crates/entrepot/src/startup.rs", 1),
        ("crates/entrepot/src/verify.rs", 1),
        ("crates/integrations/src/connections/exclusive/mod.rs", 1),
        ("crates/integrations/src/oauth/code.rs", 2),
        ("crates/integrations/src/oauth/granted.rs", 3),
        ("crates/integrations/src/oauth/mod.rs", 2),
        ("crates/jobs/src/leases.rs", 1),
        ("crates/jobs/src/queue.rs", 1),
        ("crates/jobs/src/runner.rs", 3),
        ("crates/jobs/src/schedule.rs", 1),
        ("crates/kit/src/error_reports/mod.rs", 1),
    ];
    assert_eq!(system, places(&known), "a new use of the system login: see docs/TENANCY.md");
    let ingest = count_in(&sources, ".ingest()");
    assert_eq!(ingest, places(&[]));
    let once = count_in(&sources, ".ingest_once()");
    assert_eq!(once, places(&[("crates/integrations/src/data_access/access_log.rs", 1)]));
}

#[test]
fn secrets_are_exposed_in_known_files() {
    // Where each secret goes: into a header or a signature, under a hash or a seal, to the person who made it, or to be measured.
    const KNOWN: &[&str] = &[
        "crates/accounts/src/api_keys/api.rs",
        "crates/accounts/src/api_keys/model.rs",
        "crates/accounts/src/factors/api.rs",
        "crates/accounts/src/factors/challenge.rs",
        "crates/accounts/src/factors/mod.rs",
        "crates/accounts/src/factors/proof.rs",
        "crates/accounts/src/factors/recovery.rs",
        "crates/accounts/src/identities/mod.rs",
        "crates/accounts/src/invitations/model.rs",
        "crates/accounts/src/letters.rs",
        "crates/accounts/src/sessions/api.rs",
        "crates/accounts/src/sessions/mod.rs",
        "crates/accounts/src/sessions/model.rs",
        "crates/accounts/src/sessions/password.rs",
        "crates/accounts/src/sessions/throttle.rs",
        "crates/accounts/src/user_links/mod.rs",
        "crates/connector/src/http/request.rs",
        "crates/connector/src/signature/mod.rs",
        "crates/connector/src/signature/oauth1.rs",
        "crates/db/src/cluster/logins.rs",
        "crates/db/src/cluster/server.rs",
        "crates/db/src/cluster/target.rs",
        "crates/entrepot/src/demo/mod.rs",
        "crates/entrepot/src/demo/seed.rs",
        "crates/entrepot/src/telemetry/sentry.rs",
        "crates/integrations/src/connections/credential/mod.rs",
        "crates/integrations/src/connections/model/mod.rs",
        "crates/integrations/src/oauth/granted.rs",
        "crates/kit/src/mail/letter.rs",
        "crates/kit/src/mail/smtp.rs",
        "crates/kit/src/vault/sealed.rs",
        "crates/providers/src/shopify/auth.rs",
        "crates/providers/src/woocommerce/auth/consent.rs",
        "crates/providers/src/woocommerce/auth/mod.rs",
    ];
    let sources = product();
    let exposing: BTreeSet<&str> = count(&sources, ".expose()").into_keys().collect();
    assert_eq!(exposing, KNOWN.iter().copied().collect(), "files that expose a Secret, and those that are known to");
}

/// The OpenAPI document requires every field of an answer, which only holds if none is ever left out.
#[test]
fn fields_are_null_and_never_absent() {
    let leaving_out = count_in(&product(), "skip_serializing");
    assert_eq!(leaving_out, places(&[]), "a field that can be absent: answer null instead");
}

#[test]
fn every_provider_has_the_same_files_and_is_registered() {
    let assembled: BTreeSet<&str> =
        entrepot::assembly::PROVIDERS.iter().map(|provider| provider.manifest().key).collect();
    let there = folders("crates/providers/src");
    assert_eq!(
        assembled,
        there.iter().map(String::as_str).collect(),
        "folders of providers, and PROVIDERS in assembly.rs"
    );
    let sources = files();
    for provider in &there {
        let folder = format!("crates/providers/src/{provider}");
        assert!(sources.iter().any(|file| file.path == format!("{folder}/mod.rs")));
        for part in ["auth", "api", "convert", "tests"] {
            let is_there = |file: &Source| {
                file.path == format!("{folder}/{part}.rs") || file.path.starts_with(&format!("{folder}/{part}/"))
            };
            assert!(sources.iter().any(is_there), "{folder} has no {part}.rs and no folder {part}");
        }
        assert!(
            sources.iter().any(|file| file.path.starts_with(&format!("{folder}/fixtures/"))),
            "{folder} has no fixtures"
        );
        let page = format!("docs/providers/{provider}.md");
        assert!(sources.iter().any(|file| file.path == page), "{page} is missing");
        assert!(sources.iter().any(|file| file.path.starts_with(&format!("crates/sandbox/src/{provider}/"))));
    }
}

#[test]
fn every_slice_and_every_job_is_assembled() {
    let sources = product();
    let assembly = &file(&sources, "crates/entrepot/src/assembly.rs").text;
    for name in ["accounts", "integrations"] {
        for slice in folders(&format!("crates/{name}/src")) {
            let folder = format!("crates/{name}/src/{slice}/");
            let has = |part: &str| sources.iter().any(|file| file.path == format!("{folder}{part}"));
            if has("api.rs") {
                let routes = format!("{name}::{slice}::api::routes");
                assert!(assembly.contains(&routes), "{routes} is not in SLICES: nobody can reach it");
            }
        }
    }
    for source in sources.iter().filter(|source| !source.path.starts_with("crates/jobs/")) {
        for declared in source.text.split("impl Job for ").skip(1) {
            let job = declared.split([' ', '<']).next().unwrap();
            assert!(assembly.contains(&format!("::{job}>()")), "{}: the job {job} has no runner", source.path);
        }
    }
}

#[test]
fn no_file_is_a_district() {
    const MOST: usize = 800;
    for source in files().iter().filter(|file| file.path.ends_with(".rs")) {
        let lines = source.text.lines().count();
        assert!(lines <= MOST, "{} has {lines} lines: make a folder of it", source.path);
    }
}

#[test]
fn no_test_is_left_out() {
    let ignored = concat!("#[", "ignore");
    for source in files().iter().filter(|file| file.path.ends_with(".rs")) {
        assert!(!source.text.contains(ignored), "{} has a test that does not run", source.path);
        // An example that compiles but has nothing to run against is `no_run`.
        let comments = source.text.lines().filter_map(|line| {
            let line = line.trim_start();
            line.strip_prefix("//!").or_else(|| line.strip_prefix("///"))
        });
        let fences = comments.filter_map(|comment| comment.trim_start().strip_prefix("```"));
        for fence in fences {
            let is_ignored = fence.split(',').any(|word| word.trim().starts_with(concat!("ign", "ore")));
            assert!(!is_ignored, "{} has an example that does not compile", source.path);
        }
    }
}

#[test]
fn nothing_tells_of_a_workplace() {
    // Written in two parts, so that this file is not one of its own findings.
    let foreign = [
        concat!("/wo", "rk/"),
        concat!("/ho", "me/"),
        concat!("/ro", "ot/"),
        concat!("/Use", "rs/"),
        concat!("/tmp/dev", "pg"),
        concat!("TO", "DO"),
        concat!("FIX", "ME"),
    ];
    for source in files() {
        for word in foreign {
            let at = source.text.lines().position(|line| line.contains(word));
            assert!(at.is_none(), "{}:{} has {word}", source.path, at.unwrap_or_default() + 1);
        }
    }
}

fn count_in(sources: &[Source], what: &str) -> BTreeMap<String, usize> {
    count(sources, what).into_iter().map(|(path, count)| (path.to_owned(), count)).collect()
}

fn places(known: &[(&str, usize)]) -> BTreeMap<String, usize> {
    known.iter().map(|(path, count)| ((*path).to_owned(), *count)).collect()
}
