use db::{DbError, TenantTx};
use kernel::{ConnectionId, CredentialId, DataKeyId, Time, UserId};
use uuid::Uuid;

use super::Version;

pub(super) struct NewCredential<'a> {
    pub(super) id: CredentialId,
    pub(super) connection: ConnectionId,
    pub(super) data_key: DataKeyId,
    pub(super) key_version: i32,
    pub(super) kind: &'static str,
    pub(super) hint: Option<String>,
    pub(super) sealed: Vec<u8>,
    pub(super) scopes: &'a [String],
    pub(super) expires_at: Option<Time>,
    pub(super) refresh_expires_at: Option<Time>,
    /// The one that this one replaces.
    pub(super) rotated_from: Option<CredentialId>,
    pub(super) created_by: Option<UserId>,
    pub(super) now: Time,
}

pub(super) async fn insert(tx: &mut TenantTx, new: NewCredential<'_>) -> Result<(), DbError> {
    let organization = tx.organization();
    sqlx::query!(
        "
        -- insert_credential
        insert into credentials (
            organization_id, id, connection_id, data_key_id, key_version, kind, hint, sealed, scopes, expires_at,
            refresh_expires_at, rotated_from, created_by, created_at
        )
        values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14)
        ",
        organization.uuid(),
        new.id.uuid(),
        new.connection.uuid(),
        new.data_key.uuid(),
        new.key_version,
        new.kind,
        new.hint,
        new.sealed,
        new.scopes,
        new.expires_at,
        new.refresh_expires_at,
        new.rotated_from.map(CredentialId::uuid),
        new.created_by.map(UserId::uuid),
        new.now
    )
    .execute(tx.conn())
    .await?;
    Ok(())
}

pub(super) struct CredentialRow {
    pub(super) id: CredentialId,
    pub(super) renewals: i64,
    pub(super) data_key_id: Uuid,
    pub(super) sealed: Vec<u8>,
    pub(super) scopes: Vec<String>,
    pub(super) expires_at: Option<Time>,
    pub(super) refresh_expires_at: Option<Time>,
}

pub(super) async fn active(tx: &mut TenantTx, connection: ConnectionId) -> Result<Option<CredentialRow>, DbError> {
    let organization = tx.organization();
    let row = sqlx::query_as!(
        CredentialRow,
        "
        -- active_credential
        select id, renewals, data_key_id, sealed, scopes, expires_at, refresh_expires_at
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

/// Which credential is active, without what it seals.
pub(super) struct ActiveIdentity {
    pub(super) id: CredentialId,
    pub(super) data_key_id: Uuid,
}

pub(super) async fn active_identity(
    tx: &mut TenantTx,
    connection: ConnectionId,
) -> Result<Option<ActiveIdentity>, DbError> {
    let organization = tx.organization();
    let row = sqlx::query_as!(
        ActiveIdentity,
        "
        -- active_credential_identity
        select id, data_key_id from credentials
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
pub(super) async fn revoke(tx: &mut TenantTx, connection: ConnectionId, now: Time) -> Result<u64, DbError> {
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

/// A turn to renew a token.
pub(super) struct TakenTurn {
    pub(super) number: i64,
    /// How often the provider was asked since the token was last renewed, with the time that is to come.
    pub(super) tries: i16,
    /// Whoever had the turn before did not give it back: what came of their call is not known.
    pub(super) is_taken_over: bool,
}

/// Takes the turn to renew a token, until then, and counts the try; None while another node has it, a moment after it failed
/// ([`failed_refresh`]), or when that token is no longer what is stored.
pub(super) async fn take_refresh_turn(
    tx: &mut TenantTx,
    token: Version,
    now: Time,
    until: Time,
) -> Result<Option<TakenTurn>, DbError> {
    let organization = tx.organization();
    let taken = sqlx::query_as!(
        TakenTurn,
        r#"
        -- take_refresh_turn
        with free as (
            select organization_id, id, refresh_leased_until
            from credentials
            where organization_id = $1 and id = $2 and renewals = $5 and revoked_at is null
              and (refresh_leased_until is null or refresh_leased_until <= $3)
              and (refresh_retry_at is null or refresh_retry_at <= $3)
            for update
        )
        update credentials
        set refresh_leased_until = $4, refresh_turn = credentials.refresh_turn + 1,
            refresh_tries = least(credentials.refresh_tries + 1, 1000)
        from free
        where credentials.organization_id = free.organization_id and credentials.id = free.id
        returning credentials.refresh_turn as number, credentials.refresh_tries as tries,
            free.refresh_leased_until is not null as "is_taken_over!"
        "#,
        organization.uuid(),
        token.id.uuid(),
        now,
        until,
        token.renewals
    )
    .fetch_optional(tx.conn())
    .await?;
    Ok(taken)
}

/// Lengthens a turn until then, and says how often the provider was asked with the call that comes next; false when the turn
/// is another's by now.
pub(super) async fn keep_refresh_turn(
    tx: &mut TenantTx,
    id: CredentialId,
    number: i64,
    tries: i16,
    until: Time,
) -> Result<bool, DbError> {
    let organization = tx.organization();
    let kept = sqlx::query!(
        "
        -- keep_refresh_turn
        update credentials set refresh_leased_until = $5, refresh_tries = $4
        where organization_id = $1 and id = $2 and refresh_turn = $3 and revoked_at is null
          and refresh_leased_until is not null
        ",
        organization.uuid(),
        id.uuid(),
        number,
        tries,
        until
    )
    .execute(tx.conn())
    .await?;
    Ok(kept.rows_affected() == 1)
}

/// A refresh that failed, and is not to be tried again before then.
pub(super) struct FailedRefresh {
    pub(super) retry_at: Time,
    /// The code of the problem.
    pub(super) failure: String,
}

pub(super) async fn failed_refresh(
    tx: &mut TenantTx,
    id: CredentialId,
    now: Time,
) -> Result<Option<FailedRefresh>, DbError> {
    let organization = tx.organization();
    let row = sqlx::query_as!(
        FailedRefresh,
        r#"
        -- failed_refresh
        select refresh_retry_at as "retry_at!", refresh_failure as "failure!" from credentials
        where organization_id = $1 and id = $2 and revoked_at is null and refresh_retry_at > $3
        "#,
        organization.uuid(),
        id.uuid(),
        now
    )
    .fetch_optional(tx.conn())
    .await?;
    Ok(row)
}

/// Gives the turn back, if it is still ours: to nobody before the time at which a refresh that failed may be tried again.
pub(super) async fn release_refresh_turn(
    tx: &mut TenantTx,
    id: CredentialId,
    number: i64,
    failed: Option<(Time, &str)>,
) -> Result<(), DbError> {
    let organization = tx.organization();
    sqlx::query!(
        "
        -- release_refresh_turn
        update credentials set refresh_leased_until = null, refresh_retry_at = $4, refresh_failure = $5
        where organization_id = $1 and id = $2 and refresh_turn = $3 and refresh_leased_until is not null
        ",
        organization.uuid(),
        id.uuid(),
        number,
        failed.map(|(retry_at, _)| retry_at),
        failed.map(|(_, failure)| failure)
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

/// Saves what a token was renewed to, and ends whoever's turn it is; false when that token is no longer what is stored, and
/// nothing was changed.
pub(super) async fn update_token(tx: &mut TenantTx, used: Version, renewed: Renewed<'_>) -> Result<bool, DbError> {
    let organization = tx.organization();
    let updated = sqlx::query!(
        "
        -- update_token
        update credentials
        set sealed = $4, scopes = $5, expires_at = $6, refresh_expires_at = $7, renewals = renewals + 1,
            refresh_leased_until = null, refresh_tries = 0, refresh_retry_at = null, refresh_failure = null
        where organization_id = $1 and id = $2 and renewals = $3 and revoked_at is null
        ",
        organization.uuid(),
        used.id.uuid(),
        used.renewals,
        renewed.sealed,
        renewed.scopes,
        renewed.expires_at,
        renewed.refresh_expires_at
    )
    .execute(tx.conn())
    .await?;
    Ok(updated.rows_affected() == 1)
}
