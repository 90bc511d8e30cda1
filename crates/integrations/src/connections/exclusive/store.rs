use db::{DbError, SystemTx, TenantTx};
use kernel::{ConnectionId, OrganizationId, Time};

/// False when somebody holds it already. Of two at once the second waits for what becomes of the first.
pub(super) async fn claim(
    tx: &mut TenantTx,
    provider_key: &str,
    external_account: &str,
    connection: ConnectionId,
    now: Time,
) -> Result<bool, DbError> {
    let organization = tx.organization();
    let done = sqlx::query!(
        "
        -- claim_account
        insert into exclusive_accounts (provider_key, external_account, organization_id, connection_id, claimed_at)
        values ($1, $2, $3, $4, $5)
        on conflict (provider_key, external_account) do nothing
        ",
        provider_key,
        external_account,
        organization.uuid(),
        connection.uuid(),
        now
    )
    .execute(tx.conn())
    .await?;
    Ok(done.rows_affected() == 1)
}

/// Whether the connection is the one that holds its account.
pub(super) async fn holds(
    tx: &mut TenantTx,
    provider_key: &str,
    external_account: &str,
    connection: ConnectionId,
) -> Result<bool, DbError> {
    let organization = tx.organization();
    let row = sqlx::query_scalar!(
        "
        -- holds_account
        select connection_id from exclusive_accounts
        where provider_key = $1 and external_account = $2 and organization_id = $3 and connection_id = $4
        ",
        provider_key,
        external_account,
        organization.uuid(),
        connection.uuid()
    )
    .fetch_optional(tx.conn())
    .await?;
    Ok(row.is_some())
}

pub(super) async fn release(tx: &mut TenantTx, connection: ConnectionId) -> Result<(), DbError> {
    let organization = tx.organization();
    sqlx::query!(
        "
        -- release_account
        delete from exclusive_accounts where organization_id = $1 and connection_id = $2
        ",
        organization.uuid(),
        connection.uuid()
    )
    .execute(tx.conn())
    .await?;
    Ok(())
}

pub(super) async fn holder(
    tx: &mut SystemTx,
    provider_key: &str,
    external_account: &str,
) -> Result<Option<(OrganizationId, ConnectionId)>, DbError> {
    let row = sqlx::query!(
        "
        -- holder_of_account
        select organization_id, connection_id from exclusive_accounts where provider_key = $1 and external_account = $2
        ",
        provider_key,
        external_account
    )
    .fetch_optional(tx.conn())
    .await?;
    Ok(row.map(|row| (row.organization_id.into(), row.connection_id.into())))
}
