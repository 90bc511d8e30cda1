//! What is asked of the old cluster before, and done to the new one after.

use sqlx::{AssertSqlSafe, Connection, Executor, PgConnection};

use super::UpgradeError;
use crate::cluster::Cluster;

/// What of a running cluster decides how it is converted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Profile {
    pub(super) has_checksums: bool,
    pub(super) segment_megabytes: u32,
    pub(super) uses_icu: bool,
    pub(super) has_tablespaces: bool,
}

/// For the superuser of the embedded server, whose names are quoted where they are anybody's.
async fn each_database(cluster: &Cluster, doing: &'static str, sql: &'static str) -> Result<Vec<String>, UpgradeError> {
    let failed = |source| UpgradeError::Sql { doing, source };
    let mut superuser = PgConnection::connect_with(&cluster.superuser_url("postgres")).await.map_err(failed)?;
    let names = sqlx::query_scalar(sql).fetch_all(&mut superuser).await.map_err(failed)?;
    superuser.close().await.map_err(failed)?;
    Ok(names)
}

/// Those that can be entered, in order.
const ALL: &str = "select datname::text from pg_database where datallowconn order by datname";
/// Those whose texts were put in order by another version of the C library or of ICU. C and C.UTF-8 go by code points and
/// have no version.
const OTHERWISE_ORDERED: &str = "select datname::text from pg_database
    where datallowconn and datcollversion is distinct from pg_database_collation_actual_version(oid) order by datname";

impl Cluster {
    /// Before an upgrade.
    ///
    /// # Errors
    /// When the server is gone.
    pub async fn profile(&self) -> Result<Profile, UpgradeError> {
        let doing = "looking at the cluster";
        let failed = |source| UpgradeError::Sql { doing, source };
        let mut superuser = PgConnection::connect_with(&self.superuser_url("postgres")).await.map_err(failed)?;
        let (has_checksums, segment, has_tablespaces, mut uses_icu): (bool, i64, bool, bool) = sqlx::query_as(
            "select current_setting('data_checksums')::bool,
                (select setting::int8 from pg_settings where name = 'wal_segment_size') / 1048576,
                exists (select from pg_tablespace where spcname not in ('pg_default', 'pg_global')),
                exists (select from pg_database where datlocprovider = 'i')",
        )
        .fetch_one(&mut superuser)
        .await
        .map_err(failed)?;
        superuser.close().await.map_err(failed)?;
        for database in each_database(self, doing, ALL).await? {
            let mut inside = PgConnection::connect_with(&self.superuser_url(&database)).await.map_err(failed)?;
            // Those that come with PostgreSQL are below.
            let own = "select exists (select from pg_collation where collprovider = 'i' and oid >= 16384)";
            uses_icu |= sqlx::query_scalar::<_, bool>(own).fetch_one(&mut inside).await.map_err(failed)?;
            inside.close().await.map_err(failed)?;
        }
        let segment_megabytes = u32::try_from(segment).unwrap_or_default();
        Ok(Profile { has_checksums, segment_megabytes, uses_icu, has_tablespaces })
    }

    /// After an upgrade: indexes are made anew where texts are in another order now, and statistics everywhere, without which
    /// queries are planned blindly. The databases whose indexes were made anew.
    ///
    /// # Errors
    /// When a statement fails.
    pub async fn settle(&self) -> Result<Vec<String>, UpgradeError> {
        let reordered = each_database(self, "comparing collations", OTHERWISE_ORDERED).await?;
        for database in each_database(self, "listing databases", ALL).await? {
            let mut statements = vec![];
            if reordered.contains(&database) {
                let quoted = format!("\"{}\"", database.replace('"', "\"\""));
                statements.push(format!("reindex database {quoted}"));
                statements.push(format!("alter database {quoted} refresh collation version"));
            }
            statements.push("analyze".to_owned());
            let doing = "making indexes and statistics anew";
            let failed = |source| UpgradeError::Sql { doing, source };
            let mut inside = PgConnection::connect_with(&self.superuser_url(&database)).await.map_err(failed)?;
            // One by one: `reindex database` stands in no transaction.
            for statement in statements {
                inside.execute(sqlx::raw_sql(AssertSqlSafe(statement))).await.map_err(failed)?;
            }
            inside.close().await.map_err(failed)?;
        }
        Ok(reordered)
    }
}
