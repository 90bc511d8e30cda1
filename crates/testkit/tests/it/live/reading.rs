use axum::http::StatusCode;
use serde_json::json;
use testkit::TestApp;

#[tokio::test(flavor = "multi_thread")]
async fn orders_of_both_platforms_are_read_with_a_key() {
    let app = TestApp::start().await;
    let kata = app.sign_up("Kata").await;
    let key = kata.create_key("reader").await;
    let kavebolt = kata.connect_woocommerce("kavebolt.example").await;
    let kis_bolt = kata.connect_shopify("kis-bolt").await;
    for (store, coverage) in [(kavebolt, json!([])), (kis_bolt, json!(["last_60_days"]))] {
        let answer =
            key.get(&format!("/webshop-data-api/orders?store_id={store}&limit=3")).await.expect(StatusCode::OK);
        let orders = answer.at("/data");
        assert_eq!(orders.as_array().map(Vec::len), Some(3), "{}", answer.short());
        assert!(orders[0]["total"].is_string() && orders[0]["currency"] == "HUF", "{}", orders[0]);
        assert!(orders[0]["customer"].is_object(), "{}", orders[0]);
        assert_eq!(answer.at("/meta/store"), store.to_string());
        assert_eq!(answer.at("/meta/coverage"), coverage);
    }
    app.finish().await;
}
