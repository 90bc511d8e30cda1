use axum::{Json as Body, extract::State};
use kit::{
    App, Authorized, Problem, Router,
    retention::{Of, RULES},
    route,
};
use serde::Serialize;
use utoipa::ToSchema;

use crate::{organizations::api::ReadOrganization, words::KeptFor};

pub fn routes() -> Router {
    Router::new().routes(route!(list))
}

/// What is kept of something that has ended.
#[derive(Serialize, ToSchema)]
struct RetentionView {
    /// As the operator's setting calls it.
    name: &'static str,
    /// What it is, for people.
    what: &'static str,
    /// Whose it is.
    #[schema(value_type = KeptFor)]
    of: &'static str,
    /// How long this installation keeps it. Lines of logs go with their month, up to a month later.
    days: u16,
    /// From when the days are counted.
    counted_from: &'static str,
    /// Whether the operator may choose otherwise, and between which bounds.
    days_min: u16,
    days_max: u16,
    /// The operation that brings it back until then; null when nothing does.
    restored_by: Option<&'static str>,
    /// The operation that gives it out before it goes; null when there is none.
    exported_by: Option<&'static str>,
}

#[derive(Serialize, ToSchema)]
struct RetentionList {
    data: Vec<RetentionView>,
}

/// What this installation keeps, and for how long
#[utoipa::path(get, path = "/api/retention", tag = "organizations",
    responses((status = 200, description = "Everything that is removed when its time is over", body = RetentionList)))]
async fn list(_: Authorized<ReadOrganization>, State(app): State<App>) -> Result<Body<RetentionList>, Problem> {
    let data = RULES.iter().map(|rule| RetentionView {
        name: rule.name,
        what: rule.what,
        of: Of::as_str(rule.of),
        days: app.config.retention.days(rule.kind),
        counted_from: rule.counted_from,
        days_min: rule.days.least,
        days_max: rule.days.most,
        restored_by: rule.restored_by,
        exported_by: rule.exported_by,
    });
    Ok(Body(RetentionList { data: data.collect() }))
}
