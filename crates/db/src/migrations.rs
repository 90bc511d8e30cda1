//! Runs the files of `migrations/`, which are compiled into the program.

use sqlx::{Connection, PgConnection, postgres::PgConnectOptions};

use crate::DbError;

static MIGRATOR: sqlx::migrate::Migrator = sqlx::migrate!("../../migrations");

pub(crate) async fn run(owner: &PgConnectOptions) -> Result<(), DbError> {
    let mut connection = PgConnection::connect_with(owner).await?;
    // The migrator takes an advisory lock, so that nodes that start together queue up instead of colliding.
    let result =
        MIGRATOR.run_direct(None, &mut connection, false).await.map_err(|error| DbError::Migration(error.to_string()));
    connection.close().await?;
    result
}
