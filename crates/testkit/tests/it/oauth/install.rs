use axum::http::StatusCode;
use sandbox::shopify::signature::query_hmac;
use serde_json::json;
use testkit::{Member, TestApp};

async fn pairing(kata: &Member) -> String {
    let started = kata.post("/api/oauth/shopify/start", json!({})).await.expect(StatusCode::OK);
    started.header("set-cookie").split(';').next().expect("a cookie").to_owned()
}

fn signed(app: &TestApp, shop: &str) -> String {
    let params = [("shop", shop.to_owned()), ("timestamp", app.clock().now().timestamp().to_string())];
    let params = params.map(|(name, value)| (name.to_owned(), value));
    let hmac = query_hmac(&app.installation.shopify_secret, &params);
    let mut query = url::form_urlencoded::Serializer::new(String::new());
    format!("/api/oauth/shopify/install?{}", query.extend_pairs(&params).append_pair("hmac", &hmac).finish())
}

#[tokio::test(flavor = "multi_thread")]
async fn an_install_request_counts_once_in_the_browser_that_began_and_leads_back_to_us_only() {
    let app = TestApp::start().await;
    let kata = app.sign_up("Kata").await;
    let good = signed(&app, "kis-bolt.myshopify.com");
    let with = |cookie: &str| app.nobody().with_header("cookie", cookie);
    let cookie = pairing(&kata).await;
    app.nobody().get(&good).await.expect_problem(400, "oauth_refused");
    with("__Secure-entrepot_pairing=x").get(&good).await.expect_problem(400, "oauth_refused");
    with(&cookie[..cookie.len() - 1]).get(&good).await.expect_problem(400, "oauth_refused");
    for (path, problem) in [
        (format!("{good}0"), "oauth_signature_invalid"),
        (good.replace("kis-bolt", "feine-dinge"), "oauth_signature_invalid"),
        (signed(&app, "evil.example"), "oauth_request_invalid"),
        (signed(&app, "kis-bolt.myshopify.com.evil.example"), "oauth_request_invalid"),
        ("/api/oauth/shopify/install".to_owned(), "oauth_request_invalid"),
    ] {
        with(&cookie).get(&path).await.expect_problem(400, problem);
    }
    let elsewhere = with(&cookie).with_header("host", "evil.example").with_header("x-forwarded-host", "evil.example");
    let on = elsewhere.get(&good).await.expect(StatusCode::SEE_OTHER);
    let consent = url::Url::parse(on.header("location")).expect("an address");
    let back = consent.query_pairs().find(|(name, _)| name == "redirect_uri").map(|(_, uri)| uri.into_owned());
    assert_eq!(back.as_deref(), Some("https://entrepot.example/api/oauth/shopify/callback"));
    with(&cookie).get(&good).await.expect_problem(400, "oauth_state_invalid");

    let late = pairing(&kata).await;
    app.advance(chrono::TimeDelta::minutes(16)).await;
    with(&late).get(&signed(&app, "kis-bolt.myshopify.com")).await.expect_problem(400, "oauth_refused");
    app.finish().await;
}
