//! Many data keys at once, with their shards: an installation that has served for years.

use std::{collections::HashMap, path::Path, sync::Mutex};

use async_trait::async_trait;
use kernel::{Clock, ConnectionId, DataKeyId, OrganizationId, Time};
use kit::vault::{Fingerprint, KeyStore, KeyStoreError, Keyring, MasterKey, Scope, Shard, ShardArchive, WrappedKey};
use sqlx::PgConnection;
use std::sync::Arc;
use uuid::Uuid;

/// Takes shards in, and gives each out once.
struct Basket {
    fingerprint: Fingerprint,
    shards: Mutex<HashMap<DataKeyId, Shard>>,
}

#[async_trait]
impl KeyStore for Basket {
    fn fingerprint(&self) -> Fingerprint {
        self.fingerprint
    }
    async fn put(&self, id: DataKeyId, shard: Shard) -> Result<(), KeyStoreError> {
        self.shards.lock().expect("no panic").insert(id, shard);
        Ok(())
    }
    async fn get(&self, id: DataKeyId) -> Result<Option<Shard>, KeyStoreError> {
        Ok(self.shards.lock().expect("no panic").remove(&id))
    }
    async fn delete(&self, id: DataKeyId) -> Result<(), KeyStoreError> {
        self.shards.lock().expect("no panic").remove(&id);
        Ok(())
    }
    async fn list(&self) -> Result<Vec<DataKeyId>, KeyStoreError> {
        Ok(self.shards.lock().expect("no panic").keys().copied().collect())
    }
    async fn tidy(&self, _made_before: Time) -> Result<usize, KeyStoreError> {
        Ok(0)
    }
}

/// Fills a database and a new key store: so many organizations with so many data keys each. Returns the rows.
///
/// # Panics
/// When the database or the disk refuses.
pub async fn fill(
    superuser: &mut PgConnection,
    key_store: &Path,
    master: MasterKey,
    organizations: usize,
    each: usize,
) -> Vec<WrappedKey> {
    let clock = Clock::system();
    let fingerprint: Fingerprint = hex::encode(kernel::random::bytes::<4>()).parse().expect("a fingerprint");
    let basket = Arc::new(Basket { fingerprint, shards: Mutex::default() });
    let keyring = Keyring::new(master, basket.clone(), clock.clone());
    let under = keyring.masters().current();
    for (name, value) in [("master_key", under), ("key_store", fingerprint)] {
        sqlx::query("insert into installation (name, value) values ($1, $2)")
            .bind(name)
            .bind(value.to_string())
            .execute(&mut *superuser)
            .await
            .expect("a fact");
    }
    let mut rows = vec![];
    for number in 0..organizations {
        let organization = OrganizationId::new(&clock);
        sqlx::query(
            "insert into organizations (id, name, slug, subscription_status, subscription_plan, created_at)
             values ($1, $2, $2, 'trial', 'free', $3)",
        )
        .bind(organization.uuid())
        .bind(format!("organization-{number}"))
        .bind(clock.now())
        .execute(&mut *superuser)
        .await
        .expect("an organization");
        let mut made = vec![];
        for _ in 0..each {
            let scope = Scope::Connection(ConnectionId::new(&clock));
            made.push(keyring.create(under, organization, scope, 1).await.expect("a data key").row);
        }
        insert(superuser, &made, clock.now()).await;
        rows.append(&mut made);
    }
    let (archive, _) = ShardArchive::of(&*basket).await.expect("the shards");
    archive.make_store(key_store).await.expect("a key store");
    rows
}

async fn insert(superuser: &mut PgConnection, rows: &[WrappedKey], now: Time) {
    let of = |pick: fn(&WrappedKey) -> Uuid| rows.iter().map(pick).collect::<Vec<_>>();
    sqlx::query(
        "insert into data_keys (organization_id, id, scope, scope_id, key_version, wrapped, master_fingerprint, created_at)
         select o, i, 'connection', s, 1, w, $5, $6 from unnest($1::uuid[], $2::uuid[], $3::uuid[], $4::bytea[]) as n (o, i, s, w)",
    )
    .bind(of(|row| row.identity.organization.uuid()))
    .bind(of(|row| row.identity.id.uuid()))
    .bind(of(|row| row.identity.scope.id(row.identity.organization)))
    .bind(rows.iter().map(|row| row.wrapped.clone()).collect::<Vec<_>>())
    .bind(rows.first().map(|row| row.master.to_string()))
    .bind(now)
    .execute(superuser)
    .await
    .expect("data keys");
}
