use db::{DbError, PgConnection, SystemTx, TenantTx};
use kernel::{NotificationId, OrganizationId, Time, UserId};
use kit::page::Window;
use serde_json::Value;
use sqlx::Connection as _;
use uuid::Uuid;

use super::Notice;

const SEAT: &str = "notifications_organization_id_user_id_fkey";

/// Whether they are told now; not if they were told of the same before, or have lost their seat since they were looked up. The row of a
/// seat cannot be held instead: policies let only those lock it who may change members.
pub(super) async fn insert(
    conn: &mut PgConnection,
    organization: OrganizationId,
    id: NotificationId,
    user: UserId,
    notice: &Notice,
    now: Time,
) -> Result<bool, DbError> {
    let other = notice.about.and_then(super::About::other);
    let mut attempt = conn.begin().await?;
    let done = sqlx::query!(
        "
        -- insert_notification
        insert into notifications
            (organization_id, id, user_id, kind, severity, params, connection_id, resource, resource_id, dedupe_key, created_at)
        values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)
        on conflict do nothing
        ",
        organization.uuid(),
        id.uuid(),
        user.uuid(),
        notice.kind.as_str(),
        notice.kind.severity(),
        notice.params,
        notice.about.and_then(super::About::connection),
        other.map(|(name, _)| name),
        other.map(|(_, id)| id),
        notice.dedupe_key,
        now
    )
    .execute(&mut *attempt)
    .await
    .map_err(DbError::from);
    match done {
        Ok(done) => {
            attempt.commit().await?;
            Ok(done.rows_affected() == 1)
        }
        Err(DbError::Constraint { constraint }) if constraint == SEAT => {
            attempt.rollback().await?;
            Ok(false)
        }
        Err(error) => Err(error),
    }
}

/// An owner who can act.
pub struct Owner {
    pub user_id: UserId,
    pub name: String,
    pub email: String,
    /// Whether their address is confirmed: nobody else is written to.
    pub is_verified: bool,
    pub organization_name: String,
}

pub(super) async fn owners(conn: &mut PgConnection, organization: OrganizationId) -> Result<Vec<Owner>, DbError> {
    let rows = sqlx::query_as!(
        Owner,
        r#"
        -- owners
        select m.user_id, u.name, u.email, u.email_verified_at is not null as "is_verified!", o.name as organization_name
        from organization_members m
        join users u on u.id = m.user_id
        join organizations o on o.id = m.organization_id
        where m.organization_id = $1 and m.role = 'owner' and m.status = 'active'
        order by m.id
        limit 50
        "#,
        organization.uuid()
    )
    .fetch_all(conn)
    .await?;
    Ok(rows)
}

pub(super) struct NotificationRow {
    pub(super) id: NotificationId,
    pub(super) kind: String,
    pub(super) severity: String,
    pub(super) params: Value,
    pub(super) connection_id: Option<Uuid>,
    pub(super) resource: Option<String>,
    pub(super) resource_id: Option<Uuid>,
    pub(super) read_at: Option<Time>,
    pub(super) created_at: Time,
}

pub(super) async fn newest(tx: &mut TenantTx, user: UserId, window: Window) -> Result<Vec<NotificationRow>, DbError> {
    let organization = tx.organization();
    let rows = sqlx::query_as!(
        NotificationRow,
        "
        -- newest_notifications
        select id, kind, severity, params, connection_id, resource, resource_id, read_at, created_at
        from notifications
        where organization_id = $1 and user_id = $2 and id < $3
        order by id desc
        limit $4
        ",
        organization.uuid(),
        user.uuid(),
        window.before,
        window.fetch
    )
    .fetch_all(tx.conn())
    .await?;
    Ok(rows)
}

/// How many are unread, counted to a thousand.
pub(super) async fn count_unread(tx: &mut TenantTx, user: UserId) -> Result<i64, DbError> {
    let organization = tx.organization();
    let count = sqlx::query_scalar!(
        r#"
        -- count_unread_notifications
        select count(*) as "count!"
        from (
            select 1 as one from notifications where organization_id = $1 and user_id = $2 and read_at is null limit 1000
        ) unread
        "#,
        organization.uuid(),
        user.uuid()
    )
    .fetch_one(tx.conn())
    .await?;
    Ok(count)
}

/// Whether it is there, and theirs. The first time that it is read counts.
pub(super) async fn read(tx: &mut TenantTx, user: UserId, id: NotificationId, now: Time) -> Result<bool, DbError> {
    let organization = tx.organization();
    let done = sqlx::query!(
        "
        -- read_notification
        update notifications set read_at = coalesce(read_at, $4) where organization_id = $1 and user_id = $2 and id = $3
        ",
        organization.uuid(),
        user.uuid(),
        id.uuid(),
        now
    )
    .execute(tx.conn())
    .await?;
    Ok(done.rows_affected() == 1)
}

pub(super) async fn read_all(tx: &mut TenantTx, user: UserId, now: Time) -> Result<(), DbError> {
    let organization = tx.organization();
    sqlx::query!(
        "
        -- read_notifications
        update notifications set read_at = $3 where organization_id = $1 and user_id = $2 and read_at is null
        ",
        organization.uuid(),
        user.uuid(),
        now
    )
    .execute(tx.conn())
    .await?;
    Ok(())
}

pub(super) async fn purge(tx: &mut SystemTx, before: Time, limit: i64) -> Result<u64, DbError> {
    let done = sqlx::query!(
        "
        -- purge_notifications
        delete from notifications
        where (organization_id, id) in (
            select organization_id, id from notifications where created_at < $1 order by created_at limit $2
        )
        ",
        before,
        limit
    )
    .execute(tx.conn())
    .await?;
    Ok(done.rows_affected())
}
