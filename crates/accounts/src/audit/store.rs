use db::{DbError, TenantTx};
use kernel::Time;
use kit::page::Window;
use serde_json::Value;
use uuid::Uuid;

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

pub(super) async fn newest(tx: &mut TenantTx, window: Window) -> Result<Vec<AuditRow>, DbError> {
    let organization = tx.organization();
    let rows = sqlx::query_as!(
        AuditRow,
        "
        -- newest_audit
        select id, actor, action, resource, resource_id, before, after, request_id, created_at
        from audit_log
        where organization_id = $1 and id < $2
        order by id desc
        limit $3
        ",
        organization.uuid(),
        window.before,
        window.fetch
    )
    .fetch_all(tx.conn())
    .await?;
    Ok(rows)
}
