use axum::{Json as Body, extract::State};
use chrono::{DateTime, Utc};
use kit::{App, AtConnection, Problem, Router, route};
use serde::Serialize;
use utoipa::ToSchema;

use crate::live::{
    api::take,
    probe::{Outcome, Probe},
};
use crate::words::{ConnectionHealth, ConnectionStatus, ShopResource, TestResult};

kernel::permissions! {
    RunConnections = (Connections, Run);
}

pub fn routes() -> Router {
    Router::new().routes(route!(test))
}

/// How a shop answered.
#[derive(Serialize, ToSchema)]
struct TestView {
    tested_at: DateTime<Utc>,
    /// Of the connection, after the test.
    #[schema(value_type = ConnectionStatus)]
    status: String,
    #[schema(value_type = ConnectionHealth)]
    health: String,
    /// What is wrong and what to do about it.
    health_cause: Option<String>,
    results: Vec<ResultView>,
}

/// For one kind of data.
#[derive(Serialize, ToSchema)]
struct ResultView {
    #[schema(value_type = ShopResource)]
    resource: &'static str,
    #[schema(value_type = TestResult)]
    result: &'static str,
    /// What a person can act on.
    detail: Option<String>,
    /// How long the shop took.
    upstream_ms: Option<u32>,
}

impl From<Probe> for ResultView {
    fn from(probe: Probe) -> Self {
        let result = super::word(&probe.outcome);
        let detail = match probe.outcome {
            Outcome::Failed { detail, .. } => Some(detail),
            Outcome::Answered | Outcome::Off => None,
        };
        Self { resource: probe.resource, result, detail, upstream_ms: probe.upstream_ms }
    }
}

/// Ask a shop whether it answers, for one record of each kind, which is not shown
#[utoipa::path(post, path = "/api/integrations/connections/{id}/test/", tag = "connections",
    params(("id" = Uuid, Path)), responses(
    (status = 200, description = "How it answered; a shop that fails is told of in the results", body = TestView),
    (status = 429, description = "The caller has reached their limit; see Retry-After"),
))]
async fn test(caller: AtConnection<RunConnections>, State(app): State<App>) -> Result<Body<TestView>, Problem> {
    let verdict = take(&app, caller.organization(), caller.actor()).await?;
    if !verdict.allowed {
        return Err(verdict.refusal());
    }
    let (probes, row) = Box::pin(super::test(&app, &caller.scope, caller.id)).await?;
    Ok(Body(TestView {
        tested_at: app.clock.now(),
        status: row.status,
        health: row.health,
        health_cause: row.health_cause,
        results: probes.into_iter().map(ResultView::from).collect(),
    }))
}
