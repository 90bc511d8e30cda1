use anyhow::Context;
use chrono::{Days, Duration};
use db::{
    Db, Login, Logins, PoolSizes,
    backup::facts,
    cluster::Target,
    inspect,
    inspect::{ErrorCounts, Inspection},
};
use kernel::Clock;

use super::{
    Report,
    keys::{self, Keys},
};
use crate::{keys::status, verify};

/// How far the two clocks may be apart.
const APART: Duration = Duration::seconds(2);
/// How long a job may wait for somebody to take it.
const STUCK: Duration = Duration::hours(1);
/// How long ago what broke is of interest.
const RECENT: Duration = Duration::days(1);
/// How many organizations' logs are compared where not all are.
const SAMPLE: usize = 20;

const UNSEEN: &str = "run doctor again when the database answers";

pub(super) async fn look(
    logins: &Logins,
    backup: Option<&Target>,
    keys: Option<&Keys>,
    all: bool,
    clock: &Clock,
    report: &mut Report,
) {
    let mut reached = true;
    for login in Login::ALL {
        match inspect::login(logins, login).await {
            Ok(()) => report.ok("logins", format!("{login} connects, and has no rights that it must not have")),
            Err(error) => {
                reached = false;
                report.error("logins", format!("{login}: {error}"), "see docs/TENANCY.md for the four logins");
            }
        }
    }
    match backup {
        None => report.warning(
            "backup_login",
            "there is no login for backups: none can be made, and doctor cannot look at rows",
            "make entrepot_backup as docs/TENANCY.md shows, and set DATABASE_BACKUP_URL",
        ),
        Some(target) => {
            if let Err(error) = rows(target, keys, all, clock, report).await {
                report.error("backup_login", format!("rows could not be looked at: {error:#}"), UNSEEN);
            }
        }
    }
    if reached && let Err(error) = rotation(logins, keys, report).await {
        report.error("key_rotation", format!("the state of the master key could not be read: {error:#}"), UNSEEN);
    }
    if reached && let Err(error) = seals(logins, all, report).await {
        report.error("seals", format!("the logs could not be compared with their seals: {error:#}"), UNSEEN);
    }
}

async fn rows(
    target: &Target,
    keys: Option<&Keys>,
    all: bool,
    clock: &Clock,
    report: &mut Report,
) -> anyhow::Result<()> {
    let facts = facts(target).await.context("the login of backups")?;
    let mut inspection = Inspection::begin(target).await?;
    schema(&mut inspection, report).await?;
    partitions(&mut inspection, clock, report).await?;
    let apart = (inspection.clock().await? - clock.now()).abs();
    if apart > APART {
        report.error(
            "clock",
            format!(
                "the clocks of program and database are {} s apart: sessions, jobs and partitions go by them",
                apart.num_seconds()
            ),
            "synchronize both machines with NTP",
        );
    } else {
        report.ok("clock", "program and database agree about the time");
    }
    let jobs = inspection.jobs(clock.now() - STUCK).await?;
    match jobs.dead {
        0 => report.ok("dead_jobs", "no job has given up"),
        dead => report.warning(
            "dead_jobs",
            format!("{dead} jobs gave up after their last attempt"),
            "see `last_error` in the table jobs, and the log of that time",
        ),
    }
    match jobs.stuck {
        0 => report.ok("stuck_jobs", "no job waits for somebody to take it"),
        stuck => report.error(
            "stuck_jobs",
            format!("{stuck} jobs should have run an hour ago: mails, seals or deletions are not done"),
            "is a program serving? If one is, restart it and look at its log",
        ),
    }
    errors(&inspection.error_reports(clock.now() - RECENT).await?, report);
    match inspection.needing_reauthorization().await? {
        0 => report.ok("connections", "every shop accepts our access"),
        count => report.warning(
            "connections",
            format!("{count} connections need somebody to authorize them again"),
            "their organizations see which ones in the list of connections, with the status needs_reauth",
        ),
    }
    if let Some(keys) = keys {
        keys::look(&mut inspection, keys, all, (facts.master_key, facts.key_store), report).await?;
    }
    inspection.end().await?;
    Ok(())
}

fn errors(counts: &ErrorCounts, report: &mut Report) {
    match counts.broken {
        0 => report.ok("errors", "nothing broke outside organizations in the last day"),
        ways => report.warning(
            "errors",
            format!("something broke in {ways} ways in the last day that belong to no organization"),
            "`entrepot errors` shows them; each has the id of a request, to be looked for in the log",
        ),
    }
    match counts.strangers {
        0 => report.ok("proxies", "whoever said in the last day for whom they ask is a trusted proxy"),
        _ => report.warning(
            "proxies",
            "X-Forwarded-For came from an address that is no trusted proxy: if it is a proxy, all its callers are one network",
            "name the proxy in ENTREPOT_TRUSTED_PROXIES (the log has its address); if it is a stranger, nothing is to be done",
        ),
    }
}

async fn schema(inspection: &mut Inspection, report: &mut Report) -> anyhow::Result<()> {
    let state = inspection.schema().await?;
    if !state.failed.is_empty() || !state.edited.is_empty() {
        report.error(
            "schema",
            format!("migrations failed ({:?}) or differ from this program's ({:?})", state.failed, state.edited),
            "restore the backup made before the upgrade, or install the program that ran them",
        );
    } else if !state.unknown.is_empty() {
        report.warning(
            "schema",
            format!("the schema is later than this program ({:?}): another version serves", state.unknown),
            "install the same version on all nodes",
        );
    } else if !state.pending.is_empty() {
        report.warning(
            "schema",
            format!("{} migrations have not been run", state.pending.len()),
            "`entrepot serve` runs them at its start, `entrepot migrate` by itself",
        );
    } else {
        report.ok("schema", "the schema is this program's");
    }
    let tables = inspection.unprotected_tables().await?;
    if tables.is_empty() {
        report.ok("row_level_security", "row level security is forced on every table");
    } else {
        report.error(
            "row_level_security",
            format!(
                "row level security is not forced on {}: organizations are not held apart there",
                tables.join(", ")
            ),
            "as entrepot_owner: alter table … enable row level security; alter table … force row level security",
        );
    }
    Ok(())
}

async fn partitions(inspection: &mut Inspection, clock: &Clock, report: &mut Report) -> anyhow::Result<()> {
    let now = clock.now();
    let soon = now.checked_add_days(Days::new(28)).unwrap_or(now);
    for (moment, what) in [(now, "now"), (soon, "in four weeks")] {
        let missing = inspection.without_partition(moment).await?;
        if missing.is_empty() {
            report.ok("partitions", format!("what is written {what} has its partitions"));
        } else {
            report.error(
                "partitions",
                format!("{} have no partition for what is written {what}: it would be refused", missing.join(", ")),
                "`entrepot serve` makes them at its start and twice a day: is it running, and what does its log say?",
            );
        }
    }
    Ok(())
}

async fn rotation(logins: &Logins, keys: Option<&Keys>, report: &mut Report) -> anyhow::Result<()> {
    let db = Db::connect(logins, &PoolSizes::default()).await?;
    let found = status::of(&db).await;
    db.close().await;
    let found = found?;
    let previous = keys.and_then(|keys| keys.keyring.masters().previous()).map(|key| key.to_string());
    match &found.rotation {
        Some(last) if last.finished_at.is_none() => report.warning(
            "key_rotation",
            format!(
                "master key {} is being replaced by {}: {} of {} data keys are wrapped anew",
                last.from, last.to, last.rewrapped, last.total
            ),
            "nodes that serve with both keys go on with it; if none does, run `entrepot keys rotate`. Keep the previous key until it has \
             finished",
        ),
        _ if previous.is_some() && previous == found.removable => report.warning(
            "key_rotation",
            "the previous master key is still here, and nothing is left under it",
            "remove ENTREPOT_MASTER_KEY_PREVIOUS (or its file) from every node",
        ),
        _ if previous.is_some() && previous == found.master_key => report.warning(
            "key_rotation",
            "another master key is here and not in use yet",
            "run `entrepot keys rotate` once every node has both",
        ),
        _ => report.ok("key_rotation", "no master key is being replaced"),
    }
    Ok(())
}

async fn seals(logins: &Logins, all: bool, report: &mut Report) -> anyhow::Result<()> {
    let db = Db::connect(logins, &PoolSizes::default()).await?;
    let compared = verify::verify_some(&db, if all { usize::MAX } else { SAMPLE }).await;
    db.close().await;
    let (organizations, findings) = compared?;
    match findings.first() {
        None => report.ok("seals", format!("the logs of {organizations} organizations are what was sealed")),
        Some(first) => report.error(
            "seals",
            format!(
                "{} logs are not what was sealed; {} of {}: {}",
                findings.len(),
                first.log.as_str(),
                first.organization,
                first.fault
            ),
            "somebody changed rows behind the program: keep a dump as evidence, and run `entrepot verify`",
        ),
    }
    Ok(())
}
