//! Which master keys a process must have, and what to tell an operator whose keys do not fit.

use kernel::Time;
use uuid::Uuid;

use crate::vault::{Fingerprint, MASTER_KEY, MASTER_KEY_PREVIOUS, MasterKeys};

pub enum KeyRotation {}
pub type KeyRotationId = kernel::Id<KeyRotation>;

/// One replacement of the master key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rotation {
    pub id: KeyRotationId,
    pub from: Fingerprint,
    pub to: Fingerprint,
    pub began_at: Time,
    /// How many data keys there were to wrap anew, and how many are.
    pub total: i64,
    pub rewrapped: i64,
    pub(super) reached: Option<(Uuid, Uuid)>,
    /// None while data keys are left under `from`.
    pub finished_at: Option<Time>,
}

impl Rotation {
    pub fn is_finished(&self) -> bool {
        self.finished_at.is_some()
    }
}

/// How many data keys are under a master key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UnderKey {
    pub key: Fingerprint,
    pub data_keys: i64,
}

/// How a process with the right keys stands to its database.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// One key, and it is the one that counts.
    Settled,
    /// The new key is here, beside the one that counts; `entrepot keys rotate` makes the change.
    Prepared,
    /// Both are here, and data keys are left under the one before.
    Rotating,
    /// Both are here, and the one before opens nothing any more.
    PreviousUnused,
}

/// The process has not got the keys that it needs. Names keys by their fingerprints.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Misfit {
    #[error(
        "this database was filled with master key {active}, but the program runs with master key {present}. Give it the one that \
         belongs to it; with another nothing sealed could be opened"
    )]
    Wrong { active: Fingerprint, present: Fingerprint },
    #[error(
        "master key {present} was replaced by {active}: set {MASTER_KEY} (or its file) to the new key, which this database was filled with \
         since"
    )]
    Replaced { active: Fingerprint, present: Fingerprint },
    #[error(
        "data keys are still wrapped under master key {from}, which {active} replaces: set {MASTER_KEY_PREVIOUS} (or its file) to it until \
         `entrepot keys status` says that it can be removed"
    )]
    PreviousNeeded { from: Fingerprint, active: Fingerprint },
    #[error(
        "{MASTER_KEY} and {MASTER_KEY_PREVIOUS} (or their files) are swapped: {active} is the new key and {present} the one that it replaces"
    )]
    Swapped { active: Fingerprint, present: Fingerprint },
    #[error(
        "{MASTER_KEY_PREVIOUS} (or its file) is {previous}, which this database was never filled with; its master key is {active}. To \
         replace {active}, the new key goes to {MASTER_KEY}, and {active} to {MASTER_KEY_PREVIOUS}"
    )]
    StrangePrevious { active: Fingerprint, previous: Fingerprint },
    #[error("master key {present} was in use before and was replaced: make a new one with `entrepot master-key`")]
    Reused { present: Fingerprint },
    #[error(
        "master key {from} is still being replaced by {active}: let that finish (`entrepot keys rotate` with these two) before {active} is \
         replaced by another"
    )]
    StillRotating { from: Fingerprint, active: Fingerprint },
}

/// What the database says of its master keys.
#[derive(Clone, Copy, Debug)]
pub(super) struct Known<'a> {
    pub(super) active: Fingerprint,
    pub(super) last: Option<&'a Rotation>,
    /// Whether the process's current key was replaced at any time.
    pub(super) current_was_replaced: bool,
}

pub(super) fn standing(masters: &MasterKeys, known: Known<'_>) -> Result<Standing, Misfit> {
    let Known { active, last, current_was_replaced } = known;
    let present = masters.current();
    let unfinished = last.filter(|rotation| !rotation.is_finished());
    match masters.previous() {
        None if present == active => match unfinished {
            Some(rotation) => Err(Misfit::PreviousNeeded { from: rotation.from, active }),
            None => Ok(Standing::Settled),
        },
        None if current_was_replaced => Err(Misfit::Replaced { active, present }),
        None => Err(Misfit::Wrong { active, present }),
        Some(previous) if present == active => match last.filter(|rotation| rotation.from == previous) {
            Some(rotation) if rotation.is_finished() => Ok(Standing::PreviousUnused),
            Some(_) => Ok(Standing::Rotating),
            None => Err(Misfit::StrangePrevious { active, previous }),
        },
        Some(previous) if previous == active => {
            if last.is_some_and(|rotation| rotation.from == present) {
                Err(Misfit::Swapped { active, present })
            } else if let Some(rotation) = unfinished {
                Err(Misfit::StillRotating { from: rotation.from, active })
            } else if current_was_replaced {
                Err(Misfit::Reused { present })
            } else {
                Ok(Standing::Prepared)
            }
        }
        Some(_) => Err(Misfit::Wrong { active, present }),
    }
}
