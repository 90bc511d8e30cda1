//! Answers of an authenticator of our own, which can be told to do anything wrong. Flows with somebody else's authenticator are
//! in `crates/testkit/tests/it/people/passkeys.rs`.

use aws_lc_rs::{
    rand::SystemRandom,
    rsa::KeySize,
    signature::{ECDSA_P256_SHA256_ASN1_SIGNING, EcdsaKeyPair, Ed25519KeyPair, KeyPair, RSA_PKCS1_SHA256, RsaKeyPair},
};
use serde_json::json;

use super::*;

const CHALLENGE: &[u8] = &[7; CHALLENGE_LENGTH];
const ID: &[u8] = b"a passkey";

fn relying_party() -> RelyingParty {
    RelyingParty::at(&"https://entrepot.example/".parse().unwrap()).unwrap()
}

enum Pair {
    P256(EcdsaKeyPair),
    Ed25519(Ed25519KeyPair),
    Rsa(RsaKeyPair),
}

impl Pair {
    fn p256() -> Self {
        Self::P256(EcdsaKeyPair::generate(&ECDSA_P256_SHA256_ASN1_SIGNING).unwrap())
    }

    fn sign(&self, message: &[u8]) -> Vec<u8> {
        let random = SystemRandom::new();
        match self {
            Self::P256(pair) => pair.sign(&random, message).unwrap().as_ref().to_vec(),
            Self::Ed25519(pair) => pair.sign(message).as_ref().to_vec(),
            Self::Rsa(pair) => {
                let mut signature = vec![0; pair.public_modulus_len()];
                pair.sign(&RSA_PKCS1_SHA256, &random, message, &mut signature).unwrap();
                signature
            }
        }
    }

    fn cose(&self) -> Vec<u8> {
        let bytes = |bytes: &[u8]| -> Vec<u8> {
            let length = u16::try_from(bytes.len()).unwrap().to_be_bytes();
            [&[0x59][..], &length, bytes].concat()
        };
        match self {
            Self::P256(pair) => {
                let (x, y) = pair.public_key().as_ref()[1..].split_at(32);
                [&[0xa5, 0x01, 0x02, 0x03, 0x26, 0x20, 0x01, 0x21][..], &bytes(x), &[0x22], &bytes(y)].concat()
            }
            Self::Ed25519(pair) => {
                let x = bytes(pair.public_key().as_ref());
                [&[0xa4, 0x01, 0x01, 0x03, 0x27, 0x20, 0x06, 0x21][..], &x].concat()
            }
            Self::Rsa(pair) => {
                // PKCS #1: a sequence that ends with a modulus of 256 bytes, and with an exponent of three behind their length.
                let (modulus, exponent) = pair.public_key().as_ref().split_last_chunk::<5>().unwrap();
                let (n, e) = (bytes(&modulus[modulus.len() - 256..]), bytes(&exponent[2..]));
                [&[0xa4, 0x01, 0x03, 0x03, 0x39, 0x01, 0x00, 0x20][..], &n, &[0x21], &e].concat()
            }
        }
    }
}

/// What an authenticator and its browser answer. Each field can be made wrong.
struct Told {
    purpose: &'static str,
    challenge: Vec<u8>,
    client: Json,
    relying_party: &'static str,
    flags: u8,
    count: u32,
    extensions: &'static [u8],
}

impl Told {
    fn at_use() -> Self {
        Self {
            purpose: "webauthn.get",
            challenge: CHALLENGE.to_vec(),
            client: json!({ "origin": "https://entrepot.example", "crossOrigin": false }),
            relying_party: "entrepot.example",
            flags: 0x05,
            count: 9,
            extensions: &[],
        }
    }

    fn at_registration() -> Self {
        Self { purpose: "webauthn.create", flags: 0x45, ..Self::at_use() }
    }

    fn client_data(&self) -> Vec<u8> {
        let mut data = self.client.clone();
        data["type"] = json!(self.purpose);
        data["challenge"] = json!(encode(&self.challenge));
        serde_json::to_vec(&data).unwrap()
    }

    fn authenticator_data(&self, cose: &[u8]) -> Vec<u8> {
        let mut data = Sha256::digest(self.relying_party).to_vec();
        data.push(self.flags);
        data.extend(self.count.to_be_bytes());
        if self.flags & 0x40 != 0 {
            data.extend([0; 16]);
            data.extend(u16::try_from(ID.len()).unwrap().to_be_bytes());
            data.extend(ID);
            data.extend(cose);
        }
        data.extend(self.extensions);
        data
    }

    fn registered(&self, pair: &Pair) -> Result<Registered, Refusal> {
        let data = self.authenticator_data(&pair.cose());
        let length = u16::try_from(data.len()).unwrap().to_be_bytes();
        let object = [&b"\xa3\x63fmt\x64none\x67attStmt\xa0\x68authData\x59"[..], &length, &data].concat();
        relying_party().registered(
            CHALLENGE,
            &AttestationResponse {
                client_data_json: encode(&self.client_data()),
                attestation_object: encode(&object),
                transports: vec![],
            },
        )
    }

    fn used(&self, pair: &Pair, sign_count: u32) -> Result<Used, Refusal> {
        let (client_data, data) = (self.client_data(), self.authenticator_data(&[]));
        let signature = pair.sign(&[&data[..], &Sha256::digest(&client_data)].concat());
        let response = AssertionResponse {
            client_data_json: encode(&client_data),
            authenticator_data: encode(&data),
            signature: encode(&signature),
            user_handle: None,
        };
        relying_party().used(CHALLENGE, &Known { public_key: &pair.cose(), sign_count }, &response)
    }
}

#[test]
fn a_passkey_of_each_kind_is_registered_and_used() {
    let pairs = [
        Pair::p256(),
        Pair::Ed25519(Ed25519KeyPair::generate().unwrap()),
        Pair::Rsa(RsaKeyPair::generate(KeySize::Rsa2048).unwrap()),
    ];
    for pair in pairs {
        let registered = Told::at_registration().registered(&pair).unwrap();
        assert_eq!((registered.credential_id.as_slice(), registered.sign_count), (ID, 9));
        assert_eq!(registered.public_key, pair.cose());
        assert_eq!(Told::at_use().used(&pair, 8), Ok(Used { sign_count: 9, is_backed_up: false }));
    }
    // Kept in a cloud, and with an extension.
    let synced = Told { flags: 0x9d, count: 0, extensions: b"\xa1\x63abc\xf5", ..Told::at_use() };
    assert_eq!(synced.used(&Pair::p256(), 0), Ok(Used { sign_count: 0, is_backed_up: true }));
}

#[test]
fn an_answer_to_something_else_is_refused() {
    let client = |name: &str, value: Json| {
        let mut client = Told::at_use().client;
        client[name] = value;
        client
    };
    let cases = [
        (Told { purpose: "webauthn.create", ..Told::at_use() }, Refusal::Purpose),
        (Told { purpose: "payment.get", ..Told::at_use() }, Refusal::Purpose),
        (Told { challenge: vec![8; CHALLENGE_LENGTH], ..Told::at_use() }, Refusal::Challenge),
        (Told { challenge: vec![], ..Told::at_use() }, Refusal::Challenge),
        (Told { client: client("origin", json!("https://evil.example")), ..Told::at_use() }, Refusal::Origin),
        (Told { client: client("origin", json!("https://sub.entrepot.example")), ..Told::at_use() }, Refusal::Origin),
        (Told { client: client("origin", json!("http://entrepot.example")), ..Told::at_use() }, Refusal::Origin),
        (Told { client: client("origin", json!("https://entrepot.example:8443")), ..Told::at_use() }, Refusal::Origin),
        (Told { client: client("crossOrigin", json!(true)), ..Told::at_use() }, Refusal::Origin),
        (Told { client: client("topOrigin", json!("https://evil.example")), ..Told::at_use() }, Refusal::Origin),
        (Told { relying_party: "evil.example", ..Told::at_use() }, Refusal::RelyingParty),
        (Told { relying_party: "sub.entrepot.example", ..Told::at_use() }, Refusal::RelyingParty),
        (Told { flags: 0x01, ..Told::at_use() }, Refusal::NotVerified),
        (Told { flags: 0x04, ..Told::at_use() }, Refusal::NotVerified),
        (Told { flags: 0x15, ..Told::at_use() }, Refusal::Unreadable),
        (Told { extensions: b"\x00", ..Told::at_use() }, Refusal::Unreadable),
        (Told { count: 8, ..Told::at_use() }, Refusal::Counter),
        (Told { count: 0, ..Told::at_use() }, Refusal::Counter),
    ];
    let pair = Pair::p256();
    for (index, (told, refusal)) in cases.into_iter().enumerate() {
        assert_eq!(told.used(&pair, 8), Err(refusal), "case {index}");
    }
    let registration = Told { flags: 0x41, ..Told::at_registration() };
    assert_eq!(registration.registered(&pair).unwrap_err(), Refusal::NotVerified);
    let registration = Told { relying_party: "evil.example", ..Told::at_registration() };
    assert_eq!(registration.registered(&pair).unwrap_err(), Refusal::RelyingParty);
    let without_a_key = Told { flags: 0x05, ..Told::at_registration() };
    assert_eq!(without_a_key.registered(&pair).unwrap_err(), Refusal::Unreadable);
}

#[test]
fn what_another_key_signed_is_refused() {
    let (client_data, data) = (Told::at_use().client_data(), Told::at_use().authenticator_data(&[]));
    let signature = Pair::p256().sign(&[&data[..], &Sha256::digest(&client_data)].concat());
    let mut response = AssertionResponse {
        client_data_json: encode(&client_data),
        authenticator_data: encode(&data),
        signature: encode(&signature),
        user_handle: None,
    };
    let cose = Pair::p256().cose();
    let known = Known { public_key: &cose, sign_count: 0 };
    assert_eq!(relying_party().used(CHALLENGE, &known, &response), Err(Refusal::Signature));
    response.signature = String::new();
    assert_eq!(relying_party().used(CHALLENGE, &known, &response), Err(Refusal::Signature));
    let known = Known { public_key: &[0xa0], sign_count: 0 };
    assert_eq!(relying_party().used(CHALLENGE, &known, &response), Err(Refusal::Key));
}

#[test]
fn passkeys_are_where_browsers_have_them() {
    for (url, id) in [
        ("https://entrepot.example/", Some("entrepot.example")),
        ("https://entrepot.example:8443/", Some("entrepot.example")),
        ("http://localhost:8080/", Some("localhost")),
        ("http://demo.localhost:8080/", Some("demo.localhost")),
        ("http://entrepot.example/", None),
        ("https://192.0.2.7/", None),
        ("https://[2001:db8::7]/", None),
        ("http://127.0.0.1:8080/", None),
    ] {
        assert_eq!(RelyingParty::at(&url.parse().unwrap()).map(|party| party.id).as_deref(), id, "{url}");
    }
}

/// For the targets of `crate::fuzz`.
pub(crate) fn read_as_registration(client_data: String, object: &[u8]) -> Result<(), Refusal> {
    let response =
        AttestationResponse { client_data_json: client_data, attestation_object: encode(object), transports: vec![] };
    relying_party().registered(CHALLENGE, &response).map(|_| ())
}

/// The beginning of a registration that would be accepted, cut or changed anywhere.
pub(crate) fn a_good_registration() -> (String, Vec<u8>) {
    let told = Told::at_registration();
    let data = told.authenticator_data(&Pair::p256().cose());
    let length = u16::try_from(data.len()).unwrap().to_be_bytes();
    let object = [&b"\xa3\x63fmt\x64none\x67attStmt\xa0\x68authData\x59"[..], &length, &data].concat();
    (encode(&told.client_data()), object)
}

/// Whether the bytes are read as CBOR, and what is left of them.
pub(crate) fn cbor_left(bytes: &[u8]) -> Option<usize> {
    cbor::take(bytes).map(|(_, rest)| rest.len())
}
