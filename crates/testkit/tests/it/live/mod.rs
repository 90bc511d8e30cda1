//! Live reads, end to end.

mod deletion;
mod failures;
mod key_changes;
mod limits;
mod queries;
mod reading;
mod renewal_failures;
mod renewal_races;
mod rights;
mod sessions;
mod switches;
mod token_refresh;
mod web_pages;

use testkit::TestApp;
use uuid::Uuid;

/// A page of orders, customers or products.
fn list(resource: &str, store: Uuid) -> String {
    format!("/webshop-data-api/{resource}?store_id={store}")
}

/// How often both platforms were asked, whatever for.
fn upstream_calls(app: &TestApp) -> u64 {
    let shopify = app.sandbox().shopify().shops().iter().map(|shop| {
        let counts = shop.counts();
        counts.operations.values().sum::<u64>() + counts.unauthorized + counts.throttled + counts.refreshes
    });
    let woocommerce = app.sandbox().woocommerce().shops().iter().map(|shop| shop.calls().count());
    shopify.chain(woocommerce).sum()
}
