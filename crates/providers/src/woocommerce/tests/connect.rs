use chrono::Duration;
use connector::{ProviderError, provider::ConnectError};
use http::{HeaderMap, HeaderValue, StatusCode, header};
use sandbox::{
    faults::{Fault, Rule},
    woocommerce::{Permissions, ShopSpec},
    world::{Market, Role},
};
use serde_json::{Value, json};

use super::shop::{Net, blamed, key};

/// A home page that announces this.
fn page_with_link(link: &'static str) -> Fault {
    let headers = HeaderMap::from_iter([(header::LINK, HeaderValue::from_static(link))]);
    Fault::Answer { status: StatusCode::OK, headers, body: "<!DOCTYPE html>".into() }
}

#[tokio::test]
async fn an_ordinary_shop_is_connected_with_basic() {
    let net = Net::start().await;
    let established = net.connect_reader("kavebolt.example", "kavebolt.example").await.unwrap();
    assert_eq!(established.external_account, "kavebolt.example");
    assert_eq!(established.display_name, "Kávébolt & Pörkölő");
    let config = &established.config;
    assert_eq!(config["auth"], "basic");
    assert_eq!(config["home"], "https://kavebolt.example/");
    assert_eq!(config["rest_root"], "https://kavebolt.example/wp-json/");
    assert_eq!(config["currency"], "HUF");
    assert_eq!(config["timezone"], "Europe/Budapest");
    assert_eq!(config["version"], "11.0.1");
    assert_eq!(config["warnings"], json!([]));
    let queries: Vec<_> = net.shop("kavebolt.example").calls().last().into_iter().map(|call| call.query).collect();
    assert!(!queries.iter().any(|query| query.contains("consumer_")), "keys are in addresses: {queries:?}");
}

#[tokio::test]
async fn whichever_form_of_the_address_is_typed_the_account_is_the_same() {
    let net = Net::start().await;
    for typed in ["https://www.kavebolt.example/", "http://kavebolt.example", "https://KAVEBOLT.example/wp-admin/?x=1"]
    {
        let established = net.connect_reader(typed, "kavebolt.example").await.unwrap();
        assert_eq!(established.external_account, "kavebolt.example", "{typed}");
        assert_eq!(established.config["auth"], "basic", "{typed}");
    }
}

#[tokio::test]
async fn a_shop_without_https_is_connected_with_signatures_and_a_warning() {
    let net = Net::start().await;
    let established = net.connect_reader("http://csapagy.example", "csapagy.example").await.unwrap();
    assert_eq!(established.config["auth"], "oauth_http");
    assert_eq!(established.config["home"], "http://csapagy.example/");
    assert!(established.config["warnings"][0].as_str().unwrap().contains("unencrypted"));
    for call in net.shop("csapagy.example").calls().last() {
        assert!(!call.query.contains("consumer_secret"), "the secret travels in the open");
    }
    let (field, message) = blamed(net.connect_reader("csapagy.example", "csapagy.example").await);
    assert_eq!(field, "shop_url");
    assert!(message.contains("http://"), "{message}");
    let error = net.connect_reader("https://csapagy.example", "csapagy.example").await.err().unwrap();
    assert!(matches!(error, ConnectError::Provider(ProviderError::Unavailable { .. })), "{error}");
}

#[tokio::test]
async fn a_proxy_that_hides_https_is_seen_through() {
    let net = Net::start().await;
    let established = net.connect_reader("lampa.example", "lampa.example").await.unwrap();
    assert_eq!(established.config["auth"], "oauth_http");
    assert!(established.config["rest_root"].as_str().unwrap().starts_with("https://"));
    assert_eq!(established.config["warnings"], json!([]), "what is read travels encrypted");
}

#[tokio::test]
async fn a_server_that_strips_the_header_gets_the_keys_in_the_query() {
    let net = Net::start().await;
    net.shop("kavebolt.example").faults().inject(Fault::StripAuthorization);
    let established = net.connect_reader("kavebolt.example", "kavebolt.example").await.unwrap();
    assert_eq!(established.config["auth"], "query_keys");
    assert_eq!(established.config["warnings"].as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn a_shop_in_a_folder_is_an_account_of_its_own() {
    let net = Net::start().await;
    let established = net.connect_reader("https://nagyker.example/bolt/", "nagyker.example").await.unwrap();
    assert_eq!(established.external_account, "nagyker.example/bolt");
    assert_eq!(established.config["rest_root"], "https://nagyker.example/bolt/wp-json/");
    assert_eq!(established.config["timezone"], "");
    assert_eq!(established.config["gmt_offset_minutes"], 180);
}

#[tokio::test]
async fn plain_permalinks_are_refused_before_a_key_is_shown() {
    let net = Net::start().await;
    let (field, message) = blamed(net.connect_reader("regi.example", "regi.example").await);
    assert_eq!(field, "shop_url");
    assert!(message.contains("Permalinks"), "{message}");
    let calls = net.shop("regi.example").calls().last();
    assert!(calls.iter().all(|call| !call.path.contains("wc/v3") && !call.query.contains("wc/v3")), "{calls:?}");
}

#[tokio::test]
async fn plain_permalinks_are_found_without_the_link_too() {
    let net = Net::start().await;
    let front = Rule::from(Fault::html(StatusCode::OK, "A theme that removes the link")).times(1);
    net.shop("regi.example").faults().inject(front);
    let (field, message) = blamed(net.connect_reader("regi.example", "regi.example").await);
    assert_eq!(field, "shop_url");
    assert!(message.contains("Permalinks"), "{message}");
}

#[tokio::test]
async fn a_shop_is_found_without_the_link() {
    let net = Net::start().await;
    let front = Rule::from(Fault::html(StatusCode::OK, "A theme that removes the link")).times(1);
    net.shop("kavebolt.example").faults().inject(front);
    assert!(net.connect_reader("kavebolt.example", "kavebolt.example").await.is_ok());
}

#[tokio::test]
async fn a_site_without_woocommerce_is_told_apart() {
    let spec = ShopSpec { active: false, ..ShopSpec::new("blog.example", "A blog", Market::GERMANY) };
    let net = Net::with(vec![spec]).await;
    let (field, message) = blamed(net.connect_reader("blog.example", "blog.example").await);
    assert_eq!(field, "shop_url");
    assert!(message.contains("WooCommerce is not active"), "{message}");
}

#[tokio::test]
async fn a_site_that_is_not_wordpress_is_told_apart() {
    let net = Net::start().await;
    net.shop("kavebolt.example").faults().inject(Fault::html(StatusCode::OK, "Some other shop system"));
    let (field, message) = blamed(net.connect_reader("kavebolt.example", "kavebolt.example").await);
    assert_eq!(field, "shop_url");
    assert!(message.contains("no WordPress site"), "{message}");
}

#[tokio::test]
async fn each_mistake_with_keys_blames_the_field_that_can_mend_it() {
    let net = Net::start().await;
    let host = "kavebolt.example";
    let good = key(net.shop(host), Permissions::Read, Role::Administrator);
    let other = key(net.shop(host), Permissions::ReadWrite, Role::ShopManager);
    let unknown = format!("ck_{}", "0".repeat(40));

    let (field, message) = blamed(net.connect(host, &good.consumer_key, &other.consumer_secret).await);
    assert_eq!(field, "consumer_secret", "{message}");

    let (field, message) = blamed(net.connect(host, &unknown, &good.consumer_secret).await);
    assert_eq!(field, "consumer_key", "{message}");
    assert!(message.contains("does not know"), "{message}");

    let write = key(net.shop(host), Permissions::Write, Role::Administrator);
    let (field, message) = blamed(net.connect(host, &write.consumer_key, &write.consumer_secret).await);
    assert_eq!(field, "consumer_secret");
    assert!(message.contains("permission"), "{message}");

    let buyer = key(net.shop(host), Permissions::ReadWrite, Role::Customer);
    let (field, message) = blamed(net.connect(host, &buyer.consumer_key, &buyer.consumer_secret).await);
    assert_eq!(field, "consumer_key");
    assert!(message.contains("shop manager"), "{message}");

    net.shop(host).calls().clear();
    let (field, _) = blamed(net.connect(host, &good.consumer_secret, &good.consumer_key).await);
    assert_eq!(field, "consumer_key", "the two are swapped");
    assert_eq!(net.shop(host).calls().count(), 0, "and the shop need not be asked");
}

#[tokio::test]
async fn a_shop_managers_key_is_enough() {
    let net = Net::start().await;
    let manager = key(net.shop("tea.example"), Permissions::ReadWrite, Role::ShopManager);
    let established =
        net.connect("tea.example", &manager.consumer_key, &format!("  {}\n", manager.consumer_secret)).await;
    assert_eq!(established.unwrap().config["currency"], "JPY");
}

#[tokio::test]
async fn a_wrong_key_is_told_over_signatures_too() {
    let net = Net::start().await;
    let unknown = (format!("ck_{}", "0".repeat(40)), format!("cs_{}", "0".repeat(40)));
    for address in ["http://csapagy.example", "lampa.example"] {
        let (field, message) = blamed(net.connect(address, &unknown.0, &unknown.1).await);
        assert_eq!(field, "consumer_key", "{address}: {message}");
    }
}

#[tokio::test]
async fn a_shop_whose_clock_is_wrong_is_signed_for_in_its_own_time() {
    let net = Net::start().await;
    let shop = net.shop("csapagy.example");
    for hours in [3, -3] {
        shop.faults().clear();
        shop.faults().inject(Fault::WrongClock(Duration::hours(hours)));
        let established = net.connect_reader("http://csapagy.example", "csapagy.example").await.unwrap();
        let offset = established.config["clock_offset_s"].as_i64().unwrap();
        assert!((offset - hours * 3600).abs() <= 2, "{offset} s instead of {hours} h");
    }
}

#[tokio::test]
async fn what_stands_before_the_shop_is_told_apart_from_it() {
    let net = Net::start().await;
    let host = "kavebolt.example";
    let told = async |fault: Rule| {
        let faults = net.shop(host).faults();
        faults.clear();
        faults.inject(fault);
        net.connect_reader(host, host).await
    };
    let blocked = || Rule::from(Fault::html(StatusCode::FORBIDDEN, "Wordfence"));
    let json = |body: &'static str, status| Rule::from(Fault::answer(status, "application/json", body));

    for rule in [blocked(), blocked().on("/wp-json"), blocked().on("/wc/v3/orders")] {
        let (field, message) = blamed(told(rule).await);
        assert_eq!(field, "shop_url");
        assert!(message.contains("firewall"), "{message}");
    }
    let bot_check = Rule::from(Fault::html(StatusCode::OK, "Just a moment…")).on("/wc/v3/");
    assert!(blamed(told(bot_check).await).1.contains("firewall"));

    let staging = Rule::from(Fault::html(StatusCode::UNAUTHORIZED, "Staging")).on("/wp-json");
    assert!(blamed(told(staging).await).1.contains("password"));

    let closed = json(r#"{"code":"rest_login_required","message":"","data":{"status":401}}"#, StatusCode::UNAUTHORIZED);
    assert!(blamed(told(closed.on("/wp-json")).await).1.contains("closes its REST API"));

    for rule in [
        Rule::from(Fault::html(StatusCode::SERVICE_UNAVAILABLE, "Maintenance")).on("/wp-json"),
        Rule::from(Fault::php_fatal()).on("/wc/v3/"),
        Rule::from(Fault::CutBeforeHeaders).on("/wc/v3/"),
    ] {
        let error = told(rule.clone()).await.err().unwrap();
        let is_away =
            matches!(error, ConnectError::Provider(ProviderError::Unavailable { .. } | ProviderError::Cut { .. }));
        assert!(is_away, "{rule:?}: {error}");
    }
    let limited = Rule::from(Fault::too_many_requests(Some(std::time::Duration::from_secs(7)))).on("/wp-json");
    let error = told(limited).await.err().unwrap();
    assert!(matches!(error, ConnectError::Provider(ProviderError::RateLimited { .. })), "{error}");
}

#[tokio::test]
async fn a_shop_cannot_pass_itself_off_as_another() {
    let net = Net::start().await;
    let index = r#"{"name":"x","home":"https://tea.example","url":"https://tea.example","namespaces":["wc/v3"]}"#;
    let lie = Rule::from(Fault::answer(StatusCode::OK, "application/json", index)).on("/wp-json");
    net.shop("kavebolt.example").faults().inject(lie);
    let (field, message) = blamed(net.connect_reader("kavebolt.example", "kavebolt.example").await);
    assert_eq!(field, "shop_url");
    assert!(message.contains("tea.example"), "{message}");
    assert_eq!(net.shop("tea.example").calls().count(), 0);
}

#[tokio::test]
async fn a_page_cannot_send_keys_to_another_host() {
    let net = Net::start().await;
    let page = page_with_link("<https://tea.example/wp-json/>; rel=\"https://api.w.org/\"");
    net.shop("kavebolt.example").faults().inject(page);
    let (field, message) = blamed(net.connect_reader("kavebolt.example", "kavebolt.example").await);
    assert_eq!(field, "shop_url");
    assert!(message.contains("tea.example"), "{message}");
    assert_eq!(net.shop("tea.example").calls().count(), 0);
}

#[tokio::test]
async fn a_site_that_believes_itself_on_http_is_called_by_https_all_the_same() {
    let net = Net::start().await;
    let page = page_with_link("<http://kavebolt.example/wp-json/>; rel=\"https://api.w.org/\"");
    let shop = net.shop("kavebolt.example");
    shop.faults().inject(Rule::from(page).times(1));
    let established = net.connect_reader("https://kavebolt.example", "kavebolt.example").await.unwrap();
    assert_eq!(established.config["rest_root"], "https://kavebolt.example/wp-json/");
    let asked = shop.calls().last().into_iter().filter(|call| call.path == "/wp-json/").count();
    assert_eq!(asked, 1, "by https at once, not by http and its redirect");
}

#[tokio::test]
async fn keys_must_read_all_three_resources() {
    let net = Net::start().await;
    let refused = r#"{"code":"woocommerce_rest_cannot_view","message":"","data":{"status":403}}"#;
    for resource in ["orders", "products", "customers"] {
        let faults = net.shop("kavebolt.example").faults();
        faults.clear();
        let refusal = Fault::answer(StatusCode::FORBIDDEN, "application/json", refused);
        faults.inject(Rule::from(refusal).on(&format!("/wc/v3/{resource}")));
        let (field, message) = blamed(net.connect_reader("kavebolt.example", "kavebolt.example").await);
        assert_eq!(field, "consumer_key");
        assert!(message.contains(resource), "{message}");
    }
}

#[tokio::test]
async fn settings_that_keys_may_not_read_are_left_open() {
    let net = Net::start().await;
    let shop = net.shop("kavebolt.example");
    let refused = r#"{"code":"woocommerce_rest_cannot_view","message":"","data":{"status":403}}"#;
    for path in ["system_status", "settings", "data/"] {
        shop.faults().inject(Rule::from(Fault::answer(StatusCode::FORBIDDEN, "application/json", refused)).on(path));
    }
    let established = net.connect_reader("kavebolt.example", "kavebolt.example").await.unwrap();
    for fact in ["currency", "version", "weight_unit", "price_decimals"] {
        assert_eq!(established.config[fact], Value::Null, "{fact}");
    }
}
