//! The server as one elsewhere is reached: over TCP, by TLS, with a certificate of an authority of its own.

use std::{net::TcpListener, os::unix::fs::chown};

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair};

use super::*;
use crate::{
    Db, DbError, Logins, PoolSizes,
    backup::{BackupError, Snapshot},
    inspect,
};

type Authority = CertifiedIssuer<'static, KeyPair>;

fn authority(name: &str) -> Authority {
    let mut params = CertificateParams::new([]).unwrap();
    params.distinguished_name.push(DnType::CommonName, name);
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap()
}

/// A cluster's server run by hand, with `ssl = on` and a certificate for `localhost`.
struct Remote {
    folder: Folder,
    server: Arc<Server>,
    child: Child,
    port: u16,
}

impl Remote {
    async fn start() -> Self {
        let folder = Folder::new();
        let cluster = folder.start().await;
        let server = Arc::clone(&cluster.server);
        cluster.stop().await.unwrap();

        let (ours, other, key) = (authority("ours"), authority("other"), KeyPair::generate().unwrap());
        // The same by name, and not by key.
        let namesake = authority("ours");
        let certificate = CertificateParams::new(["localhost".to_owned()]).unwrap().signed_by(&key, &ours).unwrap();
        for (name, text) in [
            ("server.pem", certificate.pem()),
            ("server.key", key.serialize_pem()),
            ("ours.pem", ours.pem()),
            ("other.pem", other.pem()),
            ("namesake.pem", namesake.pem()),
        ] {
            let path = folder.0.path().join(name);
            fs::write(&path, text).unwrap();
            let mode = if name == "server.key" { 0o600 } else { 0o644 };
            fs::set_permissions(&path, Permissions::from_mode(mode)).unwrap();
            chown(&path, Some(server.account.uid), Some(server.account.gid)).unwrap();
        }

        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let file = |name: &str| folder.0.path().join(name).display().to_string();
        let mut command = server.account.command(&server.binaries.program("postgres"));
        command.arg("-D").arg(&server.area.pgdata);
        for setting in [
            "listen_addresses=127.0.0.1".to_owned(),
            "unix_socket_directories=".to_owned(),
            format!("port={port}"),
            "ssl=on".to_owned(),
            format!("ssl_cert_file={}", file("server.pem")),
            format!("ssl_key_file={}", file("server.key")),
        ] {
            command.arg("-c").arg(setting);
        }
        let child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        let remote = Self { folder, server, child, port };
        let began = Instant::now();
        while PgConnection::connect_with(&remote.options(SUPERUSER, "sslmode=disable")).await.is_err() {
            assert!(began.elapsed() < Duration::from_secs(30), "the server does not come up");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        remote
    }

    fn file(&self, name: &str) -> String {
        self.folder.0.path().join(name).display().to_string()
    }

    fn url_at(&self, host: &str, role: &str, how: &str) -> String {
        let password = self.server.passwords.of(role).expose();
        format!("postgres://{role}:{password}@{host}:{}/{DATABASE}?{how}", self.port)
    }

    fn url(&self, role: &str, how: &str) -> String {
        self.url_at("localhost", role, how)
    }

    fn options(&self, role: &str, how: &str) -> PgConnectOptions {
        self.url(role, how).parse().unwrap()
    }

    fn logins(&self, how: &str) -> Logins {
        let options = |login: Login| self.options(login.as_str(), how);
        Logins {
            owner: options(Login::Owner),
            app: options(Login::App),
            system: options(Login::System),
            ingest: options(Login::Ingest),
        }
    }

    fn trusting(&self, authority: &str, mode: &str) -> String {
        format!("sslmode={mode}&sslrootcert={}", self.file(authority))
    }
}

impl Drop for Remote {
    fn drop(&mut self) {
        kill(self.child.id(), Signal::QUIT);
        self.child.wait().unwrap();
    }
}

async fn is_by_tls(options: &PgConnectOptions) -> bool {
    let mut connection = PgConnection::connect_with(options).await.unwrap();
    sqlx::query_scalar("select ssl from pg_stat_ssl where pid = pg_backend_pid()")
        .fetch_one(&mut connection)
        .await
        .unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn every_login_the_listener_and_dumps_reach_a_verified_server() {
    let remote = Remote::start().await;
    for mode in ["verify-full", "verify-ca"] {
        let logins = remote.logins(&remote.trusting("ours.pem", mode));
        Db::migrate(&logins.owner).await.unwrap();
        for login in Login::ALL {
            inspect::login(&logins, login).await.unwrap();
        }
        for options in [&logins.owner, &logins.app, &logins.system, &logins.ingest] {
            assert!(is_by_tls(options).await);
        }
        let db = Db::connect(&logins, &PoolSizes::default()).await.unwrap();
        let listener = db.listen();
        let began = Instant::now();
        while !listener.freshness().holds() {
            assert!(began.elapsed() < Duration::from_secs(30), "it hears nothing");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        db.close().await;

        let target = Target::parse(&remote.url(BACKUP, &remote.trusting("ours.pem", mode))).unwrap();
        let dump = remote.folder.0.path().join(format!("{mode}.dump"));
        Snapshot::take(&target).await.unwrap().dump(None, &dump).await.unwrap();
        assert!(fs::metadata(&dump).unwrap().len() > 10_000);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_is_not_the_right_one_is_refused_in_plain_words() {
    let remote = Remote::start().await;
    let role = Login::Owner.as_str();
    let refused = async |url: String| match Db::migrate(&url.parse().unwrap()).await {
        Err(DbError::Untrusted(why)) => why,
        other => panic!("{other:?}"),
    };
    let other = remote.trusting("other.pem", "verify-full");
    for stranger in ["other.pem", "namesake.pem"] {
        let why = refused(remote.url(role, &remote.trusting(stranger, "verify-full"))).await;
        assert!(why.contains("not of an authority that sslrootcert names"), "{stranger}: {why}");
    }
    assert!(refused(remote.url(role, "sslmode=verify-full")).await.contains("not of an authority"));
    let elsewhere = remote.url_at("127.0.0.1", role, &remote.trusting("ours.pem", "verify-full"));
    assert!(refused(elsewhere).await.contains("for another host name"));
    let not_one = remote.trusting("server.key", "verify-full");
    let nothing_in_it = refused(remote.url(role, &not_one)).await;
    assert!(nothing_in_it.contains("not of an authority"), "{nothing_in_it}");
    // The name is not looked at with verify-ca, and nothing is with require: that is what they mean.
    for how in [remote.trusting("ours.pem", "verify-ca"), "sslmode=require".to_owned()] {
        Db::migrate(&remote.url_at("127.0.0.1", role, &how).parse().unwrap()).await.unwrap();
    }

    let logins = remote.logins(&other);
    assert!(matches!(Db::connect(&logins, &PoolSizes::default()).await.map(|_| ()), Err(DbError::Untrusted(_))));
    for login in Login::ALL {
        assert!(matches!(inspect::login(&logins, login).await, Err(DbError::Untrusted(_))), "{login}");
    }
    let target = Target::parse(&remote.url(BACKUP, &other)).unwrap();
    let taken = Snapshot::take(&target).await.map(|_| ());
    assert!(matches!(taken, Err(BackupError::Database(DbError::Untrusted(_)))), "{taken:?}");
}

#[tokio::test]
async fn a_server_without_tls_is_refused_where_tls_is_asked_for() {
    let folder = Folder::new();
    let cluster = folder.start().await;
    let options = cluster.url(Login::Owner, DATABASE).ssl_mode(sqlx::postgres::PgSslMode::VerifyFull);
    let refused = Db::migrate(&options).await;
    assert!(matches!(&refused, Err(DbError::Untrusted(why)) if why.contains("speaks no TLS")), "{refused:?}");
    cluster.stop().await.unwrap();
}
