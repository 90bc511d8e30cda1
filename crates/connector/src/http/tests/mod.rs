//! Against servers on loopback that behave as badly as servers do. The client is the real one; the hosts are mapped.

mod fuzz;
mod guard;
mod hosts;
mod limits;
mod messages;
mod one_client;
mod rebinding;
mod redirects;
mod tls;

use std::{
    io,
    net::{IpAddr, SocketAddr},
    sync::{Arc, Mutex},
    time::Duration,
};

use futures::future::BoxFuture;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    task::JoinHandle,
};
use url::Url;

use super::{Hosts, Http, HttpOptions, Lookup, Route};

/// A server that does to each connection what it is told, once the head of the request is there.
struct Server {
    address: SocketAddr,
    /// The heads of the requests, in their order.
    heads: Arc<Mutex<Vec<String>>>,
    task: JoinHandle<()>,
}

impl Drop for Server {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Server {
    async fn start<F>(answer: F) -> Self
    where
        F: Fn(String, TcpStream) -> BoxFuture<'static, io::Result<()>> + Send + Sync + 'static,
    {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let heads = Arc::new(Mutex::new(Vec::new()));
        let seen = Arc::clone(&heads);
        let answer = Arc::new(answer);
        let task = tokio::spawn(async move {
            loop {
                let (mut stream, _) = listener.accept().await.unwrap();
                let (seen, answer) = (Arc::clone(&seen), Arc::clone(&answer));
                tokio::spawn(async move {
                    if let Ok(head) = read_head(&mut stream).await {
                        seen.lock().unwrap().push(head.clone());
                        // A client that has had enough hangs up, which is an error here and what some tests want.
                        drop(answer(head, stream).await);
                    }
                });
            }
        });
        Self { address, heads, task }
    }

    /// Answers every request with these bytes and closes.
    async fn saying(bytes: impl Into<Vec<u8>>) -> Self {
        let bytes = bytes.into();
        Self::start(move |_, mut stream| {
            let bytes = bytes.clone();
            Box::pin(async move {
                stream.write_all(&bytes).await?;
                stream.shutdown().await
            })
        })
        .await
    }

    /// Answers by path.
    async fn routing(answer: impl Fn(&str) -> String + Send + Sync + 'static) -> Self {
        Self::start(move |head, mut stream| {
            let answer = answer(head.split(' ').nth(1).unwrap_or_default());
            Box::pin(async move {
                stream.write_all(answer.as_bytes()).await?;
                stream.shutdown().await
            })
        })
        .await
    }

    fn heads(&self) -> Vec<String> {
        self.heads.lock().unwrap().clone()
    }
}

async fn read_head(stream: &mut (impl AsyncReadExt + Unpin)) -> io::Result<String> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(stream.read_u8().await?);
    }
    Ok(String::from_utf8_lossy(&head).to_ascii_lowercase())
}

fn ok(headers: &str, body: impl AsRef<[u8]>) -> Vec<u8> {
    let mut answer =
        format!("HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: {}\r\n{headers}\r\n", body.as_ref().len())
            .into_bytes();
    answer.extend_from_slice(body.as_ref());
    answer
}

/// Where nothing listens.
async fn closed_port() -> SocketAddr {
    TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap()
}

fn route(pattern: &str, https: SocketAddr, http: SocketAddr) -> Route {
    Route { pattern: pattern.to_owned(), https, http }
}

/// A client to which `shop.example` is this server, by http.
fn client(server: &Server) -> Http {
    client_of(vec![route("shop.example", server.address, server.address)])
}

fn client_of(routes: Vec<Route>) -> Http {
    Http::new(Hosts::sandbox(None, routes, vec![]).unwrap(), HttpOptions::default()).unwrap()
}

fn url(text: &str) -> Url {
    Url::parse(text).unwrap()
}

fn shop() -> Url {
    url("http://shop.example/")
}

/// A name service that says what the test wants.
struct Told<F>(F);

impl<F> Lookup for Told<F>
where
    F: Fn(&str) -> io::Result<Vec<IpAddr>> + Send + Sync + 'static,
{
    fn lookup(&self, name: String) -> BoxFuture<'static, io::Result<Vec<IpAddr>>> {
        let answer = (self.0)(&name);
        Box::pin(async move { answer })
    }
}

fn client_told<F>(ports: Vec<u16>, answer: F) -> Http
where
    F: Fn(&str) -> io::Result<Vec<IpAddr>> + Send + Sync + 'static,
{
    let options = HttpOptions { ports, connect_timeout: Duration::from_millis(500), ..HttpOptions::default() };
    Http::with_lookup(Hosts::production(), options, Arc::new(Told(answer))).unwrap()
}
