//! The organization's activity log, for those who may read it. `kit::trail` writes it.

pub mod api;
mod store;
