use db::{DbError, PgConnection, SystemTx, TenantTx};
use kernel::{ConnectionId, SessionId, Time, UserId};
use sqlx::types::Json;

use super::Traveller;
use crate::data_access::model::DataAccess;

/// How far somebody has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// Until the provider names the account.
    Pairing,
    /// Until the code comes.
    Authorize,
    /// Until the shop hands over its keys.
    Grant,
    /// Until the browser comes back for them.
    Granted,
}

impl Step {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Pairing => "pairing",
            Self::Authorize => "authorize",
            Self::Grant => "grant",
            Self::Granted => "granted",
        }
    }
}

/// Of whichever transaction: a person begins in their organization, what a provider sends belongs to none yet.
pub(super) async fn insert(
    conn: &mut PgConnection,
    state_hash: &[u8],
    step: Step,
    traveller: &Traveller,
    now: Time,
) -> Result<(), DbError> {
    sqlx::query!(
        "
        -- insert_oauth_state
        insert into oauth_states (
            state_hash, organization_id, user_id, session_id, provider_key, step, external_account, data_access_permissions,
            connection_id, is_transfer, config, sealed_keys, created_at, expires_at
        )
        values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14)
        ",
        state_hash,
        traveller.organization.uuid(),
        traveller.user.uuid(),
        traveller.session.uuid(),
        traveller.provider_key,
        step.as_str(),
        traveller.external_account,
        traveller.data_access.map(Json) as _,
        traveller.connection.map(ConnectionId::uuid),
        traveller.is_transfer,
        traveller.config,
        traveller.sealed_keys,
        now,
        traveller.expires_at
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// Consumes a state: whoever comes second finds nothing.
pub(super) async fn take(
    tx: &mut SystemTx,
    state_hash: &[u8],
    step: Step,
    provider_key: &str,
    now: Time,
) -> Result<Option<Traveller>, DbError> {
    let row = sqlx::query!(
        r#"
        -- take_oauth_state
        delete from oauth_states
        where state_hash = $1 and step = $2 and provider_key = $3
        returning organization_id, user_id, session_id, provider_key, external_account, connection_id, is_transfer, config,
            sealed_keys, data_access_permissions as "data_access_permissions: Json<DataAccess>", expires_at
        "#,
        state_hash,
        step.as_str(),
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
        connection: row.connection_id.map(ConnectionId::from),
        is_transfer: row.is_transfer,
        config: row.config,
        sealed_keys: row.sealed_keys,
        expires_at: row.expires_at,
    }))
}

/// The same for a session. The one that began gets keys once they have waited; whoever else comes uses them up at once.
pub(super) async fn take_settled(
    tx: &mut SystemTx,
    state_hash: &[u8],
    step: Step,
    provider_key: &str,
    (session, settled_before): (SessionId, Time),
    now: Time,
) -> Result<Option<Traveller>, DbError> {
    let is_settling = sqlx::query_scalar!(
        r#"
        -- is_grant_settling
        select exists (
            select from oauth_states
            where state_hash = $1 and step = 'granted' and session_id = $2 and created_at > $3
        ) as "exists!"
        "#,
        state_hash,
        session.uuid(),
        settled_before
    )
    .fetch_one(tx.conn())
    .await?;
    if is_settling { Ok(None) } else { take(tx, state_hash, step, provider_key, now).await }
}

/// Removes a state, however far it has come.
pub(super) async fn burn(tx: &mut SystemTx, state_hash: &[u8]) -> Result<(), DbError> {
    sqlx::query!(
        "
        -- burn_oauth_state
        delete from oauth_states where state_hash = $1
        ",
        state_hash
    )
    .execute(tx.conn())
    .await?;
    Ok(())
}

/// How many states of a person have not run out.
pub(super) async fn count_open(tx: &mut SystemTx, user: UserId, now: Time) -> Result<i64, DbError> {
    let count = sqlx::query_scalar!(
        r#"
        -- count_oauth_states
        select count(*) as "count!" from oauth_states where user_id = $1 and expires_at > $2
        "#,
        user.uuid(),
        now
    )
    .fetch_one(tx.conn())
    .await?;
    Ok(count)
}

/// What the organization of the scope is called.
pub(super) async fn organization_name(tx: &mut TenantTx) -> Result<Option<String>, DbError> {
    let organization = tx.organization();
    let name = sqlx::query_scalar!(
        "
        -- name_of_organization
        select name from organizations where id = $1 and deleted_at is null
        ",
        organization.uuid()
    )
    .fetch_optional(tx.conn())
    .await?;
    Ok(name)
}

/// Whether a shop is still to hand over keys to this session, or has done so just now.
pub(super) async fn is_awaited(
    tx: &mut SystemTx,
    state_hash: &[u8],
    provider_key: &str,
    session: SessionId,
    now: Time,
) -> Result<bool, DbError> {
    let awaited = sqlx::query_scalar!(
        r#"
        -- is_grant_awaited
        select exists (
            select from oauth_states
            where state_hash = $1 and step in ('grant', 'granted') and provider_key = $2 and session_id = $3 and expires_at > $4
        ) as "exists!"
        "#,
        state_hash,
        provider_key,
        session.uuid(),
        now
    )
    .fetch_one(tx.conn())
    .await?;
    Ok(awaited)
}

/// Removes the states that nobody came back with in time.
pub(super) async fn purge(tx: &mut SystemTx, by: Time, limit: i64) -> Result<u64, DbError> {
    let done = sqlx::query!(
        "
        -- purge_oauth_states
        delete from oauth_states
        where state_hash in (select state_hash from oauth_states where expires_at <= $1 limit $2)
        ",
        by,
        limit
    )
    .execute(tx.conn())
    .await?;
    Ok(done.rows_affected())
}
