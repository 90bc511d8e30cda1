use db::{DbError, TenantTx};
use kernel::Time;
use kit::page::Window;
use uuid::Uuid;

pub(super) struct ErrorRow {
    pub(super) id: Uuid,
    pub(super) fingerprint: String,
    pub(super) kind: String,
    pub(super) place: String,
    pub(super) code: String,
    pub(super) message: String,
    pub(super) occurrences: i64,
    pub(super) first_seen_at: Time,
    pub(super) last_seen_at: Time,
    pub(super) last_request_id: Option<String>,
    pub(super) release: String,
}

pub(super) async fn newest(tx: &mut TenantTx, window: Window) -> Result<Vec<ErrorRow>, DbError> {
    let organization = tx.organization();
    let rows = sqlx::query_as!(
        ErrorRow,
        "
        -- newest_error_reports
        select
            id, fingerprint, kind, place, code, message, occurrences, first_seen_at, last_seen_at, last_request_id, release
        from error_reports
        where organization_id = $1 and id < $2
        order by id desc
        limit $3
        ",
        organization.uuid(),
        window.before,
        window.fetch
    )
    .fetch_all(tx.conn())
    .await?;
    Ok(rows)
}
