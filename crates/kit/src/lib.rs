//! Layer 3: what every slice is made with.
//!
//! - [`app`]: the shared state, [`caller`]: who may call a handler, as its first argument
//! - [`problem`]: errors for people (RFC 9457), [`input`]: bodies and parameters within limits, [`page`]: cursor pages
//! - [`cross_origin`]: calls from web pages of other origins
//! - [`idempotency`]: what is created once, however often it is sent
//! - [`route`]: a handler with its place in the OpenAPI document, [`vocabulary`]: closed sets of words in it
//! - [`answer`]: the one writer that may put personal data into an answer
//! - [`trail`]: the activity log and the audit log, [`rate_limit`]: a caller's minute, shared by all nodes
//! - [`decision_cache`]: memory that is believed only while this node hears of changes
//! - [`error_reports`]: what broke, counted by what it was
//! - [`mail`]: what is written to people, sent by a job
//! - [`retention`]: what is kept, and for how long
//! - [`vault`]: sealing, [`data_keys`]: the rows of its keys, [`single_flight`]: one of a kind at a time

pub mod answer;
pub mod app;
pub mod caller;
pub mod cross_origin;
pub mod data_keys;
pub mod decision_cache;
pub mod error_reports;
#[cfg(test)]
mod fuzz;
pub mod idempotency;
pub mod input;
pub mod mail;
pub mod network;
pub mod page;
pub mod problem;
pub mod rate_limit;
pub mod request_id;
pub mod retention;
pub mod route;
pub mod single_flight;
pub mod trail;
pub mod vault;
pub mod vocabulary;

pub use app::{ApiKeyPrefix, App, Config};
pub use caller::{AcrossConnections, AtConnection, Authorized, Lasting, Public, Reproved, SignedIn, SteppedUp};
pub use problem::{Code, Problem};

/// For [`route!`], which names it where it is called.
#[doc(hidden)]
pub use utoipa_axum;

pub type Router = utoipa_axum::router::OpenApiRouter<App>;
