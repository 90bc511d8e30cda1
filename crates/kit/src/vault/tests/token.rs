use std::sync::Arc;

use chrono::Duration;
use kernel::Clock;
use proptest::prelude::*;

use super::{
    super::{Keyring, MasterKey, TokenError, TokenSealer, TooLong},
    MemoryKeyStore, keyring, start,
};

const BOUND: &[(&str, &[u8])] =
    &[("organization", b"1"), ("store", b"2"), ("filters", b"status=open"), ("sort", b"-id")];

fn sealer(purpose: &'static str) -> TokenSealer {
    let keyring = keyring(Arc::new(MemoryKeyStore::default()), &Clock::manual(start()));
    TokenSealer::new(&keyring, purpose, TokenSealer::DAY)
}

#[test]
fn a_token_brings_its_payload_back_for_a_day() {
    let sealer = sealer("page cursor");
    let token = sealer.seal(BOUND, b"after=42", start()).unwrap();
    assert!(token.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_'), "{token}");
    assert!(!token.contains("after"));
    let open = |after| sealer.open(&token, BOUND, start() + after).map(|payload| payload.to_vec());
    assert_eq!(open(Duration::zero()).unwrap(), b"after=42");
    assert_eq!(open(Duration::days(1) - Duration::milliseconds(1)).unwrap(), b"after=42");
    assert_eq!(open(Duration::days(1)), Err(TokenError::Expired));
    assert_eq!(open(Duration::days(400)), Err(TokenError::Expired));
}

#[test]
fn a_token_is_foreign_wherever_it_was_not_issued_for() {
    let sealer = sealer("page cursor");
    let token = sealer.seal(BOUND, b"after=42", start()).unwrap();
    let elsewhere: &[&[(&str, &[u8])]] = &[
        &[("organization", b"9"), BOUND[1], BOUND[2], BOUND[3]],
        &[BOUND[0], ("store", b"9"), BOUND[2], BOUND[3]],
        &[BOUND[0], BOUND[1], ("filters", b"status=closed"), BOUND[3]],
        &[BOUND[0], BOUND[1], BOUND[2], ("sort", b"id")],
        &[BOUND[1], BOUND[0], BOUND[2], BOUND[3]],
        &[BOUND[0], BOUND[1], BOUND[2]],
        &[("organizatio", b"n1"), BOUND[1], BOUND[2], BOUND[3]],
        &[],
    ];
    for bound_to in elsewhere {
        assert_eq!(sealer.open(&token, bound_to, start()).unwrap_err(), TokenError::Foreign, "{bound_to:?}");
    }
    let other_purpose = self::sealer("pairing state");
    assert_eq!(other_purpose.open(&token, BOUND, start()).unwrap_err(), TokenError::Foreign);
    let store = Arc::new(MemoryKeyStore::default());
    let other_master = Keyring::new(MasterKey::generate(), store, Clock::manual(start()));
    let other_master = TokenSealer::new(&other_master, "page cursor", TokenSealer::DAY);
    assert_eq!(other_master.open(&token, BOUND, start()).unwrap_err(), TokenError::Foreign);
    // An expired token of someone else is foreign, not expired: the expiry is believed only when it is ours.
    let late = start() + Duration::days(9);
    assert_eq!(other_purpose.open(&token, BOUND, late).unwrap_err(), TokenError::Foreign);
}

#[test]
fn a_payload_has_a_limit_and_so_has_what_is_read() {
    let sealer = sealer("page cursor");
    let longest = vec![7; TokenSealer::PAYLOAD_LENGTH_MAX];
    let token = sealer.seal(&[], &longest, start()).unwrap();
    assert_eq!(sealer.open(&token, &[], start()).unwrap().as_slice(), longest);
    assert_eq!(sealer.seal(&[], &[longest, vec![7]].concat(), start()), Err(TooLong));
    assert_eq!(sealer.open(&"A".repeat(1 << 20), &[], start()).unwrap_err(), TokenError::Foreign);
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(500) })]

    #[test]
    fn a_changed_token_is_foreign(at in any::<prop::sample::Index>(), with in "[A-Za-z0-9_=-]") {
        let sealer = sealer("page cursor");
        let token = sealer.seal(BOUND, b"after=42", start()).unwrap();
        let at = at.index(token.len());
        let changed = format!("{}{with}{}", &token[..at], &token[at + 1..]);
        let opened = sealer.open(&changed, BOUND, start());
        prop_assert_eq!(opened.is_ok(), changed == token);
    }

    #[test]
    fn any_text_is_foreign(text in any::<String>()) {
        prop_assert_eq!(sealer("page cursor").open(&text, BOUND, start()).unwrap_err(), TokenError::Foreign);
    }
}
