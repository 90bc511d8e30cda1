//! The logins of the program and their passwords.

use std::{
    collections::BTreeMap,
    fmt, fs,
    io::{self, Write},
    os::unix::fs::{OpenOptionsExt, PermissionsExt},
    path::Path,
};

use kernel::{Secret, random};

use super::{
    DATABASE,
    area::{remove_file, sync_parent},
    error::{At, ClusterError},
};

/// One of the four logins of the program. None is a superuser, none bypasses row level security, and what each may do
/// is granted by the migrations.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Login {
    /// Migrates, and owns the database and its schema. Never serves.
    Owner,
    /// Serves, inside one tenant at a time.
    App,
    /// The few tasks that no single tenant asks for.
    System,
    /// Writes what comes in from outside.
    Ingest,
}

impl Login {
    pub const ALL: [Self; 4] = [Self::Owner, Self::App, Self::System, Self::Ingest];

    /// The role's name in PostgreSQL.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Owner => "entrepot_owner",
            Self::App => "entrepot_app",
            Self::System => "entrepot_system",
            Self::Ingest => "entrepot_ingest",
        }
    }
}

impl fmt::Display for Login {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Who owns the embedded server itself.
pub(super) const SUPERUSER: &str = "postgres";

/// The login of `entrepot backup` and `entrepot doctor`: it reads every row of every organization and writes nothing. Not a
/// [`Login`]: `serve` never gets it, and refuses a login that has what it has.
pub const BACKUP: &str = "entrepot_backup";

/// 143 bits: nobody types them.
const PASSWORD_LENGTH: usize = 24;

/// The passwords of the embedded server, by role, in a file that `psql` understands:
/// `PGPASSFILE=<data>/pgpass psql -h <data>/run -U entrepot_owner entrepot`.
pub(super) struct Passwords {
    of: BTreeMap<String, Secret>,
    /// Some are not in the file yet.
    unsaved: bool,
    /// The superuser's is not in the file yet: a server that exists already must be told.
    pub(super) superuser_is_new: bool,
}

impl Passwords {
    /// Reads the file and makes what is missing in it, in memory.
    pub(super) fn load(file: &Path) -> Result<Self, ClusterError> {
        let mut of = match fs::read_to_string(file) {
            Ok(text) => parse(&text),
            Err(error) if error.kind() == io::ErrorKind::NotFound => BTreeMap::new(),
            Err(error) => return Err(error).at(file),
        };
        let superuser_is_new = !of.contains_key(SUPERUSER);
        let mut unsaved = false;
        for role in [SUPERUSER, BACKUP].into_iter().chain(Login::ALL.map(Login::as_str)) {
            of.entry(role.into()).or_insert_with(|| {
                unsaved = true;
                Secret::new(random::base62(PASSWORD_LENGTH))
            });
        }
        Ok(Self { of, unsaved, superuser_is_new })
    }

    /// Writes what is new, whole or not at all: a cluster whose passwords were half written could not be entered. Takes
    /// back from others a file that they may read.
    pub(super) fn save(&self, file: &Path) -> Result<(), ClusterError> {
        if !self.unsaved {
            return fs::set_permissions(file, fs::Permissions::from_mode(0o600)).at(file);
        }
        let text = self.of.iter().map(|(role, password)| format!("*:*:*:{role}:{}\n", password.expose()));
        let fresh = file.with_extension("new");
        write_private(&fresh, &text.collect::<String>())?;
        fs::rename(&fresh, file).at(file)?;
        sync_parent(file)
    }

    pub(super) fn of(&self, role: &str) -> &Secret {
        &self.of[role]
    }
}

/// Lines of `*:*:*:role:password`; base62 needs no escapes.
fn parse(text: &str) -> BTreeMap<String, Secret> {
    let entries = text.lines().filter_map(|line| line.strip_prefix("*:*:*:")?.split_once(':'));
    entries.map(|(role, password)| (role.into(), Secret::new(password))).collect()
}

/// A new file that only we can read, on the disk when this returns.
pub(super) fn write_private(file: &Path, text: &str) -> Result<(), ClusterError> {
    remove_file(file)?;
    let mut open = fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(file).at(file)?;
    open.write_all(text.as_bytes()).and_then(|()| open.sync_all()).at(file)
}

/// What makes the logins and the database on any server, in this order, each part run by itself. All of it can be run
/// again at any time: it creates what is missing, takes away what a login must not have, and sets the passwords.
///
/// ```text
/// roles            the four roles and their passwords
/// create_database  only where it does not exist: `create database` knows no "if not exists"
/// privileges       who may connect to it
/// ```
///
/// For a server of your own, [`RolesSql::script`] is the same for `psql`.
pub struct RolesSql {
    pub roles: String,
    pub create_database: String,
    pub privileges: String,
}

/// See [`RolesSql`]. The caller chooses the passwords; a quote in one is escaped.
///
/// On a server that somebody manages for you the administrator is no superuser: such a one may create roles without
/// special rights but not mention those rights when it alters one, so that they are altered only where they are wrong.
pub fn roles_sql(password: impl Fn(Login) -> Secret) -> RolesSql {
    let roles = Login::ALL.map(|login| {
        let password = password(login).expose().replace('\'', "''");
        format!(
            "do $$ begin\n  \
               if not exists (select from pg_roles where rolname = '{login}') then\n    \
                 create role {login} login {RIGHTS};\n  \
               elsif exists (select from pg_roles where rolname = '{login}' and (rolsuper or rolbypassrls or rolcreatedb\n      \
                   or rolcreaterole or rolreplication or not rolcanlogin)) then\n    \
                 alter role {login} login {RIGHTS};\n  \
               end if;\n\
             end $$;\n\
             alter role {login} password '{password}';\n"
        )
    });
    RolesSql {
        roles: roles.concat(),
        create_database: create_database_sql(DATABASE, "template0"),
        privileges: privileges_sql(DATABASE),
    }
}

const RIGHTS: &str = "nosuperuser nobypassrls nocreatedb nocreaterole noreplication";

impl RolesSql {
    /// For `psql` on a server of your own, as its administrator.
    pub fn script(&self) -> String {
        format!(
            "\\set ON_ERROR_STOP on\n{}\
             -- An administrator who is no superuser gives a database away only to a role that it is a member of.\n\
             select 'grant {owner} to current_user' from pg_roles where rolname = current_user and not rolsuper \\gexec\n\
             select '{}' where not exists (select from pg_database where datname = '{DATABASE}') \\gexec\n{}",
            self.roles,
            self.create_database.replace('\'', "''"),
            self.privileges,
            owner = Login::Owner,
        )
    }
}

pub(super) fn create_database_sql(name: &str, template: &str) -> String {
    // A copy has its template's encoding and order; the pristine template0 takes ours even where the server has others.
    let encoding = if template == "template0" { " encoding 'UTF8' locale 'C.UTF-8'" } else { "" };
    format!("create database {name} owner {} template {template}{encoding}", Login::Owner)
}

pub(super) fn privileges_sql(database: &str) -> String {
    let logins = Login::ALL.map(Login::as_str).join(", ");
    format!("revoke all on database {database} from public;\ngrant connect on database {database} to {logins};\n")
}

/// What makes the login of backups on the embedded server. `pg_dump` reads nothing under forced row level security without
/// BYPASSRLS. All of it can be run again.
pub(super) fn backup_role_sql(password: &Secret) -> String {
    let password = password.expose().replace('\'', "''");
    format!(
        "do $$ begin\n  \
           if not exists (select from pg_roles where rolname = '{BACKUP}') then\n    create role {BACKUP} login;\n  end if;\n\
         end $$;\n\
         alter role {BACKUP} login nosuperuser bypassrls nocreatedb nocreaterole noreplication password '{password}';\n\
         alter role {BACKUP} set default_transaction_read_only = on;\n\
         do $$ begin\n  \
           if not pg_has_role('{BACKUP}', 'pg_read_all_data', 'member') then\n    grant pg_read_all_data to {BACKUP};\n  end if;\n\
         end $$;\n"
    )
}

pub(super) fn backup_privileges_sql(database: &str) -> String {
    format!("grant connect on database {database} to {BACKUP};\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn passwords_are_made_once_and_kept_in_a_private_file() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("pgpass");
        let made = Passwords::load(&file).unwrap();
        assert!(made.superuser_is_new);
        made.save(&file).unwrap();
        fs::set_permissions(&file, fs::Permissions::from_mode(0o644)).unwrap();
        let kept = Passwords::load(&file).unwrap();
        assert!(!kept.superuser_is_new);
        kept.save(&file).unwrap();
        for role in [SUPERUSER].into_iter().chain(Login::ALL.map(Login::as_str)) {
            assert_eq!(made.of(role).expose(), kept.of(role).expose());
            assert_eq!(made.of(role).expose().len(), PASSWORD_LENGTH);
        }
        assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
        assert_ne!(made.of("entrepot_app").expose(), made.of("entrepot_owner").expose());
    }

    #[test]
    fn a_login_that_is_new_gets_a_password_and_the_others_keep_theirs() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("pgpass");
        write_private(&file, "*:*:*:postgres:root-word\n*:*:*:entrepot_app:app-word\n").unwrap();
        let passwords = Passwords::load(&file).unwrap();
        assert!(!passwords.superuser_is_new);
        passwords.save(&file).unwrap();
        let passwords = Passwords::load(&file).unwrap();
        assert_eq!(passwords.of("entrepot_app").expose(), "app-word");
        assert_eq!(passwords.of("entrepot_ingest").expose().len(), PASSWORD_LENGTH);
    }

    #[test]
    fn a_quote_in_a_password_stays_inside_it() {
        let sql = roles_sql(|_| Secret::new("it's")).roles;
        assert_eq!(sql.matches("password 'it''s';").count(), 4);
    }
}
