//! What is peculiar to Shopify. `contract` runs the connector against the simulator.

mod auth;
mod contract;
mod convert;
mod cost;
mod documents;
mod errors;
mod fixtures;
mod fuzz;
mod reads;
mod search;
mod shop;

use kernel::{
    Exit, Personal,
    personal::{Door, Wipe},
};

/// Tests look at what an authorised caller would be answered.
fn shown<T: Wipe + Clone>(value: &Personal<T>) -> T {
    #[expect(clippy::disallowed_methods, reason = "a test looks at what an authorised caller would be answered")]
    value.reveal(&Exit::open(Door::Answer)).clone()
}
