use std::path::Path;

use chrono::Duration;
use kernel::{Clock, Time};

use super::Report;
use crate::backup::{
    SHARDS_LIVE,
    manifest::{Database, Half, Manifest, Shards},
    place::{Entry, entries},
};

/// A day, and what a nightly backup may be late.
const FRESH: Duration = Duration::hours(30);

pub(super) fn look(dumps: &Path, shards: &Path, clock: &Clock, report: &mut Report) {
    let now = clock.now();
    newest::<Database>("backup", "dump", dumps, now, report);
    let Some(found) = newest::<Shards>("shard_backup", "backup of the shards", shards, now, report) else { return };
    let unreadable =
        found.last().and_then(|last| Manifest::<Shards>::read(&last.path).ok()).map_or(0, |last| last.of.unreadable);
    if unreadable > 0 {
        report.error(
            "shard_backup",
            format!("{unreadable} shards could not be read when the newest backup was made, and are not in it"),
            "see `shard_files`; put them back from an earlier backup of the shards, which is kept until then, and run `entrepot backup` again",
        );
    }
    let old = found.iter().filter(|entry| entry.made_at < now - SHARDS_LIVE).count();
    if old > 0 {
        report.error(
            "old_shards",
            format!(
                "{old} backups of shards in {} are older than seven days: they bring back what was destroyed",
                shards.display()
            ),
            "run `entrepot backup`, which removes them; remove copies elsewhere too",
        );
    } else {
        report.ok("old_shards", "no backup of shards is older than seven days");
    }
}

fn newest<H: Half>(check: &'static str, what: &str, dir: &Path, now: Time, report: &mut Report) -> Option<Vec<Entry>> {
    let todo = "run `entrepot backup` every night, from a timer or cron";
    let found = match entries(dir) {
        Ok(found) => found,
        Err(error) => {
            report.error(check, format!("{} cannot be read: {error}", dir.display()), todo);
            return None;
        }
    };
    let Some(last) = found.last() else {
        report.error(check, format!("there is no {what} in {}", dir.display()), todo);
        return None;
    };
    let whole = Manifest::<H>::read(&last.path).and_then(|manifest| manifest.check_files(&last.path));
    let hours = (now - last.made_at).num_hours();
    if let Err(error) = whole {
        report.error(check, format!("the newest {what} is not whole: {error:#}"), "run `entrepot backup` again");
    } else if now - last.made_at > FRESH {
        report.error(check, format!("the newest {what} is {hours} hours old"), todo);
    } else {
        report.ok(check, format!("the newest {what} is whole, and {hours} hours old"));
    }
    Some(found)
}
