//! What the product promises, proven on the whole program: a real PostgreSQL, simulated shops, two nodes where it matters.
//!
//! - [`catalogue`]: tenancy as the database has it
//! - [`isolation`]: who may call what, from the OpenAPI document
//! - [`live`]: reading shops, from key to answer, and every way that a shop can fail

mod catalogue;
mod isolation;
mod live;
