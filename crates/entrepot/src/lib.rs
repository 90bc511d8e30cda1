//! Layer 8: the program. [`assembly`] is the table of contents: it names every slice and every provider.

pub mod assembly;
pub mod cli;
pub mod demo;
pub mod housekeeping;
pub mod pages;
pub mod server;
pub mod startup;
