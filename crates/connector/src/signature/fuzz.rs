//! Signatures that others send us, with bytes of any kind (`script/soak fuzz`).

use kernel::Secret;
use proptest::prelude::*;
use url::form_urlencoded::{Serializer, parse};

use super::{query, sign_base64, sign_hex, verify_base64, verify_hex};

fn secret() -> Secret {
    Secret::new("hush")
}

/// Query strings as they come: with what ends, joins and hides parameters in them.
fn queries() -> impl Strategy<Value = String> {
    let name = prop_oneof![
        Just("shop"),
        Just("timestamp"),
        Just("hmac"),
        Just("signature"),
        Just("ids[]"),
        Just("state"),
        Just("x")
    ];
    let pair = (name, "[a-z0-9%&=+.,;\\[\\]é/-]{0,12}");
    let listed = prop::collection::vec(pair, 0..8)
        .prop_map(|pairs| pairs.iter().map(|(name, value)| format!("{name}={value}")).collect::<Vec<_>>().join("&"));
    prop_oneof![listed, any::<String>(), "[a-z=&%0-9+]{0,60}"]
}

proptest! {
    #[test]
    fn signatures(message in any::<Vec<u8>>(), given in prop_oneof![any::<String>(), "[0-9a-fA-F]{64}", "[A-Za-z0-9+/]{43}="], cut in 0usize..64) {
        let (hex, base64) = (sign_hex(&secret(), &message), sign_base64(&secret(), &message));
        prop_assert!(verify_hex(&secret(), &message, &hex) && verify_base64(&secret(), &message, &base64));
        prop_assert_eq!(verify_hex(&secret(), &message, &given), given.eq_ignore_ascii_case(&hex));
        prop_assert_eq!(verify_base64(&secret(), &message, &given), given == base64);
        prop_assert!(!verify_hex(&secret(), &message, &hex[..cut]), "a part of a signature is none");
    }

    #[test]
    fn signed_queries(raw in queries(), other in "[a-z]{1,6}") {
        // Nothing that is not signed is believed.
        prop_assert!(query::verify(&raw, &[&secret()]).is_err());
        // Signed as Shopify's document says it, in another way than ours: sorted pairs, joined, with percent signs.
        let pairs: Vec<(String, String)> = parse(raw.as_bytes())
            .into_owned()
            .filter(|(name, _)| !matches!(name.as_str(), "hmac" | "signature") && !name.ends_with("[]"))
            .collect();
        let mut names: Vec<&String> = pairs.iter().map(|(name, _)| name).collect();
        names.sort();
        names.dedup();
        if names.len() != pairs.len() {
            return Ok(());
        }
        let mut sorted = pairs.clone();
        sorted.sort();
        let message = Serializer::new(String::new()).extend_pairs(&sorted).finish().replace('+', "%20");
        let signature = sign_hex(&secret(), message.as_bytes());
        let signed = Serializer::new(String::new()).extend_pairs(&pairs).append_pair("hmac", &signature).finish();
        let verified = query::verify(&signed, &[&Secret::new("another"), &secret()]).unwrap();
        for (name, value) in &pairs {
            prop_assert_eq!(verified.one(name).unwrap(), value);
        }
        // One more parameter, and it is another message.
        let longer = format!("{signed}&zz{other}=1");
        prop_assert!(query::verify(&longer, &[&secret()]).is_err());
    }
}
