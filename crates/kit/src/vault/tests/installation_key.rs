use std::sync::Arc;

use chrono::Duration;
use kernel::{Clock, random};

use super::{
    super::{
        Fingerprint, InstallationKey, KeyStore as _, Keyring, MasterKey, MasterKeys, OpenError, Scope, TokenSealer,
        WrappedInstallationKey,
    },
    MemoryKeyStore, master, organization, start,
};

fn other() -> MasterKey {
    MasterKey::from_bytes([0x5c; 32])
}

fn keyring(masters: MasterKeys, installation: InstallationKey) -> Keyring {
    Keyring::new(masters, Arc::new(MemoryKeyStore::default()), Clock::manual(start()))
        .with_installation_key(installation)
}

#[test]
fn what_was_derived_before_the_master_key_was_replaced_is_derived_after_it() {
    let before: MasterKeys = master().into();
    let made = InstallationKey::generate().wrap(&before, before.current()).unwrap();
    let sealer = |keyring: &Keyring| TokenSealer::new(keyring, "page cursors", Duration::hours(1));
    let token = {
        let keyring = keyring(master().into(), made.unwrap_with(&before).unwrap());
        sealer(&keyring).seal(&[], b"page 2", start()).unwrap()
    };
    let both = MasterKeys::new(other(), Some(master())).unwrap();
    let anew = made.unwrap_with(&both).unwrap().wrap(&both, both.current()).unwrap();
    assert_ne!(anew, made);
    let after: MasterKeys = other().into();
    let text = anew.to_text();
    let anew = text.parse::<WrappedInstallationKey>().unwrap().unwrap_with(&after).unwrap();
    let keyring = keyring(other().into(), anew);
    assert_eq!(&*sealer(&keyring).open(&token, &[], start()).unwrap(), b"page 2");
    assert!(
        matches!(made.unwrap_with(&after), Err(OpenError::WrongMasterKey { .. })),
        "the old wrapping needs the old key"
    );
}

#[test]
fn an_installation_from_before_goes_on_deriving_what_its_master_key_gave() {
    let plain = super::keyring(Arc::new(MemoryKeyStore::default()), &Clock::manual(start()));
    let masters: MasterKeys = master().into();
    let kept = InstallationKey::of_master_key(&masters, masters.current()).unwrap();
    let both = MasterKeys::new(other(), Some(master())).unwrap();
    let anew = kept.wrap(&both, both.current()).unwrap().unwrap_with(&other().into()).unwrap();
    assert_eq!(keyring(other().into(), anew).derive("csrf"), plain.derive("csrf"));
    assert!(InstallationKey::of_master_key(&other().into(), masters.current()).is_none());
}

#[test]
fn a_changed_wrapping_is_refused_and_one_under_another_name_too() {
    let masters = MasterKeys::new(other(), Some(master())).unwrap();
    let wrapped = InstallationKey::generate().wrap(&masters, masters.current()).unwrap();
    let text = wrapped.to_text();
    let (name, body) = text.split_once(':').unwrap();
    let renamed = format!("{}:{body}", masters.previous().unwrap());
    let flipped = format!("{name}:{}{}", &body[..body.len() - 1], if body.ends_with('0') { '1' } else { '0' });
    for changed in [renamed, flipped] {
        let parsed: WrappedInstallationKey = changed.parse().unwrap();
        assert!(matches!(parsed.unwrap_with(&masters), Err(OpenError::Tampered)), "{changed}");
    }
    for junk in ["", "x", "0badcafe", "0badcafe:zz", ":00", &random::token()] {
        assert!(junk.parse::<WrappedInstallationKey>().is_err(), "{junk}");
    }
    assert!(!text.contains(&hex::encode([0x5c; 8])));
}

#[tokio::test]
async fn a_data_key_is_wrapped_anew_and_opens_with_either_key_in_between() {
    let store = Arc::new(MemoryKeyStore::default());
    let clock = Clock::manual(start());
    let both = Keyring::new(MasterKeys::new(other(), Some(master())).unwrap(), store.clone(), clock.clone());
    let (old, new) = (master().fingerprint(), other().fingerprint());
    let made = both.create(old, organization(1), Scope::Organization, 1).await.unwrap();
    let anew = both.rewrap(&made.row).await.unwrap();
    assert_eq!((made.row.master, anew.master, anew.identity), (old, new, made.row.identity));
    for row in [&made.row, &anew, &made.row] {
        assert_eq!(both.data_key(row).await.unwrap().bytes(), made.key.bytes());
    }
    let alone = |key: MasterKey| Keyring::new(key, store.clone(), clock.clone());
    assert_eq!(alone(other()).data_key(&anew).await.unwrap().bytes(), made.key.bytes());
    for (key, row, needed) in [(other(), &made.row, old), (master(), &anew, new)] {
        let refused = alone(key).data_key(row).await.err().unwrap();
        assert!(
            matches!(refused, OpenError::WrongMasterKey { sealed_under, .. } if sealed_under == needed),
            "{refused}"
        );
    }
    // The name of a key that is not here makes nothing.
    let foreign: Fingerprint = "0badcafe".parse().unwrap();
    assert!(both.create(foreign, organization(1), Scope::Organization, 2).await.is_err());
    assert_eq!(store.list().await.unwrap().len(), 1, "and no shard was stored for it");
}
