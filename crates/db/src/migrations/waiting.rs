//! What a migration waits for, and who holds it: looked at from a second connection while it waits.

use std::{
    fmt,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use sqlx::postgres::PgConnectOptions;
use tokio::task::JoinHandle;

use crate::{DbError, tls};

/// Several times in what a migration waits.
const LOOK_EVERY: Duration = Duration::from_millis(300);

/// A wait for a lock. Names tables and processes, and nothing of what they do.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Waited {
    migration: Option<i64>,
    lock: Option<Lock>,
}

#[derive(Clone, Debug, PartialEq, Eq, sqlx::FromRow)]
struct Lock {
    /// `relation`, `advisory` and so on, as in `pg_locks`.
    kind: String,
    table: Option<String>,
    mode: String,
    holder: i32,
    role: Option<String>,
    application: Option<String>,
}

impl Waited {
    pub(super) fn of(self, migration: Option<i64>) -> Self {
        Self { migration, ..self }
    }

    /// Another migrator has the turn.
    pub(super) fn is_for_the_turn(&self) -> bool {
        self.migration.is_none() && self.lock.as_ref().is_none_or(|lock| lock.kind == "advisory")
    }
}

impl fmt::Display for Waited {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.migration {
            Some(migration) => write!(f, "migration {migration} did not get ")?,
            None => write!(f, "the migrator did not get ")?,
        }
        let Some(lock) = &self.lock else { return f.write_str("a lock that another session holds") };
        match &lock.table {
            Some(table) => write!(f, "the lock {} on {table}", lock.mode)?,
            None => write!(f, "the lock of kind {}", lock.kind)?,
        }
        write!(f, ", which process {} of the database holds", lock.holder)?;
        let [role, application] = [&lock.role, &lock.application].map(|text| text.as_deref().unwrap_or("unknown"));
        write!(f, " (role {role}, application {application})")
    }
}

/// Looks while a migration runs, until it is stopped.
pub(super) struct Watch {
    last: Arc<Mutex<Option<Waited>>>,
    task: JoinHandle<()>,
}

impl Watch {
    pub(super) fn start(options: PgConnectOptions, pid: i32) -> Self {
        let last = Arc::default();
        let seen = Arc::clone(&last);
        let task = tokio::spawn(async move {
            // Without it the message says less, and nothing else is lost.
            if let Err(error) = look(&options, pid, &seen).await {
                tracing::debug!(%error, "who holds a lock cannot be looked at");
            }
        });
        Self { last, task }
    }

    /// The last wait that was seen. Its connection is closed when this returns: nobody may be connected to a database that is copied.
    pub(super) async fn stop(self) -> Option<Waited> {
        self.task.abort();
        let _cancelled = self.task.await;
        self.last.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

async fn look(options: &PgConnectOptions, pid: i32, seen: &Mutex<Option<Waited>>) -> Result<(), DbError> {
    let mut connection = tls::connect(options).await?;
    loop {
        tokio::time::sleep(LOOK_EVERY).await;
        // The catalogue's columns say no more when they are checked at compile time.
        let lock: Option<Lock> = sqlx::query_as(
            r#"
            -- waited_for
            select waiting.locktype as kind, waiting.relation::regclass::text as "table", waiting.mode,
                holder.pid as holder, session.usename::text as role, session.application_name as application
            from pg_locks waiting
            cross join lateral unnest(pg_blocking_pids(waiting.pid)) as holder (pid)
            left join pg_stat_activity session on session.pid = holder.pid
            where waiting.pid = $1 and not waiting.granted
            limit 1
            "#,
        )
        .bind(pid)
        .fetch_optional(&mut connection)
        .await?;
        if let Some(lock) = lock {
            *seen.lock().unwrap_or_else(PoisonError::into_inner) = Some(Waited { migration: None, lock: Some(lock) });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lock(kind: &str, table: Option<&str>) -> Lock {
        Lock {
            kind: kind.to_owned(),
            table: table.map(str::to_owned),
            mode: "AccessExclusiveLock".to_owned(),
            holder: 4711,
            role: Some("entrepot_app".to_owned()),
            application: None,
        }
    }

    #[test]
    fn a_wait_names_the_migration_the_table_and_who_holds_the_lock() {
        let waited = Waited { migration: None, lock: Some(lock("relation", Some("connections"))) }.of(Some(21));
        let said = waited.to_string();
        for part in ["migration 21", "AccessExclusiveLock on connections", "process 4711", "role entrepot_app"] {
            assert!(said.contains(part), "{said}");
        }
        assert!(!waited.is_for_the_turn());
    }

    #[test]
    fn a_wait_for_the_advisory_lock_is_one_for_another_migrator() {
        assert!(Waited { migration: None, lock: Some(lock("advisory", None)) }.is_for_the_turn());
        assert!(Waited::default().is_for_the_turn(), "too short to be seen, and before the first migration");
        assert!(!Waited::default().of(Some(21)).is_for_the_turn());
    }
}
