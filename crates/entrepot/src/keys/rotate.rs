//! Replacing the master key: names the new one, then wraps every data key anew, a batch in a transaction.

use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

use db::{Db, DbError, SystemTask};
use kernel::{Clock, DataKeyId};
use kit::{
    data_keys::rotation::{self, BATCH, Rotation, RotationError, Step},
    vault::Keyring,
};

/// How long the database may be away, or another hold what is needed, before it is given up.
const PATIENCE: Duration = Duration::from_secs(60);
const TRY_AGAIN: Duration = Duration::from_millis(300);

/// How a rotation ended.
#[derive(Debug)]
pub enum Ended {
    /// Nothing is left under the key before.
    Finished(Rotation),
    /// These data keys could not be opened with either key; the rest are wrapped anew.
    Left { rotation: Rotation, unopened: BTreeMap<DataKeyId, String> },
    /// There was nothing to wrap.
    Nothing,
}

/// Makes the process's current master key the one that counts.
///
/// # Errors
/// [`RotationError::Misfit`] and [`RotationError::NothingToReplace`] say which keys are needed.
pub async fn begin(db: &Db, keyring: &Keyring, clock: &Clock) -> Result<Rotation, RotationError> {
    let patience = Patience::begin();
    loop {
        match db.unless_away(begin_once(db, keyring, clock)).await {
            Err(error) if patience.allows(&error).await => {}
            done => return done,
        }
    }
}

async fn begin_once(db: &Db, keyring: &Keyring, clock: &Clock) -> Result<Rotation, RotationError> {
    let mut tx = db.system(SystemTask::RotateKeys).await?;
    let rotation = rotation::begin(&mut tx, keyring, clock).await?;
    tx.commit().await?;
    Ok(rotation)
}

/// Goes on with a rotation to its end. Killed at any moment, it goes on behind the last batch when it is called again; when two
/// call it they take turns.
///
/// # Errors
/// When the key store is gone, or the database for a minute.
pub async fn go_on(
    db: &Db,
    keyring: &Keyring,
    clock: &Clock,
    mut tell: impl FnMut(&Rotation),
) -> Result<Ended, RotationError> {
    let mut unopened = BTreeMap::new();
    let mut wrapped_before = None;
    loop {
        match step(db, keyring, clock).await? {
            Step::Wrapped { rotation, unopened: batch } => {
                unopened.extend(batch.into_iter().map(|(id, error)| (id, error.to_string())));
                tell(&rotation);
            }
            Step::Finished(rotation) => {
                tell(&rotation);
                return Ok(Ended::Finished(rotation));
            }
            // What was destroyed while it was looked at is not found again; what is found again and again does not open.
            Step::Left { rotation, .. } if wrapped_before == Some(rotation.rewrapped) => {
                return Ok(Ended::Left { rotation, unopened });
            }
            Step::Left { rotation, .. } => {
                wrapped_before = Some(rotation.rewrapped);
                unopened.clear();
            }
            Step::Nothing => return Ok(Ended::Nothing),
        }
    }
}

/// Ends a rotation although some data keys do not open with either key.
///
/// # Errors
/// When the database is gone.
pub async fn give_up_the_rest(db: &Db, clock: &Clock) -> Result<Option<Rotation>, RotationError> {
    db.unless_away(async {
        let mut tx = db.system(SystemTask::RotateKeys).await?;
        let ended = rotation::give_up_the_rest(&mut tx, clock).await?;
        tx.commit().await?;
        Ok(ended)
    })
    .await
}

async fn step(db: &Db, keyring: &Keyring, clock: &Clock) -> Result<Step, RotationError> {
    let patience = Patience::begin();
    loop {
        match db.unless_away(step_once(db, keyring, clock)).await {
            Err(error) if patience.allows(&error).await => {}
            done => return done,
        }
    }
}

async fn step_once(db: &Db, keyring: &Keyring, clock: &Clock) -> Result<Step, RotationError> {
    let mut tx = db.system(SystemTask::RotateKeys).await?;
    let step = rotation::step(&mut tx, keyring, clock, BATCH).await?;
    tx.commit().await?;
    Ok(step)
}

/// For a database that is away, or somebody else who is at it.
struct Patience(Instant);

impl Patience {
    fn begin() -> Self {
        Self(Instant::now())
    }

    /// Waits a moment where trying again may help.
    async fn allows(&self, error: &RotationError) -> bool {
        let RotationError::Database(error) = error else { return false };
        if !passes(error) || self.0.elapsed() > PATIENCE {
            return false;
        }
        tracing::debug!(%error, "data keys were not wrapped; it is tried again");
        tokio::time::sleep(TRY_AGAIN).await;
        true
    }
}

fn passes(error: &DbError) -> bool {
    match error {
        DbError::Unavailable => true,
        // A deadlock with whoever destroys the keys of an organization.
        error => error.is_conflict(),
    }
}
