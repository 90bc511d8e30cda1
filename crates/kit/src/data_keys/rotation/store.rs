use db::{DbError, SystemTx, TenantTx};
use kernel::{DataKeyId, OrganizationId, Time};
use uuid::Uuid;

use super::{KeyRotationId, Rotation, UnderKey};
use crate::vault::{Fingerprint, KeyIdentity, Scope, WrappedKey};

/// Who makes a data key holds this shared, who names another master key alone: no key is made under one that was just replaced.
pub(super) async fn lock_master_key(tx: &mut SystemTx) -> Result<(), DbError> {
    sqlx::query!(
        "
        -- lock_master_key
        select pg_advisory_xact_lock(hashtextextended('master_key', 39))
        "
    )
    .fetch_one(tx.conn())
    .await?;
    Ok(())
}

pub(super) async fn share_master_key(tx: &mut TenantTx) -> Result<(), DbError> {
    sqlx::query!(
        "
        -- share_master_key
        select pg_advisory_xact_lock_shared(hashtextextended('master_key', 39))
        "
    )
    .fetch_one(tx.conn())
    .await?;
    Ok(())
}

/// The master key that the newest rotation leads to.
pub(super) async fn master_key(tx: &mut TenantTx) -> Result<Option<Fingerprint>, DbError> {
    let key = sqlx::query_scalar!(
        "
        -- master_key_in_use
        select to_key from key_rotations order by id desc limit 1
        "
    )
    .fetch_optional(tx.conn())
    .await?;
    key.map(|key| fingerprint(&key)).transpose()
}

pub(super) async fn insert(tx: &mut SystemTx, rotation: &Rotation) -> Result<(), DbError> {
    sqlx::query!(
        "
        -- insert_key_rotation
        insert into key_rotations (id, from_key, to_key, began_at, total) values ($1, $2, $3, $4, $5)
        ",
        rotation.id.uuid(),
        rotation.from.to_string(),
        rotation.to.to_string(),
        rotation.began_at,
        rotation.total
    )
    .execute(tx.conn())
    .await?;
    Ok(())
}

struct Row {
    id: Uuid,
    from_key: String,
    to_key: String,
    began_at: Time,
    total: i64,
    rewrapped: i64,
    reached_organization: Option<Uuid>,
    reached_data_key: Option<Uuid>,
    finished_at: Option<Time>,
}

impl Row {
    fn rotation(self) -> Result<Rotation, DbError> {
        Ok(Rotation {
            id: KeyRotationId::from(self.id),
            from: fingerprint(&self.from_key)?,
            to: fingerprint(&self.to_key)?,
            began_at: self.began_at,
            total: self.total,
            rewrapped: self.rewrapped,
            reached: self.reached_organization.zip(self.reached_data_key),
            finished_at: self.finished_at,
        })
    }
}

/// The newest one.
pub(super) async fn last(tx: &mut SystemTx) -> Result<Option<Rotation>, DbError> {
    let row = sqlx::query_as!(
        Row,
        "
        -- last_key_rotation
        select id, from_key, to_key, began_at, total, done as rewrapped, reached_organization, reached_data_key, finished_at
        from key_rotations
        order by id desc
        limit 1
        "
    )
    .fetch_optional(tx.conn())
    .await?;
    row.map(Row::rotation).transpose()
}

/// The one that has not finished, which nobody else touches until the transaction ends.
pub(super) async fn lock_unfinished(tx: &mut SystemTx) -> Result<Option<Rotation>, DbError> {
    let row = sqlx::query_as!(
        Row,
        "
        -- lock_key_rotation
        select id, from_key, to_key, began_at, total, done as rewrapped, reached_organization, reached_data_key, finished_at
        from key_rotations
        where finished_at is null
        order by id desc
        limit 1
        for update
        "
    )
    .fetch_optional(tx.conn())
    .await?;
    row.map(Row::rotation).transpose()
}

/// Whether a master key was replaced at any time.
pub(super) async fn was_replaced(tx: &mut SystemTx, key: Fingerprint) -> Result<bool, DbError> {
    let was = sqlx::query_scalar!(
        r#"
        -- was_master_key_replaced
        select exists (select 1 from key_rotations where from_key = $1) as "was!"
        "#,
        key.to_string()
    )
    .fetch_one(tx.conn())
    .await?;
    Ok(was)
}

/// The data keys under a master key, behind the last one that was looked at, in the order of organization and id.
pub(super) async fn next_under(
    tx: &mut SystemTx,
    key: Fingerprint,
    reached: Option<(Uuid, Uuid)>,
    limit: i64,
) -> Result<Vec<WrappedKey>, DbError> {
    let (organization, id) = reached.unwrap_or_default();
    let rows = sqlx::query!(
        r#"
        -- data_keys_under
        select organization_id, id, scope, scope_id, key_version, wrapped as "wrapped!"
        from data_keys
        where (organization_id, id) > ($1, $2) and master_fingerprint = $3 and destroyed_at is null
        order by organization_id, id
        limit $4
        "#,
        organization,
        id,
        key.to_string(),
        limit
    )
    .fetch_all(tx.conn())
    .await?;
    let mut found = Vec::with_capacity(rows.len());
    for row in rows {
        let (organization, id) = (OrganizationId::from(row.organization_id), DataKeyId::from(row.id));
        let unknown = |what: &str| DbError::Other { code: format!("data key {id}: {what} of unknown form") };
        let scope = Scope::from_columns(organization, &row.scope, row.scope_id).map_err(|_| unknown("scope"))?;
        let version = u32::try_from(row.key_version).map_err(|_| unknown("version"))?;
        let identity = KeyIdentity { id, organization, scope, version };
        found.push(WrappedKey { identity, master: key, wrapped: row.wrapped });
    }
    Ok(found)
}

/// Puts new wrappings in the place of the old ones, where these still are: a key that was destroyed meanwhile stays so, and what
/// another process has wrapped is not overwritten. How many were replaced.
pub(super) async fn replace(tx: &mut SystemTx, pairs: &[(WrappedKey, WrappedKey)]) -> Result<u64, DbError> {
    let Some((first_old, first_new)) = pairs.first() else { return Ok(0) };
    let of = |pick: fn(&KeyIdentity) -> Uuid| pairs.iter().map(|(old, _)| pick(&old.identity)).collect::<Vec<Uuid>>();
    let (organizations, ids) = (of(|identity| identity.organization.uuid()), of(|identity| identity.id.uuid()));
    let old: Vec<Vec<u8>> = pairs.iter().map(|(old, _)| old.wrapped.clone()).collect();
    let new: Vec<Vec<u8>> = pairs.iter().map(|(_, new)| new.wrapped.clone()).collect();
    let done = sqlx::query!(
        "
        -- rewrap_data_keys
        update data_keys k
        set wrapped = n.wrapped, master_fingerprint = $6
        from unnest($1::uuid[], $2::uuid[], $3::bytea[], $4::bytea[]) as n (organization_id, id, was, wrapped)
        where k.organization_id = n.organization_id and k.id = n.id
            and k.master_fingerprint = $5 and k.wrapped = n.was and k.destroyed_at is null
        ",
        &organizations,
        &ids,
        &old,
        &new,
        first_old.master.to_string(),
        first_new.master.to_string()
    )
    .execute(tx.conn())
    .await?;
    Ok(done.rows_affected())
}

pub(super) async fn note_progress(
    tx: &mut SystemTx,
    id: KeyRotationId,
    rewrapped: i64,
    reached: Option<(Uuid, Uuid)>,
) -> Result<(), DbError> {
    sqlx::query!(
        "
        -- note_key_rotation
        update key_rotations
        set done = done + $2, reached_organization = $3, reached_data_key = $4
        where id = $1 and finished_at is null
        ",
        id.uuid(),
        rewrapped,
        reached.map(|(organization, _)| organization),
        reached.map(|(_, data_key)| data_key)
    )
    .execute(tx.conn())
    .await?;
    Ok(())
}

pub(super) async fn finish(tx: &mut SystemTx, id: KeyRotationId, now: Time) -> Result<(), DbError> {
    sqlx::query!(
        "
        -- finish_key_rotation
        update key_rotations set finished_at = $2 where id = $1 and finished_at is null
        ",
        id.uuid(),
        now
    )
    .execute(tx.conn())
    .await?;
    Ok(())
}

/// Takes one up again that has ended, from its beginning, for so many data keys.
pub(super) async fn reopen(tx: &mut SystemTx, id: KeyRotationId, left: i64) -> Result<(), DbError> {
    sqlx::query!(
        "
        -- reopen_key_rotation
        update key_rotations
        set finished_at = null, reached_organization = null, reached_data_key = null, total = done + $2
        where id = $1
        ",
        id.uuid(),
        left
    )
    .execute(tx.conn())
    .await?;
    Ok(())
}

/// How many data keys that were not destroyed are under each master key.
pub(super) async fn references(tx: &mut SystemTx) -> Result<Vec<UnderKey>, DbError> {
    let rows = sqlx::query!(
        r#"
        -- master_key_references
        select master_fingerprint, count(*) as "data_keys!"
        from data_keys
        where destroyed_at is null
        group by master_fingerprint
        order by master_fingerprint
        "#
    )
    .fetch_all(tx.conn())
    .await?;
    rows.into_iter()
        .map(|row| Ok(UnderKey { key: fingerprint(&row.master_fingerprint)?, data_keys: row.data_keys }))
        .collect()
}

fn fingerprint(text: &str) -> Result<Fingerprint, DbError> {
    text.parse().map_err(|_| DbError::Other { code: "fingerprint of unknown form".to_owned() })
}
