//! Runs the files of `migrations/`, which are compiled into the program.

use std::collections::BTreeMap;

use sqlx::{Connection, postgres::PgConnectOptions};

use crate::{DbError, tls};

static MIGRATOR: sqlx::migrate::Migrator = sqlx::migrate!("../../migrations");

pub(crate) async fn run(owner: &PgConnectOptions) -> Result<(), DbError> {
    let mut connection = tls::connect(owner).await?;
    // The migrator takes an advisory lock, so that nodes that start together queue up instead of colliding.
    let result =
        MIGRATOR.run_direct(None, &mut connection, false).await.map_err(|error| DbError::Migration(error.to_string()));
    connection.close().await?;
    result
}

/// The number of the newest one.
pub(crate) fn newest() -> i64 {
    MIGRATOR.iter().map(|migration| migration.version).max().unwrap_or_default()
}

/// What each of them hashes to, by its number.
pub(crate) fn checksums() -> BTreeMap<i64, &'static [u8]> {
    MIGRATOR.iter().map(|migration| (migration.version, &*migration.checksum)).collect()
}
