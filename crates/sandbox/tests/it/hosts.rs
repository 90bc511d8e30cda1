//! Where shops are: certificates, addresses, the way to the REST API.

use crate::lab::{Lab, admin};
use http::Method;
use sandbox::{Options, Sandbox};

#[tokio::test]
async fn every_shop_answers_over_tls_that_only_the_private_authority_vouches_for() {
    let lab = Lab::start().await;
    for host in ["kavebolt.example", "lampa.example", "tea.example"] {
        let reply = lab.anonymous(&format!("https://{host}/wp-json/")).await;
        assert_eq!(reply.status, 200, "{host}");
        assert_eq!(reply.version, http::Version::HTTP_2);
    }
    #[expect(clippy::disallowed_methods, reason = "a client that does not know the private authority")]
    let stranger =
        reqwest::Client::builder().resolve("kavebolt.example", lab.sandbox.tls_addr()).no_proxy().build().unwrap();
    assert!(
        stranger.get("https://kavebolt.example/").send().await.is_err(),
        "an unknown authority must not be trusted"
    );
}

#[tokio::test]
async fn a_name_that_no_shop_has_gets_neither_certificate_nor_page() {
    let lab = Lab::start().await;
    assert!(lab.request(Method::GET, "https://stranger.example/").send().await.is_err());
    assert_eq!(lab.anonymous("http://stranger.example/").await.status, 421);
}

#[tokio::test]
async fn a_plain_shop_has_no_https_and_the_others_send_http_to_https() {
    let lab = Lab::start().await;
    assert!(lab.request(Method::GET, "https://csapagy.example/").send().await.is_err());
    assert_eq!(lab.anonymous("http://csapagy.example/").await.status, 200);
    let reply = lab.anonymous("http://kavebolt.example/wp-json/wc/v3/orders?page=2").await;
    assert_eq!(
        (reply.status.as_u16(), reply.header("location")),
        (301, "https://kavebolt.example/wp-json/wc/v3/orders?page=2")
    );
}

#[tokio::test]
async fn the_authority_is_the_same_after_a_restart_with_a_data_directory_and_another_without() {
    let dir = tempfile::tempdir().unwrap();
    let start = async |data_dir| {
        let sandbox = Sandbox::start(Options { data_dir, ..Options::default() }).await.unwrap();
        let pem = sandbox.ca_certificate_pem();
        sandbox.shutdown().await;
        pem
    };
    let kept = start(Some(dir.path().to_owned())).await;
    assert_eq!(kept, start(Some(dir.path().to_owned())).await);
    assert_ne!(start(None).await, start(None).await);
    // A certificate minted by the authority that was read back is good.
    let lab = Lab::with(Options { data_dir: Some(dir.path().to_owned()), ..Options::default() }).await;
    assert_eq!(lab.anonymous("https://tea.example/").await.status, 200);
    use std::os::unix::fs::PermissionsExt;
    let mode = std::fs::metadata(dir.path().join("ca.key.pem")).unwrap().permissions().mode();
    assert_eq!(mode & 0o077, 0, "the key is for its owner only");
}

#[tokio::test]
async fn shutting_down_frees_the_ports() {
    let sandbox = Sandbox::start(Options::default()).await.unwrap();
    let (tls, http) = (sandbox.tls_addr(), sandbox.http_addr());
    sandbox.shutdown().await;
    let options = Options { tls_port: Some(tls.port()), http_port: Some(http.port()), ..Options::default() };
    let again = Sandbox::start(options.clone()).await.unwrap();
    assert_eq!(again.tls_addr(), tls);
    assert!(Sandbox::start(options).await.is_err(), "a port that is taken is an error");
}

#[tokio::test]
async fn the_front_page_says_where_the_rest_api_is() {
    let lab = Lab::start().await;
    for (url, api) in [
        ("https://kavebolt.example/", "https://kavebolt.example/wp-json/"),
        ("https://nagyker.example/bolt/", "https://nagyker.example/bolt/wp-json/"),
        ("https://regi.example/", "https://regi.example/?rest_route=/"),
        ("http://csapagy.example/", "http://csapagy.example/wp-json/"),
    ] {
        let head = lab.send(lab.request(Method::HEAD, url)).await;
        assert_eq!(head.header("link"), format!("<{api}>; rel=\"https://api.w.org/\""));
        assert_eq!(head.body, "");
        let page = lab.anonymous(url).await;
        assert!(page.body.contains(&format!("<link rel=\"https://api.w.org/\" href=\"{api}\"")), "{}", page.body);
    }
}

#[tokio::test]
async fn the_index_is_open_to_all_and_tells_home_zone_and_namespaces() {
    let lab = Lab::start().await;
    let fields = "_fields=name,url,home,gmt_offset,timezone_string,namespaces";
    let index = lab.anonymous(&format!("https://tea.example/wp-json/?{fields}")).await.json();
    assert_eq!(index["home"], "https://tea.example");
    assert_eq!((&index["timezone_string"], &index["gmt_offset"]), (&"Asia/Tokyo".into(), &9.into()));
    assert!(index["namespaces"].as_array().unwrap().contains(&"wc/v3".into()));
    assert!(index.get("routes").is_none());
    let index = lab.anonymous("https://nagyker.example/bolt/wp-json").await.json();
    assert_eq!(index["home"], "https://nagyker.example/bolt");
    assert_eq!((&index["timezone_string"], &index["gmt_offset"]), (&"".into(), &"3".into()), "a plain offset is text");
}

#[tokio::test]
async fn a_shop_in_a_folder_answers_only_there() {
    let lab = Lab::start().await;
    let key = admin(lab.shop("nagyker.example"));
    assert_eq!(lab.get(&key, "https://nagyker.example/bolt/wp-json/wc/v3/orders").await.status, 200);
    assert_eq!(lab.get(&key, "https://nagyker.example/bolt/index.php/wp-json/wc/v3/orders/").await.status, 200);
    let outside = lab.get(&key, "https://nagyker.example/wp-json/wc/v3/orders").await;
    assert_eq!(outside.status, 404);
    assert!(outside.header("content-type").starts_with("text/html"));
}

#[tokio::test]
async fn a_shop_with_plain_permalinks_leads_nowhere() {
    let lab = Lab::start().await;
    let key = admin(lab.shop("regi.example"));
    let reply = lab.get(&key, "https://regi.example/wp-json/wc/v3/orders").await;
    assert_eq!((reply.status.as_u16(), reply.header("location")), (301, "https://regi.example/"));
    let reply = lab.get(&key, "https://regi.example/?rest_route=/wc/v3/orders").await;
    assert_eq!(reply.error(), (401, "woocommerce_rest_cannot_view".into()), "good keys are not looked at");
    assert_eq!(lab.anonymous("https://regi.example/?rest_route=/").await.json()["home"], "https://regi.example");
}

#[tokio::test]
async fn since_11_1_keys_count_on_rest_route_and_before_they_do_not() {
    let lab = Lab::start().await;
    let url = |host: &str| format!("https://{host}/?rest_route=/wc/v3/orders");
    assert_eq!(lab.get(&admin(lab.shop("tea.example")), &url("tea.example")).await.status, 200);
    assert_eq!(lab.get(&admin(lab.shop("kavebolt.example")), &url("kavebolt.example")).await.status, 401);
}

#[tokio::test]
async fn another_name_of_the_shop_leads_home_but_serves_the_api() {
    let lab = Lab::start().await;
    let reply = lab.anonymous("https://www.kavebolt.example/").await;
    assert_eq!((reply.status.as_u16(), reply.header("location")), (301, "https://kavebolt.example/"));
    let key = admin(lab.shop("kavebolt.example"));
    assert_eq!(lab.get(&key, "https://www.kavebolt.example/wp-json/wc/v3/orders").await.status, 200);
}

#[tokio::test]
async fn what_is_not_there_is_a_page_outside_the_api_and_an_error_inside() {
    let lab = Lab::start().await;
    let page = lab.anonymous("https://kavebolt.example/nothing").await;
    assert_eq!((page.status.as_u16(), page.header("content-type")), (404, "text/html; charset=utf-8"));
    for path in ["wc/v3/nothing", "wc/v4/orders", "wp/v2/posts", "wc/v3/orders/12a"] {
        let reply = lab.anonymous(&format!("https://kavebolt.example/wp-json/{path}")).await;
        assert_eq!(reply.error(), (404, "rest_no_route".into()), "{path}");
    }
}
