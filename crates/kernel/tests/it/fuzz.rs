//! What comes from outside and is read in this crate, with texts of any kind (`script/soak fuzz`).

use kernel::{
    id::{ConnectionId, OrganizationId},
    permission::{Action, Resource},
};
use proptest::prelude::*;
use uuid::Uuid;

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn ids(text in prop_oneof![any::<String>(), "[{(]?[0-9a-fA-F]{8}-?([0-9a-fA-F]{4}-?){3}[0-9a-fA-F]{12}[})]?", "urn:uuid:.{36}"]) {
        let read = text.parse::<ConnectionId>();
        prop_assert_eq!(read.as_ref().ok().map(|id| id.uuid()), Uuid::parse_str(&text).ok());
        if let Ok(id) = read {
            prop_assert_eq!(id.to_string().parse::<ConnectionId>().unwrap(), id);
            let json = serde_json::to_string(&id).unwrap();
            prop_assert_eq!(serde_json::from_str::<ConnectionId>(&json).unwrap(), id);
        }
        let quoted = serde_json::to_string(&text).unwrap();
        prop_assert_eq!(serde_json::from_str::<OrganizationId>(&quoted).is_ok(), Uuid::parse_str(&text).is_ok());
    }

    #[test]
    fn permissions(text in prop_oneof![any::<String>(), "[a-z_]{1,14}"]) {
        if let Ok(resource) = text.parse::<Resource>() {
            prop_assert_eq!(resource.to_string(), text.clone());
        }
        if let Ok(action) = text.parse::<Action>() {
            prop_assert_eq!(action.to_string(), text);
        }
    }
}
