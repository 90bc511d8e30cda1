//! What the runner tells the metrics: names begin with `entrepot_jobs_`.

use std::time::Duration;

use crate::{Backlog, attempt::Outcome};

/// `entrepot_jobs_attempts_total{job, outcome}` and `entrepot_jobs_attempt_seconds{job}`.
pub(crate) fn attempted(job: &'static str, outcome: Outcome, took: Duration) {
    metrics::counter!("entrepot_jobs_attempts_total", "job" => job, "outcome" => outcome.as_str()).increment(1);
    metrics::histogram!("entrepot_jobs_attempt_seconds", "job" => job).record(took);
}

/// `entrepot_jobs_backlog{state}` and `entrepot_jobs_oldest_seconds{state}`, of all nodes together.
pub(crate) fn backlog(states: &[Backlog]) {
    for entry in states {
        #[expect(clippy::cast_precision_loss, reason = "a gauge is a float")]
        metrics::gauge!("entrepot_jobs_backlog", "state" => entry.state.as_str()).set(entry.jobs as f64);
        metrics::gauge!("entrepot_jobs_oldest_seconds", "state" => entry.state.as_str())
            .set(entry.oldest.as_secs_f64());
    }
}
