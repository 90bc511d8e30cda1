use db::{DbError, SystemTx, TenantTx};
use kernel::Time;
use sqlx::types::Json;

use super::Traveller;
use crate::data_access::model::DataAccess;

pub(super) async fn insert_pairing(
    tx: &mut TenantTx,
    state_hash: &[u8],
    traveller: &Traveller,
    now: Time,
    expires_at: Time,
) -> Result<(), DbError> {
    sqlx::query!(
        "
        -- insert_pairing
        insert into oauth_states (
            state_hash, organization_id, user_id, session_id, provider_key, step, data_access_permissions, created_at, expires_at
        )
        values ($1, $2, $3, $4, $5, 'pairing', $6, $7, $8)
        ",
        state_hash,
        traveller.organization.uuid(),
        traveller.user.uuid(),
        traveller.session.uuid(),
        traveller.provider_key,
        traveller.data_access.map(Json) as _,
        now,
        expires_at
    )
    .execute(tx.conn())
    .await?;
    Ok(())
}

pub(super) async fn insert_authorization(
    tx: &mut SystemTx,
    state_hash: &[u8],
    traveller: &Traveller,
    now: Time,
    expires_at: Time,
) -> Result<(), DbError> {
    sqlx::query!(
        "
        -- insert_authorization
        insert into oauth_states (
            state_hash, organization_id, user_id, session_id, provider_key, step, external_account, data_access_permissions,
            created_at, expires_at
        )
        values ($1, $2, $3, $4, $5, 'authorize', $6, $7, $8, $9)
        ",
        state_hash,
        traveller.organization.uuid(),
        traveller.user.uuid(),
        traveller.session.uuid(),
        traveller.provider_key,
        traveller.external_account,
        traveller.data_access.map(Json) as _,
        now,
        expires_at
    )
    .execute(tx.conn())
    .await?;
    Ok(())
}

/// Consumes a state: whoever comes second finds nothing.
pub(super) async fn take(
    tx: &mut SystemTx,
    state_hash: &[u8],
    step: &str,
    provider_key: &str,
    now: Time,
) -> Result<Option<Traveller>, DbError> {
    let row = sqlx::query!(
        r#"
        -- take_oauth_state
        delete from oauth_states
        where state_hash = $1 and step = $2 and provider_key = $3
        returning organization_id, user_id, session_id, provider_key, external_account,
            data_access_permissions as "data_access_permissions: Json<DataAccess>", expires_at
        "#,
        state_hash,
        step,
        provider_key
    )
    .fetch_optional(tx.conn())
    .await?;
    Ok(row.filter(|row| row.expires_at > now).map(|row| Traveller {
        organization: row.organization_id.into(),
        user: row.user_id.into(),
        session: row.session_id.into(),
        provider_key: row.provider_key,
        external_account: row.external_account,
        data_access: row.data_access_permissions.map(|chosen| chosen.0),
    }))
}

/// Removes the states that nobody came back with in time.
pub(super) async fn purge(tx: &mut SystemTx, now: Time) -> Result<u64, DbError> {
    let done = sqlx::query!(
        "
        -- purge_oauth_states
        delete from oauth_states where expires_at <= $1
        ",
        now
    )
    .execute(tx.conn())
    .await?;
    Ok(done.rows_affected())
}
