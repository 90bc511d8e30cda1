//! What can be connected on this installation: the providers, from their manifests.

pub mod api;
