//! Error reports to a Sentry of the operator's (<https://develop.sentry.dev/sdk/data-model/envelopes/>): what stands in
//! `error_reports`, without the organization. One event for each way to break in each few seconds, however often it did.

use std::time::Duration;

use anyhow::{Context, bail};
use http::{HeaderMap, HeaderName, HeaderValue, header::CONTENT_TYPE};
use kernel::{Secret, random};
use kit::error_reports::Group;
use serde_json::json;
use tokio::{sync::mpsc, task::JoinHandle, time::Instant};
use url::Url;

use super::client::{Client, Outcome};

/// Events that wait. Those beyond are counted and forgotten.
const WAITING: usize = 256;
/// How long one may take.
const SEND: Duration = Duration::from_secs(5);
/// How long nothing is sent after an endpoint that did not say how long.
const PAUSE: Duration = Duration::from_secs(30);
const PAUSE_MAX: Duration = Duration::from_hours(1);
/// How long the last events may take when the program stops.
const STOP: Duration = Duration::from_secs(2);

/// Where events go, as `https://KEY@HOST/PROJECT` says.
pub struct Dsn {
    envelope: Url,
    auth: HeaderValue,
}

impl Dsn {
    /// # Errors
    /// When it is no DSN. What it is is not repeated.
    pub fn parse(dsn: &Secret) -> anyhow::Result<Self> {
        let url = Url::parse(dsn.expose()).ok().filter(|url| matches!(url.scheme(), "http" | "https"));
        let mut url = url.context("ENTREPOT_SENTRY_DSN is not of the form https://KEY@HOST/PROJECT")?;
        let key = url.username().to_owned();
        let (prefix, project) = url.path().rsplit_once('/').unwrap_or_default();
        if key.is_empty() || project.is_empty() || !project.bytes().all(|byte| byte.is_ascii_alphanumeric()) {
            bail!("ENTREPOT_SENTRY_DSN is not of the form https://KEY@HOST/PROJECT");
        }
        let path = format!("{prefix}/api/{project}/envelope/");
        let cleared = url.set_username("").and_then(|()| url.set_password(None));
        cleared.map_err(|()| anyhow::anyhow!("ENTREPOT_SENTRY_DSN names no host"))?;
        url.set_path(&path);
        url.set_query(None);
        let auth =
            format!("Sentry sentry_version=7, sentry_client=entrepot/{}, sentry_key={key}", env!("CARGO_PKG_VERSION"));
        let mut auth =
            HeaderValue::from_str(&auth).context("the key in ENTREPOT_SENTRY_DSN cannot stand in a header")?;
        auth.set_sensitive(true);
        Ok(Self { envelope: url, auth })
    }
}

/// Sends events in a task of its own.
pub struct Sentry {
    waiting: mpsc::Sender<Group>,
    task: JoinHandle<()>,
}

impl Sentry {
    /// # Errors
    /// When the client cannot be set up.
    pub fn start(dsn: Dsn, release: &'static str) -> anyhow::Result<Self> {
        let client = Client::new()?;
        let (waiting, events) = mpsc::channel(WAITING);
        Ok(Self { waiting, task: tokio::spawn(send_all(client, dsn, release, events)) })
    }

    /// Hands over what broke. Never waits.
    pub fn offer(&self, groups: Vec<Group>) {
        for group in groups {
            if self.waiting.try_send(group).is_err() {
                count("dropped");
            }
        }
    }

    /// Ends when the last events are sent, or a little later without.
    pub async fn stop(self) {
        let Self { waiting, mut task } = self;
        drop(waiting);
        if tokio::time::timeout(STOP, &mut task).await.is_err() {
            task.abort();
        }
    }
}

fn count(result: &'static str) {
    metrics::counter!("entrepot_sentry_events_total", "result" => result).increment(1);
}

async fn send_all(client: Client, dsn: Dsn, release: &'static str, mut events: mpsc::Receiver<Group>) {
    const AUTH: HeaderName = HeaderName::from_static("x-sentry-auth");
    let mut headers = HeaderMap::new();
    headers.insert(AUTH, dsn.auth);
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/x-sentry-envelope"));
    let mut paused_until = Instant::now();
    while let Some(group) = events.recv().await {
        // What comes while nothing is sent is forgotten: it stands in our own table.
        if Instant::now() < paused_until {
            count("dropped");
            continue;
        }
        let envelope = envelope(&group, release);
        match client.post(&dsn.envelope, &headers, envelope, SEND).await {
            Outcome::Taken => count("sent"),
            Outcome::Refused => count("refused"),
            Outcome::Later(after) => {
                count("failed");
                paused_until = Instant::now() + after.unwrap_or(PAUSE).min(PAUSE_MAX);
            }
        }
    }
}

/// Three lines of JSON: of the envelope, of its item, and the event.
fn envelope(group: &Group, release: &str) -> Vec<u8> {
    let id = random::bytes::<16>().map(|byte| format!("{byte:02x}")).concat();
    let event = json!({
        "event_id": id,
        "timestamp": group.last_seen.to_rfc3339(),
        "platform": "other",
        "level": "error",
        "logger": group.kind.as_str(),
        "transaction": group.place.as_str(),
        "release": format!("entrepot@{release}"),
        "fingerprint": [group.fingerprint],
        "exception": { "values": [{ "type": group.code.as_str(), "value": group.message.as_str() }] },
        "tags": { "kind": group.kind.as_str() },
        "extra": {
            "occurrences": group.occurrences,
            "first_seen": group.first_seen.to_rfc3339(),
            "request_id": group.last_request_id,
        },
    })
    .to_string();
    let header = json!({ "event_id": id });
    let item = json!({ "type": "event", "content_type": "application/json", "length": event.len() });
    format!("{header}\n{item}\n{event}\n").into_bytes()
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use axum::{Router, body::Bytes, extract::State, http::StatusCode, routing::post};
    use kernel::Clock;
    use kit::error_reports::{ErrorReports, Kind, Report};
    use serde_json::Value;

    use super::*;

    /// What a Sentry got: the auth header and the body.
    type Got = Arc<Mutex<Vec<(String, Bytes)>>>;

    async fn take(
        State((got, status)): State<(Got, StatusCode)>,
        headers: HeaderMap,
        body: Bytes,
    ) -> (StatusCode, [(&'static str, &'static str); 1]) {
        let auth = headers["x-sentry-auth"].to_str().unwrap().to_owned();
        got.lock().unwrap().push((auth, body));
        (status, [("retry-after", "60")])
    }

    async fn endpoint(status: StatusCode) -> (Dsn, Got) {
        let got = Got::default();
        let app = Router::new().route("/prefix/api/42/envelope/", post(take)).with_state((got.clone(), status));
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let dsn = format!("http://publickey@{}/prefix/42", listener.local_addr().unwrap());
        tokio::spawn(async move { axum::serve(listener, app).await });
        (Dsn::parse(&Secret::new(dsn)).unwrap(), got)
    }

    fn groups(count: usize) -> Vec<Group> {
        const PLACES: [&str; 3] = ["purge", "seal", "sweep"];
        let reports = ErrorReports::new(Clock::system(), "1.2.3");
        for place in PLACES.into_iter().take(count) {
            for _ in 0..7 {
                reports.record(Report::task(place, "the disk is full"));
            }
        }
        reports.take().into_iter().filter(|group| group.kind == Kind::Task).collect()
    }

    #[tokio::test]
    async fn an_event_is_sent_as_an_envelope_once_for_each_way_to_break() {
        let (dsn, got) = endpoint(StatusCode::OK).await;
        let sentry = Sentry::start(dsn, "1.2.3").unwrap();
        sentry.offer(groups(2));
        sentry.stop().await;
        let got = got.lock().unwrap();
        assert_eq!(got.len(), 2);
        let (auth, body) = &got[0];
        assert!(auth.starts_with("Sentry sentry_version=7, sentry_client=entrepot/"), "{auth}");
        assert!(auth.ends_with("sentry_key=publickey"), "{auth}");
        let lines: Vec<&str> = str::from_utf8(body).unwrap().lines().collect();
        let [header, item, event] = lines[..] else { panic!("{lines:?}") };
        let [header, item, parsed] = [header, item, event].map(|line| serde_json::from_str::<Value>(line).unwrap());
        assert_eq!((&item["type"], item["length"].as_u64()), (&json!("event"), u64::try_from(event.len()).ok()));
        assert_eq!(header["event_id"], parsed["event_id"]);
        assert_eq!(parsed["event_id"].as_str().unwrap().len(), 32);
        assert_eq!(parsed["extra"]["occurrences"], 7);
        assert_eq!(parsed["release"], "entrepot@1.2.3");
        assert_eq!(parsed["exception"]["values"][0], json!({ "type": "failed", "value": "the disk is full" }));
    }

    #[tokio::test]
    async fn an_endpoint_that_is_away_or_asks_for_patience_holds_nobody_up() {
        let nobody = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let away = Dsn::parse(&Secret::new(format!("http://k@{nobody}/1"))).unwrap();
        let (busy, got) = endpoint(StatusCode::TOO_MANY_REQUESTS).await;
        for dsn in [away, busy] {
            let sentry = Sentry::start(dsn, "1.2.3").unwrap();
            let began = Instant::now();
            for _ in 0..WAITING {
                sentry.offer(groups(3));
            }
            assert!(began.elapsed() < Duration::from_secs(20), "offering waits");
            let began = Instant::now();
            sentry.stop().await;
            assert!(began.elapsed() < 2 * STOP, "stopping waits");
        }
        assert_eq!(got.lock().unwrap().len(), 1, "after 429 nothing is sent for as long as was said");
    }

    #[test]
    fn what_is_no_dsn_is_refused_without_being_repeated() {
        for wrong in
            ["", "geheim", "https://host/1", "https://geheim@host/", "ftp://geheim@host/1", "https://geheim@host/a-b"]
        {
            let refused = Dsn::parse(&Secret::new(wrong)).map(|_| ()).unwrap_err();
            assert!(!format!("{refused:#}").contains("geheim"), "{wrong}");
        }
        let dsn = Dsn::parse(&Secret::new("https://key:old@sentry.example:8443/a/b/7?x=y")).unwrap();
        assert_eq!(dsn.envelope.as_str(), "https://sentry.example:8443/a/b/api/7/envelope/");
    }
}
