//! The audit log: every operation that changes something leaves a line, and those who may read it find it.

mod completeness;
mod filters;
