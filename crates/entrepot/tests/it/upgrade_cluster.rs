//! The embedded cluster, converted from PostgreSQL 15 to 18 (`script/postgresql-18`), and killed while it is.

use std::{
    fs,
    os::unix::fs::{PermissionsExt, chown},
    path::{Path, PathBuf},
    process::{Command, Output},
    thread,
    time::{Duration, Instant},
};

use serde_json::json;

use crate::process::{Serving, entrepot, new_key, refused, scratch};

/// How many times it is killed, each of which takes some seconds; `script/soak upgrade` does it more often.
fn kills() -> u32 {
    std::env::var("ENTREPOT_UPGRADE_KILLS").ok().and_then(|text| text.parse().ok()).unwrap_or(2)
}

const SKIPPED: &str = "skipped: PostgreSQL 15 of Debian and 18 of script/postgresql-18 are needed, and one is not here";

/// Debian's 15, and what `script/postgresql-18` puts into the target directory; None where one is missing.
fn versions() -> Option<(PathBuf, PathBuf)> {
    let old = PathBuf::from("/usr/lib/postgresql/15/bin");
    let target = std::env::current_exe().unwrap().ancestors().nth(3).unwrap().to_owned();
    let new = target.join("postgresql-18/bin");
    let are_here = old.join("initdb").exists() && new.join("pg_upgrade").exists();
    are_here.then(|| (old, new.canonicalize().unwrap()))
}

/// An installation on 15, with somebody in it.
struct Installation {
    _folder: tempfile::TempDir,
    data_dir: PathBuf,
    key: String,
    token: String,
    old: PathBuf,
    new: PathBuf,
}

impl Installation {
    fn make() -> Option<Self> {
        let (old, new) = versions()?;
        let (folder, key) = (scratch(), new_key());
        let data_dir = folder.path().join("data");
        let serving = Serving::with(&data_dir, &key, &[("ENTREPOT_PG_BIN", old.to_str().unwrap())]);
        let token = serving.sign_up("kata");
        let made =
            serving.call("POST", "/api/team-members", &token, &json!({ "full_name": "Bela", "member_type": "sales" }));
        assert_eq!(made.status, 201, "{}", made.body);
        serving.stop();
        Some(Self { _folder: folder, data_dir, key, token, old, new })
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let data_dir = self.data_dir.to_str().unwrap();
        let arguments = [&["upgrade-cluster", "--data-dir", data_dir], arguments].concat();
        entrepot(&arguments, &[("ENTREPOT_MASTER_KEY", &self.key), ("ENTREPOT_PG_BIN", self.new.to_str().unwrap())])
    }

    fn run(&self, arguments: &[&str]) -> String {
        let output = self.command(arguments).output().unwrap();
        assert!(output.status.success(), "{arguments:?}: {}", said(&output));
        said(&output)
    }

    fn version(&self) -> String {
        let file = self.data_dir.join("postgres/pgdata/PG_VERSION");
        fs::read_to_string(file).unwrap().trim().to_owned()
    }

    /// Serves with the programs in a directory, and finds what was there.
    fn serves(&self, bin: &Path) {
        let serving = Serving::with(&self.data_dir, &self.key, &[("ENTREPOT_PG_BIN", bin.to_str().unwrap())]);
        assert_eq!(serving.get("/api/me", &self.token).status, 200);
        // Sealed, and opened with the key store.
        let team = serving.get("/api/team-members", &self.token);
        assert!(team.body.to_string().contains("Bela"), "{}", team.body);
        serving.stop();
    }

    fn refusal(&self, bin: &Path) -> String {
        let environment = [("ENTREPOT_MASTER_KEY", self.key.as_str()), ("ENTREPOT_PG_BIN", bin.to_str().unwrap())];
        refused(&["serve", "--listen", "127.0.0.1:0", "--data-dir", self.data_dir.to_str().unwrap()], &environment)
    }
}

fn said(output: &Output) -> String {
    [&output.stdout, &output.stderr].map(|said| String::from_utf8_lossy(said).into_owned()).concat()
}

#[test]
fn a_cluster_of_15_becomes_one_of_18_holds_the_same_and_the_old_one_is_kept_whole() {
    let Some(installation) = Installation::make() else { return println!("{SKIPPED}") };
    let Installation { data_dir, old, new, .. } = &installation;
    let refusal = installation.refusal(new);
    assert!(refusal.contains("is of PostgreSQL 15") && refusal.contains("entrepot upgrade-cluster"), "{refusal}");

    let checked = installation.run(&["--check"]);
    assert!(checked.contains("can be converted to 18") && checked.contains("Nothing was changed"), "{checked}");
    assert_eq!(installation.version(), "15");
    let began = Instant::now();
    let done = installation.run(&[]);
    println!("converted within {:?}: {done}", began.elapsed());
    assert!(done.contains("holds what it held") && !done.contains(" 0 data keys"), "{done}");
    assert_eq!(installation.version(), "18");
    installation.serves(new);
    let again = installation.command(&[]).output().unwrap();
    assert!(!again.status.success() && said(&again).contains("no later version is found"), "{}", said(&again));

    // The way back.
    let aside = data_dir.join("postgres.15");
    assert!(done.contains(aside.to_str().unwrap()), "{done}");
    fs::rename(data_dir.join("postgres"), data_dir.join("postgres.18")).unwrap();
    fs::rename(&aside, data_dir.join("postgres")).unwrap();
    installation.serves(old);
}

#[test]
fn killed_at_any_moment_the_cluster_is_the_old_one_or_the_new_one_and_whole() {
    let Some(installation) = Installation::make() else { return println!("{SKIPPED}") };
    let upgraded = || installation.version() == "18";
    for round in 0..kills() {
        if upgraded() {
            break;
        }
        let wait = Duration::from_millis(u64::from(u16::from_le_bytes(kernel::random::bytes())) * 12_000 / 65_536);
        let mut child = installation.command(&[]).stderr(std::process::Stdio::null()).spawn().unwrap();
        thread::sleep(wait);
        child.kill().unwrap();
        child.wait().unwrap();
        let was_upgraded = upgraded();
        let is_left = installation.data_dir.join("postgres.upgrade").exists();
        println!("killed after {wait:?}: version {}, interrupted: {is_left}", installation.version());
        if is_left {
            let bin = if was_upgraded { &installation.new } else { &installation.old };
            let refusal = installation.refusal(bin);
            assert!(refusal.contains("was interrupted") && refusal.contains("--abort"), "{refusal}");
        }
        match (is_left, was_upgraded, round % 2) {
            (true, false, 0) => {
                installation.run(&["--abort"]);
                installation.serves(&installation.old);
            }
            (true, false, _) => {}
            (true, true, _) => drop(installation.run(&[])),
            (false, false, _) => installation.serves(&installation.old),
            (false, true, _) => {}
        }
    }
    if !upgraded() {
        installation.run(&[]);
    }
    installation.serves(&installation.new);
    assert!(installation.data_dir.join("postgres.15/pgdata/PG_VERSION").exists());
    assert!(!installation.data_dir.join("postgres.upgrade").exists());
}

/// As somebody who is not root, where nobody else is there to run the server as, and with shared files.
#[test]
fn files_can_be_shared_and_an_ordinary_user_can_do_it() {
    let Some((old, new)) = versions() else { return println!("{SKIPPED}") };
    let (folder, key) = (scratch(), new_key());
    let data_dir = folder.path().join("data");
    let is_root = rustix::process::geteuid().is_root();
    let command = |arguments: &[&str], bin: &Path| {
        let environment = [("ENTREPOT_MASTER_KEY", key.as_str()), ("ENTREPOT_PG_BIN", bin.to_str().unwrap())];
        let inner = entrepot(&[arguments, &["--data-dir", data_dir.to_str().unwrap()]].concat(), &environment);
        if !is_root {
            return inner;
        }
        let mut command = Command::new("setpriv");
        command.args(["--reuid=65534", "--regid=65534", "--clear-groups", "--"]).arg(inner.get_program());
        command
            .args(inner.get_args())
            .env_clear()
            .envs(inner.get_envs().filter_map(|(name, value)| Some((name, value?))));
        command
    };
    if is_root {
        chown(folder.path(), Some(65_534), Some(65_534)).unwrap();
        fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o700)).unwrap();
    }
    let serve = |bin: &Path| {
        let log = tempfile::NamedTempFile::new().unwrap();
        let mut command = command(&["serve", "--listen", "127.0.0.1:0"], bin);
        let mut child = command.stderr(log.reopen().unwrap()).spawn().unwrap();
        let began = Instant::now();
        loop {
            let said = fs::read_to_string(log.path()).unwrap();
            if said.contains("\"serving\"") {
                break;
            }
            let ended = child.try_wait().unwrap();
            assert!(ended.is_none() && began.elapsed() < Duration::from_secs(90), "{said}");
            thread::sleep(Duration::from_millis(20));
        }
        assert!(Command::new("kill").args(["-TERM", &child.id().to_string()]).status().unwrap().success());
        assert!(child.wait().unwrap().success());
    };
    serve(&old);
    let done = command(&["upgrade-cluster", "--link"], &new).output().unwrap();
    assert!(done.status.success(), "{}", said(&done));
    assert!(said(&done).contains("must not be started"), "{}", said(&done));
    serve(&new);
}
