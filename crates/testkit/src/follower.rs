//! Reads server-sent events (WHATWG HTML) as they come, in the process or over a socket.

use std::{
    net::SocketAddr,
    time::{Duration, Instant},
};

use axum::body::Body;
use bytes::Bytes;
use entrepot::server;
use http::{Request, header};
use http_body_util::BodyExt;
use serde_json::Value;
use tokio::{net::TcpListener, sync::watch, task::JoinHandle, time::timeout};

use crate::{Answer, Client, TestApp, contract};

/// The path of the product's stream.
const PATH: &str = "/api/integrations/events/stream";

/// What a blank line ended.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Part {
    pub id: Option<String>,
    /// Empty where there is none.
    pub event: String,
    pub data: Option<String>,
    pub retry: Option<u64>,
}

enum Source {
    Body(Body),
    Socket(reqwest::Response),
}

/// Somebody who follows the activity log. Whoever drops it goes away.
pub struct Follower {
    source: Source,
    text: String,
    /// The last id that came, as a browser keeps it.
    pub last_id: String,
}

impl Follower {
    async fn chunk(&mut self) -> Option<Bytes> {
        match &mut self.source {
            Source::Body(body) => body.frame().await.map(|frame| frame.expect("a frame").into_data().expect("data")),
            Source::Socket(response) => response.chunk().await.expect("the stream is not cut off"),
        }
    }

    /// The next part; None when the stream has ended.
    ///
    /// # Panics
    /// When nothing comes in time, or the stream is cut off.
    pub async fn part(&mut self, within: Duration) -> Option<Part> {
        let next = async {
            loop {
                if let Some((part, rest)) = self.text.split_once("\n\n") {
                    let part = parse(part);
                    self.text = rest.to_owned();
                    return Some(part);
                }
                let Some(chunk) = self.chunk().await else {
                    assert_eq!(self.text, "", "the stream ends between two parts");
                    return None;
                };
                self.text.push_str(std::str::from_utf8(&chunk).expect("parts are not cut within a letter"));
            }
        };
        let part = timeout(within, next).await.unwrap_or_else(|_| panic!("nothing came within {within:?}"))?;
        if let Some(id) = &part.id {
            self.last_id.clone_from(id);
        }
        Some(part)
    }

    /// The data of the next part that has any, with its event; None when the stream has ended.
    ///
    /// # Panics
    /// When it does not come in time, or is not as the document says.
    pub async fn next(&mut self, within: Duration) -> Option<(String, Value)> {
        let until = Instant::now() + within;
        loop {
            let part = self.part(until.saturating_duration_since(Instant::now())).await?;
            let Some(data) = part.data else { continue };
            let value: Value = serde_json::from_str(&data).expect("JSON");
            let schema = if part.event == "closed" { "Problem" } else { "EventView" };
            contract::hold_record(&value, schema);
            return Some((part.event, value));
        }
    }

    /// The next line of the log.
    ///
    /// # Panics
    /// When none comes in time.
    pub async fn line(&mut self, within: Duration) -> Value {
        match self.next(within).await {
            Some((event, line)) if event == "event" => line,
            other => panic!("a line was to come: {other:?}"),
        }
    }

    /// The problem with which the stream ends.
    ///
    /// # Panics
    /// When it does not end so in time.
    pub async fn closed(&mut self, within: Duration) -> String {
        let until = Instant::now() + within;
        let problem = loop {
            match self.next(until.saturating_duration_since(Instant::now())).await {
                Some((event, problem)) if event == "closed" => break problem,
                Some(_) => {}
                None => panic!("the stream merely ended"),
            }
        };
        assert_eq!(self.part(Duration::from_secs(30)).await, None, "nothing comes after it");
        problem["code"].as_str().expect("a code").to_owned()
    }

    /// Whether nothing but signs of life comes for so long.
    pub async fn is_quiet(&mut self, time: Duration) -> bool {
        timeout(time, self.next(Duration::from_secs(3_600))).await.is_err()
    }
}

fn parse(text: &str) -> Part {
    let mut part = Part::default();
    for line in text.lines() {
        let (field, value) = line.split_once(':').unwrap_or((line, ""));
        let value = value.strip_prefix(' ').unwrap_or(value);
        match field {
            "" => {}
            "id" => part.id = Some(value.to_owned()),
            "event" => value.clone_into(&mut part.event),
            "data" => match &mut part.data {
                Some(data) => {
                    data.push('\n');
                    data.push_str(value);
                }
                None => part.data = Some(value.to_owned()),
            },
            "retry" => part.retry = Some(value.parse().expect("milliseconds")),
            other => panic!("{other} is no field of server-sent events"),
        }
    }
    part
}

/// A node on a socket.
pub struct Listening {
    pub address: SocketAddr,
    stop: watch::Sender<bool>,
    server: JoinHandle<()>,
}

impl Listening {
    /// Stops as the program does, and waits until open requests have ended.
    ///
    /// # Panics
    /// When the server panicked.
    pub async fn stop(self) {
        self.stop.send_replace(true);
        self.server.await.expect("the server ends");
    }
}

impl TestApp {
    /// Serves this node on a socket too.
    ///
    /// # Panics
    /// When there is no port to be had.
    pub async fn listen(&self) -> Listening {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("an address");
        let (stop, stopped) = watch::channel(false);
        let server = tokio::spawn(server::serve(listener, None, self.endpoint().clone(), stopped));
        Listening { address, stop, server }
    }
}

impl Client {
    /// Follows the activity log, with this query.
    ///
    /// # Errors
    /// With the answer, where it is not a stream.
    ///
    /// # Panics
    /// When the stream does not begin as it must.
    pub async fn follow(&self, query: &str, last_id: &str) -> Result<Follower, Answer> {
        let mut request = Request::get(format!("{PATH}?{query}"));
        for (name, value) in self.following(last_id) {
            request = request.header(name, value);
        }
        let response = self.open(request.body(Body::empty()).expect("a request")).await;
        if response.status() != http::StatusCode::OK {
            return Err(Answer::read(response).await);
        }
        Ok(begin(Source::Body(response.into_body())).await)
    }

    /// The same over a socket.
    ///
    /// # Panics
    /// When it is not answered with a stream.
    pub async fn follow_at(&self, node: &Listening, query: &str, last_id: &str) -> Follower {
        let mut request = plain_client().get(format!("http://{}{PATH}?{query}", node.address));
        for (name, value) in self.following(last_id) {
            request = request.header(name, value);
        }
        let response = request.send().await.expect("an answer");
        assert_eq!(response.status(), http::StatusCode::OK);
        assert_eq!(response.headers()[header::CONTENT_TYPE], "text/event-stream");
        begin(Source::Socket(response)).await
    }

    fn following(&self, last_id: &str) -> Vec<(&'static str, String)> {
        let bearer = self.bearer.iter().map(|bearer| ("authorization", format!("Bearer {bearer}")));
        let organization = self.organization.iter().map(|id| ("entrepot-organization", id.to_string()));
        let last_id = Some(last_id).filter(|id| !id.is_empty()).map(|id| ("last-event-id", id.to_owned()));
        bearer.chain(organization).chain(last_id).collect()
    }
}

/// For a node on a socket.
///
/// # Panics
/// When no client can be made.
#[expect(clippy::disallowed_methods, reason = "a test calls the program on loopback, which the guarded client refuses")]
pub fn plain_client() -> reqwest::Client {
    reqwest::Client::builder().no_proxy().build().expect("a client")
}

async fn begin(source: Source) -> Follower {
    let mut follower = Follower { source, text: String::new(), last_id: String::new() };
    let first = follower.part(Duration::from_secs(30)).await.expect("a beginning");
    assert!(first.id.is_some() && first.data.is_none(), "it begins with where it stands: {first:?}");
    let retry = first.retry.expect("when to come back");
    assert!((1_000..4_000).contains(&retry), "{retry}");
    follower
}
