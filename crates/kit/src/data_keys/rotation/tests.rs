use chrono::DateTime;
use kernel::{Clock, Time};

use super::model::{KeyRotationId, Known, Misfit, Rotation, Standing, standing};
use crate::vault::{Fingerprint, MasterKey, MasterKeyError, MasterKeys};

fn start() -> Time {
    DateTime::from_timestamp(1_800_000_000, 0).unwrap()
}

/// Three keys, each made anew wherever one is needed, since a key is not copied.
struct Three([String; 3]);

impl Three {
    fn new() -> Self {
        Self(std::array::from_fn(|_| hex::encode(kernel::random::bytes::<32>())))
    }

    fn key(&self, number: usize) -> MasterKey {
        let text = self.0[number].clone();
        MasterKey::from_lookup(|name| (name == "ENTREPOT_MASTER_KEY").then(|| text.clone().into())).unwrap()
    }

    fn name(&self, number: usize) -> Fingerprint {
        self.key(number).fingerprint()
    }

    fn keys(&self, current: usize, previous: Option<usize>) -> MasterKeys {
        MasterKeys::new(self.key(current), previous.map(|number| self.key(number))).unwrap()
    }

    fn rotation(&self, from: usize, to: usize, is_finished: bool) -> Rotation {
        Rotation {
            id: KeyRotationId::new(&Clock::manual(start())),
            from: self.name(from),
            to: self.name(to),
            began_at: start(),
            total: 1,
            rewrapped: 0,
            reached: None,
            finished_at: is_finished.then(start),
        }
    }
}

#[test]
fn which_keys_a_process_may_start_with_is_decided_by_what_the_database_says() {
    let three = Three::new();
    let [a, b, c] = [0, 1, 2].map(|number| three.name(number));
    let (unfinished, finished) = (three.rotation(0, 1, false), three.rotation(0, 1, true));
    let (never, during, after) = ((a, None), (b, Some(&unfinished)), (b, Some(&finished)));
    type Case<'a> = ((usize, Option<usize>), (Fingerprint, Option<&'a Rotation>), Result<Standing, Misfit>);
    let cases: &[Case<'_>] = &[
        ((0, None), never, Ok(Standing::Settled)),
        ((1, None), never, Err(Misfit::Wrong { active: a, present: b })),
        ((1, Some(0)), never, Ok(Standing::Prepared)),
        ((0, Some(1)), never, Err(Misfit::StrangePrevious { active: a, previous: b })),
        ((1, Some(2)), never, Err(Misfit::Wrong { active: a, present: b })),
        ((1, Some(0)), during, Ok(Standing::Rotating)),
        ((1, None), during, Err(Misfit::PreviousNeeded { from: a, active: b })),
        ((0, None), during, Err(Misfit::Replaced { active: b, present: a })),
        ((0, Some(1)), during, Err(Misfit::Swapped { active: b, present: a })),
        ((2, Some(1)), during, Err(Misfit::StillRotating { from: a, active: b })),
        ((1, Some(2)), during, Err(Misfit::StrangePrevious { active: b, previous: c })),
        ((1, Some(0)), after, Ok(Standing::PreviousUnused)),
        ((1, None), after, Ok(Standing::Settled)),
        ((0, None), after, Err(Misfit::Replaced { active: b, present: a })),
        ((0, Some(1)), after, Err(Misfit::Swapped { active: b, present: a })),
        ((2, Some(1)), after, Ok(Standing::Prepared)),
        ((2, Some(0)), after, Err(Misfit::Wrong { active: b, present: c })),
    ];
    for ((current, previous), (active, last), expected) in cases {
        let current_was_replaced = last.is_some() && *current == 0;
        let known = Known { active: *active, last: *last, current_was_replaced };
        let found = standing(&three.keys(*current, *previous), known);
        assert_eq!(found, *expected, "current {current}, previous {previous:?}, {known:?}");
    }
    let known = Known { active: c, last: Some(&three.rotation(1, 2, true)), current_was_replaced: true };
    assert_eq!(
        standing(&three.keys(0, Some(2)), known),
        Err(Misfit::Reused { present: a }),
        "an old key does not come back"
    );
}

#[test]
fn the_same_key_twice_is_refused_and_either_of_two_is_found_by_its_name() {
    let three = Three::new();
    assert!(matches!(MasterKeys::new(three.key(0), Some(three.key(0))), Err(MasterKeyError::SameTwice)));
    let keys = three.keys(1, Some(0));
    assert_eq!((keys.current(), keys.previous()), (three.name(1), Some(three.name(0))));
    assert!(keys.holds(three.name(0)) && keys.holds(three.name(1)) && !keys.holds(three.name(2)));
}
