//! What a collector sees of a request: where the time went, and nothing of whom it was for.

use std::collections::BTreeSet;

use axum::http::StatusCode;
use serde_json::Value;
use testkit::{Client, Options, TestApp, collector::Collector, logs::Logs};

/// A trace that a caller begins, with the header that says so.
struct Trace {
    id: String,
    header: String,
}

impl Trace {
    fn new() -> Self {
        let id = hex::encode(kernel::random::bytes::<16>());
        let header = format!("00-{id}-{}-01", hex::encode(kernel::random::bytes::<8>()));
        Self { id, header }
    }

    fn spans(&self) -> Vec<Value> {
        let mut spans = Collector::of_the_process().spans();
        spans.retain(|span| span["traceId"] == self.id);
        spans
    }
}

fn name(span: &Value) -> &str {
    span["name"].as_str().unwrap_or_default()
}

/// Asks a shop for its orders, as part of a trace, from an address behind the proxy.
async fn read(key: &Client, store: uuid::Uuid, trace: &Trace, from: &str) {
    let caller = key.with_header("traceparent", &trace.header).with_header("x-forwarded-for", from);
    caller.get(&format!("/webshop-data-api/orders?store_id={store}&search=geheim")).await;
    caller.get(&format!("/webshop-data-api/orders?store_id={store}")).await.expect(StatusCode::OK);
    // A live read that is warm asks the database for nothing before it answers; this does.
    caller.get("/api/stores").await.expect(StatusCode::OK);
}

/// The names of what may leave. Another is a decision: `docs/adr/0040-traces-are-spans-of-one-target.md`.
const ATTRIBUTES: [&str; 13] = [
    "db.system.name",
    "entrepot.connection_id",
    "entrepot.job.attempt",
    "entrepot.job.name",
    "entrepot.job.outcome",
    "entrepot.provider",
    "entrepot.request_id",
    "entrepot.system_task",
    "error.type",
    "http.request.method",
    "http.response.status_code",
    "http.route",
    "url.scheme",
];

#[tokio::test(flavor = "multi_thread")]
async fn a_request_of_a_traced_caller_is_one_trace_down_to_the_shop_and_back() {
    Logs::collect();
    let traced_callers = "192.0.2.0/24".parse().expect("a network");
    let app = TestApp::with(Options { traced_callers, ..Options::default() }).await;
    let kata = app.sign_up("Kata").await;
    let store = kata.connect_woocommerce("kavebolt.example").await;
    let key = kata.create_key("bot").await;
    let (ours, strangers) = (Trace::new(), Trace::new());
    read(&key, store, &strangers, "203.0.113.9").await;
    read(&key, store, &ours, "192.0.2.1").await;
    let is_whole = |spans: &[Value]| {
        ["GET /webshop-data-api/orders", "GET", "GET /api/stores"]
            .iter()
            .all(|wanted| spans.iter().any(|span| name(span) == *wanted))
    };
    app.eventually("the trace arrives", || async { is_whole(&ours.spans()) }).await;

    let spans = ours.spans();
    let request = spans.iter().find(|span| name(span) == "GET /webshop-data-api/orders").expect("the request");
    assert_eq!(request["parentSpanId"], ours.header.split('-').nth(2).expect("a span of the caller"));
    let ids: BTreeSet<&str> = spans.iter().filter_map(|span| span["spanId"].as_str()).collect();
    let call = spans.iter().find(|span| name(span) == "GET").expect("the call to the shop");
    assert!(ids.contains(call["parentSpanId"].as_str().expect("a parent")), "the call is part of the request");
    let said = |key: &str| {
        let found = call["attributes"].as_array().and_then(|all| all.iter().find(|attribute| attribute["key"] == key));
        found.map(|attribute| attribute["value"]["stringValue"].clone())
    };
    assert_eq!(said("entrepot.provider"), Some("woocommerce".into()));
    assert_eq!(said("entrepot.connection_id"), Some(store.to_string().into()));
    assert!(spans.iter().any(|span| name(span) == "tenant transaction"), "{spans:?}");
    assert!(strangers.spans().is_empty(), "a stranger does not decide what our traces are");

    let all = Collector::of_the_process().spans();
    let attributes = all.iter().flat_map(|span| span["attributes"].as_array().cloned().unwrap_or_default());
    let names: BTreeSet<String> =
        attributes.filter_map(|attribute| attribute["key"].as_str().map(str::to_owned)).collect();
    let unknown: Vec<&String> = names
        .iter()
        // Other tests plant something, to be found.
        .filter(|name| !ATTRIBUTES.contains(&name.as_str()) && *name != "entrepot.value")
        .collect();
    assert!(unknown.is_empty(), "{unknown:?}");
    assert!(!all.iter().any(|span| span.to_string().contains("geheim")), "a query left");
    assert!(!all.iter().any(|span| span.to_string().contains("kavebolt")), "a shop's host left");
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn jobs_are_traces_of_their_own() {
    Logs::collect();
    let app = TestApp::start().await;
    app.sign_up("Kata").await;
    // Signing up writes a mail.
    app.eventually("the job is told of", || async {
        let spans = Collector::of_the_process().spans();
        spans.iter().any(|span| name(span) == "send_mail" && span["parentSpanId"] == "" && span["kind"] == 5)
    })
    .await;
    app.finish().await;
}
