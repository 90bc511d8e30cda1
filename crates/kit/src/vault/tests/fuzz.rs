//! Sealed things that come back to us, of any kind (`script/soak fuzz`).

use std::sync::Arc;

use kernel::Clock;
use proptest::prelude::*;

use super::{
    super::{MasterKey, TokenError, TokenSealer, key_version},
    MemoryKeyStore, keyring, start,
};

const BOUND: &[(&str, &[u8])] = &[("organization", b"1"), ("list", b"2")];

fn sealer() -> TokenSealer {
    let keyring = keyring(Arc::new(MemoryKeyStore::default()), &Clock::manual(start()));
    TokenSealer::new(&keyring, "page cursors", TokenSealer::DAY)
}

proptest! {
    #[test]
    fn cursors(payload in prop::collection::vec(any::<u8>(), 0..200), foreign in prop_oneof![any::<String>(), "[A-Za-z0-9_-]{0,120}"], at in any::<prop::sample::Index>(), with in "[A-Za-z0-9_=+/. -]") {
        let sealer = sealer();
        let token = sealer.seal(BOUND, &payload, start()).unwrap();
        let opened = sealer.open(&token, BOUND, start()).unwrap();
        prop_assert!(opened.as_slice() == payload);
        prop_assert_eq!(sealer.open(&foreign, BOUND, start()).unwrap_err(), TokenError::Foreign);
        let at = at.index(token.len());
        let changed = format!("{}{with}{}", &token[..at], &token[at + 1..]);
        prop_assert_eq!(sealer.open(&changed, BOUND, start()).is_ok(), changed == token);
        prop_assert_eq!(sealer.open(&token[..at], BOUND, start()).unwrap_err(), TokenError::Foreign);
        prop_assert!(sealer.open(&token, &BOUND[..1], start()).is_err());
    }

    #[test]
    fn sealed_bytes(bytes in any::<Vec<u8>>()) {
        prop_assert!(sealer().open_stored(&bytes, BOUND, start()).is_err());
        if let Ok(version) = key_version(&bytes) {
            prop_assert_eq!(&bytes[1..5], &version.to_be_bytes());
        }
    }

    #[test]
    fn master_keys(text in prop_oneof![any::<Vec<u8>>(), "[0-9a-fA-F \n]{60,70}".prop_map(String::into_bytes), "[A-Za-z0-9+/=_-]{40,46}".prop_map(String::into_bytes)]) {
        // Read or refused; a refusal never repeats what could be a key.
        if let Err(error) = MasterKey::parse("a file", &text)
            && let Ok(text) = str::from_utf8(&text)
            && text.trim().len() > 8
        {
            prop_assert!(!error.to_string().contains(text.trim()), "{}", error);
        }
    }
}
