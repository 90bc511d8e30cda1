//! Connecting simulated shops, as their owners would.

use axum::http::{Method, StatusCode, header};
use reqwest::Url;
use sandbox::{woocommerce::Permissions, world::Role as ShopRole};
use serde_json::{Value, json};
use uuid::Uuid;

use crate::{Answer, Member, app::PUBLIC_URL};

/// A consent that was given.
pub struct Consent {
    /// Of our callback.
    pub answer: Answer,
    /// The sealed pairing, the state and the code: each good for one use.
    pub secrets: Vec<String>,
    /// Where the platform sent the browser back to.
    pub back: String,
    pub cookies: String,
}

impl Member {
    /// Pastes the keys of a simulated WooCommerce shop; the store's id.
    pub async fn connect_woocommerce(&self, host: &str) -> Uuid {
        let answer = self.post("/api/integrations/connections/", self.woocommerce_form(host)).await;
        let answer = answer.expect(StatusCode::CREATED);
        answer.at("/id").as_str().and_then(|id| id.parse().ok()).expect("a store's id")
    }

    /// The connect form of a shop, with keys that work.
    pub fn woocommerce_form(&self, host: &str) -> Value {
        let shop = self.installation().sandbox.woocommerce().shop(host).expect("a simulated shop");
        let key = shop.key(Permissions::Read, ShopRole::Administrator).expect("a key");
        json!({
            "provider_key": "woocommerce",
            "config": { "shop_url": shop.spec().home() },
            "credential": { "consumer_key": key.consumer_key, "consumer_secret": key.consumer_secret },
        })
    }

    /// Walks through Shopify's install and consent pages, as a browser does; the store's id.
    pub async fn connect_shopify(&self, handle: &str) -> Uuid {
        let answer = self.consent_to(handle, json!({})).await.answer.expect(StatusCode::SEE_OTHER);
        let back = Url::parse(answer.header("location")).expect("an address");
        let id = back.query_pairs().find(|(name, _)| name == "connected").map(|(_, id)| id.into_owned());
        id.and_then(|id| id.parse().ok()).expect("a store's id")
    }

    /// The whole way to the consent and back.
    pub async fn consent_to(&self, handle: &str, form: Value) -> Consent {
        let started = self.post("/api/oauth/shopify/start", form).await.expect(StatusCode::OK);
        let pairing = started.header("set-cookie").split(';').next().unwrap_or_default().to_owned();
        let cookies = format!("{pairing}; __Host-entrepot_session={}", self.bearer.as_deref().unwrap_or_default());
        let start = Url::parse(started.at("/url").as_str().expect("an address")).expect("an address");
        // The page that lists the shops; its link leads to one of them.
        let page = browse(Method::GET, &start, None).await;
        let link = format!("/store/{handle}/oauth/install?");
        let page = page.text().replace("&amp;", "&");
        let at = page.find(&link).expect("the shop is on the page");
        let chosen = start.join(page[at..].split('"').next().unwrap_or_default()).expect("an address");
        let to_us = browse(Method::GET, &chosen, None).await.expect(StatusCode::FOUND);
        let to_consent = self.follow(&to_us, &cookies).await.expect(StatusCode::SEE_OTHER);
        let consent = Url::parse(to_consent.header("location")).expect("an address");
        let form = format!("{}&decision=approve", consent.query().unwrap_or_default());
        let asked = browse(Method::GET, &consent, None).await.expect(StatusCode::OK);
        assert!(asked.text().contains("Install app"), "{}", asked.text());
        let mut decide = consent.clone();
        decide.set_query(None);
        let back = browse(Method::POST, &decide, Some(form)).await.expect(StatusCode::FOUND);
        let answer = self.follow(&back, &cookies).await;
        let pairing = pairing.split('=').nth(1).unwrap_or_default().to_owned();
        let location = Url::parse(back.header("location")).expect("an address");
        let parameter = |wanted: &str| {
            let found = location.query_pairs().find(|(name, _)| name == wanted);
            found.map(|(_, value)| value.into_owned()).unwrap_or_default()
        };
        Consent {
            answer,
            secrets: vec![pairing, parameter("state"), parameter("code")],
            back: back.header("location").into(),
            cookies,
        }
    }

    /// Follows a redirect to ourselves, with the cookies of the browser.
    async fn follow(&self, answer: &Answer, cookies: &str) -> Answer {
        let location = answer.header("location");
        let path = location.strip_prefix(PUBLIC_URL).unwrap_or_else(|| panic!("{location} is not ours"));
        let mut browser = self.nobody().with_header("cookie", cookies);
        browser.bearer = None;
        browser.get(path).await
    }

    fn nobody(&self) -> crate::Client {
        let mut client = (**self).clone();
        client.bearer = None;
        client
    }
}

/// A page of a simulator, as a browser on this machine gets it.
async fn browse(method: Method, url: &Url, form: Option<String>) -> Answer {
    let mut address = url.clone();
    address.set_host(Some("127.0.0.1")).expect("a host");
    let host = format!("{}:{}", url.host_str().unwrap_or_default(), url.port().unwrap_or(80));
    #[expect(clippy::disallowed_methods, reason = "a browser, which is no part of the program")]
    let client = reqwest::Client::builder().redirect(reqwest::redirect::Policy::none()).no_proxy();
    let client = client.tls_certs_only([]).build().expect("a client");
    let mut request = client.request(method, address).header(header::HOST, host);
    if let Some(form) = form {
        request = request.header(header::CONTENT_TYPE, "application/x-www-form-urlencoded").body(form);
    }
    let response = request.send().await.expect("the simulator answers");
    let (status, headers) = (response.status(), response.headers().clone());
    Answer { status, headers, body: response.bytes().await.expect("a body").to_vec() }
}
