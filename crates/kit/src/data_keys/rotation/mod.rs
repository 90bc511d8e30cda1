//! Another master key, while the program serves: every data key is wrapped anew, and opens all the time.
//!
//! [`establish`] says at the start whether a process has the keys that it needs. [`begin`] names the new key as the one that counts,
//! and wraps the installation's own key under it; [`step`] wraps a batch of data keys, until nothing is left under the old one. What
//! is done is done in transactions, so that a kill at any moment loses nothing and the next step goes on behind the last.

mod model;
mod store;
#[cfg(test)]
mod tests;

use db::{DbError, SystemTx, TenantTx};
use futures::{StreamExt as _, stream};
use kernel::{Clock, DataKeyId};

pub use self::model::{KeyRotation, KeyRotationId, Misfit, Rotation, Standing, UnderKey};
use crate::vault::{
    Fingerprint, InstallationKey, KeyStoreError, Keyring, MasterKeys, OpenError, WrappedInstallationKey,
};

const MASTER_KEY_FACT: &str = "master_key";
const INSTALLATION_KEY_FACT: &str = "installation_key";

/// How many data keys are wrapped in one transaction. Their rows are locked for as long as it takes to write them.
pub const BATCH: i64 = 500;
/// How many shards of a batch are read at once.
const AT_ONCE: usize = 16;

/// Why keys could not be established, or wrapped anew.
#[derive(Debug, thiserror::Error)]
pub enum RotationError {
    #[error(transparent)]
    Misfit(#[from] Misfit),
    #[error(
        "there is nothing to replace: set ENTREPOT_MASTER_KEY to the new key and ENTREPOT_MASTER_KEY_PREVIOUS to {active}, the one in use"
    )]
    NothingToReplace { active: Fingerprint },
    #[error("the database was never served from: start it with its first master key")]
    NeverServed,
    #[error("the facts of the installation are damaged: {0}")]
    Damaged(OpenError),
    #[error(transparent)]
    Open(#[from] OpenError),
    #[error(transparent)]
    Database(#[from] DbError),
}

/// What a process that has the right keys begins with.
pub struct Established {
    pub installation_key: InstallationKey,
    /// The master key that counts.
    pub active: Fingerprint,
    pub standing: Standing,
}

/// Looks whether these are the keys of the database, and opens the installation's own. The first process of a new database
/// writes both down.
///
/// # Errors
/// [`RotationError::Misfit`] says which keys are needed.
pub async fn establish(tx: &mut SystemTx, masters: &MasterKeys) -> Result<Established, RotationError> {
    if tx.known_fact(MASTER_KEY_FACT).await?.is_none() {
        let first = InstallationKey::generate().wrap(masters, masters.current())?;
        // Another process may do the same at this moment: what it has stored counts.
        tx.installation_fact(MASTER_KEY_FACT, &masters.current().to_string()).await?;
        tx.installation_fact(INSTALLATION_KEY_FACT, &first.to_text()).await?;
    }
    let (active, standing) = look(tx, masters).await?;
    let installation_key = installation_key(tx, masters, active).await?;
    Ok(Established { installation_key, active, standing })
}

async fn installation_key(
    tx: &mut SystemTx,
    masters: &MasterKeys,
    active: Fingerprint,
) -> Result<InstallationKey, RotationError> {
    let stored = match tx.known_fact(INSTALLATION_KEY_FACT).await? {
        Some(stored) => stored,
        // Made by a program that derived from the master key: what that derived goes on being derived.
        None => {
            let key = InstallationKey::of_master_key(masters, active)
                .ok_or_else(|| OpenError::WrongMasterKey { sealed_under: active, present: masters.current() })?;
            tx.installation_fact(INSTALLATION_KEY_FACT, &key.wrap(masters, active)?.to_text()).await?
        }
    };
    let stored: WrappedInstallationKey = stored.parse().map_err(RotationError::Damaged)?;
    stored.unwrap_with(masters).map_err(RotationError::Damaged)
}

/// The master key that counts, and how these keys stand to it.
///
/// # Errors
/// [`RotationError::Misfit`].
pub async fn look(tx: &mut SystemTx, masters: &MasterKeys) -> Result<(Fingerprint, Standing), RotationError> {
    let active = active(tx).await?.ok_or(RotationError::NeverServed)?;
    let last = store::last(tx).await?;
    let current_was_replaced = store::was_replaced(tx, masters.current()).await?;
    let standing = model::standing(masters, model::Known { active, last: last.as_ref(), current_was_replaced })?;
    Ok((active, standing))
}

/// The master key that counts; None in a database that was never served from.
///
/// # Errors
/// When the database is gone.
pub async fn active(tx: &mut SystemTx) -> Result<Option<Fingerprint>, RotationError> {
    let stored = tx.known_fact(MASTER_KEY_FACT).await?;
    let parsed = stored.map(|stored| stored.parse().map_err(|_| RotationError::Damaged(OpenError::UnknownFormat)));
    parsed.transpose()
}

/// The newest rotation.
///
/// # Errors
/// When the database is gone.
pub async fn last(tx: &mut SystemTx) -> Result<Option<Rotation>, DbError> {
    store::last(tx).await
}

/// How many data keys are under which master key.
///
/// # Errors
/// When the database is gone.
pub async fn references(tx: &mut SystemTx) -> Result<Vec<UnderKey>, DbError> {
    store::references(tx).await
}

/// The master key that a new data key is to be wrapped under, until the transaction ends: it is not replaced meanwhile.
pub(super) async fn for_new_key(tx: &mut TenantTx, keyring: &Keyring) -> Result<Fingerprint, DbError> {
    store::share_master_key(tx).await?;
    let named = store::master_key(tx).await?;
    // Where nothing was ever replaced, the older of the keys that the process was let in with is the only one.
    let masters = keyring.masters();
    Ok(named.or_else(|| masters.previous()).unwrap_or_else(|| masters.current()))
}

/// How many data keys are under a master key.
///
/// # Errors
/// When the database is gone.
pub async fn under(tx: &mut SystemTx, key: Fingerprint) -> Result<i64, DbError> {
    let found = store::references(tx).await?;
    Ok(found.iter().find(|under| under.key == key).map_or(0, |under| under.data_keys))
}

/// Makes the process's current master key the one that counts, where it is not, and returns the rotation that leads to it. From then
/// on no data key is made under the one before, by any node. One that has ended is taken up again where data keys are under the key
/// before all the same: given up, or made by a node of a version that knew of no rotations.
///
/// # Errors
/// [`RotationError::NothingToReplace`], [`RotationError::Misfit`].
pub async fn begin(tx: &mut SystemTx, keyring: &Keyring, clock: &Clock) -> Result<Rotation, RotationError> {
    store::lock_master_key(tx).await?;
    let masters = keyring.masters();
    let (active, standing) = look(tx, masters).await?;
    match standing {
        Standing::Settled => return Err(RotationError::NothingToReplace { active }),
        Standing::Rotating | Standing::PreviousUnused => {
            let mut last = store::last(tx).await?.ok_or(RotationError::NothingToReplace { active })?;
            if last.is_finished() {
                let left = under(tx, last.from).await?;
                if left > 0 {
                    store::reopen(tx, last.id, left).await?;
                    (last.total, last.reached, last.finished_at) = (last.rewrapped + left, None, None);
                }
            }
            return Ok(last);
        }
        Standing::Prepared => {}
    }
    let (from, to) = (active, masters.current());
    let total = under(tx, from).await?;
    let rotation = Rotation {
        id: KeyRotationId::new(clock),
        from,
        to,
        began_at: clock.now(),
        total,
        rewrapped: 0,
        reached: None,
        finished_at: None,
    };
    let installation_key = installation_key(tx, masters, from).await?;
    tx.replace_fact(INSTALLATION_KEY_FACT, &installation_key.wrap(masters, to)?.to_text()).await?;
    tx.replace_fact(MASTER_KEY_FACT, &to.to_string()).await?;
    store::insert(tx, &rotation).await?;
    Ok(rotation)
}

/// What one step did.
#[derive(Debug)]
pub enum Step {
    /// Some were wrapped; more may be left. Those that could not be opened are named.
    Wrapped { rotation: Rotation, unopened: Vec<(DataKeyId, OpenError)> },
    /// All were looked at, and some could not be opened. The next step begins again.
    Left { rotation: Rotation, data_keys: i64 },
    /// Nothing is left under the key before.
    Finished(Rotation),
    /// Nothing is being replaced.
    Nothing,
}

/// Wraps a batch of data keys anew; commit it then. Two processes that do this take turns.
///
/// # Errors
/// [`OpenError::WrongMasterKey`] when the process has not got both keys, [`OpenError::KeyStore`] when the key store is gone.
pub async fn step(tx: &mut SystemTx, keyring: &Keyring, clock: &Clock, batch: i64) -> Result<Step, RotationError> {
    let Some(mut rotation) = store::lock_unfinished(tx).await? else { return Ok(Step::Nothing) };
    let masters = keyring.masters();
    for needed in [rotation.from, rotation.to] {
        if !masters.holds(needed) || masters.current() != rotation.to {
            return Err(OpenError::WrongMasterKey { sealed_under: needed, present: masters.current() }.into());
        }
    }
    let rows = store::next_under(tx, rotation.from, rotation.reached, batch).await?;
    let Some(last) = rows.last().map(|row| row.identity) else {
        let left = under(tx, rotation.from).await?;
        if left == 0 {
            let now = clock.now();
            store::finish(tx, rotation.id, now).await?;
            rotation.finished_at = Some(now);
            return Ok(Step::Finished(rotation));
        }
        store::note_progress(tx, rotation.id, 0, None).await?;
        return Ok(Step::Left { rotation, data_keys: left });
    };
    let mut wrapped = stream::iter(rows)
        .map(|row| async move {
            let anew = keyring.rewrap(&row).await;
            (row, anew)
        })
        .buffered(AT_ONCE);
    let (mut pairs, mut unopened) = (vec![], vec![]);
    while let Some((row, anew)) = wrapped.next().await {
        match anew {
            Ok(anew) => pairs.push((row, anew)),
            Err(error) if is_of_one_key(&error) => unopened.push((row.identity.id, error)),
            Err(error) => return Err(error.into()),
        }
    }
    let replaced = i64::try_from(store::replace(tx, &pairs).await?).unwrap_or(i64::MAX);
    rotation.reached = Some((last.organization.uuid(), last.id.uuid()));
    rotation.rewrapped += replaced;
    store::note_progress(tx, rotation.id, replaced, rotation.reached).await?;
    Ok(Step::Wrapped { rotation, unopened })
}

/// Ends a rotation although data keys are left that cannot be opened: what they sealed is lost, with either master key.
///
/// # Errors
/// When the database is gone.
pub async fn give_up_the_rest(tx: &mut SystemTx, clock: &Clock) -> Result<Option<Rotation>, RotationError> {
    let Some(mut rotation) = store::lock_unfinished(tx).await? else { return Ok(None) };
    let now = clock.now();
    store::finish(tx, rotation.id, now).await?;
    rotation.finished_at = Some(now);
    Ok(Some(rotation))
}

/// Whether it says something about one data key, and nothing about the store or the others.
fn is_of_one_key(error: &OpenError) -> bool {
    match error {
        OpenError::Tampered | OpenError::UnknownFormat | OpenError::KeyDestroyed => true,
        OpenError::WrongMasterKey { .. } => false,
        OpenError::KeyStore(error) => {
            matches!(error, KeyStoreError::Damaged { .. } | KeyStoreError::Exposed { .. })
        }
    }
}
