use super::{APP, CALLBACK, Harness, SECRET, param, params};
use crate::shopify::signature::query_hmac;
use chrono::TimeDelta;
use reqwest::{Response, StatusCode};
use serde_json::{Value, json};

const SCOPE: &str = "read_products,write_products,read_orders";

fn location(response: &Response) -> String {
    assert_eq!(response.status(), StatusCode::FOUND);
    response.headers()["location"].to_str().unwrap().to_owned()
}

fn is_signed(url: &str) -> bool {
    param(url, "hmac").as_deref() == Some(&query_hmac(SECRET, &params(url)))
}

/// What the merchant's browser posts on the consent page.
fn form(changes: &[(&str, &str)]) -> Vec<(String, String)> {
    let mut form = vec![
        ("client_id", APP),
        ("scope", SCOPE),
        ("redirect_uri", CALLBACK),
        ("state", "n0nce & more"),
        ("grant_options[]", ""),
        ("decision", "approve"),
    ];
    form.retain(|(name, _)| !changes.iter().any(|(changed, _)| changed == name));
    form.extend(changes);
    form.into_iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect()
}

impl Harness {
    async fn decide(&self, changes: &[(&str, &str)]) -> Response {
        let url = self.url("euro", "/admin/oauth/authorize");
        self.client.post(url).form(&form(changes)).send().await.unwrap()
    }

    async fn code(&self) -> String {
        param(&location(&self.decide(&[]).await), "code").unwrap()
    }

    async fn token(&self, body: Value) -> (StatusCode, Value) {
        let mut whole = json!({"client_id": APP, "client_secret": SECRET});
        whole.as_object_mut().unwrap().extend(body.as_object().unwrap().clone());
        let url = self.url("euro", "/admin/oauth/access_token");
        let response = self.client.post(url).json(&whole).send().await.unwrap();
        (response.status(), response.json().await.unwrap())
    }

    async fn works(&self, token: &str) -> bool {
        let response = self.send("euro", token, &json!({"query": "{ shop { name } }"})).await.unwrap();
        response.status() == 200
    }
}

#[tokio::test]
async fn a_browser_can_click_from_the_install_link_to_the_callback() {
    let harness = Harness::start().await;
    let port = harness.sandbox.http_addr().port();
    let get = async |url: String| harness.client.get(url).send().await.unwrap();
    let list = get(format!("http://admin.shopify.localhost:{port}/oauth/install?client_id={APP}")).await;
    let list = list.text().await.unwrap();
    let link = list.split("href=\"").nth(1).unwrap().split('"').next().unwrap().to_owned();
    assert_eq!(link, format!("/store/euro/oauth/install?client_id={APP}"));

    let app = location(&get(format!("http://admin.shopify.localhost:{port}{link}")).await);
    assert!(app.starts_with("https://hub.example/app?") && is_signed(&app), "{app}");
    assert_eq!(param(&app, "shop").as_deref(), Some("euro.myshopify.com"));
    let timestamp: i64 = param(&app, "timestamp").unwrap().parse().unwrap();
    assert!((timestamp - harness.shopify().clock().now().timestamp()).abs() < 10);

    let query = "client_id=client-id-1&scope=read_orders&redirect_uri=https%3A%2F%2Fhub.example%2Fcallback%3Fvia%3Dshopify&state=%22%3E%3Cscript%3E";
    let consent = get(format!("http://euro.shopify.localhost:{port}/admin/oauth/authorize?{query}")).await;
    assert_eq!(consent.status(), 200);
    let page = consent.text().await.unwrap();
    assert!(page.contains("view orders") && page.contains("value=\"approve\"") && page.contains("value=\"cancel\""));
    assert!(!page.contains("<script>") && page.contains("&quot;&gt;&lt;script&gt;"), "what the app sent is escaped");
    assert!(page.contains("action=\"/admin/oauth/authorize\""));
}

#[tokio::test]
async fn consent_leads_back_with_a_signed_code_that_works_once() {
    let harness = Harness::start().await;
    let callback = location(&harness.decide(&[]).await);
    assert!(callback.starts_with("https://hub.example/callback?via=shopify&"), "{callback}");
    let from_shopify: Vec<_> = params(&callback).into_iter().filter(|(name, _)| name != "via").collect();
    assert_eq!(param(&callback, "hmac").unwrap(), query_hmac(SECRET, &from_shopify));
    assert_eq!(param(&callback, "state").as_deref(), Some("n0nce & more"));
    assert_eq!(param(&callback, "host").as_deref(), Some("YWRtaW4uc2hvcGlmeS5jb20vc3RvcmUvZXVybw"));

    let code = param(&callback, "code").unwrap();
    let (status, body) = harness.token(json!({"code": code, "expiring": "1"})).await;
    assert_eq!(status, 200);
    assert_eq!(body["expires_in"], 3600);
    assert_eq!(body["refresh_token_expires_in"], 7_776_000);
    assert_eq!(body["scope"], "read_orders,write_products", "the write scope swallows its read scope");
    let (access, refresh) = (body["access_token"].as_str().unwrap(), body["refresh_token"].as_str().unwrap());
    assert!(access.starts_with("shpat_") && refresh.starts_with("shprt_"));
    assert!(harness.works(access).await);
    assert!(harness.shopify().is_installed("euro", APP));

    let (status, body) = harness.token(json!({"code": code, "expiring": "1"})).await;
    assert_eq!(status, 400);
    assert!(body["error"].is_string() && body["error_description"].is_string());
    assert_eq!(harness.shop("euro").counts().exchanges, 2);
}

#[tokio::test]
async fn a_token_asked_for_without_expiring_lives_for_ever_and_can_be_migrated() {
    let harness = Harness::start().await;
    let code = harness.code().await;
    let (_, body) = harness.token(json!({"code": code})).await;
    assert_eq!(body.as_object().unwrap().keys().collect::<Vec<_>>(), ["access_token", "scope"]);
    let old = body["access_token"].as_str().unwrap();
    harness.shopify().clock().set_offset(TimeDelta::days(400));
    assert!(harness.works(old).await);
    let offline = "urn:shopify:params:oauth:token-type:offline-access-token";
    let (status, body) = harness
        .token(json!({
            "grant_type": "urn:ietf:params:oauth:grant-type:token-exchange", "subject_token": old,
            "subject_token_type": offline, "requested_token_type": offline, "expiring": 1,
        }))
        .await;
    assert_eq!(status, 200, "{body}");
    assert!(harness.works(body["access_token"].as_str().unwrap()).await && !harness.works(old).await);
}

#[tokio::test]
async fn cancelling_leads_back_with_an_error_and_no_code() {
    let harness = Harness::start().await;
    let callback = location(&harness.decide(&[("decision", "cancel")]).await);
    assert_eq!(param(&callback, "error").as_deref(), Some("access_denied"));
    assert_eq!(param(&callback, "code"), None);
}

#[tokio::test]
async fn a_consent_link_with_a_wrong_client_address_or_scope_is_refused_without_redirect() {
    let harness = Harness::start().await;
    for wrong in [
        ("client_id", "unknown"),
        ("redirect_uri", "https://hub.example/callback"),
        ("redirect_uri", "https://hub.example/callback?via=shopify&x=1"),
        ("redirect_uri", "https://evil.example/callback?via=shopify"),
        ("scope", "read_orders,write_orders"),
        ("grant_options[]", "per-user"),
    ] {
        let response = harness.decide(&[wrong]).await;
        assert_eq!(response.status(), 400, "{wrong:?}");
        assert!(!response.headers().contains_key("location"));
    }
}

#[tokio::test]
async fn a_refresh_gives_a_new_pair_and_the_old_access_token_lives_on() {
    let harness = Harness::start().await;
    let first = harness.installed("euro");
    let url = harness.url("euro", "/admin/oauth/access_token");
    let form = [
        ("client_id", APP),
        ("client_secret", SECRET),
        ("grant_type", "refresh_token"),
        ("refresh_token", first.refresh_token.as_deref().unwrap()),
    ];
    let response = harness.client.post(url).form(&form).send().await.unwrap();
    let second: Value = response.json().await.unwrap();
    let access = second["access_token"].as_str().unwrap();
    assert_ne!(access, first.access_token);
    assert!(harness.works(access).await && harness.works(&first.access_token).await);

    let again = harness.token(json!({"grant_type": "refresh_token", "refresh_token": first.refresh_token})).await;
    assert_eq!(again.0, 200, "the answer may have been lost");
    let third = harness.token(json!({"grant_type": "refresh_token", "refresh_token": second["refresh_token"]})).await;
    assert_eq!(third.0, 200);
    let (status, body) =
        harness.token(json!({"grant_type": "refresh_token", "refresh_token": first.refresh_token})).await;
    assert_eq!((status.as_u16(), &body["error"]), (400, &json!("invalid_grant")), "its replacement was used");
    assert_eq!(harness.shop("euro").counts().refreshes, 4);

    harness.shopify().clock().set_now(harness.shopify().clock().now() + TimeDelta::seconds(3601));
    assert!(!harness.works(access).await);
}

#[tokio::test]
async fn wrong_credentials_and_removed_apps_are_invalid_clients() {
    let harness = Harness::start().await;
    let pair = harness.installed("euro");
    let refresh = json!({"grant_type": "refresh_token", "refresh_token": pair.refresh_token});
    let mut wrong = refresh.clone();
    wrong["client_secret"] = json!("wrong");
    let (status, body) = harness.token(wrong).await;
    assert_eq!((status.as_u16(), &body["error"]), (400, &json!("invalid_client")));
    harness.shopify().uninstall("euro", APP);
    let (status, body) = harness.token(refresh).await;
    assert_eq!((status.as_u16(), &body["error"]), (400, &json!("invalid_client")));
}

#[tokio::test]
async fn uninstalling_kills_tokens_at_once_from_outside_and_from_the_app() {
    let harness = Harness::start().await;
    let first = harness.installed("euro").access_token;
    let other_shop = harness.installed("yen").access_token;
    harness.shopify().uninstall("euro", APP);
    let response = harness.send("euro", &first, &json!({"query": "{ shop { name } }"})).await.unwrap();
    assert_eq!(response.status(), 401);
    let body: Value = response.json().await.unwrap();
    assert_eq!(body, json!({"errors": "[API] Invalid API key or access token (unrecognized login or wrong password)"}));
    assert_eq!(harness.query("yen", &other_shop, "{ shop { name } }", json!({})).await["data"]["shop"]["name"], "yen");

    let second = harness.installed("euro").access_token;
    let body = harness
        .query("euro", &second, "mutation { appUninstall { app { id } userErrors { message } } }", json!({}))
        .await;
    assert_eq!(body["data"]["appUninstall"]["userErrors"], json!([]));
    assert!(!harness.works(&second).await);

    let third = harness.installed("euro").access_token;
    let url = harness.url("euro", "/admin/api_permissions/current.json");
    let response = harness.client.delete(url).header("X-Shopify-Access-Token", &third).send().await.unwrap();
    assert_eq!(response.status(), 200);
    assert!(!harness.works(&third).await);
}

#[tokio::test]
async fn expired_tokens_refresh_and_expired_refresh_tokens_need_the_merchant() {
    let harness = Harness::start().await;
    let pair = harness.installed("euro");
    harness.shopify().expire_tokens("euro");
    assert!(!harness.works(&pair.access_token).await);
    let refresh = json!({"grant_type": "refresh_token", "refresh_token": pair.refresh_token});
    let (_, body) = harness.token(refresh).await;
    assert!(harness.works(body["access_token"].as_str().unwrap()).await);
    harness.shopify().expire_refresh_tokens("euro");
    let (_, body) = harness.token(json!({"grant_type": "refresh_token", "refresh_token": body["refresh_token"]})).await;
    assert_eq!(body["error"], "invalid_grant");
}
