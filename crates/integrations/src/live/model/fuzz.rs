//! What a shop is asked for, of any kind (`script/soak fuzz`).

use kit::{Code, input};
use proptest::prelude::*;
use serde_json::{Value, json};

use super::ask::ListParams;

const STORE: &str = "01890a5d-ac96-774b-bcce-b302099a8057";

fn values() -> impl Strategy<Value = Value> {
    prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i32>().prop_map(Value::from),
        ".{0,20}".prop_map(Value::from),
        "(paid|draft|completed|a@b\\.c|[a-z,]{0,20})".prop_map(Value::from),
        "[0-9]{4}-[01][0-9]-[0-3][0-9]T[0-2][0-9]:[0-5][0-9]:[0-6][0-9](Z|[+-][0-2][0-9]:[0-5][0-9])"
            .prop_map(Value::from),
        "[+-][0-9]{4,6}-01-01T00:00:00Z".prop_map(Value::from),
        prop::collection::vec(".{0,8}", 0..5).prop_map(Value::from),
    ]
}

const NAMES: &[&str] = &[
    "page",
    "limit",
    "cursor",
    "fields",
    "ids",
    "email",
    "phone",
    "search",
    "status",
    "payment_status",
    "customer_id",
    "number",
    "sku",
    "created_after",
    "created_before",
    "updated_after",
    "updated_before",
    "store_id",
    "other",
];

proptest! {
    #[test]
    fn searches(given in prop::collection::btree_map(prop::sample::select(NAMES), values(), 0..5)) {
        let mut body = json!({ "store_id": STORE });
        for (name, value) in &given {
            body[*name] = value.clone();
        }
        let params = match input::json::<ListParams>(body.to_string().as_bytes()) {
            Ok(params) => params,
            Err(problem) => {
                prop_assert_eq!(problem.code(), Code::InvalidRequest);
                return Ok(());
            }
        };
        let digest = params.filter_digest(&[7; 32]);
        match params.filters() {
            Ok(filters) => {
                prop_assert!(filters.ids.len() <= 100 && filters.ids.iter().all(|id| !id.is_empty() && id.len() <= 200));
                for text in [&filters.status, &filters.customer_id, &filters.number, &filters.sku].into_iter().flatten() {
                    prop_assert!((1..=254).contains(&text.chars().count()) && !text.chars().any(char::is_control));
                }
                for (after, before) in [(filters.created_after, filters.created_before), (filters.updated_after, filters.updated_before)] {
                    if let (Some(after), Some(before)) = (after, before) {
                        prop_assert!(after < before);
                    }
                }
                // The same filters in an address mean the same, and lead to the same cursors.
                if given.values().all(|value| matches!(value, Value::String(text) if !text.is_empty())) {
                    let pairs = body.as_object().unwrap().iter().map(|(name, value)| (name, value.as_str().unwrap_or_default()));
                    let query = url::form_urlencoded::Serializer::new(String::new()).extend_pairs(pairs).finish();
                    let asked = input::query::<ListParams>(&query).unwrap();
                    prop_assert_eq!(asked.filter_digest(&[7; 32]), digest);
                }
            }
            Err(problem) => prop_assert!(!problem.detail().is_empty()),
        }
    }
}
