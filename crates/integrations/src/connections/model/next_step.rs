//! What somebody is to do about a connection, as a word for programs and a sentence for people.

use super::{Health, Status};

/// Who does what next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NextStep {
    /// Consent again at the shop, or set a new credential where the provider takes keys.
    Reauthorize,
    Enable,
    Resume,
    /// Disconnect another, or have the plan allow more.
    LiftPlan,
    /// The shop's owner, with the shop's platform.
    SettleWithPlatform,
    /// It passes by itself.
    Wait,
}

impl NextStep {
    pub const ALL: [Self; 6] =
        [Self::Reauthorize, Self::Enable, Self::Resume, Self::LiftPlan, Self::SettleWithPlatform, Self::Wait];

    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Reauthorize => "reauthorize",
            Self::Enable => "enable",
            Self::Resume => "resume",
            Self::LiftPlan => "lift_plan",
            Self::SettleWithPlatform => "settle_with_platform",
            Self::Wait => "wait",
        }
    }

    /// None when there is nothing to do.
    pub fn of(status: Status, health: Health, has_credential: bool, is_beyond_plan: bool) -> Option<Self> {
        match status {
            Status::Pending | Status::NeedsReauth | Status::Disconnected => Some(Self::Reauthorize),
            Status::Disabled if !has_credential => Some(Self::Reauthorize),
            Status::Disabled => Some(Self::Enable),
            Status::Suspended => Some(Self::SettleWithPlatform),
            Status::Connected | Status::Paused => match health {
                Health::Ok if is_beyond_plan => Some(Self::LiftPlan),
                Health::Ok if status == Status::Paused => Some(Self::Resume),
                Health::Ok => None,
                Health::Degraded => Some(Self::Wait),
                Health::Failing => Some(Self::SettleWithPlatform),
            },
        }
    }

    pub const fn text(self, status: Status) -> &'static str {
        match (self, status) {
            (Self::Reauthorize, Status::Disconnected) => {
                "To connect it once more, consent at the shop again, or make new keys there and set them here."
            }
            (Self::Reauthorize, _) => {
                "Our access has ended: consent at the shop again, or make new keys there and set them here."
            }
            (Self::Enable, _) => "Enable it when the shop is to be read again.",
            (Self::Resume, _) => "Resume it when work in the background is to go on. Live reads go on meanwhile.",
            (Self::LiftPlan, _) => {
                "It is beyond what the plan allows: disconnect another of the provider, or ask your operator for a larger plan. It goes \
                 on by itself then. Live reads go on meanwhile."
            }
            (Self::SettleWithPlatform, _) => {
                "The shop's owner must settle with its platform what switched the shop off; it is connected again by itself."
            }
            (Self::Wait, _) => "Nothing: the shop fails in passing, and is asked again with the next read.",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whatever_does_not_work_has_a_next_step_and_what_works_has_none() {
        for status in Status::ALL {
            for health in Health::ALL {
                let is_well = status == Status::Connected && health == Health::Ok;
                assert_eq!(NextStep::of(status, health, true, false).is_none(), is_well, "{status:?} {health:?}");
                assert!(NextStep::of(status, health, true, true).is_some(), "{status:?} {health:?}");
            }
        }
        assert_eq!(NextStep::of(Status::Disabled, Health::Ok, false, false), Some(NextStep::Reauthorize));
        assert_eq!(NextStep::of(Status::Disabled, Health::Ok, true, false), Some(NextStep::Enable));
    }
}
