use db::{DbError, TenantTx};
use kernel::{ConnectionId, DataKeyId, Effect, Grant, GrantId, MemberId, Time, UserId};
use kit::{Problem, page::Window, retention::Due};
use sqlx::types::Json;
use uuid::Uuid;

use super::model::StoredGrant;

/// A grant that was not taken back. It may have ended.
pub struct GrantRow {
    pub id: GrantId,
    pub member_id: MemberId,
    pub effect: String,
    pub resource: String,
    pub action: String,
    pub resource_id: Option<Uuid>,
    /// In clear: of a program before this one, or once it was opened.
    pub reason: Option<String>,
    pub sealed_reason: Option<Vec<u8>>,
    pub data_key_id: Option<Uuid>,
    pub ends_at: Option<Time>,
    pub created_by: Option<Uuid>,
    pub created_at: Time,
}

impl GrantRow {
    /// The connection that it is about.
    pub fn connection(&self) -> Option<ConnectionId> {
        self.resource_id.map(ConnectionId::from)
    }

    /// None for a permission that this program does not know.
    pub(super) fn grant(&self) -> Result<Option<Grant>, Problem> {
        let effect: Effect = self.effect.parse().map_err(|error| Problem::internal(&error))?;
        let (Ok(resource), Ok(action)) = (self.resource.parse(), self.action.parse()) else { return Ok(None) };
        Ok(Some(Grant { effect, resource, action, connection: self.connection(), ends_at: self.ends_at }))
    }
}

pub(super) async fn newest(tx: &mut TenantTx, member: MemberId, window: Window) -> Result<Vec<GrantRow>, DbError> {
    let organization = tx.organization();
    let rows = sqlx::query_as!(
        GrantRow,
        r#"
        -- newest_grants
        select id, member_id, effect, resource, action, resource_id, reason, sealed_reason, data_key_id, ends_at,
            created_by, created_at
        from permission_grants
        where organization_id = $1 and member_id = $2 and id < $3 and deleted_at is null
        order by id desc
        limit $4
        "#,
        organization.uuid(),
        member.uuid(),
        window.before,
        window.fetch
    )
    .fetch_all(tx.conn())
    .await?;
    Ok(rows)
}

/// All of a member, of whom no more than `GRANTS_MAX` are made.
pub(super) async fn all_of(tx: &mut TenantTx, member: MemberId) -> Result<Vec<GrantRow>, DbError> {
    let organization = tx.organization();
    let rows = sqlx::query_as!(
        GrantRow,
        r#"
        -- grants_of_member
        select id, member_id, effect, resource, action, resource_id, reason, sealed_reason, data_key_id, ends_at,
            created_by, created_at
        from permission_grants
        where organization_id = $1 and member_id = $2 and deleted_at is null
        limit 1000
        "#,
        organization.uuid(),
        member.uuid()
    )
    .fetch_all(tx.conn())
    .await?;
    Ok(rows)
}

pub(super) async fn find_for_update(
    tx: &mut TenantTx,
    member: MemberId,
    id: GrantId,
) -> Result<Option<GrantRow>, DbError> {
    let organization = tx.organization();
    let row = sqlx::query_as!(
        GrantRow,
        r#"
        -- lock_grant
        select id, member_id, effect, resource, action, resource_id, reason, sealed_reason, data_key_id, ends_at,
            created_by, created_at
        from permission_grants
        where organization_id = $1 and member_id = $2 and id = $3 and deleted_at is null
        for update
        "#,
        organization.uuid(),
        member.uuid(),
        id.uuid()
    )
    .fetch_optional(tx.conn())
    .await?;
    Ok(row)
}

pub(super) async fn count(tx: &mut TenantTx, member: MemberId) -> Result<i64, DbError> {
    let organization = tx.organization();
    let count = sqlx::query_scalar!(
        r#"
        -- count_grants
        select count(*) as "count!" from permission_grants
        where organization_id = $1 and member_id = $2 and deleted_at is null
        "#,
        organization.uuid(),
        member.uuid()
    )
    .fetch_one(tx.conn())
    .await?;
    Ok(count)
}

pub(super) async fn is_connection(tx: &mut TenantTx, id: ConnectionId) -> Result<bool, DbError> {
    let organization = tx.organization();
    let is_there = sqlx::query_scalar!(
        r#"
        -- connection_of_grant
        select exists (select 1 from connections where organization_id = $1 and id = $2 and deleted_at is null) as "is_there!"
        "#,
        organization.uuid(),
        id.uuid()
    )
    .fetch_one(tx.conn())
    .await?;
    Ok(is_there)
}

pub(super) struct SeatRow {
    pub(super) role: String,
    pub(super) grants: Json<Vec<StoredGrant>>,
}

/// The active seat of a person, with what it may do.
pub(super) async fn seat_of(tx: &mut TenantTx, user: UserId) -> Result<Option<SeatRow>, DbError> {
    let organization = tx.organization();
    let row = sqlx::query_as!(
        SeatRow,
        r#"
        -- seat_of_user
        select m.role, app.grants_of(m.organization_id, m.id) as "grants!: Json<Vec<StoredGrant>>"
        from organization_members m
        where m.organization_id = $1 and m.user_id = $2 and m.status = 'active'
        "#,
        organization.uuid(),
        user.uuid()
    )
    .fetch_optional(tx.conn())
    .await?;
    Ok(row)
}

/// Takes back what has ended, so that the same can be granted anew.
pub(super) async fn retire_ended(
    tx: &mut TenantTx,
    member: MemberId,
    grant: &Grant,
    by: UserId,
    now: Time,
) -> Result<(), DbError> {
    let organization = tx.organization();
    sqlx::query!(
        "
        -- retire_ended_grant
        update permission_grants set deleted_at = $7, deleted_by = $8
        where organization_id = $1 and member_id = $2 and effect = $3 and resource = $4 and action = $5
          and resource_id is not distinct from $6 and deleted_at is null and ends_at <= $7
        ",
        organization.uuid(),
        member.uuid(),
        grant.effect.as_str(),
        grant.resource.as_str(),
        grant.action.as_str(),
        grant.connection.map(ConnectionId::uuid),
        now,
        by.uuid()
    )
    .execute(tx.conn())
    .await?;
    Ok(())
}

pub(super) async fn insert(
    tx: &mut TenantTx,
    id: GrantId,
    member: MemberId,
    grant: &Grant,
    reason: Option<(Vec<u8>, DataKeyId)>,
    by: UserId,
    now: Time,
) -> Result<GrantRow, DbError> {
    let organization = tx.organization();
    let (sealed_reason, data_key) = reason.unzip();
    let row = sqlx::query_as!(
        GrantRow,
        r#"
        -- insert_grant
        insert into permission_grants (
            organization_id, id, member_id, effect, resource, action, resource_id, sealed_reason, data_key_id, ends_at,
            created_by, created_at
        )
        values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)
        returning id, member_id, effect, resource, action, resource_id, reason, sealed_reason, data_key_id, ends_at,
            created_by, created_at
        "#,
        organization.uuid(),
        id.uuid(),
        member.uuid(),
        grant.effect.as_str(),
        grant.resource.as_str(),
        grant.action.as_str(),
        grant.connection.map(ConnectionId::uuid),
        sealed_reason,
        data_key.map(DataKeyId::uuid),
        grant.ends_at,
        by.uuid(),
        now
    )
    .fetch_one(tx.conn())
    .await?;
    Ok(row)
}

pub(super) async fn delete(tx: &mut TenantTx, id: GrantId, by: UserId, now: Time) -> Result<(), DbError> {
    let organization = tx.organization();
    sqlx::query!(
        "
        -- delete_grant
        update permission_grants set deleted_at = $3, deleted_by = $4 where organization_id = $1 and id = $2
        ",
        organization.uuid(),
        id.uuid(),
        now,
        by.uuid()
    )
    .execute(tx.conn())
    .await?;
    Ok(())
}

/// Removes those that were taken back, or ended, before then.
pub(super) async fn purge(tx: &mut TenantTx, due: Due, limit: i64) -> Result<u64, DbError> {
    let organization = tx.organization();
    let done = sqlx::query!(
        "
        -- purge_grants
        delete from permission_grants
        where organization_id = $1 and id in (
            select id from permission_grants
            where organization_id = $1 and ($3 or deleted_at < $2 or ends_at < $2)
            limit $4
        )
        ",
        organization.uuid(),
        due.before,
        due.all,
        limit
    )
    .execute(tx.conn())
    .await?;
    Ok(done.rows_affected())
}

/// Reasons that are not sealed.
pub(super) async fn clear_reasons(tx: &mut TenantTx, limit: i64) -> Result<Vec<(GrantId, String)>, DbError> {
    let organization = tx.organization();
    let rows = sqlx::query!(
        r#"
        -- clear_reasons
        select id, reason as "reason!"
        from permission_grants
        where organization_id = $1 and reason is not null
        limit $2
        for update
        "#,
        organization.uuid(),
        limit
    )
    .fetch_all(tx.conn())
    .await?;
    Ok(rows.into_iter().map(|row| (row.id.into(), row.reason)).collect())
}

/// A sealed reason in place of one in clear.
pub(super) async fn set_reason(tx: &mut TenantTx, id: GrantId, sealed: &[u8], key: DataKeyId) -> Result<(), DbError> {
    let organization = tx.organization();
    sqlx::query!(
        "
        -- seal_reason
        update permission_grants set reason = null, sealed_reason = $3, data_key_id = $4 where organization_id = $1 and id = $2
        ",
        organization.uuid(),
        id.uuid(),
        sealed,
        key.uuid()
    )
    .execute(tx.conn())
    .await?;
    Ok(())
}
