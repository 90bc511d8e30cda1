use connector::provider::Established;
use db::{DbError, TenantTx};
use kernel::{ConnectionId, CredentialId, DataKeyId, Time, UserId};
use serde_json::Value;
use sqlx::types::Json;
use uuid::Uuid;

use super::{
    Edit,
    model::{NewConnection, Status},
};
use crate::data_access::model::DataAccess;

/// A connection without its credential.
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
    pub updated_at: Time,
}

pub(super) async fn insert(
    tx: &mut TenantTx,
    id: ConnectionId,
    new: &NewConnection,
    created_by: Option<UserId>,
    now: Time,
) -> Result<ConnectionRow, DbError> {
    let organization = tx.organization();
    let established = &new.established;
    let row = sqlx::query_as!(
        ConnectionRow,
        r#"
        -- insert_connection
        insert into connections (
            organization_id, id, provider_key, external_account, display_name, status, config, scopes, enabled_capabilities,
            data_access_permissions, created_by, created_at, updated_at
        )
        values ($1, $2, $3, $4, $5, 'connected', $6, $7, $8, $9, $10, $11, $11)
        returning id, provider_key, external_account, display_name, status, health, health_cause, health_since, config, scopes,
            enabled_capabilities, data_access_permissions as "data_access_permissions: Json<DataAccess>", last_synced_at,
            created_at, updated_at
        "#,
        organization.uuid(),
        id.uuid(),
        new.provider_key,
        established.external_account,
        new.display_name.as_ref().unwrap_or(&established.display_name),
        established.config,
        &established.scopes,
        &new.enabled_capabilities,
        Json(new.data_access) as _,
        created_by.map(UserId::uuid),
        now
    )
    .fetch_one(tx.conn())
    .await?;
    Ok(row)
}

pub(crate) async fn find(tx: &mut TenantTx, id: ConnectionId) -> Result<Option<ConnectionRow>, DbError> {
    let organization = tx.organization();
    let row = sqlx::query_as!(
        ConnectionRow,
        r#"
        -- find_connection
        select id, provider_key, external_account, display_name, status, health, health_cause, health_since, config, scopes,
            enabled_capabilities, data_access_permissions as "data_access_permissions: Json<DataAccess>", last_synced_at,
            created_at, updated_at
        from connections
        where organization_id = $1 and id = $2 and deleted_at is null
        "#,
        organization.uuid(),
        id.uuid()
    )
    .fetch_optional(tx.conn())
    .await?;
    Ok(row)
}

pub(crate) async fn find_for_update(tx: &mut TenantTx, id: ConnectionId) -> Result<Option<ConnectionRow>, DbError> {
    let organization = tx.organization();
    let row = sqlx::query_as!(
        ConnectionRow,
        r#"
        -- find_connection_for_update
        select id, provider_key, external_account, display_name, status, health, health_cause, health_since, config, scopes,
            enabled_capabilities, data_access_permissions as "data_access_permissions: Json<DataAccess>", last_synced_at,
            created_at, updated_at
        from connections
        where organization_id = $1 and id = $2 and deleted_at is null
        for update
        "#,
        organization.uuid(),
        id.uuid()
    )
    .fetch_optional(tx.conn())
    .await?;
    Ok(row)
}

/// The connection of an account, for connecting it again.
pub(crate) async fn find_by_account(
    tx: &mut TenantTx,
    provider_key: &str,
    external_account: &str,
) -> Result<Option<ConnectionId>, DbError> {
    let organization = tx.organization();
    let id = sqlx::query_scalar!(
        "
        -- connection_of_account
        select id from connections
        where organization_id = $1 and provider_key = $2 and external_account = $3 and deleted_at is null
          and status <> 'disconnected'
        ",
        organization.uuid(),
        provider_key,
        external_account
    )
    .fetch_optional(tx.conn())
    .await?;
    Ok(id.map(ConnectionId::from))
}

/// Newest first, below an id. `switch` keeps those whose owner allows it.
pub(crate) async fn list(
    tx: &mut TenantTx,
    window: kit::page::Window,
    only: Option<&[Uuid]>,
    switch: Option<&str>,
) -> Result<Vec<ConnectionRow>, DbError> {
    let organization = tx.organization();
    let rows = sqlx::query_as!(
        ConnectionRow,
        r#"
        -- list_connections
        select id, provider_key, external_account, display_name, status, health, health_cause, health_since, config, scopes,
            enabled_capabilities, data_access_permissions as "data_access_permissions: Json<DataAccess>", last_synced_at,
            created_at, updated_at
        from connections
        where organization_id = $1 and id < $2 and deleted_at is null
          and ($4::uuid[] is null or id = any($4))
          and ($5::text is null or (data_access_permissions ->> $5)::boolean)
        order by id desc
        limit $3
        "#,
        organization.uuid(),
        window.before,
        window.fetch,
        only,
        switch
    )
    .fetch_all(tx.conn())
    .await?;
    Ok(rows)
}

pub(super) async fn edit(
    tx: &mut TenantTx,
    id: ConnectionId,
    edit: &Edit,
    now: Time,
) -> Result<ConnectionRow, DbError> {
    let organization = tx.organization();
    let row = sqlx::query_as!(
        ConnectionRow,
        r#"
        -- edit_connection
        update connections
        set display_name = coalesce($3, display_name), enabled_capabilities = coalesce($4, enabled_capabilities), updated_at = $5
        where organization_id = $1 and id = $2
        returning id, provider_key, external_account, display_name, status, health, health_cause, health_since, config, scopes,
            enabled_capabilities, data_access_permissions as "data_access_permissions: Json<DataAccess>", last_synced_at,
            created_at, updated_at
        "#,
        organization.uuid(),
        id.uuid(),
        edit.display_name,
        edit.enabled_capabilities.as_deref(),
        now
    )
    .fetch_one(tx.conn())
    .await?;
    Ok(row)
}

/// A connection whose account was proven anew.
pub(super) async fn reconnect(
    tx: &mut TenantTx,
    id: ConnectionId,
    established: &Established,
    now: Time,
) -> Result<ConnectionRow, DbError> {
    let organization = tx.organization();
    let row = sqlx::query_as!(
        ConnectionRow,
        r#"
        -- reconnect_connection
        update connections
        set status = 'connected', health = 'ok', health_cause = null, health_since = $5, config = $3, scopes = $4, updated_at = $5
        where organization_id = $1 and id = $2
        returning id, provider_key, external_account, display_name, status, health, health_cause, health_since, config, scopes,
            enabled_capabilities, data_access_permissions as "data_access_permissions: Json<DataAccess>", last_synced_at,
            created_at, updated_at
        "#,
        organization.uuid(),
        id.uuid(),
        established.config,
        &established.scopes,
        now
    )
    .fetch_one(tx.conn())
    .await?;
    Ok(row)
}

pub(super) async fn set_status(
    tx: &mut TenantTx,
    id: ConnectionId,
    status: Status,
    cause: Option<&str>,
    now: Time,
) -> Result<ConnectionRow, DbError> {
    let organization = tx.organization();
    let row = sqlx::query_as!(
        ConnectionRow,
        r#"
        -- set_connection_status
        update connections
        set status = $3, health = case when $4::text is null then 'ok' else 'failing' end, health_cause = $4, health_since = $5,
            updated_at = $5
        where organization_id = $1 and id = $2
        returning id, provider_key, external_account, display_name, status, health, health_cause, health_since, config, scopes,
            enabled_capabilities, data_access_permissions as "data_access_permissions: Json<DataAccess>", last_synced_at,
            created_at, updated_at
        "#,
        organization.uuid(),
        id.uuid(),
        status.as_str(),
        cause,
        now
    )
    .fetch_one(tx.conn())
    .await?;
    Ok(row)
}

/// The same, only if the connection still stands at `before`.
pub(super) async fn change_status(
    tx: &mut TenantTx,
    id: ConnectionId,
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
        ",
        organization.uuid(),
        id.uuid(),
        before.as_str(),
        after.as_str(),
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

pub(super) struct NewCredential<'a> {
    pub(super) id: CredentialId,
    pub(super) connection: ConnectionId,
    pub(super) data_key: DataKeyId,
    pub(super) key_version: i32,
    pub(super) kind: &'static str,
    pub(super) sealed: Vec<u8>,
    pub(super) scopes: &'a [String],
    pub(super) expires_at: Option<Time>,
    pub(super) refresh_expires_at: Option<Time>,
    pub(super) created_by: Option<UserId>,
    pub(super) now: Time,
}

pub(super) async fn insert_credential(tx: &mut TenantTx, new: NewCredential<'_>) -> Result<(), DbError> {
    let organization = tx.organization();
    sqlx::query!(
        "
        -- insert_credential
        insert into credentials (
            organization_id, id, connection_id, data_key_id, key_version, kind, sealed, scopes, expires_at, refresh_expires_at,
            created_by, created_at
        )
        values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)
        ",
        organization.uuid(),
        new.id.uuid(),
        new.connection.uuid(),
        new.data_key.uuid(),
        new.key_version,
        new.kind,
        new.sealed,
        new.scopes,
        new.expires_at,
        new.refresh_expires_at,
        new.created_by.map(UserId::uuid),
        new.now
    )
    .execute(tx.conn())
    .await?;
    Ok(())
}

pub(super) struct CredentialRow {
    pub(super) id: CredentialId,
    pub(super) data_key_id: Uuid,
    pub(super) sealed: Vec<u8>,
    pub(super) scopes: Vec<String>,
    pub(super) expires_at: Option<Time>,
    pub(super) refresh_expires_at: Option<Time>,
}

pub(super) async fn active_credential(
    tx: &mut TenantTx,
    connection: ConnectionId,
) -> Result<Option<CredentialRow>, DbError> {
    let organization = tx.organization();
    let row = sqlx::query_as!(
        CredentialRow,
        "
        -- active_credential
        select id, data_key_id, sealed, scopes, expires_at, refresh_expires_at
        from credentials
        where organization_id = $1 and connection_id = $2 and revoked_at is null
        ",
        organization.uuid(),
        connection.uuid()
    )
    .fetch_optional(tx.conn())
    .await?;
    Ok(row)
}

/// The data key that this connection's credentials are sealed under.
pub(super) async fn data_key_of(tx: &mut TenantTx, connection: ConnectionId) -> Result<Option<DataKeyId>, DbError> {
    let organization = tx.organization();
    let id = sqlx::query_scalar!(
        "
        -- data_key_of_connection
        select id from data_keys
        where organization_id = $1 and scope = 'connection' and scope_id = $2 and destroyed_at is null
        order by key_version desc
        limit 1
        ",
        organization.uuid(),
        connection.uuid()
    )
    .fetch_optional(tx.conn())
    .await?;
    Ok(id.map(DataKeyId::from))
}

/// Ends the active credential and erases its sealed bytes. How many there were: one or none.
pub(super) async fn revoke_credential(tx: &mut TenantTx, connection: ConnectionId, now: Time) -> Result<u64, DbError> {
    let organization = tx.organization();
    let done = sqlx::query!(
        "
        -- revoke_credential
        update credentials set revoked_at = $3, sealed = ''
        where organization_id = $1 and connection_id = $2 and revoked_at is null
        ",
        organization.uuid(),
        connection.uuid(),
        now
    )
    .execute(tx.conn())
    .await?;
    Ok(done.rows_affected())
}

/// Takes the turn to renew a token, until then; false while another node has it, or when the credential is gone.
pub(super) async fn lease_refresh(
    tx: &mut TenantTx,
    id: CredentialId,
    now: Time,
    until: Time,
) -> Result<bool, DbError> {
    let organization = tx.organization();
    let leased = sqlx::query!(
        "
        -- lease_refresh
        update credentials set refresh_leased_until = $4
        where organization_id = $1 and id = $2 and revoked_at is null
          and (refresh_leased_until is null or refresh_leased_until <= $3)
        ",
        organization.uuid(),
        id.uuid(),
        now,
        until
    )
    .execute(tx.conn())
    .await?;
    Ok(leased.rows_affected() == 1)
}

/// Gives the turn back, if it is still ours.
pub(super) async fn release_refresh(tx: &mut TenantTx, id: CredentialId, until: Time) -> Result<(), DbError> {
    let organization = tx.organization();
    sqlx::query!(
        "
        -- release_refresh
        update credentials set refresh_leased_until = null
        where organization_id = $1 and id = $2 and refresh_leased_until = $3
        ",
        organization.uuid(),
        id.uuid(),
        until
    )
    .execute(tx.conn())
    .await?;
    Ok(())
}

/// A token that was renewed.
pub(super) struct Renewed<'a> {
    pub(super) sealed: &'a [u8],
    pub(super) scopes: &'a [String],
    pub(super) expires_at: Option<Time>,
    pub(super) refresh_expires_at: Option<Time>,
}

/// Saves a renewed token and gives the turn back; false when the turn is no longer ours, and nothing was changed.
pub(super) async fn update_token(
    tx: &mut TenantTx,
    id: CredentialId,
    renewed: Renewed<'_>,
    leased_until: Time,
) -> Result<bool, DbError> {
    let organization = tx.organization();
    let updated = sqlx::query!(
        "
        -- update_token
        update credentials
        set sealed = $3, scopes = $4, expires_at = $5, refresh_expires_at = $6, refresh_leased_until = null
        where organization_id = $1 and id = $2 and revoked_at is null and refresh_leased_until = $7
        ",
        organization.uuid(),
        id.uuid(),
        renewed.sealed,
        renewed.scopes,
        renewed.expires_at,
        renewed.refresh_expires_at,
        leased_until
    )
    .execute(tx.conn())
    .await?;
    Ok(updated.rows_affected() == 1)
}
