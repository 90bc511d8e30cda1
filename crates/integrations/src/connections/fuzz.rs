//! What is sent with a connection, of any kind (`script/soak fuzz`).

use axum::http::{HeaderMap, HeaderValue, header};
use connector::{
    Provider,
    provider::{AuthType, Category, Field, FieldKind, Manifest},
};
use proptest::prelude::*;

use super::{Seen, api::if_match, model};

/// A provider that is nothing but its form.
struct FormOnly;

const FIELD: Field = Field { name: "", label: "", kind: FieldKind::Text, required: true, help: "" };

static MANIFEST: Manifest = Manifest {
    key: "form",
    label: "Form",
    category: Category::Api,
    auth_type: AuthType::ApiKey,
    capabilities: &[],
    config: &[
        Field { name: "shop_url", kind: FieldKind::Url, ..FIELD },
        Field { name: "consumer_key", kind: FieldKind::Secret, ..FIELD },
        Field { name: "consumer_secret", kind: FieldKind::Secret, required: false, ..FIELD },
    ],
    scopes: &[],
    notes: &[],
    is_exclusive: false,
    revoke_by_hand: "",
};

impl Provider for FormOnly {
    fn manifest(&self) -> &'static Manifest {
        &MANIFEST
    }
}

proptest! {
    #[test]
    fn seen_versions(values in prop::collection::vec(prop_oneof![any::<Vec<u8>>(), "((W/)?\"?[0-9a-f]{0,6}\"?|\\*)(, ?(W/)?\"[0-9a-f]{0,6}\")?".prop_map(String::into_bytes)], 0..3)) {
        let mut headers = HeaderMap::new();
        for value in values.iter().filter_map(|bytes| HeaderValue::from_bytes(bytes).ok()) {
            headers.append(header::IF_MATCH, value);
        }
        match if_match(&headers) {
            Seen::Any => prop_assert!(headers.is_empty() || headers.iter().all(|(_, value)| value.as_bytes().trim_ascii() == b"*")
                || headers.iter().filter(|(_, value)| value.to_str().is_ok()).all(|(_, value)| value.as_bytes().trim_ascii() == b"*")),
            Seen::OneOf(versions) => {
                let sent: Vec<&str> = headers.iter().filter_map(|(_, value)| value.to_str().ok()).collect();
                for version in versions {
                    let tag = format!("\"{version}\"");
                    prop_assert!(sent.iter().any(|line| line.split(',').any(|part| part.trim() == tag)), "{:?}", sent);
                }
            }
        }
    }

    #[test]
    fn words_of_the_database(text in any::<String>()) {
        prop_assert!(model::Status::parse(&text).is_none_or(|status| status.as_str() == text));
        prop_assert!(model::Health::parse(&text).is_none_or(|health| health.as_str() == text));
    }

    #[test]
    fn forms(config in prop::collection::btree_map("(shop_url|consumer_key|[a-z~/]{0,6})", any::<String>(), 0..3), credential in prop::collection::btree_map("(consumer_key|consumer_secret|[a-z]{0,6})", any::<String>(), 0..3)) {
        let secrets: model::Fields = credential.iter().map(|(name, text)| (name.clone(), kernel::Secret::new(text.clone()))).collect();
        match model::split(&FormOnly, config, secrets) {
            Ok((public, kept)) => {
                let public = public.as_object().unwrap();
                prop_assert!(public.keys().all(|name| name == "shop_url") && public.contains_key("shop_url"));
                prop_assert!(kept.0.iter().all(|(name, _)| name == "consumer_key" || name == "consumer_secret"));
            }
            Err(problem) => {
                // A refusal names a field, and never what somebody typed into it.
                for text in credential.values().filter(|text| text.chars().count() > 12) {
                    prop_assert!(!problem.detail().contains(text.as_str()));
                }
            }
        }
    }
}
