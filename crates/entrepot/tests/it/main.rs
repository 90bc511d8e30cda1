//! The program as an operator meets it, and the repository as a reader does.

mod openapi;
mod start;
mod tidy;
