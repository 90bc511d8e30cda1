//! Layer 1: what every provider is made with.
//!
//! A provider is code that knows one outside system and nothing of ours: no database, no tenant, no HTTP server.
//! It answers with the canonical models of [`model`], fails with one of the few [`ProviderError`]s, and reaches the
//! outside through [`http::Http`] only, the one client with the guard against internal addresses.

pub mod credential;
pub mod error;
pub mod http;
pub mod json;
pub mod model;
pub mod provider;
pub mod query;
pub mod registry;
pub mod signature;

pub use credential::{AppCredentials, Credential, KeyPair, Token};
pub use error::ProviderError;
pub use model::{Address, Customer, Order, Product};
pub use provider::{Account, AuthorizationCode, Call, Established, Manifest, PastedKeys, Provider, Read};
pub use query::{
    Answer, Coverage, Fields, Filter, Filters, Notes, Page, Position, Query, Selection, Withheld, WithheldReason,
};
pub use registry::Registry;
