//! Runs PostgreSQL itself.
