//! What people are told, and the sentence for it.

use chrono::{DateTime, Utc};
use kernel::{ApiKeyId, ConnectionId, MemberId};
use serde_json::{Value, json};
use uuid::Uuid;

macro_rules! kinds {
    ($($(#[$doc:meta])* $variant:ident = $word:literal, $severity:literal;)+) => {
        /// What a notification tells of.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum Kind { $($(#[$doc])* $variant),+ }

        impl Kind {
            pub const ALL: &'static [Self] = &[$(Self::$variant),+];

            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $word),+ }
            }

            /// `info` is good to know, of `warning` something follows by itself, with `error` something does not work until somebody
            /// acts.
            pub const fn severity(self) -> &'static str {
                match self { $(Self::$variant => $severity),+ }
            }

            pub fn parse(word: &str) -> Option<Self> {
                Self::ALL.iter().copied().find(|kind| kind.as_str() == word)
            }
        }
    };
}

kinds! {
    ApiKeySuspended = "api_key_suspended", "error";
    ConnectionNeedsReauth = "connection_needs_reauth", "error";
    ConnectionTransferred = "connection_transferred", "warning";
    ConnectionPausedByPlan = "connection_paused_by_plan", "warning";
    MemberJoined = "member_joined", "info";
    TrialEnding = "trial_ending", "warning";
    TrialEnded = "trial_ended", "warning";
    PlanEnded = "plan_ended", "warning";
    PlanChanged = "plan_changed", "info";
    LimitNear = "limit_near", "warning";
    LimitReached = "limit_reached", "error";
}

impl Kind {
    /// The sentence, with what is in the parameters. They hold names of things, dates and numbers.
    pub fn title(self, params: &Value) -> String {
        let text = |name: &str| match &params[name] {
            Value::String(text) => text.clone(),
            Value::Null => "?".to_owned(),
            other => other.to_string(),
        };
        match self {
            Self::ApiKeySuspended => {
                format!(
                    "The API key \"{}\" was suspended, and is revoked in 24 hours unless it is cleared.",
                    text("key")
                )
            }
            Self::ConnectionNeedsReauth => format!("{} must be connected again.", text("store")),
            Self::ConnectionTransferred => format!("{} was connected to another organization.", text("store")),
            Self::ConnectionPausedByPlan => format!("{} is beyond what the plan allows and was paused.", text("store")),
            Self::MemberJoined => format!("Somebody you invited has joined as {}.", text("role").replace('_', " ")),
            Self::TrialEnding => {
                let end = text("ends_at").parse::<DateTime<Utc>>();
                let end =
                    end.map_or_else(|_| "soon".to_owned(), |end| end.format("on %-d %B at %H:%M UTC").to_string());
                format!("The trial of the professional plan ends {end}.")
            }
            Self::TrialEnded => "The trial has ended. The plan is free from now on.".to_owned(),
            Self::PlanEnded => "The plan has ended. It is free from now on.".to_owned(),
            Self::PlanChanged => format!("The plan is now {}, {}.", text("plan"), text("status")),
            Self::LimitNear => format!("80 % of {} {} are used.", text("allowed"), text("limit")),
            Self::LimitReached => format!("The {} {} are used up.", text("allowed"), text("limit")),
        }
    }
}

/// What a notification is about, where that is one thing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum About {
    Connection(ConnectionId),
    ApiKey(ApiKeyId),
    Member(MemberId),
}

impl About {
    pub(super) fn connection(self) -> Option<Uuid> {
        match self {
            Self::Connection(id) => Some(id.uuid()),
            Self::ApiKey(_) | Self::Member(_) => None,
        }
    }

    /// What is no connection, by its name.
    pub(super) fn other(self) -> Option<(&'static str, Uuid)> {
        match self {
            Self::Connection(_) => None,
            Self::ApiKey(id) => Some(("api_key", id.uuid())),
            Self::Member(id) => Some(("member", id.uuid())),
        }
    }
}

/// What is to be told.
#[derive(Clone, Debug)]
pub struct Notice {
    pub kind: Kind,
    pub params: Value,
    pub about: Option<About>,
    /// A person is told of the same once.
    pub dedupe_key: Option<String>,
}

impl Notice {
    pub fn of(kind: Kind) -> Self {
        Self { kind, params: json!({}), about: None, dedupe_key: None }
    }

    #[must_use]
    pub fn about(mut self, about: About) -> Self {
        self.about = Some(about);
        self
    }

    /// What its sentence is made with: nothing about persons.
    #[must_use]
    pub fn with(mut self, params: Value) -> Self {
        self.params = params;
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_has_a_word_of_its_own_and_a_sentence_for_whatever_was_stored() {
        for kind in Kind::ALL {
            assert_eq!(Kind::parse(kind.as_str()), Some(*kind));
            for params in [json!({}), Value::Null, json!({ "store": 3, "ends_at": "x" })] {
                assert!(kind.title(&params).ends_with('.'), "{kind:?}");
            }
        }
        assert_eq!(Kind::parse("nothing"), None);
    }

    #[test]
    fn a_sentence_names_what_it_is_about() {
        let params = json!({ "ends_at": "2026-12-04T09:05:00Z" });
        assert_eq!(
            Kind::TrialEnding.title(&params),
            "The trial of the professional plan ends on 4 December at 09:05 UTC."
        );
        let params = json!({ "allowed": 5000, "limit": "live reads per day" });
        assert_eq!(Kind::LimitReached.title(&params), "The 5000 live reads per day are used up.");
    }
}
