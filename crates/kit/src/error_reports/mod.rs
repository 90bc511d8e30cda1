//! What broke: answers of 500 and above, panics, jobs that gave up, tasks of the background that failed, settings that do not
//! fit. Counted in memory by what it was, not once for each time, and written to the table `error_reports` every few seconds,
//! so that a storm of errors costs as much as there are ways to break. Whoever may read events reads those of their organization
//! (`GET /api/errors`), the operator the others (`entrepot errors`).
//!
//! A report is made of [`Words`], which cannot hold what came from outside.

mod panics;
mod store;
mod words;

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use axum::{extract::MatchedPath, http::Method, response::Response};
use db::{Db, DbError, SystemTask, SystemTx};
use kernel::{Clock, EventId, OrganizationId, Time};
use sha2::{Digest, Sha256};

pub use self::{
    store::ErrorReportRow,
    words::{Words, standard_method},
};
use crate::{Code, problem::Cause, request_id, retention::BATCH};

/// Ways to break that are remembered until they are written; more at once are counted and forgotten.
const GROUPS_MAX: usize = 1_000;
/// The code of the report that somebody who is no trusted proxy says to be one.
pub const UNTRUSTED_PROXY: &str = "untrusted_proxy";

/// What kind of thing broke.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// An answer with a status of 500 or above.
    Answer,
    Panic,
    /// A job that is not tried again.
    Job,
    /// Something that the program does by itself.
    Task,
    /// What happens does not fit what the operator has set.
    Setting,
}

impl Kind {
    pub const ALL: [Self; 5] = [Self::Answer, Self::Panic, Self::Job, Self::Task, Self::Setting];

    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Answer => "answer",
            Self::Panic => "panic",
            Self::Job => "job",
            Self::Task => "task",
            Self::Setting => "setting",
        }
    }
}

/// One thing that broke once.
#[derive(Clone, Debug)]
pub struct Report {
    kind: Kind,
    place: Words,
    code: Words,
    message: Words,
    organization: Option<OrganizationId>,
}

impl Report {
    pub fn new(kind: Kind, place: impl Into<Words>, code: impl Into<Words>, message: impl Into<Words>) -> Self {
        let (place, code, message) = (place.into(), code.into(), message.into());
        Self { kind, place, code, message, organization: request_id::organization() }
    }

    /// What the program does by itself has failed.
    pub fn task(name: &'static str, why: impl Into<Words>) -> Self {
        Self::new(Kind::Task, name, "failed", why)
    }

    /// A job is not tried again.
    pub fn dead_job(name: &'static str, organization: OrganizationId, failure: &jobs::Failure) -> Self {
        Self { organization: Some(organization), ..Self::new(Kind::Job, name, "dead", failure) }
    }

    /// The same each time that the same thing breaks, in whatever organization and release.
    fn fingerprint(&self) -> String {
        let mut hash = Sha256::new();
        for part in [self.kind.as_str(), self.place.as_str(), self.code.as_str(), self.message.as_str()] {
            hash.update((part.len() as u64).to_be_bytes());
            hash.update(part);
        }
        hex::encode(&hash.finalize()[..16])
    }
}

/// All times that the same thing broke, since it was last written down.
#[derive(Clone, Debug)]
pub struct Group {
    pub fingerprint: String,
    pub kind: Kind,
    pub place: Words,
    pub code: Words,
    pub message: Words,
    pub organization: Option<OrganizationId>,
    pub first_seen: Time,
    pub last_seen: Time,
    pub occurrences: u64,
    pub last_request_id: Option<String>,
}

impl Group {
    fn add(&mut self, other: Self) {
        self.first_seen = self.first_seen.min(other.first_seen);
        self.last_seen = self.last_seen.max(other.last_seen);
        self.occurrences = self.occurrences.saturating_add(other.occurrences);
        self.last_request_id = other.last_request_id.or(self.last_request_id.take());
    }
}

type Groups = BTreeMap<(Option<OrganizationId>, String), Group>;

/// Cheap to clone.
#[derive(Clone)]
pub struct ErrorReports(Arc<Inner>);

struct Inner {
    clock: Clock,
    release: &'static str,
    groups: Mutex<Memory>,
}

#[derive(Default)]
struct Memory {
    /// Not yet told to anybody.
    fresh: Groups,
    /// Told, and not yet written.
    unsaved: Groups,
}

impl ErrorReports {
    /// Also told of the panics of this process from now on, until it is dropped. `release` is the version of the program.
    pub fn new(clock: Clock, release: &'static str) -> Self {
        let reports = Self(Arc::new(Inner { clock, release, groups: Mutex::default() }));
        panics::tell(&reports.0);
        reports
    }

    fn lock(&self) -> MutexGuard<'_, Memory> {
        self.0.groups.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub fn release(&self) -> &'static str {
        self.0.release
    }

    /// Takes note of something that broke, for the request or the organization that this task works for, if any.
    pub fn record(&self, report: Report) {
        metrics::counter!("entrepot_errors_total", "kind" => report.kind.as_str()).increment(1);
        let now = self.0.clock.now();
        let group = Group {
            fingerprint: report.fingerprint(),
            kind: report.kind,
            place: report.place,
            code: report.code,
            message: report.message,
            organization: report.organization,
            first_seen: now,
            last_seen: now,
            occurrences: 1,
            last_request_id: request_id::current(),
        };
        add(&mut self.lock().fresh, group);
    }

    /// Takes note of an answer, if it is one of 500 and above.
    pub fn answered(&self, method: &Method, route: Option<&MatchedPath>, response: &Response) {
        if !response.status().is_server_error() {
            return;
        }
        // Without a problem it is `/readyz`, which says what is the matter by itself.
        let Some(code) = response.extensions().get::<Code>() else { return };
        let message = match response.extensions().get::<Arc<Cause>>() {
            Some(cause) => cause.words.clone().at(cause.place),
            None => code.title().into(),
        };
        self.record(Report::new(Kind::Answer, Words::route(method, route), code.as_str(), message));
    }

    /// What broke since this was called last, to be told to others. It is written down by [`Self::save`].
    pub fn take(&self) -> Vec<Group> {
        let mut memory = self.lock();
        let fresh = std::mem::take(&mut memory.fresh);
        let groups = fresh.values().cloned().collect();
        fresh.into_values().for_each(|group| add(&mut memory.unsaved, group));
        groups
    }

    /// Writes down what was taken. What cannot be written is kept for the next time, also by a call that is given up half way; what was
    /// written at that very moment is then counted twice.
    ///
    /// # Errors
    /// When the database is not available.
    pub async fn save(&self, db: &Db) -> Result<(), DbError> {
        let mut taken =
            Taken { reports: self, groups: std::mem::take(&mut self.lock().unsaved).into_values().collect() };
        if taken.groups.is_empty() {
            return Ok(());
        }
        let ids: Vec<_> = taken.groups.iter().map(|_| EventId::new(&self.0.clock).uuid()).collect();
        let mut tx = db.system(SystemTask::ErrorReports).await?;
        store::upsert(&mut tx, &ids, &taken.groups, self.0.release).await?;
        tx.commit().await?;
        taken.groups.clear();
        Ok(())
    }
}

/// Groups that are being written, which are kept for the next time unless they were.
struct Taken<'a> {
    reports: &'a ErrorReports,
    groups: Vec<Group>,
}

impl Drop for Taken<'_> {
    fn drop(&mut self) {
        let mut memory = self.reports.lock();
        self.groups.drain(..).for_each(|group| add(&mut memory.unsaved, group));
    }
}

fn add(groups: &mut Groups, group: Group) {
    let key = (group.organization, group.fingerprint.clone());
    if let Some(known) = groups.get_mut(&key) {
        known.add(group);
    } else if groups.len() < GROUPS_MAX {
        groups.insert(key, group);
    } else {
        metrics::counter!("entrepot_error_reports_dropped_total").increment(1);
    }
}

/// Removes what has not happened since then, a batch of it. How much there was.
///
/// # Errors
/// When the database is not available.
pub async fn purge(tx: &mut SystemTx, before: Time) -> Result<u64, DbError> {
    store::purge(tx, before, BATCH).await
}

/// What broke last of all that belongs to no organization: for the operator.
///
/// # Errors
/// When the database is not available.
pub async fn of_the_house(tx: &mut SystemTx, limit: i64) -> Result<Vec<ErrorReportRow>, DbError> {
    store::of_the_house(tx, limit).await
}

#[cfg(test)]
mod tests {
    use chrono::TimeDelta;

    use super::*;

    fn reports() -> ErrorReports {
        ErrorReports::new(Clock::shifted(), "1.0.0")
    }

    /// Those of a test: panics of other tests in the same process are told to all.
    fn taken(reports: &ErrorReports) -> Vec<Group> {
        reports.take().into_iter().filter(|group| group.kind != Kind::Panic).collect()
    }

    #[test]
    fn a_storm_of_the_same_error_is_one_report_that_counts() {
        let reports = reports();
        for _ in 0..10_000 {
            reports.record(Report::task("purge", "the disk is full"));
        }
        reports.0.clock.advance(TimeDelta::minutes(5));
        reports.record(Report::task("purge", "the disk is full"));
        reports.record(Report::task("purge", "the disk is gone"));
        let groups = taken(&reports);
        assert_eq!(groups.len(), 2);
        let storm = groups.iter().find(|group| group.message.as_str() == "the disk is full").unwrap();
        assert_eq!(storm.occurrences, 10_001);
        assert_eq!((storm.last_seen - storm.first_seen).num_minutes(), 5);
        assert!(taken(&reports).is_empty(), "each is told once");
    }

    #[test]
    fn what_is_remembered_is_bounded_however_many_ways_to_break_there_are() {
        const PLACES: usize = 64;
        let reports = reports();
        // Organizations are what there can be many of.
        for _ in 0..(GROUPS_MAX + 500) {
            let organization = OrganizationId::new(&reports.0.clock);
            let report = Report::task("purge", "the disk is full");
            reports.record(Report { organization: Some(organization), ..report });
        }
        assert_eq!(reports.lock().fresh.len(), GROUPS_MAX);
        for _ in 0..PLACES {
            reports.take();
            for _ in 0..GROUPS_MAX {
                let organization = OrganizationId::new(&reports.0.clock);
                reports.record(Report { organization: Some(organization), ..Report::task("a", "b") });
            }
        }
        assert!(reports.lock().unsaved.len() <= GROUPS_MAX && reports.lock().fresh.len() <= GROUPS_MAX);
    }

    #[test]
    fn what_differs_in_any_part_has_a_fingerprint_of_its_own() {
        let base = || Report::new(Kind::Task, "a", "b", "c");
        let others = [
            Report::new(Kind::Job, "a", "b", "c"),
            Report::new(Kind::Task, "ab", "", "c"),
            Report::new(Kind::Task, "a", "bc", ""),
            Report::new(Kind::Task, "a", "b", "d"),
        ];
        assert_eq!(base().fingerprint(), base().fingerprint());
        for other in others {
            assert_ne!(other.fingerprint(), base().fingerprint(), "{other:?}");
        }
    }

    #[test]
    fn a_panic_is_reported_by_its_place_and_without_the_values_in_its_message() {
        let reports = reports();
        let value = "kata@people.example";
        let panicked = std::panic::catch_unwind(|| panic!("no such person: {value}"));
        assert!(panicked.is_err());
        let groups = reports.take();
        let here = |group: &&Group| group.kind == Kind::Panic && group.place.as_str().contains("error_reports/mod.rs");
        // Other tests of this file panic at the same time.
        let says =
            |groups: &[Group], words: &str| groups.iter().filter(here).any(|group| group.message.as_str() == words);
        assert!(says(&groups, "a panic whose message may hold a value"), "{groups:?}");
        assert!(!format!("{groups:?}").contains("kata"), "{groups:?}");
        let literal = std::panic::catch_unwind(|| panic!("the impossible happened"));
        assert!(literal.is_err());
        assert!(says(&reports.take(), "the impossible happened"));
    }

    #[test]
    fn panics_are_told_to_nobody_who_is_gone() {
        let kept = reports();
        drop(reports());
        assert!(std::panic::catch_unwind(|| panic!("once")).is_err());
        assert!(kept.take().iter().any(|group| group.message.as_str() == "once"));
    }
}
