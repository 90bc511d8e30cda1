//! What browsers send on the way to a consent page and back, of any kind (`script/soak fuzz`).

use axum::http::{HeaderMap, HeaderValue, header};
use proptest::prelude::*;

use super::api::pairing_in;

const NAME: &str = "__Secure-entrepot_pairing";

fn cookies() -> impl Strategy<Value = Vec<u8>> {
    let pair = prop_oneof![
        2 => "[A-Za-z0-9_-]{0,8}".prop_map(|value| format!("{NAME}={value}")),
        1 => "(entrepot_pairing|__Secure-entrepot_pairing2|[a-z]{0,4})=?[A-Za-z0-9=; ]{0,8}",
        1 => ".{0,8}",
    ];
    prop_oneof![
        4 => prop::collection::vec(pair, 0..4).prop_map(|pairs| pairs.join("; ").into_bytes()),
        1 => any::<Vec<u8>>(),
    ]
}

proptest! {
    #[test]
    fn pairing_cookies(lines in prop::collection::vec(cookies(), 0..3)) {
        let mut headers = HeaderMap::new();
        for value in lines.iter().filter_map(|bytes| HeaderValue::from_bytes(bytes).ok()) {
            headers.append(header::COOKIE, value);
        }
        let found = pairing_in(NAME, &headers);
        // It is a cookie of that very name, as it was sent.
        let texts = || headers.get_all(header::COOKIE).iter().filter_map(|value| value.to_str().ok());
        let first = texts().flat_map(|line| line.split(';')).find_map(|pair| pair.trim().strip_prefix(NAME)?.strip_prefix('='));
        prop_assert_eq!(found.as_deref(), first);
        prop_assert_eq!(pairing_in("another", &headers).is_some(), texts().any(|line| line.split(';').any(|pair| pair.trim().starts_with("another="))));
    }
}
