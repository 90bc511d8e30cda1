//! Everything that is logged while a test runs.

use std::{
    fmt::Write,
    sync::{Arc, Mutex, OnceLock, PoisonError, mpsc},
    thread,
};

use entrepot::telemetry::traces::{Exporter, Settings, SpanLayer};
use kernel::Clock;

use tracing::{
    Event, Id, Metadata, Subscriber,
    field::{Field, Visit},
    span::{Attributes, Record},
    subscriber::Interest,
};
use tracing_subscriber::{
    Layer, Registry,
    layer::{Context, SubscriberExt},
};

use crate::collector::Collector as Traces;

/// What was logged by this process so far, by the program at every level: fields of events and spans, one line each.
#[derive(Clone, Default)]
pub struct Logs(Arc<Mutex<String>>);

impl Logs {
    /// Collects from now on, and sends traces to [`Traces::of_the_process`]. There is one for the process, since that is what a
    /// subscriber is for.
    pub fn collect() -> Self {
        static LOGS: OnceLock<Logs> = OnceLock::new();
        LOGS.get_or_init(|| {
            let logs = Logs::default();
            let subscriber = Registry::default().with(traces().filtered()).with(Collector(logs.clone()));
            tracing::subscriber::set_global_default(subscriber).expect("nobody else collects");
            logs
        })
        .clone()
    }

    pub fn text(&self) -> String {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn write(&self, metadata: &Metadata<'_>, record: impl FnOnce(&mut Line)) {
        let mut line = Line(format!("{} {} {}", metadata.level(), metadata.target(), metadata.name()));
        record(&mut line);
        let mut text = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        text.push_str(&line.0);
        text.push('\n');
    }
}

/// What hears of the spans of traces, with an exporter that lives as long as the process.
fn traces() -> SpanLayer {
    let endpoint = Traces::of_the_process().url();
    let lookup = move |name: &str| match name {
        "OTEL_EXPORTER_OTLP_ENDPOINT" => Some(endpoint.clone()),
        // A walk through everything makes many spans, and all of them are to be looked at.
        "OTEL_BSP_MAX_QUEUE_SIZE" => Some("65536".to_owned()),
        "OTEL_BSP_SCHEDULE_DELAY" => Some("100".to_owned()),
        _ => None,
    };
    let settings = Settings::from_lookup(lookup).expect("settings").expect("a collector");
    let (tell, told) = mpsc::channel();
    thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        runtime.block_on(async {
            let (layer, _exporter) = Exporter::start(settings, Clock::system()).expect("an exporter");
            tell.send(layer).expect("somebody waits for it");
            std::future::pending::<()>().await;
        });
    });
    told.recv().expect("a layer")
}

/// The crates of the program, and what says what it does in the database.
const OURS: [&str; 11] =
    ["kernel", "db", "connector", "jobs", "providers", "kit", "accounts", "integrations", "entrepot", "sqlx", "it"];

/// Everything of ours; of others what an operator sees who asks for nothing special. The simulators are not the program.
fn is_ours(metadata: &Metadata<'_>) -> bool {
    let krate = metadata.target().split("::").next().unwrap_or_default();
    OURS.contains(&krate) || (krate != "sandbox" && *metadata.level() <= tracing::Level::INFO)
}

struct Collector(Logs);

impl<S: Subscriber> Layer<S> for Collector {
    fn register_callsite(&self, metadata: &'static Metadata<'static>) -> Interest {
        if is_ours(metadata) { Interest::always() } else { Interest::never() }
    }

    fn enabled(&self, metadata: &Metadata<'_>, _: Context<'_, S>) -> bool {
        is_ours(metadata)
    }

    fn on_new_span(&self, attributes: &Attributes<'_>, _: &Id, _: Context<'_, S>) {
        self.0.write(attributes.metadata(), |line| attributes.record(line));
    }

    fn on_record(&self, _: &Id, values: &Record<'_>, _: Context<'_, S>) {
        let mut line = Line("recorded".to_owned());
        values.record(&mut line);
        let mut text = self.0.0.lock().unwrap_or_else(PoisonError::into_inner);
        text.push_str(&line.0);
        text.push('\n');
    }

    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        self.0.write(event.metadata(), |line| event.record(line));
    }
}

struct Line(String);

impl Visit for Line {
    fn record_debug(&mut self, field: &Field, value: &dyn std::fmt::Debug) {
        // Writing to a string does not fail.
        let _written = write!(self.0, " {field}={value:?}");
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        let _written = write!(self.0, " {field}={value}");
    }
}
