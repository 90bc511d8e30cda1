//! The server refuses logins that could bypass row level security.

use sqlx::PgConnection;

use crate::{DbError, Login};

/// A login with more power than serving needs.
#[derive(Debug, thiserror::Error)]
#[error(
    "the login \"{user}\" for {login} {problem}. Row level security could not hold it, so Entrepot does not start. \
     Use four plain logins as docs/TENANCY.md describes."
)]
pub struct UnsafeLogin {
    pub login: Login,
    pub user: String,
    pub problem: &'static str,
}

pub(crate) async fn refuse_unsafe(connection: &mut PgConnection, login: Login) -> Result<(), DbError> {
    let found = sqlx::query!(
        r#"
        -- login_powers
        select
            current_user::text as "user!",
            bool_or(r.rolsuper) as "superuser!",
            bool_or(r.rolbypassrls) as "bypasses!",
            bool_or(r.rolcreaterole) as "creates_roles!",
            bool_or(exists (
                select 1 from pg_class c where c.relowner = r.oid and c.relnamespace in ('public'::regnamespace, 'app'::regnamespace)
            )) as "owns!",
            coalesce(pg_has_role(current_user, (select oid from pg_roles where rolname = $1), 'usage'), false) as "serves!",
            (
                select count(*) from pg_roles other
                where other.rolname = any($2) and pg_has_role(current_user, other.oid, 'member')
            ) as "others!",
            (
                select coalesce(bool_or(pg_has_role(current_user, strong.oid, 'member')), false) from pg_roles strong
                where strong.rolname in (
                    'pg_read_all_data', 'pg_write_all_data', 'pg_read_server_files', 'pg_write_server_files',
                    'pg_execute_server_program'
                )
            ) as "strong!",
            has_schema_privilege(current_user, 'public', 'create') as "creates_tables!"
        from pg_roles r
        where pg_has_role(current_user, r.oid, 'member')
        "#,
        login.as_str(),
        &Login::ALL.iter().filter(|other| **other != login).map(|other| other.as_str().to_owned()).collect::<Vec<_>>()
    )
    .fetch_one(connection)
    .await?;
    let problem = if found.superuser {
        "is a superuser"
    } else if found.bypasses {
        "has BYPASSRLS"
    } else if found.creates_roles {
        "may create roles"
    } else if found.owns {
        "owns tables that it serves"
    } else if found.strong {
        "is a member of a role that reads or writes around the tables' policies"
    } else if found.creates_tables {
        "may create tables in the schema public"
    } else if !found.serves {
        "is not (a member of) the role of that name"
    } else if found.others > 0 {
        "is also a member of another of the four roles"
    } else {
        return Ok(());
    };
    Err(UnsafeLogin { login, user: found.user, problem }.into())
}
