use db::{DbError, PgConnection, SystemTx, TenantTx};
use kernel::{OrganizationId, Time};
use uuid::Uuid;

pub(super) async fn insert(
    conn: &mut PgConnection,
    organization: OrganizationId,
    id: Uuid,
    kind: &str,
    sealed: &[u8],
    now: Time,
) -> Result<(), DbError> {
    sqlx::query!(
        "
        -- insert_mail
        insert into mail_outbox (organization_id, id, kind, sealed, state, created_at)
        values ($1, $2, $3, $4, 'waiting', $5)
        ",
        organization.uuid(),
        id,
        kind,
        sealed,
        now
    )
    .execute(conn)
    .await?;
    Ok(())
}

pub(super) struct WaitingRow {
    pub(super) kind: String,
    pub(super) sealed: Option<Vec<u8>>,
}

/// A mail that is neither sent nor given up.
pub(super) async fn find_waiting(tx: &mut TenantTx, id: Uuid) -> Result<Option<WaitingRow>, DbError> {
    let organization = tx.organization();
    let row = sqlx::query_as!(
        WaitingRow,
        "
        -- find_waiting_mail
        select kind, sealed from mail_outbox where organization_id = $1 and id = $2 and state = 'waiting'
        ",
        organization.uuid(),
        id
    )
    .fetch_optional(tx.conn())
    .await?;
    Ok(row)
}

/// Empties the row and says what became of it.
pub(super) async fn settle(
    tx: &mut TenantTx,
    id: Uuid,
    state: &str,
    cause: Option<&str>,
    now: Time,
) -> Result<(), DbError> {
    let organization = tx.organization();
    sqlx::query!(
        "
        -- settle_mail
        update mail_outbox set sealed = null, state = $3, cause = $4, settled_at = $5
        where organization_id = $1 and id = $2 and state = 'waiting'
        ",
        organization.uuid(),
        id,
        state,
        cause,
        now
    )
    .execute(tx.conn())
    .await?;
    Ok(())
}

pub(super) async fn purge(tx: &mut SystemTx, before: Time, limit: i64) -> Result<u64, DbError> {
    let done = sqlx::query!(
        "
        -- purge_mail
        delete from mail_outbox
        where (organization_id, id) in (
            select organization_id, id from mail_outbox where created_at < $1 order by created_at limit $2
        )
        ",
        before,
        limit
    )
    .execute(tx.conn())
    .await?;
    Ok(done.rows_affected())
}
