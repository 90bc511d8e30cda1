use super::{CALLBACK, Harness, SCOPES, SECRET};
use crate::shopify::{App, DataAccess, Rate};
use crate::world::CanaryPerson;
use chrono::TimeDelta;
use serde_json::{Value, json};

impl Harness {
    /// A token with these scopes, of an app with this approval.
    fn limited(&self, scopes: &str, data_access: DataAccess) -> String {
        let mut app = App::new("limited", SECRET, "https://hub.example/app", CALLBACK, scopes);
        app.data_access = data_access;
        self.shopify().register(app);
        self.shopify().set_rate("euro", Rate::per_second(1e6));
        self.shopify().install("euro", "limited", true).unwrap().access_token
    }
}

#[tokio::test]
async fn a_missing_scope_nulls_up_to_the_first_nullable_parent_and_leaves_the_rest() {
    let harness = Harness::start().await;
    let token = harness.limited("read_orders,read_all_orders", DataAccess::Full);
    let query = "{ shop { name } orders(first: 30) { nodes { name customer { id } lineItems(first: 1) { nodes { title product { id } } } } } }";
    let body = harness.query("euro", &token, query, json!({})).await;
    let orders = body["data"]["orders"]["nodes"].as_array().unwrap();
    assert!(orders.iter().all(|order| order["name"].is_string() && order["customer"].is_null()));
    assert_eq!(orders[0]["lineItems"]["nodes"][0]["product"], Value::Null);
    let error = &body["errors"][0];
    assert_eq!(error["extensions"]["code"], "ACCESS_DENIED");
    let messages: Vec<_> =
        body["errors"].as_array().unwrap().iter().map(|error| error["message"].as_str().unwrap()).collect();
    assert!(messages.contains(&"Access denied for customer field. Required access: `read_customers` access scope."));
    assert!(body["errors"].as_array().unwrap().iter().any(|error| error["path"][3] == "lineItems"));

    let body = harness.query("euro", &token, "{ shop { name } productsCount { count } }", json!({})).await;
    assert_eq!(body["data"]["shop"]["name"], "euro", "partial data");
    assert_eq!(body["data"]["productsCount"], Value::Null);
    assert_eq!(body["errors"][0]["extensions"]["requiredAccess"], "`read_products` access scope.");
    let body = harness.query("euro", &token, "{ shop { name } products(first: 1) { nodes { id } } }", json!({})).await;
    assert_eq!(body["data"], Value::Null, "products is not nullable, so nothing is left");
}

#[tokio::test]
async fn without_approval_customer_data_is_refused_whole() {
    let harness = Harness::start().await;
    let token = harness.limited(SCOPES, DataAccess::None);
    for (query, kind) in
        [("{ customers(first: 1) { nodes { id } } }", "Customer"), ("{ orders(first: 1) { nodes { id } } }", "Order")]
    {
        let body = harness.query("euro", &token, query, json!({})).await;
        let error = &body["errors"][0];
        assert_eq!(error["extensions"]["code"], "ACCESS_DENIED");
        let message = error["message"].as_str().unwrap();
        assert!(message.starts_with(&format!("This app is not approved to access the {kind} object.")), "{message}");
        assert!(message.contains("https://shopify.dev/docs/apps/launch/protected-customer-data"));
    }
    let body = harness.query("euro", &token, "{ products(first: 1) { nodes { id } } }", json!({})).await;
    assert_eq!(body.get("errors"), None);
}

#[tokio::test]
async fn approved_without_identity_an_app_sees_orders_but_nobody_in_them() {
    let harness = Harness::start().await;
    let token = harness.limited(SCOPES, DataAccess::WithoutIdentity);
    let query = "{ orders(first: 50) { nodes { id email phone customer { id tags firstName lastName }
        shippingAddress { firstName lastName address1 zip phone name countryCodeV2 } } } }";
    let body = harness.query("euro", &token, query, json!({})).await;
    let orders = body["data"]["orders"]["nodes"].as_array().unwrap();
    assert_eq!(orders.len(), 50);
    for order in orders {
        assert!(order["email"].is_null() && order["phone"].is_null());
        for field in ["firstName", "lastName", "address1", "zip", "phone", "name"] {
            assert!(order["shippingAddress"][field].is_null());
        }
        assert!(order["customer"]["firstName"].is_null());
    }
    assert!(orders.iter().any(|order| order["shippingAddress"]["countryCodeV2"].is_string()));
    assert!(orders.iter().any(|order| order["customer"]["id"].is_string()));
    let error = &body["errors"][0];
    assert_eq!((&error["extensions"]["code"], &error["path"][3]), (&json!("ACCESS_DENIED"), &json!("email")));

    let query = "{ orders(first: 50) { nodes { id customer { displayName } } } }";
    let body = harness.query("euro", &token, query, json!({})).await;
    let orders = body["data"]["orders"]["nodes"].as_array().unwrap();
    assert!(
        orders.iter().all(|order| order["customer"].is_null()),
        "a name that cannot be null takes the customer along"
    );
}

#[tokio::test]
async fn orders_of_more_than_60_days_ago_need_a_scope_of_their_own() {
    let harness = Harness::start().await;
    let without = harness.limited("read_orders,read_customers", DataAccess::Full);
    let with = harness.installed("euro").access_token;
    let limit = harness.shopify().clock().now() - TimeDelta::days(60);
    let (recent, all, old) = harness.shop("euro").read(|store| {
        let recent = store.orders.iter().filter(|order| order.created_at >= limit).count();
        let old = store.orders.iter().find(|order| order.created_at < limit && order.customer_id.is_some()).unwrap();
        (recent, store.orders.len(), (old.id, old.customer_id.unwrap()))
    });
    assert!(recent > 0 && recent < all);
    let query = "query($o: ID!, $c: ID!) { ordersCount { count } order(id: $o) { id } customer(id: $c) { orders(first: 250) { nodes { createdAt } } } }";
    let variables =
        json!({"o": format!("gid://shopify/Order/{}", old.0), "c": format!("gid://shopify/Customer/{}", old.1)});
    let some = harness.query("euro", &without, query, variables.clone()).await;
    assert_eq!(some["data"]["ordersCount"]["count"], recent);
    assert_eq!(some["data"]["order"], Value::Null);
    let everything = harness.query("euro", &with, query, variables).await;
    assert_eq!(everything["data"]["ordersCount"]["count"], all);
    let orders = |body: &Value| body["data"]["customer"]["orders"]["nodes"].as_array().unwrap().len();
    assert!(orders(&everything) > orders(&some));
}

#[tokio::test]
async fn a_planted_canary_is_found_through_the_api() {
    let harness = Harness::start().await;
    let planted = harness.shop("euro").plant(CanaryPerson {
        first_name: "Kanarienvogel".into(),
        last_name: "Űrmadár".into(),
        email: "canary-7f3a@example.com".into(),
        phone: "+49 1555 7777777".into(),
        address_1: "Vogelweg 77".into(),
        city: "Piepsdorf".into(),
        postcode: "77777".into(),
        country: "DE".into(),
        note: "tweet-7f3a".into(),
    });
    let token = harness.installed("euro").access_token;
    let identifier = json!({"identifier": {"emailAddress": "Canary-7F3A@example.com"}});
    let found = harness.read("euro", &token, "CustomerByIdentifier", identifier).await["customerByIdentifier"].clone();
    assert_eq!(found["id"], format!("gid://shopify/Customer/{}", planted.customer_id));
    assert_eq!((&found["lastName"], &found["numberOfOrders"]), (&json!("Űrmadár"), &json!("3")));
    let id = format!("gid://shopify/Order/{}", planted.order_ids[2]);
    let order = harness.read("euro", &token, "OrderOne", json!({"id": id})).await["order"].clone();
    assert_eq!((&order["note"], &order["billingAddress"]["address1"]), (&json!("tweet-7f3a"), &json!("Vogelweg 77")));
    assert!(order["cancelledAt"].is_string());
}
