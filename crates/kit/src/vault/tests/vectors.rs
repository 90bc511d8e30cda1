//! Values computed by another implementation (HKDF and XChaCha20-Poly1305 from their specifications, checked against
//! draft-irtf-cfrg-xchacha A.3.1). They pin the formats: what is stored today must open in every later version.

use std::fs;

use kernel::{Clock, id::DataKeyId};
use uuid::Uuid;

use super::{
    super::{Context, DirectoryKeyStore, KeyStore as _, Kind, MasterKey, Scope, Shard, TokenSealer, WrappedKey, open},
    MemoryKeyStore, identity, key_for, keyring, master, start,
};

fn unhex(text: &str) -> Vec<u8> {
    hex::decode(text).unwrap()
}

fn scope() -> Scope {
    Scope::Connection(Uuid::from_u128(2).into())
}

fn shard() -> Shard {
    Shard::from_bytes(zeroize::Zeroizing::new([0x5a; 32]))
}

#[test]
fn fingerprints_and_derived_keys_are_stable() {
    let keyring = keyring(std::sync::Arc::new(MemoryKeyStore::default()), &Clock::manual(start()));
    assert_eq!(MasterKey::fingerprint(&master()).to_string(), "595a8c08");
    assert_eq!(
        hex::encode(keyring.derive("page cursor")),
        "51a808d372de83fa8da2e5bd00fc1adb743b2a1a87f79ba685bf9149fb607684"
    );
    assert_ne!(keyring.derive("page cursor"), keyring.derive("page cursors"));
}

#[test]
fn a_data_key_wrapped_elsewhere_unwraps() {
    let row = WrappedKey {
        identity: identity(1, scope(), 7),
        master: master().fingerprint(),
        wrapped: unhex(
            "01111111111111111111111111111111111111111111111111ca0e0717de93ae7b3830e2be266ac6afafa395751a9b2631fbaa1b2c9f6d\
             6170dde70a2977eccb0aff043a8608432f35",
        ),
    };
    let key = row.unwrap(&master(), &shard()).unwrap();
    assert_eq!(key.bytes(), key_for(row.identity).bytes());
}

#[test]
fn a_value_sealed_elsewhere_opens() {
    let key = key_for(identity(1, scope(), 7));
    let context = Context {
        organization: key.identity().organization,
        scope: scope(),
        kind: Kind::CREDENTIAL,
        record: Uuid::from_u128(4),
    };
    let sealed = unhex(
        "010000000722222222222222222222222222222222222222222222222254590518a88602bc9b5a3e457546281721cce0e7a7ebccfab2157b37\
         cd3d6085",
    );
    assert_eq!(open(&key, &context, &sealed).unwrap().as_slice(), b"shpat_0123456789");
}

#[test]
fn a_token_sealed_elsewhere_opens() {
    let keyring = keyring(std::sync::Arc::new(MemoryKeyStore::default()), &Clock::manual(start()));
    let sealer = TokenSealer::new(&keyring, "page cursor", TokenSealer::DAY);
    let token = "ATMzMzMzMzMzMzMzMzMzMzMzMzMzMzMzM747xVPggXisDwhZ2Qdy8NmS30wCWbUYYibYQpsBbA";
    let before = start() - chrono::Duration::milliseconds(1);
    assert_eq!(sealer.open(token, &[("store", b"a")], before).unwrap().as_slice(), b"page 2");
}

#[tokio::test]
async fn a_shard_lies_in_its_file_as_documented() {
    let root = tempfile::tempdir().unwrap();
    let store = DirectoryKeyStore::open(root.path().join("keys")).await.unwrap();
    store.put(DataKeyId::from(Uuid::from_u128(3)), shard()).await.unwrap();
    let content = fs::read(root.path().join("keys/03/00000000-0000-0000-0000-000000000003")).unwrap();
    assert_eq!(hex::encode(content), format!("{}{}", "5a".repeat(32), "542198853cfdacec"));
}
