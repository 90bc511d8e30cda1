//! The headers that callers send, of any kind (`script/soak fuzz`).

use proptest::prelude::*;

use super::span::Context;

fn headers() -> impl Strategy<Value = String> {
    prop_oneof![
        2 => "(00|01|ff|[0-9a-f]{2})-[0-9a-f]{32}-[0-9a-f]{16}-(00|01|[0-9a-f]{2})(-[a-z0-9]{0,4})?",
        1 => "00-0{32}-[0-9a-f]{16}-01|00-[0-9a-f]{32}-0{16}-01",
        1 => "[0-9a-fA-F-]{0,60}",
        1 => ".{0,60}",
    ]
}

proptest! {
    #[test]
    fn headers_of_traces(header in headers()) {
        if let Some(context) = Context::parse(&header) {
            // It is what was sent, and names somebody.
            let sent = format!("{}-{}", hex::encode(context.trace), hex::encode(context.span));
            prop_assert_eq!(header.get(3..52), Some(sent.as_str()));
            prop_assert!(context.trace != [0; 16] && context.span != [0; 8]);
            prop_assert!(!header.starts_with("ff"));
        } else if let Some(rest) = header.strip_prefix("00-") {
            let is_whole = rest.len() == 52 && rest.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f' | b'-'))
                && rest.match_indices('-').map(|(at, _)| at).eq([32, 49]);
            prop_assert!(!is_whole || rest.starts_with(&"0".repeat(32)) || rest[33..].starts_with(&"0".repeat(16)));
        }
    }
}
