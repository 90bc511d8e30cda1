//! Layer 8: the program. [`assembly`] is the table of contents: it names every slice and every provider.

pub mod assembly;
pub mod backup;
pub mod cli;
pub mod demo;
pub mod doctor;
mod document;
mod error_reporting;
pub mod housekeeping;
pub mod keys;
pub mod pages;
pub mod restore;
pub mod sandbox_command;
pub mod server;
pub mod simulated;
pub mod startup;
pub mod telemetry;
pub mod upgrade_cluster;
pub mod verify;

/// A page of records is thousands of small texts, made and given back on different threads: glibc's allocator spends a
/// quarter of a live read on them.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;
