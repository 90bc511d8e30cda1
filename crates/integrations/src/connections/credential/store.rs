use db::{DbError, TenantTx};
use kernel::{ConnectionId, CredentialId, DataKeyId, Time, UserId};
use uuid::Uuid;

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

/// Takes the turn to renew a token, until then; false while another node has it, a moment after it failed
/// ([`failed_refresh`]), or when the credential is gone.
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
          and (refresh_retry_at is null or refresh_retry_at <= $3)
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
pub(super) async fn release_refresh(
    tx: &mut TenantTx,
    id: CredentialId,
    until: Time,
    failed: Option<(Time, &str)>,
) -> Result<(), DbError> {
    let organization = tx.organization();
    sqlx::query!(
        "
        -- release_refresh
        update credentials set refresh_leased_until = null, refresh_retry_at = $4, refresh_failure = $5
        where organization_id = $1 and id = $2 and refresh_leased_until = $3
        ",
        organization.uuid(),
        id.uuid(),
        until,
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
        set sealed = $3, scopes = $4, expires_at = $5, refresh_expires_at = $6, refresh_leased_until = null,
            refresh_retry_at = null, refresh_failure = null
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
