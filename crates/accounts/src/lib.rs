//! Layer 4: who there is. Organizations, people with their seats and sessions, invitations, API keys, and the trail of what they changed.

pub mod api_keys;
pub mod audit;
pub mod authentication;
#[cfg(test)]
mod fuzz;
pub mod grants;
mod hashing;
pub mod invitations;
mod letters;
pub mod members;
pub mod organizations;
pub mod retention;
pub mod sessions;
pub mod team_members;
pub mod user_links;
mod words;

pub use authentication::Authentication;
