//! Install, consent, exchange and refresh.

use connector::{
    AppCredentials, AuthorizationCode, Credential, ProviderError, Token,
    provider::{Callback, Unverified},
    signature::sign_hex,
};
use kernel::{Secret, Time};
use serde_json::{Value, json};
use url::Url;

use super::{
    fixtures::fixture,
    shop::{DOMAIN, Reply, Shop},
};
use crate::shopify::{Shopify, auth};

fn app() -> AppCredentials {
    AppCredentials { client_id: "client-id-1".to_owned(), client_secret: Secret::new("hush"), previous_secret: None }
}

fn at(seconds: i64) -> Time {
    Time::from_timestamp(seconds, 0).unwrap()
}

/// A query as Shopify signs it; the parameters are given in order.
fn signed(message: &str, secret: &str) -> String {
    format!("{message}&hmac={}", sign_hex(&Secret::new(secret), message.as_bytes()))
}

fn callback(shop: &str) -> String {
    signed(&format!("code=abc&shop={shop}&state=n1&timestamp=1700000000"), "hush")
}

#[test]
fn the_published_vectors_are_accepted() {
    let vectors = [
        (
            "code=0907a61c0c8d55e99db179b68161bc00&shop=some-shop.myshopify.com&state=0.6784241404160823&timestamp=1337178173",
            "700e2dadb827fcc8609e9d5ce208b2e9cdaab9df07390d2cbca10d7c328fc4bf",
            1_337_178_173,
        ),
        (
            "code=abc&host=YWRtaW4uc2hvcGlmeS5jb20vc3RvcmUvc29tZS1zaG9w&shop=some-shop.myshopify.com&state=n1&timestamp=1700000000",
            "0af9daaaeeb4b84914e4ae9c686e6dd54e9d2d540fb8ec8a9b336599e3850ace",
            1_700_000_000,
        ),
    ];
    for (message, hmac, time) in vectors {
        let callback = Shopify.verify_callback(&app(), &format!("{message}&hmac={hmac}"), at(time)).ok().unwrap();
        assert_eq!(callback.account, "some-shop.myshopify.com");
    }
    let message = "code=0907a61c0c8d55e99db179b68161bc00&shop=some-shop.myshopify.com&timestamp=1337178173";
    let hmac = "4712bf92ffc2917d15a2f5a273e39f0116667419aa4b6ac0b3baaf26fa3c4d20";
    let install = Shopify.verify_install(&app(), &format!("hmac={hmac}&{message}"), at(1_337_178_173)).unwrap();
    assert_eq!(install.account, "some-shop.myshopify.com");
}

#[test]
fn a_callback_gives_shop_state_and_code() {
    let callback = Shopify.verify_callback(&app(), &callback(DOMAIN), at(1_700_000_010)).ok().unwrap();
    assert_eq!((callback.account.as_str(), callback.state.as_str(), callback.code.expose()), (DOMAIN, "n1", "abc"));
}

#[test]
fn one_changed_byte_anywhere_is_refused() {
    let good = callback(DOMAIN);
    for index in 0..good.len() {
        let mut bytes = good.clone().into_bytes();
        bytes[index] = if bytes[index] == b'x' { b'y' } else { b'x' };
        let changed = String::from_utf8(bytes).unwrap();
        assert!(Shopify.verify_callback(&app(), &changed, at(1_700_000_000)).is_err(), "{changed}");
    }
}

#[test]
fn the_signature_is_checked_before_anything_is_said_about_the_rest() {
    let foreign = "code=abc&shop=evil.com&state=n1&timestamp=1&hmac=00";
    let refused = Shopify.verify_callback(&app(), foreign, at(1_700_000_000)).err();
    assert_eq!(refused, Some(Unverified::Signature));
}

#[test]
fn both_secrets_are_taken_while_one_is_being_replaced() {
    let old = signed("code=abc&shop=some-shop.myshopify.com&state=n1&timestamp=1700000000", "old");
    assert_eq!(Shopify.verify_callback(&app(), &old, at(1_700_000_000)).err(), Some(Unverified::Signature));
    let rotating = AppCredentials { previous_secret: Some(Secret::new("old")), ..app() };
    assert!(Shopify.verify_callback(&rotating, &old, at(1_700_000_000)).is_ok());
    assert!(Shopify.verify_callback(&rotating, &callback(DOMAIN), at(1_700_000_000)).is_ok());
}

#[test]
fn a_request_is_fresh_for_ninety_seconds_either_way() {
    let query = callback(DOMAIN);
    let verdict = |now| Shopify.verify_callback(&app(), &query, at(now)).err();
    assert_eq!(verdict(1_700_000_090), None);
    assert_eq!(verdict(1_699_999_910), None);
    assert_eq!(verdict(1_700_000_091), Some(Unverified::Stale));
    assert_eq!(verdict(1_699_999_909), Some(Unverified::Stale));
    let none = signed("code=abc&shop=some-shop.myshopify.com&state=n1", "hush");
    assert_eq!(Shopify.verify_callback(&app(), &none, at(0)).err(), Some(Unverified::Parameter));
    let words = signed("code=abc&shop=some-shop.myshopify.com&state=n1&timestamp=now", "hush");
    assert_eq!(Shopify.verify_callback(&app(), &words, at(0)).err(), Some(Unverified::Parameter));
}

#[test]
fn only_shops_of_myshopify_com_are_accounts() {
    let foreign = [
        "evil.com",
        "shop.myshopify.com.evil.com",
        "a.myshopify.com%2F..%2F",
        "-a.myshopify.com",
        ".myshopify.com",
        "a.b.myshopify.com",
        "a.shopify.com",
        "a_b.myshopify.com",
        "evil.com%23.myshopify.com",
        "a%40b.myshopify.com",
    ];
    for shop in foreign {
        // Signed as it is, whatever it is: the signature alone is no reason to believe a name.
        let verdict = Shopify.verify_callback(&app(), &callback(shop), at(1_700_000_000)).err();
        assert_eq!(verdict, Some(Unverified::Account), "{shop}");
    }
    assert_eq!(auth::shop_domain("Some-Shop.MyShopify.com/").as_deref(), Some("some-shop.myshopify.com"));
    assert_eq!(auth::shop_domain("some-shop.myshopify.com/admin"), None);
    assert_eq!(auth::shop_domain("ékszer.myshopify.com"), None);
}

#[test]
fn parameters_that_decide_come_once_and_say_something() {
    for query in [
        "code=abc&shop=a.myshopify.com&shop=b.myshopify.com&state=n1&timestamp=1700000000",
        "code=abc&code=abd&shop=a.myshopify.com&state=n1&timestamp=1700000000",
        "code=abc&shop=a.myshopify.com&state=n1&state=n2&timestamp=1700000000",
        "code=&shop=a.myshopify.com&state=n1&timestamp=1700000000",
        "code=abc&shop=a.myshopify.com&state=&timestamp=1700000000",
        "shop=a.myshopify.com&state=n1&timestamp=1700000000",
    ] {
        // Shopify would sign repeated names joined by a comma.
        let joined = query.replace("a.myshopify.com&shop=", "a.myshopify.com%2C").replace("abc&code=", "abc%2C");
        let joined = joined.replace("n1&state=", "n1%2C");
        let signature = signed(&joined, "hush");
        let hmac = signature.rsplit_once("hmac=").unwrap().1;
        let verdict = Shopify.verify_callback(&app(), &format!("{query}&hmac={hmac}"), at(1_700_000_000)).err();
        assert_eq!(verdict, Some(Unverified::Parameter), "{query}");
    }
}

#[test]
fn the_owner_is_sent_to_shopify_with_what_we_ask_for() {
    assert_eq!(Shopify.install_url(&app()).as_str(), "https://admin.shopify.com/oauth/install?client_id=client-id-1");
    let install = Shopify
        .verify_install(&app(), &signed("shop=Some-Shop.myshopify.com&timestamp=1700000000", "hush"), at(1_700_000_000))
        .unwrap();
    let back = Url::parse("https://hub.example/oauth/shopify/callback").unwrap();
    let url = Shopify.authorize_url(&app(), &install, "n 1", &back);
    assert_eq!(url.host_str(), Some("some-shop.myshopify.com"));
    assert_eq!(url.path(), "/admin/oauth/authorize");
    let parameters: Vec<(String, String)> = url.query_pairs().into_owned().collect();
    let expected = [
        ("client_id", "client-id-1"),
        ("scope", "read_customers,read_orders,read_products"),
        ("redirect_uri", "https://hub.example/oauth/shopify/callback"),
        ("state", "n 1"),
    ];
    assert_eq!(parameters, expected.map(|(name, value)| (name.to_owned(), value.to_owned())));
}

fn granted() -> Value {
    json!({
        "access_token": "shpat_new", "expires_in": 3600, "refresh_token": "shprt_new",
        "refresh_token_expires_in": 7_776_000, "scope": "read_customers,read_orders,write_products",
    })
}

async fn exchanged(body: Value) -> (Shop, Result<connector::Established, ProviderError>) {
    let shop = Shop::open(move |asked, _| match asked.path.as_str() {
        "/admin/oauth/access_token" => body.clone().into(),
        _ => fixture!("shop").into(),
    })
    .await;
    let callback = Callback { account: DOMAIN.to_owned(), state: "n1".to_owned(), code: Secret::new("abc") };
    let established = Shopify.exchange(&shop.http, &shop.clock, &app(), &callback).await;
    (shop, established)
}

fn token(credential: &Credential) -> &Token {
    let Credential::Token(token) = credential else { panic!("a token") };
    token
}

#[tokio::test]
async fn an_exchange_gives_an_expiring_token_and_the_shop() {
    let (shop, established) = exchanged(granted()).await;
    let established = established.ok().unwrap();
    let asked = shop.asked();
    let expected = json!({"client_id": "client-id-1", "client_secret": "hush", "code": "abc", "expiring": "1"});
    assert_eq!(asked[0].body, expected);
    assert_eq!(asked[1].token.as_deref(), Some("shpat_new"));
    assert_eq!(established.external_account, DOMAIN);
    assert_eq!(established.display_name, "Kávé & Tea");
    assert_eq!(established.config["currency"], "EUR");
    assert_eq!(established.config["shop_id"], "gid://shopify/Shop/91919191");
    assert_eq!(established.config["timezone"], "Europe/Budapest");
    // Who may write may read, and Shopify says the former only.
    assert_eq!(established.scopes, ["read_customers", "read_orders", "read_products", "write_products"]);
    let token = token(&established.credential);
    assert_eq!(token.access.expose(), "shpat_new");
    assert_eq!(token.refresh.as_ref().unwrap().expose(), "shprt_new");
    assert_eq!(token.expires_at.unwrap().to_rfc3339(), "2026-11-20T11:00:00+00:00");
    assert_eq!(token.refresh_expires_at.unwrap().to_rfc3339(), "2027-02-18T10:00:00+00:00");
}

#[tokio::test]
async fn a_token_without_refresh_or_life_is_kept_as_one_that_does_not_expire() {
    let old =
        json!({"access_token": "shpat_old", "scope": "read_customers,read_orders,read_products", "refresh_token": ""});
    let (_, established) = exchanged(old).await;
    let established = established.ok().unwrap();
    let token = token(&established.credential);
    assert!(token.refresh.is_none() && token.expires_at.is_none() && token.refresh_expires_at.is_none());
}

#[tokio::test]
async fn less_than_was_asked_for_is_refused_with_names() {
    let mut less = granted();
    less["scope"] = json!("read_products,read_orders");
    let (_, established) = exchanged(less).await;
    let Err(ProviderError::Forbidden { missing_scopes, .. }) = established else { panic!("refused") };
    assert_eq!(missing_scopes, ["read_customers"]);
}

async fn refused(
    status: u16,
    body: Value,
    header: Option<(&'static str, &'static str)>,
) -> (ProviderError, ProviderError) {
    let shop = Shop::open(move |_, _| {
        let reply = Reply::status(status, &body);
        header.map_or_else(|| Reply::status(status, &body), |(name, value)| reply.header(name, value))
    })
    .await;
    let callback = Callback { account: DOMAIN.to_owned(), state: "n1".to_owned(), code: Secret::new("abc") };
    let exchange = Shopify.exchange(&shop.http, &shop.clock, &app(), &callback).await.err().unwrap();
    let refresh = Shopify.refresh(&shop.http, &shop.clock, &app(), &shop.account, token(&shop.credential)).await;
    (exchange, refresh.err().unwrap())
}

#[tokio::test]
async fn refusals_say_who_can_mend_them() {
    let (exchange, refresh) = refused(400, json!({"error": "invalid_grant"}), None).await;
    assert_eq!((exchange.kind(), refresh.kind()), ("rejected", "unauthorized"));
    for status in [400, 401] {
        let (exchange, refresh) = refused(status, json!({"error": "invalid_client"}), None).await;
        assert_eq!(
            (exchange.kind(), refresh.kind()),
            ("app_refused", "app_refused"),
            "the operator's, not the owner's"
        );
    }
    let (_, refresh) = refused(429, json!({}), Some(("retry-after", "2.0"))).await;
    assert!(matches!(refresh, ProviderError::RateLimited { retry_after } if retry_after.as_secs() == 2));
    let (exchange, refresh) = refused(503, json!({}), None).await;
    assert!(exchange.is_transient() && refresh.is_transient());
    let (_, refresh) = refused(402, json!({}), None).await;
    assert_eq!(refresh.kind(), "suspended");
}

#[tokio::test]
async fn a_refresh_replaces_both_tokens() {
    let shop = Shop::open(|_, _| granted().into()).await;
    let old = token(&shop.credential);
    let renewed = Shopify.refresh(&shop.http, &shop.clock, &app(), &shop.account, old).await.ok().unwrap();
    assert_eq!(renewed.access.expose(), "shpat_new");
    assert_eq!(renewed.refresh.unwrap().expose(), "shprt_new");
    let expected = json!({
        "client_id": "client-id-1", "client_secret": "hush", "grant_type": "refresh_token", "refresh_token": "shprt_first",
    });
    assert_eq!(shop.asked()[0].body, expected);
}

#[tokio::test]
async fn a_reply_without_life_successor_or_scopes_does_not_brick_the_connection() {
    let shop = Shop::open(|_, _| json!({"access_token": "shpat_new"}).into()).await;
    let old = token(&shop.credential);
    let renewed = Shopify.refresh(&shop.http, &shop.clock, &app(), &shop.account, old).await.ok().unwrap();
    assert_eq!(renewed.expires_at, None);
    assert_eq!(renewed.refresh.unwrap().expose(), "shprt_first");
    assert_eq!(renewed.scopes, old.scopes);
}

#[tokio::test]
async fn a_token_that_cannot_be_refreshed_asks_nobody() {
    let shop = Shop::open(|_, _| granted().into()).await;
    let fixed = Token { refresh: None, ..token(&shop.credential).clone() };
    let error = Shopify.refresh(&shop.http, &shop.clock, &app(), &shop.account, &fixed).await.err().unwrap();
    assert_eq!(error.kind(), "unauthorized");
    assert!(shop.asked().is_empty());
}

#[tokio::test]
async fn the_secret_is_sent_to_no_host_but_a_shops() {
    let shop = Shop::open(|_, _| granted().into()).await;
    let mut account = shop.account.clone();
    account.external_account = "kave-tea.myshopify.com.evil.com".to_owned();
    let error =
        Shopify.refresh(&shop.http, &shop.clock, &app(), &account, token(&shop.credential)).await.err().unwrap();
    assert_eq!(error.kind(), "rejected");
}
