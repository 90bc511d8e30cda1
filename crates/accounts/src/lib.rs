//! Layer 4: who there is. Organizations, people and their sessions, API keys, and the trail of what they changed.

pub mod api_keys;
pub mod audit;
pub mod authentication;
mod hashing;
pub mod organizations;
pub mod sessions;
mod words;

pub use authentication::Authentication;
