//! Two processes of the program on one database: what one does, the other knows; what one takes with it, the other makes good.

mod expiry;
mod kills;
mod revocations;

use std::time::Duration;

use chrono::TimeDelta;
use testkit::{Client, Member, Process, TestApp};
use tokio::sync::Mutex;
use uuid::Uuid;

const BINARY: &str = env!("CARGO_BIN_EXE_entrepot");
/// Held by each of these tests: two processes, simulators and a PostgreSQL fill a small machine.
static TURN: Mutex<()> = Mutex::const_new(());
const TOKENS: &str = "/admin/oauth/access_token";

fn list(resource: &str, store: Uuid) -> String {
    format!("/webshop-data-api/{resource}?store_id={store}")
}

async fn two_processes(app: &TestApp) -> [Process; 2] {
    let [mut a, mut b] = [0, 1].map(|_| Process::launch(BINARY, &app.installation));
    tokio::join!(a.ready(), b.ready());
    [a, b]
}

/// A token of the kind that ends, of every simulated shop, ends now: at the platform and by what is stored of it.
async fn expire_all(app: &TestApp) {
    for shop in app.sandbox().shopify().shops() {
        app.sandbox().shopify().expire_tokens(&shop.domain());
    }
    // Naming the sealed column makes every node forget the store, as another token would.
    sqlx::query("update credentials set expires_at = $1, sealed = sealed where expires_at is not null")
        .bind(app.clock().now() - TimeDelta::seconds(1))
        .execute(&mut app.superuser().await)
        .await
        .unwrap();
    // Longer than a cache is believed by a node that did not hear of it.
    tokio::time::sleep(Duration::from_millis(700)).await;
}

/// A key of this person, as a caller of each process.
async fn key_at(owner: &Member, name: &str, processes: &[Process; 2]) -> [Client; 2] {
    let key = owner.create_key(name).await;
    [key.at_process(&processes[0]), key.at_process(&processes[1])]
}
