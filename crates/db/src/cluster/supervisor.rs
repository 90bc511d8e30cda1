//! The thread that runs PostgreSQL: it launches it, notices its end, launches it again, and lives until it is stopped.
//!
//! It is a thread of its own because the signal that PostgreSQL gets at our death is sent when the *thread* that
//! spawned it ends, and those of a runtime come and go.

use std::{
    io,
    process::{Child, ExitStatus},
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
    thread,
    time::{Duration, Instant},
};

use rustix::process::{Pid, Signal, WaitId, WaitIdOptions, kill_process, waitid};
use tokio::sync::{oneshot, watch};

use super::{
    ClusterOptions, Phase,
    area::{Area, Lock},
    error::ClusterError,
    orphan,
    server::Server,
    upgrade,
};

/// How often to look whether a server that was launched is ready: it takes 25 ms where there is nothing to recover.
const LOOK_AGAIN: Duration = Duration::from_millis(3);
const FIRST_PAUSE: Duration = Duration::from_millis(100);
/// Short, for a server that could not start for want of space: it is to be back soon after there is some.
const LONGEST_PAUSE: Duration = Duration::from_secs(3);
/// Up for so long, the next death is a new trouble and not the same again.
const STEADY: Duration = Duration::from_secs(60);
/// A backend looks for its server whenever it waits for anything; one that has not for so long computes.
const PATIENCE_WITH_BACKENDS: Duration = Duration::from_secs(2);
/// How long a start may go on meeting what a killed server leaves: its backends need a moment to notice.
const LEFTOVERS: Duration = Duration::from_secs(15);

/// What the supervisor tells whoever holds the cluster.
#[derive(Clone, Debug)]
pub(super) struct Status {
    pub(super) phase: Phase,
    pub(super) pid: Option<u32>,
    /// How often it ended without being asked to, and how the last time.
    pub(super) deaths: u64,
    pub(super) last_death: String,
}

/// Shared by the supervisor's thread and the [`super::Cluster`].
pub(super) struct Control {
    state: Mutex<State>,
    wake: Condvar,
    status: watch::Sender<Status>,
}

#[derive(Default)]
struct State {
    /// Reaped only under this lock, so that a signal never goes to a number that was given to another process.
    child: Option<Child>,
    stopping: bool,
}

impl Control {
    pub(super) fn new() -> Arc<Self> {
        let status = Status { phase: Phase::Starting, pid: None, deaths: 0, last_death: String::new() };
        Arc::new(Self { state: Mutex::default(), wake: Condvar::new(), status: watch::Sender::new(status) })
    }

    pub(super) fn status(&self) -> watch::Receiver<Status> {
        self.status.subscribe()
    }

    /// Asks for the fast shutdown, and for no start after it.
    pub(super) fn stop(&self) {
        self.state().stopping = true;
        self.wake.notify_all();
        self.signal(Signal::INT);
    }

    pub(super) fn signal(&self, signal: Signal) {
        if let Some(child) = &self.state().child
            && let Err(error) = kill_process(pid(child), signal)
        {
            tracing::warn!(%error, "cannot signal PostgreSQL");
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn is_stopping(&self) -> bool {
        self.state().stopping
    }

    /// True when it was woken because it is time to stop.
    fn pause(&self, at_most: Duration) -> bool {
        let state = self.state();
        let waited = self.wake.wait_timeout_while(state, at_most, |state| !state.stopping);
        waited.unwrap_or_else(PoisonError::into_inner).0.stopping
    }

    /// Starts the server and returns when it takes connections.
    fn launch(&self, server: &Server) -> Result<(), ClusterError> {
        let launch = {
            let mut state = self.state();
            if state.stopping {
                return Err(ClusterError::Stopped);
            }
            let (child, launch) = server.spawn()?;
            state.child = Some(child);
            launch
        };
        while !server.is_ready(&launch) {
            if let Some(status) = self.reap_if_ended() {
                let error = server.ended_early(&launch, status);
                return Err(if self.is_stopping() { ClusterError::Stopped } else { error });
            }
            if server.is_too_slow(&launch) {
                self.signal(Signal::QUIT);
                self.wait_for_end();
                return Err(server.too_slow());
            }
            thread::sleep(LOOK_AGAIN);
        }
        self.status.send_modify(|status| {
            status.phase = Phase::Running;
            status.pid = Some(launch.pid);
        });
        let ms = launch.began.elapsed().as_millis();
        tracing::info!(ms, pid = launch.pid, version = %server.binaries.version, "PostgreSQL takes connections");
        Ok(())
    }

    fn reap_if_ended(&self) -> Option<String> {
        let mut state = self.state();
        let ended = state.child.as_mut().and_then(|child| child.try_wait().transpose())?;
        state.child = None;
        Some(describe(ended))
    }

    /// Waits without the lock, and reaps with it.
    fn wait_for_end(&self) -> String {
        let Some(number) = self.state().child.as_ref().map(pid) else { return "not running".into() };
        let ended = WaitIdOptions::EXITED | WaitIdOptions::NOWAIT;
        // Any other error is met again, and told, when it is reaped.
        while waitid(WaitId::Pid(number), ended).is_err_and(|error| error == rustix::io::Errno::INTR) {}
        match self.state().child.take() {
            Some(mut child) => describe(child.wait()),
            None => "not running".into(),
        }
    }
}

fn pid(child: &Child) -> Pid {
    Pid::from_child(child)
}

fn describe(ended: io::Result<ExitStatus>) -> String {
    ended.map_or_else(|error| format!("unknown: {error}"), |status| status.to_string())
}

/// Tells that the supervisor is gone, however it went, a panic included.
struct Ended<'a>(&'a Control);

impl Drop for Ended<'_> {
    fn drop(&mut self) {
        self.0.status.send_modify(|status| {
            status.phase = Phase::Stopped;
            status.pid = None;
        });
    }
}

/// The thread's whole life. `started` gets the outcome of the first start.
pub(super) fn run(
    options: &ClusterOptions,
    control: &Control,
    started: oneshot::Sender<Result<Arc<Server>, ClusterError>>,
) {
    // Dropped after the lock: who sees the end can start anew at once.
    let _ended = Ended(control);
    let (server, _lock) = match first_start(options, control) {
        Ok(running) => running,
        Err(error) => {
            if let Err(Err(error)) = started.send(Err(error)) {
                tracing::debug!(%error, "nobody waits for the cluster any more");
            }
            return;
        }
    };
    // Whoever asked and went away has asked to stop, too.
    let _ = started.send(Ok(Arc::clone(&server)));
    keep_running(control, &server);
    server.leave();
}

/// Until it is told to stop.
fn keep_running(control: &Control, server: &Server) {
    let mut pause = FIRST_PAUSE;
    loop {
        let since = Instant::now();
        let how = control.wait_for_end();
        if control.is_stopping() {
            return;
        }
        if since.elapsed() > STEADY {
            pause = FIRST_PAUSE;
        }
        tracing::error!(%how, "PostgreSQL ended by itself; starting it again");
        control.status.send_modify(|status| {
            status.phase = Phase::Restarting;
            status.pid = None;
            status.deaths += 1;
            status.last_death = how;
        });
        if !restart(control, server, &mut pause) {
            return;
        }
    }
}

fn first_start(options: &ClusterOptions, control: &Control) -> Result<(Arc<Server>, Lock), ClusterError> {
    let area = Area::open(&options.data_dir)?;
    let lock = Lock::take(&area)?;
    upgrade::refuse_unfinished(&area.root)?;
    let server = Arc::new(Server::prepare(area, options)?);
    let began = Instant::now();
    loop {
        match control.launch(&server) {
            Ok(()) => return Ok((server, lock)),
            Err(error) if is_leftover(&error) && began.elapsed() < LEFTOVERS => {
                clear_leftovers(&server, began.elapsed())?;
                control.pause(FIRST_PAUSE);
            }
            Err(error) => return Err(error),
        }
    }
}

/// Tries until it works; false when it is time to stop. `pause` grows with every start that failed or did not last.
fn restart(control: &Control, server: &Server, pause: &mut Duration) -> bool {
    let began = Instant::now();
    let mut told = false;
    let mut next = *pause;
    *pause = longer(*pause);
    while !control.pause(next) {
        match clear_leftovers(server, began.elapsed()).and_then(|()| control.launch(server)) {
            Ok(()) => return true,
            Err(ClusterError::Stopped) => return false,
            Err(error) if is_leftover(&error) && began.elapsed() < LEFTOVERS => {
                tracing::debug!(%error, "PostgreSQL does not start yet");
                next = FIRST_PAUSE;
                continue;
            }
            Err(error) if told => tracing::debug!(%error, "PostgreSQL still does not start"),
            Err(error) => {
                tracing::error!(%error, "PostgreSQL does not start; going on trying");
                told = true;
            }
        }
        next = *pause;
        *pause = longer(*pause);
    }
    false
}

fn longer(pause: Duration) -> Duration {
    (pause * 2).min(LONGEST_PAUSE)
}

/// What a killed server leaves for a moment.
fn is_leftover(error: &ClusterError) -> bool {
    let ClusterError::NotReady { output, .. } = error else { return false };
    output.contains("already exists") || output.contains("pre-existing shared memory block")
}

fn clear_leftovers(server: &Server, waited: Duration) -> Result<(), ClusterError> {
    orphan::remove(&server.area.pgdata)?;
    if waited > PATIENCE_WITH_BACKENDS {
        orphan::end_backends(&server.area.pgdata);
    }
    // Makes the directory again where a cleaner of temporary files took it.
    server.area.socket_dir(&server.account).map(|_| ())
}
