//! Layer 2: durable work. What must happen after a change is enqueued in the change's own transaction, and happens once
//! as far as our own rows go, however often a process dies in between.
//!
//! - [`Job`]: what to do, under which permissions, how often to try; [`enqueue`] commits it with the caller's change
//! - [`Run`]: one attempt. [`Run::complete`] commits the effect and the end of the job together, under its lease
//! - [`Runner`]: claims, runs, retries; any number of them share the table `jobs`
//! - [`Schedule`]: a job for every organization, every so often
//! - [`backlog`]: how much waits in which state, and how old it is
//!
//! # The life of a job
//! `ready` (or `scheduled` for later) → `running` under a lease with a fencing token → removed, or `retrying`, `throttled`,
//! and in the end `dead`. A lease that is not renewed runs out, and the job becomes `ready` again. An effect outside our
//! database can therefore happen again: a job makes it idempotent, or looks whether it happened.
//!
//! # What a claim promises
//! - **Round robin**: one job of each organization before a second of any, and no more in flight than a cap for each.
//! - **Order**: of the jobs with one ordering key only the one enqueued first can run; an index refuses a second.
//! - **No waiting**: what another transaction holds is passed over.

mod attempt;
mod failure;
mod job;
mod leases;
mod metrics;
mod queue;
mod retry;
mod run;
mod runner;
mod schedule;
mod store;

pub use failure::{Cause, Failure};
pub use job::Job;
pub use queue::{Backlog, State, backlog, enqueue, enqueue_as_system, enqueue_at, purge_dead};
pub use retry::Retry;
pub use run::{Done, Run};
pub use runner::{Limits, Runner, RunnerHandle};
pub use schedule::Schedule;
