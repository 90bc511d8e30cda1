use connector::provider::Established;
use db::{DbError, TenantTx};
use kernel::{ConnectionId, Reach, Time, UserId};
use kit::retention::Due;
use serde_json::Value;
use sqlx::types::Json;
use uuid::Uuid;

use super::{
    Edit,
    credential::Version,
    model::{Health, NewConnection, Status},
};
use crate::data_access::model::DataAccess;

/// A connection, with what may be told of its active credential.
pub struct ConnectionRow {
    pub id: ConnectionId,
    pub provider_key: String,
    pub external_account: Option<String>,
    pub display_name: String,
    pub status: String,
    pub health: String,
    pub health_cause: Option<String>,
    pub health_since: Option<Time>,
    pub config: Value,
    pub scopes: Vec<String>,
    pub enabled_capabilities: Vec<String>,
    pub data_access_permissions: Json<DataAccess>,
    pub last_synced_at: Option<Time>,
    pub created_at: Time,
    /// Of what people decide and what the account is; health comes and goes without it.
    pub updated_at: Time,
    /// Since when it is beyond what the plan allows.
    pub plan_paused_at: Option<Time>,
    /// None: there is no active credential, and the other columns of it are None too.
    pub credential_kind: Option<String>,
    pub credential_hint: Option<String>,
    pub credential_scopes: Option<Vec<String>>,
    pub credential_expires_at: Option<Time>,
    pub credential_set_at: Option<Time>,
    pub credential_set_by: Option<Uuid>,
    /// None: it is there.
    pub deleted_at: Option<Time>,
}

pub(super) async fn insert(
    tx: &mut TenantTx,
    id: ConnectionId,
    new: &NewConnection,
    name: &str,
    created_by: Option<UserId>,
    now: Time,
) -> Result<(), DbError> {
    let organization = tx.organization();
    let established = &new.established;
    sqlx::query!(
        "
        -- insert_connection
        insert into connections (
            organization_id, id, provider_key, external_account, display_name, status, config, scopes, enabled_capabilities,
            data_access_permissions, created_by, created_at, updated_at
        )
        values ($1, $2, $3, $4, $5, 'connected', $6, $7, $8, $9, $10, $11, $11)
        ",
        organization.uuid(),
        id.uuid(),
        new.provider_key,
        established.external_account,
        name,
        established.config,
        &established.scopes,
        &new.enabled_capabilities,
        Json(new.data_access.unwrap_or_default()) as _,
        created_by.map(UserId::uuid),
        now
    )
    .execute(tx.conn())
    .await?;
    Ok(())
}

pub(crate) async fn find(tx: &mut TenantTx, id: ConnectionId) -> Result<Option<ConnectionRow>, DbError> {
    let organization = tx.organization();
    let row = sqlx::query_as!(
        ConnectionRow,
        r#"
        -- find_connection
        select c.id, c.provider_key, c.external_account, c.display_name, c.status, c.health, c.health_cause, c.health_since, c.config,
            c.scopes, c.enabled_capabilities, c.data_access_permissions as "data_access_permissions: Json<DataAccess>",
            c.last_synced_at, c.created_at, c.updated_at, c.plan_paused_at, k.kind as "credential_kind?", k.hint as "credential_hint?",
            k.scopes as "credential_scopes?", k.expires_at as "credential_expires_at?", k.created_at as "credential_set_at?",
            k.created_by as "credential_set_by?", c.deleted_at
        from connections c
        left join credentials k
            on k.organization_id = c.organization_id and k.connection_id = c.id and k.revoked_at is null
        where c.organization_id = $1 and c.id = $2 and c.deleted_at is null
        "#,
        organization.uuid(),
        id.uuid()
    )
    .fetch_optional(tx.conn())
    .await?;
    Ok(row)
}

/// Makes the deletion of the organization wait until the transaction ends; false when it is deleted. Whoever writes a claim, or ends
/// a connection, asks this first: a deletion takes the same rows in another order, and takes claims before it takes keys.
pub(super) async fn hold_organization(tx: &mut TenantTx) -> Result<bool, DbError> {
    let organization = tx.organization();
    let held = sqlx::query_scalar!(
        "
        -- hold_organization
        select id from organizations where id = $1 and deleted_at is null for share
        ",
        organization.uuid()
    )
    .fetch_optional(tx.conn())
    .await?;
    Ok(held.is_some())
}

/// Whether an account has a connection in this organization, hidden ones too: a row is tried, which the caller takes back.
pub(super) async fn try_account(
    tx: &mut TenantTx,
    id: ConnectionId,
    provider_key: &str,
    external_account: &str,
    now: Time,
) -> Result<bool, DbError> {
    let organization = tx.organization();
    let done = sqlx::query!(
        "
        -- try_account
        insert into connections (organization_id, id, provider_key, external_account, display_name, status, created_at, updated_at)
        values ($1, $2, $3, $4, $4, 'pending', $5, $5)
        on conflict do nothing
        ",
        organization.uuid(),
        id.uuid(),
        provider_key,
        external_account,
        now
    )
    .execute(tx.conn())
    .await?;
    Ok(done.rows_affected() == 0)
}

/// Holds a connection until the transaction ends; false when there is none. Whoever changes a connection and its credential
/// takes it first.
pub(super) async fn lock(tx: &mut TenantTx, id: ConnectionId) -> Result<bool, DbError> {
    let organization = tx.organization();
    let found = sqlx::query_scalar!(
        "
        -- lock_connection
        select id from connections where organization_id = $1 and id = $2 and deleted_at is null for update
        ",
        organization.uuid(),
        id.uuid()
    )
    .fetch_optional(tx.conn())
    .await?;
    Ok(found.is_some())
}

pub(crate) async fn find_for_update(tx: &mut TenantTx, id: ConnectionId) -> Result<Option<ConnectionRow>, DbError> {
    if lock(tx, id).await? { find(tx, id).await } else { Ok(None) }
}

/// The connection of an account, for connecting it again: also one that was disconnected.
pub(crate) async fn find_by_account(
    tx: &mut TenantTx,
    provider_key: &str,
    external_account: &str,
) -> Result<Option<AccountRow>, DbError> {
    let organization = tx.organization();
    let row = sqlx::query_as!(
        AccountRow,
        r#"
        -- connection_of_account
        select id, status = 'disconnected' as "is_disconnected!" from connections
        where organization_id = $1 and provider_key = $2 and external_account = $3 and deleted_at is null
        "#,
        organization.uuid(),
        provider_key,
        external_account
    )
    .fetch_optional(tx.conn())
    .await?;
    Ok(row)
}

pub(crate) struct AccountRow {
    pub(crate) id: ConnectionId,
    pub(crate) is_disconnected: bool,
}

/// Somebody who is told of what becomes of a connection.
pub(super) struct Keeper {
    pub(super) user_id: UserId,
    pub(super) name: String,
    pub(super) email: String,
    /// Whether their address is confirmed: nobody else is written to.
    pub(super) is_verified: bool,
}

/// The owners of the organization and whoever made the connection, as far as they are still there; not the one who is acting.
pub(super) async fn keepers(
    tx: &mut TenantTx,
    id: ConnectionId,
    acting: Option<UserId>,
) -> Result<Vec<Keeper>, DbError> {
    let organization = tx.organization();
    let rows = sqlx::query_as!(
        Keeper,
        r#"
        -- keepers_of_connection
        select m.user_id, u.name, u.email, u.email_verified_at is not null as "is_verified!"
        from organization_members m
        join users u on u.id = m.user_id
        join connections c on c.organization_id = m.organization_id and c.id = $2
        where m.organization_id = $1 and m.status = 'active'
          and (m.role = 'owner' or m.user_id = c.created_by) and m.user_id is distinct from $3
        order by m.id
        limit 50
        "#,
        organization.uuid(),
        id.uuid(),
        acting.map(UserId::uuid)
    )
    .fetch_all(tx.conn())
    .await?;
    Ok(rows)
}

/// Newest first, below an id, as far as somebody reaches: those that are there, or those that were deleted and can be restored.
/// `switch` keeps those whose owner allows it.
pub(crate) async fn list(
    tx: &mut TenantTx,
    window: kit::page::Window,
    reach: &Reach,
    switch: Option<&str>,
    deleted_since: Option<Time>,
) -> Result<Vec<ConnectionRow>, DbError> {
    let organization = tx.organization();
    let uuids = |ids: &[ConnectionId]| ids.iter().map(|id| id.uuid()).collect::<Vec<_>>();
    let (only, except) = (reach.only.as_deref().map(uuids), uuids(&reach.except));
    let rows = sqlx::query_as!(
        ConnectionRow,
        r#"
        -- list_connections
        select c.id, c.provider_key, c.external_account, c.display_name, c.status, c.health, c.health_cause, c.health_since, c.config,
            c.scopes, c.enabled_capabilities, c.data_access_permissions as "data_access_permissions: Json<DataAccess>",
            c.last_synced_at, c.created_at, c.updated_at, c.plan_paused_at, k.kind as "credential_kind?", k.hint as "credential_hint?",
            k.scopes as "credential_scopes?", k.expires_at as "credential_expires_at?", k.created_at as "credential_set_at?",
            k.created_by as "credential_set_by?", c.deleted_at
        from connections c
        left join credentials k
            on k.organization_id = c.organization_id and k.connection_id = c.id and k.revoked_at is null
        where c.organization_id = $1 and c.id < $2
          and case when $7::timestamptz is null then c.deleted_at is null else c.deleted_at >= $7 end
          and ($4::uuid[] is null or c.id = any($4))
          and ($5::text is null or (c.data_access_permissions ->> $5)::boolean)
          and c.id <> all($6)
        order by c.id desc
        limit $3
        "#,
        organization.uuid(),
        window.before,
        window.fetch,
        only.as_deref(),
        switch,
        &except,
        deleted_since
    )
    .fetch_all(tx.conn())
    .await?;
    Ok(rows)
}

pub(super) async fn edit(tx: &mut TenantTx, id: ConnectionId, edit: &Edit, now: Time) -> Result<(), DbError> {
    let organization = tx.organization();
    sqlx::query!(
        "
        -- edit_connection
        update connections
        set display_name = coalesce($3, display_name), enabled_capabilities = coalesce($4, enabled_capabilities), updated_at = $5
        where organization_id = $1 and id = $2
        ",
        organization.uuid(),
        id.uuid(),
        edit.display_name,
        edit.enabled_capabilities.as_deref(),
        now
    )
    .execute(tx.conn())
    .await?;
    Ok(())
}

/// A connection whose account was proven anew.
pub(super) async fn reconnect(
    tx: &mut TenantTx,
    id: ConnectionId,
    status: Status,
    established: &Established,
    now: Time,
) -> Result<(), DbError> {
    let organization = tx.organization();
    sqlx::query!(
        "
        -- reconnect_connection
        update connections
        set status = $6, health = 'ok', health_cause = null, health_since = $5, config = $3, scopes = $4, updated_at = $5
        where organization_id = $1 and id = $2
        ",
        organization.uuid(),
        id.uuid(),
        established.config,
        &established.scopes,
        now,
        status.as_str()
    )
    .execute(tx.conn())
    .await?;
    Ok(())
}

/// What a renewed token may do, which can be less or more than before.
pub(super) async fn set_scopes(tx: &mut TenantTx, id: ConnectionId, scopes: &[String]) -> Result<(), DbError> {
    let organization = tx.organization();
    sqlx::query!(
        "
        -- set_connection_scopes
        update connections set scopes = $3 where organization_id = $1 and id = $2 and scopes <> $3
        ",
        organization.uuid(),
        id.uuid(),
        scopes
    )
    .execute(tx.conn())
    .await?;
    Ok(())
}

/// What a person decided, or took away.
pub(super) async fn set_status(
    tx: &mut TenantTx,
    id: ConnectionId,
    status: Status,
    cause: Option<&str>,
    now: Time,
) -> Result<(), DbError> {
    let organization = tx.organization();
    sqlx::query!(
        "
        -- set_connection_status
        update connections
        set status = $3, health = case when $4::text is null then 'ok' else 'failing' end, health_cause = $4, health_since = $5,
            updated_at = $5
        where organization_id = $1 and id = $2
        ",
        organization.uuid(),
        id.uuid(),
        status.as_str(),
        cause,
        now
    )
    .execute(tx.conn())
    .await?;
    Ok(())
}

/// A connection that is over. `left` is what its owner still has to know.
pub(super) async fn end(
    tx: &mut TenantTx,
    id: ConnectionId,
    status: Status,
    left: Option<&str>,
    now: Time,
) -> Result<(), DbError> {
    let organization = tx.organization();
    sqlx::query!(
        "
        -- end_connection
        update connections
        set status = $3, health = 'ok', health_cause = $4, health_since = $5, updated_at = $5, plan_paused_at = null
        where organization_id = $1 and id = $2
        ",
        organization.uuid(),
        id.uuid(),
        status.as_str(),
        left,
        now
    )
    .execute(tx.conn())
    .await?;
    Ok(())
}

/// What a person decided, where how the shop is stays as it was.
pub(super) async fn set_status_alone(
    tx: &mut TenantTx,
    id: ConnectionId,
    status: Status,
    now: Time,
) -> Result<(), DbError> {
    let organization = tx.organization();
    sqlx::query!(
        "
        -- set_connection_status_alone
        update connections set status = $3, updated_at = $4 where organization_id = $1 and id = $2
        ",
        organization.uuid(),
        id.uuid(),
        status.as_str(),
        now
    )
    .execute(tx.conn())
    .await?;
    Ok(())
}

/// What a call found out, under the [`lock`]: only if the connection still stands at `before`, with the very token that the
/// call was made with.
pub(super) async fn change_status(
    tx: &mut TenantTx,
    id: ConnectionId,
    used: Version,
    before: Status,
    after: Status,
    cause: Option<&str>,
    now: Time,
) -> Result<bool, DbError> {
    let organization = tx.organization();
    let done = sqlx::query!(
        "
        -- change_connection_status
        update connections
        set status = $4, health = case when $5::text is null then 'ok' else 'failing' end, health_cause = $5, health_since = $6,
            updated_at = $6
        where organization_id = $1 and id = $2 and status = $3
          and exists (select from credentials k where k.organization_id = $1 and k.id = $7 and k.renewals = $8 and k.revoked_at is null)
        ",
        organization.uuid(),
        id.uuid(),
        before.as_str(),
        after.as_str(),
        cause,
        now,
        used.id.uuid(),
        used.renewals
    )
    .execute(tx.conn())
    .await?;
    Ok(done.rows_affected() > 0)
}

/// Only where it says something new of a connection that still stands at `status`.
pub(super) async fn set_health(
    tx: &mut TenantTx,
    id: ConnectionId,
    status: Status,
    health: Health,
    cause: Option<&str>,
    now: Time,
) -> Result<bool, DbError> {
    let organization = tx.organization();
    let done = sqlx::query!(
        "
        -- set_connection_health
        update connections
        set health = $4, health_cause = $5, health_since = $6
        where organization_id = $1 and id = $2 and status = $3 and (health <> $4 or health_cause is distinct from $5)
        ",
        organization.uuid(),
        id.uuid(),
        status.as_str(),
        health.as_str(),
        cause,
        now
    )
    .execute(tx.conn())
    .await?;
    Ok(done.rows_affected() > 0)
}

pub(crate) async fn set_data_access(
    tx: &mut TenantTx,
    id: ConnectionId,
    data_access: DataAccess,
    now: Time,
) -> Result<(), DbError> {
    let organization = tx.organization();
    sqlx::query!(
        "
        -- set_data_access
        update connections set data_access_permissions = $3, updated_at = $4 where organization_id = $1 and id = $2
        ",
        organization.uuid(),
        id.uuid(),
        Json(data_access) as _,
        now
    )
    .execute(tx.conn())
    .await?;
    Ok(())
}

/// The connections of a provider that are not disconnected.
pub(super) async fn count_of_provider(tx: &mut TenantTx, provider_key: &str) -> Result<i64, DbError> {
    let organization = tx.organization();
    let count = sqlx::query_scalar!(
        r#"
        -- count_connections_of_provider
        select count(*) as "count!" from connections
        where organization_id = $1 and provider_key = $2 and deleted_at is null and status <> 'disconnected'
        "#,
        organization.uuid(),
        provider_key
    )
    .fetch_one(tx.conn())
    .await?;
    Ok(count)
}

/// A connection that the plan has paused, or allows again.
pub(super) struct PausedRow {
    pub(super) id: ConnectionId,
    pub(super) display_name: String,
    pub(super) is_paused: bool,
}

/// Pauses the newest connections of each provider beyond what is allowed, and lets the others go on; those that changed.
pub(super) async fn pause_beyond(tx: &mut TenantTx, at_most: i64, now: Time) -> Result<Vec<PausedRow>, DbError> {
    let organization = tx.organization();
    let rows = sqlx::query_as!(
        PausedRow,
        r#"
        -- pause_connections_beyond_plan
        with ranked as (
            select id, row_number() over (partition by provider_key order by created_at, id) > $2 as is_beyond
            from connections
            where organization_id = $1 and deleted_at is null and status <> 'disconnected'
        )
        update connections c
        set plan_paused_at = case when r.is_beyond then $3::timestamptz end
        from ranked r
        where c.organization_id = $1 and c.id = r.id and r.is_beyond <> (c.plan_paused_at is not null)
        returning c.id, c.display_name, c.plan_paused_at is not null as "is_paused!"
        "#,
        organization.uuid(),
        at_most,
        now
    )
    .fetch_all(tx.conn())
    .await?;
    Ok(rows)
}

/// One that was deleted, locked.
pub(super) async fn find_deleted_for_update(
    tx: &mut TenantTx,
    id: ConnectionId,
) -> Result<Option<DeletedRow>, DbError> {
    let organization = tx.organization();
    let row = sqlx::query_as!(
        DeletedRow,
        r#"
        -- lock_deleted_connection
        select provider_key, display_name, deleted_at as "deleted_at!" from connections
        where organization_id = $1 and id = $2 and deleted_at is not null
        for update
        "#,
        organization.uuid(),
        id.uuid()
    )
    .fetch_optional(tx.conn())
    .await?;
    Ok(row)
}

/// What must be known of one that is to come back.
pub(super) struct DeletedRow {
    pub(super) provider_key: String,
    pub(super) display_name: String,
    pub(super) deleted_at: Time,
}

/// Deletes it for the time being.
pub(super) async fn delete(tx: &mut TenantTx, id: ConnectionId, by: Option<UserId>, now: Time) -> Result<(), DbError> {
    let organization = tx.organization();
    sqlx::query!(
        "
        -- delete_connection
        update connections set deleted_at = $3, deleted_by = $4, updated_at = $3 where organization_id = $1 and id = $2
        ",
        organization.uuid(),
        id.uuid(),
        now,
        by.map(UserId::uuid)
    )
    .execute(tx.conn())
    .await?;
    Ok(())
}

/// Takes a deletion back. Its credential is gone.
pub(super) async fn restore(
    tx: &mut TenantTx,
    id: ConnectionId,
    status: Status,
    cause: &str,
    now: Time,
) -> Result<(), DbError> {
    let organization = tx.organization();
    sqlx::query!(
        "
        -- restore_connection
        update connections
        set deleted_at = null, deleted_by = null, status = $3, health = 'failing', health_cause = $4, health_since = $5,
            updated_at = $5
        where organization_id = $1 and id = $2
        ",
        organization.uuid(),
        id.uuid(),
        status.as_str(),
        cause,
        now
    )
    .execute(tx.conn())
    .await?;
    Ok(())
}

/// Removes those that were deleted before then, with what belongs to them.
pub(super) async fn purge(tx: &mut TenantTx, due: Due, limit: i64) -> Result<Vec<Uuid>, DbError> {
    let organization = tx.organization();
    let ids = sqlx::query_scalar!(
        "
        -- purge_connections
        delete from connections
        where organization_id = $1 and id in (
            select id from connections where organization_id = $1 and ($3 or deleted_at < $2) limit $4
        ) and ($3 or deleted_at < $2)
        returning id
        ",
        organization.uuid(),
        due.before,
        due.all,
        limit
    )
    .fetch_all(tx.conn())
    .await?;
    Ok(ids)
}
