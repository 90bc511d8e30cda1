//! The log as it grows: in the order of commits, to those who may read it, and no longer than they may.

mod ending;
mod limits;
mod order;

use std::time::Duration;

use kernel::{Action, EventId, Resource, TenantScope, Time, scope::InternalTask};
use sqlx::PgConnection;
use testkit::{Member, TestApp};
use uuid::Uuid;

/// All the time that a slow machine may need, and transactions of other tests that hold lines up.
const LONG: Duration = Duration::from_secs(30);

/// One line, in the transaction that the connection is in, if it is in one.
async fn write(conn: &mut PgConnection, organization: Uuid, id: Uuid, event_type: &str, message: &str, at: Time) {
    sqlx::query(
        "insert into events (organization_id, id, level, event_type, message, actor, created_at)
         values ($1, $2, 'info', $3, $4, 'system:test', $5)",
    )
    .bind(organization)
    .bind(id)
    .bind(event_type)
    .bind(message)
    .bind(at)
    .execute(conn)
    .await
    .expect("a line");
}

enum Saying {}
impl InternalTask for Saying {
    const NAME: &'static str = "saying";
    const PERMISSIONS: &'static [(Resource, Action)] = &[];
}

/// One line that is committed at once, at a node, as the product writes its own; its id.
async fn say(node: &TestApp, member: &Member, event_type: &str, message: &str) -> Uuid {
    let (id, now) = (EventId::new(node.clock()).uuid(), node.clock().now());
    let scope = TenantScope::internal::<Saying>(member.organization.into());
    let mut tx = node.app().db.tenant(&scope).await.expect("a transaction");
    write(tx.conn(), member.organization, id, event_type, message, now).await;
    tx.ring_followers();
    tx.commit().await.expect("committed");
    id
}

/// Wakes those who follow, as if something had been written at a node.
async fn ring(node: &TestApp, member: &Member) {
    let scope = TenantScope::internal::<Saying>(member.organization.into());
    let mut tx = node.app().db.tenant(&scope).await.expect("a transaction");
    tx.ring_followers();
    tx.commit().await.expect("committed");
}

async fn begin(conn: &mut PgConnection) {
    sqlx::raw_sql("begin").execute(conn).await.expect("begun");
}

async fn commit(conn: &mut PgConnection) {
    sqlx::raw_sql("commit").execute(conn).await.expect("committed");
}

fn id_of(line: &serde_json::Value) -> Uuid {
    line["id"].as_str().and_then(|id| id.parse().ok()).expect("an id")
}
