//! The simulated schema against the real one, where an introspection result of it is at hand.

use super::engine::SCHEMA;
