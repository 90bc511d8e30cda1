//! `entrepot verify`: the logs against their seals.

use std::path::Path;

use anyhow::bail;
use db::{
    Db, Logins, PoolSizes, SystemTask,
    cluster::{Borrowed, ClusterOptions},
};
use kernel::{Action, OrganizationId, Resource, TenantScope, scope::InternalTask};
use kit::trail::chain::{self, Fault, Log};

use crate::cli::say;

/// Reads the logs, and writes nothing.
enum VerifyLogs {}
impl InternalTask for VerifyLogs {
    const NAME: &'static str = "verify_logs";
    const PERMISSIONS: &'static [(Resource, Action)] =
        &[(Resource::Audit, Action::Read), (Resource::Events, Action::Read)];
}

/// A log that is not what was sealed.
pub struct Finding {
    pub organization: OrganizationId,
    pub log: Log,
    pub fault: Fault,
}

pub(crate) async fn run(
    logins: Option<Logins>,
    data_dir: &Path,
    organization: Option<OrganizationId>,
) -> anyhow::Result<()> {
    let (logins, cluster) = match logins {
        Some(logins) => (logins, None),
        None => {
            let cluster = Borrowed::of(ClusterOptions::new(data_dir.join("postgres"))).await?;
            (cluster.logins(), Some(cluster))
        }
    };
    let db = Db::connect(&logins, &PoolSizes::default()).await?;
    let findings = verify(&db, organization, say).await;
    db.close().await;
    if let Some(cluster) = cluster {
        cluster.give_back().await?;
    }
    match findings?.len() {
        0 => Ok(()),
        1 => bail!("one log is not what was sealed"),
        logs => bail!("{logs} logs are not what was sealed"),
    }
}

/// Compares the logs of one organization, or of all, with their seals, and tells of each log in a line.
///
/// # Errors
/// When the database is gone.
pub async fn verify(
    db: &Db,
    organization: Option<OrganizationId>,
    tell: impl Fn(&str),
) -> anyhow::Result<Vec<Finding>> {
    let mut findings = vec![];
    if let Some(organization) = organization {
        of_organization(db, organization, &tell, &mut findings).await?;
        return Ok(findings);
    }
    let mut last = None;
    loop {
        let page = page(db, last).await?;
        let Some(end) = page.last().copied() else { return Ok(findings) };
        for organization in page {
            of_organization(db, organization, &tell, &mut findings).await?;
        }
        last = Some(end);
    }
}

/// Compares the logs of the first organizations, this many at most, and says how many those were.
///
/// # Errors
/// When the database is gone.
pub(crate) async fn verify_some(db: &Db, at_most: usize) -> anyhow::Result<(usize, Vec<Finding>)> {
    let (mut findings, mut looked_at, mut last) = (vec![], 0, None);
    while looked_at < at_most {
        let page = page(db, last).await?;
        let Some(end) = page.last().copied() else { break };
        for organization in page.into_iter().take(at_most - looked_at) {
            of_organization(db, organization, &|_: &str| (), &mut findings).await?;
            looked_at += 1;
        }
        last = Some(end);
    }
    Ok((looked_at, findings))
}

async fn page(db: &Db, after: Option<OrganizationId>) -> anyhow::Result<Vec<OrganizationId>> {
    let mut tx = db.system(SystemTask::VerifyLogs).await?;
    let page = chain::organizations(&mut tx, after).await?;
    tx.rollback().await?;
    Ok(page)
}

async fn of_organization(
    db: &Db,
    organization: OrganizationId,
    tell: &impl Fn(&str),
    findings: &mut Vec<Finding>,
) -> anyhow::Result<()> {
    let scope = TenantScope::internal::<VerifyLogs>(organization);
    for log in Log::ALL {
        let mut tx = db.tenant(&scope).await?;
        let found = chain::verify(&mut tx, log).await?;
        tx.rollback().await?;
        let name = log.as_str();
        if let Some(fault) = found.fault {
            tell(&format!("{organization} {name}: {fault}"));
            findings.push(Finding { organization, log, fault });
            continue;
        }
        let head = found.head.map_or_else(|| "none".to_owned(), |(number, hash)| format!("{number} {hash}"));
        let (lines, seals, expired, unsealed) = (found.lines, found.seals, found.expired, found.unsealed);
        tell(&format!(
            "{organization} {name}: {lines} lines are what was sealed ({seals} seals), {expired} have left with their \
             month, {unsealed} wait for a seal; last seal: {head}"
        ));
    }
    Ok(())
}
