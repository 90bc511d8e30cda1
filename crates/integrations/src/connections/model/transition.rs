//! What may be done with a connection in which status, and what becomes of it: one table.

use kit::{Code, Problem};

use super::Status;

/// What people do with a connection, and what calls to its shop teach.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    Enable,
    Disable,
    Pause,
    Resume,
    /// Its credential is taken away.
    Revoke,
    /// Its account is proved anew, with a new credential.
    Reauthorize,
    Disconnect,
    /// The shop refuses the credential for good.
    Refused,
    /// The platform has switched the shop off.
    SwitchedOff,
    /// A shop that was switched off answers.
    Answered,
}

impl Action {
    /// Those of people, which have an address each.
    pub const OF_PEOPLE: [Self; 7] =
        [Self::Enable, Self::Disable, Self::Pause, Self::Resume, Self::Revoke, Self::Reauthorize, Self::Disconnect];

    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Enable => "enable",
            Self::Disable => "disable",
            Self::Pause => "pause",
            Self::Resume => "resume",
            Self::Revoke => "revoke",
            Self::Reauthorize => "reauthorize",
            Self::Disconnect => "disconnect",
            Self::Refused => "refused",
            Self::SwitchedOff => "switched_off",
            Self::Answered => "answered",
        }
    }
}

/// Whatever a person has decided stays decided: a connection that is off or paused is so with a new credential too, and a paused
/// one is not `suspended`, since it would come back unpaused.
#[rustfmt::skip]
const TABLE: &[(Status, &[(Action, Status)])] = {
    use Action::{Answered, Disable, Disconnect, Enable, Pause, Reauthorize, Refused, Resume, Revoke, SwitchedOff};
    use Status::{Connected, Disabled, Disconnected, NeedsReauth, Paused, Pending, Suspended};
    &[
        (Pending,      &[(Reauthorize, Connected), (Disconnect, Disconnected)]),
        (Connected,    &[(Disable, Disabled), (Pause, Paused), (Revoke, NeedsReauth), (Reauthorize, Connected),
                         (Disconnect, Disconnected), (Refused, NeedsReauth), (SwitchedOff, Suspended)]),
        (Paused,       &[(Disable, Disabled), (Resume, Connected), (Revoke, NeedsReauth), (Reauthorize, Paused),
                         (Disconnect, Disconnected), (Refused, NeedsReauth), (SwitchedOff, Paused)]),
        (Disabled,     &[(Enable, Connected), (Revoke, Disabled), (Reauthorize, Disabled), (Disconnect, Disconnected)]),
        (NeedsReauth,  &[(Revoke, NeedsReauth), (Reauthorize, Connected), (Disconnect, Disconnected)]),
        (Suspended,    &[(Disable, Disabled), (Revoke, NeedsReauth), (Reauthorize, Connected), (Disconnect, Disconnected),
                         (Refused, NeedsReauth), (SwitchedOff, Suspended), (Answered, Connected)]),
        (Disconnected, &[(Reauthorize, Connected), (Disconnect, Disconnected)]),
    ]
};

impl Status {
    fn row(self) -> &'static [(Action, Self)] {
        TABLE.iter().find(|(status, _)| *status == self).map_or(&[], |(_, actions)| actions)
    }

    /// What becomes of a connection; None when the action is not one of its status.
    pub fn after(self, action: Action) -> Option<Self> {
        self.row().iter().find(|(possible, _)| *possible == action).map(|(_, status)| *status)
    }

    /// The same for what a person asks for.
    ///
    /// # Errors
    /// [`Code::ConnectionStatusConflict`], which says what to do and what is possible.
    pub fn allow(self, action: Action) -> Result<Self, Problem> {
        self.after(action).ok_or_else(|| {
            let allowed: Vec<&str> = Action::OF_PEOPLE
                .into_iter()
                .filter(|possible| self.after(*possible).is_some())
                .map(Action::as_str)
                .collect();
            let detail = format!("The connection is {}. {}", self.as_str(), self.advice(action));
            Problem::new(Code::ConnectionStatusConflict, detail)
                .with("status_of_connection", self.as_str())
                .with("allowed", allowed)
        })
    }

    fn advice(self, action: Action) -> &'static str {
        match (self, action) {
            (Self::Disconnected, _) => "Connect its account again first.",
            (Self::Pending, _) => "Finish connecting it first.",
            (Self::NeedsReauth, _) => "Connect it again or set a new credential first.",
            (_, Action::Enable) => "Only one that is disabled can be enabled.",
            (_, Action::Resume) => "Only one that is paused can be resumed.",
            (Self::Disabled, Action::Disable) => "It is switched off already.",
            (Self::Disabled, _) => "Enable it first.",
            (Self::Paused, Action::Pause) => "It is paused already.",
            (Self::Suspended, _) => "Its owner must first settle with the shop's platform what switched the shop off.",
            _ => "There is nothing to do.",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_status_is_in_the_table_once_and_can_be_ended_and_connected_again() {
        for status in Status::ALL {
            assert_eq!(TABLE.iter().filter(|(listed, _)| *listed == status).count(), 1, "{status:?}");
            assert_eq!(status.after(Action::Disconnect), Some(Status::Disconnected), "{status:?}");
            assert!(status.after(Action::Reauthorize).is_some(), "{status:?}");
        }
    }

    #[test]
    fn what_a_person_switched_off_or_paused_is_not_switched_on_by_anything_else() {
        let machines = [Action::Reauthorize, Action::Revoke, Action::Refused, Action::SwitchedOff, Action::Answered];
        for action in machines {
            assert!(matches!(Status::Disabled.after(action), None | Some(Status::Disabled)), "{action:?}");
            assert_ne!(Status::Paused.after(action), Some(Status::Connected), "{action:?}");
        }
        for action in [Action::Refused, Action::SwitchedOff, Action::Answered] {
            assert_eq!(Status::Disconnected.after(action), None, "what is over is not changed by a late answer");
            assert_eq!(Status::NeedsReauth.after(action), None);
        }
    }

    #[test]
    fn people_switch_as_the_table_says() {
        let from = |action: Action| -> Vec<_> {
            Status::ALL.into_iter().filter(|status| status.after(action).is_some()).collect()
        };
        assert_eq!(from(Action::Disable), [Status::Connected, Status::Paused, Status::Suspended]);
        assert_eq!(from(Action::Enable), [Status::Disabled]);
        assert_eq!(from(Action::Pause), [Status::Connected]);
        assert_eq!(from(Action::Resume), [Status::Paused]);
    }

    #[test]
    fn a_refusal_says_what_is_possible_and_what_to_do() {
        for status in Status::ALL {
            for action in Action::OF_PEOPLE {
                let Err(problem) = status.allow(action) else { continue };
                assert_eq!(problem.code(), Code::ConnectionStatusConflict);
                let detail = problem.detail();
                assert!(detail.starts_with(&format!("The connection is {}. ", status.as_str())), "{detail}");
                assert!(!detail.contains("nothing to do"), "{status:?} {action:?}: {detail}");
            }
        }
    }
}
