use std::sync::{Arc, Mutex};

use axum::{Router, body::Bytes, extract::State, http::StatusCode, routing::post};
use serde_json::Value;
use tracing::{Instrument, info_span};
use tracing_subscriber::layer::SubscriberExt;

use super::*;

/// A collector: what it got, and what it answers.
#[derive(Clone, Default)]
struct Collector {
    got: Arc<Mutex<Vec<Value>>>,
    answers: Arc<Mutex<Vec<StatusCode>>>,
}

async fn take(State(collector): State<Collector>, headers: http::HeaderMap, body: Bytes) -> StatusCode {
    assert_eq!(headers["content-type"], "application/json");
    assert_eq!(headers["api-key"], "geheim");
    let status = collector.answers.lock().unwrap().pop().unwrap_or(StatusCode::OK);
    if status == StatusCode::OK {
        collector.got.lock().unwrap().push(serde_json::from_slice(&body).unwrap());
    }
    status
}

impl Collector {
    async fn start() -> (Self, String) {
        let collector = Self::default();
        let app = Router::new().route("/v1/traces", post(take)).with_state(collector.clone());
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(async move { axum::serve(listener, app).await });
        (collector, format!("http://{address}"))
    }

    fn spans(&self) -> Vec<Value> {
        let got = self.got.lock().unwrap();
        let of = |request: &Value| request["resourceSpans"][0]["scopeSpans"][0]["spans"].as_array().unwrap().clone();
        got.iter().flat_map(of).collect()
    }

    fn named(&self, name: &str) -> Value {
        let spans = self.spans();
        spans.iter().find(|span| span["name"] == name).unwrap_or_else(|| panic!("no {name}: {spans:?}")).clone()
    }
}

fn exporter(endpoint: &str, more: &[(&str, &str)]) -> (SpanLayer, Exporter) {
    let usual = [("OTEL_EXPORTER_OTLP_ENDPOINT", endpoint), ("OTEL_EXPORTER_OTLP_HEADERS", "api-key=geheim")];
    let all: Vec<(&str, &str)> = usual.into_iter().chain(more.iter().copied()).collect();
    let lookup = |name: &str| all.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned());
    Exporter::start(Settings::from_lookup(lookup).unwrap().unwrap(), Clock::system()).unwrap()
}

fn attribute<'a>(span: &'a Value, name: &str) -> &'a Value {
    let found = span["attributes"].as_array().unwrap().iter().find(|attribute| attribute["key"] == name);
    &found.unwrap_or_else(|| panic!("no {name} in {span}"))["value"]
}

#[tokio::test]
async fn spans_of_traces_arrive_with_their_parents_and_nothing_else_does() {
    let (collector, endpoint) = Collector::start().await;
    let (layer, exporter) = exporter(&endpoint, &[]);
    let subscriber = tracing_subscriber::registry().with(layer.filtered());
    {
        let _default = tracing::subscriber::set_default(subscriber);
        let caller = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
        let outer = info_span!(
            target: TARGET,
            "outer",
            otel.kind = "server",
            otel.name = "GET /x",
            otel.traceparent = caller,
            http.request.method = "GET",
            http.response.status_code = tracing::field::Empty,
        );
        let work = async {
            // A span of the log in between is no part of the trace.
            let log = info_span!("log", value = "canary");
            async {
                tracing::error!(value = "canary", "an event");
                tokio::task::yield_now().await;
                drop(info_span!(target: TARGET, "inner", otel.status = "error", count = 7_u64));
            }
            .instrument(log)
            .await;
        };
        work.instrument(outer.clone()).await;
        outer.record("http.response.status_code", 200_u16);
        drop(outer);
    }
    exporter.stop().await;
    let (outer, inner) = (collector.named("GET /x"), collector.named("inner"));
    assert_eq!(collector.spans().len(), 2);
    assert!(!format!("{:?}", collector.got.lock().unwrap()).contains("canary"));
    assert_eq!(outer["traceId"], "0af7651916cd43dd8448eb211c80319c");
    assert_eq!((&outer["parentSpanId"], &outer["kind"]), (&"b7ad6b7169203331".into(), &2.into()));
    assert_eq!((&inner["traceId"], &inner["parentSpanId"]), (&outer["traceId"], &outer["spanId"]));
    assert_eq!(attribute(&outer, "http.response.status_code")["intValue"], "200");
    assert_eq!((&inner["status"]["code"], &attribute(&inner, "count")["intValue"]), (&2.into(), &"7".into()));
    assert!(outer["attributes"].as_array().unwrap().iter().all(|attribute| attribute["key"] != "otel.traceparent"));
    let nanos = |name: &str| outer[name].as_str().unwrap().parse::<u64>().unwrap();
    assert!(nanos("endTimeUnixNano") >= nanos("startTimeUnixNano"));
    let got = collector.got.lock().unwrap();
    assert_eq!(got[0]["resourceSpans"][0]["resource"]["attributes"][0]["value"]["stringValue"], "entrepot");
}

#[tokio::test]
async fn a_trace_that_whoever_called_does_not_sample_is_not_sent_with_all_that_is_in_it() {
    let (collector, endpoint) = Collector::start().await;
    let (layer, exporter) = exporter(&endpoint, &[]);
    {
        let _default = tracing::subscriber::set_default(tracing_subscriber::registry().with(layer.filtered()));
        let caller = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-00";
        let outer = info_span!(target: TARGET, "outer", otel.traceparent = caller);
        outer.in_scope(|| drop(info_span!(target: TARGET, "inner")));
        drop(outer);
        drop(info_span!(target: TARGET, "other"));
    }
    exporter.stop().await;
    assert_eq!(collector.spans().len(), 1);
    collector.named("other");
}

#[tokio::test]
async fn a_collector_that_is_busy_gets_the_same_spans_again() {
    let (collector, endpoint) = Collector::start().await;
    collector.answers.lock().unwrap().push(StatusCode::SERVICE_UNAVAILABLE);
    let (layer, exporter) = exporter(&endpoint, &[("OTEL_BSP_SCHEDULE_DELAY", "10")]);
    // What hears of spans lives as long as the program.
    let _ended = layer.ended.clone();
    {
        let _default = tracing::subscriber::set_default(tracing_subscriber::registry().with(layer.filtered()));
        drop(info_span!(target: TARGET, "kept"));
    }
    let began = Instant::now();
    while collector.got.lock().unwrap().is_empty() {
        assert!(began.elapsed() < Duration::from_secs(20), "it is not sent again");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    collector.named("kept");
    exporter.stop().await;
}

#[tokio::test]
async fn a_collector_that_is_away_or_hangs_holds_nobody_up() {
    let hanging = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let gone = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    for address in [hanging.local_addr().unwrap(), gone] {
        let (layer, exporter) = exporter(&format!("http://{address}"), &[("OTEL_BSP_MAX_QUEUE_SIZE", "16")]);
        let ended = layer.ended.clone();
        let began = Instant::now();
        {
            let _default = tracing::subscriber::set_default(tracing_subscriber::registry().with(layer.filtered()));
            for _ in 0..10_000 {
                drop(info_span!(target: TARGET, "lost", text = "x"));
            }
        }
        assert!(began.elapsed() < Duration::from_secs(10), "spans wait for the collector");
        assert!(ended.capacity() <= 16, "the queue is bounded");
        let began = Instant::now();
        exporter.stop().await;
        assert!(began.elapsed() < STOP + Duration::from_secs(2), "stopping waits for the collector");
    }
}
