//! The GraphQL Admin API.

pub(super) mod access;
pub(super) mod answer;
pub(super) mod bucket;
mod cost;
pub(super) mod countries;
mod engine;
pub(super) mod resolve;
pub(super) mod search;

pub(super) use engine::Documents;

#[cfg(test)]
mod schema_test;
