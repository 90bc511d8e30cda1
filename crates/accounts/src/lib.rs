//! Layer 4: who there is. Organizations with their plans, people with their seats, sessions and notifications, invitations, API keys, and
//! the trail of what they changed.

pub mod api_keys;
pub mod audit;
pub mod authentication;
pub mod factors;
#[cfg(test)]
mod fuzz;
pub mod grants;
mod hashing;
pub mod identities;
pub mod invitations;
mod letters;
pub mod members;
pub mod notifications;
pub mod oidc;
pub mod organizations;
pub mod plans;
pub mod retention;
pub mod sessions;
pub mod team_members;
pub mod user_links;
mod words;

pub use authentication::Authentication;
