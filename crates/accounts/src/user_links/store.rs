use db::{DbError, SystemTx};
use kernel::{Time, UserId};
use uuid::Uuid;

/// Ends the links of this purpose that a person has.
pub(super) async fn end_all(tx: &mut SystemTx, user: UserId, purpose: &str, now: Time) -> Result<(), DbError> {
    sqlx::query!(
        "
        -- end_links
        update user_links set used_at = $3 where user_id = $1 and purpose = $2 and used_at is null
        ",
        user.uuid(),
        purpose,
        now
    )
    .execute(tx.conn())
    .await?;
    Ok(())
}

pub(super) async fn insert(
    tx: &mut SystemTx,
    id: Uuid,
    user: UserId,
    purpose: &str,
    token_hash: &[u8],
    expires_at: Time,
    now: Time,
) -> Result<(), DbError> {
    sqlx::query!(
        "
        -- insert_link
        insert into user_links (id, user_id, purpose, token_hash, created_at, expires_at) values ($1, $2, $3, $4, $5, $6)
        ",
        id,
        user.uuid(),
        purpose,
        token_hash,
        now,
        expires_at
    )
    .execute(tx.conn())
    .await?;
    Ok(())
}

/// Whose link it is, while it works.
pub(super) async fn find(
    tx: &mut SystemTx,
    purpose: &str,
    token_hash: &[u8],
    now: Time,
) -> Result<Option<UserId>, DbError> {
    let user = sqlx::query_scalar!(
        r#"
        -- find_link
        select l.user_id
        from user_links l
        join users u on u.id = l.user_id
        where l.token_hash = $2 and l.purpose = $1 and l.used_at is null and l.expires_at > $3 and u.deleted_at is null
        "#,
        purpose,
        token_hash,
        now
    )
    .fetch_optional(tx.conn())
    .await?;
    Ok(user.map(UserId::from))
}

/// Uses a link up; whose it is, if it worked until now.
pub(super) async fn use_up(
    tx: &mut SystemTx,
    purpose: &str,
    token_hash: &[u8],
    now: Time,
) -> Result<Option<UserId>, DbError> {
    let user = sqlx::query_scalar!(
        r#"
        -- use_link
        update user_links l set used_at = $3
        from users u
        where l.token_hash = $2 and l.purpose = $1 and l.used_at is null and l.expires_at > $3
            and u.id = l.user_id and u.deleted_at is null
        returning l.user_id
        "#,
        purpose,
        token_hash,
        now
    )
    .fetch_optional(tx.conn())
    .await?;
    Ok(user.map(UserId::from))
}

/// Makes others wait who do something with the links of this person.
pub(super) async fn lock_user(tx: &mut SystemTx, user: UserId) -> Result<(), DbError> {
    sqlx::query!(
        "
        -- lock_user_links
        select pg_advisory_xact_lock(hashtextextended($1::uuid::text, 22))
        ",
        user.uuid()
    )
    .execute(tx.conn())
    .await?;
    Ok(())
}

pub(super) struct SentRow {
    pub(super) count: i64,
    pub(super) newest: Option<Time>,
    pub(super) oldest: Option<Time>,
}

pub(super) async fn sent_since(
    tx: &mut SystemTx,
    user: UserId,
    purpose: &str,
    since: Time,
) -> Result<SentRow, DbError> {
    let row = sqlx::query_as!(
        SentRow,
        r#"
        -- links_sent
        select count(*) as "count!", max(created_at) as newest, min(created_at) as oldest
        from user_links
        where user_id = $1 and purpose = $2 and created_at > $3
        "#,
        user.uuid(),
        purpose,
        since
    )
    .fetch_one(tx.conn())
    .await?;
    Ok(row)
}

pub(super) async fn purge(tx: &mut SystemTx, before: Time, limit: i64) -> Result<u64, DbError> {
    let done = sqlx::query!(
        "
        -- purge_links
        delete from user_links
        where id in (select id from user_links where expires_at < $1 order by expires_at limit $2)
        ",
        before,
        limit
    )
    .execute(tx.conn())
    .await?;
    Ok(done.rows_affected())
}
