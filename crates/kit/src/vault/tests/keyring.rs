use std::{collections::HashSet, sync::Arc};

use chrono::Duration;
use kernel::{Clock, id::DataKeyId};
use uuid::Uuid;

use super::{
    super::{
        Fingerprint, Fingerprints, KeyStore as _, KeyStoreError, Keyring, MasterKey, Mismatch, OpenError, Scope, Shard,
        SweepError, Swept,
    },
    MemoryKeyStore, keyring, master, organization, start,
};

struct Fixture {
    store: Arc<MemoryKeyStore>,
    clock: Clock,
    keyring: Keyring,
}

impl Fixture {
    fn new() -> Self {
        let (store, clock) = (Arc::new(MemoryKeyStore::default()), Clock::manual(start()));
        Self { keyring: keyring(store.clone(), &clock), store, clock }
    }
}

fn connection(number: u128) -> Scope {
    Scope::Connection(Uuid::from_u128(number).into())
}

#[tokio::test]
async fn a_new_key_is_in_the_store_before_its_row_can_be_written() {
    let fixture = Fixture::new();
    let new = fixture.keyring.create(master().fingerprint(), organization(1), connection(2), 3).await.unwrap();
    assert_eq!(fixture.store.list().await.unwrap(), [new.row.identity.id]);
    assert_eq!(new.row.identity.version, 3);
    assert_eq!(new.row.master, master().fingerprint());
    let opened = fixture.keyring.data_key(&new.row).await.unwrap();
    assert_eq!(opened.bytes(), new.key.bytes());
    assert!(!new.row.wrapped.windows(8).any(|part| new.key.bytes().windows(8).any(|key| key == part)));

    fixture.store.break_down();
    assert!(
        fixture.keyring.create(master().fingerprint(), organization(1), connection(2), 4).await.is_err(),
        "no shard, no key"
    );
}

#[tokio::test]
async fn a_warm_key_asks_the_store_at_most_every_750_milliseconds() {
    let fixture = Fixture::new();
    let row = fixture.keyring.create(master().fingerprint(), organization(1), connection(2), 1).await.unwrap().row;
    for (after, reads) in [(0, 1), (749, 1), (1, 2), (400, 2), (400, 3)] {
        fixture.clock.advance(Duration::milliseconds(after));
        fixture.keyring.data_key(&row).await.unwrap();
        assert_eq!(fixture.store.reads(), reads, "after {after} ms more");
    }
    fixture.clock.advance(Duration::hours(-1));
    fixture.keyring.data_key(&row).await.unwrap();
    assert_eq!(fixture.store.reads(), 4, "a clock that is set back does not keep a key warm");
}

#[tokio::test]
async fn a_key_destroyed_on_another_node_is_gone_within_a_second() {
    let fixture = Fixture::new();
    let row = fixture.keyring.create(master().fingerprint(), organization(1), connection(2), 1).await.unwrap().row;
    let other_node = keyring(fixture.store.clone(), &fixture.clock);
    fixture.keyring.data_key(&row).await.unwrap();
    other_node.data_key(&row).await.unwrap();

    fixture.keyring.destroy(row.identity.id).await.unwrap();
    assert!(matches!(fixture.keyring.data_key(&row).await, Err(OpenError::KeyDestroyed)), "here at once");
    fixture.clock.advance(Duration::seconds(1));
    assert!(matches!(other_node.data_key(&row).await, Err(OpenError::KeyDestroyed)));
    fixture.clock.advance(Duration::seconds(-1));
    assert!(matches!(other_node.data_key(&row).await, Err(OpenError::KeyDestroyed)), "and stays so");
}

#[tokio::test]
async fn a_key_is_not_used_on_while_the_store_cannot_be_asked() {
    let fixture = Fixture::new();
    let row = fixture.keyring.create(master().fingerprint(), organization(1), connection(2), 1).await.unwrap().row;
    fixture.keyring.data_key(&row).await.unwrap();
    fixture.store.break_down();
    fixture.clock.advance(Duration::seconds(1));
    assert!(matches!(fixture.keyring.data_key(&row).await, Err(OpenError::KeyStore(KeyStoreError::Stopping))));
}

#[tokio::test]
async fn forgotten_keys_leave_memory() {
    let fixture = Fixture::new();
    let mut rows = vec![];
    for scope in [connection(2), connection(2), connection(3)] {
        let version = u32::try_from(rows.len()).unwrap();
        rows.push(fixture.keyring.create(master().fingerprint(), organization(1), scope, version).await.unwrap().row);
    }
    let mut held = vec![];
    for row in &rows {
        held.push(Arc::downgrade(&fixture.keyring.data_key(row).await.unwrap()));
    }
    let alive = |held: &[std::sync::Weak<_>]| held.iter().map(|key| key.strong_count() > 0).collect::<Vec<_>>();

    fixture.keyring.forget(organization(2), connection(2));
    assert_eq!(alive(&held), [true, true, true], "another organization's");
    fixture.keyring.forget(organization(1), connection(2));
    assert_eq!(alive(&held), [false, false, true], "all versions of the scope");
    fixture.keyring.forget_all();
    assert_eq!(alive(&held), [false, false, false]);
    assert!(fixture.keyring.data_key(&rows[0]).await.is_ok(), "forgotten is not destroyed");
    let held = Arc::downgrade(&fixture.keyring.data_key(&rows[0]).await.unwrap());
    fixture.keyring.destroy(rows[0].identity.id).await.unwrap();
    assert_eq!(held.strong_count(), 0);
}

#[tokio::test]
async fn a_full_memory_drops_what_was_used_longest_ago() {
    let (store, clock) = (Arc::new(MemoryKeyStore::default()), Clock::manual(start()));
    let keyring = Keyring::with_capacity(master(), store.clone(), clock, 8);
    let mut rows = vec![];
    for number in 0..9 {
        rows.push(keyring.create(master().fingerprint(), organization(1), connection(number), 1).await.unwrap().row);
    }
    for row in &rows[..8] {
        keyring.data_key(row).await.unwrap();
    }
    keyring.data_key(&rows[0]).await.unwrap();
    assert_eq!(store.reads(), 8);
    keyring.data_key(&rows[8]).await.unwrap();
    keyring.data_key(&rows[0]).await.unwrap();
    keyring.data_key(&rows[7]).await.unwrap();
    assert_eq!(store.reads(), 9, "what was used lately is still there");
    keyring.data_key(&rows[1]).await.unwrap();
    assert_eq!(store.reads(), 10, "what was not had to leave");
}

#[tokio::test]
async fn a_row_that_was_moved_or_changed_gets_no_key_warm_or_cold() {
    let fixture = Fixture::new();
    let row = fixture.keyring.create(master().fingerprint(), organization(1), connection(2), 1).await.unwrap().row;
    let other = fixture.keyring.create(master().fingerprint(), organization(1), connection(2), 1).await.unwrap().row;
    let changed = |change: &dyn Fn(&mut super::super::WrappedKey)| {
        let mut changed = row.clone();
        change(&mut changed);
        changed
    };
    let moved = [
        ("organization", changed(&|row| row.identity.organization = organization(2))),
        ("scope id", changed(&|row| row.identity.scope = connection(3))),
        ("scope", changed(&|row| row.identity.scope = Scope::Import(Uuid::from_u128(2).into()))),
        ("version", changed(&|row| row.identity.version = 2)),
        ("id", changed(&|row| row.identity.id = other.identity.id)),
    ];
    for warm in [false, true] {
        if warm {
            fixture.keyring.data_key(&row).await.unwrap();
            fixture.keyring.data_key(&other).await.unwrap();
        }
        for (what, row) in &moved {
            let got = fixture.keyring.data_key(row).await;
            assert!(matches!(got, Err(OpenError::Tampered)), "another {what}, warm: {warm}");
        }
    }
    fixture.keyring.forget_all();
    for at in 1..row.wrapped.len() {
        let tampered = changed(&|row| row.wrapped[at] ^= 0x10);
        assert!(matches!(fixture.keyring.data_key(&tampered).await, Err(OpenError::Tampered)), "byte {at}");
    }
    let later = changed(&|row| row.wrapped[0] = 2);
    assert!(matches!(fixture.keyring.data_key(&later).await, Err(OpenError::UnknownFormat)));
    let empty = changed(&|row| row.wrapped.clear());
    assert!(matches!(fixture.keyring.data_key(&empty).await, Err(OpenError::UnknownFormat)));
}

#[tokio::test]
async fn the_wrong_master_key_is_named_with_the_right_one() {
    let fixture = Fixture::new();
    let row = fixture.keyring.create(master().fingerprint(), organization(1), connection(2), 1).await.unwrap().row;
    let other = MasterKey::generate();
    let (right, wrong) = (master().fingerprint(), other.fingerprint());
    let keyring = Keyring::new(other, fixture.store.clone(), fixture.clock.clone());
    let error = keyring.data_key(&row).await.err().unwrap();
    assert!(
        matches!(error, OpenError::WrongMasterKey { sealed_under, present } if sealed_under == right && present == wrong)
    );
    let message = error.to_string();
    assert!(message.contains(&right.to_string()) && message.contains(&wrong.to_string()), "{message}");

    let mut forged = row;
    forged.master = wrong;
    assert!(matches!(keyring.data_key(&forged).await, Err(OpenError::Tampered)), "the name alone opens nothing");
}

#[test]
fn the_start_compares_both_halves_of_the_keys() {
    let present = Fixture::new().keyring.fingerprints();
    let other: Fingerprint = "0badcafe".parse().unwrap();
    assert_eq!(present.expect(present), Ok(()));
    let master = present.expect(Fingerprints { master: other, ..present }).unwrap_err();
    assert_eq!(master, Mismatch::MasterKey { stored: other, present: present.master });
    assert!(master.to_string().contains("0badcafe") && master.to_string().contains("595a8c08"), "{master}");
    let store = present.expect(Fingerprints { store: other, ..present }).unwrap_err();
    assert_eq!(store, Mismatch::KeyStore { stored: other, present: present.store });
    assert!(store.to_string().contains("mounted"), "{store}");
}

#[tokio::test]
async fn a_sweep_takes_old_shards_without_a_row_and_nothing_else() {
    let fixture = Fixture::new();
    let mut keys = vec![];
    for number in 0..3 {
        keys.push(
            fixture
                .keyring
                .create(master().fingerprint(), organization(number), connection(2), 1)
                .await
                .unwrap()
                .row
                .identity
                .id,
        );
        fixture.clock.advance(Duration::days(3));
    }
    let foreign = DataKeyId::from(Uuid::from_u128(77));
    fixture.store.put(foreign, Shard::generate()).await.unwrap();
    // Now: the first is nine days old, the second six, the third three; rows exist for none.
    let existing = HashSet::new();
    assert_eq!(fixture.keyring.sweep(&existing).await.unwrap(), Swept { orphans: 1, leftovers: 0 });
    let left: HashSet<_> = fixture.store.list().await.unwrap().into_iter().collect();
    assert_eq!(left, [keys[1], keys[2], foreign].into());

    fixture.clock.advance(Duration::days(30));
    let existing = [keys[1]].into();
    assert_eq!(fixture.keyring.sweep(&existing).await.unwrap().orphans, 1);
    let left: HashSet<_> = fixture.store.list().await.unwrap().into_iter().collect();
    assert_eq!(left, [keys[1], foreign].into());
}

#[tokio::test]
async fn a_sweep_with_one_tenant_s_list_destroys_nothing() {
    let fixture = Fixture::new();
    let mut existing = HashSet::new();
    for number in 0..40 {
        let new = fixture.keyring.create(master().fingerprint(), organization(number), connection(2), 1).await.unwrap();
        existing.insert(new.row.identity.id);
    }
    fixture.clock.advance(Duration::days(8));
    let only_one = existing.iter().copied().take(1).collect();
    let refused = fixture.keyring.sweep(&only_one).await.unwrap_err();
    assert!(matches!(refused, SweepError::TooManyOrphans { orphans: 39, total: 40 }), "{refused}");
    assert_eq!(fixture.store.list().await.unwrap().len(), 40);
    let most = existing.iter().copied().take(24).collect();
    assert_eq!(fixture.keyring.sweep(&most).await.unwrap().orphans, 16);
}
