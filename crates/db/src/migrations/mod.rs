//! Runs the files of `migrations/`, which are compiled into the program, while an older version of it serves from the same
//! database (`docs/adr/0043-versions-share-a-database.md`).
//!
//! - one migrator at a time: the others wait for it
//! - no migration waits for a lock for long, since requests queue up behind it: it gives up its place and tries again
//! - a schema that is ahead of the program is accepted, unless something was taken away that the program needs

mod waiting;

use std::{collections::BTreeMap, sync::LazyLock, time::Duration};

use sqlx::{
    Connection, PgConnection,
    migrate::{MigrateError, Migrator},
    postgres::PgConnectOptions,
};
use tokio::time::{Instant, sleep};

use crate::{DbError, tls};
use waiting::{Waited, Watch};

static MIGRATOR: LazyLock<Migrator> = LazyLock::new(|| {
    let mut migrator = sqlx::migrate!("../../migrations");
    #[cfg(debug_assertions)]
    migrator.migrations.to_mut().extend(later::migrations());
    // Which of those that are missing here may be is for `accept` to say.
    migrator.set_ignore_missing(true);
    migrator
});

/// How long a migration waits for a lock: less than the requests wait that queue up behind it (`BOUNDS`).
const LOCK_WAIT: &str = "2s";
/// Between two tries, so that those who queued up get through.
const PAUSE: Duration = Duration::from_secs(2);
/// How often one migration asks for its locks.
const TRIES: u32 = 20;
/// How long another migrator may be at it.
const PATIENCE: Duration = Duration::from_mins(15);

pub(crate) async fn run(owner: &PgConnectOptions) -> Result<(), DbError> {
    let options = owner.clone().application_name("entrepot_migrator").options([("lock_timeout", LOCK_WAIT)]);
    let (mut tries, began) = (0, Instant::now());
    loop {
        let Some(waited) = run_once(&options).await? else { return Ok(()) };
        let is_other_migrator = waited.is_for_the_turn();
        tries += u32::from(!is_other_migrator);
        if tries >= TRIES || began.elapsed() > PATIENCE {
            return Err(DbError::Migration(format!(
                "{waited}, after {} s of trying. What was done so far is kept, and the older version goes on serving. End what \
                 holds the lock, or try again when there is less to do",
                began.elapsed().as_secs()
            )));
        }
        if is_other_migrator {
            tracing::info!(%waited, "another program migrates the database; waiting for it");
        } else {
            tracing::warn!(%waited, tries, "a migration lets others pass, and tries again");
        }
        sleep(PAUSE).await;
    }
}

/// None when the schema is this program's or later, and otherwise what was waited for in vain.
async fn run_once(options: &PgConnectOptions) -> Result<Option<Waited>, DbError> {
    let mut connection = tls::connect(options).await?;
    accept(&mut connection).await?;
    let pid: i32 = sqlx::query_scalar("select pg_backend_pid()").fetch_one(&mut connection).await?;
    let watch = Watch::start(options.clone(), pid);
    let result = MIGRATOR.run_direct(None, &mut connection, false).await;
    let waited = watch.stop().await;
    connection.close().await?;
    match result {
        Ok(()) => Ok(None),
        Err(error) if is_wait(&error) => Ok(Some(waited.unwrap_or_default().of(version(&error)))),
        Err(error) => Err(DbError::Migration(error.to_string())),
    }
}

/// A lock that was not to be had in time, or that two wanted from each other.
fn is_wait(error: &MigrateError) -> bool {
    let (MigrateError::Execute(error) | MigrateError::ExecuteMigration(error, _)) = error else { return false };
    let code = error.as_database_error().and_then(|error| error.code());
    code.is_some_and(|code| ["55P03", "40P01"].contains(&&*code))
}

fn version(error: &MigrateError) -> Option<i64> {
    match error {
        MigrateError::ExecuteMigration(_, version) => Some(*version),
        _ => None,
    }
}

/// Refuses a schema that this program cannot serve from: one of another line, or one from which something was taken away since.
async fn accept(connection: &mut PgConnection) -> Result<(), DbError> {
    // sqlx's own table, which queries that are checked at compile time do not know.
    let is_new: bool =
        sqlx::query_scalar("select to_regclass('_sqlx_migrations') is null").fetch_one(&mut *connection).await?;
    if is_new {
        return Ok(());
    }
    let applied: Vec<(i64, String)> =
        sqlx::query_as("select version, description from _sqlx_migrations where success").fetch_all(connection).await?;
    let mut applied: BTreeMap<i64, String> = applied.into_iter().collect();
    let missing: Vec<i64> = checksums().into_keys().filter(|version| applied.remove(version).is_none()).collect();
    // What is left is not known here.
    judge(&missing, &applied, newest()).map_err(DbError::Migration)?;
    if let Some(last) = applied.keys().next_back() {
        tracing::warn!(
            schema = last,
            newest_known = newest(),
            "the schema is ahead: a later version has migrated it, and this one serves from it"
        );
    }
    Ok(())
}

/// `missing` is known here and not applied, `unknown` the other way round.
fn judge(missing: &[i64], unknown: &BTreeMap<i64, String>, newest: i64) -> Result<(), String> {
    let Some(last) = unknown.keys().next_back() else { return Ok(()) };
    if let Some(missing) = missing.first() {
        return Err(format!(
            "the schema has migration {last}, which this version does not know, and lacks {missing}, which it does: it is of \
             another line of versions. Serve with the version that made it"
        ));
    }
    for (version, description) in unknown {
        if let Some(since) = contract_since(description)
            && since > newest
        {
            return Err(format!(
                "migration {version} took away what this version needs, whose newest is {newest}: run a version that knows \
                 {since} or later, or restore the backup made before the upgrade"
            ));
        }
    }
    Ok(())
}

/// `20261120000031_contract_since_20261120000025_drop_x.sql`: programs that know 25 do without what 31 takes away. The name is what
/// an older program finds in the database.
fn contract_since(description: &str) -> Option<i64> {
    let (since, _) = description.strip_prefix("contract since ")?.split_once(' ')?;
    since.parse().ok()
}

/// The number of the newest one.
pub(crate) fn newest() -> i64 {
    MIGRATOR.iter().map(|migration| migration.version).max().unwrap_or_default()
}

/// What each of them hashes to, by its number.
pub(crate) fn checksums() -> BTreeMap<i64, &'static [u8]> {
    MIGRATOR.iter().map(|migration| (migration.version, &*migration.checksum)).collect()
}

/// How tests make a later version of this program out of the same binary. Not in what is shipped.
#[cfg(debug_assertions)]
mod later {
    use std::{env, fs, path::Path};

    use sqlx::{
        AssertSqlSafe, SqlSafeStr,
        migrate::{Migration, MigrationType},
    };

    /// Those of the folder that the variable names.
    pub(super) fn migrations() -> Vec<Migration> {
        let Some(folder) = env::var_os("DEBUG_LATER_MIGRATIONS") else { return vec![] };
        let mut files: Vec<_> =
            fs::read_dir(&folder).into_iter().flatten().flatten().map(|entry| entry.path()).collect();
        files.sort();
        files.iter().filter_map(|file| migration(file)).collect()
    }

    fn migration(file: &Path) -> Option<Migration> {
        let (version, name) = file.file_name()?.to_str()?.strip_suffix(".sql")?.split_once('_')?;
        let sql = AssertSqlSafe(fs::read_to_string(file).ok()?).into_sql_str();
        let description = name.replace('_', " ").into();
        Some(Migration::new(version.parse().ok()?, description, MigrationType::Simple, sql, false))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn unknown(descriptions: &[(i64, &str)]) -> BTreeMap<i64, String> {
        descriptions.iter().map(|(version, text)| (*version, (*text).to_owned())).collect()
    }

    #[test]
    fn a_schema_that_is_ahead_is_served_from_unless_it_took_something_away() {
        assert_eq!(judge(&[12], &unknown(&[]), 12), Ok(()), "what is missing is run");
        assert_eq!(judge(&[], &unknown(&[(13, "more"), (14, "contract since 12 drop old")]), 12), Ok(()));
        let refused = judge(&[], &unknown(&[(13, "more"), (14, "contract since 13 drop old")]), 12).unwrap_err();
        assert!(refused.contains("14") && refused.contains("knows 13 or later"), "{refused}");
        let refused = judge(&[12], &unknown(&[(13, "more")]), 12).unwrap_err();
        assert!(refused.contains("lacks 12") && refused.contains("another line"), "{refused}");
    }

    #[test]
    fn only_a_name_of_the_agreed_form_marks_a_contract() {
        assert_eq!(contract_since("contract since 20261120000025 drop x"), Some(20_261_120_000_025));
        for other in ["contract", "contract since", "contract since x y", "since 5 x", "no contract since 5 x"] {
            assert_eq!(contract_since(other), None, "{other}");
        }
    }

    #[test]
    fn the_programs_own_migrations_are_in_order_and_known_once() {
        let versions: Vec<i64> = MIGRATOR.iter().map(|migration| migration.version).collect();
        assert!(versions.is_sorted_by(|a, b| a < b), "{versions:?}");
        assert_eq!(versions.last(), Some(&newest()));
    }
}
