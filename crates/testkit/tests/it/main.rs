//! What the product promises, proven on the whole program: a real PostgreSQL, simulated shops, two nodes where it matters.
//!
//! - [`api_keys`]: checking, limits, rotation
//! - [`canary`]: nothing personal and no secret is left anywhere
//! - [`catalogue`]: tenancy as the database has it
//! - [`input`]: whatever text people send
//! - [`isolation`]: who may call what, from the OpenAPI document
//! - [`live`]: reading shops, from key to answer, and every way that a shop can fail

mod api_keys;
mod canary;
mod catalogue;
mod input;
mod isolation;
mod live;
