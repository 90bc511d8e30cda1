//! What may be asked: filters, pages, fields, statuses.

use axum::http::StatusCode;
use serde_json::{Value, json};
use testkit::TestApp;

use super::{list, upstream_calls};

#[tokio::test(flavor = "multi_thread")]
async fn a_filter_that_the_shop_cannot_apply_is_refused_and_the_shop_not_asked() {
    let app = TestApp::start().await;
    let kata = app.sign_up("Kata").await;
    let woocommerce = kata.connect_woocommerce("kavebolt.example").await;
    let shopify = kata.connect_shopify("kis-bolt").await;
    let before = upstream_calls(&app);
    for (store, resource, filter) in [
        (woocommerce, "orders", "email=a@b.example"),
        (woocommerce, "orders", "payment_status=paid"),
        (woocommerce, "orders", "number=1042"),
        (woocommerce, "customers", "phone=%2B36301234567"),
        (woocommerce, "customers", "created_after=2026-01-01T00:00:00Z"),
        (woocommerce, "products", "email=a@b.example"),
        (shopify, "customers", "sku=x"),
        (shopify, "products", "email=a@b.example"),
    ] {
        let answer =
            kata.get(&format!("{}&{filter}", list(resource, store))).await.expect_problem(400, "filter_unsupported");
        assert_eq!(answer.at("/unsupported"), json!([filter.split('=').next()]));
        assert!(
            answer.at("/supported").as_array().is_some_and(|all| all.contains(&json!("ids"))),
            "{}",
            answer.short()
        );
    }
    for (query, pointer) in [
        ("limit=0", "limit"),
        ("limit=101", "limit"),
        ("status=lost", "status"),
        ("payment_status=lost", "payment_status"),
        ("fields=password", "fields"),
        ("page=0", "page"),
        ("created_after=2026-02-01T00:00:00Z&created_before=2026-01-01T00:00:00Z", "created_before"),
    ] {
        let answer =
            kata.get(&format!("{}&{query}", list("orders", woocommerce))).await.expect_problem(400, "invalid_request");
        assert_eq!(answer.at("/errors/0/pointer"), pointer, "{}", answer.short());
    }
    kata.get(&format!("{}&surplus=1", list("orders", woocommerce))).await.expect_problem(400, "invalid_request");
    assert_eq!(upstream_calls(&app), before, "no shop was asked");
    app.finish().await;
}

fn ids(page: &Value) -> Vec<String> {
    page["data"]
        .as_array()
        .expect("records")
        .iter()
        .map(|record| record["id"].as_str().expect("an id").to_owned())
        .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn pages_by_number_and_by_cursor_show_each_record_once() {
    let app = TestApp::start().await;
    let kata = app.sign_up("Kata").await;
    let woocommerce = kata.connect_woocommerce("kavebolt.example").await;
    let shopify = kata.connect_shopify("kis-bolt").await;
    for (store, resource) in [(woocommerce, "orders"), (shopify, "customers")] {
        let path = format!("{}&limit=3", list(resource, store));
        let mut by_cursor: Vec<String> = vec![];
        let mut next = path.clone();
        while by_cursor.len() < 12 {
            let page = kata.get(&next).await.expect(StatusCode::OK);
            by_cursor.extend(ids(&page.json()));
            let Some(cursor) = page.at("/meta/next_cursor").as_str().map(str::to_owned) else { break };
            next = format!("{path}&cursor={cursor}");
        }
        let mut by_number = vec![];
        for number in 1..=4 {
            let page = kata.get(&format!("{path}&page={number}")).await.expect(StatusCode::OK);
            assert_eq!(page.at("/meta/page"), number);
            by_number.extend(ids(&page.json()));
        }
        assert_eq!(by_cursor, by_number, "{resource}");
        let mut unique = by_cursor.clone();
        unique.sort();
        unique.dedup();
        assert_eq!((unique.len(), by_cursor.len()), (12, 12), "{resource}");
        kata.get(&format!("{path}&page=2&cursor=x")).await.expect_problem(400, "invalid_request");
    }
    kata.get(&format!("{}&page=11", list("customers", shopify))).await.expect_problem(400, "use_cursor");
    kata.get(&format!("{}&page=11&limit=1", list("orders", woocommerce))).await.expect(StatusCode::OK);
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn only_what_is_asked_for_is_answered() {
    let app = TestApp::start().await;
    let kata = app.sign_up("Kata").await;
    for store in [kata.connect_woocommerce("kavebolt.example").await, kata.connect_shopify("kis-bolt").await] {
        let page =
            kata.get(&format!("{}&fields=number,total&limit=3", list("orders", store))).await.expect(StatusCode::OK);
        for order in page.at("/data").as_array().expect("orders") {
            let names: Vec<&String> = order.as_object().expect("an order").keys().collect();
            assert_eq!(names, ["id", "number", "total"]);
        }
        let page = kata.get(&format!("{}&limit=3", list("orders", store))).await.expect(StatusCode::OK);
        assert!(page.at("/data/0/platform_specific").is_null(), "must be asked for");
        let page = kata
            .get(&format!("{}&limit=1&fields=platform_specific", list("orders", store)))
            .await
            .expect(StatusCode::OK);
        assert!(page.at("/data/0/platform_specific").is_object(), "{}", page.short());
        let id = page.at("/data/0/id").as_str().expect("an id").to_owned();
        let one = kata.get(&format!("/webshop-data-api/orders/{id}?store_id={store}")).await.expect(StatusCode::OK);
        assert_eq!(one.at("/data/id"), id);
        assert!(one.at("/data/platform_specific").is_object(), "one record has all that it has");
        assert_eq!(one.header("cache-control"), "no-store");
        let number = format!("/webshop-data-api/orders/{id}?store_id={store}&fields=number");
        let one = kata.get(&number).await.expect(StatusCode::OK);
        assert_eq!(one.at("/data").as_object().expect("an order").keys().collect::<Vec<_>>(), ["id", "number"]);
        kata.get(&format!("/webshop-data-api/orders/999999999?store_id={store}"))
            .await
            .expect_problem(404, "not_found");
    }
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn filters_find_what_they_name_and_nothing_else() {
    let app = TestApp::start().await;
    let kata = app.sign_up("Kata").await;
    for store in [kata.connect_woocommerce("kavebolt.example").await, kata.connect_shopify("kis-bolt").await] {
        let all = kata.get(&format!("{}&limit=100", list("customers", store))).await.expect(StatusCode::OK);
        let somebody = all
            .at("/data")
            .as_array()
            .expect("customers")
            .iter()
            .find(|one| one["email"].is_string())
            .cloned()
            .expect("somebody");
        let search = json!({ "store_id": store, "email": somebody["email"] });
        let found = kata.post("/webshop-data-api/customers/search", search).await.expect(StatusCode::OK);
        assert_eq!(ids(&found.json()), [somebody["id"].as_str().expect("an id")], "{}", found.short());
        let nobody = json!({ "store_id": store, "email": "nobody.at.all@example.com" });
        let found = kata.post("/webshop-data-api/customers/search", nobody).await.expect(StatusCode::OK);
        assert_eq!(found.at("/data"), json!([]), "an unknown address finds nobody");
        for status in ["pending", "processing", "on_hold", "completed", "cancelled", "refunded", "failed"] {
            let page =
                kata.get(&format!("{}&status={status}&limit=100", list("orders", store))).await.expect(StatusCode::OK);
            for order in page.at("/data").as_array().expect("orders") {
                assert_eq!(order["status"], status);
            }
        }
        let two: Vec<String> = ids(&all.json()).into_iter().take(2).collect();
        let found =
            kata.get(&format!("{}&ids={}", list("customers", store), two.join(","))).await.expect(StatusCode::OK);
        let mut found = ids(&found.json());
        found.sort();
        let mut two = two;
        two.sort();
        assert_eq!(found, two);
    }
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_closed_door_is_named_for_what_it_is() {
    let app = TestApp::start().await;
    let kata = app.sign_up("Kata").await;
    let store = kata.connect_woocommerce("kavebolt.example").await;
    let path = format!("/api/integrations/connections/{store}/");
    kata.patch(&path, json!({ "enabled_capabilities": ["read_orders"] })).await.expect(StatusCode::OK);
    let before = upstream_calls(&app);
    kata.get(&list("customers", store)).await.expect_problem(403, "data_access_disabled");
    assert_eq!(upstream_calls(&app), before);
    kata.get(&list("orders", store)).await.expect(StatusCode::OK);
    kata.post(&format!("{path}revoke/"), json!({})).await.expect(StatusCode::OK);
    kata.get(&list("orders", store)).await.expect_problem(424, "store_reauthorization_required");
    app.finish().await;
}
