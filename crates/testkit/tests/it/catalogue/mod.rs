//! Tenancy, as the database itself has it: the catalogue against the rules of the data model, the rows against the wrong
//! callers, and both against schemas that were broken on purpose.

mod behavior;
mod check;
mod lists;
mod mutations;
mod rows;

use std::collections::BTreeSet;

use kernel::Role;
use sqlx::Row;
use testkit::{TestApp, cluster::Database};

use check::violations;

#[tokio::test(flavor = "multi_thread")]
async fn the_migrated_schema_keeps_every_rule() {
    let database = Database::create().await;
    let found = violations(&mut database.superuser().await).await;
    assert!(found.is_empty(), "{found:#?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn partitions_made_in_the_course_of_time_keep_every_rule() {
    let app = TestApp::start().await;
    let mut superuser = app.superuser().await;
    let before = check::tables(&mut superuser).await.iter().filter(|table| table.is_partition).count();
    app.advance(chrono::TimeDelta::days(45)).await;
    let after = check::tables(&mut superuser).await.iter().filter(|table| table.is_partition).count();
    assert!(before > 0 && after > before, "partitions were made: {before}, {after}");
    let found = violations(&mut superuser).await;
    assert!(found.is_empty(), "{found:#?}");
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn partitions_past_their_retention_are_dropped_and_others_kept() {
    let app = TestApp::start().await;
    let kata = app.sign_up("Kata").await;
    let mut superuser = app.superuser().await;
    // Events are kept for 90 days, the audit log for two years.
    for _ in 0..5 {
        app.advance(chrono::TimeDelta::days(30)).await;
    }
    let count = async |sql: &'static str, conn: &mut sqlx::PgConnection| -> i64 {
        sqlx::query_scalar(sql).bind(kata.organization).fetch_one(conn).await.expect("a count")
    };
    assert_eq!(count("select count(*) from events where organization_id = $1", &mut superuser).await, 0);
    assert_eq!(count("select count(*) from audit_log where organization_id = $1", &mut superuser).await, 1);
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_matrix_of_roles_in_the_database_is_that_of_the_program() {
    let mut superuser = Database::create().await.superuser().await;
    let rows = sqlx::query("select role, resource, action from role_permissions")
        .fetch_all(&mut superuser)
        .await
        .expect("rows");
    let stored: BTreeSet<(String, String, String)> =
        rows.iter().map(|row| (row.get("role"), row.get("resource"), row.get("action"))).collect();
    let ours = Role::ALL.iter().flat_map(|role| {
        role.permissions().iter().map(|(resource, action)| (role.to_string(), resource.to_string(), action.to_string()))
    });
    assert_eq!(stored, ours.collect());
}
