use db::{DbError, SystemTx};
use kernel::{MemberId, OrganizationId, Role, SessionId, Subscription, Time, UserId};
use kit::Problem;
use serde_json::Value;
use sqlx::types::Json;
use uuid::Uuid;

use super::model::Session;
use crate::{factors::Method, grants::model::StoredGrant, plans};

pub(super) async fn insert_user(
    tx: &mut SystemTx,
    id: UserId,
    name: &str,
    email: &str,
    hash: &str,
    home: OrganizationId,
    now: Time,
) -> Result<(), DbError> {
    sqlx::query!(
        "
        -- insert_user
        insert into users (id, email, name, password_hash, home_organization_id, created_at)
        values ($1, $2, $3, $4, $5, $6)
        ",
        id.uuid(),
        email,
        name,
        hash,
        home.uuid(),
        now
    )
    .execute(tx.conn())
    .await?;
    Ok(())
}

pub(super) async fn insert_organization(
    tx: &mut SystemTx,
    id: OrganizationId,
    name: &str,
    slug: &str,
    trial_ends_at: Time,
    now: Time,
) -> Result<(), DbError> {
    sqlx::query!(
        "
        -- insert_organization
        insert into organizations (id, name, slug, subscription_status, subscription_plan, trial_ends_at, created_at)
        values ($1, $2, $3, 'trial', 'professional', $4, $5)
        ",
        id.uuid(),
        name,
        slug,
        trial_ends_at,
        now
    )
    .execute(tx.conn())
    .await?;
    Ok(())
}

pub(super) async fn insert_member(
    tx: &mut SystemTx,
    organization: OrganizationId,
    id: MemberId,
    user: UserId,
    role: Role,
    now: Time,
) -> Result<(), DbError> {
    sqlx::query!(
        "
        -- insert_member
        insert into organization_members (organization_id, id, user_id, role, status, created_at)
        values ($1, $2, $3, $4, 'active', $5)
        ",
        organization.uuid(),
        id.uuid(),
        user.uuid(),
        role.as_str(),
        now
    )
    .execute(tx.conn())
    .await?;
    Ok(())
}

pub(super) async fn insert_session(
    tx: &mut SystemTx,
    session: &Session,
    hash: &[u8],
    device: Option<&str>,
    proved_by: Method,
    now: Time,
) -> Result<(), DbError> {
    sqlx::query!(
        "
        -- insert_session
        insert into sessions
            (id, user_id, token_hash, created_at, last_seen_at, expires_at, device, proved_at, proved_by, second_factor_at)
        values ($1, $2, $3, $4, $4, $5, $6, $4, $7, case when $8 then $4::timestamptz end)
        ",
        session.id.uuid(),
        session.user.uuid(),
        hash,
        now,
        session.expires_at,
        device,
        proved_by.as_str(),
        proved_by.is_second_factor()
    )
    .execute(tx.conn())
    .await?;
    Ok(())
}

pub(crate) struct UserRow {
    pub(crate) id: Uuid,
    pub(crate) password_hash: String,
}

pub(crate) async fn user_by_email(tx: &mut SystemTx, email: &str) -> Result<Option<UserRow>, DbError> {
    let user = sqlx::query_as!(
        UserRow,
        "
        -- user_by_email
        select id, password_hash from users where email = $1 and deleted_at is null
        ",
        email
    )
    .fetch_optional(tx.conn())
    .await?;
    Ok(user)
}

pub(super) async fn revoke_session(tx: &mut SystemTx, id: SessionId, now: Time) -> Result<(), DbError> {
    sqlx::query!(
        "
        -- revoke_session
        update sessions set revoked_at = $2 where id = $1 and revoked_at is null
        ",
        id.uuid(),
        now
    )
    .execute(tx.conn())
    .await?;
    Ok(())
}

pub(crate) struct SessionRow {
    pub(crate) id: SessionId,
    pub(crate) user_id: UserId,
    pub(crate) last_seen_at: Time,
}

/// A session that is neither ended nor expired, of a user who is still there.
pub(crate) async fn session_by_token(tx: &mut SystemTx, hash: &[u8], now: Time) -> Result<Option<SessionRow>, DbError> {
    let session = sqlx::query_as!(
        SessionRow,
        "
        -- session_by_token
        select s.id, s.user_id, s.last_seen_at
        from sessions s
        join users u on u.id = s.user_id
        where s.token_hash = $1 and s.revoked_at is null and s.expires_at > $2 and u.deleted_at is null
        ",
        hash,
        now
    )
    .fetch_optional(tx.conn())
    .await?;
    Ok(session)
}

pub(crate) struct MembershipRow {
    pub(crate) organization_id: OrganizationId,
    pub(crate) name: String,
    pub(crate) slug: String,
    pub(crate) role: String,
    pub(crate) subscription_status: String,
    pub(crate) subscription_plan: String,
    /// Of whom the organization asks for a second factor; None of nobody.
    pub(crate) second_factor_required_of: Option<String>,
    pub(crate) plan_limits: Value,
    pub(crate) trial_ends_at: Option<Time>,
    pub(crate) plan_ends_at: Option<Time>,
    pub(crate) status_since: Time,
    /// Their seat is beyond what the plan allows.
    pub(crate) is_seat_paused: bool,
    pub(crate) grants: Json<Vec<StoredGrant>>,
}

impl MembershipRow {
    /// What the organization has subscribed to at this moment.
    ///
    /// # Errors
    /// When what is stored is no subscription.
    pub(crate) fn subscription(&self, now: Time) -> Result<Subscription, Problem> {
        let subscription = plans::of_columns(
            &self.subscription_plan,
            &self.subscription_status,
            self.plan_limits.clone(),
            self.trial_ends_at,
            self.plan_ends_at,
            self.status_since,
        )?;
        Ok(subscription.at(now))
    }
}

/// Where a user has an active seat. One hundred is more than a person can have work in.
pub(crate) async fn memberships(tx: &mut SystemTx, user: UserId) -> Result<Vec<MembershipRow>, DbError> {
    let memberships = sqlx::query_as!(
        MembershipRow,
        r#"
        -- members_of_user
        select m.organization_id, o.name, o.slug, m.role, o.subscription_status, o.subscription_plan, o.plan_limits,
            o.settings ->> 'second_factor_required_of' as second_factor_required_of,
            o.trial_ends_at, o.plan_ends_at, coalesce(o.subscription_status_since, o.created_at) as "status_since!",
            m.plan_paused_at is not null as "is_seat_paused!",
            app.grants_of(m.organization_id, m.id) as "grants!: Json<Vec<StoredGrant>>"
        from organization_members m
        join organizations o on o.id = m.organization_id
        where m.user_id = $1 and m.status = 'active' and o.deleted_at is null
        order by m.created_at
        limit 100
        "#,
        user.uuid()
    )
    .fetch_all(tx.conn())
    .await?;
    Ok(memberships)
}

/// Whether a session has not ended.
pub(crate) async fn goes_on(tx: &mut SystemTx, session: SessionId, now: Time) -> Result<bool, DbError> {
    let found = sqlx::query_scalar!(
        "
        -- session_goes_on
        select s.id
        from sessions s
        join users u on u.id = s.user_id
        where s.id = $1 and s.revoked_at is null and s.expires_at > $2 and u.deleted_at is null
        ",
        session.uuid(),
        now
    )
    .fetch_optional(tx.conn())
    .await?;
    Ok(found.is_some())
}

pub(crate) struct ProfileRow {
    pub(crate) email: String,
    pub(crate) name: String,
    pub(crate) is_verified: bool,
    /// In whose queue jobs about the person alone run: where they began, or have their first seat.
    pub(crate) home: Option<Uuid>,
}

pub(crate) async fn profile(tx: &mut SystemTx, user: UserId) -> Result<ProfileRow, DbError> {
    let profile = sqlx::query_as!(
        ProfileRow,
        r#"
        -- user_profile
        select u.email, u.name, u.email_verified_at is not null as "is_verified!",
            coalesce(u.home_organization_id, (
                select m.organization_id from organization_members m where m.user_id = u.id order by m.created_at limit 1
            )) as home
        from users u
        where u.id = $1
        "#,
        user.uuid()
    )
    .fetch_one(tx.conn())
    .await?;
    Ok(profile)
}

/// Removes the sessions that ended, in whatever way, before then.
pub(super) async fn purge(tx: &mut SystemTx, before: Time, limit: i64) -> Result<u64, DbError> {
    let done = sqlx::query!(
        "
        -- purge_sessions
        delete from sessions
        where id in (select id from sessions where expires_at < $1 or revoked_at < $1 limit $2)
        ",
        before,
        limit
    )
    .execute(tx.conn())
    .await?;
    Ok(done.rows_affected())
}

/// Notes that a session was used.
pub(crate) async fn note_seen(tx: &mut SystemTx, id: SessionId, now: Time) -> Result<(), DbError> {
    sqlx::query!(
        "
        -- note_session_seen
        update sessions set last_seen_at = $2 where id = $1
        ",
        id.uuid(),
        now
    )
    .execute(tx.conn())
    .await?;
    Ok(())
}

pub(super) struct OpenSessionRow {
    pub(super) id: SessionId,
    pub(super) device: Option<String>,
    pub(super) created_at: Time,
    pub(super) last_seen_at: Time,
    /// None, as is by what, where an issuer's tokens stand for it and nothing more was proved.
    pub(super) proved_at: Option<Time>,
    pub(super) proved_by: Option<String>,
    pub(super) expires_at: Time,
}

/// A person's sessions that go on, the last used first. A hundred are more than a person can tell apart.
pub(super) async fn sessions_of(tx: &mut SystemTx, user: UserId, now: Time) -> Result<Vec<OpenSessionRow>, DbError> {
    let rows = sqlx::query_as!(
        OpenSessionRow,
        "
        -- sessions_of_user
        select id, device, created_at, last_seen_at, expires_at,
            case when identity_id is null then coalesce(proved_at, created_at) else proved_at end as proved_at,
            case when identity_id is null then coalesce(proved_by, 'password') else proved_by end as proved_by
        from sessions
        where user_id = $1 and revoked_at is null and expires_at > $2
        order by last_seen_at desc, id desc
        limit 100
        ",
        user.uuid(),
        now
    )
    .fetch_all(tx.conn())
    .await?;
    Ok(rows)
}

/// Whether it went on until now, and was theirs.
pub(super) async fn end_session_of(tx: &mut SystemTx, user: UserId, id: SessionId, now: Time) -> Result<bool, DbError> {
    let done = sqlx::query!(
        "
        -- end_session_of_user
        update sessions set revoked_at = $3 where id = $2 and user_id = $1 and revoked_at is null and expires_at > $3
        ",
        user.uuid(),
        id.uuid(),
        now
    )
    .execute(tx.conn())
    .await?;
    Ok(done.rows_affected() == 1)
}

/// Ends all of a person's sessions, or all but one. How many there were.
pub(super) async fn end_sessions_of(
    tx: &mut SystemTx,
    user: UserId,
    kept: Option<SessionId>,
    now: Time,
) -> Result<u64, DbError> {
    let done = sqlx::query!(
        "
        -- end_sessions_of_user
        update sessions set revoked_at = $3
        where user_id = $1 and revoked_at is null and expires_at > $3 and ($2::uuid is null or id <> $2)
        ",
        user.uuid(),
        kept.map(SessionId::uuid),
        now
    )
    .execute(tx.conn())
    .await?;
    Ok(done.rows_affected())
}

/// Notes that somebody reads the mail of a person's address. The first time counts; whether this was it.
pub(crate) async fn mark_verified(tx: &mut SystemTx, user: UserId, now: Time) -> Result<bool, DbError> {
    let done = sqlx::query!(
        "
        -- verify_user
        update users set email_verified_at = $2 where id = $1 and email_verified_at is null
        ",
        user.uuid(),
        now
    )
    .execute(tx.conn())
    .await?;
    Ok(done.rows_affected() == 1)
}

/// What a person's password is checked against; None for one who is gone.
pub(crate) async fn password_hash(tx: &mut SystemTx, user: UserId) -> Result<Option<String>, DbError> {
    let hash = sqlx::query_scalar!(
        "
        -- password_hash_of_user
        select password_hash from users where id = $1 and deleted_at is null
        ",
        user.uuid()
    )
    .fetch_optional(tx.conn())
    .await?;
    Ok(hash)
}

/// The same, in the transaction that opens a session by it: whoever changes the password meanwhile waits, and then ends that session
/// with the others. Taken before any other lock.
pub(crate) async fn hold_password(tx: &mut SystemTx, user: UserId) -> Result<Option<String>, DbError> {
    let hash = sqlx::query_scalar!(
        "
        -- hold_password_of_user
        select password_hash from users where id = $1 and deleted_at is null for share
        ",
        user.uuid()
    )
    .fetch_optional(tx.conn())
    .await?;
    Ok(hash)
}

pub(crate) async fn set_password(tx: &mut SystemTx, user: UserId, hash: &str) -> Result<(), DbError> {
    sqlx::query!(
        "
        -- set_password
        update users set password_hash = $2 where id = $1
        ",
        user.uuid(),
        hash
    )
    .execute(tx.conn())
    .await?;
    Ok(())
}

/// Counts an attempt, unless it comes too early; whether it was counted. The first `free` wait for nothing, each further one
/// twice as long as the one before.
pub(super) async fn count_attempt(
    tx: &mut SystemTx,
    subject: &[u8],
    free: i32,
    delay_max_seconds: f64,
    now: Time,
    forgotten_before: Time,
) -> Result<bool, DbError> {
    let done = sqlx::query!(
        "
        -- count_attempt
        insert into login_attempts as a (subject, failures, last_at, blocked_until) values ($1, 1, $4, $4)
        on conflict (subject) do update
        set failures = case when a.last_at < $5 then 1 else least(a.failures + 1, 1000) end,
            last_at = $4,
            blocked_until = case
                when a.last_at < $5 or a.failures + 1 <= $2 then $4
                else $4 + make_interval(secs => least($3, power(2::double precision, least(a.failures - $2, 20))))
            end
        -- Those that are free wait for nothing, also where the clock of another node is ahead.
        where a.blocked_until <= $4 or a.failures <= $2
        ",
        subject,
        free,
        delay_max_seconds,
        now,
        forgotten_before
    )
    .execute(tx.conn())
    .await?;
    Ok(done.rows_affected() == 1)
}

pub(super) async fn blocked_until(tx: &mut SystemTx, subject: &[u8]) -> Result<Option<Time>, DbError> {
    let until = sqlx::query_scalar!(
        "
        -- attempt_blocked_until
        select blocked_until from login_attempts where subject = $1
        ",
        subject
    )
    .fetch_optional(tx.conn())
    .await?;
    Ok(until)
}

/// Takes one attempt back, and with it its wait.
pub(super) async fn uncount_attempt(tx: &mut SystemTx, subject: &[u8], now: Time) -> Result<(), DbError> {
    sqlx::query!(
        "
        -- uncount_attempt
        update login_attempts set failures = greatest(failures - 1, 0), blocked_until = $2 where subject = $1
        ",
        subject,
        now
    )
    .execute(tx.conn())
    .await?;
    Ok(())
}

pub(super) async fn forget_attempts(tx: &mut SystemTx, subject: &[u8]) -> Result<(), DbError> {
    sqlx::query!(
        "
        -- forget_attempts
        delete from login_attempts where subject = $1
        ",
        subject
    )
    .execute(tx.conn())
    .await?;
    Ok(())
}

pub(super) async fn purge_attempts(tx: &mut SystemTx, before: Time, limit: i64) -> Result<u64, DbError> {
    let done = sqlx::query!(
        "
        -- purge_attempts
        delete from login_attempts
        where subject in (select subject from login_attempts where last_at < $1 order by last_at limit $2) and last_at < $1
        ",
        before,
        limit
    )
    .execute(tx.conn())
    .await?;
    Ok(done.rows_affected())
}
