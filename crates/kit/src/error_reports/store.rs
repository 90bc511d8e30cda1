use db::{DbError, SystemTx};
use kernel::Time;
use uuid::Uuid;

use super::Group;

/// Adds what broke to what had broken before. The ids are for what had not.
pub(super) async fn upsert(tx: &mut SystemTx, ids: &[Uuid], groups: &[Group], release: &str) -> Result<(), DbError> {
    let organizations: Vec<Option<Uuid>> = groups.iter().map(|group| group.organization.map(|id| id.uuid())).collect();
    let text =
        |text: fn(&Group) -> &str| -> Vec<String> { groups.iter().map(|group| text(group).to_owned()).collect() };
    let occurrences: Vec<i64> =
        groups.iter().map(|group| i64::try_from(group.occurrences).unwrap_or(i64::MAX)).collect();
    let first_seen: Vec<Time> = groups.iter().map(|group| group.first_seen).collect();
    let last_seen: Vec<Time> = groups.iter().map(|group| group.last_seen).collect();
    let requests: Vec<Option<String>> = groups.iter().map(|group| group.last_request_id.clone()).collect();
    // An organization may be gone by now; its reports go with it.
    sqlx::query!(
        "
        -- upsert_error_reports
        insert into error_reports (
            id, organization_id, fingerprint, kind, place, code, message, occurrences, first_seen_at, last_seen_at, last_request_id,
            release
        )
        select
            new.id, new.organization_id, new.fingerprint, new.kind, new.place, new.code, new.message, new.occurrences,
            new.first_seen_at, new.last_seen_at, new.last_request_id, $12
        from unnest(
            $1::uuid[], $2::uuid[], $3::text[], $4::text[], $5::text[], $6::text[], $7::text[], $8::int8[], $9::timestamptz[],
            $10::timestamptz[], $11::text[]
        ) as new (
            id, organization_id, fingerprint, kind, place, code, message, occurrences, first_seen_at, last_seen_at, last_request_id
        )
        left join organizations o on o.id = new.organization_id
        where new.organization_id is null or o.id is not null
        on conflict (organization_id, fingerprint) do update set
            occurrences = error_reports.occurrences + excluded.occurrences,
            first_seen_at = least(error_reports.first_seen_at, excluded.first_seen_at),
            last_seen_at = greatest(error_reports.last_seen_at, excluded.last_seen_at),
            last_request_id = coalesce(excluded.last_request_id, error_reports.last_request_id),
            release = excluded.release
        ",
        ids,
        &organizations as &[Option<Uuid>],
        &text(|group| &group.fingerprint),
        &text(|group| group.kind.as_str()),
        &text(|group| group.place.as_str()),
        &text(|group| group.code.as_str()),
        &text(|group| group.message.as_str()),
        &occurrences,
        &first_seen,
        &last_seen,
        &requests as &[Option<String>],
        release
    )
    .execute(tx.conn())
    .await?;
    Ok(())
}

pub(super) async fn purge(tx: &mut SystemTx, before: Time, limit: i64) -> Result<u64, DbError> {
    let done = sqlx::query!(
        "
        -- purge_error_reports
        delete from error_reports
        where id in (select id from error_reports where last_seen_at < $1 limit $2) and last_seen_at < $1
        ",
        before,
        limit
    )
    .execute(tx.conn())
    .await?;
    Ok(done.rows_affected())
}

/// One way to break.
pub struct ErrorReportRow {
    pub fingerprint: String,
    pub kind: String,
    pub place: String,
    pub code: String,
    pub message: String,
    pub occurrences: i64,
    pub first_seen_at: Time,
    pub last_seen_at: Time,
    pub last_request_id: Option<String>,
    pub release: String,
}

pub(super) async fn of_the_house(tx: &mut SystemTx, limit: i64) -> Result<Vec<ErrorReportRow>, DbError> {
    let rows = sqlx::query_as!(
        ErrorReportRow,
        "
        -- house_error_reports
        select fingerprint, kind, place, code, message, occurrences, first_seen_at, last_seen_at, last_request_id, release
        from error_reports
        where organization_id is null
        order by last_seen_at desc, id desc
        limit $1
        ",
        limit
    )
    .fetch_all(tx.conn())
    .await?;
    Ok(rows)
}
