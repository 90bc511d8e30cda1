//! A database as it is named to PostgreSQL's own programs, the password apart.

use std::{
    env,
    fmt::Write as _,
    os::unix::ffi::OsStrExt as _,
    path::Path,
    process::{Command, Stdio},
    str::FromStr as _,
};

use kernel::Secret;
use sqlx::postgres::{PgConnectOptions, PgSslMode};

use super::PORT;

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
#[error("not a postgres:// URL")]
pub struct NotATarget;

impl Target {
    /// From `postgres://user:password@host:port/database?sslmode=…`.
    ///
    /// # Errors
    /// [`NotATarget`].
    pub fn parse(url: &str) -> Result<Self, NotATarget> {
        let options = PgConnectOptions::from_str(url).map_err(|_| NotATarget)?;
        let (scheme, rest) = url.split_once("://").ok_or(NotATarget)?;
        let authority_ends = rest.find(['/', '?']).unwrap_or(rest.len());
        let (authority, place) = rest.split_at(authority_ends);
        let (user, host) = authority.rsplit_once('@').map_or((None, authority), |(user, host)| (Some(user), host));
        let (user, password) = match user.map(|user| user.split_once(':').unwrap_or((user, ""))) {
            Some((user, password)) => (format!("{user}@"), decode(password).ok_or(NotATarget)?),
            None => (String::new(), String::new()),
        };
        Ok(Self { options, uri: format!("{scheme}://{user}{host}{place}"), password: Secret::new(password) })
    }

    pub(super) fn at_socket(dir: &Path, role: &str, password: &Secret, database: &str) -> Self {
        let options = PgConnectOptions::new_without_pgpass()
            .socket(dir)
            .port(PORT)
            .username(role)
            .password(password.expose())
            .database(database)
            .ssl_mode(PgSslMode::Disable);
        let host = encode(dir.as_os_str().as_bytes());
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

fn encode(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(byte) {
            text.push(char::from(*byte));
        } else {
            let _infallible = write!(text, "%{byte:02X}");
        }
        text
    })
}

/// `%41` to `A` (RFC 3986, section 2.1).
fn decode(text: &str) -> Option<String> {
    let mut bytes = vec![];
    let mut rest = text.as_bytes();
    while let Some((first, after)) = rest.split_first() {
        rest = after;
        if *first == b'%' {
            let (digits, after) = rest.split_at_checked(2)?;
            bytes.push(u8::from_str_radix(str::from_utf8(digits).ok()?, 16).ok()?);
            rest = after;
        } else {
            bytes.push(*first);
        }
    }
    String::from_utf8(bytes).ok()
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
        for wrong in ["", "db.example", "mysql//x", "postgres://a:%zz@h/d"] {
            let refused = Target::parse(wrong).map(|_| ()).unwrap_err();
            assert_eq!(refused.to_string(), "not a postgres:// URL");
        }
    }

    #[test]
    fn an_odd_directory_of_a_socket_survives_the_address() {
        assert_eq!(encode("/data dir/ü".as_bytes()), "%2Fdata%20dir%2F%C3%BC");
        assert_eq!(decode("%2Fdata%20dir%2F%C3%BC").unwrap(), "/data dir/ü");
    }
}
