use db::{DbError, SystemTx};
use kernel::{SessionId, Time, UserId};
use uuid::Uuid;

use super::Method;

/// How somebody stands: what they have, and when they last proved who they are.
pub(super) struct StandingRow {
    pub(super) proved_at: Option<Time>,
    pub(super) second_factor_at: Option<Time>,
    pub(super) has_totp: bool,
    pub(super) passkeys: i64,
    pub(super) recovery_codes: i64,
    /// Whether the session is what an issuer's tokens stand for.
    pub(super) is_of_tokens: bool,
}

/// None for a person who is not there. A session that is not theirs has proved nothing, and neither has one that a token opened:
/// what the issuer asked its person for was proved to the issuer.
pub(super) async fn standing(
    tx: &mut SystemTx,
    user: UserId,
    session: Option<SessionId>,
) -> Result<Option<StandingRow>, DbError> {
    let row = sqlx::query_as!(
        StandingRow,
        r#"
        -- standing
        select case when s.identity_id is null then coalesce(s.proved_at, s.created_at) else s.proved_at end as proved_at,
            s.second_factor_at as "second_factor_at?", s.identity_id is not null as "is_of_tokens!",
            exists (select 1 from login_totps t where t.user_id = u.id and t.confirmed_at is not null) as "has_totp!",
            (select count(*) from login_passkeys p where p.user_id = u.id) as "passkeys!",
            (select count(*) from login_recovery_codes c where c.user_id = u.id and c.used_at is null) as "recovery_codes!"
        from users u
        left join sessions s on s.user_id = u.id and s.id = $2
        where u.id = $1 and u.deleted_at is null
        "#,
        user.uuid(),
        session.map(SessionId::uuid)
    )
    .fetch_optional(tx.conn())
    .await?;
    Ok(row)
}

/// Makes others wait who change something about the factors of this person.
pub(super) async fn lock_user(tx: &mut SystemTx, user: UserId) -> Result<(), DbError> {
    sqlx::query!(
        "
        -- lock_user_factors
        select pg_advisory_xact_lock(hashtextextended($1::uuid::text, 36))
        ",
        user.uuid()
    )
    .execute(tx.conn())
    .await?;
    Ok(())
}

/// Notes that somebody proved who they are in this session.
pub(super) async fn note_proof(
    tx: &mut SystemTx,
    session: SessionId,
    method: Method,
    now: Time,
) -> Result<(), DbError> {
    sqlx::query!(
        "
        -- note_proof
        update sessions
        set proved_at = $3, proved_by = $2, second_factor_at = case when $4 then $3 else second_factor_at end
        where id = $1
        ",
        session.uuid(),
        method.as_str(),
        now,
        method.is_second_factor()
    )
    .execute(tx.conn())
    .await?;
    Ok(())
}

/// Nothing that was proved by a second factor counts any more: there is none.
pub(super) async fn forget_second_factor(tx: &mut SystemTx, user: UserId) -> Result<(), DbError> {
    sqlx::query!(
        "
        -- forget_second_factor
        update sessions set second_factor_at = null where user_id = $1 and second_factor_at is not null
        ",
        user.uuid()
    )
    .execute(tx.conn())
    .await?;
    Ok(())
}

pub(super) async fn insert_totp(
    tx: &mut SystemTx,
    id: Uuid,
    user: UserId,
    session: SessionId,
    sealed_secret: &[u8],
    now: Time,
) -> Result<(), DbError> {
    sqlx::query!(
        "
        -- insert_totp
        insert into login_totps (id, user_id, session_id, sealed_secret, created_at) values ($1, $2, $3, $4, $5)
        ",
        id,
        user.uuid(),
        session.uuid(),
        sealed_secret,
        now
    )
    .execute(tx.conn())
    .await?;
    Ok(())
}

/// Drops the app that waits for its first code.
pub(super) async fn delete_pending_totp(tx: &mut SystemTx, user: UserId) -> Result<(), DbError> {
    sqlx::query!(
        "
        -- delete_pending_totp
        delete from login_totps where user_id = $1 and confirmed_at is null
        ",
        user.uuid()
    )
    .execute(tx.conn())
    .await?;
    Ok(())
}

/// Whether there was one that counted.
pub(super) async fn delete_confirmed_totp(tx: &mut SystemTx, user: UserId) -> Result<bool, DbError> {
    let done = sqlx::query!(
        "
        -- delete_confirmed_totp
        delete from login_totps where user_id = $1 and confirmed_at is not null
        ",
        user.uuid()
    )
    .execute(tx.conn())
    .await?;
    Ok(done.rows_affected() == 1)
}

pub(super) struct TotpRow {
    pub(super) id: Uuid,
    pub(super) sealed_secret: Vec<u8>,
    pub(super) last_step: Option<i64>,
}

/// The app that waits, if it was begun in this session since then.
pub(super) async fn pending_totp(
    tx: &mut SystemTx,
    user: UserId,
    session: SessionId,
    since: Time,
) -> Result<Option<TotpRow>, DbError> {
    let row = sqlx::query_as!(
        TotpRow,
        "
        -- pending_totp
        select id, sealed_secret, last_step
        from login_totps
        where user_id = $1 and session_id = $2 and created_at > $3 and confirmed_at is null
        for update
        ",
        user.uuid(),
        session.uuid(),
        since
    )
    .fetch_optional(tx.conn())
    .await?;
    Ok(row)
}

/// The app that counts, locked, so that of two codes at once the second finds what the first left.
pub(super) async fn confirmed_totp(tx: &mut SystemTx, user: UserId) -> Result<Option<TotpRow>, DbError> {
    let row = sqlx::query_as!(
        TotpRow,
        "
        -- totp_of_user
        select id, sealed_secret, last_step from login_totps where user_id = $1 and confirmed_at is not null for update
        ",
        user.uuid()
    )
    .fetch_optional(tx.conn())
    .await?;
    Ok(row)
}

pub(super) async fn totp_since(tx: &mut SystemTx, user: UserId) -> Result<Option<Time>, DbError> {
    let since = sqlx::query_scalar!(
        r#"
        -- totp_since
        select confirmed_at as "confirmed_at!" from login_totps where user_id = $1 and confirmed_at is not null
        "#,
        user.uuid()
    )
    .fetch_optional(tx.conn())
    .await?;
    Ok(since)
}

pub(super) async fn confirm_totp(tx: &mut SystemTx, id: Uuid, step: i64, now: Time) -> Result<(), DbError> {
    sqlx::query!(
        "
        -- confirm_totp
        update login_totps set confirmed_at = $3, last_step = $2, session_id = null where id = $1
        ",
        id,
        step,
        now
    )
    .execute(tx.conn())
    .await?;
    Ok(())
}

pub(super) async fn note_step(tx: &mut SystemTx, id: Uuid, step: i64) -> Result<(), DbError> {
    sqlx::query!(
        "
        -- note_totp_step
        update login_totps set last_step = $2 where id = $1
        ",
        id,
        step
    )
    .execute(tx.conn())
    .await?;
    Ok(())
}

pub(super) async fn delete_recovery_codes(tx: &mut SystemTx, user: UserId) -> Result<(), DbError> {
    sqlx::query!(
        "
        -- delete_recovery_codes
        delete from login_recovery_codes where user_id = $1
        ",
        user.uuid()
    )
    .execute(tx.conn())
    .await?;
    Ok(())
}

pub(super) async fn insert_recovery_codes(
    tx: &mut SystemTx,
    user: UserId,
    hashes: &[Vec<u8>],
    now: Time,
) -> Result<(), DbError> {
    sqlx::query!(
        "
        -- insert_recovery_codes
        insert into login_recovery_codes (user_id, code_hash, created_at)
        select $1, hash, $3 from unnest($2::bytea[]) as given (hash)
        ",
        user.uuid(),
        hashes,
        now
    )
    .execute(tx.conn())
    .await?;
    Ok(())
}

/// Whether the code was the person's, and not used until now.
pub(super) async fn use_recovery_code(
    tx: &mut SystemTx,
    user: UserId,
    hash: &[u8],
    now: Time,
) -> Result<bool, DbError> {
    let done = sqlx::query!(
        "
        -- use_recovery_code
        update login_recovery_codes set used_at = $3 where user_id = $1 and code_hash = $2 and used_at is null
        ",
        user.uuid(),
        hash,
        now
    )
    .execute(tx.conn())
    .await?;
    Ok(done.rows_affected() == 1)
}

pub(super) struct NewPasskey<'a> {
    pub(super) id: Uuid,
    pub(super) credential_id: &'a [u8],
    pub(super) public_key: &'a [u8],
    pub(super) sign_count: i64,
    pub(super) is_backed_up: bool,
    pub(super) transports: &'a [String],
    pub(super) name: &'a str,
}

pub(super) async fn insert_passkey(
    tx: &mut SystemTx,
    user: UserId,
    passkey: &NewPasskey<'_>,
    now: Time,
) -> Result<(), DbError> {
    sqlx::query!(
        "
        -- insert_passkey
        insert into login_passkeys
            (id, user_id, credential_id, public_key, sign_count, is_backed_up, transports, name, created_at)
        values ($1, $2, $3, $4, $5, $6, $7, $8, $9)
        ",
        passkey.id,
        user.uuid(),
        passkey.credential_id,
        passkey.public_key,
        passkey.sign_count,
        passkey.is_backed_up,
        passkey.transports,
        passkey.name,
        now
    )
    .execute(tx.conn())
    .await?;
    Ok(())
}

pub(crate) struct PasskeyRow {
    pub(super) id: Uuid,
    pub(super) user_id: UserId,
    pub(super) credential_id: Vec<u8>,
    pub(super) public_key: Vec<u8>,
    pub(super) sign_count: i64,
    pub(super) is_backed_up: bool,
    pub(super) transports: Vec<String>,
    pub(super) name: String,
    pub(super) created_at: Time,
    pub(super) last_used_at: Option<Time>,
}

pub(super) async fn passkeys(tx: &mut SystemTx, user: UserId, limit: i64) -> Result<Vec<PasskeyRow>, DbError> {
    let rows = sqlx::query_as!(
        PasskeyRow,
        "
        -- passkeys_of_user
        select id, user_id, credential_id, public_key, sign_count, is_backed_up, transports, name, created_at, last_used_at
        from login_passkeys
        where user_id = $1
        order by id
        limit $2
        ",
        user.uuid(),
        limit
    )
    .fetch_all(tx.conn())
    .await?;
    Ok(rows)
}

/// The passkey that an authenticator calls so, of a person who is still there, locked: of two answers at once the second
/// finds the count of the first.
pub(super) async fn passkey_by_credential(
    tx: &mut SystemTx,
    credential_id: &[u8],
) -> Result<Option<PasskeyRow>, DbError> {
    let row = sqlx::query_as!(
        PasskeyRow,
        "
        -- passkey_by_credential
        select p.id, p.user_id, p.credential_id, p.public_key, p.sign_count, p.is_backed_up, p.transports, p.name,
            p.created_at, p.last_used_at
        from login_passkeys p
        join users u on u.id = p.user_id
        where p.credential_id = $1 and u.deleted_at is null
        for update of p
        ",
        credential_id
    )
    .fetch_optional(tx.conn())
    .await?;
    Ok(row)
}

pub(super) async fn note_passkey_used(
    tx: &mut SystemTx,
    id: Uuid,
    sign_count: i64,
    is_backed_up: bool,
    now: Time,
) -> Result<(), DbError> {
    sqlx::query!(
        "
        -- note_passkey_used
        update login_passkeys set sign_count = $2, is_backed_up = $3, last_used_at = $4 where id = $1
        ",
        id,
        sign_count,
        is_backed_up,
        now
    )
    .execute(tx.conn())
    .await?;
    Ok(())
}

/// The passkey with its new name, if it is theirs.
pub(super) async fn rename_passkey(
    tx: &mut SystemTx,
    user: UserId,
    id: Uuid,
    name: &str,
) -> Result<Option<PasskeyRow>, DbError> {
    let row = sqlx::query_as!(
        PasskeyRow,
        "
        -- rename_passkey
        update login_passkeys set name = $3 where id = $2 and user_id = $1
        returning id, user_id, credential_id, public_key, sign_count, is_backed_up, transports, name, created_at,
            last_used_at
        ",
        user.uuid(),
        id,
        name
    )
    .fetch_optional(tx.conn())
    .await?;
    Ok(row)
}

/// Removes all of them. How many there were.
pub(super) async fn delete_passkeys(tx: &mut SystemTx, user: UserId) -> Result<u64, DbError> {
    let done = sqlx::query!(
        "
        -- delete_passkeys_of_user
        delete from login_passkeys where user_id = $1
        ",
        user.uuid()
    )
    .execute(tx.conn())
    .await?;
    Ok(done.rows_affected())
}

/// Whether it was there, and theirs.
pub(super) async fn delete_passkey(tx: &mut SystemTx, user: UserId, id: Uuid) -> Result<bool, DbError> {
    let done = sqlx::query!(
        "
        -- delete_passkey
        delete from login_passkeys where id = $2 and user_id = $1
        ",
        user.uuid(),
        id
    )
    .execute(tx.conn())
    .await?;
    Ok(done.rows_affected() == 1)
}

/// Whether a challenge was used, on whichever node.
pub(super) async fn is_spent(tx: &mut SystemTx, challenge_hash: &[u8]) -> Result<bool, DbError> {
    let is_spent = sqlx::query_scalar!(
        r#"
        -- is_challenge_spent
        select exists (select 1 from spent_challenges where challenge_hash = $1) as "is_spent!"
        "#,
        challenge_hash
    )
    .fetch_one(tx.conn())
    .await?;
    Ok(is_spent)
}

/// Uses a challenge up; whether it was not used until now, on whichever node.
pub(super) async fn spend(tx: &mut SystemTx, challenge_hash: &[u8], expires_at: Time) -> Result<bool, DbError> {
    let done = sqlx::query!(
        "
        -- spend_challenge
        insert into spent_challenges (challenge_hash, expires_at) values ($1, $2) on conflict (challenge_hash) do nothing
        ",
        challenge_hash,
        expires_at
    )
    .execute(tx.conn())
    .await?;
    Ok(done.rows_affected() == 1)
}

pub(super) async fn purge_spent(tx: &mut SystemTx, now: Time, limit: i64) -> Result<u64, DbError> {
    let done = sqlx::query!(
        "
        -- purge_spent_challenges
        delete from spent_challenges
        where challenge_hash in (select challenge_hash from spent_challenges where expires_at < $1 limit $2)
        ",
        now,
        limit
    )
    .execute(tx.conn())
    .await?;
    Ok(done.rows_affected())
}

pub(super) async fn purge_pending_totps(tx: &mut SystemTx, before: Time) -> Result<u64, DbError> {
    let done = sqlx::query!(
        "
        -- purge_pending_totps
        delete from login_totps where confirmed_at is null and created_at < $1
        ",
        before
    )
    .execute(tx.conn())
    .await?;
    Ok(done.rows_affected())
}
