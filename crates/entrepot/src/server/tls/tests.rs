use std::{fs, net::SocketAddr, os::unix::fs::PermissionsExt, path::Path};

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair, date_time_ymd};
use rustls::{
    ClientConfig, RootCertStore, SupportedProtocolVersion,
    pki_types::{CertificateDer, ServerName},
    version::{TLS12, TLS13},
};
use tempfile::TempDir;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    sync::watch,
    task::JoinHandle,
};
use tokio_rustls::{TlsConnector, client};

use super::*;
use crate::server::{serve, tests::endpoint};

type Authority = CertifiedIssuer<'static, KeyPair>;

fn authority() -> Authority {
    let mut params = CertificateParams::new([]).unwrap();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap()
}

/// Certificate and key in PEM, for this host until the first day of this year.
fn issue(authority: &Authority, host: &str, until: i32) -> (String, String) {
    let key = KeyPair::generate().unwrap();
    let mut params = CertificateParams::new([host.to_owned()]).unwrap();
    params.not_before = date_time_ymd(1990, 1, 1);
    params.not_after = date_time_ymd(until, 1, 1);
    (params.signed_by(&key, authority).unwrap().pem(), key.serialize_pem())
}

fn write(folder: &Path, (certificate, key): &(String, String)) -> Files {
    let files = Files { certificate: folder.join("certificate.pem"), key: folder.join("key.pem") };
    fs::write(&files.certificate, certificate).unwrap();
    fs::write(&files.key, key).unwrap();
    fs::set_permissions(&files.key, fs::Permissions::from_mode(0o600)).unwrap();
    files
}

fn url() -> Url {
    Url::parse("https://hub.example").unwrap()
}

/// A server with a certificate for `hub.example`.
struct Server {
    address: SocketAddr,
    tls: Tls,
    folder: TempDir,
    authority: Authority,
    stop: watch::Sender<bool>,
    task: JoinHandle<()>,
}

impl Server {
    async fn start() -> Self {
        Self::with_limits(HANDSHAKES, HANDSHAKE).await
    }

    async fn with_limits(at_most: usize, within: Duration) -> Self {
        let (folder, authority) = (tempfile::tempdir().unwrap(), authority());
        let files = write(folder.path(), &issue(&authority, "hub.example", 4000));
        let tls = Tls::with_limits(files, &url(), at_most, within).unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (stop, stopped) = watch::channel(false);
        let hello = axum::Router::new().route("/", axum::routing::get(|| async { "hello" }));
        let task = tokio::spawn(serve(listener, Some(tls.clone()), endpoint(hello), stopped));
        Self { address, tls, folder, authority, stop, task }
    }

    async fn connect(&self, versions: &[&'static SupportedProtocolVersion], alpn: &[&str]) -> Result<Open, String> {
        let mut roots = RootCertStore::empty();
        roots.add(self.authority.der().clone()).unwrap();
        let mut config = ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
            .with_protocol_versions(versions)
            .unwrap()
            .with_root_certificates(roots)
            .with_no_client_auth();
        config.alpn_protocols = alpn.iter().map(|name| name.as_bytes().to_vec()).collect();
        let stream = TcpStream::connect(self.address).await.unwrap();
        let name = ServerName::try_from("hub.example").unwrap();
        let connected = TlsConnector::from(Arc::new(config)).connect(name, stream).await;
        connected.map(Open).map_err(|error| error.to_string())
    }

    async fn usual(&self) -> Open {
        self.connect(&[&TLS13], &["http/1.1"]).await.unwrap()
    }

    async fn stop(self) {
        self.stop.send_replace(true);
        tokio::time::timeout(Duration::from_secs(10), self.task).await.expect("it stops").unwrap();
    }
}

/// An open connection of a client.
struct Open(client::TlsStream<TcpStream>);

impl Open {
    fn certificate(&self) -> CertificateDer<'static> {
        self.0.get_ref().1.peer_certificates().unwrap()[0].clone().into_owned()
    }

    /// One request on the connection, which stays open.
    async fn ask(&mut self) -> String {
        self.0.write_all(b"GET / HTTP/1.1\r\nHost: hub.example\r\n\r\n").await.unwrap();
        let mut buffer = vec![0; 4096];
        let mut answer = String::new();
        while !answer.ends_with("hello") {
            let more = self.0.read(&mut buffer).await.unwrap();
            assert!(more > 0, "closed after {answer:?}");
            answer.push_str(str::from_utf8(&buffer[..more]).unwrap());
        }
        answer
    }
}

#[tokio::test]
async fn both_versions_of_tls_are_spoken_and_http_1_1_alone_is_agreed_on() {
    let server = Server::start().await;
    for version in [&TLS12, &TLS13] {
        let mut open = server.connect(&[version], &["h2", "http/1.1"]).await.unwrap();
        assert_eq!(open.0.get_ref().1.alpn_protocol(), Some(&b"http/1.1"[..]));
        assert!(open.ask().await.starts_with("HTTP/1.1 200"));
    }
    // A client that names no protocol, and one that can do no other.
    assert!(server.connect(&[&TLS13], &[]).await.unwrap().ask().await.starts_with("HTTP/1.1 200"));
    let refused = server.connect(&[&TLS13], &["h2"]).await.map(|_| ()).unwrap_err();
    assert!(refused.contains("NoApplicationProtocol"), "{refused}");
    server.stop().await;
}

#[tokio::test]
async fn a_new_certificate_is_served_to_new_connections_and_old_ones_go_on() {
    let server = Server::start().await;
    let mut old = server.usual().await;
    old.ask().await;
    assert_eq!(server.tls.look(), Looked::Unchanged);
    write(server.folder.path(), &issue(&server.authority, "hub.example", 4001));
    assert_eq!(server.tls.look(), Looked::Replaced);
    let mut new = server.usual().await;
    assert_ne!(old.certificate(), new.certificate());
    assert!(new.ask().await.starts_with("HTTP/1.1 200"));
    assert!(old.ask().await.starts_with("HTTP/1.1 200"), "the old connection was dropped");
    server.stop().await;
}

#[tokio::test]
async fn a_bad_new_file_keeps_the_old_certificate_until_it_is_mended() {
    let server = Server::start().await;
    let served = server.usual().await.certificate();
    let fine = issue(&server.authority, "hub.example", 4001);
    let other = issue(&server.authority, "hub.example", 4002);
    let bad = [
        (fine.0.clone(), other.1.clone()),
        (String::new(), fine.1.clone()),
        (fine.0.clone(), "no key".to_owned()),
        (fine.0.replace("MII", "???"), fine.1.clone()),
    ];
    for contents in &bad {
        write(server.folder.path(), contents);
        assert_eq!(server.tls.look(), Looked::Refused, "{contents:?}");
        assert!(server.tls.0.refused.lock().unwrap().is_some());
        assert_eq!(server.usual().await.certificate(), served);
    }
    let files = write(server.folder.path(), &fine);
    fs::set_permissions(&files.key, fs::Permissions::from_mode(0o644)).unwrap();
    assert_eq!(server.tls.look(), Looked::Refused, "a key that everybody may read");
    fs::remove_file(&files.key).unwrap();
    assert_eq!(server.tls.look(), Looked::Refused, "a key that is gone");
    write(server.folder.path(), &fine);
    assert_eq!(server.tls.look(), Looked::Replaced);
    assert_eq!(*server.tls.0.refused.lock().unwrap(), None);
    assert_ne!(server.usual().await.certificate(), served);
    server.stop().await;
}

#[tokio::test]
async fn whoever_never_ends_a_handshake_is_let_go_and_starves_nobody() {
    const AT_MOST: usize = 8;
    let server = Server::with_limits(AT_MOST, Duration::from_secs(30)).await;
    let mut silent = vec![];
    for _ in 0..5 * AT_MOST {
        let mut stream = TcpStream::connect(server.address).await.unwrap();
        // The beginning of a handshake record, and then nothing.
        stream.write_all(&[0x16, 0x03, 0x01]).await.unwrap();
        silent.push(stream);
    }
    let began = tokio::time::Instant::now();
    assert!(server.usual().await.ask().await.starts_with("HTTP/1.1 200"));
    assert!(began.elapsed() < Duration::from_secs(10), "it waited for those who say nothing");
    // The oldest of them was closed, long before its time.
    let closed = tokio::time::timeout(Duration::from_secs(10), silent[0].read(&mut [0; 8])).await.expect("closed");
    assert!(matches!(closed, Ok(0) | Err(_)), "{closed:?}");
    assert!(server.tls.0.handshakes.enter().handshakes_at_once() <= AT_MOST);
    server.stop().await;
}

#[tokio::test]
async fn a_handshake_has_its_time_and_no_more() {
    let server = Server::with_limits(HANDSHAKES, Duration::from_millis(300)).await;
    let mut slow = TcpStream::connect(server.address).await.unwrap();
    slow.write_all(&[0x16]).await.unwrap();
    let closed = tokio::time::timeout(Duration::from_secs(10), slow.read(&mut [0; 8])).await.expect("closed");
    assert!(matches!(closed, Ok(0) | Err(_)), "{closed:?}");
    server.stop().await;
}

#[tokio::test]
async fn stopping_waits_for_nobody_who_is_still_at_the_handshake() {
    let server = Server::start().await;
    let mut slow = TcpStream::connect(server.address).await.unwrap();
    slow.write_all(&[0x16]).await.unwrap();
    server.usual().await.ask().await;
    server.stop().await;
}

#[test]
fn what_cannot_be_served_is_refused_with_the_file_that_is_wrong() {
    let (folder, authority) = (tempfile::tempdir().unwrap(), authority());
    let (fine, other) = (issue(&authority, "hub.example", 4000), issue(&authority, "hub.example", 4000));
    let refused = |files: &Files| {
        let error = Tls::open(files.clone(), &url()).map(|_| ()).unwrap_err();
        format!("{error:#}")
    };
    let files = write(folder.path(), &(fine.0.clone(), other.1.clone()));
    assert!(refused(&files).contains("key.pem is not that of the first certificate in"), "{}", refused(&files));
    write(folder.path(), &(fine.1.clone(), fine.1.clone()));
    assert!(refused(&files).contains("certificate.pem holds no certificate in PEM"), "{}", refused(&files));
    write(folder.path(), &(fine.0.clone(), fine.0.clone()));
    assert!(refused(&files).contains("key.pem holds no private key in PEM"), "{}", refused(&files));
    write(folder.path(), &fine);
    for mode in [0o644, 0o604, 0o660, 0o620] {
        fs::set_permissions(&files.key, fs::Permissions::from_mode(mode)).unwrap();
        assert!(refused(&files).contains("chmod 600"), "{mode:o}: {}", refused(&files));
    }
    for mode in [0o600, 0o400, 0o640, 0o440] {
        fs::set_permissions(&files.key, fs::Permissions::from_mode(mode)).unwrap();
        assert!(Tls::open(files.clone(), &url()).is_ok(), "{mode:o}");
    }
    fs::remove_file(&files.certificate).unwrap();
    assert!(refused(&files).contains("certificate.pem cannot be read"), "{}", refused(&files));
}

#[test]
fn a_certificate_tells_until_when_and_for_whom_it_is() {
    let (folder, authority) = (tempfile::tempdir().unwrap(), authority());
    let certificate = Certificate::open(&write(folder.path(), &issue(&authority, "hub.example", 2031))).unwrap();
    assert_eq!(certificate.not_after.to_rfc3339(), "2031-01-01T00:00:00+00:00");
    assert_eq!(certificate.not_before.to_rfc3339(), "1990-01-01T00:00:00+00:00");
    assert!(certificate.is_for("hub.example") && !certificate.is_for("example") && !certificate.is_for("192.0.2.1"));
    for address in ["192.0.2.1", "2001:db8::1"] {
        let certificate = Certificate::open(&write(folder.path(), &issue(&authority, address, 2031))).unwrap();
        assert!(certificate.is_for(address), "{address}");
    }
    assert!(
        Certificate::open(&write(folder.path(), &issue(&authority, "2001:db8::1", 2031)))
            .unwrap()
            .is_for("[2001:db8::1]")
    );
}
