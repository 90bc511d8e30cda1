use std::collections::HashSet;

use kernel::{
    Personal, Secret,
    id::{ConnectionId, OrganizationId},
};
use proptest::prelude::*;
use uuid::Uuid;

use super::{
    super::{
        Context, DataKey, ForeignKey, ImportId, KeyIdentity, Kind, OpenError, Scope, UnknownScope, key_version, open,
        open_personal, open_secret, primitives::frame, seal, seal_personal, seal_secret,
    },
    identity, key_for, organization,
};

const SECRET: &[u8] = b"shpat_canary_5b1c";
const KINDS: [Kind; 4] = [Kind::CREDENTIAL, Kind::WEBHOOK_SECRET, Kind::new("credentia"), Kind::new("lcredential")];

/// Everything that a value is bound to.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Place {
    context: Context,
    version: u32,
}

impl Place {
    /// A key that fits the place and has the same bytes as that of every other place.
    fn key(&self) -> DataKey {
        key_for(KeyIdentity {
            id: Uuid::from_u128(3).into(),
            organization: self.context.organization,
            scope: self.context.scope,
            version: self.version,
        })
    }

    fn seal(&self) -> Vec<u8> {
        seal(&self.key(), &self.context, SECRET).unwrap()
    }
}

fn is_refused(opened: Result<zeroize::Zeroizing<Vec<u8>>, OpenError>) -> bool {
    matches!(opened, Err(OpenError::Tampered))
}

/// Few ids, used in every role: what differs may be only the role that an id has.
fn places() -> Vec<Place> {
    let ids = [Uuid::from_u128(1), Uuid::from_u128(2)];
    let mut places = vec![];
    for organization in ids.map(OrganizationId::from) {
        let of_connection = ids.map(|id| Scope::Connection(id.into()));
        let of_import = ids.map(|id| Scope::Import(id.into()));
        for scope in [Scope::Organization].into_iter().chain(of_connection).chain(of_import) {
            for kind in KINDS {
                for record in ids {
                    for version in [1, 2, 256] {
                        places.push(Place { context: Context { organization, scope, kind, record }, version });
                    }
                }
            }
        }
    }
    places
}

/// VLT-1, over all pairs. All keys have the same bytes and the header says the version that the reader expects: nothing but
/// the associated data holds a value in its place.
#[test]
fn a_value_opens_in_its_place_and_in_no_other() {
    let places = places();
    let sealed: Vec<Vec<u8>> = places.iter().map(Place::seal).collect();
    for (target, reader) in places.iter().enumerate() {
        let key = reader.key();
        for (origin, value) in sealed.iter().enumerate() {
            let mut moved = value.clone();
            moved[1..5].copy_from_slice(&reader.version.to_be_bytes());
            let opened = open(&key, &reader.context, &moved);
            if origin == target {
                assert_eq!(opened.unwrap().as_slice(), SECRET);
            } else {
                assert!(is_refused(opened), "{:?} opened as {reader:?}", places[origin]);
            }
        }
    }
}

fn scopes() -> impl Strategy<Value = Scope> {
    prop_oneof![
        Just(Scope::Organization),
        any::<u128>().prop_map(|id| Scope::Connection(ConnectionId::from(Uuid::from_u128(id)))),
        any::<u128>().prop_map(|id| Scope::Import(ImportId::from(Uuid::from_u128(id)))),
    ]
}

prop_compose! {
    fn any_place()(
        owner in any::<u128>(), scope in scopes(), kind in 0..KINDS.len(), record in any::<u128>(), version in any::<u32>(),
    ) -> Place {
        let context =
            Context { organization: organization(owner), scope, kind: KINDS[kind], record: Uuid::from_u128(record) };
        Place { context, version }
    }
}

/// Two places that differ in exactly one respect.
fn neighbors() -> impl Strategy<Value = (Place, Place)> {
    (any_place(), any_place(), 0..5_u8).prop_map(|(place, other, respect)| {
        let mut changed = place;
        match respect {
            0 => changed.context.organization = other.context.organization,
            1 => changed.context.scope = other.context.scope,
            2 => changed.context.kind = other.context.kind,
            3 => changed.context.record = other.context.record,
            _ => changed.version = other.version,
        }
        (place, changed)
    })
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(2000) })]

    #[test]
    fn one_difference_of_place_is_enough_to_refuse((place, other) in neighbors(), text in any::<Vec<u8>>()) {
        let mut sealed = seal(&place.key(), &place.context, &text).unwrap();
        sealed[1..5].copy_from_slice(&other.version.to_be_bytes());
        let opened = open(&other.key(), &other.context, &sealed);
        if place == other {
            prop_assert!(opened.unwrap().as_slice() == text);
        } else {
            prop_assert!(is_refused(opened));
        }
    }

    #[test]
    fn any_changed_bit_is_noticed(place in any_place(), text in prop::collection::vec(any::<u8>(), 0..64), at in any::<prop::sample::Index>(), bit in 0..8_u8) {
        let mut sealed = seal(&place.key(), &place.context, &text).unwrap();
        let at = at.index(sealed.len());
        sealed[at] ^= 1 << bit;
        let opened = open(&place.key(), &place.context, &sealed);
        let noticed = if at == 0 { matches!(opened, Err(OpenError::UnknownFormat)) } else { is_refused(opened) };
        prop_assert!(noticed);
    }

    #[test]
    fn opening_garbage_is_an_error(place in any_place(), garbage in any::<Vec<u8>>()) {
        prop_assert!(open(&place.key(), &place.context, &garbage).is_err());
    }

    #[test]
    fn different_fields_never_frame_alike(
        one in prop::collection::vec(prop::collection::vec(0..3_u8, 0..4), 0..4),
        other in prop::collection::vec(prop::collection::vec(0..3_u8, 0..4), 0..4),
    ) {
        fn framed(fields: &[Vec<u8>]) -> Vec<u8> {
            frame(&fields.iter().map(Vec::as_slice).collect::<Vec<_>>())
        }
        prop_assert_eq!(framed(&one) == framed(&other), one == other);
    }
}

fn place() -> Place {
    let scope = Scope::Connection(Uuid::from_u128(2).into());
    let context = Context { organization: organization(1), scope, kind: Kind::CREDENTIAL, record: Uuid::from_u128(4) };
    Place { context, version: 7 }
}

#[test]
fn cut_and_extended_values_do_not_open() {
    let place = place();
    let sealed = place.seal();
    for length in 0..sealed.len() {
        let opened = open(&place.key(), &place.context, &sealed[..length]);
        // Below an empty plaintext's length it is no value at all.
        assert!(
            if length < 45 { matches!(opened, Err(OpenError::UnknownFormat)) } else { is_refused(opened) },
            "{length}"
        );
    }
    assert!(is_refused(open(&place.key(), &place.context, &[sealed.as_slice(), &[0]].concat())));
}

#[test]
fn the_version_is_read_before_the_key_is_chosen() {
    assert_eq!(key_version(&place().seal()).unwrap(), 7);
    let mut unknown = place().seal();
    unknown[0] = 2;
    assert!(matches!(key_version(&unknown), Err(OpenError::UnknownFormat)));
    assert!(matches!(key_version(&[1, 0, 0, 0, 7]), Err(OpenError::UnknownFormat)));
}

#[test]
fn a_key_of_another_organization_scope_or_version_is_refused() {
    let place = place();
    let sealed = place.seal();
    for foreign in [
        identity(2, place.context.scope, 7),
        identity(1, Scope::Organization, 7),
        identity(1, Scope::Import(Uuid::from_u128(2).into()), 7),
    ] {
        let key = key_for(foreign);
        assert_eq!(seal(&key, &place.context, SECRET), Err(ForeignKey));
        assert!(is_refused(open(&key, &place.context, &sealed)), "{foreign:?}");
    }
    assert!(is_refused(open(&key_for(identity(1, place.context.scope, 8)), &place.context, &sealed)));
}

#[test]
fn nonces_do_not_repeat() {
    let place = place();
    let key = place.key();
    let mut seen = HashSet::new();
    let mut values_at = vec![HashSet::new(); 24];
    for _ in 0..1 << 16 {
        let sealed = seal(&key, &place.context, b"").unwrap();
        let nonce: [u8; 24] = sealed[5..29].try_into().unwrap();
        assert!(seen.insert(nonce), "a nonce came twice");
        nonce.iter().zip(&mut values_at).for_each(|(byte, values)| {
            values.insert(*byte);
        });
    }
    // A counter or a shorter random part would leave some bytes standing.
    assert!(values_at.iter().all(|values| values.len() == 256));
}

#[test]
fn a_sealed_value_shows_nothing_but_its_length() {
    let sealed = place().seal();
    assert_eq!(sealed.len(), 1 + 4 + 24 + SECRET.len() + 16);
    assert!(!sealed.windows(6).any(|part| SECRET.windows(6).any(|secret| secret == part)));
    assert_ne!(place().seal(), sealed, "the same text twice gives different values");
}

#[test]
fn secrets_and_personal_values_come_back_as_such() {
    let place = place();
    let key = place.key();
    let secret = Secret::new("whsec_1");
    let sealed = seal_secret(&key, &place.context, &secret).unwrap();
    assert!(open_secret(&key, &place.context, &sealed).unwrap() == secret);
    let not_text = seal(&key, &place.context, &[0xff]).unwrap();
    assert!(matches!(open_secret(&key, &place.context, &not_text), Err(OpenError::UnknownFormat)));

    let personal = Personal::new("Ada Lovelace".to_owned());
    let sealed = seal_personal(&key, &place.context, &personal).unwrap();
    let opened = open_personal(&key, &place.context, &sealed).unwrap();
    assert!(opened.satisfies(|bytes| bytes == b"Ada Lovelace"));
    assert!(!sealed.windows(3).any(|part| part == b"Ada"));
}

#[test]
fn errors_are_the_same_whatever_was_tried() {
    let place = place();
    let tampered = |mut sealed: Vec<u8>, at: usize| {
        sealed[at] ^= 1;
        open(&place.key(), &place.context, &sealed).unwrap_err()
    };
    let mut moved = place.context;
    moved.record = Uuid::from_u128(5);
    let errors = [
        tampered(place.seal(), 6),
        tampered(place.seal(), 30),
        open(&place.key(), &moved, &place.seal()).unwrap_err(),
        open(&key_for(identity(2, place.context.scope, 7)), &place.context, &place.seal()).unwrap_err(),
    ];
    for error in errors {
        assert_eq!(error.to_string(), "the sealed value was changed, or does not belong here");
        assert_eq!(format!("{error:?}"), "Tampered");
    }
}

#[test]
fn scopes_come_back_from_their_columns() {
    let owner = organization(1);
    for scope in
        [Scope::Organization, Scope::Connection(Uuid::from_u128(2).into()), Scope::Import(Uuid::from_u128(2).into())]
    {
        assert_eq!(Scope::from_columns(owner, scope.name(), scope.id(owner)), Ok(scope));
    }
    assert_eq!(Scope::from_columns(owner, "organization", Uuid::from_u128(2)), Err(UnknownScope));
    assert_eq!(Scope::from_columns(owner, "Connection", Uuid::from_u128(2)), Err(UnknownScope));
}
