use db::{DbError, IngestOnce, TenantTx};
use kernel::{ConnectionId, Time};
use kit::{page::Window, retention::Due};
use sqlx::types::Json;
use uuid::Uuid;

use super::{access_log::Access, model::DataAccess};

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

/// Writes a batch of access-log lines of any organizations, in one statement. Columns come as arrays, and lists of field
/// names, which have no commas, as one text each: PostgreSQL has no arrays of arrays of different lengths.
pub(super) async fn insert_accesses<'a>(
    once: &mut IngestOnce,
    lines: impl Iterator<Item = &'a Access> + Clone,
) -> Result<(), DbError> {
    let joined = |names: fn(&Access) -> &[&'static str]| {
        lines.clone().map(move |line| names(line).join(",")).collect::<Vec<_>>()
    };
    let small = |value: Option<u32>| value.map(|value| i32::try_from(value).unwrap_or(i32::MAX));
    sqlx::query!(
        "
        -- insert_accesses
        insert into api_access_log (
            organization_id, id, actor, key_id, connection_id, resource, operation, result, records, fields_returned,
            fields_withheld, duration_ms, upstream_ms, request_id, created_at
        )
        select organization_id, id, actor, key_id, connection_id, resource, operation, result, records,
            string_to_array(fields_returned, ','), string_to_array(fields_withheld, ','), duration_ms, upstream_ms, request_id,
            created_at
        from unnest(
            $1::uuid[], $2::uuid[], $3::text[], $4::uuid[], $5::uuid[], $6::text[], $7::text[], $8::text[], $9::integer[],
            $10::text[], $11::text[], $12::integer[], $13::integer[], $14::text[], $15::timestamptz[]
        ) as line (
            organization_id, id, actor, key_id, connection_id, resource, operation, result, records, fields_returned,
            fields_withheld, duration_ms, upstream_ms, request_id, created_at
        )
        ",
        &lines.clone().map(|line| line.organization_id.uuid()).collect::<Vec<_>>(),
        &lines.clone().map(|line| line.id.uuid()).collect::<Vec<_>>(),
        &lines.clone().map(|line| line.actor.as_str()).collect::<Vec<_>>() as _,
        &lines.clone().map(|line| line.key_id).collect::<Vec<_>>() as _,
        &lines.clone().map(|line| line.connection_id.map(ConnectionId::uuid)).collect::<Vec<_>>() as _,
        &lines.clone().map(|line| line.resource).collect::<Vec<_>>() as _,
        &lines.clone().map(|line| line.operation).collect::<Vec<_>>() as _,
        &lines.clone().map(|line| line.result).collect::<Vec<_>>() as _,
        &lines.clone().map(|line| small(line.records)).collect::<Vec<_>>() as _,
        &joined(|line| &line.fields_returned),
        &joined(|line| &line.fields_withheld),
        &lines.clone().map(|line| small(Some(line.duration_ms)).unwrap_or_default()).collect::<Vec<_>>(),
        &lines.clone().map(|line| small(line.upstream_ms)).collect::<Vec<_>>() as _,
        &lines.clone().map(|line| line.request_id.as_deref()).collect::<Vec<_>>() as _,
        &lines.clone().map(|line| line.created_at).collect::<Vec<_>>()
    )
    .execute(once.conn())
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

/// Newest first, of one store or of all, by one key or by all.
pub(super) async fn accesses(
    tx: &mut TenantTx,
    connection: Option<Uuid>,
    key: Option<Uuid>,
    window: Window,
) -> Result<Vec<AccessRow>, DbError> {
    match connection {
        Some(connection) => accesses_of_connection(tx, connection, key, window).await,
        None => accesses_of_all(tx, key, window).await,
    }
}

async fn accesses_of_all(tx: &mut TenantTx, key: Option<Uuid>, window: Window) -> Result<Vec<AccessRow>, DbError> {
    let organization = tx.organization();
    let rows = sqlx::query_as!(
        AccessRow,
        "
        -- access_log
        select id, actor, key_id, connection_id, resource, operation, result, records, fields_returned, fields_withheld,
            duration_ms, upstream_ms, request_id, created_at
        from api_access_log
        where organization_id = $1 and id < $2 and ($3::uuid is null or key_id = $3)
        order by id desc
        limit $4
        ",
        organization.uuid(),
        window.before,
        key,
        window.fetch
    )
    .fetch_all(tx.conn())
    .await?;
    Ok(rows)
}

async fn accesses_of_connection(
    tx: &mut TenantTx,
    connection: Uuid,
    key: Option<Uuid>,
    window: Window,
) -> Result<Vec<AccessRow>, DbError> {
    let organization = tx.organization();
    let rows = sqlx::query_as!(
        AccessRow,
        "
        -- access_log_of_connection
        select id, actor, key_id, connection_id, resource, operation, result, records, fields_returned, fields_withheld,
            duration_ms, upstream_ms, request_id, created_at
        from api_access_log
        where organization_id = $1 and connection_id = $2 and id < $3 and ($4::uuid is null or key_id = $4)
        order by id desc
        limit $5
        ",
        organization.uuid(),
        connection,
        window.before,
        key,
        window.fetch
    )
    .fetch_all(tx.conn())
    .await?;
    Ok(rows)
}

/// Removes lines of before then: also of an organization that is gone they stay until then.
pub(super) async fn purge_history(tx: &mut TenantTx, due: Due, limit: i64) -> Result<u64, DbError> {
    let organization = tx.organization();
    let done = sqlx::query!(
        "
        -- purge_store_permission_audit
        delete from store_permission_audit
        where organization_id = $1 and id in (
            select id from store_permission_audit where organization_id = $1 and created_at < $2 limit $3
        )
        ",
        organization.uuid(),
        due.before,
        limit
    )
    .execute(tx.conn())
    .await?;
    Ok(done.rows_affected())
}
