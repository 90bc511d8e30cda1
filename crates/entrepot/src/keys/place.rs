//! Which key store belongs to an installation.

use std::{path::Path, sync::Arc};

use anyhow::Context as _;
use db::{Logins, cluster::Target, key_database::KeyDatabase};
use kit::vault::{KeyStore, KeyStorePlace};

/// The key database where one is named, else the directory beside the data.
pub fn of(data_dir: &Path, key_database: Option<&Target>) -> KeyStorePlace {
    match key_database {
        Some(target) => KeyStorePlace::Database(Box::new(target.clone())),
        None => KeyStorePlace::Directory(data_dir.join("keys")),
    }
}

/// Opens the key store to serve from, and makes it where there is none.
///
/// # Errors
/// With what is wrong and what to do about it.
pub async fn open(place: &KeyStorePlace) -> anyhow::Result<Arc<dyn KeyStore>> {
    place.open().await.with_context(|| format!("the key store in {place} cannot be used"))
}

/// # Errors
/// When a key database is on the server of the other database: a copy of that server would hold both halves of every key.
pub async fn refuse_one_server(place: &KeyStorePlace, logins: &Logins) -> anyhow::Result<()> {
    if let KeyStorePlace::Database(target) = place {
        let database = KeyDatabase::connect(target).await.context("the key database")?;
        let apart = database.refuse_server_of(&logins.system).await;
        database.close().await;
        apart.context("the key database")?;
    }
    Ok(())
}
