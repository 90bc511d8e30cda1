//! Traces to a collector of OpenTelemetry (`docs/adr/0040-traces-are-spans-of-one-target.md`). The spans are made where the work is
//! done, by `tracing` and with the target [`layer::TARGET`]; without a collector nobody hears of them and they cost nothing.

#[cfg(test)]
mod fuzz;
mod layer;
mod sampler;
mod settings;
mod span;
#[cfg(test)]
mod tests;

use std::time::Duration;

use http::header::{CONTENT_TYPE, HeaderValue};
use kernel::Clock;
use tokio::{
    sync::{mpsc, oneshot},
    task::JoinHandle,
    time::Instant,
};

use self::span::Span;
pub use self::{layer::SpanLayer, settings::Settings};
pub(crate) use self::{
    layer::{TARGET, but_traces},
    settings::VARIABLES,
};
use super::client::{Client, Outcome};

/// How often the same spans are sent before they are given up.
const TRIES: u32 = 5;
/// The first wait between two tries; each further is twice as long.
const WAIT: Duration = Duration::from_secs(1);
const WAIT_MAX: Duration = Duration::from_secs(30);
/// How long the last spans may take when the program stops.
const STOP: Duration = Duration::from_secs(2);

fn count(result: &'static str, spans: usize) {
    metrics::counter!("entrepot_spans_total", "result" => result).increment(spans as u64);
}

/// Sends spans in a task of its own, until it is stopped.
pub struct Exporter {
    stop: oneshot::Sender<()>,
    task: JoinHandle<()>,
}

impl Exporter {
    /// What hears of spans, and what sends them.
    ///
    /// # Errors
    /// When the client cannot be set up.
    pub fn start(settings: Settings, clock: Clock) -> anyhow::Result<(SpanLayer, Self)> {
        let client = Client::new()?;
        let (ended, spans) = mpsc::channel(settings.queue);
        let (stop, stopped) = oneshot::channel();
        let layer = SpanLayer { clock, sampler: settings.sampler, ended };
        let task = tokio::spawn(Sender { client, settings }.send_all(spans, stopped));
        Ok((layer, Self { stop, task }))
    }

    /// Ends when the last spans are sent, or a little later without.
    pub async fn stop(self) {
        let Self { stop, mut task } = self;
        // It ends by itself only with what hears of spans, which lives as long as the program.
        let _ended = stop.send(());
        if tokio::time::timeout(STOP, &mut task).await.is_err() {
            task.abort();
        }
    }
}

struct Sender {
    client: Client,
    settings: Settings,
}

impl Sender {
    async fn send_all(self, mut spans: mpsc::Receiver<Span>, mut stopped: oneshot::Receiver<()>) {
        let mut batch = Vec::with_capacity(self.settings.batch);
        loop {
            let is_over = self.fill(&mut batch, &mut spans, &mut stopped).await;
            if !batch.is_empty() {
                self.send(&batch, &mut stopped, is_over).await;
                batch.clear();
            }
            if is_over {
                return self.send_rest(batch, spans).await;
            }
        }
    }

    /// Waits for spans, then a little for others. True when nothing is waited for any more.
    async fn fill(
        &self,
        batch: &mut Vec<Span>,
        spans: &mut mpsc::Receiver<Span>,
        stopped: &mut oneshot::Receiver<()>,
    ) -> bool {
        let mut until = None;
        while batch.len() < self.settings.batch {
            let wait = async {
                match until {
                    Some(until) => tokio::time::sleep_until(until).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                span = spans.recv() => match span {
                    Some(span) => batch.push(span),
                    None => return true,
                },
                () = wait => return false,
                _ = &mut *stopped => return true,
            }
            until.get_or_insert_with(|| Instant::now() + self.settings.delay);
        }
        false
    }

    /// What had come before the end.
    async fn send_rest(&self, mut batch: Vec<Span>, mut spans: mpsc::Receiver<Span>) {
        spans.close();
        while let Some(span) = spans.recv().await {
            batch.push(span);
            if batch.len() == self.settings.batch {
                self.send_once(&batch).await;
                batch.clear();
            }
        }
        if !batch.is_empty() {
            self.send_once(&batch).await;
        }
    }

    async fn send(&self, batch: &[Span], stopped: &mut oneshot::Receiver<()>, is_over: bool) {
        let mut wait = WAIT;
        for attempt in 1..=TRIES {
            let after = match self.try_send(batch).await {
                Outcome::Taken => return count("sent", batch.len()),
                Outcome::Refused => return count("refused", batch.len()),
                Outcome::Later(after) => after,
            };
            if is_over || attempt == TRIES {
                break;
            }
            tokio::select! {
                () = tokio::time::sleep(after.unwrap_or(wait).min(WAIT_MAX)) => wait *= 2,
                // Sent once more, then given up.
                _ = &mut *stopped => return self.send_once(batch).await,
            }
        }
        count("failed", batch.len());
    }

    async fn send_once(&self, batch: &[Span]) {
        match self.try_send(batch).await {
            Outcome::Taken => count("sent", batch.len()),
            Outcome::Refused => count("refused", batch.len()),
            Outcome::Later(_) => count("failed", batch.len()),
        }
    }

    async fn try_send(&self, batch: &[Span]) -> Outcome {
        let Settings { endpoint, headers, timeout, resource, .. } = &self.settings;
        let mut headers = headers.clone();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        self.client.post(endpoint, &headers, span::request(resource, batch), *timeout).await
    }
}
