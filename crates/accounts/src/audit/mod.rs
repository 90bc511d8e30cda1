//! The trail of every change, for those who may read it.

pub mod api;
pub mod jobs;
mod store;
