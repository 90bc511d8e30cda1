use db::{DbError, IngestTx, TenantTx};
use kernel::{ConnectionId, Time};
use kit::page::Window;
use serde_json::Value;
use sqlx::types::Json;
use uuid::Uuid;

use super::model::DataAccess;

pub(super) async fn insert_history(
    tx: &mut TenantTx,
    id: Uuid,
    connection: ConnectionId,
    before: DataAccess,
    after: DataAccess,
    reason: Option<&str>,
    now: Time,
) -> Result<(), DbError> {
    let (organization, actor) = (tx.organization(), tx.scope().actor());
    sqlx::query!(
        "
        -- insert_store_permission_audit
        insert into store_permission_audit (organization_id, id, connection_id, actor, before, after, reason, created_at)
        values ($1, $2, $3, $4, $5, $6, $7, $8)
        ",
        organization.uuid(),
        id,
        connection.uuid(),
        actor.label(),
        Json(before) as _,
        Json(after) as _,
        reason,
        now
    )
    .execute(tx.conn())
    .await?;
    Ok(())
}

pub struct HistoryRow {
    pub id: Uuid,
    pub actor: String,
    pub before: Json<DataAccess>,
    pub after: Json<DataAccess>,
    pub reason: Option<String>,
    pub created_at: Time,
}

pub(super) async fn history(
    tx: &mut TenantTx,
    connection: ConnectionId,
    window: Window,
) -> Result<Vec<HistoryRow>, DbError> {
    let organization = tx.organization();
    let rows = sqlx::query_as!(
        HistoryRow,
        r#"
        -- store_permission_history
        select id, actor, before as "before: Json<DataAccess>", after as "after: Json<DataAccess>", reason, created_at
        from store_permission_audit
        where organization_id = $1 and connection_id = $2 and id < $3
        order by id desc
        limit $4
        "#,
        organization.uuid(),
        connection.uuid(),
        window.before,
        window.fetch
    )
    .fetch_all(tx.conn())
    .await?;
    Ok(rows)
}

/// Writes a batch of access-log lines of any organizations, in one statement.
pub(super) async fn insert_accesses(tx: &mut IngestTx, lines: &Value) -> Result<(), DbError> {
    sqlx::query!(
        "
        -- insert_accesses
        insert into api_access_log (
            organization_id, id, actor, key_id, connection_id, resource, operation, result, records, fields_returned,
            fields_withheld, duration_ms, upstream_ms, request_id, created_at
        )
        select organization_id, id, actor, key_id, connection_id, resource, operation, result, records, fields_returned,
            fields_withheld, duration_ms, upstream_ms, request_id, created_at
        from jsonb_to_recordset($1) as line (
            organization_id uuid, id uuid, actor text, key_id uuid, connection_id uuid, resource text, operation text,
            result text, records integer, fields_returned text[], fields_withheld text[], duration_ms integer,
            upstream_ms integer, request_id text, created_at timestamptz
        )
        ",
        lines
    )
    .execute(tx.conn())
    .await?;
    Ok(())
}

pub(super) struct AccessRow {
    pub(super) id: Uuid,
    pub(super) actor: String,
    pub(super) key_id: Option<Uuid>,
    pub(super) connection_id: Option<Uuid>,
    pub(super) resource: String,
    pub(super) operation: String,
    pub(super) result: String,
    pub(super) records: Option<i32>,
    pub(super) fields_returned: Vec<String>,
    pub(super) fields_withheld: Vec<String>,
    pub(super) duration_ms: i32,
    pub(super) upstream_ms: Option<i32>,
    pub(super) request_id: Option<String>,
    pub(super) created_at: Time,
}

pub(super) async fn accesses(
    tx: &mut TenantTx,
    connection: Option<Uuid>,
    key: Option<Uuid>,
    window: Window,
) -> Result<Vec<AccessRow>, DbError> {
    let organization = tx.organization();
    let rows = sqlx::query_as!(
        AccessRow,
        "
        -- access_log
        select id, actor, key_id, connection_id, resource, operation, result, records, fields_returned, fields_withheld,
            duration_ms, upstream_ms, request_id, created_at
        from api_access_log
        where organization_id = $1 and id < $2
          and ($3::uuid is null or connection_id = $3)
          and ($4::uuid is null or key_id = $4)
        order by id desc
        limit $5
        ",
        organization.uuid(),
        window.before,
        connection,
        key,
        window.fetch
    )
    .fetch_all(tx.conn())
    .await?;
    Ok(rows)
}
