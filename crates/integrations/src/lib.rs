//! Layer 5: the outside of an organization. Its connections, what may be read of them, and reading it live.

pub mod catalog;
pub mod connections;
pub mod data_access;
pub mod errors;
pub mod events;
pub mod health;
pub mod live;
pub mod oauth;
pub mod problem;
mod words;
