//! Which database a command works on.

use std::{collections::BTreeSet, str::FromStr};

use clap::Args;
use db::{Logins, cluster::Target};

/// The four logins of an external PostgreSQL; without them Entrepot runs its own.
#[derive(Args)]
pub(super) struct Database {
    /// postgres://… of the login that serves inside one tenant
    #[arg(long, env = "DATABASE_URL", hide_env_values = true)]
    database_url: Option<String>,
    /// … of the login that owns the schema
    #[arg(long, env = "DATABASE_OWNER_URL", hide_env_values = true)]
    database_owner_url: Option<String>,
    /// … of the login for what no single tenant asks for
    #[arg(long, env = "DATABASE_SYSTEM_URL", hide_env_values = true)]
    database_system_url: Option<String>,
    /// … of the login that writes what comes in
    #[arg(long, env = "DATABASE_INGEST_URL", hide_env_values = true)]
    database_ingest_url: Option<String>,
    /// Nobody but the database's machine and this one is on the network between them: do not warn of logins without sslmode=verify-full
    #[arg(long, env = "ENTREPOT_DATABASE_NETWORK_IS_PRIVATE", value_parser = clap::builder::FalseyValueParser::new())]
    database_network_is_private: bool,
}

/// The login of backups of an external PostgreSQL. `serve` has no option for it.
#[derive(Args)]
pub(super) struct BackupLogin {
    /// … of the login of backups, which reads everything and writes nothing
    #[arg(long, env = "DATABASE_BACKUP_URL", hide_env_values = true)]
    database_backup_url: Option<String>,
}

/// Where the shards of several nodes are.
#[derive(Args)]
pub(super) struct KeyStoreDatabase {
    /// postgres://… of a small database of its own, on another server, for the shards of several nodes; without it they are in a
    /// directory beside the data
    #[arg(long, env = "KEY_DATABASE_URL", hide_env_values = true)]
    key_database_url: Option<String>,
}

impl KeyStoreDatabase {
    /// None: the directory.
    pub(super) fn target(&self) -> anyhow::Result<Option<Target>> {
        set(&self.key_database_url).map(|url| target("KEY_DATABASE_URL", url)).transpose()
    }
}

impl Database {
    /// None: the embedded one.
    pub(super) fn logins(&self) -> anyhow::Result<Option<Logins>> {
        let all = [&self.database_owner_url, &self.database_url, &self.database_system_url, &self.database_ingest_url]
            .map(set);
        if all.iter().all(|url| url.is_none()) {
            return Ok(None);
        }
        let [Some(owner), Some(app), Some(system), Some(ingest)] = all else {
            anyhow::bail!(
                "an external database needs four logins: DATABASE_OWNER_URL, DATABASE_URL, DATABASE_SYSTEM_URL and \
                 DATABASE_INGEST_URL (docs/TENANCY.md). With none of them Entrepot runs its own PostgreSQL."
            );
        };
        let parse = |name: &str, url: &str| {
            // The parser's own message could quote the password.
            FromStr::from_str(url).map_err(|_| anyhow::anyhow!("{name} is not a postgres:// URL"))
        };
        Ok(Some(Logins {
            owner: parse("DATABASE_OWNER_URL", owner)?,
            app: parse("DATABASE_URL", app)?,
            system: parse("DATABASE_SYSTEM_URL", system)?,
            ingest: parse("DATABASE_INGEST_URL", ingest)?,
        }))
    }

    /// The owner of an external database; None: the embedded one.
    pub(super) fn owner(&self) -> anyhow::Result<Option<Target>> {
        match (set(&self.database_owner_url), self.is_external()) {
            (Some(url), _) => Ok(Some(target("DATABASE_OWNER_URL", url)?)),
            (None, true) => anyhow::bail!("set DATABASE_OWNER_URL: the login that owns the schema is needed here"),
            (None, false) => Ok(None),
        }
    }

    /// The hosts that serve these logins and that nobody verifies, where that matters.
    pub(super) fn unverified_hosts(&self, logins: &Logins) -> Vec<String> {
        if self.database_network_is_private {
            return vec![];
        }
        let all = [&logins.owner, &logins.app, &logins.system, &logins.ingest];
        let hosts: BTreeSet<&str> = all.into_iter().filter_map(db::tls::unverified_host).collect();
        hosts.into_iter().map(str::to_owned).collect()
    }

    pub(super) fn is_external(&self) -> bool {
        let all = [&self.database_url, &self.database_owner_url, &self.database_system_url, &self.database_ingest_url];
        all.into_iter().any(|url| set(url).is_some())
    }
}

impl BackupLogin {
    /// The login of backups; None: the embedded one.
    pub(super) fn target(&self, database: &Database) -> anyhow::Result<Option<Target>> {
        match self.target_if_set()? {
            None if database.is_external() => anyhow::bail!(
                "the other logins of the external database do not see all rows: make the login of backups as docs/TENANCY.md \
                 shows, and set DATABASE_BACKUP_URL"
            ),
            found => Ok(found),
        }
    }

    /// The same, where it is of use and not needed.
    pub(super) fn target_if_set(&self) -> anyhow::Result<Option<Target>> {
        set(&self.database_backup_url).map(|url| target("DATABASE_BACKUP_URL", url)).transpose()
    }
}

/// Compose files leave variables empty where they mean none.
fn set(url: &Option<String>) -> Option<&str> {
    url.as_deref().filter(|url| !url.is_empty())
}

pub(super) fn target(name: &str, url: &str) -> anyhow::Result<Target> {
    Target::parse(url).map_err(|error| anyhow::anyhow!("{name} is {error}"))
}
