//! The program as an operator meets it, and the repository as a reader does.

#![expect(clippy::unwrap_used, reason = "helpers of tests fail as tests do")]

mod documents;
mod openapi;
mod repository;
mod start;
mod tidy;
