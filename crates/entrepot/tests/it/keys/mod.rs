//! The keys of an installation, as its operator handles them: replaced while it serves (VLT-3), moved, and lost.

mod database;
mod rotation;
mod serving;
mod uses;

use std::{collections::BTreeMap, path::PathBuf, process::Command, sync::Arc, time::Duration};

use kernel::Clock;
use kit::vault::{DirectoryKeyStore, Keyring, MASTER_KEY, MasterKey, WrappedKey};
use sqlx::{ConnectOptions, PgConnection};
use testkit::{cluster::Database, many_keys};
use uuid::Uuid;

use crate::process::{entrepot, new_key};

fn master(text: &str) -> MasterKey {
    MasterKey::from_lookup(|name| (name == MASTER_KEY).then(|| text.into())).unwrap()
}

fn name(text: &str) -> String {
    master(text).fingerprint().to_string()
}

/// What the program is told of a database.
fn logins(database: &Database) -> Vec<(&'static str, String)> {
    let logins = database.logins();
    [
        ("DATABASE_OWNER_URL", &logins.owner),
        ("DATABASE_URL", &logins.app),
        ("DATABASE_SYSTEM_URL", &logins.system),
        ("DATABASE_INGEST_URL", &logins.ingest),
    ]
    .map(|(name, options)| (name, options.to_url_lossy().to_string()))
    .into()
}

/// Organization, id, scope, its id, version, wrapped, under which master key.
type Row = (Uuid, Uuid, String, Uuid, i32, Vec<u8>, String);

/// An installation that has many data keys, and its two master keys.
struct Many {
    database: Database,
    folder: tempfile::TempDir,
    old: String,
    new: String,
    rows: usize,
}

impl Many {
    async fn keys(organizations: usize, each: usize) -> Self {
        let (database, folder) = (Database::create().await, tempfile::tempdir().unwrap());
        let (old, new) = (new_key(), new_key());
        let mut superuser = database.superuser().await;
        let store = folder.path().join("keys");
        let rows = many_keys::fill(&mut superuser, &store, master(&old), organizations, each).await.len();
        Self { database, folder, old, new, rows }
    }

    fn store(&self) -> PathBuf {
        self.folder.path().join("keys")
    }

    /// `entrepot keys …` with these keys: the current one, and the one before.
    fn command(&self, arguments: &[&str], keys: (&str, Option<&str>)) -> Command {
        let mut command = entrepot(&[&["keys"], arguments].concat(), &[]);
        command.envs(logins(&self.database)).env("ENTREPOT_DATA_DIR", self.folder.path());
        command.env("ENTREPOT_MASTER_KEY", keys.0);
        if let Some(previous) = keys.1 {
            command.env("ENTREPOT_MASTER_KEY_PREVIOUS", previous);
        }
        command
    }

    fn rotate(&self) -> Command {
        self.command(&["rotate"], (&self.new, Some(&self.old)))
    }

    /// Runs it to its end: whether that was good, and what it said.
    fn run(mut command: Command) -> (bool, String) {
        let output = command.output().unwrap();
        let said = [output.stdout, output.stderr].map(|part| String::from_utf8(part).unwrap()).concat();
        assert!(!said.contains("panicked"), "{said}");
        (output.status.success(), said)
    }

    fn status(&self) -> serde_json::Value {
        let output = self.command(&["status", "--json"], (&self.new, None)).output().unwrap();
        serde_json::from_slice(&output.stdout)
            .unwrap_or_else(|error| panic!("{error}: {}", String::from_utf8_lossy(&output.stderr)))
    }

    async fn superuser(&self) -> PgConnection {
        self.database.superuser().await
    }

    /// How many data keys are under which master key, and how many the newest rotation says it has wrapped.
    async fn under(&self) -> (BTreeMap<String, i64>, i64) {
        let mut superuser = self.superuser().await;
        let rows: Vec<(String, i64)> =
            sqlx::query_as("select master_fingerprint, count(*) from data_keys where wrapped is not null group by 1")
                .fetch_all(&mut superuser)
                .await
                .unwrap();
        let said: Option<i64> = sqlx::query_scalar("select done from key_rotations order by id desc limit 1")
            .fetch_optional(&mut superuser)
            .await
            .unwrap();
        (rows.into_iter().collect(), said.unwrap_or_default())
    }

    async fn all(&self) -> Vec<WrappedKey> {
        let rows: Vec<Row> = sqlx::query_as(
            "select organization_id, id, scope, scope_id, key_version, wrapped, master_fingerprint from data_keys
             where wrapped is not null",
        )
        .fetch_all(&mut self.superuser().await)
        .await
        .unwrap();
        rows.into_iter()
            .map(|(organization, id, scope, scope_id, version, wrapped, master)| {
                let organization = organization.into();
                let scope = kit::vault::Scope::from_columns(organization, &scope, scope_id).unwrap();
                let version = u32::try_from(version).unwrap();
                let identity = kit::vault::KeyIdentity { id: id.into(), organization, scope, version };
                WrappedKey { identity, master: master.parse().unwrap(), wrapped }
            })
            .collect()
    }

    /// A process that was started with these keys.
    async fn keyring(&self, current: &str, previous: Option<&str>) -> Keyring {
        let masters = kit::vault::MasterKeys::new(master(current), previous.map(master)).unwrap();
        let store = DirectoryKeyStore::existing(self.store()).await.unwrap();
        Keyring::new(masters, Arc::new(store), Clock::system())
    }

    /// How many data keys open.
    async fn opened(&self, keyring: &Keyring) -> usize {
        let mut opened = 0;
        for row in self.all().await {
            opened += usize::from(keyring.data_key(&row).await.is_ok());
        }
        opened
    }

    /// Waits until somebody waits for a lock with a query of this name.
    async fn waits_for(&self, query: &str) {
        let mut superuser = self.superuser().await;
        let began = std::time::Instant::now();
        loop {
            let waits: bool = sqlx::query_scalar(
                "select exists (select 1 from pg_stat_activity where datname = current_database()
                     and wait_event_type = 'Lock' and query like '%-- ' || $1 || '%')",
            )
            .bind(query)
            .fetch_one(&mut superuser)
            .await
            .unwrap();
            if waits {
                return;
            }
            assert!(began.elapsed() < Duration::from_secs(60), "nobody waits in {query}");
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }
}
