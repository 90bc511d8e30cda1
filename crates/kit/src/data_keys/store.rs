use std::collections::HashSet;

use db::{DbError, SystemTx, TenantTx};
use kernel::{DataKeyId, Time};
use uuid::Uuid;

use crate::vault::{KeyIdentity, Scope, WrappedKey};

/// False when the organization was deleted. The lock makes a deletion wait, which then finds the row and empties it.
pub(super) async fn insert(tx: &mut TenantTx, row: &WrappedKey, now: Time) -> Result<bool, DbError> {
    let organization = tx.organization();
    let identity = row.identity;
    let done = sqlx::query!(
        "
        -- insert_data_key
        insert into data_keys (organization_id, id, scope, scope_id, key_version, wrapped, master_fingerprint, created_at)
        select o.id, $2, $3, $4, $5, $6, $7, $8
        from organizations o
        where o.id = $1 and o.deleted_at is null
        for share
        ",
        organization.uuid(),
        identity.id.uuid(),
        identity.scope.name(),
        identity.scope.id(organization),
        i32::try_from(identity.version).unwrap_or(i32::MAX),
        row.wrapped,
        row.master.to_string(),
        now
    )
    .execute(tx.conn())
    .await?;
    Ok(done.rows_affected() == 1)
}

pub(super) async fn lock_organization_key(tx: &mut TenantTx) -> Result<(), DbError> {
    let organization = tx.organization();
    sqlx::query!(
        "
        -- lock_organization_key
        select pg_advisory_xact_lock(hashtextextended($1, 22))
        ",
        organization.to_string()
    )
    .fetch_one(tx.conn())
    .await?;
    Ok(())
}

pub(super) async fn newest_of_organization(tx: &mut TenantTx) -> Result<Option<DataKeyId>, DbError> {
    let organization = tx.organization();
    let id = sqlx::query_scalar!(
        "
        -- organization_key
        select id from data_keys
        where organization_id = $1 and scope = 'organization' and scope_id = $1 and destroyed_at is null
        order by key_version desc
        limit 1
        ",
        organization.uuid()
    )
    .fetch_optional(tx.conn())
    .await?;
    Ok(id.map(DataKeyId::from))
}

/// The version of the next key of a scope: one more than any before, destroyed ones among them.
pub(super) async fn next_version(tx: &mut TenantTx, scope: Scope) -> Result<u32, DbError> {
    let organization = tx.organization();
    let last = sqlx::query_scalar!(
        r#"
        -- last_data_key_version
        select coalesce(max(key_version), 0) as "last!" from data_keys
        where organization_id = $1 and scope = $2 and scope_id = $3
        "#,
        organization.uuid(),
        scope.name(),
        scope.id(organization)
    )
    .fetch_one(tx.conn())
    .await?;
    Ok(u32::try_from(last).unwrap_or(u32::MAX).saturating_add(1))
}

/// Keeps a data key from being destroyed until the transaction ends; false when it was.
pub(super) async fn hold(tx: &mut TenantTx, id: DataKeyId) -> Result<bool, DbError> {
    let organization = tx.organization();
    let held = sqlx::query_scalar!(
        "
        -- hold_data_key
        select id from data_keys where organization_id = $1 and id = $2 and destroyed_at is null for share
        ",
        organization.uuid(),
        id.uuid()
    )
    .fetch_optional(tx.conn())
    .await?;
    Ok(held.is_some())
}

/// A data key that was not destroyed.
pub(super) async fn find(tx: &mut TenantTx, id: DataKeyId) -> Result<Option<WrappedKey>, DbError> {
    let organization = tx.organization();
    let row = sqlx::query!(
        r#"
        -- find_data_key
        select scope, scope_id, key_version, wrapped as "wrapped!", master_fingerprint
        from data_keys
        where organization_id = $1 and id = $2 and destroyed_at is null
        "#,
        organization.uuid(),
        id.uuid()
    )
    .fetch_optional(tx.conn())
    .await?;
    let Some(row) = row else { return Ok(None) };
    let unknown = |what: &str| DbError::Other { code: format!("data key {id}: {what} of unknown form") };
    let scope = Scope::from_columns(organization, &row.scope, row.scope_id).map_err(|_| unknown("scope"))?;
    let version = u32::try_from(row.key_version).map_err(|_| unknown("version"))?;
    let master = row.master_fingerprint.parse().map_err(|_| unknown("fingerprint"))?;
    Ok(Some(WrappedKey { identity: KeyIdentity { id, organization, scope, version }, master, wrapped: row.wrapped }))
}

pub(super) async fn mark_all_destroyed(tx: &mut TenantTx, now: Time) -> Result<Vec<DataKeyId>, DbError> {
    let organization = tx.organization();
    let ids: Vec<Uuid> = sqlx::query_scalar!(
        "
        -- mark_all_data_keys_destroyed
        update data_keys set wrapped = null, destroyed_at = $2
        where organization_id = $1 and destroyed_at is null
        returning id
        ",
        organization.uuid(),
        now
    )
    .fetch_all(tx.conn())
    .await?;
    Ok(ids.into_iter().map(DataKeyId::from).collect())
}

pub(super) async fn mark_destroyed(tx: &mut TenantTx, scope: Scope, now: Time) -> Result<Vec<DataKeyId>, DbError> {
    let organization = tx.organization();
    let ids: Vec<Uuid> = sqlx::query_scalar!(
        "
        -- mark_data_keys_destroyed
        update data_keys set wrapped = null, destroyed_at = $4
        where organization_id = $1 and scope = $2 and scope_id = $3 and destroyed_at is null
        returning id
        ",
        organization.uuid(),
        scope.name(),
        scope.id(organization),
        now
    )
    .fetch_all(tx.conn())
    .await?;
    Ok(ids.into_iter().map(DataKeyId::from).collect())
}

/// The ids of destroyed data keys above an id, in their order.
pub(super) async fn destroyed(
    tx: &mut TenantTx,
    after: Option<DataKeyId>,
    limit: i64,
) -> Result<Vec<DataKeyId>, DbError> {
    let organization = tx.organization();
    let ids: Vec<Uuid> = sqlx::query_scalar!(
        "
        -- destroyed_data_keys
        select id from data_keys
        where organization_id = $1 and id > $2 and destroyed_at is not null
        order by id
        limit $3
        ",
        organization.uuid(),
        after.map_or(Uuid::nil(), |id| id.uuid()),
        limit
    )
    .fetch_all(tx.conn())
    .await?;
    Ok(ids.into_iter().map(DataKeyId::from).collect())
}

/// Any that was not destroyed.
pub(super) async fn any(tx: &mut SystemTx) -> Result<Option<DataKeyId>, DbError> {
    let id = sqlx::query_scalar!(
        "
        -- any_data_key
        select id from data_keys where destroyed_at is null limit 1
        "
    )
    .fetch_optional(tx.conn())
    .await?;
    Ok(id.map(DataKeyId::from))
}

pub(super) async fn existing(tx: &mut SystemTx) -> Result<HashSet<DataKeyId>, DbError> {
    let ids: Vec<Uuid> = sqlx::query_scalar!(
        "
        -- existing_data_keys
        select id from data_keys where destroyed_at is null
        "
    )
    .fetch_all(tx.conn())
    .await?;
    Ok(ids.into_iter().map(DataKeyId::from).collect())
}
