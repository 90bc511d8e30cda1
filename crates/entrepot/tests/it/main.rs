//! The program as an operator meets it, and the repository as a reader does.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails where it stands")]

mod backup;
mod doctor;
mod documents;
mod fuzzing;
mod https;
mod keys;
mod migrations;
mod nodes;
mod openapi;
mod outage;
mod plans;
mod process;
mod repository;
mod sbom;
mod start;
mod tidy;
mod upgrade_cluster;
