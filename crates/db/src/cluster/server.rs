//! One server on one data directory: making the directory, launching the program, knowing when it is ready.

use std::{
    fs,
    os::unix::{fs::chown, process::CommandExt},
    path::{Path, PathBuf},
    process::{Child, Command, Output, Stdio},
    sync::mpsc,
    thread,
    time::{Duration, Instant},
};

use super::{
    ClusterOptions,
    account::{self, Account},
    area::{self, Area},
    binaries::{self, Binaries, Search},
    error::{At, ClusterError},
    log::Log,
    logins::{Passwords, SUPERUSER, write_private},
    orphan, settings,
};

/// The server's `cluster_name`, by which one that we left behind is told from one that somebody else started.
pub(super) const MARK: &str = "entrepot-embedded";

/// Everything that is decided once and then only read.
pub(super) struct Server {
    pub(super) area: Area,
    pub(super) account: Account,
    pub(super) binaries: Binaries,
    pub(super) passwords: Passwords,
    pub(super) socket_dir: PathBuf,
    pub(super) log: Log,
    ready_within: Duration,
    arguments: Vec<String>,
}

impl Server {
    /// Makes ready to launch. The caller holds the area's lock.
    pub(super) fn prepare(area: Area, options: &ClusterOptions) -> Result<Self, ClusterError> {
        let binaries = Search::on_this_machine(options.bin_dir.clone()).find(&area.pgdata)?;
        let account = Account::resolve(&options.run_as, &area.pgdata, area.owner()?)?;
        account.check_reach(&[&area.root, &binaries.dir])?;
        orphan::remove(&area.pgdata)?;

        let socket_dir = area.socket_dir(&account)?;
        let arguments = settings::arguments(&socket_dir, &options.extra_settings)?;
        let passwords = Passwords::load(&area.passwords)?;
        let log = Log::default();
        let server =
            Self { area, account, binaries, passwords, socket_dir, log, arguments, ready_within: options.ready_within };
        server.make_data_ready()?;
        Ok(server)
    }

    fn make_data_ready(&self) -> Result<(), ClusterError> {
        let Area { pgdata, passwords, .. } = &self.area;
        let is_new = binaries::data_version(pgdata)?.is_none();
        if is_new && pgdata.exists() && fs::read_dir(pgdata).at(pgdata)?.next().is_some() {
            return Err(ClusterError::NotACluster { pgdata: pgdata.clone() });
        }
        if is_new {
            self.initdb()?;
        } else if self.passwords.superuser_is_new {
            self.reset_superuser()?;
        }
        // Between making the data and giving it its name: data that exists has its passwords.
        self.passwords.save(passwords)?;
        if is_new {
            fs::rename(self.area.unfinished(), pgdata).at(pgdata)?;
            area::sync_parent(pgdata)?;
        }
        // PostgreSQL refuses a directory that others may enter.
        area::create_private_dir(pgdata, &self.account)
    }

    fn initdb(&self) -> Result<(), ClusterError> {
        let began = Instant::now();
        let dir = self.area.unfinished();
        if dir.exists() {
            fs::remove_dir_all(&dir).at(&dir)?;
        }
        area::create_private_dir(&dir, &self.account)?;
        let password = PasswordFile::write(&self.area.root.join("initdb.password"), self)?;
        let mut command = self.account.command(&self.binaries.program("initdb"));
        command.arg("-D").arg(&dir).arg("-U").arg(SUPERUSER).arg("--pwfile").arg(&password.0);
        command.args([
            "-A",
            "scram-sha-256",
            "--data-checksums",
            "-E",
            "UTF8",
            "--locale=C.UTF-8",
            "--no-instructions",
        ]);
        let output = run(command, "")?;
        drop(password);
        if !output.status.success() {
            let output_text = String::from_utf8_lossy(&output.stderr).trim().to_owned();
            return Err(ClusterError::Initdb { status: output.status.to_string(), output: output_text });
        }
        tracing::info!(ms = began.elapsed().as_millis(), version = %self.binaries.version, "made a new database cluster");
        Ok(())
    }

    /// The data is there and the file with its passwords is not, as after restoring a backup of the data alone. In
    /// single-user mode PostgreSQL asks for none. The password goes through stdin: arguments can be read by everybody.
    fn reset_superuser(&self) -> Result<(), ClusterError> {
        area::create_private_dir(&self.area.pgdata, &self.account)?;
        let mut command = self.account.command(&self.binaries.program("postgres"));
        command.arg("--single").arg("-D").arg(&self.area.pgdata).args(&self.arguments).arg("postgres");
        let password = self.passwords.of(SUPERUSER).expose();
        let output = run(command, &format!("alter role {SUPERUSER} login superuser password '{password}'\n"))?;
        // It answers 0 whatever became of the statement; the first connection shows that. Its output may quote the
        // statement, so only the status is repeated.
        if !output.status.success() {
            let output_text = "while setting the superuser's password in single-user mode".into();
            return Err(ClusterError::NotReady { status: output.status.to_string(), output: output_text });
        }
        tracing::warn!("the file with the cluster's passwords was missing: new ones are set");
        Ok(())
    }

    /// Starts the program. It gets its signal when the thread that calls this ends.
    pub(super) fn spawn(&self) -> Result<(Child, Launch), ClusterError> {
        let mut command = self.account.command(&self.binaries.program("postgres"));
        command.arg("-D").arg(&self.area.pgdata).args(&self.arguments);
        // Ctrl-C in a terminal goes to the whole group: the database must outlive the requests that are being finished.
        command.process_group(0).stdout(Stdio::null()).stderr(Stdio::piped());
        self.log.server_starts();
        let mut child = command.spawn().map_err(account::no_setpriv)?;
        let (done, log_ended) = mpsc::channel();
        if let Some(stderr) = child.stderr.take() {
            let log = self.log.clone();
            let follow = move || {
                log.follow(stderr);
                // Nobody may be waiting any more.
                let _ = done.send(());
            };
            thread::Builder::new().name("postgres-log".into()).spawn(follow).at("/proc/self/task")?;
        }
        let launch = Launch { pid: child.id(), began: Instant::now(), log_ended };
        Ok((child, launch))
    }

    /// PostgreSQL says so itself, in the last line of its lock file; that the file exists says nothing.
    pub(super) fn is_ready(&self, launch: &Launch) -> bool {
        PidFile::read(&self.area.pgdata).is_some_and(|file| file.pid == i64::from(launch.pid) && file.status == "ready")
    }

    pub(super) fn is_too_slow(&self, launch: &Launch) -> bool {
        launch.began.elapsed() > self.ready_within
    }

    /// Takes away the socket's directory where it is not in the area. One whose server was killed still holds a socket,
    /// and stays for the next start.
    pub(super) fn leave(&self) {
        if !self.socket_dir.starts_with(&self.area.root)
            && let Err(error) = fs::remove_dir(&self.socket_dir)
        {
            tracing::warn!(dir = %self.socket_dir.display(), %error, "cannot remove the socket's directory");
        }
    }

    pub(super) fn too_slow(&self) -> ClusterError {
        ClusterError::TooSlow { seconds: self.ready_within.as_secs(), output: self.log.recent().join("; ") }
    }

    pub(super) fn ended_early(&self, launch: &Launch, status: String) -> ClusterError {
        // What it said last may still be on its way. Never waits long: an orphaned backend can keep the pipe open.
        let _ = launch.log_ended.recv_timeout(Duration::from_secs(1));
        ClusterError::NotReady { status, output: self.log.recent().join("; ") }
    }
}

/// A program that was started, ready or not.
pub(super) struct Launch {
    pub(super) pid: u32,
    pub(super) began: Instant,
    log_ended: mpsc::Receiver<()>,
}

/// What of `postmaster.pid` matters here: <https://www.postgresql.org/docs/15/storage-file-layout.html> and
/// `src/include/utils/pidfile.h`.
pub(super) struct PidFile {
    /// Negative for a single-user server.
    pub(super) pid: i64,
    /// Where the socket is; empty until the server listens.
    pub(super) socket_dir: PathBuf,
    pub(super) status: String,
}

impl PidFile {
    pub(super) fn read(pgdata: &Path) -> Option<Self> {
        let text = fs::read_to_string(pgdata.join("postmaster.pid")).ok()?;
        let pid = text.lines().next()?.trim().parse().ok()?;
        let line = |number| text.lines().nth(number).unwrap_or_default().trim();
        Some(Self { pid, socket_dir: line(4).into(), status: line(7).into() })
    }
}

/// The superuser's password where initdb can read it, for as long as it runs.
struct PasswordFile(PathBuf);

impl PasswordFile {
    fn write(path: &Path, server: &Server) -> Result<Self, ClusterError> {
        write_private(path, server.passwords.of(SUPERUSER).expose())?;
        let file = Self(path.into());
        if server.account.switched {
            chown(path, Some(server.account.uid), Some(server.account.gid)).at(path)?;
        }
        Ok(file)
    }
}

impl Drop for PasswordFile {
    fn drop(&mut self) {
        if let Err(error) = fs::remove_file(&self.0) {
            tracing::warn!(path = %self.0.display(), %error, "cannot remove initdb's password file");
        }
    }
}

fn run(mut command: Command, input: &str) -> Result<Output, ClusterError> {
    use std::io::Write;

    command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::piped());
    let mut child = command.spawn().map_err(account::no_setpriv)?;
    if let Some(mut stdin) = child.stdin.take() {
        // It fails where the program ended without reading; its status tells why.
        let _ = stdin.write_all(input.as_bytes());
    }
    child.wait_with_output().map_err(account::no_setpriv)
}
