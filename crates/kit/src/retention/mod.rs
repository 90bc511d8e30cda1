//! What is kept, and for how long: the one list from which what has run out is removed, `GET /api/retention` answers, and
//! `docs/retention.md` is made.
//!
//! A table that is in no [`Rule`] and not in [`STAYS`] fails a test: whoever makes one says how long its rows are kept.
//! `entrepot::housekeeping` matches over [`Kind`], so a kind that nobody removes does not compile.

mod rules;

use std::{collections::BTreeMap, str::FromStr};

use chrono::Duration;
use kernel::Time;

pub use rules::{DELETIONS, Deletion, RULES, STAYS, Stays};

/// Rows that one statement removes at most: the rest waits for the next.
pub const BATCH: i64 = 1_000;

/// Something that is kept for a time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    Events,
    AccessLog,
    AuditLog,
    StorePermissions,
    Connections,
    TeamMembers,
    Grants,
    ApiKeys,
    Organizations,
    DeadJobs,
    Invitations,
    Sessions,
    Links,
    Mail,
    IdempotencyKeys,
    LoginAttempts,
    OauthStates,
    RateWindows,
    Notifications,
    UsageCounters,
    ErrorReports,
    Challenges,
}

impl Kind {
    pub const ALL: [Self; 22] = [
        Self::Events,
        Self::AccessLog,
        Self::AuditLog,
        Self::StorePermissions,
        Self::Connections,
        Self::TeamMembers,
        Self::Grants,
        Self::ApiKeys,
        Self::Organizations,
        Self::DeadJobs,
        Self::Invitations,
        Self::Sessions,
        Self::Links,
        Self::Mail,
        Self::IdempotencyKeys,
        Self::LoginAttempts,
        Self::OauthStates,
        Self::RateWindows,
        Self::Notifications,
        Self::UsageCounters,
        Self::ErrorReports,
        Self::Challenges,
    ];

    /// # Panics
    /// Never: a test holds the list to the kinds.
    pub fn rule(self) -> &'static Rule {
        RULES
            .iter()
            .find(|rule| rule.kind == self)
            .unwrap_or_else(|| unreachable!("{self:?} has a rule, which a test looks for"))
    }
}

/// How a kind is kept.
#[derive(Debug)]
pub struct Rule {
    pub kind: Kind,
    /// As the setting and the API call it.
    pub name: &'static str,
    /// The tables that hold it and nothing else.
    pub tables: &'static [&'static str],
    /// What it is, for people.
    pub what: &'static str,
    /// Whom it is kept for.
    pub of: Of,
    pub days: Days,
    /// From when the days are counted.
    pub counted_from: &'static str,
    pub removal: Removal,
    /// The operation that brings it back until then.
    pub restored_by: Option<&'static str>,
    /// The operation that gives it out before it goes.
    pub exported_by: Option<&'static str>,
}

/// Whose something is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Of {
    Organization,
    /// One with an account, whatever their organizations.
    Person,
    /// Everybody who calls.
    Caller,
}

impl Of {
    pub const ALL: [Self; 3] = [Self::Organization, Self::Person, Self::Caller];

    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Organization => "organization",
            Self::Person => "person",
            Self::Caller => "caller",
        }
    }
}

/// How long: as usual, and between which bounds an operator may choose. One who may not choose finds equal bounds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Days {
    pub usual: u16,
    pub least: u16,
    pub most: u16,
}

impl Days {
    pub(crate) const fn fixed(days: u16) -> Self {
        Self { usual: days, least: days, most: days }
    }

    pub const fn is_fixed(self) -> bool {
        self.least == self.most
    }
}

/// How it goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Removal {
    /// Whole months at once: a line lives up to a month longer.
    Partitions,
    /// By the daily job of its organization.
    Job,
    /// By each node, twice a day.
    House,
    /// By each node, every minute.
    Minutely,
}

impl Removal {
    pub const fn sentence(self) -> &'static str {
        match self {
            Self::Partitions => "with its month",
            Self::Job => "daily",
            Self::House => "twice a day",
            Self::Minutely => "every minute",
        }
    }
}

/// How long this installation keeps what.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Retention(BTreeMap<Kind, u16>);

/// What of a kind is to go: what was over before then, or all of it where its organization is gone.
#[derive(Clone, Copy, Debug)]
pub struct Due {
    pub before: Time,
    pub all: bool,
}

/// A text that is no choice of days.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotARetention {
    #[error("{0:?} is not of the form what=days; write several with commas between, such as events=365,access_log=365")]
    Form(String),
    #[error("{name:?} is not kept for a time that can be chosen; these are: {known}")]
    Unknown { name: String, known: String },
    #[error("{name} can be kept for {least} to {most} days, not for {days}")]
    Bounds { name: &'static str, least: u16, most: u16, days: u16 },
    #[error("{0} is named twice")]
    Twice(&'static str),
}

impl FromStr for Retention {
    type Err = NotARetention;

    /// `events=365,access_log=365`: what is not named is kept as usual, as is everything by an empty text.
    fn from_str(text: &str) -> Result<Self, NotARetention> {
        let mut chosen = BTreeMap::new();
        for part in text.split(',').map(str::trim).filter(|part| !part.is_empty()) {
            let form = || NotARetention::Form(part.to_owned());
            let (name, days) = part.split_once('=').ok_or_else(form)?;
            let days: u16 = days.trim().parse().map_err(|_| form())?;
            let choices = || RULES.iter().filter(|rule| !rule.days.is_fixed());
            let Some(rule) = choices().find(|rule| rule.name == name.trim()) else {
                let known = choices().map(|rule| rule.name).collect::<Vec<_>>().join(", ");
                return Err(NotARetention::Unknown { name: name.trim().to_owned(), known });
            };
            let Days { least, most, .. } = rule.days;
            if !(least..=most).contains(&days) {
                return Err(NotARetention::Bounds { name: rule.name, least, most, days });
            }
            if chosen.insert(rule.kind, days).is_some() {
                return Err(NotARetention::Twice(rule.name));
            }
        }
        Ok(Self(chosen))
    }
}

impl Retention {
    pub fn days(&self, kind: Kind) -> u16 {
        self.0.get(&kind).copied().unwrap_or(kind.rule().days.usual)
    }

    /// How long a kind is kept.
    pub fn of(&self, kind: Kind) -> Duration {
        Duration::days(self.days(kind).into())
    }

    /// What was before this moment is kept no longer.
    pub fn before(&self, kind: Kind, now: Time) -> Time {
        now - self.of(kind)
    }

    /// The days of the tables that leave by partitions, for `Db::maintain_partitions`.
    pub fn partitions(&self) -> Vec<(&'static str, u16)> {
        let cut = RULES.iter().filter(|rule| rule.removal == Removal::Partitions);
        cut.flat_map(|rule| rule.tables.iter().map(|table| (*table, self.days(rule.kind)))).collect()
    }
}

/// `docs/retention.md`, as it is checked in.
pub fn reference() -> String {
    rules::reference()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn every_kind_has_one_rule_and_every_table_one_place() {
        let kinds: Vec<Kind> = RULES.iter().map(|rule| rule.kind).collect();
        assert_eq!(kinds, Kind::ALL);
        let tables: Vec<&str> =
            RULES.iter().flat_map(|rule| rule.tables).copied().chain(STAYS.iter().map(|stays| stays.table)).collect();
        assert_eq!(tables.iter().collect::<BTreeSet<_>>().len(), tables.len(), "a table is kept in one way");
        assert!(RULES.iter().all(|rule| rule.days.least <= rule.days.usual && rule.days.usual <= rule.days.most));
        let names: BTreeSet<&str> = RULES.iter().map(|rule| rule.name).collect();
        assert_eq!(names.len(), RULES.len());
    }

    #[test]
    fn what_is_not_chosen_is_kept_as_usual() {
        let chosen: Retention = " events=365 , audit_log=3650,".parse().unwrap();
        assert_eq!((chosen.days(Kind::Events), chosen.days(Kind::AuditLog)), (365, 3_650));
        assert_eq!((chosen.days(Kind::AccessLog), chosen.days(Kind::Connections)), (180, 30));
        assert_eq!("".parse::<Retention>(), Ok(Retention::default()));
        let cut: BTreeMap<_, _> = chosen.partitions().into_iter().collect();
        let expected = [
            ("api_access_log", 180),
            ("audit_log", 3_650),
            ("audit_seals", 3_650),
            ("event_seals", 365),
            ("events", 365),
        ];
        assert_eq!(cut, expected.into_iter().collect());
    }

    #[test]
    fn a_choice_beyond_its_bounds_or_of_what_cannot_be_chosen_is_refused() {
        for bad in ["events", "events=", "events=-1", "events=1.5", "=90"] {
            assert!(
                matches!(bad.parse::<Retention>(), Err(NotARetention::Form(_) | NotARetention::Unknown { .. })),
                "{bad}"
            );
        }
        for bad in ["events=89", "events=3651", "access_log=179", "audit_log=730", "connections=6"] {
            assert!(matches!(bad.parse::<Retention>(), Err(NotARetention::Bounds { .. })), "{bad}");
        }
        // What callers are promised is nobody's to choose.
        for bad in ["idempotency_keys=1", "orders=90", "oauth_states=3"] {
            assert!(matches!(bad.parse::<Retention>(), Err(NotARetention::Unknown { .. })), "{bad}");
        }
        assert_eq!("events=90,events=91".parse::<Retention>(), Err(NotARetention::Twice("events")));
    }
}
