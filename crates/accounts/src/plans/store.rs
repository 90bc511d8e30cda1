use chrono::NaiveDate;
use db::{DbError, PgConnection, SystemTx, TenantTx};
use kernel::{MemberId, OrganizationId, Subscription, SubscriptionStatus, Time};
use serde_json::Value;
use uuid::Uuid;

use super::StoredSubscription;

/// Makes whoever takes a place of the organization wait for whoever has taken one and has not ended.
pub(super) async fn hold_places(conn: &mut PgConnection, organization: OrganizationId) -> Result<(), DbError> {
    sqlx::query!(
        "
        -- hold_places
        select pg_advisory_xact_lock(hashtextextended($1, 38))
        ",
        organization.to_string()
    )
    .fetch_one(conn)
    .await?;
    Ok(())
}

pub(super) async fn subscription(
    conn: &mut PgConnection,
    organization: OrganizationId,
) -> Result<Option<StoredSubscription>, DbError> {
    let row = sqlx::query_as!(
        StoredSubscription,
        r#"
        -- find_subscription
        select name, subscription_status as status, subscription_plan as plan, plan_limits as limits, trial_ends_at,
            plan_ends_at, coalesce(subscription_status_since, created_at) as "status_since!",
            trial_reminded_at is not null as "is_reminded!"
        from organizations
        where id = $1 and deleted_at is null
        "#,
        organization.uuid()
    )
    .fetch_optional(conn)
    .await?;
    Ok(row)
}

/// The same, locked: for whoever changes it, and not for rows that refer to the organization.
pub(super) async fn lock_subscription(
    conn: &mut PgConnection,
    organization: OrganizationId,
) -> Result<Option<StoredSubscription>, DbError> {
    let row = sqlx::query_as!(
        StoredSubscription,
        r#"
        -- lock_subscription
        select name, subscription_status as status, subscription_plan as plan, plan_limits as limits, trial_ends_at,
            plan_ends_at, coalesce(subscription_status_since, created_at) as "status_since!",
            trial_reminded_at is not null as "is_reminded!"
        from organizations
        where id = $1 and deleted_at is null
        for no key update
        "#,
        organization.uuid()
    )
    .fetch_optional(conn)
    .await?;
    Ok(row)
}

pub(super) async fn set_subscription(
    conn: &mut PgConnection,
    organization: OrganizationId,
    next: &Subscription,
    is_new_status: bool,
    now: Time,
) -> Result<(), DbError> {
    let is_trial = next.status == SubscriptionStatus::Trial;
    let limits = serde_json::to_value(&next.contract)
        .map_err(|_| DbError::Other { code: "limits that are no numbers".to_owned() })?;
    sqlx::query!(
        "
        -- set_subscription
        update organizations
        set subscription_plan = $2, subscription_status = $3, plan_limits = $4,
            trial_ends_at = case when $5 then $6::timestamptz end, plan_ends_at = case when $5 then null else $6::timestamptz end,
            subscription_status_since = case when $7 then $8::timestamptz else subscription_status_since end,
            trial_reminded_at = case when $5 then trial_reminded_at end
        where id = $1
        ",
        organization.uuid(),
        next.plan.as_str(),
        next.status.as_str(),
        limits,
        is_trial,
        next.ends_at,
        is_new_status,
        now
    )
    .execute(conn)
    .await?;
    Ok(())
}

pub(super) async fn note_reminder(
    conn: &mut PgConnection,
    organization: OrganizationId,
    now: Time,
) -> Result<(), DbError> {
    sqlx::query!(
        "
        -- note_trial_reminder
        update organizations set trial_reminded_at = $2 where id = $1
        ",
        organization.uuid(),
        now
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// Seats that are taken, and those that are offered. A suspended one is not: to be let back it needs a place again.
pub(super) async fn count_seats(
    conn: &mut PgConnection,
    organization: OrganizationId,
    now: Time,
) -> Result<u64, DbError> {
    let count = sqlx::query_scalar!(
        r#"
        -- count_seats
        select (
            (select count(*) from organization_members where organization_id = $1 and status in ('active', 'invited'))
            + (
                select count(*) from invitations
                where organization_id = $1 and accepted_at is null and revoked_at is null and expires_at > $2
            )
        ) as "count!"
        "#,
        organization.uuid(),
        now
    )
    .fetch_one(conn)
    .await?;
    Ok(u64::try_from(count).unwrap_or(0))
}

pub(super) struct PausedSeat {
    pub(super) id: MemberId,
    pub(super) is_paused: bool,
}

/// Pauses the newest seats beyond what is allowed and lets the others go on; those that changed. Owners come first, and theirs are
/// never paused.
pub(super) async fn pause_seats(tx: &mut TenantTx, at_most: i64, now: Time) -> Result<Vec<PausedSeat>, DbError> {
    let organization = tx.organization();
    let rows = sqlx::query_as!(
        PausedSeat,
        r#"
        -- pause_seats
        with ranked as (
            select id, role <> 'owner' and row_number() over (order by role = 'owner' desc, created_at, id) > $2 as is_beyond
            from organization_members
            where organization_id = $1 and status = 'active'
        )
        update organization_members m
        set plan_paused_at = case when r.is_beyond then $3::timestamptz end
        from ranked r
        where m.organization_id = $1 and m.id = r.id and m.role <> 'owner' and r.is_beyond <> (m.plan_paused_at is not null)
        returning m.id, m.plan_paused_at is not null as "is_paused!"
        "#,
        organization.uuid(),
        at_most,
        now
    )
    .fetch_all(tx.conn())
    .await?;
    Ok(rows)
}

pub(super) struct ProviderCount {
    pub(super) provider_key: String,
    pub(super) count: i64,
}

/// The connections of each provider that are not disconnected, as far as the transaction sees them.
pub(super) async fn count_connections(tx: &mut TenantTx) -> Result<Vec<ProviderCount>, DbError> {
    let organization = tx.organization();
    let rows = sqlx::query_as!(
        ProviderCount,
        r#"
        -- count_connections_by_provider
        select provider_key, count(*) as "count!"
        from connections
        where organization_id = $1 and deleted_at is null and status <> 'disconnected'
        group by provider_key
        order by provider_key
        limit 100
        "#,
        organization.uuid()
    )
    .fetch_all(tx.conn())
    .await?;
    Ok(rows)
}

/// What a node was given of a day.
pub(super) struct Leased {
    /// By all nodes, this lease included.
    pub(super) used: i64,
    pub(super) leased: i64,
}

/// Settles what this node owes (or, below zero, has left of its last lease) and takes up to `chunk` more, up to `limit` in all.
pub(super) async fn lease(
    tx: &mut TenantTx,
    counter: &str,
    day: NaiveDate,
    owed: i64,
    chunk: i64,
    limit: i64,
) -> Result<Leased, DbError> {
    let organization = tx.organization();
    let leased = sqlx::query_as!(
        Leased,
        "
        -- lease_usage
        insert into usage_counters as c (organization_id, counter, day, used, leased)
        values (
            $1, $2, $3,
            greatest($4::bigint, 0) + greatest(least($5::bigint, $6::bigint - greatest($4, 0)), 0),
            greatest(least($5, $6 - greatest($4, 0)), 0)
        )
        on conflict (organization_id, counter, day) do update set
            used = greatest(c.used + $4, 0) + greatest(least($5, $6 - greatest(c.used + $4, 0)), 0),
            leased = greatest(least($5, $6 - greatest(c.used + $4, 0)), 0)
        returning used, leased
        ",
        organization.uuid(),
        counter,
        day,
        owed,
        chunk,
        limit
    )
    .fetch_one(tx.conn())
    .await?;
    Ok(leased)
}

/// What all nodes have taken of a day.
pub(super) async fn used(tx: &mut TenantTx, counter: &str, day: NaiveDate) -> Result<i64, DbError> {
    let organization = tx.organization();
    let used = sqlx::query_scalar!(
        "
        -- used_of_day
        select used from usage_counters where organization_id = $1 and counter = $2 and day = $3
        ",
        organization.uuid(),
        counter,
        day
    )
    .fetch_optional(tx.conn())
    .await?;
    Ok(used.unwrap_or(0))
}

pub(super) async fn purge(tx: &mut SystemTx, before: NaiveDate, limit: i64) -> Result<u64, DbError> {
    let done = sqlx::query!(
        "
        -- purge_usage
        delete from usage_counters
        where (organization_id, counter, day) in (
            select organization_id, counter, day from usage_counters where day < $1 order by day limit $2
        )
        ",
        before,
        limit
    )
    .execute(tx.conn())
    .await?;
    Ok(done.rows_affected())
}

/// An organization as the operator lists it.
pub struct ListedOrganization {
    pub id: OrganizationId,
    pub slug: String,
    pub plan: String,
    pub status: String,
    pub limits: Value,
    pub trial_ends_at: Option<Time>,
    pub plan_ends_at: Option<Time>,
    pub status_since: Time,
    pub members: i64,
    pub live_reads_today: i64,
}

/// The organizations after an id, in the order of ids.
pub(super) async fn organizations(
    tx: &mut SystemTx,
    after: Option<Uuid>,
    day: NaiveDate,
    limit: i64,
) -> Result<Vec<ListedOrganization>, DbError> {
    let rows = sqlx::query_as!(
        ListedOrganization,
        r#"
        -- list_organizations
        select o.id, o.slug, o.subscription_plan as plan, o.subscription_status as status, o.plan_limits as limits,
            o.trial_ends_at, o.plan_ends_at, coalesce(o.subscription_status_since, o.created_at) as "status_since!",
            (select count(*) from organization_members m where m.organization_id = o.id and m.status = 'active') as "members!",
            coalesce((
                select c.used from usage_counters c
                where c.organization_id = o.id and c.counter = 'live_reads_per_day' and c.day = $2
            ), 0) as "live_reads_today!"
        from organizations o
        where o.deleted_at is null and ($1::uuid is null or o.id > $1)
        order by o.id
        limit $3
        "#,
        after,
        day,
        limit
    )
    .fetch_all(tx.conn())
    .await?;
    Ok(rows)
}

/// The organization with this slug.
pub(super) async fn organization_by_slug(tx: &mut SystemTx, slug: &str) -> Result<Option<Uuid>, DbError> {
    let id = sqlx::query_scalar!(
        "
        -- organization_by_slug
        select id from organizations where slug = $1 and deleted_at is null
        ",
        slug
    )
    .fetch_optional(tx.conn())
    .await?;
    Ok(id)
}
