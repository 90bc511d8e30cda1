//! Finding PostgreSQL's programs.

use std::{
    collections::BTreeMap,
    env,
    ffi::OsString,
    fmt, fs,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use super::error::{At, ClusterError};

/// The oldest major version that the schema and the settings are written for.
pub(super) const MINIMUM: u32 = 15;

/// Where Debian's packages and those of apt.postgresql.org put each major version: `<here>/<major>/bin`.
const DEBIAN: &str = "/usr/lib/postgresql";

/// `15.18`, or `19beta1`, as `postgres --version` says it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Version {
    pub major: u32,
    text: String,
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

/// A directory with `postgres` and `initdb` of one version.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Binaries {
    pub(super) dir: PathBuf,
    pub(super) version: Version,
}

impl Binaries {
    pub(super) fn program(&self, name: &str) -> PathBuf {
        self.dir.join(name)
    }

    /// Reads what is in `dir`, which must hold both programs themselves: a directory of links says nothing about where
    /// `initdb` will look for `postgres`.
    fn read(dir: &Path) -> Result<Self, ClusterError> {
        for missing in ["postgres", "initdb"] {
            if !is_executable(&dir.join(missing)) {
                return Err(ClusterError::NotABinDir { dir: dir.into(), missing });
            }
        }
        let program = dir.join("postgres");
        let output = asking_version(&program).output().at(&program)?;
        let answer = String::from_utf8_lossy(&output.stdout);
        let version = parse_version(&answer).ok_or_else(|| ClusterError::UnknownVersion {
            program,
            detail: format!("{} {}", answer.trim(), String::from_utf8_lossy(&output.stderr).trim()),
        })?;
        Ok(Self { dir: dir.into(), version })
    }
}

/// Where to look, in this order. The fields exist so that tests can lay out a machine of their own.
pub(super) struct Search {
    /// The operator's word; nothing else is looked at.
    pub(super) named: Option<PathBuf>,
    pub(super) debian: PathBuf,
    pub(super) path: Option<OsString>,
}

impl Search {
    pub(super) fn on_this_machine(named: Option<PathBuf>) -> Self {
        Self { named, debian: DEBIAN.into(), path: env::var_os("PATH") }
    }

    /// The programs for the data in `pgdata`: those of its major version, or the newest when there is no data yet.
    pub(super) fn find(&self, pgdata: &Path) -> Result<Binaries, ClusterError> {
        let wanted = data_version(pgdata)?;
        if let Some(dir) = &self.named {
            let found = Binaries::read(dir)?;
            if wanted.is_some_and(|major| major != found.version.major) {
                return Err(mismatch(pgdata, wanted, &[found]));
            }
            return supported(found);
        }
        let mut seen = self.debian_packages()?;
        seen.extend(self.on_path());
        let chosen = seen.iter().find(|found| match wanted {
            Some(major) => found.version.major == major,
            None => found.version.major >= MINIMUM,
        });
        match chosen {
            Some(found) => supported(found.clone()),
            None if wanted.is_some() && !seen.is_empty() => Err(mismatch(pgdata, wanted, &seen)),
            None => match seen.into_iter().next() {
                Some(old) => supported(old),
                None => Err(ClusterError::NoBinaries),
            },
        }
    }

    /// Those of one major version, or the newest, wherever they are: in `also`, too, unless a directory is named.
    pub(super) fn of(&self, major: Option<u32>, also: Option<&Path>) -> Result<Option<Binaries>, ClusterError> {
        let mut seen = match &self.named {
            Some(dir) => vec![Binaries::read(dir)?],
            None => self.debian_packages()?,
        };
        if self.named.is_none() {
            seen.extend(also.and_then(|dir| Binaries::read(dir).ok()));
            seen.extend(self.on_path());
        }
        seen.retain(|found| major.is_none_or(|major| found.version.major == major));
        // Of several the first that is found.
        Ok(seen.into_iter().rev().max_by_key(|found| found.version.major))
    }

    /// Newest first.
    fn debian_packages(&self) -> Result<Vec<Binaries>, ClusterError> {
        let Ok(entries) = fs::read_dir(&self.debian) else { return Ok(vec![]) };
        let mut majors = BTreeMap::new();
        for entry in entries {
            let path = entry.at(&self.debian)?.path();
            let major = path.file_name().and_then(|name| name.to_str()).and_then(|name| name.parse::<u32>().ok());
            // A package with the client programs only has the directory too.
            if let Some(major) = major
                && let Ok(found) = Binaries::read(&path.join("bin"))
            {
                majors.insert(major, found);
            }
        }
        Ok(majors.into_values().rev().collect())
    }

    /// A directory of PATH may hold links to the programs, and not all of them: what counts is where a link leads.
    fn on_path(&self) -> Vec<Binaries> {
        let directories = self.path.iter().flat_map(|path| env::split_paths(path));
        directories
            .filter_map(|dir| dir.join("postgres").canonicalize().ok())
            .filter_map(|program| Binaries::read(program.parent()?).ok())
            .collect()
    }
}

fn supported(found: Binaries) -> Result<Binaries, ClusterError> {
    if found.version.major < MINIMUM {
        return Err(ClusterError::TooOld { dir: found.dir, version: found.version.to_string() });
    }
    Ok(found)
}

fn mismatch(pgdata: &Path, wanted: Option<u32>, seen: &[Binaries]) -> ClusterError {
    let found = seen.iter().map(|found| format!("{} in {}", found.version, found.dir.display())).collect::<Vec<_>>();
    ClusterError::VersionMismatch { pgdata: pgdata.into(), data: wanted.unwrap_or_default(), found: found.join(", ") }
}

/// Why one of PostgreSQL's own programs for clients cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ProgramError {
    #[error(
        "found no `{name}` of PostgreSQL {major} or later{}: install it (Debian: apt-get install postgresql-client-{major}), or name the \
         directory of PostgreSQL's programs in ENTREPOT_PG_BIN",
        older(found)
    )]
    Missing {
        name: &'static str,
        major: u32,
        /// The versions that are there, which are too old.
        found: Vec<u32>,
    },
}

fn older(found: &[u32]) -> String {
    let versions: Vec<String> = found.iter().map(u32::to_string).collect();
    match versions.len() {
        0 => String::new(),
        _ => format!(" (there is {} only, which refuses what is newer than it)", versions.join(", ")),
    }
}

/// One of PostgreSQL's own programs for clients.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClientProgram {
    pub path: PathBuf,
    pub major: u32,
}

/// `pg_dump` or `pg_restore` for a server, or a dump, of this major version: that version's own, or the next later one. They refuse
/// what is newer than they are.
///
/// # Errors
/// [`ProgramError::Missing`], with what to install.
pub fn client_program(name: &'static str, major: u32, bin_dir: Option<&Path>) -> Result<ClientProgram, ProgramError> {
    let mut places = vec![];
    match bin_dir {
        Some(dir) => places.push(dir.to_owned()),
        None => {
            let entries = fs::read_dir(DEBIAN).into_iter().flatten().flatten();
            places.extend(entries.map(|entry| entry.path().join("bin")));
            places.extend(env::var_os("PATH").iter().flat_map(env::split_paths));
        }
    }
    let found = places.into_iter().map(|dir| dir.join(name)).filter(|program| is_executable(program));
    let mut versions: Vec<ClientProgram> = found
        .filter_map(|path| {
            let output = asking_version(&path).output().ok()?;
            // `pg_dump (PostgreSQL) 15.18 (Debian 15.18-0+deb12u1)`
            let answer = String::from_utf8_lossy(&output.stdout).into_owned();
            let version = answer.split_once(' ').and_then(|(_, rest)| parse_version(&format!("postgres {rest}")))?;
            Some(ClientProgram { path, major: version.major })
        })
        .collect();
    versions.sort_by_key(|program| program.major);
    let mut older: Vec<u32> = versions.iter().map(|program| program.major).collect();
    older.dedup();
    let best = versions.into_iter().find(|program| program.major >= major);
    best.ok_or(ProgramError::Missing { name, major, found: older })
}

/// With nothing of our environment, where secrets are: a program is not trusted before it is known.
fn asking_version(program: &Path) -> Command {
    let mut command = Command::new(program);
    command.arg("--version").env_clear().env("PATH", env::var_os("PATH").unwrap_or_default()).env("LC_ALL", "C");
    command.stdin(Stdio::null());
    command
}

/// The major version that made the data; `None` where there is none.
pub(super) fn data_version(pgdata: &Path) -> Result<Option<u32>, ClusterError> {
    let file = pgdata.join("PG_VERSION");
    match fs::read_to_string(&file) {
        Ok(text) => match text.trim().parse() {
            Ok(major) => Ok(Some(major)),
            Err(_) => Err(ClusterError::NotACluster { pgdata: pgdata.into() }),
        },
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error).at(file),
    }
}

fn is_executable(program: &Path) -> bool {
    fs::metadata(program).is_ok_and(|data| data.is_file() && data.permissions().mode() & 0o111 != 0)
}

/// `postgres (PostgreSQL) 15.18 (Debian 15.18-0+deb12u1)`
fn parse_version(answer: &str) -> Option<Version> {
    let text = answer.strip_prefix("postgres (PostgreSQL) ")?.split_whitespace().next()?;
    let digits = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    Some(Version { major: text[..digits].parse().ok()?, text: text.into() })
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    /// A machine with PostgreSQL of these versions as Debian installs it, and nothing on PATH.
    fn machine(versions: &[&str]) -> (tempfile::TempDir, Search) {
        let root = tempfile::tempdir().unwrap();
        let debian = root.path().join("postgresql");
        fs::create_dir(&debian).unwrap();
        for version in versions {
            let major = version.split('.').next().unwrap();
            install(&debian.join(major).join("bin"), version);
        }
        let search = Search { named: None, debian, path: None };
        (root, search)
    }

    fn install(bin: &Path, version: &str) {
        fs::create_dir_all(bin).unwrap();
        for program in ["postgres", "initdb"] {
            let file = bin.join(program);
            fs::write(&file, format!("#!/bin/sh\necho 'postgres (PostgreSQL) {version} (Fake)'\n")).unwrap();
            fs::set_permissions(&file, fs::Permissions::from_mode(0o755)).unwrap();
        }
    }

    fn data_of(root: &tempfile::TempDir, major: &str) -> PathBuf {
        let pgdata = root.path().join("pgdata");
        fs::create_dir_all(&pgdata).unwrap();
        fs::write(pgdata.join("PG_VERSION"), format!("{major}\n")).unwrap();
        pgdata
    }

    #[test]
    fn new_data_gets_the_newest_version_and_old_data_its_own() {
        let (root, search) = machine(&["9.6", "15.18", "17.2"]);
        assert_eq!(search.find(&root.path().join("none")).unwrap().version.to_string(), "17.2");
        assert_eq!(search.find(&data_of(&root, "15")).unwrap().version.to_string(), "15.18");
    }

    #[test]
    fn data_of_a_version_that_is_not_installed_is_named_with_what_is() {
        let (root, search) = machine(&["15.18"]);
        let message = search.find(&data_of(&root, "16")).unwrap_err().to_string();
        assert!(message.contains("is of PostgreSQL 16") && message.contains("15.18 in"), "{message}");
        let (other, _) = machine(&["17.2"]);
        let named = Search { named: Some(other.path().join("postgresql/17/bin")), ..search };
        assert!(matches!(named.find(&data_of(&root, "16")), Err(ClusterError::VersionMismatch { data: 16, .. })));
    }

    #[test]
    fn versions_that_are_too_old_are_not_used_and_said_to_be() {
        let (root, search) = machine(&["14.9"]);
        assert!(matches!(search.find(&root.path().join("none")), Err(ClusterError::TooOld { .. })));
        assert!(matches!(search.find(&data_of(&root, "14")), Err(ClusterError::TooOld { .. })));
    }

    #[test]
    fn an_empty_machine_is_told_the_three_ways_out() {
        let (root, search) = machine(&[]);
        let message = search.find(&root.path().join("none")).unwrap_err().to_string();
        for way in ["apt-get install postgresql", "ENTREPOT_PG_BIN", "DATABASE_URL"] {
            assert!(message.contains(way), "{message}");
        }
    }

    #[test]
    fn links_on_path_lead_to_the_programs() {
        let (root, search) = machine(&[]);
        let real = root.path().join("opt/pg/bin");
        install(&real, "18.4");
        let links = root.path().join("links");
        fs::create_dir(&links).unwrap();
        symlink(real.join("postgres"), links.join("postgres")).unwrap();
        let search = Search { path: Some(links.into()), ..search };
        let found = search.find(&root.path().join("none")).unwrap();
        assert_eq!(found.dir, real.canonicalize().unwrap());
        assert_eq!(found.version.major, 18);
    }

    #[test]
    fn for_an_upgrade_both_versions_are_found_wherever_they_are() {
        let (root, search) = machine(&["15.18", "16.2"]);
        let elsewhere = root.path().join("opt/pg/bin");
        install(&elsewhere, "18.4");
        let of = |major, also: Option<&Path>| search.of(major, also).unwrap().map(|found| found.version.to_string());
        assert_eq!(of(Some(15), None).as_deref(), Some("15.18"));
        assert_eq!(of(Some(17), None), None);
        assert_eq!(of(None, None).as_deref(), Some("16.2"));
        assert_eq!(of(None, Some(&elsewhere)).as_deref(), Some("18.4"));
        let named = Search { named: Some(root.path().join("postgresql/15/bin")), ..machine(&[]).1 };
        assert_eq!(named.of(None, Some(&elsewhere)).unwrap().unwrap().version.major, 15, "nothing else is looked at");
    }

    #[test]
    fn a_named_directory_without_the_programs_is_refused_and_nothing_else_tried() {
        let (root, search) = machine(&["15.18"]);
        let search = Search { named: Some(root.path().into()), ..search };
        let found = search.find(&root.path().join("none"));
        assert!(matches!(found, Err(ClusterError::NotABinDir { missing: "postgres", .. })));
    }

    fn client(dir: &Path, name: &str, script: &str) {
        fs::create_dir_all(dir).unwrap();
        let file = dir.join(name);
        fs::write(&file, format!("#!/bin/sh\n{script}\n")).unwrap();
        fs::set_permissions(&file, fs::Permissions::from_mode(0o755)).unwrap();
    }

    #[test]
    fn a_program_of_the_servers_version_or_later_is_taken_and_an_older_one_is_refused_with_what_to_do() {
        let root = tempfile::tempdir().unwrap();
        client(root.path(), "pg_dump", "echo 'pg_dump (PostgreSQL) 15.18 (Fake)'");
        let found = client_program("pg_dump", 15, Some(root.path())).unwrap();
        assert_eq!((found.major, found.path), (15, root.path().join("pg_dump")));
        assert_eq!(
            client_program("pg_dump", 14, Some(root.path())).unwrap().major,
            15,
            "a newer one reads older servers"
        );
        let message = client_program("pg_dump", 18, Some(root.path())).unwrap_err().to_string();
        for part in ["pg_dump` of PostgreSQL 18", "15 only", "postgresql-client-18", "ENTREPOT_PG_BIN"] {
            assert!(message.contains(part), "{message}");
        }
        let message = client_program("pg_restore", 18, Some(root.path())).unwrap_err().to_string();
        assert!(!message.contains("only"), "{message}");
    }

    #[test]
    fn a_program_is_asked_for_its_version_with_nothing_of_our_environment() {
        let root = tempfile::tempdir().unwrap();
        let seen = root.path().join("seen");
        client(root.path(), "pg_dump", &format!("env > {}; echo 'pg_dump (PostgreSQL) 15.18'", seen.display()));
        // What cargo sets for every test stands for what an operator sets.
        assert!(env::var_os("CARGO_MANIFEST_DIR").is_some());
        client_program("pg_dump", 15, Some(root.path())).unwrap();
        let seen = fs::read_to_string(seen).unwrap();
        let names: Vec<&str> = seen.lines().filter_map(|line| Some(line.split_once('=')?.0)).collect();
        let foreign: Vec<&&str> =
            names.iter().filter(|name| !["PATH", "LC_ALL", "PWD", "SHLVL", "_", "OLDPWD"].contains(*name)).collect();
        assert!(names.contains(&"PATH") && foreign.is_empty(), "{names:?}");
    }

    #[test]
    fn versions_are_read_from_the_programs_own_words() {
        let major = |text| parse_version(text).map(|version| version.major);
        assert_eq!(major("postgres (PostgreSQL) 15.18 (Debian 15.18-0+deb12u1)\n"), Some(15));
        assert_eq!(major("postgres (PostgreSQL) 19beta1\n"), Some(19));
        assert_eq!(major("pg_ctl (PostgreSQL) 15.18"), None);
        assert_eq!(major("postgres (PostgreSQL) devel"), None);
    }
}
