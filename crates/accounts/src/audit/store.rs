use db::{DbError, TenantTx};
use kernel::Time;
use serde_json::Value;
use uuid::Uuid;

use super::model::{Filter, Span};

pub(super) struct AuditRow {
    pub(super) id: Uuid,
    pub(super) actor: String,
    pub(super) action: String,
    pub(super) resource: String,
    pub(super) resource_id: Option<Uuid>,
    pub(super) before: Option<Value>,
    pub(super) after: Option<Value>,
    pub(super) request_id: Option<String>,
    pub(super) created_at: Time,
}

/// The last of so many lines of a span; None when it has fewer.
pub(super) async fn last_of(tx: &mut TenantTx, span: Span, lines: i64) -> Result<Option<Uuid>, DbError> {
    let organization = tx.organization();
    let id = sqlx::query_scalar!(
        "
        -- last_looked_at_audit
        select id from audit_log
        where organization_id = $1 and id >= $2 and id < $3
        order by id desc
        offset $4
        limit 1
        ",
        organization.uuid(),
        span.from,
        span.before,
        lines - 1
    )
    .fetch_optional(tx.conn())
    .await?;
    Ok(id)
}

/// The newest of a span that a filter leaves.
pub(super) async fn newest(
    tx: &mut TenantTx,
    filter: &Filter,
    span: Span,
    limit: i64,
) -> Result<Vec<AuditRow>, DbError> {
    let organization = tx.organization();
    let rows = sqlx::query_as!(
        AuditRow,
        "
        -- newest_audit
        select id, actor, action, resource, resource_id, before, after, request_id, created_at
        from audit_log
        where organization_id = $1 and id >= $2 and id < $3
          and ($5::text is null or actor = $5)
          and ($6::text is null or action = $6)
          and ($7::text is null or starts_with(action, $7))
          and ($8::text is null or resource = $8)
          and ($9::uuid is null or resource_id = $9)
          and ($10::text is null or request_id = $10)
          and ($11::timestamptz is null or created_at >= $11)
          and ($12::timestamptz is null or created_at < $12)
        order by id desc
        limit $4
        ",
        organization.uuid(),
        span.from,
        span.before,
        limit,
        filter.actor,
        filter.action,
        filter.action_prefix,
        filter.resource,
        filter.resource_id,
        filter.request_id,
        filter.created_after,
        filter.created_before
    )
    .fetch_all(tx.conn())
    .await?;
    Ok(rows)
}
