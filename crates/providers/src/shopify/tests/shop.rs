//! A shop that answers as a test tells it to, over TLS, so that the connector talks to it as to any other.

use std::{
    net::SocketAddr,
    sync::{Arc, Mutex},
};

use axum::{Router, body::Bytes, extract::State, http::Request, response::IntoResponse, routing::any, serve::Listener};
use connector::{
    Account, Call, Credential, Token,
    http::{Hosts, Http, HttpOptions, Route},
};
use kernel::{Clock, Secret};
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use serde_json::{Value, json};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::{
    TlsAcceptor,
    rustls::{
        ServerConfig,
        crypto::aws_lc_rs,
        pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer},
    },
    server::TlsStream,
};

pub(super) const DOMAIN: &str = "kave-tea.myshopify.com";

/// A request as it came in.
#[derive(Clone)]
pub(super) struct Asked {
    pub(super) path: String,
    pub(super) token: Option<String>,
    pub(super) body: Value,
}

impl Asked {
    pub(super) fn operation(&self) -> &str {
        self.body["operationName"].as_str().unwrap_or_default()
    }

    pub(super) fn query(&self) -> &str {
        self.body["query"].as_str().unwrap_or_default()
    }

    pub(super) fn variable(&self, name: &str) -> &Value {
        &self.body["variables"][name]
    }
}

/// What the shop says, and whether it says it with headers of its own.
pub(super) struct Reply {
    status: u16,
    headers: Vec<(&'static str, &'static str)>,
    body: String,
}

impl Reply {
    pub(super) fn status(status: u16, body: &Value) -> Self {
        Self { status, headers: vec![], body: body.to_string() }
    }

    pub(super) fn header(mut self, name: &'static str, value: &'static str) -> Self {
        self.headers.push((name, value));
        self
    }
}

impl From<Value> for Reply {
    fn from(body: Value) -> Self {
        Self::status(200, &body)
    }
}

type Script = Arc<dyn Fn(&Asked, usize) -> Reply + Send + Sync>;

/// Everything a call needs, and what the shop was asked.
pub(super) struct Shop {
    pub(super) http: Http,
    pub(super) account: Account,
    pub(super) credential: Credential,
    pub(super) clock: Clock,
    asked: Arc<Mutex<Vec<Asked>>>,
}

impl Shop {
    /// `script` gets each request and how many came before it.
    pub(super) async fn open(script: impl Fn(&Asked, usize) -> Reply + Send + Sync + 'static) -> Self {
        let (tls, authority) = certificates();
        let listener = TlsListener { tcp: TcpListener::bind("127.0.0.1:0").await.unwrap(), tls };
        let address = listener.tcp.local_addr().unwrap();
        let asked = Arc::new(Mutex::new(Vec::new()));
        let script: Script = Arc::new(script);
        let router = Router::new().fallback(any(answer)).with_state((script, asked.clone()));
        tokio::spawn(async move { axum::serve(listener, router).await });

        let route = Route { pattern: "*.myshopify.com".to_owned(), https: address, http: address };
        let hosts = Hosts::sandbox(Some(authority), vec![route], vec![]).unwrap();
        let scopes = ["read_customers", "read_orders", "read_products"].map(str::to_owned).to_vec();
        let token = Token {
            access: Secret::new("shpat_alive"),
            refresh: Some(Secret::new("shprt_first")),
            expires_at: None,
            refresh_expires_at: None,
            scopes: scopes.clone(),
        };
        Self {
            http: Http::new(hosts, HttpOptions::default()).unwrap(),
            account: Account { external_account: DOMAIN.to_owned(), config: json!({}), scopes },
            credential: Credential::Token(token),
            clock: Clock::manual("2026-11-20T10:00:00Z".parse().unwrap()),
            asked,
        }
    }

    pub(super) fn call(&self) -> Call<'_> {
        Call { http: &self.http, account: &self.account, credential: &self.credential, clock: &self.clock }
    }

    pub(super) fn asked(&self) -> Vec<Asked> {
        self.asked.lock().unwrap().clone()
    }

    pub(super) fn operations(&self) -> Vec<String> {
        self.asked().iter().map(|asked| asked.operation().to_owned()).collect()
    }
}

async fn answer(
    State((script, log)): State<(Script, Arc<Mutex<Vec<Asked>>>)>,
    request: Request<axum::body::Body>,
) -> impl IntoResponse {
    let (head, body) = request.into_parts();
    let body: Bytes = axum::body::to_bytes(body, 1 << 20).await.unwrap();
    let token = head.headers.get("x-shopify-access-token").map(|token| token.to_str().unwrap().to_owned());
    let body = serde_json::from_slice(&body).unwrap_or_default();
    let asked = Asked { path: head.uri.path().to_owned(), token, body };
    let before = {
        let mut log = log.lock().unwrap();
        log.push(asked.clone());
        log.len() - 1
    };
    let reply = script(&asked, before);
    let mut response = axum::http::Response::builder().status(reply.status).header("content-type", "application/json");
    for (name, value) in reply.headers {
        response = response.header(name, value);
    }
    response.body(axum::body::Body::from(reply.body)).unwrap()
}

/// The server's side of TLS for every shop, and the authority that vouches for it.
fn certificates() -> (TlsAcceptor, Vec<u8>) {
    let authority_key = KeyPair::generate().unwrap();
    let mut authority = CertificateParams::new(vec![]).unwrap();
    authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let certificate = authority.self_signed(&authority_key).unwrap();
    let issuer = Issuer::new(authority, authority_key);
    let key = KeyPair::generate().unwrap();
    let leaf = CertificateParams::new(vec!["*.myshopify.com".to_owned()]).unwrap().signed_by(&key, &issuer).unwrap();
    let key = PrivateKeyDer::from(PrivatePkcs8KeyDer::from(key.serialize_der()));
    let config = ServerConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![leaf.der().clone()], key)
        .unwrap();
    (TlsAcceptor::from(Arc::new(config)), certificate.der().to_vec())
}

struct TlsListener {
    tcp: TcpListener,
    tls: TlsAcceptor,
}

impl Listener for TlsListener {
    type Io = TlsStream<TcpStream>;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (Self::Io, Self::Addr) {
        loop {
            let (stream, address) = self.tcp.accept().await.unwrap();
            if let Ok(stream) = self.tls.accept(stream).await {
                return (stream, address);
            }
        }
    }

    fn local_addr(&self) -> std::io::Result<SocketAddr> {
        self.tcp.local_addr()
    }
}
