use db::{DbError, SystemTx, TenantTx};
use uuid::Uuid;

/// A piece of a caller's minute.
pub(super) struct Leased {
    pub(super) granted: u32,
    pub(super) used_before: u32,
}

/// Takes up to `chunk` requests of a minute for this node; None when the minute is used up.
pub(super) async fn lease_minute(
    tx: &mut TenantTx,
    subject: Uuid,
    minute: i64,
    chunk: i32,
    limit: i32,
) -> Result<Option<Leased>, DbError> {
    let organization = tx.organization();
    // The clock of a node may be a little behind: an older minute than the row's counts as the row's.
    let used = sqlx::query_scalar!(
        "
        -- lease_minute
        insert into rate_windows as w (organization_id, subject, window_minute, used)
        values ($1, $2, $3, $4)
        on conflict (organization_id, subject) do update set
            window_minute = greatest(w.window_minute, excluded.window_minute),
            used = case
                when excluded.window_minute > w.window_minute then excluded.used
                else least(w.used + $4, $5)
            end
        where excluded.window_minute > w.window_minute or w.used < $5
        returning used
        ",
        organization.uuid(),
        subject,
        minute,
        chunk,
        limit
    )
    .fetch_optional(tx.conn())
    .await?;
    Ok(used.map(|used| {
        // Grants are whole chunks but for the last, which is cut at the limit.
        let used_before = (used - 1) / chunk * chunk;
        Leased {
            granted: u32::try_from(used - used_before).unwrap_or(0),
            used_before: u32::try_from(used_before).unwrap_or(0),
        }
    }))
}

/// Removes minutes before this one, of all callers. One that has called meanwhile keeps its row.
pub(super) async fn purge(tx: &mut SystemTx, before_minute: i64, limit: i64) -> Result<u64, DbError> {
    let done = sqlx::query!(
        "
        -- purge_rate_windows
        delete from rate_windows
        where (organization_id, subject) in (
            select organization_id, subject from rate_windows where window_minute < $1 limit $2
        ) and window_minute < $1
        ",
        before_minute,
        limit
    )
    .execute(tx.conn())
    .await?;
    Ok(done.rows_affected())
}
