//! The operator's collectors, as far as a test needs them: takes whatever is posted, and keeps it. It runs in a thread of its own, so
//! that it outlives the test that started it.

use std::{
    net::SocketAddr,
    sync::{Arc, Mutex, OnceLock, PoisonError},
    thread,
};

use axum::{Router, body::Bytes, extract::State, http::Uri};
use serde_json::Value;

/// Cheap to clone.
#[derive(Clone)]
pub struct Collector {
    address: SocketAddr,
    posted: Posted,
}

/// Path and body.
type Posted = Arc<Mutex<Vec<(String, Bytes)>>>;

async fn keep(State(posted): State<Posted>, uri: Uri, body: Bytes) {
    posted.lock().unwrap_or_else(PoisonError::into_inner).push((uri.path().to_owned(), body));
}

impl Collector {
    /// The one of this process.
    pub fn of_the_process() -> Self {
        static COLLECTOR: OnceLock<Collector> = OnceLock::new();
        COLLECTOR.get_or_init(Self::start).clone()
    }

    /// # Panics
    /// When there is no port to be had.
    pub fn start() -> Self {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
        listener.set_nonblocking(true).expect("a socket");
        let address = listener.local_addr().expect("an address");
        let posted = Posted::default();
        let app = Router::new().fallback(keep).with_state(posted.clone());
        thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
            runtime.block_on(async {
                let listener = tokio::net::TcpListener::from_std(listener).expect("a listener");
                axum::serve(listener, app).await.expect("it serves for ever");
            });
        });
        Self { address, posted }
    }

    /// `http://127.0.0.1:PORT`
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// A Sentry's address here.
    pub fn dsn(&self) -> String {
        format!("http://key@{}/1", self.address)
    }

    fn of(&self, path: &str) -> Vec<Bytes> {
        let posted = self.posted.lock().unwrap_or_else(PoisonError::into_inner);
        posted.iter().filter(|(known, _)| known == path).map(|(_, body)| body.clone()).collect()
    }

    /// Everything that came, as it came.
    pub fn everything(&self) -> Vec<u8> {
        let posted = self.posted.lock().unwrap_or_else(PoisonError::into_inner);
        posted.iter().flat_map(|(path, body)| [path.as_bytes(), b"\n", body, b"\n"].concat()).collect()
    }

    /// The spans that came, decoded.
    ///
    /// # Panics
    /// When something came that is not OTLP in JSON.
    pub fn spans(&self) -> Vec<Value> {
        let spans = |body: &Bytes| -> Vec<Value> {
            let request: Value = serde_json::from_slice(body).expect("JSON");
            request["resourceSpans"][0]["scopeSpans"][0]["spans"].as_array().expect("spans").clone()
        };
        self.of("/v1/traces").iter().flat_map(spans).collect()
    }

    /// The events that came in envelopes.
    ///
    /// # Panics
    /// When something came that is no envelope with an event.
    pub fn events(&self) -> Vec<Value> {
        let event = |body: &Bytes| -> Value {
            let text = std::str::from_utf8(body).expect("UTF-8");
            let lines: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
            let [header, item, event] = &lines[..] else { panic!("{text}") };
            assert_eq!((&item["type"], &header["event_id"]), (&Value::from("event"), &event["event_id"]));
            event.clone()
        };
        self.of("/api/1/envelope/").iter().map(event).collect()
    }
}
