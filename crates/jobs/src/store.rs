use db::{DbError, SystemTx, TenantTx, listener::JOBS_CHANNEL};
use kernel::{JobId, OrganizationId, Time};
use serde_json::Value;
use uuid::Uuid;

use crate::queue::{NewJob, State};

/// The index that lets one job wait for each dedupe key.
pub(crate) const DEDUPE: &str = "jobs_dedupe";
/// The index that lets one job run for each ordering key.
pub(crate) const ORDERING_RUNNING: &str = "jobs_ordering_running";

/// Puts a job into the queue, and wakes the runners when that commits. Notifications of one transaction that are alike
/// are sent once.
///
/// On a duplicate it updates, or at least locks, the one that waits: a claim passes over it until this transaction has
/// ended. Doing nothing instead would let that job run now, without seeing what this transaction writes, and be lost.
pub(crate) async fn enqueue(
    tx: &mut TenantTx,
    id: JobId,
    job: &NewJob,
    run_at: Time,
    now: Time,
) -> Result<Option<JobId>, DbError> {
    let state = if run_at <= now { State::Ready } else { State::Scheduled };
    let organization = tx.organization();
    let found = sqlx::query!(
        r#"
        -- enqueue_job
        with enqueued as (
            insert into jobs (organization_id, id, name, payload, ordering_key, dedupe_key, run_at, due_at, state, created_at)
            values ($1, $2, $3, $4, $5, $6, $7, $7, $8, $9)
            on conflict (organization_id, name, dedupe_key)
                where dedupe_key is not null and state in ('scheduled', 'retrying', 'throttled', 'ready')
            do update set run_at = excluded.run_at, due_at = excluded.due_at, state = excluded.state
                where jobs.state = 'scheduled' and excluded.run_at < jobs.run_at
            returning id, state
        )
        select id, case when state = 'ready' then pg_notify($10, '')::text end as notified from enqueued
        "#,
        organization.uuid(),
        id.uuid(),
        job.name,
        job.payload,
        job.ordering_key,
        job.dedupe_key,
        run_at,
        state.as_str(),
        now,
        JOBS_CHANNEL
    )
    .fetch_optional(tx.conn())
    .await?;
    Ok(found.filter(|found| found.id == id.uuid()).map(|_| id))
}

/// A page of the organizations that are not deleted.
pub(crate) async fn organizations(
    tx: &mut SystemTx,
    after: Option<OrganizationId>,
    limit: i64,
) -> Result<Vec<OrganizationId>, DbError> {
    let ids = sqlx::query_scalar!(
        "
        -- scheduled_organizations
        select id from organizations
        where deleted_at is null and ($1::uuid is null or id > $1)
        order by id
        limit $2
        ",
        after.map(Uuid::from),
        limit
    )
    .fetch_all(tx.conn())
    .await?;
    Ok(ids.into_iter().map(OrganizationId::from).collect())
}

/// Notes that a schedule runs now, unless it ran after `not_after`; false when it did. The row stays locked until the
/// transaction ends, so of all nodes one gets true.
pub(crate) async fn elect(tx: &mut SystemTx, name: &str, now: Time, not_after: Time) -> Result<bool, DbError> {
    let elected = sqlx::query!(
        "
        -- elect_schedule
        insert into schedules (name, last_run_at)
        select $1, $2
        where not exists (select 1 from schedules where name = $1 and last_run_at > $3)
        on conflict (name) do update set last_run_at = excluded.last_run_at
            where schedules.last_run_at <= $3
        ",
        name,
        now,
        not_after
    )
    .execute(tx.conn())
    .await?;
    Ok(elected.rows_affected() == 1)
}

/// Puts the same job into the queues of many organizations, but those in which one waits.
pub(crate) async fn enqueue_for(
    tx: &mut SystemTx,
    organizations: &[(OrganizationId, JobId)],
    job: &NewJob,
    now: Time,
) -> Result<u64, DbError> {
    let (organizations, ids): (Vec<Uuid>, Vec<Uuid>) =
        organizations.iter().map(|(organization, id)| (organization.uuid(), id.uuid())).unzip();
    let enqueued = sqlx::query!(
        "
        -- enqueue_scheduled_jobs
        insert into jobs (organization_id, id, name, payload, ordering_key, dedupe_key, run_at, due_at, state, created_at)
        select new.organization_id, new.id, $3, $4, $5, $6, $7, $7, 'ready', $7
        from unnest($1::uuid[], $2::uuid[]) as new (organization_id, id)
        on conflict (organization_id, name, dedupe_key)
            where dedupe_key is not null and state in ('scheduled', 'retrying', 'throttled', 'ready')
        do nothing
        ",
        &organizations,
        &ids,
        job.name,
        job.payload,
        job.ordering_key,
        job.dedupe_key,
        now
    )
    .execute(tx.conn())
    .await?;
    Ok(enqueued.rows_affected())
}

/// Wakes the runners of all nodes once this transaction commits.
pub(crate) async fn notify(tx: &mut SystemTx) -> Result<(), DbError> {
    sqlx::query!("select pg_notify($1, '')", JOBS_CHANNEL).execute(tx.conn()).await?;
    Ok(())
}

/// Makes ready what waited for a time that has come and what runs under a lease that has ended, at most `limit` of them,
/// and says how many. A job whose lease ended gives up its dedupe key where a successor waits already.
pub(crate) async fn wake(tx: &mut SystemTx, now: Time, limit: i64) -> Result<u64, DbError> {
    let woken = sqlx::query!(
        "
        -- wake_jobs
        with due as materialized (
            select organization_id, id
            from jobs
            where state in ('scheduled', 'retrying', 'throttled', 'running') and due_at <= $1
            order by due_at
            limit $2
            for update skip locked
        )
        update jobs
        set state = 'ready',
            dedupe_key = case
                when jobs.state = 'running' and exists (
                    select 1 from jobs successor
                    where successor.organization_id = jobs.organization_id and successor.name = jobs.name
                        and successor.dedupe_key = jobs.dedupe_key
                        and successor.state in ('scheduled', 'retrying', 'throttled', 'ready')
                ) then null
                else jobs.dedupe_key
            end
        from due
        where jobs.organization_id = due.organization_id and jobs.id = due.id
        ",
        now,
        limit
    )
    .execute(tx.conn())
    .await?;
    Ok(woken.rows_affected())
}

/// What a claim is to find.
pub(crate) struct Wanted<'a> {
    /// The organization that was served last: the round goes on with the next.
    pub(crate) cursor: OrganizationId,
    /// The names of the jobs that the program knows.
    pub(crate) names: &'a [String],
    /// How many the runner has in flight of each organization.
    pub(crate) in_flight: &'a [(OrganizationId, i32)],
    pub(crate) per_organization: i32,
    pub(crate) limit: i64,
    pub(crate) lease_until: Time,
}

/// A job under a lease.
#[derive(Debug)]
pub(crate) struct Claimed {
    pub(crate) organization: OrganizationId,
    pub(crate) id: JobId,
    pub(crate) name: String,
    pub(crate) payload: Value,
    /// Counted from 1.
    pub(crate) attempt: u32,
    pub(crate) token: i64,
}

/// Claims ready jobs, in the order in which they are to begin.
///
/// Cheap however much waits: the round finds each organization by one index probe and stops when it has enough of them.
pub(crate) async fn claim(tx: &mut SystemTx, wanted: &Wanted<'_>) -> Result<Vec<Claimed>, DbError> {
    let (organizations, counts): (Vec<Uuid>, Vec<i32>) =
        wanted.in_flight.iter().map(|(organization, count)| (organization.uuid(), *count)).unzip();
    let mut rows = sqlx::query!(
        r#"
        -- claim_jobs
        with recursive
        -- The organizations with ready jobs, beginning after the one that was served last and then from the first (lap 1).
        round as (
            select 0 as turn, 0 as lap, $1::uuid as organization_id
            union all
            select round.turn + 1, following.lap, following.organization_id
            from round
            cross join lateral (
                (
                    select round.lap as lap, j.organization_id
                    from jobs j
                    where j.state = 'ready' and j.organization_id > round.organization_id
                        and (round.lap = 0 or j.organization_id <= $1)
                    order by j.organization_id
                    limit 1
                )
                union all
                (
                    select 1, j.organization_id
                    from jobs j
                    where j.state = 'ready' and round.lap = 0 and j.organization_id <= $1
                    order by j.organization_id
                    limit 1
                )
                order by lap
                limit 1
            ) following
        ),
        -- The first few of them that are below their cap and have a job that can begin.
        served as (
            select round.turn, round.organization_id, $5 - busy.jobs as room
            from round
            cross join lateral (
                select coalesce(max(b.jobs), 0) as jobs
                from unnest($3::uuid[], $4::int4[]) as b (organization_id, jobs)
                where b.organization_id = round.organization_id
            ) busy
            where round.turn > 0 and busy.jobs < $5
                and exists (
                    select 1
                    from jobs j
                    where j.organization_id = round.organization_id and j.state = 'ready' and j.name = any($2)
                        and not exists (
                            select 1 from jobs running
                            where running.organization_id = j.organization_id and running.ordering_key = j.ordering_key
                                and running.state = 'running'
                        )
                        and not exists (
                            select 1 from jobs earlier
                            where earlier.organization_id = j.organization_id and earlier.ordering_key = j.ordering_key
                                and earlier.state <> 'dead' and earlier.sequence < j.sequence
                        )
                )
            limit $6
        ),
        candidates as materialized (
            select served.turn, picked.organization_id, picked.id, picked.place
            from served
            cross join lateral (
                select locked.organization_id, locked.id, row_number() over () as place
                from (
                    select j.organization_id, j.id
                    from jobs j
                    where j.organization_id = served.organization_id and j.state = 'ready' and j.name = any($2)
                        and not exists (
                            select 1 from jobs running
                            where running.organization_id = j.organization_id and running.ordering_key = j.ordering_key
                                and running.state = 'running'
                        )
                        and not exists (
                            select 1 from jobs earlier
                            where earlier.organization_id = j.organization_id and earlier.ordering_key = j.ordering_key
                                and earlier.state <> 'dead' and earlier.sequence < j.sequence
                        )
                    order by j.sequence
                    limit least(served.room, $6)
                    for update of j skip locked
                ) locked
            ) picked
        ),
        -- One of each organization before a second of any.
        chosen as materialized (
            select organization_id, id, place, turn from candidates order by place, turn limit $6
        )
        update jobs
        set state = 'running', attempts = jobs.attempts + 1, lease_token = jobs.lease_token + 1, due_at = $7
        from chosen
        where jobs.organization_id = chosen.organization_id and jobs.id = chosen.id
        returning
            jobs.organization_id, jobs.id, jobs.name, jobs.payload, jobs.attempts, jobs.lease_token,
            chosen.place as "place!", chosen.turn as "turn!"
        "#,
        wanted.cursor.uuid(),
        wanted.names,
        &organizations,
        &counts,
        wanted.per_organization,
        wanted.limit,
        wanted.lease_until
    )
    .fetch_all(tx.conn())
    .await?;
    rows.sort_by_key(|row| (row.place, row.turn));
    Ok(rows
        .into_iter()
        .map(|row| Claimed {
            organization: row.organization_id.into(),
            id: row.id.into(),
            name: row.name,
            payload: row.payload,
            attempt: u32::try_from(row.attempts).unwrap_or(u32::MAX),
            token: row.lease_token,
        })
        .collect())
}

/// A lease as the statements below name it.
pub(crate) struct Held {
    pub(crate) organization: OrganizationId,
    pub(crate) id: JobId,
    pub(crate) token: i64,
}

fn columns(leases: &[Held]) -> (Vec<Uuid>, Vec<Uuid>, Vec<i64>) {
    (
        leases.iter().map(|lease| lease.organization.uuid()).collect(),
        leases.iter().map(|lease| lease.id.uuid()).collect(),
        leases.iter().map(|lease| lease.token).collect(),
    )
}

/// Renews leases and says which of them there still are.
pub(crate) async fn renew(tx: &mut SystemTx, leases: &[Held], until: Time) -> Result<Vec<JobId>, DbError> {
    let (organizations, ids, tokens) = columns(leases);
    let renewed = sqlx::query_scalar!(
        "
        -- renew_leases
        update jobs set due_at = $4
        from unnest($1::uuid[], $2::uuid[], $3::int8[]) as held (organization_id, id, token)
        where jobs.organization_id = held.organization_id and jobs.id = held.id and jobs.lease_token = held.token
            and jobs.state = 'running'
        returning jobs.id
        ",
        &organizations,
        &ids,
        &tokens,
        until
    )
    .fetch_all(tx.conn())
    .await?;
    Ok(renewed.into_iter().map(JobId::from).collect())
}

/// Ends leases now and gives back the attempts that they were for.
pub(crate) async fn release(tx: &mut SystemTx, leases: &[Held], now: Time) -> Result<(), DbError> {
    let (organizations, ids, tokens) = columns(leases);
    sqlx::query!(
        "
        -- release_leases
        update jobs set due_at = $4, attempts = greatest(jobs.attempts - 1, 0)
        from unnest($1::uuid[], $2::uuid[], $3::int8[]) as held (organization_id, id, token)
        where jobs.organization_id = held.organization_id and jobs.id = held.id and jobs.lease_token = held.token
            and jobs.state = 'running'
        ",
        &organizations,
        &ids,
        &tokens,
        now
    )
    .execute(tx.conn())
    .await?;
    Ok(())
}

/// Removes a job that runs under this lease; false when the lease was lost.
pub(crate) async fn complete(tx: &mut TenantTx, id: JobId, token: i64) -> Result<bool, DbError> {
    let organization = tx.organization();
    let removed = sqlx::query!(
        "
        -- complete_job
        delete from jobs where organization_id = $1 and id = $2 and lease_token = $3 and state = 'running'
        ",
        organization.uuid(),
        id.uuid(),
        token
    )
    .execute(tx.conn())
    .await?;
    Ok(removed.rows_affected() == 1)
}

/// What becomes of a job whose attempt failed.
pub(crate) struct Settled<'a> {
    /// [`State::Retrying`], [`State::Throttled`] or [`State::Dead`].
    pub(crate) state: State,
    pub(crate) due_at: Time,
    /// How many attempts it has had.
    pub(crate) attempts: u32,
    pub(crate) error: &'a str,
}

/// Notes what becomes of a job that runs under this lease; false when the lease was lost.
pub(crate) async fn settle(tx: &mut TenantTx, id: JobId, token: i64, settled: &Settled<'_>) -> Result<bool, DbError> {
    let organization = tx.organization();
    let updated = sqlx::query!(
        "
        -- settle_job
        update jobs set state = $4, due_at = $5, attempts = $6, last_error = $7
        where organization_id = $1 and id = $2 and lease_token = $3 and state = 'running'
        ",
        organization.uuid(),
        id.uuid(),
        token,
        settled.state.as_str(),
        settled.due_at,
        i32::try_from(settled.attempts).unwrap_or(i32::MAX),
        settled.error
    )
    .execute(tx.conn())
    .await?;
    Ok(updated.rows_affected() == 1)
}

pub(crate) struct BacklogRow {
    pub(crate) state: String,
    pub(crate) jobs: i64,
    pub(crate) oldest: Time,
}

/// How many jobs there are in each state, and when the oldest was asked to run.
pub(crate) async fn backlog(tx: &mut SystemTx) -> Result<Vec<BacklogRow>, DbError> {
    let rows = sqlx::query_as!(
        BacklogRow,
        r#"
        -- backlog
        select state, count(*) as "jobs!", min(run_at) as "oldest!" from jobs group by state
        "#
    )
    .fetch_all(tx.conn())
    .await?;
    Ok(rows)
}

/// Removes those that are dead since before then.
pub(crate) async fn purge_dead(tx: &mut TenantTx, before: Time, all: bool, limit: i64) -> Result<u64, DbError> {
    let organization = tx.organization();
    let done = sqlx::query!(
        "
        -- purge_dead_jobs
        delete from jobs
        where organization_id = $1 and id in (
            select id from jobs where organization_id = $1 and state = 'dead' and ($3 or due_at < $2) limit $4
        )
        ",
        organization.uuid(),
        before,
        all,
        limit
    )
    .execute(tx.conn())
    .await?;
    Ok(done.rows_affected())
}
