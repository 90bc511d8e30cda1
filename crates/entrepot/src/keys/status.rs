//! What `entrepot keys status` and `entrepot doctor` say of the master key.

use db::{Db, SystemTask};
use kit::{
    data_keys::rotation::{self, Rotation, UnderKey},
    vault::Fingerprint,
};
use serde::Serialize;

/// The master keys of a database. Keys are named by their fingerprints.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Status {
    /// The one that counts; null in a database that was never served from.
    pub master_key: Option<String>,
    /// How many data keys are under which.
    pub data_keys: Vec<Under>,
    /// The last time that it was replaced.
    pub rotation: Option<Last>,
    /// The key that was replaced last and opens nothing any more: it can be removed everywhere.
    pub removable: Option<String>,
    /// How many data keys are under the key that was replaced last, although that has ended.
    pub left_behind: i64,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Under {
    pub master_key: String,
    pub data_keys: i64,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Last {
    pub from: String,
    pub to: String,
    pub began_at: kernel::Time,
    pub finished_at: Option<kernel::Time>,
    pub total: i64,
    pub rewrapped: i64,
}

/// # Errors
/// When the database is gone.
pub async fn of(db: &Db) -> anyhow::Result<Status> {
    let mut tx = db.system(SystemTask::RotateKeys).await?;
    let (active, last) = (rotation::active(&mut tx).await?, rotation::last(&mut tx).await?);
    let references = rotation::references(&mut tx).await?;
    tx.rollback().await?;
    Ok(status(active, last, &references))
}

fn status(active: Option<Fingerprint>, last: Option<Rotation>, references: &[UnderKey]) -> Status {
    let under = |key: Fingerprint| references.iter().find(|under| under.key == key).map_or(0, |under| under.data_keys);
    let finished = last.as_ref().filter(|last| last.is_finished());
    let left_behind = finished.map_or(0, |last| under(last.from));
    let removable = finished.filter(|_| left_behind == 0).map(|last| last.from.to_string());
    Status {
        master_key: active.map(|key| key.to_string()),
        data_keys: references
            .iter()
            .map(|under| Under { master_key: under.key.to_string(), data_keys: under.data_keys })
            .collect(),
        rotation: last.map(|last| Last {
            from: last.from.to_string(),
            to: last.to.to_string(),
            began_at: last.began_at,
            finished_at: last.finished_at,
            total: last.total,
            rewrapped: last.rewrapped,
        }),
        removable,
        left_behind,
    }
}

/// For people.
pub fn lines(status: &Status) -> Vec<String> {
    let Some(active) = &status.master_key else { return vec!["The database was never served from.".to_owned()] };
    let mut lines = vec![format!("Master key {active} counts.")];
    for under in &status.data_keys {
        lines.push(format!("{} data keys are wrapped under {}.", under.data_keys, under.master_key));
    }
    if let Some(last) = &status.rotation {
        lines.push(match last.finished_at {
            None => format!(
                "Replacing {} by {}: {} of {} data keys are wrapped anew, since {}. Serving nodes with both keys go on with it, and so \
                 does `entrepot keys rotate`. Keep {}.",
                last.from, last.to, last.rewrapped, last.total, last.began_at, last.from
            ),
            Some(at) => format!("{} was replaced by {}, from {} to {at}.", last.from, last.to, last.began_at),
        });
        match &status.removable {
            Some(key) => lines.push(format!(
                "Nothing is left under {key}: you can remove it now. Keep a copy while backups are kept that were made before {}.",
                last.finished_at.unwrap_or(last.began_at)
            )),
            None if last.finished_at.is_some() => lines.push(format!(
                "{} data keys are still wrapped under {}, given up or made by a node of an earlier version: run `entrepot keys rotate` with \
                 both keys once more, and keep it until none is left, or for as long as their shards may come back.",
                status.left_behind, last.from
            )),
            None => {}
        }
    }
    lines
}
