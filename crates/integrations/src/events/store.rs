use db::{DbError, TenantTx};
use kernel::Time;
use kit::trail::chain::Position;
use serde_json::Value;
use uuid::Uuid;

use super::model::{Driver, Filter, Span};

pub(super) struct EventRow {
    pub(super) id: Uuid,
    pub(super) connection_id: Option<Uuid>,
    pub(super) level: String,
    pub(super) event_type: String,
    pub(super) message: String,
    pub(super) meta: Value,
    pub(super) actor: String,
    pub(super) created_at: Time,
}

/// The queries of one index. Plans are made without values, so each index has queries of its own, in which its column is
/// compared outright; whatever may be absent is asked of the lines that the index leads to. No comparison of texts but
/// equality could be an index's anyway: row level security lets only leakproof functions come before it.
macro_rules! by_index {
    ($index:ident, $driven:literal, $bounded:literal $(, $field:ident)?) => {
        mod $index {
            use super::{DbError, EventRow, Filter, Span, TenantTx, Uuid};

            pub(super) async fn newest(
                tx: &mut TenantTx,
                filter: &Filter,
                span: Span,
                fetch: i64,
            ) -> Result<Vec<EventRow>, DbError> {
                let organization = tx.organization();
                let rows = sqlx::query_as!(
                    EventRow,
                    "
                        -- newest_events
                        select id, connection_id, level, event_type, message, meta, actor, created_at
                        from events
                        where organization_id = $1 and id >= $2 and id < $3
                          and ($5::uuid is null or connection_id = $5)
                          and ($6::text is null or level = $6)
                          and ($7::text is null or event_type = $7)
                          and ($8::text is null or starts_with(event_type, $8))
                          and ($9::text is null or actor = $9)
                          and ($10::timestamptz is null or created_at >= $10)
                          and ($11::timestamptz is null or created_at < $11)
                          and ($12::text is null or strpos(lower(message), lower($12)) > 0)
                        " + $driven
                        + " order by id desc limit $4",
                    organization.uuid(),
                    span.from,
                    span.before,
                    fetch,
                    filter.connection,
                    filter.level,
                    filter.event_type,
                    filter.type_prefix,
                    filter.actor,
                    filter.created_after,
                    filter.created_before,
                    filter.search
                )
                .fetch_all(tx.conn())
                .await?;
                Ok(rows)
            }

            pub(super) async fn count(tx: &mut TenantTx, filter: &Filter, span: Span, most: i64) -> Result<i64, DbError> {
                let organization = tx.organization();
                let count = sqlx::query_scalar!(
                    "
                        -- count_events
                        select count(*) as \"count!\"
                        from (
                        select 1 as one
                        from events
                        where organization_id = $1 and id >= $2 and id < $3
                          and ($5::uuid is null or connection_id = $5)
                          and ($6::text is null or level = $6)
                          and ($7::text is null or event_type = $7)
                          and ($8::text is null or starts_with(event_type, $8))
                          and ($9::text is null or actor = $9)
                          and ($10::timestamptz is null or created_at >= $10)
                          and ($11::timestamptz is null or created_at < $11)
                          and ($12::text is null or strpos(lower(message), lower($12)) > 0)
                        " + $driven
                        + " limit $4) counted",
                    organization.uuid(),
                    span.from,
                    span.before,
                    most,
                    filter.connection,
                    filter.level,
                    filter.event_type,
                    filter.type_prefix,
                    filter.actor,
                    filter.created_after,
                    filter.created_before,
                    filter.search
                )
                .fetch_one(tx.conn())
                .await?;
                Ok(count)
            }

            pub(super) async fn last_of(
                tx: &mut TenantTx,
                filter: &Filter,
                span: Span,
                lines: i64,
            ) -> Result<Option<Uuid>, DbError> {
                let organization = tx.organization();
                let _unused_without_a_filter = filter;
                let id = sqlx::query_scalar!(
                    "
                        -- last_of_events
                        select id
                        from events
                        where organization_id = $1 and id >= $2 and id < $3
                        " + $bounded
                        + " order by id desc offset $4 limit 1",
                    organization.uuid(),
                    span.from,
                    span.before,
                    lines - 1
                    $(, filter.$field)?
                )
                .fetch_optional(tx.conn())
                .await?;
                Ok(id)
            }
        }
    };
}

by_index!(all, "", "");
by_index!(by_connection, "and connection_id = $5", "and connection_id = $5", connection);
// The index leaves out `info`.
by_index!(by_level, "and level = $6 and level <> 'info'", "and level = $5 and level <> 'info'", level);
by_index!(by_type, "and event_type = $7", "and event_type = $5", event_type);
by_index!(by_actor, "and actor = $9", "and actor = $5", actor);

macro_rules! driven_by {
    ($filter:expr, $function:ident($($argument:expr),+)) => {
        match $filter.driver() {
            Driver::All => all::$function($($argument),+).await,
            Driver::Connection => by_connection::$function($($argument),+).await,
            Driver::Level => by_level::$function($($argument),+).await,
            Driver::Type => by_type::$function($($argument),+).await,
            Driver::Actor => by_actor::$function($($argument),+).await,
        }
    };
}

/// The newest lines of a span that the filter leaves.
pub(super) async fn newest(
    tx: &mut TenantTx,
    filter: &Filter,
    span: Span,
    fetch: i64,
) -> Result<Vec<EventRow>, DbError> {
    driven_by!(filter, newest(tx, filter, span, fetch))
}

/// How many lines the filter leaves of a span, counted to `most`.
pub(super) async fn count(tx: &mut TenantTx, filter: &Filter, span: Span, most: i64) -> Result<i64, DbError> {
    driven_by!(filter, count(tx, filter, span, most))
}

/// The last of the newest `lines` of a span in the filter's index; None when there are fewer.
pub(super) async fn last_of(
    tx: &mut TenantTx,
    filter: &Filter,
    span: Span,
    lines: i64,
) -> Result<Option<Uuid>, DbError> {
    driven_by!(filter, last_of(tx, filter, span, lines))
}

/// The oldest line of the organization in a span.
pub(super) async fn oldest(tx: &mut TenantTx, span: Span) -> Result<Option<Uuid>, DbError> {
    let organization = tx.organization();
    let id = sqlx::query_scalar!(
        "
        -- oldest_event
        select id
        from events
        where organization_id = $1 and id >= $2 and id < $3
        order by id
        limit 1
        ",
        organization.uuid(),
        span.from,
        span.before
    )
    .fetch_optional(tx.conn())
    .await?;
    Ok(id)
}

/// A line, as those who follow the log meet it.
pub(super) struct FollowedRow {
    pub(super) position: Position,
    /// Nothing can appear before it any more.
    pub(super) is_settled: bool,
    /// The filter leaves it.
    pub(super) is_asked: bool,
    pub(super) event: EventRow,
}

/// The next lines behind a position in the order of commits; first those that are settled.
pub(super) async fn after(
    tx: &mut TenantTx,
    filter: &Filter,
    position: Position,
    told: Option<&str>,
    limit: i64,
) -> Result<Vec<FollowedRow>, DbError> {
    let organization = tx.organization();
    let rows = sqlx::query!(
        "
        -- events_after
        select xid::text::bigint as \"xid!\", id, connection_id, level, event_type, message, meta, actor, created_at,
            xid < (select pg_snapshot_xmin(pg_current_snapshot())) as \"is_settled!\",
            (
                ($5::uuid is null or connection_id = $5)
                and ($6::text is null or level = $6)
                and ($7::text is null or event_type = $7)
                and ($8::text is null or starts_with(event_type, $8))
                and ($9::text is null or actor = $9)
                and ($10::timestamptz is null or created_at >= $10)
                and ($11::timestamptz is null or created_at < $11)
                and ($12::text is null or strpos(lower(message), lower($12)) > 0)
                and ($13::text is null or not pg_visible_in_snapshot(xid, $13::text::pg_snapshot))
            ) is true as \"is_asked!\"
        from events
        where organization_id = $1 and (xid, id) > ($2::bigint::text::xid8, $3::uuid)
        order by events.xid, events.id
        limit $4
        ",
        organization.uuid(),
        position.xid,
        position.id,
        limit,
        filter.connection,
        filter.level,
        filter.event_type,
        filter.type_prefix,
        filter.actor,
        filter.created_after,
        filter.created_before,
        filter.search,
        told
    )
    .fetch_all(tx.conn())
    .await?;
    let lines = rows.into_iter().map(|row| FollowedRow {
        position: Position { xid: row.xid, id: row.id },
        is_settled: row.is_settled,
        is_asked: row.is_asked,
        event: EventRow {
            id: row.id,
            connection_id: row.connection_id,
            level: row.level,
            event_type: row.event_type,
            message: row.message,
            meta: row.meta,
            actor: row.actor,
            created_at: row.created_at,
        },
    });
    Ok(lines.collect())
}

/// What can be seen at a moment.
pub(super) struct Snapshot {
    /// The oldest transaction that may still write: whatever is below it is settled.
    pub(super) oldest_running: i64,
    /// As PostgreSQL writes a `pg_snapshot`.
    pub(super) text: String,
}

pub(super) async fn snapshot(tx: &mut TenantTx) -> Result<Snapshot, DbError> {
    let snapshot = sqlx::query_as!(
        Snapshot,
        "
        -- followed_from
        select pg_snapshot_xmin(now)::text::bigint as \"oldest_running!\", now::text as \"text!\"
        from pg_current_snapshot() now
        "
    )
    .fetch_one(tx.conn())
    .await?;
    Ok(snapshot)
}
