use db::{DbError, PgConnection};
use kernel::{Actor, EventId, OrganizationId, Time};
use uuid::Uuid;

use super::{Change, Event};

pub(super) async fn insert_event(
    conn: &mut PgConnection,
    id: EventId,
    organization: OrganizationId,
    actor: Actor,
    event: Event,
    now: Time,
) -> Result<(), DbError> {
    sqlx::query!(
        "
        -- insert_event
        insert into events (organization_id, id, connection_id, level, event_type, message, meta, actor, created_at)
        values ($1, $2, $3, $4, $5, $6, $7, $8, $9)
        ",
        organization.uuid(),
        id.uuid(),
        event.connection.map(Uuid::from),
        event.level.as_str(),
        event.event_type,
        event.message,
        event.meta,
        actor.label(),
        now
    )
    .execute(conn)
    .await?;
    Ok(())
}

pub(super) async fn insert_audit(
    conn: &mut PgConnection,
    id: Uuid,
    organization: OrganizationId,
    actor: Actor,
    change: Change,
    request_id: Option<String>,
    now: Time,
) -> Result<(), DbError> {
    sqlx::query!(
        "
        -- insert_audit
        insert into audit_log (organization_id, id, actor, action, resource, resource_id, before, after, request_id, created_at)
        values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)
        ",
        organization.uuid(),
        id,
        actor.label(),
        change.action,
        change.resource,
        change.resource_id,
        change.before,
        change.after,
        request_id,
        now
    )
    .execute(conn)
    .await?;
    Ok(())
}
