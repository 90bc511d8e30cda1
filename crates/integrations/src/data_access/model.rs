//! The three switches (seed document 002).

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// What may be read of a store; everything, unless its owner says otherwise.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct DataAccess {
    pub allow_customer_access: bool,
    pub allow_order_access: bool,
    pub allow_product_access: bool,
}

impl Default for DataAccess {
    fn default() -> Self {
        Self { allow_customer_access: true, allow_order_access: true, allow_product_access: true }
    }
}
