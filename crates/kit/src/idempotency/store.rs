use db::{DbError, SystemTx, TenantTx};
use kernel::Time;

/// Takes a key for the request that comes first, and whether it did. One that was taken up to `kept_since` is free again.
pub(super) async fn claim(
    tx: &mut TenantTx,
    key: &[u8; 32],
    request: &[u8; 32],
    now: Time,
    kept_since: Time,
) -> Result<bool, DbError> {
    let organization = tx.organization();
    let done = sqlx::query!(
        "
        -- claim_idempotency_key
        insert into idempotency_keys as k (organization_id, key_digest, request_digest, created_at)
        values ($1, $2, $3, $4)
        on conflict (organization_id, key_digest) do update set
            request_digest = excluded.request_digest, sealed_answer = null, created_at = excluded.created_at
        where k.created_at <= $5
        ",
        organization.uuid(),
        key,
        request,
        now,
        kept_since
    )
    .execute(tx.conn())
    .await?;
    Ok(done.rows_affected() > 0)
}

pub(super) struct Claimed {
    pub(super) request_digest: Vec<u8>,
    pub(super) sealed_answer: Option<Vec<u8>>,
    pub(super) created_at: Time,
}

pub(super) async fn find(tx: &mut TenantTx, key: &[u8; 32]) -> Result<Option<Claimed>, DbError> {
    let organization = tx.organization();
    let claimed = sqlx::query_as!(
        Claimed,
        "
        -- find_idempotency_key
        select request_digest, sealed_answer, created_at
        from idempotency_keys
        where organization_id = $1 and key_digest = $2
        ",
        organization.uuid(),
        key
    )
    .fetch_optional(tx.conn())
    .await?;
    Ok(claimed)
}

pub(super) async fn keep_answer(tx: &mut TenantTx, key: &[u8; 32], sealed: &[u8]) -> Result<(), DbError> {
    let organization = tx.organization();
    sqlx::query!(
        "
        -- keep_idempotent_answer
        update idempotency_keys set sealed_answer = $3 where organization_id = $1 and key_digest = $2
        ",
        organization.uuid(),
        key,
        sealed
    )
    .execute(tx.conn())
    .await?;
    Ok(())
}

/// Frees the key of a request that came to nothing.
pub(super) async fn release(tx: &mut TenantTx, key: &[u8; 32]) -> Result<(), DbError> {
    let organization = tx.organization();
    sqlx::query!(
        "
        -- release_idempotency_key
        delete from idempotency_keys where organization_id = $1 and key_digest = $2
        ",
        organization.uuid(),
        key
    )
    .execute(tx.conn())
    .await?;
    Ok(())
}

pub(super) async fn purge(tx: &mut SystemTx, kept_since: Time, limit: i64) -> Result<u64, DbError> {
    let done = sqlx::query!(
        "
        -- purge_idempotency_keys
        delete from idempotency_keys
        where (organization_id, key_digest) in (
            select organization_id, key_digest from idempotency_keys where created_at <= $1 order by created_at limit $2
        )
        ",
        kept_since,
        limit
    )
    .execute(tx.conn())
    .await?;
    Ok(done.rows_affected())
}
