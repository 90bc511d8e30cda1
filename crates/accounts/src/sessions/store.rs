use db::{DbError, SystemTx};
use kernel::{MemberId, OrganizationId, Role, SessionId, Time, UserId};
use uuid::Uuid;

use super::model::{NewUser, Session};

pub(super) async fn insert_user(
    tx: &mut SystemTx,
    id: UserId,
    user: &NewUser,
    hash: &str,
    now: Time,
) -> Result<(), DbError> {
    sqlx::query!(
        "
        -- insert_user
        insert into users (id, email, name, password_hash, created_at) values ($1, $2, $3, $4, $5)
        ",
        id.uuid(),
        user.email,
        user.name,
        hash,
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
    now: Time,
) -> Result<(), DbError> {
    sqlx::query!(
        "
        -- insert_session
        insert into sessions (id, user_id, token_hash, created_at, last_seen_at, expires_at) values ($1, $2, $3, $4, $4, $5)
        ",
        session.id.uuid(),
        session.user.uuid(),
        hash,
        now,
        session.expires_at
    )
    .execute(tx.conn())
    .await?;
    Ok(())
}

pub(super) struct UserRow {
    pub(super) id: Uuid,
    pub(super) password_hash: String,
}

pub(super) async fn user_by_email(tx: &mut SystemTx, email: &str) -> Result<Option<UserRow>, DbError> {
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
}

/// A session that is neither ended nor expired, of a user who is still there.
pub(crate) async fn session_by_token(tx: &mut SystemTx, hash: &[u8], now: Time) -> Result<Option<SessionRow>, DbError> {
    let session = sqlx::query_as!(
        SessionRow,
        "
        -- session_by_token
        select s.id, s.user_id
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
}

/// Where a user has an active seat. One hundred is more than a person can have work in.
pub(crate) async fn memberships(tx: &mut SystemTx, user: UserId) -> Result<Vec<MembershipRow>, DbError> {
    let memberships = sqlx::query_as!(
        MembershipRow,
        "
        -- members_of_user
        select m.organization_id, o.name, o.slug, m.role, o.subscription_status, o.subscription_plan
        from organization_members m
        join organizations o on o.id = m.organization_id
        where m.user_id = $1 and m.status = 'active' and o.deleted_at is null
        order by m.created_at
        limit 100
        ",
        user.uuid()
    )
    .fetch_all(tx.conn())
    .await?;
    Ok(memberships)
}

pub(super) struct ProfileRow {
    pub(super) email: String,
    pub(super) name: String,
}

pub(super) async fn profile(tx: &mut SystemTx, user: UserId) -> Result<ProfileRow, DbError> {
    let profile = sqlx::query_as!(
        ProfileRow,
        "
        -- user_profile
        select email, name from users where id = $1
        ",
        user.uuid()
    )
    .fetch_one(tx.conn())
    .await?;
    Ok(profile)
}

/// Removes the sessions that ended, in whatever way, before then.
pub(super) async fn purge(tx: &mut SystemTx, before: Time) -> Result<u64, DbError> {
    let done = sqlx::query!(
        "
        -- purge_sessions
        delete from sessions where expires_at < $1 or revoked_at < $1
        ",
        before
    )
    .execute(tx.conn())
    .await?;
    Ok(done.rows_affected())
}
