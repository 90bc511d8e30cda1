//! Plans: what they limit, on all nodes together; what is paused beyond them; and what people are told.

mod daily;
mod notifications;
mod places;
mod read_only;
mod trial;

use accounts::plans::operator::{self, Wanted};
use axum::http::StatusCode;
use kernel::{Limit, OrganizationId, Plan, SubscriptionStatus};
use serde_json::Value;
use testkit::{Answer, Client, Member, TestApp};

/// What the operator's command line does.
async fn set(app: &TestApp, of: &Member, wanted: Wanted) {
    let organization = OrganizationId::from(of.organization);
    operator::set(&app.app().db, app.clock(), organization, wanted).await.expect("a plan");
}

fn plan(plan: Plan) -> Wanted {
    Wanted { plan: Some(plan), ..Wanted::default() }
}

fn status(status: SubscriptionStatus) -> Wanted {
    Wanted { status: Some(status), ..Wanted::default() }
}

/// An enterprise plan by whose contract this much is allowed.
fn agreed(limit: Limit, number: u64) -> Wanted {
    Wanted { plan: Some(Plan::Enterprise), limits: vec![(limit, Some(number))], ..Wanted::default() }
}

/// The place of a limit in the usage of an organization.
async fn usage(of: &Member, limit: &str, apart: Option<&str>) -> Value {
    let usage = of.naming(of.organization).get(&format!("/api/organizations/{}/usage", of.organization)).await;
    let limits = usage.expect(StatusCode::OK).at("/limits");
    let is_meant = |line: &&Value| line["limit"] == limit && line["of"].as_str() == apart;
    limits.as_array().and_then(|all| all.iter().find(is_meant).cloned()).unwrap_or_default()
}

async fn connect(by: &Member, host: &str) -> Answer {
    by.post("/api/integrations/connections/", by.woocommerce_form(host)).await
}

async fn products(by: &Client, store: uuid::Uuid) -> Answer {
    by.get(&format!("/webshop-data-api/products?store_id={store}&limit=1")).await
}

/// What somebody is told of this kind.
async fn told(who: &Member, kind: &str) -> Vec<Value> {
    let all = who.get("/api/notifications?limit=100").await.expect(StatusCode::OK).at("/data");
    all.as_array().expect("notifications").iter().filter(|told| told["kind"] == kind).cloned().collect()
}

/// The mails to an address with these words in their subject.
fn mails(app: &TestApp, to: &str, words: &str) -> usize {
    app.sandbox().mailbox().to(to).iter().filter(|mail| mail.subject.contains(words)).count()
}
