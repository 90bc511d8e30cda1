//! Who may read: Basic, query keys, OAuth 1.0a; permissions and roles.

use crate::lab::{Lab, Signing, admin, encode};
use http::Method;
use sandbox::Options;
use sandbox::woocommerce::{ApiKey, Permissions, ShopSpec, Transport};
use sandbox::world::{Market, Role};

const ORDERS: &str = "https://kavebolt.example/wp-json/wc/v3/orders";
const CANNOT_VIEW: &str = "woocommerce_rest_cannot_view";
const AUTHENTICATION: &str = "woocommerce_rest_authentication_error";

#[track_caller]
fn refused(reply: &crate::lab::Reply, message: &str) {
    assert_eq!(reply.error(), (401, AUTHENTICATION.into()));
    assert_eq!(reply.json()["message"], message);
    assert!(!reply.headers.contains_key("www-authenticate"));
}

#[tokio::test]
async fn basic_and_query_keys_work_over_https() {
    let lab = Lab::start().await;
    let key = admin(lab.shop("kavebolt.example"));
    assert_eq!(lab.get(&key, ORDERS).await.status, 200);
    let query = format!("consumer_key={}&consumer_secret={}", key.consumer_key, key.consumer_secret);
    assert_eq!(lab.anonymous(&format!("{ORDERS}?{query}")).await.status, 200);
}

#[tokio::test]
async fn no_key_and_an_unknown_key_look_the_same_but_a_wrong_secret_is_told() {
    let lab = Lab::start().await;
    let key = admin(lab.shop("kavebolt.example"));
    assert_eq!(lab.anonymous(ORDERS).await.error(), (401, CANNOT_VIEW.into()));
    let unknown = ApiKey { consumer_key: "ck_unknown".into(), ..key.clone() };
    assert_eq!(lab.get(&unknown, ORDERS).await.error(), (401, CANNOT_VIEW.into()));
    let wrong = ApiKey { consumer_secret: "cs_wrong".into(), ..key.clone() };
    refused(&lab.get(&wrong, ORDERS).await, "Consumer secret is invalid.");
    lab.shop("kavebolt.example").revoke_key(&key.consumer_key);
    assert_eq!(lab.get(&key, ORDERS).await.error(), (401, CANNOT_VIEW.into()), "a revoked key is unknown");
}

#[tokio::test]
async fn query_keys_come_before_the_basic_header() {
    let lab = Lab::start().await;
    let key = admin(lab.shop("kavebolt.example"));
    let url = format!("{ORDERS}?consumer_key={}&consumer_secret=cs_wrong", key.consumer_key);
    refused(&lab.get(&key, &url).await, "Consumer secret is invalid.");
}

#[tokio::test]
async fn over_plain_http_only_oauth_counts() {
    let lab = Lab::start().await;
    let key = admin(lab.shop("csapagy.example"));
    let url = "http://csapagy.example/wp-json/wc/v3/orders";
    assert_eq!(lab.get(&key, url).await.error(), (401, CANNOT_VIEW.into()));
    let keys = format!("{url}?consumer_key={}&consumer_secret={}", key.consumer_key, key.consumer_secret);
    assert_eq!(lab.anonymous(&keys).await.error(), (401, CANNOT_VIEW.into()));
    let timestamp = sandbox::Clock::default().now().timestamp();
    let query =
        Signing { key: &key, signed_url: url, timestamp, nonce: "n1" }.query(&[("search", "ő +/ b~c"), ("page", "1")]);
    assert_eq!(lab.anonymous(&format!("{url}?{query}")).await.status, 200);
}

#[tokio::test]
async fn behind_a_proxy_that_hides_the_scheme_basic_is_ignored_and_the_signature_is_made_for_http() {
    let lab = Lab::start().await;
    let key = admin(lab.shop("lampa.example"));
    let url = "https://lampa.example/wp-json/wc/v3/orders";
    assert_eq!(lab.get(&key, url).await.error(), (401, CANNOT_VIEW.into()));
    let timestamp = sandbox::Clock::default().now().timestamp();
    let as_https = Signing { key: &key, signed_url: url, timestamp, nonce: "n1" }.query(&[]);
    refused(
        &lab.anonymous(&format!("{url}?{as_https}")).await,
        "Invalid signature - provided signature does not match.",
    );
    let http_url = "http://lampa.example/wp-json/wc/v3/orders";
    let as_http = Signing { key: &key, signed_url: http_url, timestamp, nonce: "n2" }.query(&[]);
    assert_eq!(lab.anonymous(&format!("{url}?{as_http}")).await.status, 200);
}

#[tokio::test]
async fn the_published_oauth_vectors_are_accepted_and_fail_when_anything_changes() {
    let Some(vectors) = crate::shapes::sample("test_vectors.json") else { return };
    let specs = |path: &str| {
        let spec = ShopSpec::new("shop.example", "Shop", Market::GERMANY);
        vec![ShopSpec { path: path.to_owned(), transport: Transport::HttpOnly, ..spec }]
    };
    for vector in vectors["oauth1"].as_array().unwrap() {
        let url = vector["url"].as_str().unwrap();
        let path = if url.contains("/sub/") { "/sub" } else { "" };
        let lab = Lab::with(Options { woocommerce: specs(path), ..Options::default() }).await;
        let text = |name: &str| vector["params_decoded"][name].as_str().unwrap().to_owned();
        let key = ApiKey {
            consumer_key: text("oauth_consumer_key"),
            consumer_secret: vector["consumer_secret"].as_str().unwrap().to_owned(),
            permissions: Permissions::Read,
            role: Role::Administrator,
        };
        lab.shop("shop.example").add_key(key);
        let at = chrono::DateTime::from_timestamp(text("oauth_timestamp").parse().unwrap(), 0).unwrap();
        let params = vector["params_decoded"].as_object().unwrap();
        let query: Vec<String> = params
            .iter()
            .map(|(name, value)| format!("{}={}", encode(name), encode(value.as_str().unwrap())))
            .collect();
        let signature = encode(vector["oauth_signature"].as_str().unwrap());
        let signed = format!("{url}?{}&oauth_signature={signature}", query.join("&"));
        let early = lab.anonymous(&signed).await;
        refused(&early, "Invalid timestamp.");
        let clock = lab.sandbox.clock();
        clock.set_now(at);
        let changed = format!("{signed}&extra=1");
        refused(&lab.anonymous(&changed).await, "Invalid signature - provided signature does not match.");
        assert_eq!(lab.anonymous(&signed).await.status, 200, "{signed}");
        refused(&lab.anonymous(&signed).await, "Invalid nonce - nonce has already been used.");
    }
}

#[tokio::test]
async fn timestamps_may_be_fifteen_minutes_off_and_no_more() {
    let lab = Lab::start().await;
    let key = admin(lab.shop("csapagy.example"));
    let url = "http://csapagy.example/wp-json/wc/v3/customers";
    let now = lab.sandbox.clock().now().timestamp();
    for (offset, good) in [(-890, true), (890, true), (-910, false), (910, false)] {
        let nonce = format!("n{offset}");
        let query = Signing { key: &key, signed_url: url, timestamp: now + offset, nonce: &nonce }.query(&[]);
        let reply = lab.anonymous(&format!("{url}?{query}")).await;
        if good {
            assert_eq!(reply.status, 200, "{offset}");
        } else {
            refused(&reply, "Invalid timestamp.");
        }
    }
}

#[tokio::test]
async fn the_signature_is_for_the_configured_home_not_for_the_host_called() {
    let lab = Lab::start().await;
    let key = admin(lab.shop("kavebolt.example"));
    let called = "https://www.kavebolt.example/wp-json/wc/v3/orders";
    let timestamp = lab.sandbox.clock().now().timestamp();
    let wrong = Signing { key: &key, signed_url: called, timestamp, nonce: "a" }.query(&[]);
    refused(
        &lab.anonymous(&format!("{called}?{wrong}")).await,
        "Invalid signature - provided signature does not match.",
    );
    let right = Signing { key: &key, signed_url: ORDERS, timestamp, nonce: "b" }.query(&[]);
    assert_eq!(lab.anonymous(&format!("{called}?{right}")).await.status, 200);
}

#[tokio::test]
async fn array_parameters_verify_with_indexes_only() {
    let lab = Lab::start().await;
    let key = admin(lab.shop("csapagy.example"));
    let url = "http://csapagy.example/wp-json/wc/v3/orders";
    let timestamp = lab.sandbox.clock().now().timestamp();
    let signing = |nonce| Signing { key: &key, signed_url: url, timestamp, nonce };
    let bare = signing("a").query(&[("include[]", "1")]);
    refused(&lab.anonymous(&format!("{url}?{bare}")).await, "Invalid signature - provided signature does not match.");
    let indexed = signing("b").query(&[("include[0]", "1"), ("include[1]", "2")]);
    assert_eq!(lab.anonymous(&format!("{url}?{indexed}")).await.status, 200);
}

#[tokio::test]
async fn oauth_tells_what_is_missing_and_that_a_key_is_unknown() {
    let lab = Lab::start().await;
    let key = admin(lab.shop("csapagy.example"));
    let url = "http://csapagy.example/wp-json/wc/v3/orders";
    let reply = lab.anonymous(&format!("{url}?oauth_consumer_key=x&oauth_nonce=y")).await;
    assert_eq!(reply.error(), (401, "woocommerce_rest_authentication_missing_parameter".into()));
    assert_eq!(
        reply.json()["message"],
        "Missing OAuth parameters oauth_timestamp, oauth_signature, oauth_signature_method"
    );
    let unknown = ApiKey { consumer_key: "ck_unknown".into(), ..key };
    let query = Signing { key: &unknown, signed_url: url, timestamp: 1, nonce: "n" }.query(&[]);
    refused(&lab.anonymous(&format!("{url}?{query}")).await, "Consumer key is invalid.");
}

#[tokio::test]
async fn oauth_parameters_may_come_in_the_header() {
    let lab = Lab::start().await;
    let key = admin(lab.shop("csapagy.example"));
    let url = "http://csapagy.example/wp-json/wc/v3/orders";
    let timestamp = lab.sandbox.clock().now().timestamp();
    let query = Signing { key: &key, signed_url: url, timestamp, nonce: "h" }.query(&[]);
    let header = query.split('&').map(|pair| pair.replacen('=', "=\"", 1) + "\"").collect::<Vec<_>>().join(", ");
    let request = lab.request(Method::GET, url).header("authorization", format!("OAuth {header}"));
    assert_eq!(lab.send(request).await.status, 200);
}

#[tokio::test]
async fn a_key_reads_or_writes_as_it_was_made_for() {
    let lab = Lab::start().await;
    let shop = lab.shop("kavebolt.example");
    let write = shop.key(Permissions::Write, Role::Administrator).unwrap();
    refused(&lab.get(&write, ORDERS).await, "The API key provided does not have read permissions.");
    let read = shop.key(Permissions::Read, Role::Administrator).unwrap();
    assert_eq!(lab.get(&read, ORDERS).await.status, 200);
    let post = lab.request(Method::POST, ORDERS).basic_auth(&read.consumer_key, Some(&read.consumer_secret));
    refused(&lab.send(post).await, "The API key provided does not have write permissions.");
    let overridden = format!("{ORDERS}?_method=DELETE");
    refused(&lab.get(&read, &overridden).await, "The API key provided does not have write permissions.");
}

#[tokio::test]
async fn staff_reads_everything_and_a_customer_nothing() {
    let lab = Lab::start().await;
    let shop = lab.shop("kavebolt.example");
    let (manager, customer) = (
        shop.key(Permissions::ReadWrite, Role::ShopManager).unwrap(),
        shop.key(Permissions::ReadWrite, Role::Customer).unwrap(),
    );
    let order = shop.read(|world| world.orders[30].id);
    for path in [
        "orders",
        "customers",
        "products",
        "system_status",
        "settings/general",
        "data/currencies/current",
        &format!("orders/{order}"),
    ] {
        let url = format!("https://kavebolt.example/wp-json/wc/v3/{path}");
        assert_eq!(lab.get(&manager, &url).await.status, 200, "{path}");
        assert_eq!(lab.get(&customer, &url).await.error(), (403, CANNOT_VIEW.into()), "{path}");
        assert_eq!(lab.anonymous(&url).await.error(), (401, CANNOT_VIEW.into()), "{path}");
    }
}

#[tokio::test]
async fn parameters_are_checked_before_anyone_is_asked_who_they_are() {
    let lab = Lab::start().await;
    assert_eq!(lab.anonymous(&format!("{ORDERS}?per_page=101")).await.error(), (400, "rest_invalid_param".into()));
    assert_eq!(
        lab.anonymous(&format!("{ORDERS}/1")).await.error(),
        (404, "woocommerce_rest_shop_order_invalid_id".into())
    );
}

#[tokio::test]
async fn the_simulator_does_not_pretend_to_write() {
    let lab = Lab::start().await;
    let key = admin(lab.shop("kavebolt.example"));
    let post = lab.request(Method::POST, ORDERS).basic_auth(&key.consumer_key, Some(&key.consumer_secret));
    assert_eq!(lab.send(post).await.error(), (501, "sandbox_not_simulated".into()));
}
