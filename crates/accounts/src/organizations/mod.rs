//! Organizations: the tenants.
pub mod api;
