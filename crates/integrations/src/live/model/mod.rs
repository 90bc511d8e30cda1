//! What is asked for ([`ask`]), how an answer is checked again ([`check`]), and the unified objects ([`unified`]).

pub mod ask;
pub(super) mod check;
#[cfg(test)]
mod fuzz;
pub(super) mod parameters;
pub mod unified;
