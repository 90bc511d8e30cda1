//! What holds for the repository as a whole.

mod documents;
mod repository;
mod tidy;
