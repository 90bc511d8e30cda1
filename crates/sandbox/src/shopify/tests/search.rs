use super::Harness;
use crate::shopify::Rate;
use serde_json::{Value, json};

impl Harness {
    /// How many orders, customers or products a query text finds.
    async fn count(&self, token: &str, list: &str, q: &str) -> (u64, Value) {
        let query = format!("query($q: String) {{ {list}Count(query: $q) {{ count }} }}");
        let body = self.query("euro", token, &query, json!({"q": q})).await;
        (body["data"][format!("{list}Count")]["count"].as_u64().unwrap(), body["extensions"]["search"].clone())
    }
}

#[tokio::test]
async fn filters_find_what_the_store_holds() {
    let harness = Harness::start().await;
    harness.shopify().set_rate("euro", Rate::per_second(1e6));
    let token = harness.installed("euro").access_token;
    let shop = harness.shop("euro");
    let orders = |test: &dyn Fn(&crate::shopify::store::model::Order) -> bool| {
        shop.read(|store| store.orders.iter().filter(|order| test(order)).count() as u64)
    };
    let (cancelled, closed) = (orders(&|order| order.cancelled.is_some()), orders(&|order| order.closed_at.is_some()));
    let all = orders(&|_| true);
    assert!(cancelled > 0 && closed > cancelled && all > closed);
    let open = orders(&|order| order.closed_at.is_none() && order.cancelled.is_none());
    for (q, expected) in [
        ("", all),
        ("status:cancelled", cancelled),
        ("status:closed", closed),
        ("status:open", open),
        ("status:not_closed", all - closed),
        ("status:open,closed", open + closed),
        ("NOT status:cancelled", all - cancelled),
        ("-status:cancelled", all - cancelled),
        ("status:cancelled AND test:true OR test:true", orders(&|order| order.test)),
        (
            "financial_status:partially_refunded",
            orders(&|o| o.financial.is_some_and(|s| s.as_str() == "PARTIALLY_REFUNDED")),
        ),
        ("fulfillment_status:shipped", orders(&|o| o.fulfillment.as_str() == "FULFILLED")),
        ("fulfillment_status:unshipped", orders(&|o| o.fulfillment.as_str() == "UNFULFILLED")),
        ("tag:wholesale", orders(&|order| order.tags.iter().any(|tag| tag == "wholesale"))),
        ("name:#1005", 1),
        ("created_at:<2000-01-01", 0),
    ] {
        assert_eq!(harness.count(&token, "orders", q).await.0, expected, "{q}");
    }
    let (count, warnings) = harness.count(&token, "orders", "colour:red").await;
    assert_eq!(count, all, "an unknown field is ignored");
    assert_eq!(warnings[0]["warnings"][0]["field"], "colour");
    assert_eq!(harness.count(&token, "orders", "test:true").await.1, Value::Null, "nothing to warn of");
}

#[tokio::test]
async fn dates_bound_orders_to_the_second_but_customers_to_the_day() {
    let harness = Harness::start().await;
    let token = harness.installed("euro").access_token;
    let (order, customer) =
        harness.shop("euro").read(|store| (store.orders[20].updated_at, store.customers[5].updated_at));
    let after_order = (order + chrono::TimeDelta::seconds(1)).to_rfc3339();
    let bound = |op: &str, time: String| format!("updated_at:{op}'{time}'");
    let from = harness.count(&token, "orders", &bound(">=", order.to_rfc3339())).await.0;
    let later = harness.count(&token, "orders", &bound(">=", after_order)).await.0;
    assert_eq!(from - later, 1);

    let midnight = customer.date_naive().and_hms_opt(23, 59, 59).unwrap().and_utc();
    let q = format!("updated_at:>='{}' updated_at:<='{0}'", midnight.to_rfc3339());
    let same_day = harness.shop("euro").read(|store| {
        store.customers.iter().filter(|other| other.updated_at.date_naive() == customer.date_naive()).count() as u64
    });
    assert_eq!(harness.count(&token, "customers", &q).await.0, same_day, "the hour does not count");
}

#[tokio::test]
async fn an_email_without_quotes_finds_look_alikes() {
    let harness = Harness::start().await;
    let token = harness.installed("euro").access_token;
    harness.shop("euro").edit(|store| {
        store.customers[0].email.as_mut().unwrap().address = "bo.wang@example.com".to_owned();
        store.customers[1].email.as_mut().unwrap().address = "wang.bo@example.com".to_owned();
    });
    assert_eq!(harness.count(&token, "customers", "email:bo.wang@example.com").await.0, 2);
    assert_eq!(harness.count(&token, "customers", "email:\"bo.wang@example.com\"").await.0, 1);
}

#[tokio::test]
async fn products_default_to_every_status_and_filter_by_the_lower_case_name() {
    let harness = Harness::start().await;
    let token = harness.installed("euro").access_token;
    let mut sum = 0;
    for status in ["active", "draft", "archived", "unlisted"] {
        let found = harness.count(&token, "products", &format!("status:{status}")).await.0;
        assert!(found > 0, "{status}");
        sum += found;
    }
    assert_eq!(harness.count(&token, "products", "status:active,draft,archived,unlisted").await.0, sum);
    assert_eq!(harness.count(&token, "products", "ribbon").await.0, 1, "free text");
}
