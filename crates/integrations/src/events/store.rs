use db::{DbError, TenantTx};
use kernel::Time;
use kit::page::Window;
use serde_json::Value;
use uuid::Uuid;

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

pub(super) async fn newest(
    tx: &mut TenantTx,
    connection: Option<Uuid>,
    window: Window,
) -> Result<Vec<EventRow>, DbError> {
    match connection {
        Some(connection) => newest_of_connection(tx, connection, window).await,
        None => newest_of_all(tx, window).await,
    }
}

async fn newest_of_all(tx: &mut TenantTx, window: Window) -> Result<Vec<EventRow>, DbError> {
    let organization = tx.organization();
    let rows = sqlx::query_as!(
        EventRow,
        "
        -- newest_events
        select id, connection_id, level, event_type, message, meta, actor, created_at
        from events
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

async fn newest_of_connection(tx: &mut TenantTx, connection: Uuid, window: Window) -> Result<Vec<EventRow>, DbError> {
    let organization = tx.organization();
    let rows = sqlx::query_as!(
        EventRow,
        "
        -- newest_events_of_connection
        select id, connection_id, level, event_type, message, meta, actor, created_at
        from events
        where organization_id = $1 and connection_id = $2 and id < $3
        order by id desc
        limit $4
        ",
        organization.uuid(),
        connection,
        window.before,
        window.fetch
    )
    .fetch_all(tx.conn())
    .await?;
    Ok(rows)
}
