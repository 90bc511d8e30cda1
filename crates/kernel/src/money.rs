//! Exact amounts with their currency.

use rust_decimal::Decimal;
use serde::{Deserialize, Serialize};

/// An amount in major units (`12.50`), as exact as the source gave it; serialised as a string.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Money {
    #[serde(with = "rust_decimal::serde::str")]
    pub amount: Decimal,
    /// ISO 4217 where the shop keeps to it; some use codes of their own (`IRT`).
    pub currency: String,
}
