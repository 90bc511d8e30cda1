use std::collections::BTreeSet;

use sqlx::{Executor, PgConnection};
use uuid::Uuid;

use super::{Counts, Facts};
use crate::DbError;

/// Whether neither a policy nor a missing grant hides a row from this login.
pub(super) async fn sees_everything(connection: &mut PgConnection) -> Result<bool, DbError> {
    let sees = sqlx::query_scalar!(
        r#"
        -- sees_everything
        select (rolsuper or rolbypassrls) and pg_has_role(current_user, 'pg_read_all_data', 'usage') as "sees!"
        from pg_roles
        where rolname = current_user
        "#
    )
    .fetch_one(connection)
    .await?;
    Ok(sees)
}

/// Begins a transaction that goes on seeing this moment, and names the moment for other connections.
pub(super) async fn begin_snapshot(connection: &mut PgConnection) -> Result<String, DbError> {
    connection.execute("begin isolation level repeatable read read only").await?;
    Ok(sqlx::query_scalar!(r#"select pg_export_snapshot() as "name!""#).fetch_one(connection).await?)
}

/// The master keys that a rotation goes on with, which has not ended: whoever starts a program on this database needs both, although no
/// data key may be left under the one before. None in a schema from before there were rotations.
async fn rotating(connection: &mut PgConnection) -> Result<Vec<String>, DbError> {
    let is_there = sqlx::query_scalar!(
        r#"
        -- has_key_rotations
        select to_regclass('public.key_rotations') is not null as "is_there!"
        "#
    )
    .fetch_one(&mut *connection)
    .await?;
    if !is_there {
        return Ok(vec![]);
    }
    let keys = sqlx::query_scalar!(
        r#"
        -- rotating_master_keys
        select unnest(array[from_key, to_key]) as "key!" from key_rotations where finished_at is null
        "#
    )
    .fetch_all(connection)
    .await?;
    Ok(keys)
}

pub(super) async fn facts(connection: &mut PgConnection) -> Result<Facts, DbError> {
    // sqlx's own table, which queries that are checked at compile time do not know.
    let schema: i64 = sqlx::query_scalar("select coalesce(max(version), 0) from _sqlx_migrations where success")
        .fetch_one(&mut *connection)
        .await?;
    let found = sqlx::query!(
        r#"
        -- backup_facts
        select
            current_setting('server_version_num')::int4 / 10000 as "postgresql!",
            (select value from installation where name = 'master_key') as master_key,
            (select value from installation where name = 'key_store') as key_store,
            array(
                select distinct master_fingerprint from data_keys where destroyed_at is null order by master_fingerprint
            ) as "master_keys!: Vec<String>",
            (select count(*) from organizations) as "organizations!",
            (select count(*) from users) as "users!",
            (select count(*) from organization_members) as "members!",
            (select count(*) from user_api_keys) as "api_keys!",
            (select count(*) from connections) as "connections!",
            (select count(*) from credentials) as "credentials!"
        "#
    )
    .fetch_one(&mut *connection)
    .await?;
    let data_keys = sqlx::query_scalar!(
        "
        -- backup_data_keys
        select id from data_keys where destroyed_at is null order by id
        "
    )
    .fetch_all(&mut *connection)
    .await?;
    let mut master_keys: BTreeSet<String> = found.master_keys.into_iter().collect();
    master_keys.extend(rotating(connection).await?);
    Ok(Facts {
        postgresql: u32::try_from(found.postgresql).unwrap_or_default(),
        schema,
        master_key: found.master_key,
        master_keys: master_keys.into_iter().collect(),
        key_store: found.key_store,
        counts: Counts {
            organizations: found.organizations,
            users: found.users,
            members: found.members,
            api_keys: found.api_keys,
            connections: found.connections,
            credentials: found.credentials,
        },
        data_keys,
    })
}

pub(super) async fn destroyed_data_keys(connection: &mut PgConnection) -> Result<Vec<Uuid>, DbError> {
    let ids = sqlx::query_scalar!(
        "
        -- backup_destroyed_data_keys
        select id from data_keys where destroyed_at is not null order by id
        "
    )
    .fetch_all(connection)
    .await?;
    Ok(ids)
}

pub(super) async fn emptiness(connection: &mut PgConnection) -> Result<(u32, bool), DbError> {
    let found = sqlx::query!(
        r#"
        -- emptiness
        select
            current_setting('server_version_num')::int4 / 10000 as "postgresql!",
            not exists (
                select 1 from pg_class c join pg_namespace n on n.oid = c.relnamespace
                where n.nspname not in ('pg_catalog', 'information_schema') and n.nspname not like 'pg\_toast%'
            ) as "is_empty!"
        "#
    )
    .fetch_one(connection)
    .await?;
    Ok((u32::try_from(found.postgresql).unwrap_or_default(), found.is_empty))
}

pub(super) async fn analyze(connection: &mut PgConnection) -> Result<(), DbError> {
    connection.execute("analyze").await?;
    Ok(())
}
