//! What leaves for the operator's own collectors: traces (OpenTelemetry) and error reports (Sentry). Off unless an address is set;
//! nobody waits for them, and what they do not take is counted and forgotten.
//!
//! These addresses are the operator's, often on loopback or in a private network, where the guarded client of connectors calls
//! nobody. They come from the environment of the program, never from a request or a row, so they have a client of their own
//! ([`client`]), which follows no redirect.

mod client;
pub mod sentry;
pub mod traces;
