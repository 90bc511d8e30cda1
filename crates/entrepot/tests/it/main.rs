//! The program as an operator meets it, and the repository as a reader does.

mod documents;
mod openapi;
mod repository;
mod start;
mod tidy;
