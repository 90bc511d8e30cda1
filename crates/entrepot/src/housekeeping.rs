//! What a node does for the whole house, twice a day. Each step can be repeated, and done by several nodes at once. And every
//! minute for itself: credentials that nobody uses are wiped from its memory.

use std::time::Duration;

use accounts::{factors, invitations, notifications, plans, sessions, user_links};
use db::{DbError, SystemTask};
use integrations::{connections::Stores, oauth};
use kit::{
    App, data_keys,
    error_reports::{self, ErrorReports, Report, Words},
    idempotency, mail, rate_limit,
    vault::Swept,
};
use tokio::time::Instant;

const EVERY: Duration = Duration::from_hours(12);
/// Not at the start: whoever restores a backup looks at the result before anything is removed for good.
const FIRST: Duration = Duration::from_hours(1);

/// How long each step may take.
const WITHIN: Duration = Duration::from_mins(30);

const SWEEP_EVERY: Duration = Duration::from_mins(1);

/// What was removed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Purged {
    pub oauth_states: u64,
    pub sessions: u64,
    pub rate_windows: u64,
    pub idempotency_keys: u64,
    pub mails: u64,
    pub user_links: u64,
    pub invitations: u64,
    pub login_attempts: u64,
    pub error_reports: u64,
    pub factors: u64,
    pub usage_counters: u64,
    pub notifications: u64,
    pub shards: Swept,
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
        if let Err(error) = purge_consents(app).await {
            tracing::warn!(%error, "states of consent that have run out were not removed; the next try is in a minute");
        }
    }
}

/// Removes states of consent that have run out, with what waits in them. How many there were.
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
        if let Err(error) = app.db.unless_away_within(WITHIN, app.db.maintain_partitions(app.clock.now())).await {
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

/// Removes states of consent that nobody came back with, sessions that ended a month ago, minutes that are over, answers that
/// are given again no longer, what is kept no longer about mails, links, invitations, attempts,
/// notifications and uses of plans, and shards of the key store that belong to no data key.
///
/// # Errors
/// When the database or the key store refuses; what was removed stays so.
pub async fn purge(app: &App) -> anyhow::Result<Purged> {
    let now = app.clock.now();
    let mut tx = app.db.system(SystemTask::Purge).await?;
    // States first: they point at sessions.
    let oauth_states = oauth::purge(&mut tx, now).await?;
    let sessions = sessions::purge(&mut tx, now).await?;
    let rate_windows = rate_limit::purge(&mut tx, now).await?;
    let idempotency_keys = idempotency::purge(&mut tx, now).await?;
    let mails = mail::purge(&mut tx, now).await?;
    let user_links = user_links::purge(&mut tx, now).await?;
    let invitations = invitations::purge(&mut tx, now).await?;
    let login_attempts = sessions::purge_attempts(&mut tx, now).await?;
    let error_reports = error_reports::purge(&mut tx, now).await?;
    let factors = factors::purge(&mut tx, now).await?;
    let usage_counters = plans::purge(&mut tx, now).await?;
    let notifications = notifications::purge(&mut tx, now).await?;
    let existing = data_keys::existing(&mut tx).await?;
    tx.commit().await?;
    let shards = app.keyring.sweep(&existing).await?;
    Ok(Purged {
        oauth_states,
        sessions,
        rate_windows,
        idempotency_keys,
        mails,
        user_links,
        invitations,
        login_attempts,
        error_reports,
        factors,
        usage_counters,
        notifications,
        shards,
    })
}
