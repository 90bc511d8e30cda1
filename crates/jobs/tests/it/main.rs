//! The queue on a real PostgreSQL, one database for each test.

mod fairness;
mod leases;
mod order;
mod queueing;
mod retries;
mod runner;
mod schedules;
mod server;
mod support;
mod tenancy;
