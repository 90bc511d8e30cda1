//! What an earlier run left behind: a server that outlived its supervisor, backends that outlived their server, a lock
//! file that outlived both.

use std::{
    ffi::OsStr,
    fs,
    os::unix::ffi::OsStrExt,
    path::{Path, PathBuf},
    thread,
    time::{Duration, Instant},
};

use rustix::process::{Pid, Signal, kill_process};

use super::{
    area::remove_file,
    error::ClusterError,
    server::{MARK, PidFile},
};

/// How long a fast shutdown may take before it is made an immediate one (whose work the next start does again).
const FAST: Duration = Duration::from_secs(20);
const IMMEDIATE: Duration = Duration::from_secs(10);
const LOOK_AGAIN: Duration = Duration::from_millis(20);

/// Waits until no server is left on this data, asking one that is ours to stop. The caller holds the lock of the area, so
/// that no supervisor is left that could want it.
pub(super) fn remove(pgdata: &Path) -> Result<(), ClusterError> {
    let Some(file) = PidFile::read(pgdata) else { return Ok(()) };
    let Some(pid) = i32::try_from(file.pid.abs()).ok().and_then(Pid::from_raw) else { return Ok(()) };
    match what_is(pid, pgdata) {
        Process::Gone => return Ok(()),
        Process::Another => {
            // The number was given to another process, or is still a zombie's whose new parent does not look after it.
            // PostgreSQL only asks whether the number is in use, and would refuse to start.
            tracing::warn!(pid = pid.as_raw_pid(), "removing the lock file of a PostgreSQL that is gone");
            return remove_file(&pgdata.join("postmaster.pid"));
        }
        Process::Foreign => {
            return Err(ClusterError::ForeignServer { pgdata: pgdata.into(), pid: pid.as_raw_pid() });
        }
        Process::Ours => {}
    }
    tracing::warn!(pid = pid.as_raw_pid(), "stopping a PostgreSQL that an earlier run left behind");
    for (signal, patience) in [(Signal::INT, FAST), (Signal::QUIT, IMMEDIATE)] {
        // It may be gone by now, which is what we want.
        let _ = kill_process(pid, signal);
        let began = Instant::now();
        while began.elapsed() < patience {
            match what_is(pid, pgdata) {
                Process::Ours => thread::sleep(LOOK_AGAIN),
                Process::Gone => return Ok(()),
                Process::Another | Process::Foreign => return remove_file(&pgdata.join("postmaster.pid")),
            }
        }
    }
    let seconds = (FAST + IMMEDIATE).as_secs();
    Err(ClusterError::OrphanStays { pgdata: pgdata.into(), pid: pid.as_raw_pid(), seconds })
}

enum Process {
    Gone,
    /// A server on this data that was started from here.
    Ours,
    /// A server on this data that somebody else started.
    Foreign,
    Another,
}

/// A server works in its data directory. Where that cannot be seen (root without `CAP_SYS_PTRACE`, in some containers)
/// its arguments tell, which everybody may read; where they do not either, it counts as a server on this data.
fn what_is(pid: Pid, pgdata: &Path) -> Process {
    let process = PathBuf::from(format!("/proc/{}", pid.as_raw_pid()));
    let Ok(arguments) = fs::read(process.join("cmdline")) else { return Process::Gone };
    let mut arguments = arguments.split(|byte| *byte == 0);
    let program = Path::new(OsStr::from_bytes(arguments.next().unwrap_or_default()));
    let is_postgres = program.file_name().is_some_and(|name| name == "postgres" || name == "postmaster");
    let arguments = arguments.collect::<Vec<_>>();
    let serves_data = || match fs::read_link(process.join("cwd")) {
        Ok(dir) => dir == pgdata,
        Err(_) => argument_data(&arguments).is_none_or(|dir| dir == pgdata),
    };
    match is_postgres && serves_data() {
        false => Process::Another,
        true if arguments.contains(&format!("cluster_name={MARK}").as_bytes()) => Process::Ours,
        true => Process::Foreign,
    }
}

/// `-D path`, in one argument or two, where it is absolute.
fn argument_data(arguments: &[&[u8]]) -> Option<PathBuf> {
    let at = arguments.iter().position(|argument| argument.starts_with(b"-D"))?;
    let path = match &arguments[at][2..] {
        b"" => arguments.get(at + 1)?,
        path => path,
    };
    let path = Path::new(OsStr::from_bytes(path));
    path.is_absolute().then(|| path.canonicalize().ok())?
}

/// Ends backends whose server was killed and who have not noticed, because they compute without ever waiting: while
/// they live their shared memory does, and no server starts. Their title and their working directory tell them; where the
/// directory cannot be read (see above) they end when their statement does.
pub(super) fn end_backends(pgdata: &Path) {
    let title = format!("postgres: {MARK}: ");
    let Ok(processes) = fs::read_dir("/proc") else { return };
    for process in processes.flatten() {
        let Some(pid) = process.file_name().to_str().and_then(|name| name.parse().ok()).and_then(Pid::from_raw) else {
            continue;
        };
        let path = process.path();
        let is_ours = fs::read(path.join("cmdline")).is_ok_and(|line| line.starts_with(title.as_bytes()))
            && fs::read_link(path.join("cwd")).is_ok_and(|dir| dir == pgdata);
        if is_ours {
            tracing::warn!(pid = pid.as_raw_pid(), "ending a backend whose PostgreSQL is gone");
            // It may have noticed by now.
            let _ = kill_process(pid, Signal::QUIT);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_data_directory_is_read_from_a_servers_arguments() {
        let here = Path::new("/proc").canonicalize().unwrap();
        assert_eq!(argument_data(&[b"-D", b"/proc", b"-c", b"port=1"]), Some(here.clone()));
        assert_eq!(argument_data(&[b"-c", b"port=1", b"-D/proc/../proc"]), Some(here));
        assert_eq!(argument_data(&[b"-D", b"data"]), None);
        assert_eq!(argument_data(&[b"-c", b"port=1"]), None);
    }
}
