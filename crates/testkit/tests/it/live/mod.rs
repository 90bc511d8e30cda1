//! Live reads, end to end.

mod reading;
