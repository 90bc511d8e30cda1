use db::{DbError, SystemTx, TenantTx};
use kernel::{ApiKeyId, OrganizationId, Time, UserId};
use serde_json::Value;
use sqlx::types::Json;
use uuid::Uuid;

use super::model::{KeyPermissions, NewKey};
use crate::grants::model::StoredGrant;
use kit::{page::Window, retention::Due};

/// Where a key is: its organization first, as in the primary key.
pub(super) type KeyAddress = (OrganizationId, ApiKeyId);

/// A key without its hash.
pub struct KeyRow {
    pub id: ApiKeyId,
    pub user_id: UserId,
    pub key_name: String,
    pub lookup: String,
    pub permissions: Json<KeyPermissions>,
    pub stores: Option<Vec<Uuid>>,
    pub allowed_origins: Option<Vec<String>>,
    pub state: String,
    pub state_reason: Option<String>,
    pub last_used_at: Option<Time>,
    pub expires_at: Time,
    pub rotated_from: Option<Uuid>,
    pub created_at: Time,
}

/// Creations of one user queue up, so that two at once cannot both be the tenth.
pub(super) async fn lock_user(tx: &mut TenantTx, user: UserId) -> Result<(), DbError> {
    let organization = tx.organization();
    sqlx::query!(
        "
        -- lock_api_keys_of_user
        select pg_advisory_xact_lock(hashtextextended($1 || $2, 20))
        ",
        organization.to_string(),
        user.to_string()
    )
    .fetch_one(tx.conn())
    .await?;
    Ok(())
}

/// Keys of a user that work. A key in its overlap and the one that replaced it count as one.
pub(super) async fn count_live(tx: &mut TenantTx, user: UserId, now: Time) -> Result<i64, DbError> {
    let organization = tx.organization();
    let count = sqlx::query_scalar!(
        r#"
        -- count_live_keys
        select count(*) as "count!"
        from user_api_keys k
        where k.organization_id = $1 and k.user_id = $2 and k.state in ('active', 'suspended') and k.expires_at > $3
          and not exists (
            select 1 from user_api_keys newer
            where newer.organization_id = $1 and newer.rotated_from = k.id
              and newer.state in ('active', 'suspended') and newer.expires_at > $3
          )
        "#,
        organization.uuid(),
        user.uuid(),
        now
    )
    .fetch_one(tx.conn())
    .await?;
    Ok(count)
}

/// The place in the list of the first store that the organization does not have.
pub(super) async fn unknown_store(tx: &mut TenantTx, stores: &[Uuid]) -> Result<Option<i64>, DbError> {
    let organization = tx.organization();
    let index = sqlx::query_scalar!(
        r#"
        -- unknown_store
        select given.place - 1 as "index!"
        from unnest($2::uuid[]) with ordinality as given (id, place)
        where not exists (
            select 1 from connections c where c.organization_id = $1 and c.id = given.id and c.deleted_at is null
        )
        order by given.place
        limit 1
        "#,
        organization.uuid(),
        stores
    )
    .fetch_optional(tx.conn())
    .await?;
    Ok(index)
}

#[expect(clippy::too_many_arguments, reason = "the columns of a new row")]
pub(super) async fn insert_key(
    tx: &mut TenantTx,
    id: ApiKeyId,
    user: UserId,
    new: &NewKey,
    lookup: &str,
    hash: &str,
    rotated_from: Option<ApiKeyId>,
    now: Time,
) -> Result<KeyRow, DbError> {
    let organization = tx.organization();
    let permissions = serde_json::json!({ "webshop_data": new.permissions.webshop_data });
    let row = sqlx::query_as!(
        KeyRow,
        r#"
        -- insert_key
        insert into user_api_keys (
            organization_id, id, user_id, key_name, lookup, key_hash, permissions, stores, allowed_origins, expires_at,
            rotated_from, created_at, updated_at
        )
        values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $12)
        returning id, user_id, key_name, lookup, permissions as "permissions: Json<KeyPermissions>", stores, allowed_origins, state,
            state_reason, last_used_at, expires_at, rotated_from, created_at
        "#,
        organization.uuid(),
        id.uuid(),
        user.uuid(),
        new.name,
        lookup,
        hash,
        permissions,
        new.stores.as_deref(),
        new.allowed_origins.as_deref(),
        new.expires_at,
        rotated_from.map(ApiKeyId::uuid),
        now
    )
    .fetch_one(tx.conn())
    .await?;
    Ok(row)
}

pub(super) async fn insert_prefix(tx: &mut TenantTx, lookup: &str, id: ApiKeyId) -> Result<(), DbError> {
    let organization = tx.organization();
    sqlx::query!(
        "
        -- insert_key_prefix
        insert into api_key_prefixes (lookup, organization_id, key_id) values ($1, $2, $3)
        ",
        lookup,
        organization.uuid(),
        id.uuid()
    )
    .execute(tx.conn())
    .await?;
    Ok(())
}

pub(super) async fn newest(tx: &mut TenantTx, window: Window) -> Result<Vec<KeyRow>, DbError> {
    let organization = tx.organization();
    let rows = sqlx::query_as!(
        KeyRow,
        r#"
        -- list_keys
        select id, user_id, key_name, lookup, permissions as "permissions: Json<KeyPermissions>", stores, allowed_origins, state,
            state_reason, last_used_at, expires_at, rotated_from, created_at
        from user_api_keys
        where organization_id = $1 and id < $2
        order by id desc
        limit $3
        "#,
        organization.uuid(),
        window.before,
        window.fetch
    )
    .fetch_all(tx.conn())
    .await?;
    Ok(rows)
}

pub(super) async fn find_for_update(tx: &mut TenantTx, id: ApiKeyId) -> Result<Option<KeyRow>, DbError> {
    let organization = tx.organization();
    let row = sqlx::query_as!(
        KeyRow,
        r#"
        -- find_key_for_update
        select id, user_id, key_name, lookup, permissions as "permissions: Json<KeyPermissions>", stores, allowed_origins, state,
            state_reason, last_used_at, expires_at, rotated_from, created_at
        from user_api_keys
        where organization_id = $1 and id = $2
        for update
        "#,
        organization.uuid(),
        id.uuid()
    )
    .fetch_optional(tx.conn())
    .await?;
    Ok(row)
}

pub(super) async fn was_rotated(tx: &mut TenantTx, id: ApiKeyId) -> Result<bool, DbError> {
    let organization = tx.organization();
    let rotated = sqlx::query_scalar!(
        r#"
        -- was_key_rotated
        select exists (select 1 from user_api_keys where organization_id = $1 and rotated_from = $2) as "rotated!"
        "#,
        organization.uuid(),
        id.uuid()
    )
    .fetch_one(tx.conn())
    .await?;
    Ok(rotated)
}

pub(super) async fn set_state(
    tx: &mut TenantTx,
    id: ApiKeyId,
    state: &str,
    reason: &str,
    now: Time,
) -> Result<KeyRow, DbError> {
    let organization = tx.organization();
    let row = sqlx::query_as!(
        KeyRow,
        r#"
        -- set_key_state
        update user_api_keys set state = $3, state_reason = $4, state_changed_at = $5, updated_at = $5
        where organization_id = $1 and id = $2
        returning id, user_id, key_name, lookup, permissions as "permissions: Json<KeyPermissions>", stores, allowed_origins, state,
            state_reason, last_used_at, expires_at, rotated_from, created_at
        "#,
        organization.uuid(),
        id.uuid(),
        state,
        reason,
        now
    )
    .fetch_one(tx.conn())
    .await?;
    Ok(row)
}

/// A key that is suspended, and where.
pub(super) struct SuspendedRow {
    pub(super) key_name: String,
    pub(super) user_id: UserId,
    pub(super) since: Time,
    pub(super) organization_name: String,
}

/// Suspends a key that works, unless this suspicion was cleared for it.
pub(super) async fn suspend(
    tx: &mut TenantTx,
    id: ApiKeyId,
    suspicion: &str,
    now: Time,
) -> Result<Option<SuspendedRow>, DbError> {
    let organization = tx.organization();
    let row = sqlx::query_as!(
        SuspendedRow,
        r#"
        -- suspend_key
        update user_api_keys set state = 'suspended', state_reason = $3, state_changed_at = $4, updated_at = $4
        where organization_id = $1 and id = $2 and state = 'active' and expires_at > $4
          and not $3 = any(suspicions_cleared)
        returning key_name, user_id, state_changed_at as "since!",
            (select name from organizations where id = $1) as "organization_name!"
        "#,
        organization.uuid(),
        id.uuid(),
        suspicion,
        now
    )
    .fetch_optional(tx.conn())
    .await?;
    Ok(row)
}

/// Lets a suspended key work again, and keeps that its suspicion was cleared; None when it is not suspended.
pub(super) async fn clear(tx: &mut TenantTx, id: ApiKeyId, now: Time) -> Result<Option<KeyRow>, DbError> {
    let organization = tx.organization();
    let row = sqlx::query_as!(
        KeyRow,
        r#"
        -- clear_key
        update user_api_keys
        set state = 'active', state_reason = null, state_changed_at = $3, updated_at = $3,
            suspicions_cleared = array_append(array_remove(suspicions_cleared, state_reason), state_reason)
        where organization_id = $1 and id = $2 and state = 'suspended'
        returning id, user_id, key_name, lookup, permissions as "permissions: Json<KeyPermissions>", stores, allowed_origins, state,
            state_reason, last_used_at, expires_at, rotated_from, created_at
        "#,
        organization.uuid(),
        id.uuid(),
        now
    )
    .fetch_optional(tx.conn())
    .await?;
    Ok(row)
}

/// Revokes a key that is suspended since then; its name, or None when somebody decided otherwise.
pub(super) async fn revoke_suspended(
    tx: &mut TenantTx,
    id: ApiKeyId,
    since: Time,
    reason: &str,
    now: Time,
) -> Result<Option<String>, DbError> {
    let organization = tx.organization();
    let name = sqlx::query_scalar!(
        "
        -- revoke_suspended_key
        update user_api_keys set state = 'revoked', state_reason = $4, state_changed_at = $5, updated_at = $5
        where organization_id = $1 and id = $2 and state = 'suspended' and state_changed_at = $3
        returning key_name
        ",
        organization.uuid(),
        id.uuid(),
        since,
        reason,
        now
    )
    .fetch_optional(tx.conn())
    .await?;
    Ok(name)
}

/// Somebody who is told of a key.
pub(super) struct Recipient {
    pub(super) user_id: UserId,
    pub(super) name: String,
    pub(super) email: String,
}

/// Who answers for a key: whoever made it, and the owners; at most fifty.
pub(super) async fn who_answers_for(tx: &mut TenantTx, creator: UserId) -> Result<Vec<Recipient>, DbError> {
    let organization = tx.organization();
    let rows = sqlx::query_as!(
        Recipient,
        "
        -- who_answers_for_key
        select m.user_id, u.name, u.email
        from organization_members m
        join users u on u.id = m.user_id
        where m.organization_id = $1 and m.status = 'active' and (m.role = 'owner' or m.user_id = $2)
        order by m.id
        limit 50
        ",
        organization.uuid(),
        creator.uuid()
    )
    .fetch_all(tx.conn())
    .await?;
    Ok(rows)
}

pub(super) async fn set_expiry(tx: &mut TenantTx, id: ApiKeyId, expires_at: Time, now: Time) -> Result<(), DbError> {
    let organization = tx.organization();
    sqlx::query!(
        "
        -- set_key_expiry
        update user_api_keys set expires_at = $3, updated_at = $4 where organization_id = $1 and id = $2
        ",
        organization.uuid(),
        id.uuid(),
        expires_at,
        now
    )
    .execute(tx.conn())
    .await?;
    Ok(())
}

/// Ends a key that still works at once. Whether there was one.
pub(super) async fn end_now(tx: &mut TenantTx, id: Uuid, now: Time) -> Result<bool, DbError> {
    let organization = tx.organization();
    let ended = sqlx::query!(
        "
        -- end_key
        update user_api_keys set expires_at = $3, updated_at = $3
        where organization_id = $1 and id = $2 and state in ('active', 'suspended') and expires_at > $3
        ",
        organization.uuid(),
        id,
        now
    )
    .execute(tx.conn())
    .await?;
    Ok(ended.rows_affected() > 0)
}

pub(super) struct ExpiredRow {
    pub(super) id: ApiKeyId,
    pub(super) key_name: String,
}

pub(super) async fn expire_due(tx: &mut TenantTx, now: Time) -> Result<Vec<ExpiredRow>, DbError> {
    let organization = tx.organization();
    let rows = sqlx::query_as!(
        ExpiredRow,
        "
        -- expired_keys
        update user_api_keys
        set state = 'expired', state_reason = $3, state_changed_at = $2, updated_at = $2
        where organization_id = $1 and state in ('active', 'suspended') and expires_at <= $2
        returning id, key_name
        ",
        organization.uuid(),
        now,
        super::EXPIRED
    )
    .fetch_all(tx.conn())
    .await?;
    Ok(rows)
}

pub(super) async fn revoke_all(tx: &mut TenantTx, reason: &str, now: Time) -> Result<(), DbError> {
    let organization = tx.organization();
    sqlx::query!(
        "
        -- revoke_all_keys
        update user_api_keys set state = 'revoked', state_reason = $2, state_changed_at = $3, updated_at = $3
        where organization_id = $1 and state in ('active', 'suspended')
        ",
        organization.uuid(),
        reason,
        now
    )
    .execute(tx.conn())
    .await?;
    Ok(())
}

pub(super) async fn revoke_all_of(tx: &mut TenantTx, user: UserId, reason: &str, now: Time) -> Result<u64, DbError> {
    let organization = tx.organization();
    let done = sqlx::query!(
        "
        -- revoke_keys_of_user
        update user_api_keys set state = 'revoked', state_reason = $3, state_changed_at = $4, updated_at = $4
        where organization_id = $1 and user_id = $2 and state in ('active', 'suspended')
        ",
        organization.uuid(),
        user.uuid(),
        reason,
        now
    )
    .execute(tx.conn())
    .await?;
    Ok(done.rows_affected())
}

pub(super) struct HashRow {
    pub(super) organization_id: OrganizationId,
    pub(super) id: ApiKeyId,
    pub(super) key_hash: String,
}

/// The hash of a key, whatever its state: a revoked key is checked like any other before it is refused.
pub(super) async fn hash_by_lookup(tx: &mut SystemTx, lookup: &str) -> Result<Option<HashRow>, DbError> {
    let row = sqlx::query_as!(
        HashRow,
        "
        -- key_by_lookup
        select k.organization_id, k.id, k.key_hash
        from api_key_prefixes p
        join user_api_keys k on k.organization_id = p.organization_id and k.id = p.key_id
        where p.lookup = $1
        ",
        lookup
    )
    .fetch_optional(tx.conn())
    .await?;
    Ok(row)
}

pub(super) struct KeyFactsRow {
    pub(super) organization_name: String,
    pub(super) key_name: String,
    pub(super) user_id: UserId,
    pub(super) key_hash: String,
    pub(super) permissions: Value,
    pub(super) stores: Option<Vec<Uuid>>,
    pub(super) allowed_origins: Option<Vec<String>>,
    pub(super) state: String,
    pub(super) expires_at: Time,
    pub(super) role: String,
    pub(super) grants: Json<Vec<StoredGrant>>,
    pub(super) member_status: String,
    pub(super) user_deleted: bool,
    pub(super) organization_deleted: bool,
    pub(super) subscription_status: String,
    /// The creator's seat is beyond what the plan allows.
    pub(super) is_seat_paused: bool,
}

pub(super) async fn key_with_creator(
    tx: &mut SystemTx,
    (organization, id): KeyAddress,
) -> Result<Option<KeyFactsRow>, DbError> {
    let row = sqlx::query_as!(
        KeyFactsRow,
        r#"
        -- key_with_creator
        select o.name as organization_name, k.key_name, k.user_id, k.key_hash, k.permissions, k.stores, k.allowed_origins,
            k.state, k.expires_at, m.role, app.grants_of(m.organization_id, m.id) as "grants!: Json<Vec<StoredGrant>>", m.status as member_status, u.deleted_at is not null as "user_deleted!",
            o.deleted_at is not null as "organization_deleted!", o.subscription_status,
            m.plan_paused_at is not null as "is_seat_paused!"
        from user_api_keys k
        join organization_members m on m.organization_id = k.organization_id and m.user_id = k.user_id
        join organizations o on o.id = k.organization_id
        join users u on u.id = k.user_id
        where k.organization_id = $1 and k.id = $2
        "#,
        organization.uuid(),
        id.uuid()
    )
    .fetch_optional(tx.conn())
    .await?;
    Ok(row)
}

pub(super) async fn write_uses(tx: &mut SystemTx, keys: &[KeyAddress], now: Time) -> Result<(), DbError> {
    let organizations: Vec<Uuid> = keys.iter().map(|(organization, _)| organization.uuid()).collect();
    let ids: Vec<Uuid> = keys.iter().map(|(_, id)| id.uuid()).collect();
    sqlx::query!(
        "
        -- update_api_key_last_used
        update user_api_keys k set last_used_at = $3
        from unnest($1::uuid[], $2::uuid[]) as used (organization_id, id)
        where k.organization_id = used.organization_id and k.id = used.id
        ",
        &organizations,
        &ids,
        now
    )
    .execute(tx.conn())
    .await?;
    Ok(())
}

/// Removes keys that were revoked or have expired before then, with what they are found by.
pub(super) async fn purge(tx: &mut TenantTx, due: Due, limit: i64) -> Result<u64, DbError> {
    let organization = tx.organization();
    let done = sqlx::query!(
        "
        -- purge_api_keys
        delete from user_api_keys
        where organization_id = $1 and id in (
            select id from user_api_keys
            where organization_id = $1
              and ($3 or expires_at < $2 or (state = 'revoked' and coalesce(state_changed_at, updated_at) < $2))
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
