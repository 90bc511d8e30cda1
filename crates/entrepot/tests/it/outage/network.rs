//! What lies between the program and a PostgreSQL elsewhere, and can fail.

use std::{
    fs, io,
    net::{TcpListener, TcpStream},
    os::unix::net::UnixStream,
    path::{Path, PathBuf},
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::Duration,
};

use db::{
    Db, Login,
    cluster::{Cluster, ClusterOptions},
};

/// A PostgreSQL that the program does not run itself, at the other end of a network.
pub(super) struct Elsewhere {
    pub(super) cluster: Cluster,
    pub(super) network: Network,
    /// How the program reaches it.
    pub(super) environment: Vec<(&'static str, String)>,
}

impl Elsewhere {
    pub(super) async fn start(folder: &Path) -> Self {
        let data_dir = folder.join("elsewhere");
        let cluster = Cluster::start(ClusterOptions::new(&data_dir)).await.unwrap();
        Db::migrate(&cluster.url(Login::Owner, cluster.database())).await.unwrap();
        let network = Network::to(cluster.socket_dir().join(".s.PGSQL.5432"));
        let passwords = fs::read_to_string(data_dir.join("pgpass")).unwrap();
        let names = ["DATABASE_OWNER_URL", "DATABASE_URL", "DATABASE_SYSTEM_URL", "DATABASE_INGEST_URL"];
        let environment = names.into_iter().zip(Login::ALL).map(|(name, login)| {
            let entry = format!("*:*:*:{login}:");
            let password = passwords.lines().find_map(|line| line.strip_prefix(&entry)).unwrap();
            (name, format!("postgres://{login}:{password}@{}/entrepot?sslmode=disable", network.address))
        });
        let environment = environment.collect();
        Self { cluster, network, environment }
    }

    pub(super) fn environment(&self) -> Vec<(&str, &str)> {
        self.environment.iter().map(|(name, url)| (*name, url.as_str())).collect()
    }
}

pub(super) struct Network {
    address: String,
    state: Arc<Mutex<Link>>,
    socket: PathBuf,
}

#[derive(Default)]
struct Link {
    is_cut: bool,
    is_refusing: bool,
    is_dropping: bool,
    open: Vec<Open>,
}

struct Open {
    near: TcpStream,
    far: UnixStream,
    way: Arc<Way>,
}

/// A connection, as the network knows it.
#[derive(Default)]
struct Way {
    /// Forgotten by the network: nothing gets through any more, and nobody is told.
    is_forgotten: AtomicBool,
    /// Somebody listens for notifications on it.
    listens: AtomicBool,
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
                let way = Arc::new(Way::default());
                let mut link = state.lock().unwrap();
                way.is_forgotten.store(link.is_dropping, Ordering::Relaxed);
                let (near_2, far_2) = (near.try_clone().unwrap(), far.try_clone().unwrap());
                link.open.push(Open { near: near_2, far: far_2, way: way.clone() });
                drop(link);
                let (near_2, far_2) = (near.try_clone().unwrap(), far.try_clone().unwrap());
                let (there, back) = (state.clone(), state.clone());
                let way_back = way.clone();
                thread::spawn(move || carry(near, far, &there, &way));
                thread::spawn(move || carry(far_2, near_2, &back, &way_back));
            }
        });
    }

    /// Nobody listens any more, and what was open is closed.
    pub(super) fn refuse(&self) {
        let mut link = self.state.lock().unwrap();
        link.is_refusing = true;
        for open in link.open.drain(..) {
            let _closed = open.near.shutdown(std::net::Shutdown::Both);
            let _closed = open.far.shutdown(std::net::Shutdown::Both);
        }
    }

    pub(super) fn listen_again(&self) {
        // The one that refuses has ended by now; its port is ours again.
        thread::sleep(Duration::from_millis(50));
        self.state.lock().unwrap().is_refusing = false;
        self.accept(TcpListener::bind(&self.address).unwrap());
    }

    /// Nothing gets through, in either direction, and nobody is told.
    pub(super) fn cut(&self, is_cut: bool) {
        self.state.lock().unwrap().is_cut = is_cut;
    }

    /// Every connection is forgotten for good, and those that are made before [`Network::forget_no_more`] are as well.
    pub(super) fn forget_all(&self) {
        let mut link = self.state.lock().unwrap();
        link.is_dropping = true;
        link.open.iter().for_each(|open| open.way.is_forgotten.store(true, Ordering::Relaxed));
    }

    pub(super) fn forget_no_more(&self) {
        self.state.lock().unwrap().is_dropping = false;
    }

    /// The same, but for the connections on which somebody listens; those that are made later are good.
    pub(super) fn forget_all_but_listeners(&self) {
        let link = self.state.lock().unwrap();
        let ways = link.open.iter().map(|open| &open.way);
        ways.filter(|way| !way.listens.load(Ordering::Relaxed))
            .for_each(|way| way.is_forgotten.store(true, Ordering::Relaxed));
    }

    /// Only the connections on which somebody listens are forgotten. How many those were.
    pub(super) fn forget_listeners(&self) -> usize {
        let link = self.state.lock().unwrap();
        let ways = link.open.iter().map(|open| &open.way);
        let listen =
            |way: &&Arc<Way>| way.listens.load(Ordering::Relaxed) && !way.is_forgotten.swap(true, Ordering::Relaxed);
        ways.filter(listen).count()
    }
}

/// Carries bytes one way. What is under way when the network is cut arrives when it is whole again, as TCP has it; what is sent
/// on a forgotten connection is lost.
fn carry(mut from: impl io::Read, mut to: impl io::Write, state: &Mutex<Link>, way: &Way) {
    let mut buffer = [0; 16 * 1024];
    while let Ok(length) = from.read(&mut buffer) {
        while state.lock().unwrap().is_cut {
            thread::sleep(Duration::from_millis(5));
        }
        let is_forgotten = way.is_forgotten.load(Ordering::Relaxed);
        if length == 0 && is_forgotten {
            // Its end is not told either.
            thread::park();
        }
        if buffer[..length].windows(8).any(|window| window == b"LISTEN \"") {
            way.listens.store(true, Ordering::Relaxed);
        }
        if length == 0 || (!is_forgotten && to.write_all(&buffer[..length]).is_err()) {
            return;
        }
    }
}
