//! Where error reports go (`kit::error_reports`): into the table, to the operator's Sentry, and onto the operator's terminal.

use std::{convert::Infallible, path::Path, time::Duration};

use db::{
    Db, DbError, Logins, PoolSizes, SystemTask,
    cluster::{Borrowed, ClusterOptions},
};
use kit::{
    App,
    error_reports::{self, ErrorReportRow, ErrorReports},
};
use serde_json::{Value, json};
use tokio::{sync::oneshot, task::JoinHandle, time::MissedTickBehavior};

use crate::{cli::say, telemetry::sentry::Sentry};

/// How long what broke may wait until it is written down.
const EVERY: Duration = Duration::from_secs(2);
/// How long that may take.
const WITHIN: Duration = Duration::from_secs(20);
/// How long the last of it may take when the program stops.
const STOP: Duration = Duration::from_secs(2);

/// Writes down what broke, until it is stopped.
pub(crate) struct Keeper {
    stop: oneshot::Sender<()>,
    task: JoinHandle<()>,
}

impl Keeper {
    pub(crate) fn start(app: App, sentry: Option<Sentry>) -> Self {
        let (stop, stopped) = oneshot::channel();
        Self { stop, task: tokio::spawn(keep(app, sentry, stopped)) }
    }

    /// Ends when the last is written, or a little later without.
    pub(crate) async fn stop(self) {
        let Self { stop, mut task } = self;
        let _ended = stop.send(());
        if tokio::time::timeout(2 * STOP, &mut task).await.is_err() {
            task.abort();
        }
    }
}

async fn keep(app: App, sentry: Option<Sentry>, stopped: oneshot::Receiver<()>) {
    // What is being written when it is stopped is kept, and written below.
    tokio::select! {
        never = save_again_and_again(&app, sentry.as_ref()) => match never {},
        _ = stopped => {}
    }
    if save(&app, sentry.as_ref(), STOP).await.is_err() {
        tracing::warn!("the last error reports were not written");
    }
    if let Some(sentry) = sentry {
        sentry.stop().await;
    }
}

async fn save_again_and_again(app: &App, sentry: Option<&Sentry>) -> Infallible {
    let mut tick = tokio::time::interval(EVERY);
    tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tick.tick().await;
        if let Err(error) = save(app, sentry, WITHIN).await {
            tracing::debug!(%error, "error reports could not be written; they are kept for the next time");
        }
    }
}

async fn save(app: &App, sentry: Option<&Sentry>, within: Duration) -> Result<(), DbError> {
    let reports = app.slice::<ErrorReports>();
    let fresh = reports.take();
    if let Some(sentry) = sentry {
        sentry.offer(fresh);
    }
    app.db.unless_away_within(within, reports.save(&app.db)).await
}

/// What broke outside all organizations, what broke last first, on standard output.
pub(crate) async fn show(logins: Option<Logins>, data_dir: &Path, limit: u16, as_json: bool) -> anyhow::Result<()> {
    let (logins, cluster) = match logins {
        Some(logins) => (logins, None),
        None => {
            let cluster = Borrowed::of(ClusterOptions::new(data_dir.join("postgres"))).await?;
            (cluster.logins(), Some(cluster))
        }
    };
    let db = Db::connect(&logins, &PoolSizes::default()).await?;
    let rows = async {
        let mut tx = db.system(SystemTask::ErrorReports).await?;
        let rows = error_reports::of_the_house(&mut tx, i64::from(limit)).await?;
        tx.rollback().await?;
        anyhow::Ok(rows)
    };
    let rows = rows.await;
    db.close().await;
    if let Some(cluster) = cluster {
        cluster.give_back().await?;
    }
    let rows = rows?;
    if as_json {
        let all: Vec<Value> = rows.iter().map(in_json).collect();
        say(&serde_json::to_string_pretty(&all)?);
    } else if rows.is_empty() {
        say("Nothing has broken in the last 30 days.");
    } else {
        rows.iter().for_each(|row| say(&line(row)));
    }
    Ok(())
}

fn in_json(row: &ErrorReportRow) -> Value {
    json!({
        "fingerprint": row.fingerprint,
        "kind": row.kind,
        "place": row.place,
        "code": row.code,
        "message": row.message,
        "occurrences": row.occurrences,
        "first_seen_at": row.first_seen_at.to_rfc3339(),
        "last_seen_at": row.last_seen_at.to_rfc3339(),
        "last_request_id": row.last_request_id,
        "release": row.release,
    })
}

fn line(row: &ErrorReportRow) -> String {
    let request = row.last_request_id.as_ref().map(|id| format!(", request {id}")).unwrap_or_default();
    format!(
        "{} {} {}: {}\n        {} times from {} to {}, version {}{request}",
        row.kind,
        row.place,
        row.code,
        row.message,
        row.occurrences,
        row.first_seen_at.format("%F %T"),
        row.last_seen_at.format("%F %T UTC"),
        row.release,
    )
}
