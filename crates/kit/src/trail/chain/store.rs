use db::{DbError, SystemTx, TenantTx};
use uuid::Uuid;

use super::{Log, Position, Seal, line::Line};

/// The same queries of two logs that differ in their columns.
macro_rules! log {
    ($log:ident, $lines:literal, $seals:literal, $columns:literal) => {
        mod $log {
            use super::{DbError, Line, Position, Seal, TenantTx, Uuid};

            pub(super) async fn next_lines(tx: &mut TenantTx, after: Position, limit: i64) -> Result<Vec<Line>, DbError> {
                let organization = tx.organization();
                let rows = sqlx::query!(
                    "
                    -- next_lines
                    select xid::text::bigint as \"xid!\", id, " + $columns + " as \"columns!: Vec<Option<String>>\"
                    from " + $lines + "
                    where organization_id = $1 and (xid, id) > ($2::bigint::text::xid8, $3::uuid)
                      and xid < pg_snapshot_xmin(pg_current_snapshot())
                    order by xid, id
                    limit $4
                    ",
                    organization.uuid(),
                    after.xid,
                    after.id,
                    limit
                )
                .fetch_all(tx.conn())
                .await?;
                Ok(rows.into_iter().map(|row| Line { position: Position { xid: row.xid, id: row.id }, columns: row.columns }).collect())
            }

            pub(super) async fn is_there(tx: &mut TenantTx, id: Uuid) -> Result<bool, DbError> {
                let organization = tx.organization();
                let found = sqlx::query_scalar!(
                    "
                    -- line_is_there
                    select exists (select 1 from " + $lines + " where organization_id = $1 and id = $2) as \"found!\"
                    ",
                    organization.uuid(),
                    id
                )
                .fetch_one(tx.conn())
                .await?;
                Ok(found)
            }

            pub(super) async fn last_seal(tx: &mut TenantTx) -> Result<Option<Seal>, DbError> {
                let organization = tx.organization();
                let row = sqlx::query!(
                    "
                    -- last_seal
                    select number, last_xid::text::bigint as \"last_xid!\", last_id, lines, previous, hash, created_at
                    from " + $seals + "
                    where organization_id = $1
                    order by number desc, id desc
                    limit 1
                    ",
                    organization.uuid()
                )
                .fetch_optional(tx.conn())
                .await?;
                Ok(row.map(|row| Seal {
                    number: row.number,
                    last: Position { xid: row.last_xid, id: row.last_id },
                    lines: row.lines,
                    previous: row.previous,
                    hash: row.hash,
                    created_at: row.created_at,
                }))
            }

            pub(super) async fn next_seal(tx: &mut TenantTx, after: (i64, Uuid)) -> Result<Option<(Uuid, Seal)>, DbError> {
                let organization = tx.organization();
                let row = sqlx::query!(
                    "
                    -- next_seal
                    select id, number, last_xid::text::bigint as \"last_xid!\", last_id, lines, previous, hash, created_at
                    from " + $seals + "
                    where organization_id = $1 and (number, id) > ($2, $3)
                    order by number, id
                    limit 1
                    ",
                    organization.uuid(),
                    after.0,
                    after.1
                )
                .fetch_optional(tx.conn())
                .await?;
                Ok(row.map(|row| {
                    let last = Position { xid: row.last_xid, id: row.last_id };
                    let (number, lines, previous, hash) = (row.number, row.lines, row.previous, row.hash);
                    (row.id, Seal { number, last, lines, previous, hash, created_at: row.created_at })
                }))
            }

            pub(super) async fn insert(tx: &mut TenantTx, id: Uuid, seal: &Seal) -> Result<(), DbError> {
                let organization = tx.organization();
                sqlx::query!(
                    "
                    -- insert_seal
                    insert into " + $seals + " (organization_id, id, number, last_xid, last_id, lines, previous, hash, created_at)
                    values ($1, $2, $3, $4::bigint::text::xid8, $5, $6, $7, $8, $9)
                    ",
                    organization.uuid(),
                    id,
                    seal.number,
                    seal.last.xid,
                    seal.last.id,
                    seal.lines,
                    seal.previous,
                    seal.hash,
                    seal.created_at
                )
                .execute(tx.conn())
                .await?;
                Ok(())
            }

            pub(super) async fn oldest_month(tx: &mut TenantTx) -> Result<Option<String>, DbError> {
                let month = sqlx::query_scalar!(
                    "
                    -- oldest_partition
                    select min(right(c.relname::text, 7))
                    from pg_inherits i
                    join pg_class c on c.oid = i.inhrelid
                    where i.inhparent = to_regclass('public." + $lines + "')
                    "
                )
                .fetch_one(tx.conn())
                .await?;
                Ok(month)
            }
        }
    };
}

// All columns of a log, in an order that is part of the canonical form.
log!(
    events,
    "events",
    "event_seals",
    "array[organization_id::text, id::text, xid::text, connection_id::text, level, event_type, message, meta::text, actor, (extract(epoch from created_at) * 1000000)::bigint::text]"
);
log!(
    audit,
    "audit_log",
    "audit_seals",
    "array[organization_id::text, id::text, xid::text, actor, action, resource, resource_id::text, before::text, after::text, request_id, (extract(epoch from created_at) * 1000000)::bigint::text]"
);

macro_rules! of_log {
    ($log:expr, $function:ident($($argument:expr),+)) => {
        match $log {
            Log::Events => events::$function($($argument),+).await,
            Log::Audit => audit::$function($($argument),+).await,
        }
    };
}

/// Waits for whoever seals this log of the organization, until the transaction ends.
pub(super) async fn lock(tx: &mut TenantTx, log: Log) -> Result<(), DbError> {
    let name = format!("seal {} {}", log.as_str(), tx.organization());
    sqlx::query!(
        "
        -- lock_seals
        select pg_advisory_xact_lock(hashtextextended($1, 9))
        ",
        name
    )
    .fetch_one(tx.conn())
    .await?;
    Ok(())
}

/// The lines after a position, in the order of their commits, as far as that is settled: below the oldest transaction that
/// still runs.
pub(super) async fn next_lines(tx: &mut TenantTx, log: Log, after: Position, limit: i64) -> Result<Vec<Line>, DbError> {
    of_log!(log, next_lines(tx, after, limit))
}

/// Whether there is a line of this id, wherever.
pub(super) async fn is_there(tx: &mut TenantTx, log: Log, id: Uuid) -> Result<bool, DbError> {
    of_log!(log, is_there(tx, id))
}

pub(super) async fn last_seal(tx: &mut TenantTx, log: Log) -> Result<Option<Seal>, DbError> {
    of_log!(log, last_seal(tx))
}

/// The seal after one, by number and id.
pub(super) async fn next_seal(
    tx: &mut TenantTx,
    log: Log,
    after: (i64, Uuid),
) -> Result<Option<(Uuid, Seal)>, DbError> {
    of_log!(log, next_seal(tx, after))
}

pub(super) async fn insert(tx: &mut TenantTx, log: Log, id: Uuid, seal: &Seal) -> Result<(), DbError> {
    of_log!(log, insert(tx, id, seal))
}

/// The month (`2026_11`) of the log's oldest partition: what was before has left with its partition.
pub(super) async fn oldest_month(tx: &mut TenantTx, log: Log) -> Result<Option<String>, DbError> {
    of_log!(log, oldest_month(tx))
}

/// A page of all organizations, also of those that were deleted: their logs are kept.
pub(super) async fn organizations(tx: &mut SystemTx, after: Option<Uuid>, limit: i64) -> Result<Vec<Uuid>, DbError> {
    let ids = sqlx::query_scalar!(
        "
        -- organizations_with_logs
        select id from organizations
        where $1::uuid is null or id > $1
        order by id
        limit $2
        ",
        after,
        limit
    )
    .fetch_all(tx.conn())
    .await?;
    Ok(ids)
}
