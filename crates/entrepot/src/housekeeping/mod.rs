//! What a node does for the whole house, twice a day. Each step can be repeated, and done by several nodes at once. And every
//! minute for itself: credentials that nobody uses are wiped from its memory.
//!
//! What is removed, and when, is said in one place, `kit::retention`. What belongs to no organization, or to all alike, is removed
//! here; what one organization has deleted is removed by its daily job, in its own scope ([`jobs::PurgeDeleted`]).

pub mod jobs;

use std::{collections::BTreeMap, time::Duration};

use accounts::{factors, invitations, notifications, organizations, plans, sessions, user_links};
use db::{DbError, SystemTask, SystemTx};
use integrations::{connections::Stores, oauth};
use kernel::Time;
use kit::{
    App, data_keys,
    error_reports::{self, ErrorReports, Report, Words},
    idempotency, mail, rate_limit,
    retention::{BATCH, Kind},
    vault::Swept,
};
use tokio::time::Instant;

use jobs::PurgeDeleted;

const EVERY: Duration = Duration::from_hours(12);
/// Not at the start: whoever restores a backup looks at the result before anything is removed for good.
const FIRST: Duration = Duration::from_hours(1);

/// How long each step may take.
const WITHIN: Duration = Duration::from_mins(30);

const SWEEP_EVERY: Duration = Duration::from_mins(1);

/// Transactions of one kind and run: the rest waits for the next.
const BATCHES_MAX: usize = 1_000;

/// What was removed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Purged {
    pub rows: BTreeMap<Kind, u64>,
    pub shards: Swept,
}

impl Purged {
    pub fn of(&self, kind: Kind) -> u64 {
        self.rows.get(&kind).copied().unwrap_or_default()
    }
}

/// Keeps house until it is dropped.
pub async fn keep(app: App) {
    tokio::join!(keep_rows(&app), keep_consents(&app), keep_memory(&app));
}

async fn keep_memory(app: &App) {
    let mut tick = tokio::time::interval(SWEEP_EVERY);
    loop {
        tick.tick().await;
        app.slice::<Stores>().sweep();
    }
}

/// Keys that wait for a browser which never came are sealed, and gone within minutes all the same.
async fn keep_consents(app: &App) {
    let mut tick = tokio::time::interval(SWEEP_EVERY);
    loop {
        tick.tick().await;
        if let Err(error) = app.db.unless_away(purge_consents(app)).await {
            tracing::warn!(%error, "states of consent that have run out were not removed; the next try is in a minute");
        }
    }
}

/// Removes states of consent that have run out, with what waits in them, a batch of them. How many there were.
///
/// # Errors
/// When the database refuses or is gone.
pub async fn purge_consents(app: &App) -> anyhow::Result<u64> {
    let mut tx = app.db.system(SystemTask::Purge).await?;
    let removed = oauth::purge(&mut tx, app.clock.now()).await?;
    tx.commit().await?;
    Ok(removed)
}

/// Makes the next partitions, drops those past their retention, and removes what has run out.
async fn keep_rows(app: &App) {
    let mut tick = tokio::time::interval_at(Instant::now() + FIRST, EVERY);
    loop {
        tick.tick().await;
        let kept = app.config.retention.partitions();
        if let Err(error) = app.db.unless_away_within(WITHIN, app.db.maintain_partitions(app.clock.now(), &kept)).await
        {
            tracing::error!(%error, "partitions were not made; the next try is in twelve hours");
            app.slice::<ErrorReports>().record(Report::task("maintain_partitions", &error));
        }
        match app.db.unless_away_within(WITHIN, purge(app)).await {
            Ok(purged) => tracing::info!(?purged, "what has run out was removed"),
            Err(error) => {
                tracing::error!(%error, "what has run out was not removed; the next try is in twelve hours");
                let why = error.downcast_ref::<DbError>().map_or_else(|| "the key store refuses".into(), Words::from);
                app.slice::<ErrorReports>().record(Report::task("purge", why));
            }
        }
    }
}

/// Removes what has run out and belongs to no organization or to all alike, has what is left of deleted organizations removed, and
/// sweeps shards of the key store that belong to no data key.
///
/// # Errors
/// When the database or the key store refuses; what was removed stays so.
pub async fn purge(app: &App) -> anyhow::Result<Purged> {
    let mut rows = BTreeMap::new();
    // States point at sessions.
    let states_first = std::iter::once(Kind::OauthStates);
    for kind in states_first.chain(Kind::ALL.into_iter().filter(|kind| *kind != Kind::OauthStates)) {
        let before = app.config.retention.before(kind, app.clock.now());
        let mut removed = 0;
        for _ in 0..BATCHES_MAX {
            let mut tx = app.db.system(SystemTask::Purge).await?;
            let batch = remove(&mut tx, app, kind, before).await?;
            tx.commit().await?;
            removed += batch;
            if batch < BATCH.unsigned_abs() {
                break;
            }
        }
        if removed > 0 {
            rows.insert(kind, removed);
        }
    }
    let mut tx = app.db.system(SystemTask::Purge).await?;
    let existing = data_keys::existing(&mut tx).await?;
    tx.commit().await?;
    let shards = app.keyring.sweep(&existing).await?;
    Ok(Purged { rows, shards })
}

/// A batch of one kind: what was over before then.
async fn remove(tx: &mut SystemTx, app: &App, kind: Kind, before: Time) -> Result<u64, DbError> {
    match kind {
        Kind::OauthStates => oauth::purge(tx, before).await,
        Kind::Sessions => sessions::purge(tx, before).await,
        Kind::Links => user_links::purge(tx, before).await,
        Kind::Invitations => invitations::purge(tx, before).await,
        Kind::Mail => mail::purge(tx, before).await,
        Kind::IdempotencyKeys => idempotency::purge(tx, before).await,
        Kind::LoginAttempts => sessions::purge_attempts(tx, before).await,
        Kind::RateWindows => rate_limit::purge(tx, before).await,
        Kind::Notifications => notifications::purge(tx, before).await,
        Kind::UsageCounters => plans::purge(tx, before).await,
        Kind::ErrorReports => error_reports::purge(tx, before).await,
        Kind::Challenges => factors::purge(tx, before).await,
        Kind::Organizations => {
            // No schedule asks for their jobs any more.
            for organization in organizations::left_of(tx, before).await? {
                ::jobs::enqueue_as_system(tx, &app.clock, organization, &PurgeDeleted::default()).await?;
            }
            Ok(0)
        }
        // By partitions.
        Kind::Events | Kind::AccessLog | Kind::AuditLog => Ok(0),
        // By the organization's own job.
        Kind::StorePermissions
        | Kind::Connections
        | Kind::TeamMembers
        | Kind::Grants
        | Kind::ApiKeys
        | Kind::DeadJobs => Ok(0),
    }
}
