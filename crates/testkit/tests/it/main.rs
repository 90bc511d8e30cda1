//! What the product promises, proven on the whole program: a real PostgreSQL, simulated shops, two nodes where it matters.
//!
//! - [`catalogue`]: tenancy as the database has it
//! - [`connections`]: their credentials, switches, tests and health, and what happens meanwhile
//! - [`deletion`]: an organization that is deleted leaves no way back
//! - [`housekeeping`]: what has run out is removed
//! - [`isolation`]: who may call what, from the OpenAPI document
//! - [`live`]: reading shops, from key to answer, and every way that a shop can fail

mod catalogue;
mod connections;
mod deletion;
mod housekeeping;
mod isolation;
mod live;
