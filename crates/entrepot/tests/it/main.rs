//! The program as an operator meets it.

mod openapi;
mod start;
