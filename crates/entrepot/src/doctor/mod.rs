//! `entrepot doctor`: what is wrong or will be, what it means, and what to do. It reads, and changes nothing.

mod backups;
mod database;
mod disk;
mod issuers;
pub(crate) mod keys;
mod tls;

use std::path::PathBuf;

use accounts::oidc::IssuerSettings;
use db::{
    Logins,
    cluster::{Borrowed, ClusterOptions, Target},
};
use kernel::Clock;
use kit::vault::{MasterKeyError, MasterKeys};
use serde::Serialize;
use url::Url;

use crate::{keys::place, server::tls::Files};

/// How bad it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Severity {
    Ok,
    /// It works, and somebody should look at it.
    Warning,
    /// It does not work, or something that was promised does not hold.
    Error,
}

/// One thing that was looked at.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// The stable word for it.
    pub check: &'static str,
    pub severity: Severity,
    /// What was found, and what it means.
    pub finding: String,
    /// What to do about it; null where nothing is to be done.
    pub todo: Option<String>,
}

/// What was looked at, in the order in which it was.
#[derive(Default)]
pub(crate) struct Report(Vec<Finding>);

impl Report {
    pub(crate) fn ok(&mut self, check: &'static str, finding: impl Into<String>) {
        self.0.push(Finding { check, severity: Severity::Ok, finding: finding.into(), todo: None });
    }

    pub(crate) fn warning(&mut self, check: &'static str, finding: impl Into<String>, todo: impl Into<String>) {
        let todo = Some(todo.into());
        self.0.push(Finding { check, severity: Severity::Warning, finding: finding.into(), todo });
    }

    pub(crate) fn error(&mut self, check: &'static str, finding: impl Into<String>, todo: impl Into<String>) {
        let todo = Some(todo.into());
        self.0.push(Finding { check, severity: Severity::Error, finding: finding.into(), todo });
    }
}

/// What to look at.
pub struct Options {
    pub data_dir: PathBuf,
    /// None: the embedded server.
    pub external: Option<External>,
    /// Where the shards are; None: in a directory beside the data.
    pub key_database: Option<Target>,
    pub master_keys: Result<MasterKeys, MasterKeyError>,
    pub public_url: Option<Url>,
    /// Of the listener, where it speaks https itself.
    pub tls: Option<Files>,
    pub has_mail_server: bool,
    /// Whose tokens are taken, or what is wrong with the file that says so.
    pub issuers: anyhow::Result<Vec<IssuerSettings>>,
    /// Where backups are: dumps, and shards.
    pub backups: Option<(PathBuf, PathBuf)>,
    /// Compare all logs with their seals, and open all data keys, instead of a sample.
    pub all: bool,
}

/// The logins of an external server.
pub struct External {
    pub logins: Logins,
    /// Where those are that nobody verifies although they are elsewhere.
    pub unverified_hosts: Vec<String>,
    pub backup: Option<Target>,
}

/// # Errors
/// When what was started for looking cannot be stopped again; whatever else is wrong is a finding.
pub async fn run(options: Options, clock: &Clock) -> anyhow::Result<Vec<Finding>> {
    let mut report = Report::default();
    settings(&options, &mut report);
    if let Some(external) = &options.external {
        verified(external, &mut report);
    }
    if let Some(files) = &options.tls {
        tls::look(files, options.public_url.as_ref(), clock, &mut report);
    }
    disk::look(&options.data_dir, &mut report);
    let Options { data_dir, external, key_database, master_keys, issuers, backups, all, .. } = options;
    issuers::look(issuers, &mut report).await?;
    let place = place::of(&data_dir, key_database.as_ref());
    if let Some((dumps, shards)) = &backups {
        backups::look(dumps, shards, clock, &mut report);
    } else {
        report.warning(
            "backups",
            "where backups are kept is not known here, so their age was not looked at",
            "set ENTREPOT_BACKUP_DIR and ENTREPOT_BACKUP_SHARDS_DIR",
        );
    }
    let keys = keys::Keys::open(master_keys, &place, clock, &mut report).await;
    let cluster = match &external {
        Some(_) => None,
        None => match Borrowed::of(ClusterOptions::new(data_dir.join("postgres"))).await {
            Ok(cluster) => Some(cluster),
            Err(error) => {
                report.error(
                    "database",
                    error.to_string(),
                    "nothing else of the database could be looked at until then",
                );
                return Ok(report.0);
            }
        },
    };
    let (logins, backup) = match (&external, &cluster) {
        (Some(external), _) => (external.logins.clone(), external.backup.clone()),
        (None, Some(cluster)) => (cluster.logins(), Some(cluster.backup_target())),
        (None, None) => return Ok(report.0),
    };
    if key_database.is_some() {
        match place::refuse_one_server(&place, &logins).await {
            Ok(()) => report.ok("key_database", "the key database is on another server, and its login may do no more than it must"),
            Err(error) => report.error(
                "key_database",
                format!("{error:#}"),
                "make a key database on another server, with the logins of docs/keys.md, and move the shards with `entrepot keys move`",
            ),
        }
    }
    Box::pin(database::look(&logins, backup.as_ref(), keys.as_ref(), all, clock, &mut report)).await;
    if let Some(cluster) = cluster {
        cluster.give_back().await?;
    }
    Ok(report.0)
}

fn verified(external: &External, report: &mut Report) {
    match external.unverified_hosts.as_slice() {
        [] => report.ok("database_tls", "the database is on this machine, or its certificate is verified"),
        hosts => report.warning(
            "database_tls",
            format!(
                "nobody verifies the server at {}: whoever is in between can read and change everything",
                hosts.join(", ")
            ),
            "add ?sslmode=verify-full&sslrootcert=FILE to the URLs, or set ENTREPOT_DATABASE_NETWORK_IS_PRIVATE",
        ),
    }
}

fn settings(options: &Options, report: &mut Report) {
    match &options.public_url {
        Some(url) if url.scheme() == "https" => report.ok("public_url", "people and providers reach us by https"),
        Some(url) => report.warning(
            "public_url",
            format!("ENTREPOT_PUBLIC_URL is {url}: only this machine can use it"),
            "give the listener a certificate (ENTREPOT_TLS_CERTIFICATE) or put a proxy before it, and set ENTREPOT_PUBLIC_URL to the \
             https address",
        ),
        None => report.warning(
            "public_url",
            "ENTREPOT_PUBLIC_URL is not set: only this machine can use it, and shops cannot send anybody back",
            "set ENTREPOT_PUBLIC_URL to the https address that people type",
        ),
    }
    if options.has_mail_server {
        report.ok("mail", "a mail server is configured");
    } else {
        report.warning(
            "mail",
            "no mail server: invitations, verifications and new passwords wait in the outbox",
            "set ENTREPOT_SMTP_URL and ENTREPOT_MAIL_FROM",
        );
    }
}
