//! What every node does about the master key while it serves: it knows which one counts, says so when it lacks it, and goes on with a
//! rotation that somebody began and did not finish.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use db::SystemTask;
use kit::{
    App,
    data_keys::rotation::{self, Rotation, RotationError},
    vault::Fingerprint,
};
use tokio::time::{Instant, MissedTickBehavior};

use super::rotate::{self, Ended};

const EVERY: Duration = Duration::from_secs(3);
/// How long a look may take.
const WITHIN: Duration = Duration::from_secs(10);
/// How often an operator is told of what stays.
const TELL_EVERY: Duration = Duration::from_mins(1);
const PROGRESS_EVERY: Duration = Duration::from_secs(5);

/// Whether this node has the master key that counts. Cheap to clone.
#[derive(Clone, Default)]
pub struct HasMasterKey(Arc<AtomicBool>);

impl HasMasterKey {
    /// At the start, which refuses to go on without it.
    pub fn at_start() -> Self {
        let has = Self::default();
        has.0.store(true, Ordering::Release);
        has
    }

    pub fn holds(&self) -> bool {
        self.0.load(Ordering::Acquire)
    }
}

/// Looks after the master key until it is dropped.
pub async fn keep(app: App) {
    let mut tick = tokio::time::interval(EVERY);
    tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut told = None;
    loop {
        tick.tick().await;
        if let Err(error) = look(&app, &mut told).await {
            tracing::warn!(%error, "the state of the master key could not be looked at, or data keys not be wrapped anew");
        }
    }
}

async fn look(app: &App, told: &mut Option<Instant>) -> Result<(), RotationError> {
    let masters = app.keyring.masters();
    let is_time = told.is_none_or(|at| at.elapsed() > TELL_EVERY);
    // All data keys are counted only when it is to be told.
    let previous = masters.previous().filter(|_| is_time);
    let Some((last, left)) = app.db.unless_away_within(WITHIN, known(app, previous)).await? else { return Ok(()) };
    record(&last);
    let has = masters.holds(last.to);
    app.slice::<HasMasterKey>().0.store(has, Ordering::Release);
    if !has {
        if is_time {
            *told = Some(Instant::now());
            tracing::error!(
                needed = %last.to,
                present = %masters.current(),
                "this node lacks the master key that counts: it opens nothing that is wrapped under it, and makes no data keys. Give it \
                 the new key in ENTREPOT_MASTER_KEY and restart it"
            );
        }
        return Ok(());
    }
    if last.is_finished() {
        if let Some(data_keys) = left {
            *told = Some(Instant::now() + TELL_EVERY * 59);
            if data_keys == 0 {
                tracing::info!(previous = %last.from, "the previous master key is not needed any more: it can be removed");
            } else {
                tracing::warn!(previous = %last.from, data_keys,
                    "data keys are wrapped under the previous master key, although it was replaced: `entrepot keys rotate` wraps those \
                     that open");
            }
        }
        return Ok(());
    }
    if !masters.holds(last.from) || masters.current() != last.to {
        return Ok(());
    }
    let mut said = Instant::now();
    let ended = rotate::go_on(&app.db, &app.keyring, &app.clock, |rotation| {
        record(rotation);
        if said.elapsed() > PROGRESS_EVERY {
            said = Instant::now();
            tracing::info!(from = %rotation.from, to = %rotation.to, rewrapped = rotation.rewrapped, total = rotation.total,
                "data keys are being wrapped under another master key");
        }
    })
    .await?;
    match ended {
        Ended::Finished(rotation) => {
            tracing::info!(from = %rotation.from, to = %rotation.to, rewrapped = rotation.rewrapped,
                "every data key is wrapped under the new master key; the previous one can be removed");
        }
        Ended::Left { rotation, unopened } if is_time => {
            *told = Some(Instant::now());
            tracing::error!(from = %rotation.from, data_keys = unopened.len(), first = ?unopened.first_key_value(),
                "data keys do not open and stay under the previous master key: `entrepot doctor` names them");
        }
        Ended::Left { .. } | Ended::Nothing => {}
    }
    Ok(())
}

/// The newest rotation, and how many data keys are under this key, if it is the one that was replaced then.
async fn known(app: &App, previous: Option<Fingerprint>) -> Result<Option<(Rotation, Option<i64>)>, RotationError> {
    let mut tx = app.db.system(SystemTask::RotateKeys).await?;
    let Some(last) = rotation::last(&mut tx).await? else { return Ok(None) };
    let left = match previous {
        Some(key) if last.is_finished() && key == last.from => Some(rotation::under(&mut tx, key).await?),
        _ => None,
    };
    tx.rollback().await?;
    Ok(Some((last, left)))
}

/// `entrepot_key_rotation_data_keys{state}`: how many are wrapped anew, and how many there were to wrap.
fn record(rotation: &Rotation) {
    #[expect(clippy::cast_precision_loss, reason = "a gauge is a float")]
    let set = |state: &'static str, count: i64| {
        metrics::gauge!("entrepot_key_rotation_data_keys", "state" => state).set(count as f64);
    };
    set("rewrapped", rotation.rewrapped);
    set("total", rotation.total);
}
