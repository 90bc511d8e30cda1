//! Public keys as authenticators give them: COSE (RFC 9053, RFC 8230).

use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_ASN1, ED25519, RSA_PKCS1_2048_8192_SHA256, RsaPublicKeyComponents, UnparsedPublicKey,
};

use super::cbor::Value;

/// ES256, EdDSA and RS256 of the IANA registry of COSE algorithms, in the order that we like them.
pub(in crate::factors) const ALGORITHMS: [i64; 3] = [-7, -8, -257];

const KEY_TYPE: Value<'static> = Value::Integer(1);
const ALGORITHM: Value<'static> = Value::Integer(3);
const CURVE: Value<'static> = Value::Integer(-1);
const X: Value<'static> = Value::Integer(-2);
const Y: Value<'static> = Value::Integer(-3);
const MODULUS: Value<'static> = Value::Integer(-1);
const EXPONENT: Value<'static> = Value::Integer(-2);

pub(super) enum Key<'a> {
    /// A point that is not compressed.
    P256(Vec<u8>),
    Ed25519(&'a [u8]),
    Rsa {
        modulus: &'a [u8],
        exponent: &'a [u8],
    },
}

impl<'a> Key<'a> {
    /// None for a key of a kind that was not asked for.
    pub(super) fn of(cose: &Value<'a>) -> Option<Self> {
        let integer = |name| cose.at(name).and_then(Value::integer);
        let bytes = |name| cose.at(name).and_then(Value::bytes);
        let coordinate = |name| bytes(name).filter(|bytes| bytes.len() == 32);
        match (integer(&KEY_TYPE)?, integer(&ALGORITHM)?) {
            (2, -7) if integer(&CURVE)? == 1 => {
                Some(Self::P256([&[0x04][..], coordinate(&X)?, coordinate(&Y)?].concat()))
            }
            (1, -8) if integer(&CURVE)? == 6 => Some(Self::Ed25519(coordinate(&X)?)),
            (3, -257) => Some(Self::Rsa { modulus: bytes(&MODULUS)?, exponent: bytes(&EXPONENT)? }),
            _ => None,
        }
    }

    /// Whether the signature is this key's.
    pub(super) fn signed(&self, message: &[u8], signature: &[u8]) -> bool {
        match self {
            Self::P256(point) => UnparsedPublicKey::new(&ECDSA_P256_SHA256_ASN1, point).verify(message, signature),
            Self::Ed25519(key) => UnparsedPublicKey::new(&ED25519, key).verify(message, signature),
            Self::Rsa { modulus, exponent } => RsaPublicKeyComponents { n: *modulus, e: *exponent }.verify(
                &RSA_PKCS1_2048_8192_SHA256,
                message,
                signature,
            ),
        }
        .is_ok()
    }
}
