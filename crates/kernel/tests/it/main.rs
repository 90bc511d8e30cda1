mod clock;
mod compile_fail;
mod fuzz;
mod id;
mod money;
mod permission;
mod personal;
mod plan;
mod random;
mod rights;
mod role;
mod scope;
mod secret;

use chrono::DateTime;
use kernel::Time;

fn start() -> Time {
    DateTime::from_timestamp(1_800_000_000, 123_456_000).expect("a valid time")
}
