//! What is kept, and for how long: the list of the program against the tables that there are, and each kind at its moment.

mod kinds;
mod partitions;

use std::collections::BTreeSet;

use axum::http::StatusCode;
use kernel::Role;
use kit::retention::{DELETIONS, Kind, RULES, Retention, STAYS};
use serde_json::json;
use testkit::{Options, TestApp, cluster::Database};

#[tokio::test(flavor = "multi_thread")]
async fn every_table_is_kept_by_a_rule_or_stays_for_a_reason() {
    let tables: Vec<String> = sqlx::query_scalar(
        "select c.relname::text from pg_class c join pg_namespace n on n.oid = c.relnamespace
         where c.relkind in ('r', 'p') and not c.relispartition and n.nspname not in ('pg_catalog', 'information_schema', 'pg_toast')",
    )
    .fetch_all(&mut Database::create().await.superuser().await)
    .await
    .expect("tables");
    let there: BTreeSet<&str> = tables.iter().map(String::as_str).collect();
    let listed: BTreeSet<&str> =
        RULES.iter().flat_map(|rule| rule.tables).copied().chain(STAYS.iter().map(|stays| stays.table)).collect();
    let new: Vec<_> = there.difference(&listed).collect();
    assert!(new.is_empty(), "how long are these kept? Say it in crates/kit/src/retention/rules.rs: {new:?}");
    let gone: Vec<_> = listed.difference(&there).collect();
    assert!(gone.is_empty(), "listed in crates/kit/src/retention/rules.rs and not there: {gone:?}");
}

/// What can be brought back says when it went and who did it.
#[tokio::test(flavor = "multi_thread")]
async fn what_is_deleted_for_the_time_being_says_when_and_by_whom() {
    let with_both: BTreeSet<String> = sqlx::query_scalar::<_, String>(
        "select c.relname::text from pg_class c join pg_namespace n on n.oid = c.relnamespace
         where c.relkind = 'r' and n.nspname = 'public'
           and (select count(*) from pg_attribute a where a.attrelid = c.oid and a.attname in ('deleted_at', 'deleted_by')) = 2",
    )
    .fetch_all(&mut Database::create().await.superuser().await)
    .await
    .expect("tables")
    .into_iter()
    .collect();
    let marked: BTreeSet<String> = DELETIONS
        .iter()
        .filter(|deletion| with_both.contains(deletion.table))
        .map(|deletion| deletion.table.to_owned())
        .collect();
    assert_eq!(marked, with_both, "a table with deleted_at is one that somebody deletes from");
    for rule in RULES.iter().filter(|rule| rule.restored_by.is_some()) {
        assert!(rule.tables.iter().any(|table| with_both.contains(*table)), "{}", rule.name);
    }
}

#[test]
fn every_operation_that_deletes_is_decided_and_every_decision_is_of_an_operation() {
    let document = serde_json::to_value(entrepot::assembly::openapi()).expect("a document");
    let mut there = BTreeSet::new();
    for (path, item) in document["paths"].as_object().expect("paths") {
        for method in item.as_object().expect("methods").keys() {
            there.insert(format!("{} {path}", method.to_uppercase()));
        }
    }
    let decided: BTreeSet<&str> = DELETIONS.iter().map(|deletion| deletion.operation).collect();
    for operation in there.iter().filter(|operation| operation.starts_with("DELETE ")) {
        assert!(decided.contains(operation.as_str()), "{operation}: what becomes of what it deletes?");
    }
    let named = RULES.iter().flat_map(|rule| [rule.restored_by, rule.exported_by]).flatten();
    for operation in decided.iter().copied().chain(named) {
        let operation = operation.split('?').next().unwrap_or_default();
        assert!(there.contains(operation), "{operation} is named and not there");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_installation_shows_what_it_has_chosen_to_those_who_may_read_the_organization() {
    let retention: Retention = "events=365,connections=7".parse().expect("a choice");
    let app = TestApp::with(Options { retention, ..Options::default() }).await;
    let kata = app.sign_up("Kata").await;
    let shown = kata.member(Role::Viewer).await.get("/api/retention").await.expect(StatusCode::OK).at("/data");
    let shown = shown.as_array().expect("rules");
    let of = |name: &str| shown.iter().find(|rule| rule["name"] == name).expect("a rule");
    assert_eq!(shown.len(), Kind::ALL.len());
    assert_eq!((&of("events")["days"], &of("events")["days_min"]), (&json!(365), &json!(90)));
    assert_eq!((&of("connections")["days"], &of("team_members")["days"]), (&json!(7), &json!(30)));
    assert_eq!(of("connections")["restored_by"], "POST /api/integrations/connections/{id}/restore/");
    assert_eq!((&of("sessions")["of"], &of("audit_log")["exported_by"]), (&json!("person"), &json!("GET /api/audit")));
    kata.member(Role::Sales).await.get("/api/retention").await.expect_problem(403, "forbidden");
    app.nobody().get("/api/retention").await.expect_problem(401, "unauthenticated");
    app.finish().await;
}
