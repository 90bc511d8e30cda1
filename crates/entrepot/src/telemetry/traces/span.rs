//! A finished span, and how it is written: OTLP/HTTP in JSON
//! (<https://opentelemetry.io/docs/specs/otlp/#json-protobuf-encoding>, `opentelemetry/proto/trace/v1/trace.proto`).

use std::fmt;

use serde_json::{Value, json};
use tracing::field::{Field, Visit};

/// How long a text of an attribute may be.
const TEXT_MAX: usize = 256;

/// `SpanKind`, and its number.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Kind {
    #[default]
    Internal = 1,
    Server = 2,
    Client = 3,
    Consumer = 5,
}

/// Where a span belongs: W3C Trace Context (<https://www.w3.org/TR/trace-context/>).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Context {
    pub(super) trace: [u8; 16],
    pub(super) span: [u8; 8],
    pub(super) is_sampled: bool,
}

impl Context {
    /// The value of a header `traceparent`.
    pub(super) fn parse(header: &str) -> Option<Self> {
        let mut parts = header.split('-');
        let [version, trace, span, flags] = [parts.next()?, parts.next()?, parts.next()?, parts.next()?];
        let is_hex = |text: &str, length: usize| {
            text.len() == length && text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
        };
        let has_form = is_hex(version, 2) && is_hex(trace, 32) && is_hex(span, 16) && is_hex(flags, 2);
        // Later versions may have more parts; this one has none.
        if !has_form || version == "ff" || (version == "00" && parts.next().is_some()) {
            return None;
        }
        let mut context = Self { trace: [0; 16], span: [0; 8], is_sampled: false };
        hex::decode_to_slice(trace, &mut context.trace).ok()?;
        hex::decode_to_slice(span, &mut context.span).ok()?;
        context.is_sampled = u8::from_str_radix(flags, 16).ok()? & 1 == 1;
        (context.trace != [0; 16] && context.span != [0; 8]).then_some(context)
    }
}

/// What is recorded of a span while it lasts.
#[derive(Debug)]
pub(super) struct Recording {
    pub(super) context: Context,
    pub(super) parent: Option<[u8; 8]>,
    pub(super) name: String,
    pub(super) kind: Kind,
    pub(super) started_nanos: u64,
    pub(super) attributes: Vec<(&'static str, Value)>,
    pub(super) is_error: bool,
}

/// A span that has ended.
#[derive(Debug)]
pub(super) struct Span {
    pub(super) recording: Recording,
    pub(super) ended_nanos: u64,
}

/// Reads the fields of a span. `otel.name`, `otel.kind` and `otel.status` say what it is; all others are attributes, by the
/// names that stand in the program.
pub(super) struct Fields<'a>(pub(super) &'a mut Recording);

impl Fields<'_> {
    fn record(&mut self, field: &Field, value: Value) {
        // Attributes are unique by name, and the last counts.
        self.0.attributes.retain(|(name, _)| *name != field.name());
        self.0.attributes.push((field.name(), value));
    }
}

impl Visit for Fields<'_> {
    fn record_str(&mut self, field: &Field, text: &str) {
        match field.name() {
            "otel.name" => self.0.name = text.to_owned(),
            "otel.kind" => {
                self.0.kind = match text {
                    "server" => Kind::Server,
                    "client" => Kind::Client,
                    "consumer" => Kind::Consumer,
                    _ => Kind::Internal,
                }
            }
            "otel.status" => self.0.is_error = text == "error",
            // Where the trace comes from, which is no attribute.
            TRACEPARENT => {}
            _ => {
                let text: String = text.chars().take(TEXT_MAX).collect();
                self.record(field, json!({ "stringValue": text }));
            }
        }
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        // 64 bits are texts in the JSON of protobuf.
        self.record(field, json!({ "intValue": value.to_string() }));
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.record(field, json!({ "intValue": value.to_string() }));
    }

    fn record_f64(&mut self, field: &Field, value: f64) {
        self.record(field, json!({ "doubleValue": value }));
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.record(field, json!({ "boolValue": value }));
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.record_str(field, &format!("{value:?}"));
    }
}

/// The field of a span that holds the header of whoever called, once they are believed.
pub(super) const TRACEPARENT: &str = "otel.traceparent";

/// Finds the field.
#[derive(Default)]
pub(super) struct Traceparent(pub(super) Option<Context>);

impl Visit for Traceparent {
    fn record_str(&mut self, field: &Field, text: &str) {
        if field.name() == TRACEPARENT {
            self.0 = Context::parse(text);
        }
    }

    fn record_debug(&mut self, _: &Field, _: &dyn fmt::Debug) {}
}

/// `ExportTraceServiceRequest`.
pub(super) fn request(resource: &[(String, String)], spans: &[Span]) -> Vec<u8> {
    let resource: Vec<Value> =
        resource.iter().map(|(name, value)| json!({ "key": name, "value": { "stringValue": value } })).collect();
    let spans: Vec<Value> = spans.iter().map(one).collect();
    let scope = json!({ "name": "entrepot", "version": env!("CARGO_PKG_VERSION") });
    let request = json!({
        "resourceSpans": [{ "resource": { "attributes": resource }, "scopeSpans": [{ "scope": scope, "spans": spans }] }],
    });
    request.to_string().into_bytes()
}

fn one(Span { recording, ended_nanos }: &Span) -> Value {
    let attributes: Vec<Value> =
        recording.attributes.iter().map(|(name, value)| json!({ "key": name, "value": value })).collect();
    json!({
        "traceId": hex::encode(recording.context.trace),
        "spanId": hex::encode(recording.context.span),
        "parentSpanId": recording.parent.map(hex::encode).unwrap_or_default(),
        "name": recording.name,
        "kind": recording.kind as u8,
        "startTimeUnixNano": recording.started_nanos.to_string(),
        "endTimeUnixNano": ended_nanos.to_string(),
        "attributes": attributes,
        "status": if recording.is_error { json!({ "code": 2 }) } else { json!({}) },
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_traceparent_is_read_as_the_recommendation_says() {
        let context = Context::parse("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01").unwrap();
        assert_eq!(hex::encode(context.trace), "0af7651916cd43dd8448eb211c80319c");
        assert_eq!((hex::encode(context.span).as_str(), context.is_sampled), ("b7ad6b7169203331", true));
        let not_sampled = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-02";
        assert!(!Context::parse(not_sampled).unwrap().is_sampled);
        // A later version may say more.
        assert!(Context::parse("cc-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01-what").is_some());
        for wrong in [
            "",
            "00",
            "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331",
            "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01-what",
            "ff-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
            "00-0AF7651916CD43DD8448EB211C80319C-b7ad6b7169203331-01",
            "00-00000000000000000000000000000000-b7ad6b7169203331-01",
            "00-0af7651916cd43dd8448eb211c80319c-0000000000000000-01",
            "00-0af7651916cd43dd8448eb211c80319-b7ad6b7169203331-01",
            "00-éaf7651916cd43dd8448eb211c80319-b7ad6b7169203331-01",
        ] {
            assert_eq!(Context::parse(wrong), None, "{wrong}");
        }
    }
}
