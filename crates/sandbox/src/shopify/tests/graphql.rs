use super::{Harness, READS};
use crate::shopify::Rate;
use serde_json::{Value, json};
use std::collections::BTreeSet;

/// Follows `endCursor` to the end and returns all nodes.
async fn all(
    harness: &Harness,
    shop: &str,
    token: &str,
    operation: &str,
    list: &str,
    first: u32,
    q: &str,
) -> Vec<Value> {
    let (mut nodes, mut after) = (Vec::new(), Value::Null);
    loop {
        let data = harness.read(shop, token, operation, json!({"first": first, "after": after, "q": q})).await;
        nodes.extend(data[list]["nodes"].as_array().unwrap().clone());
        if data[list]["pageInfo"]["hasNextPage"] == json!(false) {
            return nodes;
        }
        after = data[list]["pageInfo"]["endCursor"].clone();
    }
}

fn values<'a>(nodes: &'a [Value], pointer: &str) -> BTreeSet<&'a str> {
    nodes.iter().filter_map(|node| node.pointer(pointer)?.as_str()).collect()
}

#[tokio::test]
async fn the_shop_tells_its_facts_and_the_apps_scopes() {
    let harness = Harness::start().await;
    let token = harness.installed("forint").access_token;
    let data = harness.read("forint", &token, "HubShop", json!({})).await;
    let shop = &data["shop"];
    assert_eq!(shop["myshopifyDomain"], "forint.myshopify.com");
    assert_eq!((&shop["currencyCode"], &shop["ianaTimezone"]), (&json!("HUF"), &json!("Europe/Budapest")));
    assert_eq!(shop["timezoneOffsetMinutes"], 60, "in winter");
    let scopes = data["currentAppInstallation"]["accessScopes"].as_array().unwrap();
    assert!(
        scopes.contains(&json!({"handle": "read_products"})) && scopes.contains(&json!({"handle": "write_products"}))
    );
}

#[tokio::test]
async fn orders_come_in_pages_whole_and_in_every_state() {
    let harness = Harness::start().await;
    harness.shopify().set_rate("euro", Rate::per_second(1e6));
    let token = harness.installed("euro").access_token;
    let orders = all(&harness, "euro", &token, "OrdersPage", "orders", 10, "").await;
    assert_eq!(orders.len(), harness.shop("euro").read(|store| store.orders.len()));
    assert_eq!(values(&orders, "/id").len(), orders.len(), "none twice");
    assert!(orders.is_sorted_by_key(|order| order["updatedAt"].as_str().unwrap().to_owned()));

    let financial = values(&orders, "/displayFinancialStatus");
    for status in
        ["PAID", "PENDING", "PARTIALLY_REFUNDED", "REFUNDED", "VOIDED", "AUTHORIZED", "EXPIRED", "PARTIALLY_PAID"]
    {
        assert!(financial.contains(status), "{status} of {financial:?}");
    }
    let fulfillment = values(&orders, "/displayFulfillmentStatus");
    for status in ["FULFILLED", "UNFULFILLED", "FULFILLMENT_NOT_REQUIRED", "ON_HOLD", "PARTIALLY_FULFILLED"] {
        assert!(fulfillment.contains(status), "{status} of {fulfillment:?}");
    }
    let has = |pointer: &str, value: Value| orders.iter().any(|order| order.pointer(pointer) == Some(&value));
    assert!(has("/customer", Value::Null) && has("/email", Value::Null) && has("/shippingAddress", Value::Null));
    assert!(has("/test", json!(true)) && has("/displayFinancialStatus", Value::Null));
    assert!(orders.iter().any(|order| order["cancelledAt"].is_string() && order["cancelReason"].is_string()));
    assert!(has("/lineItems/nodes/0/product", Value::Null), "a product that was deleted");
    for order in &orders {
        let id: u64 = order["legacyResourceId"].as_str().unwrap().parse().unwrap();
        assert!(id > 1 << 53 && id as f64 as u64 != id, "{id} would survive a double");
        assert_eq!(order["id"], format!("gid://shopify/Order/{id}"));
    }
}

#[tokio::test]
async fn the_sums_of_an_order_add_up_in_every_currency() {
    let harness = Harness::start().await;
    for (shop, currency, decimals) in [("euro", "EUR", 2), ("forint", "HUF", 0), ("yen", "JPY", 0)] {
        harness.shopify().set_rate(shop, Rate::per_second(1e6));
        let token = harness.installed(shop).access_token;
        let orders = all(&harness, shop, &token, "OrdersPage", "orders", 10, "").await;
        for order in &orders {
            let sum = |field: &str| -> rust_decimal::Decimal {
                let money = &order[field]["shopMoney"];
                assert_eq!(money["currencyCode"], currency);
                let amount = money["amount"].as_str().unwrap();
                assert!(amount.contains('.'), "{amount} has a digit after the point");
                amount.parse().unwrap()
            };
            let tax = if order["taxesIncluded"] == json!(true) { 0.into() } else { sum("totalTaxSet") };
            assert_eq!(sum("subtotalPriceSet") + sum("totalShippingPriceSet") + tax, sum("totalPriceSet"));
            assert_eq!(sum("totalPriceSet") - sum("totalRefundedSet"), sum("currentTotalPriceSet"));
            assert!(sum("totalPriceSet").normalize().scale() <= decimals);
            assert!(sum("totalDiscountsSet") >= 0.into());
        }
        assert!(
            orders.iter().any(|order| order["presentmentCurrencyCode"] != order["currencyCode"]),
            "someone paid in another currency"
        );
    }
}

#[tokio::test]
async fn one_order_shows_its_payments_refunds_and_shipments() {
    let harness = Harness::start().await;
    harness.shopify().set_rate("euro", Rate::per_second(1e6));
    let token = harness.installed("euro").access_token;
    let (refunded, sent) = harness.shop("euro").read(|store| {
        let refunded = store.orders.iter().find(|order| order.refunds.iter().any(|refund| !refund.lines.is_empty()));
        let sent = store.orders.iter().find(|order| order.fulfillments.iter().any(|sent| sent.tracking.is_some()));
        (refunded.unwrap().id, sent.unwrap().id)
    });
    let one = async |id: u64| {
        harness.read("euro", &token, "OrderOne", json!({"id": format!("gid://shopify/Order/{id}")})).await
    };
    let order = one(refunded).await["order"].clone();
    let refund = &order["refunds"][0]["refundLineItems"]["nodes"][0];
    assert_eq!(refund["lineItem"]["id"], order["lineItems"]["nodes"][0]["id"]);
    let line = &order["lineItems"]["nodes"][0];
    assert!(line["currentQuantity"].as_u64() < line["quantity"].as_u64());
    let kinds = order["transactions"].as_array().unwrap();
    let refund = kinds.iter().find(|transaction| transaction["kind"] == "REFUND").unwrap();
    assert!(refund["parentTransaction"]["id"].is_string());
    let order = one(sent).await["order"].clone();
    assert!(order["fulfillments"][0]["trackingInfo"][0]["number"].is_string());
    assert!(order["fulfillments"][0]["fulfillmentLineItems"]["nodes"][0]["quantity"].as_u64() > Some(0));
    assert_eq!(one(1).await["order"], Value::Null);
}

#[tokio::test]
async fn products_have_more_variants_than_a_nested_page_and_the_single_product_gives_all() {
    let harness = Harness::start().await;
    harness.shopify().set_rate("forint", Rate { single_query: 5000.0, ..Rate::per_second(1e6) });
    let token = harness.installed("forint").access_token;
    let q = "status:active,draft,archived,unlisted";
    let products = all(&harness, "forint", &token, "ProductsPage", "products", 20, q).await;
    assert_eq!(products.len(), harness.shop("forint").read(|store| store.products.len()));
    let statuses: Vec<_> = values(&products, "/status").into_iter().collect();
    assert_eq!(statuses, ["ACTIVE", "ARCHIVED", "DRAFT", "UNLISTED"]);
    assert!(products.iter().any(|product| product["onlineStoreUrl"].is_null() && product["status"] == "ACTIVE"));
    assert!(products.iter().any(|product| product["isGiftCard"] == json!(true)));
    for product in &products {
        assert!(!product["variants"]["nodes"][0]["price"].as_str().unwrap().contains('.'), "forints without fillér");
    }

    let paint = products.iter().find(|product| product["title"] == "Wall paint").unwrap();
    assert_eq!(paint["variantsCount"], json!({"count": 300, "precision": "EXACT"}));
    assert_eq!(paint["variants"]["nodes"].as_array().unwrap().len(), 25);
    let mut ids = BTreeSet::new();
    let mut after = Value::Null;
    for size in [250, 50] {
        let data = harness.read("forint", &token, "ProductOne", json!({"id": paint["id"], "vAfter": after})).await;
        let nodes = data["product"]["variants"]["nodes"].as_array().unwrap().clone();
        assert_eq!(nodes.len(), size);
        ids.extend(nodes.iter().map(|node| node["id"].as_str().unwrap().to_owned()));
        after = data["product"]["variants"]["pageInfo"]["endCursor"].clone();
    }
    assert_eq!(ids.len(), 300);
    let query = "query($id: ID!) { product(id: $id) { variants(first: 2048) { nodes { id } } } }";
    let whole = harness.query("forint", &token, query, json!({"id": paint["id"]})).await;
    assert_eq!(whole["data"]["product"]["variants"]["nodes"].as_array().unwrap().len(), 300);
    let query = "{ products(first: 1) { nodes { variants(first: 251) { nodes { id } } } } }";
    let too_many = harness.query("forint", &token, query, json!({})).await;
    assert_eq!(too_many["errors"][0]["extensions"]["code"], "BAD_REQUEST", "only at the root");
}

#[tokio::test]
async fn every_recommended_read_runs_in_every_shop() {
    let harness = Harness::start().await;
    for shop in ["euro", "forint", "yen"] {
        harness.shopify().set_rate(shop, Rate::per_second(1e6));
        let token = harness.installed(shop).access_token;
        let read = async |operation: &str, variables: Value| harness.read(shop, &token, operation, variables).await;
        let customers = read("CustomersPage", json!({"first": 100})).await;
        let customer = &customers["customers"]["nodes"][0];
        assert!(customer["defaultEmailAddress"]["emailAddress"].as_str().unwrap().contains('@'));
        let one = read("CustomerOne", json!({"id": customer["id"]})).await;
        assert_eq!(one["customer"]["id"], customer["id"]);
        for identifier in
            [json!({"emailAddress": customer["defaultEmailAddress"]["emailAddress"]}), json!({"id": customer["id"]})]
        {
            let found = read("CustomerByIdentifier", json!({"identifier": identifier})).await;
            assert_eq!(found["customerByIdentifier"]["id"], customer["id"]);
        }
        let products = read("ProductsPage", json!({"first": 5})).await;
        let sku = |products: &Value| -> Option<String> {
            let nodes = products["products"]["nodes"].as_array()?;
            nodes.iter().find_map(|product| Some(product["variants"]["nodes"][0]["sku"].as_str()?.to_owned()))
        };
        let sku = sku(&products).unwrap();
        let found = read("VariantsBySku", json!({"q": format!("sku:\"{sku}\"")})).await;
        assert_eq!(found["productVariants"]["nodes"][0]["sku"], sku);

        let stock = read("InventoryPage", json!({"first": 15})).await;
        let level = &stock["inventoryItems"]["nodes"][0]["inventoryLevels"]["nodes"][0];
        assert!(level["id"].as_str().unwrap().contains("?inventory_item_id="));
        let quantity = |name: &str| {
            let all = level["quantities"].as_array().unwrap();
            all.iter().find(|quantity| quantity["name"] == name).unwrap()["quantity"].as_i64().unwrap()
        };
        assert_eq!(quantity("on_hand"), quantity("available") + quantity("committed"));
        let query = "query($id: ID!) { inventoryLevel(id: $id) { id } }";
        let found = harness.query(shop, &token, query, json!({"id": level["id"]})).await;
        assert_eq!(found["data"]["inventoryLevel"]["id"], level["id"]);

        let locations = read("LocationsPage", json!({})).await;
        assert_eq!(locations["locations"]["nodes"].as_array().unwrap().len(), 3, "the inactive one too");
        let abandoned = read("AbandonedPage", json!({"first": 20})).await;
        assert!(abandoned["abandonedCheckouts"]["nodes"].as_array().unwrap().len() > 3);
    }
}

#[tokio::test]
async fn nodes_are_found_by_their_gid() {
    let harness = Harness::start().await;
    let token = harness.installed("euro").access_token;
    let (product, order) = harness.shop("euro").read(|store| (store.products[3].id, store.orders[7].id));
    let query =
        "query($ids: [ID!]!) { nodes(ids: $ids) { __typename id ... on Product { title } ... on Order { name } } }";
    let ids = json!([
        format!("gid://shopify/Product/{product}"),
        format!("gid://shopify/Order/{order}"),
        "gid://shopify/Order/1",
        "x"
    ]);
    let body = harness.query("euro", &token, query, json!({"ids": ids})).await;
    let nodes = body["data"]["nodes"].as_array().unwrap();
    assert_eq!(nodes[0]["__typename"], "Product");
    assert!(nodes[0]["title"].is_string() && nodes[1]["name"].is_string());
    assert_eq!(nodes[2..], [Value::Null, Value::Null]);
}

#[tokio::test]
async fn counts_stop_at_their_limit() {
    let harness = Harness::start().await;
    let token = harness.installed("euro").access_token;
    let total = harness.shop("euro").read(|store| store.orders.len());
    let query = "{ ordersCount { count precision } some: ordersCount(limit: 10) { count precision }
        test: ordersCount(query: \"test:true\", limit: null) { count } customersCount { count } productsCount { count } }";
    let data = harness.query("euro", &token, query, json!({})).await["data"].clone();
    assert_eq!(data["ordersCount"], json!({"count": total, "precision": "EXACT"}));
    assert_eq!(data["some"], json!({"count": 10, "precision": "AT_LEAST"}));
    assert!(data["test"]["count"].as_u64() > Some(0) && data["test"]["count"].as_u64() < Some(total as u64));
    assert!(data["customersCount"]["count"].as_u64() > Some(20));
}

#[tokio::test]
async fn old_versions_fall_forward_and_the_answer_says_which_version_it_is() {
    let harness = Harness::start().await;
    let token = harness.installed("euro").access_token;
    let asked = async |version: &str| {
        let url = harness.url("euro", &format!("/admin/api/{version}/graphql.json"));
        let request = harness.client.post(url).header("X-Shopify-Access-Token", &token);
        let response =
            request.json(&json!({"query": "{ publicApiVersions { handle supported } }"})).send().await.unwrap();
        let header = response.headers().get("x-shopify-api-version").map(|value| value.to_str().unwrap().to_owned());
        (response.status().as_u16(), header)
    };
    assert_eq!(asked("2026-10").await, (200, Some("2026-10".to_owned())));
    assert_eq!(asked("2023-01").await, (200, Some("2026-01".to_owned())));
    assert_eq!(asked("tomorrow").await, (404, None));
}

#[tokio::test]
async fn mistakes_in_a_request_are_answered_like_shopify_does() {
    let harness = Harness::start().await;
    let token = harness.installed("euro").access_token;
    let error = async |query: &str, variables: Value| {
        let body = harness.query("euro", &token, query, variables).await;
        assert_eq!(body.get("data").filter(|data| !data.is_null()), None, "{body}");
        body["errors"][0].clone()
    };
    assert_eq!(error("{ shop { nom } }", json!({})).await["extensions"]["code"], "undefinedField");
    assert!(error("{ shop {", json!({})).await["message"].is_string());
    let typed = error("query($n: Int!) { products(first: $n) { nodes { id } } }", json!({"n": "ten"})).await;
    assert_eq!(typed["extensions"]["code"], "INVALID_VARIABLE");
    let none = error("{ products { nodes { id } } }", json!({})).await;
    assert_eq!(none["message"], "you must provide one of first or last");
    assert_eq!(none["path"], json!(["products"]));
    assert_eq!(
        error("{ products(first: 251) { nodes { id } } }", json!({})).await["extensions"]["code"],
        "BAD_REQUEST"
    );
    assert_eq!(error("{ products(first: -1) { nodes { id } } }", json!({})).await["extensions"]["code"], "BAD_REQUEST");
    let query = "query($i: CustomerIdentifierInput!) { customerByIdentifier(identifier: $i) { id } }";
    let two = json!({"i": {"id": "gid://shopify/Customer/1", "phoneNumber": "+36"}});
    let two = harness.query("euro", &token, query, two).await["errors"][0].clone();
    assert!(two["message"].is_string(), "an identifier has exactly one field");

    let url = harness.url("euro", "/admin/api/2026-10/graphql.json");
    let request = harness.client.post(url).header("X-Shopify-Access-Token", &token).json(&json!({"q": 1}));
    assert_eq!(request.send().await.unwrap().status(), 400);
}

#[tokio::test]
async fn pages_can_be_walked_backwards_and_cursors_belong_to_their_list() {
    let harness = Harness::start().await;
    let token = harness.installed("euro").access_token;
    let run = async |arguments: &str| {
        let query = format!(
            "{{ orders({arguments}) {{ edges {{ cursor node {{ id }} }} pageInfo {{ hasNextPage hasPreviousPage startCursor endCursor }} }} }}"
        );
        harness.query("euro", &token, &query, json!({})).await
    };
    let ids = |body: &Value| -> Vec<String> {
        let edges = body["data"]["orders"]["edges"].as_array().unwrap();
        edges.iter().map(|edge| edge["node"]["id"].as_str().unwrap().to_owned()).collect()
    };
    let six = run("first: 6, sortKey: CREATED_AT").await;
    let third = six["data"]["orders"]["edges"][2]["cursor"].as_str().unwrap().to_owned();
    let after = run(&format!("first: 3, sortKey: CREATED_AT, after: \"{third}\"")).await;
    assert_eq!(ids(&after), ids(&six)[3..]);
    assert_eq!(after["data"]["orders"]["pageInfo"]["hasPreviousPage"], json!(true));
    let before = run(&format!("last: 2, sortKey: CREATED_AT, before: \"{third}\"")).await;
    assert_eq!(ids(&before), ids(&six)[..2]);
    assert_eq!(before["data"]["orders"]["pageInfo"]["hasPreviousPage"], json!(false));
    assert_eq!(before["data"]["orders"]["pageInfo"]["hasNextPage"], json!(true));
    let last = run("last: 2, sortKey: CREATED_AT").await;
    let mut reversed = ids(&run("first: 2, sortKey: CREATED_AT, reverse: true").await);
    reversed.reverse();
    assert_eq!(ids(&last), reversed);
    let down = run("first: 4, sortKey: CREATED_AT, reverse: true").await;
    let second = down["data"]["orders"]["edges"][1]["cursor"].as_str().unwrap();
    assert_eq!(
        ids(&run(&format!("first: 2, sortKey: CREATED_AT, reverse: true, after: \"{second}\"")).await),
        ids(&down)[2..]
    );

    for foreign in
        ["sortKey: UPDATED_AT", "sortKey: CREATED_AT, query: \"test:false\"", "sortKey: CREATED_AT, reverse: true"]
    {
        let body = run(&format!("first: 2, {foreign}, after: \"{third}\"")).await;
        assert_eq!(body["errors"][0]["message"], "Invalid cursor for current pagination sort.", "{foreign}");
    }
    assert!(run("first: 2, after: \"nonsense\"").await["errors"][0]["message"].is_string());
}

#[tokio::test]
async fn a_watermark_sees_changes_and_a_cursor_survives_them() {
    let harness = Harness::start().await;
    let token = harness.installed("euro").access_token;
    let variables = json!({"first": 5, "q": "status:any"});
    let first = harness.read("euro", &token, "OrdersPage", variables).await["orders"].clone();
    let touched = harness.shopify().clock().now();
    let id = harness.shop("euro").edit(|store| {
        let order = &mut store.orders[0];
        order.updated_at = touched;
        order.id
    });
    let next = json!({"first": 5, "q": "status:any", "after": first["pageInfo"]["endCursor"]});
    let next = harness.read("euro", &token, "OrdersPage", next).await["orders"].clone();
    let last_seen = first["nodes"][4]["updatedAt"].as_str().unwrap();
    assert!(next["nodes"][0]["updatedAt"].as_str().unwrap() >= last_seen);
    let since = (touched - chrono::TimeDelta::minutes(2)).to_rfc3339();
    let q = format!("updated_at:>='{since}' status:any");
    let changed = harness.read("euro", &token, "OrdersPage", json!({"first": 5, "q": q})).await;
    assert_eq!(changed["orders"]["nodes"].as_array().unwrap().len(), 1);
    assert_eq!(changed["orders"]["nodes"][0]["id"], format!("gid://shopify/Order/{id}"));
}

#[tokio::test]
async fn calls_are_counted_by_operation_and_shop() {
    let harness = Harness::start().await;
    let token = harness.installed("euro").access_token;
    harness.read("euro", &token, "HubShop", json!({})).await;
    harness.read("euro", &token, "HubShop", json!({})).await;
    harness.query("euro", &token, "{ shop { id } }", json!({})).await;
    let shopify = harness.shopify();
    assert_eq!((shopify.calls("euro", "HubShop"), shopify.calls("yen", "HubShop")), (2, 0));
    assert_eq!(shopify.calls("euro", "anonymous"), 1);
    let ambiguous = harness.query("euro", &token, READS, json!({})).await;
    assert!(ambiguous["errors"][0]["message"].is_string(), "several operations need a name");
}
