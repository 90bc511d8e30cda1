//! Queries of another schema than the one that queries are checked against at compile time.

use sqlx::{PgConnection, Row};
use uuid::Uuid;

pub(super) struct LoginPowers {
    pub(super) user: String,
    pub(super) is_superuser: bool,
    pub(super) creates: bool,
    pub(super) owns: bool,
    pub(super) is_strong: bool,
}

pub(super) async fn login(connection: &mut PgConnection) -> Result<LoginPowers, sqlx::Error> {
    let row = sqlx::query(
        "
        -- key_login_powers
        select
            current_user::text as login,
            bool_or(r.rolsuper) as is_superuser,
            bool_or(r.rolcreaterole or r.rolcreatedb or r.rolbypassrls or r.rolreplication) as creates,
            bool_or(r.oid = (select relowner from pg_class where oid = 'public.shards'::regclass)) as owns,
            bool_or(r.rolname in ('pg_read_all_data', 'pg_write_all_data', 'pg_read_server_files', 'pg_write_server_files',
                'pg_execute_server_program')) as is_strong
        from pg_roles r
        where pg_has_role(current_user, r.oid, 'member')
        ",
    )
    .fetch_one(connection)
    .await?;
    Ok(LoginPowers {
        user: row.try_get("login")?,
        is_superuser: row.try_get("is_superuser")?,
        creates: row.try_get("creates")?,
        owns: row.try_get("owns")?,
        is_strong: row.try_get("is_strong")?,
    })
}

/// The same for a server and for every physical copy of it.
pub(super) async fn server(connection: &mut PgConnection) -> Result<i64, sqlx::Error> {
    sqlx::query_scalar("select system_identifier from pg_control_system()").fetch_one(connection).await
}

pub(super) async fn said(connection: &mut PgConnection) -> Result<Option<(String, String)>, sqlx::Error> {
    sqlx::query_as("select fingerprint, state from key_store").fetch_optional(connection).await
}

pub(super) async fn name(connection: &mut PgConnection, fingerprint: &str, state: &str) -> Result<(), sqlx::Error> {
    sqlx::query("insert into key_store (fingerprint, state) values ($1, $2) on conflict do nothing")
        .bind(fingerprint)
        .bind(state)
        .execute(connection)
        .await?;
    Ok(())
}

pub(super) async fn set_state(connection: &mut PgConnection, state: &str) -> Result<(), sqlx::Error> {
    sqlx::query("update key_store set state = $1").bind(state).execute(connection).await?;
    Ok(())
}

pub(super) async fn forget_name(connection: &mut PgConnection) -> Result<(), sqlx::Error> {
    sqlx::query("delete from key_store where not exists (select 1 from shards)").execute(connection).await?;
    Ok(())
}

pub(super) async fn put(connection: &mut PgConnection, id: Uuid, shard: &[u8]) -> Result<bool, sqlx::Error> {
    let done = sqlx::query("insert into shards (id, shard) values ($1, $2) on conflict (id) do nothing")
        .bind(id)
        .bind(shard)
        .execute(connection)
        .await?;
    Ok(done.rows_affected() == 1)
}

pub(super) async fn put_all(connection: &mut PgConnection, ids: &[Uuid], shards: &[&[u8]]) -> Result<(), sqlx::Error> {
    sqlx::query(
        "insert into shards (id, shard) select * from unnest($1::uuid[], $2::bytea[]) on conflict (id) do nothing",
    )
    .bind(ids)
    .bind(shards)
    .execute(connection)
    .await?;
    Ok(())
}

pub(super) async fn get(connection: &mut PgConnection, id: Uuid) -> Result<Option<Vec<u8>>, sqlx::Error> {
    sqlx::query_scalar("select shard from shards where id = $1").bind(id).fetch_optional(connection).await
}

pub(super) async fn delete(connection: &mut PgConnection, id: Uuid) -> Result<(), sqlx::Error> {
    sqlx::query("delete from shards where id = $1").bind(id).execute(connection).await?;
    Ok(())
}

pub(super) async fn delete_all(connection: &mut PgConnection, ids: &[Uuid]) -> Result<(), sqlx::Error> {
    sqlx::query("delete from shards where id = any($1)").bind(ids).execute(connection).await?;
    Ok(())
}

pub(super) async fn page(
    connection: &mut PgConnection,
    after: Uuid,
    limit: i64,
) -> Result<Vec<(Uuid, Vec<u8>)>, sqlx::Error> {
    sqlx::query_as("select id, shard from shards where id > $1 order by id limit $2")
        .bind(after)
        .bind(limit)
        .fetch_all(connection)
        .await
}

pub(super) async fn ids(connection: &mut PgConnection, after: Uuid, limit: i64) -> Result<Vec<Uuid>, sqlx::Error> {
    sqlx::query_scalar("select id from shards where id > $1 order by id limit $2")
        .bind(after)
        .bind(limit)
        .fetch_all(connection)
        .await
}
