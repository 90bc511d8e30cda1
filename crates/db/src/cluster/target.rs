//! A database as it is named to PostgreSQL's own programs, the password apart.

use std::{
    env,
    os::unix::ffi::OsStrExt as _,
    path::Path,
    process::{Command, Stdio},
    str::FromStr as _,
};

use kernel::Secret;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, percent_encode};
use sqlx::postgres::{PgConnectOptions, PgSslMode};
use url::Url;

use super::PORT;

/// All but what a URI leaves as it is anywhere (RFC 3986, section 2.3).
const OUTSIDE_OF_NAMES: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// How to reach one database as one role, for sqlx and for `pg_dump` alike.
#[derive(Clone)]
pub struct Target {
    options: PgConnectOptions,
    /// <https://www.postgresql.org/docs/15/libpq-connect.html#LIBPQ-CONNSTRING>, without a password.
    uri: String,
    password: Secret,
}

/// The text is not a connection URI that both sqlx and PostgreSQL's programs understand. Says nothing of the text, which
/// holds a password.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a postgres:// URL, or one whose password is not before its host")]
pub struct NotATarget;

impl Target {
    /// From `postgres://user:password@host:port/database?sslmode=…`.
    ///
    /// # Errors
    /// [`NotATarget`].
    pub fn parse(url: &str) -> Result<Self, NotATarget> {
        let options = PgConnectOptions::from_str(url).map_err(|_| NotATarget)?;
        let mut uri = Url::parse(url).map_err(|_| NotATarget)?;
        // What sqlx and libpq would read besides, and what would be shown with the arguments.
        if uri.query_pairs().any(|(name, _)| matches!(&*name, "password" | "sslpassword" | "passfile")) {
            return Err(NotATarget);
        }
        // Without a password there is none to hand over. Errors are not kept: they quote what they read.
        let password = percent_decode_str(uri.password().unwrap_or_default()).decode_utf8().map_err(|_| NotATarget)?;
        let password = Secret::new(password);
        uri.set_password(None).map_err(|()| NotATarget)?;
        Ok(Self { options, uri: uri.into(), password })
    }

    pub(super) fn at_socket(dir: &Path, role: &str, password: &Secret, database: &str) -> Self {
        let options = PgConnectOptions::new_without_pgpass()
            .socket(dir)
            .port(PORT)
            .username(role)
            .password(password.expose())
            .database(database)
            .ssl_mode(PgSslMode::Disable);
        let host = percent_encode(dir.as_os_str().as_bytes(), OUTSIDE_OF_NAMES);
        Self {
            options,
            uri: format!("postgres://{role}@/{database}?host={host}&port={PORT}"),
            password: password.clone(),
        }
    }

    /// Not to be logged: sqlx prints the password.
    pub fn options(&self) -> &PgConnectOptions {
        &self.options
    }

    /// A command that runs one of PostgreSQL's programs on this database, with nothing of our environment. The password goes
    /// through the environment, which Linux shows to the process's user only; arguments are shown to everybody.
    pub fn command(&self, program: &Path) -> Command {
        let mut command = Command::new(program);
        command.env_clear().env("PATH", env::var_os("PATH").unwrap_or_default()).env("LC_ALL", "C").env("TZ", "UTC");
        command.env("PGPASSWORD", self.password.expose()).env("PGCONNECT_TIMEOUT", "10").env("PGAPPNAME", "entrepot");
        command.arg("--no-password").arg(format!("--dbname={}", self.uri)).stdin(Stdio::null());
        command
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_is_taken_out_of_the_address_and_given_apart() {
        let target =
            Target::parse("postgres://backup:p%40ss%3Aw@db.example:6432/entrepot?sslmode=verify-full").unwrap();
        assert_eq!(target.uri, "postgres://backup@db.example:6432/entrepot?sslmode=verify-full");
        assert_eq!(target.password.expose(), "p@ss:w");
        let shown = format!("{:?}", target.command(Path::new("pg_dump")).get_args().collect::<Vec<_>>());
        assert!(shown.contains("backup@db.example") && !shown.contains("ss%3Aw") && !shown.contains("p@ss"), "{shown}");
    }

    #[test]
    fn what_is_no_address_is_refused_without_being_repeated() {
        for wrong in [
            "",
            "db.example",
            "mysql//x",
            "postgres://backup@h/d?password=geheim",
            "postgres://backup@h/d?sslmode=require&sslpassword=geheim",
        ] {
            let refused = Target::parse(wrong).map(|_| ()).unwrap_err();
            assert!(!refused.to_string().contains("geheim"), "{wrong}");
        }
    }

    #[test]
    fn an_odd_directory_of_a_socket_survives_the_address() {
        let target = Target::at_socket(Path::new("/data dir/ü"), "owner", &Secret::new("p"), "entrepot");
        assert!(target.uri.ends_with("?host=%2Fdata%20dir%2F%C3%BC&port=5432"), "{}", target.uri);
    }
}
