mod archive;
mod directory;
mod fuzz;
mod installation_key;
mod keyring;
mod master_key;
mod sealed;
mod shred;
mod token;
mod vectors;

use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
};

use async_trait::async_trait;
use chrono::DateTime;
use kernel::{
    Clock, Personal, Secret, Time,
    id::{DataKeyId, OrganizationId},
};
use uuid::Uuid;
use zeroize::Zeroizing;

use super::{
    DataKey, Fingerprint, KeyIdentity, KeyStore, KeyStoreError, Keyring, MasterKey, Scope, Shard, TokenSealer,
    key_store::made_at,
};

/// Does not compile when the type has the trait: then both impls apply and the item is ambiguous.
macro_rules! never_implements {
    ($($type:ty: $trait:path),+ $(,)?) => {$(
        const _: fn() = || {
            trait AmbiguousIfImplemented<A> {
                fn item() {}
            }
            impl<T: ?Sized> AmbiguousIfImplemented<()> for T {}
            struct Implemented;
            impl<T: ?Sized + $trait> AmbiguousIfImplemented<Implemented> for T {}
            let _ = <$type as AmbiguousIfImplemented<_>>::item;
        };
    )+};
}

// Key material cannot be printed or copied, and what is secret or personal is no SQL value (VLT-4, PII-5).
never_implements! {
    MasterKey: std::fmt::Debug, MasterKey: Clone,
    Shard: std::fmt::Debug, Shard: Clone,
    super::ShardArchive: std::fmt::Debug, super::ShardArchive: Clone, super::ShardArchive: serde::Serialize,
    DataKey: std::fmt::Debug, DataKey: Clone, DataKey: serde::Serialize,
    Keyring: std::fmt::Debug,
    TokenSealer: std::fmt::Debug,
    Secret: sqlx::Type<sqlx::Postgres>, Secret: sqlx::Encode<'static, sqlx::Postgres>,
    Personal<String>: sqlx::Type<sqlx::Postgres>, Personal<String>: sqlx::Encode<'static, sqlx::Postgres>,
    Personal<Vec<u8>>: sqlx::Type<sqlx::Postgres>, Personal<Vec<u8>>: sqlx::Encode<'static, sqlx::Postgres>,
}

pub(super) fn start() -> Time {
    DateTime::from_timestamp(1_800_000_000, 0).unwrap()
}

pub(super) fn organization(number: u128) -> OrganizationId {
    Uuid::from_u128(number).into()
}

pub(super) fn master() -> MasterKey {
    MasterKey::from_bytes(std::array::from_fn(|at| u8::try_from((at * 37 + 11) % 256).unwrap()))
}

/// The same bytes under any identity, so that only the associated data can tell values apart.
pub(super) fn key_for(identity: KeyIdentity) -> DataKey {
    DataKey::new(identity, Zeroizing::new(std::array::from_fn(|at| u8::try_from(at).unwrap())))
}

pub(super) fn identity(organization_number: u128, scope: Scope, version: u32) -> KeyIdentity {
    KeyIdentity { id: Uuid::from_u128(3).into(), organization: organization(organization_number), scope, version }
}

/// A key store in memory that counts and can fail.
#[derive(Default)]
pub(super) struct MemoryKeyStore {
    shards: Mutex<HashMap<DataKeyId, [u8; 32]>>,
    reads: AtomicUsize,
    broken: AtomicBool,
}

impl MemoryKeyStore {
    fn check(&self) -> Result<(), KeyStoreError> {
        if self.broken.load(Ordering::SeqCst) { Err(KeyStoreError::Stopping) } else { Ok(()) }
    }

    pub(super) fn reads(&self) -> usize {
        self.reads.load(Ordering::SeqCst)
    }

    pub(super) fn break_down(&self) {
        self.broken.store(true, Ordering::SeqCst);
    }
}

#[async_trait]
impl KeyStore for MemoryKeyStore {
    fn fingerprint(&self) -> Fingerprint {
        Fingerprint([1, 2, 3, 4])
    }
    async fn put(&self, id: DataKeyId, shard: Shard) -> Result<(), KeyStoreError> {
        self.check()?;
        self.shards.lock().unwrap().insert(id, **shard.bytes());
        Ok(())
    }
    async fn get(&self, id: DataKeyId) -> Result<Option<Shard>, KeyStoreError> {
        self.check()?;
        self.reads.fetch_add(1, Ordering::SeqCst);
        Ok(self.shards.lock().unwrap().get(&id).map(|bytes| Shard::from_bytes(Zeroizing::new(*bytes))))
    }
    async fn delete(&self, id: DataKeyId) -> Result<(), KeyStoreError> {
        self.check()?;
        self.shards.lock().unwrap().remove(&id);
        Ok(())
    }
    async fn list(&self) -> Result<Vec<DataKeyId>, KeyStoreError> {
        self.check()?;
        Ok(self.shards.lock().unwrap().keys().copied().collect())
    }
    async fn tidy(&self, _made_before: Time) -> Result<usize, KeyStoreError> {
        self.check()?;
        Ok(0)
    }
}

pub(super) fn keyring(store: Arc<dyn KeyStore>, clock: &Clock) -> Keyring {
    Keyring::new(master(), store, clock.clone())
}

#[test]
fn a_key_s_age_is_read_from_its_id() {
    let clock = Clock::manual(start());
    assert_eq!(made_at(DataKeyId::new(&clock)), Some(start()));
    assert_eq!(made_at(Uuid::from_u128(1).into()), None);
}
