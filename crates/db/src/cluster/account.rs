//! The user as whom PostgreSQL runs, and starting programs as that user so that they die with us.

use std::{
    env, io,
    path::{Path, PathBuf},
    process::{self, Command, Stdio},
};

use super::error::ClusterError;

/// Who runs the server.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum RunAs {
    /// We ourselves; under root the owner of the data that is there, else `postgres`, else `nobody`.
    #[default]
    Auto,
    /// This user. Only root can name another than itself.
    User(String),
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Account {
    pub(super) name: String,
    pub(super) uid: u32,
    pub(super) gid: u32,
    /// We are root, and this is somebody else.
    pub(super) switched: bool,
}

impl Account {
    /// `owner` is the uid that the data belongs to, where there is data.
    pub(super) fn resolve(run_as: &RunAs, pgdata: &Path, owner: Option<u32>) -> Result<Self, ClusterError> {
        let current = rustix::process::geteuid();
        let account =
            if current.is_root() { Self::under_root(run_as, owner)? } else { Self::ourselves(run_as, current)? };
        match owner {
            Some(owner) if owner != account.uid => {
                Err(ClusterError::WrongOwner { pgdata: pgdata.into(), owner, user: account.name })
            }
            _ => Ok(account),
        }
    }

    fn ourselves(run_as: &RunAs, current: rustix::process::Uid) -> Result<Self, ClusterError> {
        let uid = current.as_raw();
        let account = lookup(&uid.to_string(), false)?.ok_or(ClusterError::NoPasswdEntry(uid))?;
        match run_as {
            RunAs::User(wanted) if *wanted != account.name => {
                Err(ClusterError::CannotSwitchUser { wanted: wanted.clone(), current: account.name })
            }
            _ => Ok(account),
        }
    }

    fn under_root(run_as: &RunAs, owner: Option<u32>) -> Result<Self, ClusterError> {
        let account = match (run_as, owner) {
            (RunAs::User(name), _) => lookup(name, true)?.ok_or_else(|| ClusterError::UnknownUser(name.clone()))?,
            (RunAs::Auto, Some(uid)) if uid != 0 => {
                lookup(&uid.to_string(), true)?.ok_or(ClusterError::NoPasswdEntry(uid))?
            }
            (RunAs::Auto, _) => match lookup("postgres", true)? {
                Some(account) => account,
                None => lookup("nobody", true)?.ok_or(ClusterError::NoUser)?,
            },
        };
        if account.uid == 0 { Err(ClusterError::Root) } else { Ok(account) }
    }

    /// A command that runs `program` as this user and that gets SIGINT, PostgreSQL's fast shutdown, when the *thread*
    /// that spawns it ends, however it ends. Our environment, with its keys and URLs, stays with us.
    ///
    /// `setpriv` does both without `unsafe`: it changes the user first and sets the signal after, since the kernel
    /// forgets the signal when the user changes. The shell then looks whether we are still there, because a signal set
    /// after its parent's death never comes. Both `exec`, so that the process is the child that was spawned.
    pub(super) fn command(&self, program: &Path) -> Command {
        let mut command = self.setpriv();
        command.arg("--pdeathsig=INT").args(["--", "/bin/sh", "-c"]);
        command.arg(r#"[ "$PPID" -eq "$0" ] || { echo "the parent process is gone" >&2; exit 1; }; exec "$@""#);
        command.arg(process::id().to_string()).arg(program);
        command
    }

    fn setpriv(&self) -> Command {
        let mut command = Command::new("setpriv");
        command.env_clear().env("PATH", search_path()).env("LC_ALL", "C").env("TZ", "UTC");
        command.current_dir("/").stdin(Stdio::null());
        command.arg("--no-new-privs");
        if self.switched {
            command.arg(format!("--reuid={}", self.uid)).arg(format!("--regid={}", self.gid)).arg("--init-groups");
        }
        command
    }

    /// Refuses when this user may not enter one of the directories that lead to `paths`, and names the first. Asked as
    /// that user: modes alone do not know about access lists.
    pub(super) fn check_reach(&self, paths: &[&Path]) -> Result<(), ClusterError> {
        if !self.switched {
            return Ok(());
        }
        let script = r#"for dir do [ -x "$dir" ] || { printf %s "$dir"; exit 3; }; done"#;
        let mut command = self.setpriv();
        command.args(["--", "/bin/sh", "-c", script, "sh"]);
        for path in paths {
            let mut ancestors = path.ancestors().collect::<Vec<_>>();
            ancestors.reverse();
            command.args(ancestors);
        }
        let output = command.output().map_err(no_setpriv)?;
        match output.status.code() {
            Some(0) => Ok(()),
            Some(3) => {
                let dir = PathBuf::from(String::from_utf8_lossy(&output.stdout).into_owned());
                Err(ClusterError::OutOfReach { user: self.name.clone(), dir })
            }
            _ => {
                let said = String::from_utf8_lossy(&output.stderr).trim().to_owned();
                Err(no_setpriv(io::Error::other(said)))
            }
        }
    }
}

pub(super) fn no_setpriv(source: io::Error) -> ClusterError {
    ClusterError::Tool { tool: "setpriv", package: "util-linux, 2.33 or later", source }
}

fn search_path() -> std::ffi::OsString {
    env::var_os("PATH").unwrap_or_else(|| "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin".into())
}

/// Asks the passwd database as PostgreSQL will, which may be more than a file.
fn lookup(name_or_uid: &str, under_root: bool) -> Result<Option<Account>, ClusterError> {
    let output = Command::new("getent")
        .args(["passwd", "--", name_or_uid])
        .stdin(Stdio::null())
        .output()
        .map_err(|source| ClusterError::Tool { tool: "getent", package: "libc-bin", source })?;
    Ok(parse_passwd(&String::from_utf8_lossy(&output.stdout), under_root))
}

/// `postgres:x:101:104:PostgreSQL administrator,,,:/var/lib/postgresql:/bin/bash`
fn parse_passwd(line: &str, under_root: bool) -> Option<Account> {
    let mut fields = line.trim().split(':');
    let name = fields.next()?.to_owned();
    let uid = fields.nth(1)?.parse().ok()?;
    let gid = fields.next()?.parse().ok()?;
    Some(Account { name, uid, gid, switched: under_root && uid != 0 })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_passwd_line_gives_name_uid_and_group() {
        let line = "postgres:x:101:104:PostgreSQL administrator,,,:/var/lib/postgresql:/bin/bash\n";
        let account = parse_passwd(line, true).unwrap();
        assert_eq!((account.name.as_str(), account.uid, account.gid, account.switched), ("postgres", 101, 104, true));
        assert_eq!(parse_passwd("", true), None);
    }

    #[test]
    fn a_uid_without_passwd_entry_is_refused_in_plain_words() {
        let uid = rustix::process::Uid::from_raw(54_321);
        let message = Account::ourselves(&RunAs::Auto, uid).unwrap_err().to_string();
        assert!(message.contains("the uid 54321 has no entry in the passwd database"), "{message}");
    }

    #[test]
    fn only_root_runs_the_server_as_somebody_else() {
        let uid = lookup("nobody", false).unwrap().unwrap().uid;
        let refused = Account::ourselves(&RunAs::User("root".into()), rustix::process::Uid::from_raw(uid));
        assert!(matches!(refused, Err(ClusterError::CannotSwitchUser { .. })));
    }

    #[test]
    fn root_never_runs_the_server_as_root() {
        let named = Account::under_root(&RunAs::User("root".into()), None);
        assert!(matches!(named, Err(ClusterError::Root)));
        let unknown = Account::under_root(&RunAs::User("no-such-user".into()), None);
        assert!(matches!(unknown, Err(ClusterError::UnknownUser(_))));
    }

    #[test]
    fn data_of_another_user_is_left_alone_and_the_remedy_said() {
        let stranger = lookup("daemon", false).unwrap().unwrap().uid;
        let nobody = RunAs::User("nobody".into());
        let refused = if rustix::process::geteuid().is_root() {
            Account::resolve(&nobody, Path::new("/data/pgdata"), Some(stranger))
        } else {
            Account::resolve(&RunAs::Auto, Path::new("/data/pgdata"), Some(stranger))
        };
        let message = refused.unwrap_err().to_string();
        assert!(message.contains("chown -R") && message.contains("/data/pgdata"), "{message}");
    }

    #[test]
    fn a_program_whose_parent_is_gone_before_the_signal_was_set_does_not_start() {
        let account = Account::resolve(&RunAs::Auto, Path::new("/nowhere"), None).unwrap();
        let ours = account.command(Path::new("/bin/echo")).arg("started").output().unwrap();
        assert_eq!(String::from_utf8_lossy(&ours.stdout), "started\n");
        // The same command as another process's child.
        let command = account.command(Path::new("/bin/echo"));
        let mut between = Command::new("/bin/sh");
        between.args(["-c", "\"$@\"; exit $?", "sh"]).arg(command.get_program()).args(command.get_args());
        let strangers = between.output().unwrap();
        assert!(!strangers.status.success());
        assert!(String::from_utf8_lossy(&strangers.stderr).contains("the parent process is gone"));
    }

    #[test]
    fn the_server_gets_nothing_of_our_environment() {
        let account = Account::resolve(&RunAs::Auto, Path::new("/nowhere"), None).unwrap();
        let output = account.command(Path::new("/usr/bin/env")).output().unwrap();
        let output = String::from_utf8_lossy(&output.stdout);
        let mut names =
            output.lines().filter_map(|line| line.split_once('=')).map(|(name, _)| name).collect::<Vec<_>>();
        names.sort_unstable();
        // The shell adds PWD.
        assert_eq!(names, ["LC_ALL", "PATH", "PWD", "TZ"]);
    }
}
