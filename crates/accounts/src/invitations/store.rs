use db::{DbError, SystemTx, TenantTx};
use kernel::{InvitationId, MemberId, OrganizationId, Time, UserId};
use kit::page::Window;
use sqlx::types::Json;

use super::model::Draft;
use crate::grants::model::StoredGrant;

pub struct InvitationRow {
    pub id: InvitationId,
    pub role: String,
    pub sealed_email: Option<Vec<u8>>,
    pub invited_by: UserId,
    pub sends: i32,
    pub sent_at: Time,
    pub expires_at: Time,
    pub accepted_at: Option<Time>,
    pub revoked_at: Option<Time>,
    pub created_at: Time,
}

pub(super) async fn newest(tx: &mut TenantTx, window: Window) -> Result<Vec<InvitationRow>, DbError> {
    let organization = tx.organization();
    let rows = sqlx::query_as!(
        InvitationRow,
        "
        -- newest_invitations
        select id, role, sealed_email, invited_by, sends, sent_at, expires_at, accepted_at, revoked_at, created_at
        from invitations
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

/// The role that is offered. Found also where the caller may not change it, unlike by [`find_for_update`].
pub(super) async fn role(tx: &mut TenantTx, id: InvitationId) -> Result<Option<String>, DbError> {
    let organization = tx.organization();
    let role = sqlx::query_scalar!(
        "
        -- role_of_invitation
        select role from invitations where organization_id = $1 and id = $2
        ",
        organization.uuid(),
        id.uuid()
    )
    .fetch_optional(tx.conn())
    .await?;
    Ok(role)
}

pub(super) async fn find_for_update(tx: &mut TenantTx, id: InvitationId) -> Result<Option<InvitationRow>, DbError> {
    let organization = tx.organization();
    let row = sqlx::query_as!(
        InvitationRow,
        "
        -- lock_invitation
        select id, role, sealed_email, invited_by, sends, sent_at, expires_at, accepted_at, revoked_at, created_at
        from invitations
        where organization_id = $1 and id = $2
        for update
        ",
        organization.uuid(),
        id.uuid()
    )
    .fetch_optional(tx.conn())
    .await?;
    Ok(row)
}

/// Whether somebody with this address has a seat already.
pub(super) async fn is_member(tx: &mut TenantTx, email: &str) -> Result<bool, DbError> {
    let organization = tx.organization();
    let is_member = sqlx::query_scalar!(
        r#"
        -- member_by_email
        select exists (
            select 1
            from organization_members m
            join users u on u.id = m.user_id
            where m.organization_id = $1 and u.email = $2
        ) as "is_member!"
        "#,
        organization.uuid(),
        email
    )
    .fetch_one(tx.conn())
    .await?;
    Ok(is_member)
}

/// How many invitations can be accepted.
pub(super) async fn count_pending(tx: &mut TenantTx, now: Time) -> Result<i64, DbError> {
    let organization = tx.organization();
    let count = sqlx::query_scalar!(
        r#"
        -- pending_invitations
        select count(*) as "count!"
        from invitations
        where organization_id = $1 and accepted_at is null and revoked_at is null and expires_at > $2
        "#,
        organization.uuid(),
        now
    )
    .fetch_one(tx.conn())
    .await?;
    Ok(count)
}

/// Ends an invitation of this address that has run out, so that another can take its place.
pub(super) async fn end_expired(tx: &mut TenantTx, email_digest: &[u8], now: Time) -> Result<(), DbError> {
    let organization = tx.organization();
    sqlx::query!(
        "
        -- end_expired_invitation
        update invitations set revoked_at = $3, sealed_email = null
        where organization_id = $1 and email_digest = $2 and accepted_at is null and revoked_at is null and expires_at <= $3
        ",
        organization.uuid(),
        email_digest,
        now
    )
    .execute(tx.conn())
    .await?;
    Ok(())
}

pub(super) async fn insert(
    tx: &mut TenantTx,
    draft: &Draft,
    expires_at: Time,
    now: Time,
) -> Result<InvitationRow, DbError> {
    let organization = tx.organization();
    let row = sqlx::query_as!(
        InvitationRow,
        "
        -- insert_invitation
        insert into invitations
            (organization_id, id, role, email_digest, sealed_email, token_hash, invited_by, sent_at, expires_at, created_at)
        values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $8)
        returning id, role, sealed_email, invited_by, sends, sent_at, expires_at, accepted_at, revoked_at, created_at
        ",
        organization.uuid(),
        draft.id.uuid(),
        draft.role.as_str(),
        &draft.email_digest,
        draft.sealed_email,
        draft.token_hash,
        draft.invited_by.uuid(),
        now,
        expires_at
    )
    .fetch_one(tx.conn())
    .await?;
    Ok(row)
}

/// A new link in place of the one before, by whoever sends it.
pub(super) async fn send_again(
    tx: &mut TenantTx,
    id: InvitationId,
    token_hash: &[u8],
    invited_by: UserId,
    expires_at: Time,
    now: Time,
) -> Result<InvitationRow, DbError> {
    let organization = tx.organization();
    let row = sqlx::query_as!(
        InvitationRow,
        "
        -- resend_invitation
        update invitations
        set token_hash = $3, invited_by = $4, sends = sends + 1, sent_at = $6, expires_at = $5
        where organization_id = $1 and id = $2
        returning id, role, sealed_email, invited_by, sends, sent_at, expires_at, accepted_at, revoked_at, created_at
        ",
        organization.uuid(),
        id.uuid(),
        token_hash,
        invited_by.uuid(),
        expires_at,
        now
    )
    .fetch_one(tx.conn())
    .await?;
    Ok(row)
}

pub(super) async fn revoke(tx: &mut TenantTx, id: InvitationId, now: Time) -> Result<InvitationRow, DbError> {
    let organization = tx.organization();
    let row = sqlx::query_as!(
        InvitationRow,
        "
        -- revoke_invitation
        update invitations set revoked_at = $3, sealed_email = null
        where organization_id = $1 and id = $2
        returning id, role, sealed_email, invited_by, sends, sent_at, expires_at, accepted_at, revoked_at, created_at
        ",
        organization.uuid(),
        id.uuid(),
        now
    )
    .fetch_one(tx.conn())
    .await?;
    Ok(row)
}

pub(super) struct NamesRow {
    pub(super) organization: String,
    pub(super) inviter: String,
    pub(super) inviter_is_verified: bool,
}

/// What the mail says: the organization's name, and who invites.
pub(super) async fn names(tx: &mut TenantTx, user: UserId) -> Result<NamesRow, DbError> {
    let organization = tx.organization();
    let row = sqlx::query_as!(
        NamesRow,
        r#"
        -- names_of_invitation
        select o.name as organization, u.name as inviter, u.email_verified_at is not null as "inviter_is_verified!"
        from organizations o, users u
        where o.id = $1 and u.id = $2
        "#,
        organization.uuid(),
        user.uuid()
    )
    .fetch_one(tx.conn())
    .await?;
    Ok(row)
}

/// An invitation as whoever has its link finds it.
pub(super) struct OfferRow {
    pub(super) id: InvitationId,
    pub(super) role: String,
    pub(super) sealed_email: Option<Vec<u8>>,
    pub(super) organization_name: String,
    pub(super) invited_by: UserId,
    /// The role of who invited; null when they have no active seat any more.
    pub(super) inviter_role: Option<String>,
    pub(super) inviter_grants: Json<Vec<StoredGrant>>,
}

/// An invitation that can be accepted, by the hash of its token.
pub(super) async fn offer(
    tx: &mut SystemTx,
    organization: OrganizationId,
    token_hash: &[u8],
    now: Time,
) -> Result<Option<OfferRow>, DbError> {
    let row = sqlx::query_as!(
        OfferRow,
        r#"
        -- invitation_by_token
        select i.id, i.role, i.sealed_email, o.name as organization_name, i.invited_by, m.role as "inviter_role?",
            app.grants_of(i.organization_id, m.id) as "inviter_grants!: Json<Vec<StoredGrant>>"
        from invitations i
        join organizations o on o.id = i.organization_id
        left join organization_members m
            on m.organization_id = i.organization_id and m.user_id = i.invited_by and m.status = 'active'
        where i.organization_id = $1 and i.token_hash = $2 and i.accepted_at is null and i.revoked_at is null
            and i.expires_at > $3 and o.deleted_at is null
        "#,
        organization.uuid(),
        token_hash,
        now
    )
    .fetch_optional(tx.conn())
    .await?;
    Ok(row)
}

/// Uses the invitation up; whether it was still there to be used.
pub(super) async fn accept(
    tx: &mut SystemTx,
    organization: OrganizationId,
    id: InvitationId,
    token_hash: &[u8],
    user: UserId,
    now: Time,
) -> Result<bool, DbError> {
    let done = sqlx::query!(
        "
        -- accept_invitation
        update invitations set accepted_at = $5, accepted_by = $4, sealed_email = null
        where organization_id = $1 and id = $2 and token_hash = $3 and accepted_at is null and revoked_at is null
            and expires_at > $5
        ",
        organization.uuid(),
        id.uuid(),
        token_hash,
        user.uuid(),
        now
    )
    .execute(tx.conn())
    .await?;
    Ok(done.rows_affected() == 1)
}

pub(super) async fn insert_member(
    tx: &mut SystemTx,
    organization: OrganizationId,
    id: MemberId,
    user: UserId,
    role: &str,
    now: Time,
) -> Result<(), DbError> {
    sqlx::query!(
        "
        -- insert_invited_member
        insert into organization_members (organization_id, id, user_id, role, status, created_at)
        values ($1, $2, $3, $4, 'active', $5)
        ",
        organization.uuid(),
        id.uuid(),
        user.uuid(),
        role,
        now
    )
    .execute(tx.conn())
    .await?;
    Ok(())
}

pub(super) async fn purge(tx: &mut SystemTx, before: Time, limit: i64) -> Result<u64, DbError> {
    let done = sqlx::query!(
        "
        -- purge_invitations
        delete from invitations
        where (organization_id, id) in (
            select organization_id, id from invitations where expires_at < $1 order by expires_at limit $2
        )
        ",
        before,
        limit
    )
    .execute(tx.conn())
    .await?;
    Ok(done.rows_affected())
}
