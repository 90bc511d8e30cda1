use db::{DbError, SystemTx};
use kernel::{SessionId, Time, UserId};
use uuid::Uuid;

use super::{
    LinkId,
    model::{OpenSession, TokenState},
};
use crate::sessions::model::Session;

pub(super) struct IdentityRow {
    pub(super) id: LinkId,
    pub(super) user_id: UserId,
    pub(super) issuer: String,
    pub(super) linked_by: String,
    pub(super) created_at: Time,
    pub(super) unlinked_at: Option<Time>,
}

/// The link of a person of an issuer, also one that was taken back; none of a user who is gone.
pub(super) async fn find(tx: &mut SystemTx, issuer: &str, subject: &str) -> Result<Option<IdentityRow>, DbError> {
    let row = sqlx::query_as!(
        IdentityRow,
        "
        -- identity_of_token
        select i.id, i.user_id, i.issuer, i.linked_by, i.created_at, i.unlinked_at
        from user_identities i
        join users u on u.id = i.user_id
        where i.issuer = $1 and i.subject = $2 and u.deleted_at is null
        ",
        issuer,
        subject
    )
    .fetch_optional(tx.conn())
    .await?;
    Ok(row)
}

/// What a token of a linked person meets.
pub(super) async fn token_state(tx: &mut SystemTx, id: LinkId, now: Time) -> Result<TokenState, DbError> {
    let row = sqlx::query!(
        r#"
        -- token_state
        select s.id as "id?", s.last_seen_at as "last_seen_at?", s.token_issued_at as "token_issued_at?",
            greatest(i.not_before, e.signed_out_at) as signed_out_at
        from user_identities i
        cross join (
            select max(greatest(revoked_at, token_issued_at)) as signed_out_at
            from sessions where identity_id = $1 and revoked_at is not null
        ) e
        left join sessions s on s.identity_id = i.id and s.revoked_at is null and s.expires_at > $2
        where i.id = $1
        "#,
        id.uuid(),
        now
    )
    .fetch_one(tx.conn())
    .await?;
    let open = row.id.zip(row.last_seen_at).map(|(id, last_seen_at)| OpenSession {
        id: id.into(),
        last_seen_at,
        token_issued_at: row.token_issued_at,
    });
    Ok(TokenState { open, signed_out_at: row.signed_out_at })
}

/// Opens the one session of an identity, or goes on with the one that is open. One that had run out begins anew: nothing that was proved
/// in it is. None when it was unlinked meanwhile.
pub(super) async fn open_session(
    tx: &mut SystemTx,
    session: &Session,
    token_hash: &[u8],
    device: &str,
    identity: LinkId,
    token_issued_at: Time,
    now: Time,
) -> Result<Option<SessionId>, DbError> {
    let id = sqlx::query_scalar!(
        r#"
        -- open_identity_session
        insert into sessions as s (id, user_id, token_hash, created_at, last_seen_at, expires_at, device, identity_id, token_issued_at)
        select $1, i.user_id, $3, $4, $4, $5, $6, i.id, $8
        from user_identities i
        where i.id = $7 and i.user_id = $2 and i.unlinked_at is null
        -- Whoever unlinks it waits, and ends this session.
        for share
        on conflict (identity_id) where revoked_at is null and identity_id is not null do update
        set last_seen_at = excluded.last_seen_at, expires_at = excluded.expires_at,
            token_issued_at = greatest(s.token_issued_at, excluded.token_issued_at),
            created_at = case when s.expires_at > $4 then s.created_at else excluded.created_at end,
            proved_at = case when s.expires_at > $4 then s.proved_at end,
            proved_by = case when s.expires_at > $4 then s.proved_by end,
            second_factor_at = case when s.expires_at > $4 then s.second_factor_at end
        returning id
        "#,
        session.id.uuid(),
        session.user.uuid(),
        token_hash,
        now,
        session.expires_at,
        device,
        identity.uuid(),
        token_issued_at
    )
    .fetch_optional(tx.conn())
    .await?;
    Ok(id.map(SessionId::from))
}

/// None when the person is linked already.
pub(super) async fn insert(
    tx: &mut SystemTx,
    id: LinkId,
    user: UserId,
    issuer: &str,
    subject: &str,
    linked_by: &str,
    now: Time,
) -> Result<Option<IdentityRow>, DbError> {
    let row = sqlx::query_as!(
        IdentityRow,
        "
        -- insert_identity
        insert into user_identities (id, user_id, issuer, subject, linked_by, created_at)
        values ($1, $2, $3, $4, $5, $6)
        on conflict (issuer, subject) do nothing
        returning id, user_id, issuer, linked_by, created_at, unlinked_at
        ",
        id.uuid(),
        user.uuid(),
        issuer,
        subject,
        linked_by,
        now
    )
    .fetch_optional(tx.conn())
    .await?;
    Ok(row)
}

/// Links a person again who was unlinked, to whomever proves it now.
pub(super) async fn revive(
    tx: &mut SystemTx,
    id: LinkId,
    user: UserId,
    linked_by: &str,
    now: Time,
) -> Result<IdentityRow, DbError> {
    let row = sqlx::query_as!(
        IdentityRow,
        "
        -- revive_identity
        update user_identities set user_id = $2, linked_by = $3, created_at = $4, unlinked_at = null
        where id = $1 and unlinked_at is not null
        returning id, user_id, issuer, linked_by, created_at, unlinked_at
        ",
        id.uuid(),
        user.uuid(),
        linked_by,
        now
    )
    .fetch_one(tx.conn())
    .await?;
    Ok(row)
}

/// The links that a user has, the oldest first.
pub(super) async fn of_user(tx: &mut SystemTx, user: UserId) -> Result<Vec<IdentityRow>, DbError> {
    let rows = sqlx::query_as!(
        IdentityRow,
        "
        -- identities_of_user
        select id, user_id, issuer, linked_by, created_at, unlinked_at
        from user_identities
        where user_id = $1 and unlinked_at is null
        order by created_at, id
        limit 100
        ",
        user.uuid()
    )
    .fetch_all(tx.conn())
    .await?;
    Ok(rows)
}

/// Refuses the tokens that were issued until now, of all identities of a person but that of the session that is kept.
pub(super) async fn refuse_tokens(
    tx: &mut SystemTx,
    user: UserId,
    kept: Option<SessionId>,
    now: Time,
) -> Result<(), DbError> {
    sqlx::query!(
        "
        -- refuse_tokens_of_user
        update user_identities i set not_before = $3
        where i.user_id = $1 and i.unlinked_at is null
            and not exists (select 1 from sessions s where s.id = $2 and s.identity_id = i.id)
        ",
        user.uuid(),
        kept.map(SessionId::uuid),
        now
    )
    .execute(tx.conn())
    .await?;
    Ok(())
}

/// Takes back all links of a person. How many there were.
pub(super) async fn unlink_all(tx: &mut SystemTx, user: UserId, now: Time) -> Result<u64, DbError> {
    let done = sqlx::query!(
        "
        -- unlink_identities_of_user
        update user_identities set unlinked_at = $2, not_before = $2 where user_id = $1 and unlinked_at is null
        ",
        user.uuid(),
        now
    )
    .execute(tx.conn())
    .await?;
    Ok(done.rows_affected())
}

/// Whether it was theirs, and linked until now.
pub(super) async fn unlink(tx: &mut SystemTx, user: UserId, id: LinkId, now: Time) -> Result<bool, DbError> {
    let done = sqlx::query!(
        "
        -- unlink_identity
        update user_identities set unlinked_at = $3, not_before = $3 where id = $2 and user_id = $1 and unlinked_at is null
        ",
        user.uuid(),
        id.uuid(),
        now
    )
    .execute(tx.conn())
    .await?;
    Ok(done.rows_affected() == 1)
}

/// Ends what the tokens of an identity stand for.
pub(super) async fn end_sessions(tx: &mut SystemTx, id: LinkId, now: Time) -> Result<(), DbError> {
    sqlx::query!(
        "
        -- end_sessions_of_identity
        update sessions set revoked_at = $2 where identity_id = $1 and revoked_at is null
        ",
        id.uuid(),
        now
    )
    .execute(tx.conn())
    .await?;
    Ok(())
}

/// Makes others wait who link something to this user.
pub(super) async fn lock_user(tx: &mut SystemTx, user: UserId) -> Result<(), DbError> {
    let user: Uuid = user.uuid();
    sqlx::query!(
        "
        -- lock_user_identities
        select pg_advisory_xact_lock(hashtextextended($1::uuid::text, 37))
        ",
        user
    )
    .execute(tx.conn())
    .await?;
    Ok(())
}
