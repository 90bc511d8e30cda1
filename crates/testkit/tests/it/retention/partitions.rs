//! Logs leave by months.

use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use db::{Db, PoolSizes};
use kit::retention::{Kind, RULES, Removal, Retention};
use sqlx::AssertSqlSafe;
use testkit::cluster::Database;

async fn has_january(database: &Database, table: &str) -> bool {
    sqlx::query_scalar("select to_regclass('public.' || $1 || '_2026_01') is not null")
        .bind(table)
        .fetch_one(&mut database.superuser().await)
        .await
        .expect("a catalogue")
}

/// Moves to a moment, whose partitions were made ahead: a clock that jumps drops nothing.
async fn go_to(db: &Db, moment: DateTime<Utc>, kept: &[(&str, u16)]) {
    for moment in [moment - TimeDelta::days(31), moment] {
        db.maintain_partitions(moment, kept).await.expect("partitions");
    }
}

async fn january_is_kept_for(kept: &[(&str, u16)], expected: &[(&str, u16)]) {
    let at = |text: &str| text.parse::<DateTime<Utc>>().expect("a moment");
    for (table, days) in expected {
        let database = Database::create().await;
        let db = Db::connect(&database.logins(), &PoolSizes::default()).await.expect("the logins connect");
        db.maintain_partitions(at("2026-01-15T00:00:00Z"), kept).await.expect("partitions");
        let end = at("2026-02-01T00:00:00Z") + TimeDelta::days((*days).into());
        go_to(&db, end - TimeDelta::seconds(1), kept).await;
        assert!(has_january(&database, table).await, "{table} after {days} days but a second");
        go_to(&db, end + TimeDelta::seconds(1), kept).await;
        assert!(!has_january(&database, table).await, "{table} after {days} days");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn each_log_is_there_to_the_last_second_of_its_time_and_gone_a_second_later() {
    let usual = Retention::default().partitions();
    assert_eq!(usual.len(), 5);
    january_is_kept_for(&usual, &usual).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_installation_keeps_a_log_for_longer_and_never_for_less_than_the_least() {
    let chosen: Retention = "events=400".parse().expect("a choice");
    january_is_kept_for(&chosen.partitions(), &[("events", 400), ("event_seals", 400), ("api_access_log", 180)]).await;
    // Whatever is asked for, also by a program that has lost its mind.
    january_is_kept_for(&[("events", 1), ("api_access_log", 1)], &[("events", 90), ("api_access_log", 180)]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_least_of_the_program_is_that_of_the_database() {
    let mut superuser = Database::create().await.superuser().await;
    let rows: Vec<(String, f64, f64)> = sqlx::query_as(
        "select table_name, extract(epoch from least)::float8 / 86400, extract(epoch from retention)::float8 / 86400
         from app.partitioned_tables order by 1",
    )
    .fetch_all(&mut superuser)
    .await
    .expect("rows");
    let mut expected = vec![];
    for rule in RULES.iter().filter(|rule| rule.removal == Removal::Partitions) {
        expected.extend(rule.tables.iter().map(|table| ((*table).to_owned(), rule.days)));
    }
    expected.sort_by(|a, b| a.0.cmp(&b.0));
    assert_eq!(rows.len(), expected.len());
    for ((table, least, usual), (listed, days)) in rows.iter().zip(&expected) {
        assert_eq!((table, *least), (listed, f64::from(days.least)));
        // Two years are 730 days and a half to PostgreSQL.
        assert!((usual - f64::from(days.usual)).abs() <= 1.0, "{table}: {usual}");
    }
    assert_eq!(Kind::AuditLog.rule().days.usual, 731);
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_writes_to_two_logs_and_what_drops_their_months_do_not_wait_for_each_other() {
    let at = |text: &str| text.parse::<DateTime<Utc>>().expect("a moment");
    let database = Database::create().await;
    let db = Db::connect(&database.logins(), &PoolSizes::default()).await.expect("the logins connect");
    let kept = Retention::default().partitions();
    db.maintain_partitions(at("2026-01-15T00:00:00Z"), &kept).await.expect("partitions");
    let moment = at("2029-01-15T00:00:00Z");
    // Its partitions are made, and nothing is dropped by a clock that jumped.
    db.maintain_partitions(moment, &kept).await.expect("partitions");
    for (first, second) in [("events", "audit_log"), ("audit_log", "events")] {
        let mut writer = database.superuser().await;
        let lock = |table: &str| AssertSqlSafe(format!("lock table {table} in row exclusive mode"));
        sqlx::raw_sql("begin").execute(&mut writer).await.expect("a transaction");
        sqlx::raw_sql(lock(first)).execute(&mut writer).await.expect("it writes to one");
        let (maintaining, kept) = (db.clone(), kept.clone());
        let maintenance = tokio::spawn(async move { maintaining.maintain_partitions(moment, &kept).await });
        tokio::time::sleep(Duration::from_millis(250)).await;
        sqlx::raw_sql(lock(second)).execute(&mut writer).await.expect("and to the other");
        maintenance.await.expect("it ends").expect("what is in use is left for the next time");
        assert!(has_january(&database, first).await, "{first} is in use");
        sqlx::raw_sql("rollback").execute(&mut writer).await.expect("it ends");
    }
    db.maintain_partitions(moment, &kept).await.expect("partitions");
    for (table, _) in &kept {
        assert!(!has_january(&database, table).await, "{table}");
    }
}
