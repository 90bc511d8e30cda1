//! Running `initdb` and `pg_upgrade`: <https://www.postgresql.org/docs/18/pgupgrade.html>.

use std::{
    fs,
    os::unix::fs::chown,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use super::{Prepared, Profile, UpgradeError, room, staging};
use crate::cluster::{
    PORT,
    account::{self, Account},
    area::{self, Area, Lock},
    binaries::Binaries,
    error::{At as _, ClusterError},
    logins::{SUPERUSER, write_private},
    orphan,
    server::MARK,
};

/// What `pg_upgrade` runs of the old version and of the new one (`check_bin_dir` in its `exec.c`).
const OF_OLD: &[&str] = &["postgres", "pg_ctl", "pg_controldata", "pg_resetwal"];
const OF_NEW: &[&str] = &[
    "postgres",
    "initdb",
    "pg_ctl",
    "pg_controldata",
    "pg_resetwal",
    "pg_dump",
    "pg_dumpall",
    "pg_restore",
    "pg_upgrade",
    "psql",
    "vacuumdb",
];

pub(super) fn check_programs(from: &Binaries, to: &Binaries) -> Result<(), UpgradeError> {
    for (binaries, programs) in [(from, OF_OLD), (to, OF_NEW)] {
        if let Some(program) = programs.iter().find(|program| !binaries.program(program).is_file()) {
            return Err(UpgradeError::MissingProgram { dir: binaries.dir.clone(), program });
        }
    }
    Ok(())
}

/// Lines of what a program said that are shown.
const SHOWN: usize = 25;

/// A new cluster beside the old one, into which the old one is converted.
pub(super) struct Conversion<'a> {
    prepared: &'a Prepared,
    account: Account,
    new: Area,
    /// `pg_upgrade` works here, as the server's user.
    work: PathBuf,
    /// For both servers.
    sockets: PathBuf,
}

impl<'a> Conversion<'a> {
    /// Makes an empty cluster beside the old one. The lock is the old one's: no server runs on it, and none is started.
    pub(super) fn begin(prepared: &'a Prepared, profile: &Profile, _lock: &Lock) -> Result<Self, UpgradeError> {
        let old = &prepared.area;
        if profile.has_tablespaces {
            return Err(UpgradeError::Tablespaces);
        }
        room::check(&old.pgdata, old.root.parent().unwrap_or(&old.root), prepared.options.link)?;
        let account = Account::resolve(&prepared.options.run_as, &old.pgdata, old.owner()?)?;
        account.check_reach(&[&old.root, &prepared.from.dir, &prepared.to.dir])?;
        orphan::remove(&old.pgdata)?;

        let new = Area::open(&staging(&old.root))?;
        let work = new.root.join("work");
        area::create_private_dir(&work, &account)?;
        // Roles keep their passwords: `pg_upgrade` takes them along.
        let passwords = fs::read_to_string(&old.passwords).at(&old.passwords)?;
        write_private(&new.passwords, &passwords)?;
        let sockets = old.socket_dir(&account)?;
        let conversion = Self { prepared, account, new, work, sockets };
        conversion.give("pgpass", &passwords)?;
        conversion.initdb(profile, &passwords)?;
        Ok(conversion)
    }

    /// A file that the server's user can read, and nobody else.
    fn give(&self, name: &str, text: &str) -> Result<PathBuf, ClusterError> {
        let path = self.work.join(name);
        write_private(&path, text)?;
        if self.account.switched {
            chown(&path, Some(self.account.uid), Some(self.account.gid)).at(&path)?;
        }
        Ok(path)
    }

    fn initdb(&self, profile: &Profile, passwords: &str) -> Result<(), UpgradeError> {
        let entry = format!("*:*:*:{SUPERUSER}:");
        let password = passwords.lines().find_map(|line| line.strip_prefix(&entry)).unwrap_or_default();
        let password = self.give("password", password)?;
        area::create_private_dir(&self.new.pgdata, &self.account)?;
        let to = &self.prepared.to;
        let mut command = self.account.command(&to.program("initdb"));
        command.arg("-D").arg(&self.new.pgdata).arg("-U").arg(SUPERUSER).arg("--pwfile").arg(&password);
        command.args([
            "-A",
            "scram-sha-256",
            "-E",
            "UTF8",
            "--locale-provider=libc",
            "--locale=C.UTF-8",
            "--no-instructions",
        ]);
        // Everything is written to the disk when `pg_upgrade` is done.
        command.arg("--no-sync");
        // Both must have them or neither; from 18 on they are there unless it is said otherwise.
        match (profile.has_checksums, to.version.major) {
            (true, _) => drop(command.arg("--data-checksums")),
            (false, 18..) => drop(command.arg("--no-data-checksums")),
            (false, _) => {}
        }
        if profile.segment_megabytes != 16 {
            command.arg(format!("--wal-segsize={}", profile.segment_megabytes));
        }
        run(command).map_err(|said| UpgradeError::Failed { said })?;
        area::remove_file(&password)?;
        if profile.uses_icu { self.check_icu() } else { Ok(()) }
    }

    /// Whether the later programs know ICU is asked of them: their build options say it only where `pg_config` is there.
    fn check_icu(&self) -> Result<(), UpgradeError> {
        let probe = self.work.join("icu");
        area::create_private_dir(&probe, &self.account)?;
        let mut command = self.account.command(&self.prepared.to.program("initdb"));
        command.arg("-D").arg(&probe).args(["-U", SUPERUSER, "-E", "UTF8", "--locale=C", "--locale-provider=icu"]);
        command.args(["--icu-locale=und", "-A", "scram-sha-256", "--no-sync", "--no-instructions"]);
        command.arg("--pwfile").arg(self.give("password", "of a cluster that is never started")?);
        let known = run(command);
        fs::remove_dir_all(&probe).at(&probe)?;
        known.map_err(|_| UpgradeError::Icu { to: self.prepared.to.dir.clone() })
    }

    pub(super) fn check(&self) -> Result<(), UpgradeError> {
        let mut command = self.pg_upgrade();
        command.arg("--check");
        run(command).map_err(|said| UpgradeError::Refused { said: self.with_reports(said) })
    }

    pub(super) fn run(&self) -> Result<(), UpgradeError> {
        let mut command = self.pg_upgrade();
        if self.prepared.options.link {
            command.arg("--link");
        }
        let done = run(command);
        done.map_err(|said| UpgradeError::Failed { said: self.with_reports(said) })?;
        // The passwords in it, and a script that would delete the old cluster.
        fs::remove_dir_all(&self.work).at(&self.work)?;
        Ok(())
    }

    fn pg_upgrade(&self) -> Command {
        let Prepared { from, to, area: old, .. } = self.prepared;
        let mut command = self.account.command(&to.program("pg_upgrade"));
        command.current_dir(&self.work).env("PGPASSFILE", self.work.join("pgpass"));
        command.arg("--old-bindir").arg(&from.dir).arg("--new-bindir").arg(&to.dir);
        command.arg("--old-datadir").arg(&old.pgdata).arg("--new-datadir").arg(&self.new.pgdata);
        command.arg("--username").arg(SUPERUSER).arg("--socketdir").arg(&self.sockets);
        // One runs after the other, and their sockets are named by this: a longer name might not fit.
        let port = PORT.to_string();
        command.arg("--old-port").arg(&port).arg("--new-port").arg(&port);
        // A server that outlives a killed `pg_upgrade` is known as ours by this, and stopped by the next to come.
        let mark = format!("-c cluster_name={MARK}");
        command.arg("--old-options").arg(&mark).arg("--new-options").arg(&mark);
        command
    }

    /// Some of what it finds it writes into files.
    fn with_reports(&self, mut said: String) -> String {
        let mut reports = vec![];
        find_reports(&self.new.pgdata.join("pg_upgrade_output.d"), &mut reports);
        for report in reports {
            if let Ok(text) = fs::read_to_string(&report) {
                let name = report.file_name().unwrap_or_default().to_string_lossy().into_owned();
                let lines = text.lines().take(SHOWN).collect::<Vec<_>>().join("\n");
                said.push_str(&format!("\n{name}:\n{lines}"));
            }
        }
        said
    }
}

/// Its findings are `.txt`; the logs beside them repeat every statement of a dump, and stay where they are.
fn find_reports(dir: &Path, reports: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(dir).into_iter().flatten().flatten() {
        let path = entry.path();
        if path.is_dir() {
            find_reports(&path, reports);
        } else if path.extension().is_some_and(|extension| extension == "txt") {
            reports.push(path);
        }
    }
}

/// Runs a program to its end. What it said last, when that was not good.
fn run(mut command: Command) -> Result<(), String> {
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let output = command.output().map_err(|error| account::no_setpriv(error).to_string())?;
    if output.status.success() {
        return Ok(());
    }
    let said = [output.stdout, output.stderr].map(|said| String::from_utf8_lossy(&said).into_owned()).concat();
    let lines: Vec<&str> = said.lines().filter(|line| !line.trim().is_empty()).collect();
    let last = lines[lines.len().saturating_sub(SHOWN)..].join("\n");
    Err(format!("{last}\n({})", output.status))
}
