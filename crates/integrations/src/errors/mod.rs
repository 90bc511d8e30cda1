//! What broke for an organization, for those who may read its events. `kit::error_reports` writes it.

pub mod api;
mod store;
