//! `entrepot doctor`.

use std::path::PathBuf;

use clap::Args;
use kernel::Clock;
use kit::vault::MasterKeys;
use url::Url;

use super::{
    database::{BackupLogin, Database, KeyStoreDatabase},
    log_to_stderr, say,
    serve::{self, Mail, TlsFiles},
};
use crate::doctor::{self, Finding, Severity};

#[derive(Args)]
pub(super) struct Doctor {
    /// Print JSON
    #[arg(long)]
    json: bool,
    /// Look at all logs and all data keys, instead of a sample
    #[arg(long)]
    all: bool,
    /// Where the embedded PostgreSQL and the key store live
    #[arg(long, env = "ENTREPOT_DATA_DIR", default_value = "data")]
    data_dir: PathBuf,
    #[command(flatten)]
    database: Database,
    #[command(flatten)]
    backup_login: BackupLogin,
    #[command(flatten)]
    key_database: KeyStoreDatabase,
    /// Where people and providers reach us
    #[arg(long, env = "ENTREPOT_PUBLIC_URL")]
    public_url: Option<Url>,
    #[command(flatten)]
    tls: TlsFiles,
    #[command(flatten)]
    mail: Mail,
    /// The file of OpenID Connect issuers
    #[arg(long, env = "ENTREPOT_OIDC_FILE", value_name = "FILE")]
    oidc_file: Option<String>,
    /// Where dumps are kept
    #[arg(long, env = "ENTREPOT_BACKUP_DIR", requires = "backup_shards_dir")]
    backup_dir: Option<PathBuf>,
    /// Where shards are kept
    #[arg(long, env = "ENTREPOT_BACKUP_SHARDS_DIR", requires = "backup_dir")]
    backup_shards_dir: Option<PathBuf>,
}

pub(super) async fn run(options: Doctor) -> anyhow::Result<()> {
    log_to_stderr("error");
    let external = match options.database.logins()? {
        Some(logins) => Some(doctor::External {
            unverified_hosts: options.database.unverified_hosts(&logins),
            logins,
            backup: options.backup_login.target_if_set()?,
        }),
        None => None,
    };
    let looked_at = doctor::Options {
        data_dir: options.data_dir,
        external,
        key_database: options.key_database.target()?,
        master_keys: MasterKeys::from_env(),
        public_url: options.public_url,
        tls: options.tls.files(),
        has_mail_server: options.mail.settings()?.is_some(),
        issuers: serve::issuers(options.oidc_file.as_deref()),
        backups: options.backup_dir.zip(options.backup_shards_dir),
        all: options.all,
    };
    let findings = Box::pin(doctor::run(looked_at, &Clock::system())).await?;
    if options.json {
        say(&serde_json::to_string_pretty(&findings)?);
    } else {
        findings.iter().for_each(|finding| say(&line(finding)));
    }
    match findings.iter().filter(|finding| finding.severity == Severity::Error).count() {
        0 => Ok(()),
        1 => anyhow::bail!("one thing is wrong"),
        errors => anyhow::bail!("{errors} things are wrong"),
    }
}

fn line(finding: &Finding) -> String {
    let severity = match finding.severity {
        Severity::Ok => "ok      ",
        Severity::Warning => "warning ",
        Severity::Error => "ERROR   ",
    };
    let Finding { check, finding, todo, .. } = finding;
    match todo {
        Some(todo) => format!("{severity}{check}: {finding}\n        to do: {todo}"),
        None => format!("{severity}{check}: {finding}"),
    }
}
