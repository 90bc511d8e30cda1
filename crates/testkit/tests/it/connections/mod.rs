//! Connections: what is told of them, how they are changed, switched and tested, and what happens meanwhile.

mod actions;
mod consent;
mod credentials;
mod deletion;
mod editing;
mod exclusive;
mod granted;
mod health;
mod lifecycle;
mod memory;
mod reach;
mod texts;
mod waiting;

use testkit::{Answer, Client, TestApp};
use uuid::Uuid;

fn connection(store: Uuid) -> String {
    format!("/api/integrations/connections/{store}/")
}

fn products(store: Uuid) -> String {
    format!("/webshop-data-api/products?store_id={store}")
}

async fn view(caller: &Client, store: Uuid) -> Answer {
    caller.get(&connection(store)).await.expect(axum::http::StatusCode::OK)
}

/// How often there is an event of this type.
async fn events(app: &TestApp, event_type: &str) -> i64 {
    count(app, "select count(*) from events where event_type = $1", event_type).await
}

/// How often the audit log has this action.
async fn audited(app: &TestApp, action: &str) -> i64 {
    count(app, "select count(*) from audit_log where action = $1", action).await
}

async fn count(app: &TestApp, sql: &'static str, what: &str) -> i64 {
    sqlx::query_scalar(sql).bind(what).fetch_one(&mut app.superuser().await).await.expect("a count")
}
