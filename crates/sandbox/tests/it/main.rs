//! The simulators as a client sees them: over real TLS and plain HTTP, with an ordinary HTTP client.

mod access;
mod board;
mod faults;
mod hosts;
mod lab;
mod lists;
mod shapes;
