use kernel::{Clock, random};
use tokio::{sync::mpsc, time::Instant};
use tracing::{
    Id, Metadata, Subscriber,
    span::{Attributes, Record},
};
use tracing_subscriber::{
    Layer,
    filter::{FilterExt as _, FilterFn},
    layer::{Context as Here, Filter},
    registry::LookupSpan,
};

use super::{
    count,
    sampler::Sampler,
    span::{Context, Fields, Kind, Recording, Span, Traceparent},
};

/// The target of spans that are traces. Their fields are attributes, named after the semantic conventions where these have a name
/// (<https://opentelemetry.io/docs/specs/semconv/>). No other span and no event becomes part of a trace, whatever its level.
pub(crate) const TARGET: &str = "otel";

/// Hears of spans, and hands them over when they end. Never waits.
pub struct SpanLayer {
    pub(super) clock: Clock,
    pub(super) sampler: Sampler,
    pub(super) ended: mpsc::Sender<Span>,
}

/// A span of a trace that is sent, while it lasts.
struct Open {
    recording: Recording,
    began: Instant,
}

/// Where any span belongs, also one that is not sent.
struct Place(Context);

impl SpanLayer {
    /// With nothing but spans of traces in it.
    pub fn filtered<S: Subscriber + for<'a> LookupSpan<'a>>(self) -> impl Layer<S> {
        self.with_filter(only_traces())
    }
}

/// The spans of traces, and nothing else.
pub(crate) fn only_traces() -> FilterFn<fn(&Metadata<'_>) -> bool> {
    FilterFn::new(|metadata: &Metadata<'_>| metadata.is_span() && metadata.target() == TARGET)
}

/// What is left for the log.
pub(crate) fn but_traces<S: Subscriber>(filter: impl Filter<S> + 'static) -> impl Filter<S> {
    let is_none: fn(&Metadata<'_>) -> bool = |metadata| metadata.target() != TARGET;
    filter.and(FilterFn::new(is_none))
}

impl<S: Subscriber + for<'a> LookupSpan<'a>> Layer<S> for SpanLayer {
    fn on_new_span(&self, attributes: &Attributes<'_>, id: &Id, here: Here<'_, S>) {
        let Some(span) = here.span(id) else { return };
        let mut caller = Traceparent::default();
        attributes.record(&mut caller);
        let parent = span.parent().and_then(|parent| parent.extensions().get::<Place>().map(|place| place.0));
        let parent = parent.or(caller.0);
        let trace = parent.map_or_else(random::bytes, |parent| parent.trace);
        // Within a node the first span has decided.
        let is_sampled = match (parent, caller.0) {
            (Some(parent), None) => parent.is_sampled,
            (_, caller) => self.sampler.samples(&trace, caller.map(|caller| caller.is_sampled)),
        };
        let context = Context { trace, span: random::bytes(), is_sampled };
        let mut extensions = span.extensions_mut();
        extensions.insert(Place(context));
        if !is_sampled {
            return;
        }
        let now = self.clock.now().timestamp_nanos_opt().unwrap_or_default();
        let mut recording = Recording {
            context,
            parent: parent.map(|parent| parent.span),
            name: attributes.metadata().name().to_owned(),
            kind: Kind::default(),
            started_nanos: u64::try_from(now).unwrap_or_default(),
            attributes: vec![],
            is_error: false,
        };
        attributes.record(&mut Fields(&mut recording));
        extensions.insert(Open { recording, began: Instant::now() });
    }

    fn on_record(&self, id: &Id, values: &Record<'_>, here: Here<'_, S>) {
        let Some(span) = here.span(id) else { return };
        if let Some(open) = span.extensions_mut().get_mut::<Open>() {
            values.record(&mut Fields(&mut open.recording));
        }
    }

    fn on_close(&self, id: Id, here: Here<'_, S>) {
        let Some(span) = here.span(&id) else { return };
        let Some(Open { recording, began }) = span.extensions_mut().remove::<Open>() else { return };
        let took = u64::try_from(began.elapsed().as_nanos()).unwrap_or(u64::MAX);
        let ended_nanos = recording.started_nanos.saturating_add(took);
        if self.ended.try_send(Span { recording, ended_nanos }).is_err() {
            count("dropped", 1);
        }
    }
}
