//! The database goes away while the program serves (RES-3): nobody waits for it, and it is used again when it is back.
//!
//! An outage takes 4 seconds here; `script/soak outage` makes it a minute.

mod disk;
mod elsewhere;
mod network;

use std::{
    fs,
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use serde_json::json;

use crate::process::{Serving, call, new_key, scratch};

/// The promises.
const ANSWERED_WITHIN: Duration = Duration::from_millis(100);
const BACK_WITHIN: Duration = Duration::from_secs(5);
/// How long it takes to find out that nobody answers: a heartbeat's patience, and one more question.
const NOTICED_WITHIN: Duration = Duration::from_secs(6);

/// What PostgreSQL itself may need after a crash, on a busy machine.
const RECOVERED_WITHIN: Duration = Duration::from_secs(60);

/// Callers at once, more than there are connections to the database.
const CALLERS: usize = 40;

fn length() -> Duration {
    let seconds = std::env::var("ENTREPOT_OUTAGE_SECONDS").ok().and_then(|text| text.parse().ok());
    Duration::from_secs(seconds.unwrap_or(4))
}

/// Callers that never stop calling.
struct Crowd {
    stop: Arc<AtomicBool>,
    threads: Vec<thread::JoinHandle<()>>,
    served: Arc<AtomicUsize>,
}

impl Crowd {
    fn gather(serving: &Serving, token: &str) -> Self {
        let (stop, served) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
        let threads = (0..CALLERS).map(|_| {
            let (stop, served) = (stop.clone(), served.clone());
            let (address, token) = (serving.address.clone(), token.to_owned());
            thread::spawn(move || {
                while !stop.load(Ordering::Relaxed) {
                    let answer = call(&address, "GET", "/api/me", &token, &json!(null));
                    assert!([200, 503].contains(&answer.status), "{} {}", answer.status, answer.body);
                    served.fetch_add(usize::from(answer.status == 200), Ordering::Relaxed);
                    thread::sleep(Duration::from_millis(50));
                }
            })
        });
        Self { threads: threads.collect(), stop, served }
    }

    fn leave(self) -> usize {
        self.stop.store(true, Ordering::Relaxed);
        self.threads.into_iter().for_each(|thread| thread.join().unwrap());
        self.served.load(Ordering::Relaxed)
    }
}

/// Lets the database be away for a while, and says how it went. `away` makes it so, `back` ends it.
fn outage(what: &str, serving: &mut Serving, token: &str, away: impl FnOnce(), back: impl FnOnce()) -> String {
    let crowd = Crowd::gather(serving, token);
    assert_eq!(serving.get("/api/me", token).status, 200);
    let began = Instant::now();
    away();
    loop {
        let answer = serving.get("/api/me", token);
        if answer.status == 503 {
            break;
        }
        assert!(began.elapsed() < NOTICED_WITHIN, "{what}: nothing was noticed");
    }
    let noticed = began.elapsed();
    assert!(noticed < NOTICED_WITHIN, "{what}: the first refusal took {noticed:?}");
    let key = json!({ "name": "bot" });
    let (mut took, mut healthy) = (vec![], vec![]);
    while began.elapsed() < noticed + length() {
        for answer in [serving.get("/api/me", token), serving.call("POST", "/api-key-management/create", token, &key)] {
            assert_eq!(
                (answer.status, &answer.body["code"]),
                (503, &json!("database_unavailable")),
                "{what}: {}",
                answer.body
            );
            assert!(answer.head.contains("\r\nretry-after: "), "{}", answer.head);
            took.push(answer.took);
        }
        let health = serving.get("/healthz", "");
        assert_eq!(health.status, 200, "{what}: the process is well");
        let ready = serving.get("/readyz", "");
        assert_eq!((ready.status, &ready.body["database"]), (503, &json!(false)), "{what}: {}", ready.body);
        took.push(ready.took);
        healthy.push(health.took);
        thread::sleep(Duration::from_millis(20));
    }
    assert!(serving.child.try_wait().unwrap().is_none(), "{what}: it ended");
    back();
    let returned = Instant::now();
    let until = |is_so: &dyn Fn() -> bool| {
        while !is_so() {
            let is_late = returned.elapsed() > BACK_WITHIN;
            assert!(!is_late, "{what}: not back after {BACK_WITHIN:?}: {}", last_lines(&serving.said()));
            thread::sleep(Duration::from_millis(20));
        }
        returned.elapsed()
    };
    let read = until(&|| serving.get("/api/me", token).status == 200);
    let ready = until(&|| serving.get("/readyz", "").status == 200);
    let written = until(&|| serving.call("POST", "/api-key-management/create", token, &key).status == 201);
    took.sort();
    healthy.sort();
    let of = |all: &[Duration], percent: usize| all[(all.len() - 1) * percent / 100];
    let at = |percent: usize| of(&took, percent);
    assert!(at(50) <= ANSWERED_WITHIN, "{what}: {:?}", at(50));
    // One in ten may wait for its turn on a busy machine. So may an answer that asks no database, which shows how busy it is: to wait
    // for a database that is away takes seconds, and would be seen whatever the machine does.
    let busy = of(&healthy, 90);
    assert!(at(90) <= ANSWERED_WITHIN + busy, "{what}: {:?}, while the process answers for itself in {busy:?}", at(90));
    let said = serving.said();
    assert!(!said.contains("panicked"), "{said}");
    format!(
        "{what}: noticed in {noticed:?}, {} refusals in {:?} at p50, {:?} at p90, {:?} at most; read again after {read:?}, ready after \
         {ready:?}, written after {written:?}; {} calls of others were served",
        took.len(),
        at(50),
        at(90),
        at(100),
        crowd.leave()
    )
}

fn last_lines(log: &str) -> String {
    let lines: Vec<&str> = log.lines().rev().take(12).collect();
    lines.into_iter().rev().collect::<Vec<_>>().join("\n")
}

/// The processes of the PostgreSQL that serves a data directory.
fn processes(data_dir: &Path) -> Vec<rustix::process::Pid> {
    let file = fs::read_to_string(data_dir.join("postgres/pgdata/postmaster.pid")).unwrap();
    let parent = file.lines().next().unwrap().trim().to_owned();
    let all = fs::read_dir("/proc").unwrap().flatten().map(|entry| entry.file_name().to_string_lossy().into_owned());
    let is_of = |pid: &String| {
        let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
        stat.rsplit_once(") ").is_some_and(|(_, rest)| rest.split(' ').nth(1) == Some(parent.as_str()))
    };
    let children = all.filter(|name| name.bytes().all(|byte| byte.is_ascii_digit())).filter(is_of);
    let pids = [parent.clone()].into_iter().chain(children);
    pids.map(|pid| rustix::process::Pid::from_raw(pid.parse().unwrap()).unwrap()).collect()
}

fn signal(pids: &[rustix::process::Pid], signal: rustix::process::Signal) {
    for pid in pids {
        // One that has ended meanwhile needs no signal.
        let _gone = rustix::process::kill_process(*pid, signal);
    }
}

#[test]
fn an_embedded_database_that_stops_answering_is_not_waited_for() {
    let (folder, key) = (scratch(), new_key());
    let data_dir = folder.path().join("data");
    let mut serving = Serving::start(&data_dir, &key);
    let token = serving.sign_up("kata");
    // The server first, so that it starts no more; then what it has started.
    let stop = || {
        signal(&processes(&data_dir)[..1], rustix::process::Signal::STOP);
        signal(&processes(&data_dir), rustix::process::Signal::STOP);
    };
    let go_on = || signal(&processes(&data_dir), rustix::process::Signal::CONT);
    println!("{}", outage("stopped", &mut serving, &token, stop, go_on));
    serving.stop();
}

/// The process id of a server that takes connections.
fn server(data_dir: &Path) -> Option<String> {
    let file = fs::read_to_string(data_dir.join("postgres/pgdata/postmaster.pid")).ok()?;
    let is_ready = file.lines().nth(7).is_some_and(|status| status.trim() == "ready");
    is_ready.then(|| file.lines().next().unwrap_or_default().to_owned())
}

#[test]
fn an_embedded_database_that_is_killed_is_back_soon() {
    let (folder, key) = (scratch(), new_key());
    let data_dir = folder.path().join("data");
    let mut serving = Serving::start(&data_dir, &key);
    let token = serving.sign_up("kata");
    let crowd = Crowd::gather(&serving, &token);
    let mut pid = server(&data_dir);
    for _ in 0..2 {
        signal(&processes(&data_dir)[..1], rustix::process::Signal::KILL);
        let killed = Instant::now();
        while pid.as_deref() == server(&data_dir).as_deref() || server(&data_dir).is_none() {
            assert!(killed.elapsed() < RECOVERED_WITHIN, "PostgreSQL is not there again");
            thread::sleep(Duration::from_millis(5));
        }
        pid = server(&data_dir);
        let there = Instant::now();
        while serving.get("/api/me", &token).status != 200 {
            assert!(there.elapsed() < BACK_WITHIN, "not back");
            thread::sleep(Duration::from_millis(20));
        }
        println!("killed: PostgreSQL was there after {:?}, used {:?} later", there - killed, there.elapsed());
        assert!(there.elapsed() < BACK_WITHIN);
    }
    crowd.leave();
    assert!(serving.child.try_wait().unwrap().is_none());
    assert!(!serving.said().contains("panicked"));
    serving.stop();
}
