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
async fn partitions_past_their_retention_are_dropped_but_not_by_a_clock_that_jumped() {
    let database = Database::create().await;
    let now = kernel::Clock::system().now();
    let db = db::Db::connect(&database.logins(), &db::PoolSizes::default()).await.expect("the logins connect");
    let mut superuser = database.superuser().await;
    let partitions = async |conn: &mut sqlx::PgConnection, table: &str| -> Vec<String> {
        sqlx::query_scalar(
            "select inhrelid::regclass::text from pg_inherits where inhparent = $1::text::regclass order by 1",
        )
        .bind(table)
        .fetch_all(conn)
        .await
        .expect("partitions")
    };
    // Events are kept for 90 days, the audit log for two years.
    db.maintain_partitions(now - chrono::TimeDelta::days(300), &[]).await.expect("partitions");
    let old = partitions(&mut superuser, "events").await;
    assert_eq!(old.len(), 5);
    // A moment whose partition was not made ahead: the clock jumped, or the program slept. The next call drops.
    db.maintain_partitions(now, &[]).await.expect("partitions");
    assert_eq!(partitions(&mut superuser, "events").await.len(), 10);
    db.maintain_partitions(now, &[]).await.expect("partitions");
    let kept = partitions(&mut superuser, "events").await;
    assert!(kept.len() == 5 && !kept.contains(&old[0]) && !kept.contains(&old[4]), "{kept:?}");
    assert_eq!(partitions(&mut superuser, "audit_log").await.len(), 10);
    // A caller who names a moment far ahead makes its partitions and drops none of today's.
    db.maintain_partitions(now + chrono::TimeDelta::days(3_650), &[]).await.expect("partitions");
    let all = partitions(&mut superuser, "events").await;
    assert!(kept.iter().all(|name| all.contains(name)) && all.len() == 10, "{all:?}");
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
