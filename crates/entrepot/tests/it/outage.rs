//! The database goes away while the program serves (RES-3): nobody waits for it, and it is used again when it is back.
//!
//! An outage takes 4 seconds here; `script/soak outage` makes it a minute.

use std::{
    fs,
    io::{self, Write},
    net::{TcpListener, TcpStream},
    os::unix::net::UnixStream,
    path::{Path, PathBuf},
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use db::{
    Db, Login,
    cluster::{Cluster, ClusterOptions},
};
use serde_json::json;
use sqlx::{Connection, PgConnection};

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

/// What lies between the program and a server elsewhere, and can fail.
struct Network {
    address: String,
    state: Arc<Mutex<Link>>,
    socket: PathBuf,
}

#[derive(Default)]
struct Link {
    is_cut: bool,
    is_refusing: bool,
    open: Vec<(TcpStream, UnixStream)>,
}

impl Network {
    fn to(socket: PathBuf) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let network = Self { address, state: Arc::default(), socket };
        network.accept(listener);
        network
    }

    fn accept(&self, listener: TcpListener) {
        let (state, socket) = (self.state.clone(), self.socket.clone());
        listener.set_nonblocking(true).unwrap();
        thread::spawn(move || {
            while !state.lock().unwrap().is_refusing {
                let Ok((near, _)) = listener.accept() else {
                    thread::sleep(Duration::from_millis(2));
                    continue;
                };
                near.set_nonblocking(false).unwrap();
                let Ok(far) = UnixStream::connect(&socket) else { continue };
                let mut link = state.lock().unwrap();
                link.open.push((near.try_clone().unwrap(), far.try_clone().unwrap()));
                drop(link);
                let (near_2, far_2) = (near.try_clone().unwrap(), far.try_clone().unwrap());
                let (there, back) = (state.clone(), state.clone());
                thread::spawn(move || carry(near, far, &there));
                thread::spawn(move || carry(far_2, near_2, &back));
            }
        });
    }

    /// Nobody listens any more, and what was open is closed.
    fn refuse(&self) {
        let mut link = self.state.lock().unwrap();
        link.is_refusing = true;
        for (near, far) in link.open.drain(..) {
            let _closed = near.shutdown(std::net::Shutdown::Both);
            let _closed = far.shutdown(std::net::Shutdown::Both);
        }
    }

    fn listen_again(&self) {
        // The one that refuses has ended by now; its port is ours again.
        thread::sleep(Duration::from_millis(50));
        self.state.lock().unwrap().is_refusing = false;
        self.accept(TcpListener::bind(&self.address).unwrap());
    }

    /// Nothing gets through, in either direction, and nobody is told.
    fn cut(&self, is_cut: bool) {
        self.state.lock().unwrap().is_cut = is_cut;
    }
}

/// Carries bytes one way. What is under way when the network is cut arrives when it is whole again, as TCP has it.
fn carry(mut from: impl io::Read, mut to: impl io::Write, state: &Mutex<Link>) {
    let mut buffer = [0; 16 * 1024];
    while let Ok(length) = from.read(&mut buffer) {
        while state.lock().unwrap().is_cut {
            thread::sleep(Duration::from_millis(5));
        }
        if length == 0 || to.write_all(&buffer[..length]).is_err() {
            return;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_database_elsewhere_that_refuses_or_falls_silent_is_not_waited_for_and_not_stormed_afterwards() {
    let (folder, key) = (scratch(), new_key());
    let cluster = Cluster::start(ClusterOptions::new(folder.path().join("elsewhere"))).await.unwrap();
    Db::migrate(&cluster.url(Login::Owner, cluster.database())).await.unwrap();
    let network = Network::to(cluster.socket_dir().join(".s.PGSQL.5432"));
    let passwords = fs::read_to_string(folder.path().join("elsewhere/pgpass")).unwrap();
    let urls = Login::ALL.map(|login| {
        let entry = format!("*:*:*:{login}:");
        let password = passwords.lines().find_map(|line| line.strip_prefix(&entry)).unwrap();
        format!("postgres://{login}:{password}@{}/entrepot?sslmode=disable", network.address)
    });
    let names = ["DATABASE_OWNER_URL", "DATABASE_URL", "DATABASE_SYSTEM_URL", "DATABASE_INGEST_URL"];
    let environment: Vec<(&str, &str)> = names.into_iter().zip(urls.iter().map(String::as_str)).collect();
    let mut serving = Serving::with(&folder.path().join("data"), &key, &environment);
    let token = serving.sign_up("kata");
    println!("{}", outage("refused", &mut serving, &token, || network.refuse(), || network.listen_again()));
    println!("{}", outage("cut off", &mut serving, &token, || network.cut(true), || network.cut(false)));

    let crowd = Crowd::gather(&serving, &token);
    thread::sleep(Duration::from_secs(1));
    let mut superuser = PgConnection::connect_with(&cluster.superuser_url(cluster.database())).await.unwrap();
    let connections: i64 = sqlx::query_scalar(
        "select count(*) from pg_stat_activity where usename in ('entrepot_app', 'entrepot_system', 'entrepot_ingest')",
    )
    .fetch_one(&mut superuser)
    .await
    .unwrap();
    crowd.leave();
    // The pools have 16, 6 and 2 places, the listener has two connections; what was left behind is closed by now.
    assert!(connections <= 26, "{connections} connections after two outages");
    println!("{connections} connections after two outages, {CALLERS} callers");
    superuser.close().await.unwrap();
    serving.stop();
    cluster.stop().await.unwrap();
}

/// A small file system of its own for as long as this lives.
struct SmallDisk(PathBuf);

impl SmallDisk {
    /// None where this user may not mount.
    fn mount(at: PathBuf) -> Option<Self> {
        fs::create_dir(&at).unwrap();
        let mut mount = std::process::Command::new("mount");
        mount.args(["-t", "tmpfs", "-o", "size=192m,mode=711", "tmpfs"]).arg(&at);
        let is_mounted = mount.output().is_ok_and(|done| done.status.success());
        is_mounted.then_some(Self(at))
    }

    /// Leaves no room at all.
    fn fill(&self) {
        let mut file = fs::File::create(self.0.join("filler")).unwrap();
        let mut block = vec![1; 1024 * 1024];
        while !block.is_empty() {
            if file.write_all(&block).is_err() {
                block.truncate(block.len() / 2);
            }
        }
    }

    fn make_room(&self) {
        fs::remove_file(self.0.join("filler")).unwrap();
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _gone = std::process::Command::new("umount").arg("--lazy").arg(&self.0).status();
    }
}

#[test]
fn a_full_disk_refuses_what_is_written_and_room_brings_it_back() {
    let (folder, key) = (scratch(), new_key());
    let Some(disk) = SmallDisk::mount(folder.path().join("disk")) else {
        // Not `println`, which a test that passes keeps to itself.
        let said = writeln!(
            io::stderr(),
            "skipped, not passed: a full disk, since this user may not mount a small file system"
        );
        said.unwrap();
        return;
    };
    let data_dir = disk.0.join("data");
    let mut serving = Serving::start(&data_dir, &key);
    let token = serving.sign_up("kata");
    let write = |serving: &Serving, text: &str| {
        let path = "/api/sign-up";
        let form = json!({
            "name": text, "email": format!("{text}@example.com"), "password": crate::process::PASSWORD,
            "organization_name": "x".repeat(150),
        });
        serving.call("POST", path, "", &form)
    };
    for round in 0..2 {
        disk.fill();
        let (mut refused, mut read) = (0, 0);
        let began = Instant::now();
        let mut number = 0;
        while refused < 5 || began.elapsed() < length() {
            let answer = write(&serving, &format!("full-{round}-{number}"));
            number += 1;
            match answer.status {
                // Until the last page that is there is used up.
                201 => {}
                503 => refused += 1,
                other => panic!("a full disk is no {other}: {}", answer.body),
            }
            let me = serving.get("/api/me", &token);
            assert!([200, 503].contains(&me.status), "{}", me.body);
            read += usize::from(me.status == 200);
            assert_eq!(serving.get("/healthz", "").status, 200);
            assert!(began.elapsed() < length() + Duration::from_secs(60), "{refused} refusals of {number}");
        }
        assert!(serving.child.try_wait().unwrap().is_none(), "it ended");
        disk.make_room();
        let room = Instant::now();
        let mut again = 0;
        while write(&serving, &format!("room-{round}-{again}")).status != 201 {
            assert!(room.elapsed() < BACK_WITHIN, "not back");
            again += 1;
            thread::sleep(Duration::from_millis(50));
        }
        println!(
            "full: {refused} of {number} writes were refused, {read} reads answered; back after {:?}",
            room.elapsed()
        );
    }
    assert_eq!(serving.get("/api/me", &token).status, 200);
    assert!(!serving.said().contains("panicked"));
    serving.stop();
}
