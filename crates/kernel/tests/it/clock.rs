use chrono::Duration;
use kernel::Clock;

use crate::start;

#[test]
fn a_manual_clock_stands_still_until_it_is_moved_with_all_its_clones() {
    let clock = Clock::manual(start());
    let clone = clock.clone();
    assert_eq!(clock.now(), start());
    assert_eq!(clock.now(), start());
    clone.advance(Duration::hours(25));
    clock.advance(Duration::microseconds(-7));
    let expected = start() + Duration::hours(25) - Duration::microseconds(7);
    assert_eq!((clock.now(), clone.now()), (expected, expected));
    assert_eq!(Clock::manual(start()).now(), start(), "another clock is not moved");
}

#[test]
fn a_shifted_clock_runs_on_from_where_it_was_moved() {
    let (system, shifted) = (Clock::system(), Clock::shifted());
    let before = system.now();
    shifted.clone().advance(Duration::days(30));
    let first = shifted.now();
    let second = shifted.now();
    let after = system.now();
    assert!(before + Duration::days(30) <= first && first <= second && second <= after + Duration::days(30));
}

#[test]
fn the_system_s_clock_cannot_be_moved() {
    let clock = Clock::default();
    let before = clock.now();
    clock.advance(Duration::days(30));
    assert!(clock.now() - before < Duration::days(1));
}
