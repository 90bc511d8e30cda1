use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use axum::{Router, body::Body, http::Version, routing::get};
use futures::{future::join_all, stream};
use hyper_util::{
    rt::{TokioExecutor, TokioIo},
    server::conn::auto,
    service::TowerToHyperService,
};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair, date_time_ymd};
use rustls::ServerConfig;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use tokio::{io::AsyncWriteExt, net::TcpListener};
use tokio_rustls::TlsAcceptor;

use super::super::{Class, Hosts, Http, HttpOptions, Request};
use super::{Server, ok, read_head, route, url};
use crate::ProviderError;

fn authority(name: &str) -> CertifiedIssuer<'static, KeyPair> {
    let mut params = CertificateParams::new([]).unwrap();
    params.distinguished_name.push(DnType::CommonName, name);
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap()
}

/// What a server needs to speak for `name`, with a certificate that is valid until the first day of `until`.
fn acceptor(authority: &CertifiedIssuer<'static, KeyPair>, name: &str, until: i32, protocol: &str) -> TlsAcceptor {
    let key = KeyPair::generate().unwrap();
    let mut params = CertificateParams::new([name.to_owned()]).unwrap();
    params.not_before = date_time_ymd(1990, 1, 1);
    params.not_after = date_time_ymd(until, 1, 1);
    let certificate: CertificateDer = params.signed_by(&key, authority).unwrap().into();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let mut config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![certificate], PrivateKeyDer::Pkcs8(key.serialize_der().into()))
        .unwrap();
    config.alpn_protocols = vec![protocol.into()];
    TlsAcceptor::from(Arc::new(config))
}

async fn serve(authority: &CertifiedIssuer<'static, KeyPair>, name: &str, until: i32) -> SocketAddr {
    let acceptor = acceptor(authority, name, until, "http/1.1");
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            // A client that does not trust the certificate hangs up during the handshake.
            if let Ok(mut stream) = acceptor.accept(stream).await {
                read_head(&mut stream).await.unwrap();
                stream.write_all(&ok("", "by tls")).await.unwrap();
                stream.shutdown().await.unwrap();
            }
        }
    });
    address
}

/// A server of HTTP/2, with the number of connections that it took.
async fn serve_http2(authority: &CertifiedIssuer<'static, KeyPair>, app: Router) -> (SocketAddr, Arc<AtomicUsize>) {
    let acceptor = acceptor(authority, "shop.example", 4000, "h2");
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let connections = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&connections);
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            counted.fetch_add(1, Ordering::SeqCst);
            let (acceptor, service) = (acceptor.clone(), TowerToHyperService::new(app.clone()));
            tokio::spawn(async move {
                let stream = TokioIo::new(acceptor.accept(stream).await.unwrap());
                // It ends with an error when the client has had enough.
                drop(auto::Builder::new(TokioExecutor::new()).serve_connection(stream, service).await);
            });
        }
    });
    (address, connections)
}

fn client(trusted: &CertifiedIssuer<'static, KeyPair>, https: SocketAddr, http: SocketAddr) -> Http {
    let routes = vec![route("shop.example", https, http)];
    let hosts = Hosts::sandbox(Some(trusted.der().to_vec()), routes, vec![]).unwrap();
    Http::new(hosts, HttpOptions::default()).unwrap()
}

/// By https what the test gives, by http a server of its own.
async fn send(trusted: &CertifiedIssuer<'static, KeyPair>, https: SocketAddr, target: &str) -> Result<String, String> {
    let plain = Server::saying(ok("", "in the clear")).await;
    let http = client(trusted, https, plain.address);
    let response = http.send(Request::get(url(target))).await.map_err(|error| error.to_string())?;
    Ok(String::from_utf8(response.body.to_vec()).unwrap())
}

#[tokio::test]
async fn each_scheme_of_a_simulated_host_has_its_own_server() {
    let authority = authority("ours");
    let server = serve(&authority, "shop.example", 4000).await;
    assert_eq!(send(&authority, server, "https://shop.example/").await.unwrap(), "by tls");
    assert_eq!(send(&authority, server, "http://shop.example/").await.unwrap(), "in the clear");
}

#[tokio::test]
async fn each_way_in_which_a_certificate_is_wrong_is_named() {
    let ours = authority("ours");
    for (server, reason) in [
        (
            serve(&authority("theirs"), "shop.example", 4000).await,
            "its certificate is self-signed, or the chain to a known authority is incomplete",
        ),
        (serve(&ours, "other.example", 4000).await, "its certificate is for another host name"),
        (serve(&ours, "shop.example", 2000).await, "its certificate has expired"),
    ] {
        let error = send(&ours, server, "https://shop.example/").await.unwrap_err();
        assert_eq!(error, format!("the shop is not available ({reason})"));
    }
}

#[tokio::test]
async fn a_server_without_tls_is_told_apart_from_one_with_a_wrong_certificate() {
    // Our own server would read the handshake as a head without end; this one speaks at once.
    let talkative = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = talkative.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = talkative.accept().await {
            stream.write_all(&ok("", "in the clear")).await.unwrap();
        }
    });
    let error = send(&authority("ours"), address, "https://shop.example/").await.unwrap_err();
    assert_eq!(error, "the shop is not available (no secure connection could be agreed on)");
}

#[test]
fn an_authority_that_is_none_is_refused() {
    let hosts = Hosts::sandbox(Some(b"no certificate".to_vec()), vec![], vec![]).unwrap();
    assert!(Http::new(hosts, HttpOptions::default()).is_err());
}

#[tokio::test]
async fn calls_to_one_host_share_a_connection() {
    let app = Router::new().route("/", get(|version: Version| async move { format!("{version:?}") }));
    let authority = authority("ours");
    let (server, connections) = serve_http2(&authority, app).await;
    let http = client(&authority, server, server);
    let send = || http.send(Request::get(url("https://shop.example/")));
    assert_eq!(send().await.unwrap().body, "HTTP/2.0");
    for response in join_all((0..50).map(|_| send())).await {
        assert_eq!(response.unwrap().status, 200);
    }
    assert_eq!(connections.load(Ordering::SeqCst), 1);
}

#[tokio::test]
async fn the_limits_hold_for_http2_too() {
    let endless = || stream::repeat_with(|| Ok::<_, std::io::Error>(vec![b'x'; 0x1000]));
    let app = Router::new()
        .route("/endless", get(move || async move { Body::from_stream(endless()) }))
        .route("/headers", get(|| async { ([("x-large", "v".repeat(70 << 10))], "") }));
    let authority = authority("ours");
    let (server, _) = serve_http2(&authority, app).await;
    let http = client(&authority, server, server);
    let send = |path| http.send(Request::get(url(&format!("https://shop.example/{path}"))).class(Class::Discovery));
    let error = send("endless").await.unwrap_err();
    assert_eq!(error.to_string(), "the shop's answer cannot be read (at body, which is larger than 1 MiB)");
    // HTTP/2 gives such a stream up below us, so the reason is not known.
    let error = send("headers").await.unwrap_err();
    let is_refused = matches!(
        error,
        ProviderError::Unavailable { .. } | ProviderError::Cut { .. } | ProviderError::Malformed { .. }
    );
    assert!(is_refused, "{error:?}");
}
