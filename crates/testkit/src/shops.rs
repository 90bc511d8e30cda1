//! Connecting simulated shops, as their owners would.

use axum::http::{Method, StatusCode, header};
use chrono::TimeDelta;
use reqwest::Url;
use sandbox::{woocommerce::Permissions, world::Role as ShopRole};
use serde_json::{Value, json};
use uuid::Uuid;

use crate::{
    Answer, Member,
    app::{Installation, PUBLIC_URL},
};

/// A consent that was given.
pub struct Consent {
    /// Of our callback, or of the platform where the browser did not come back.
    pub answer: Answer,
    /// The sealed pairing, the state and the code: each good for one use.
    pub secrets: Vec<String>,
    /// Where the platform sent the browser back to.
    pub back: String,
    pub cookies: String,
}

/// A person at a WooCommerce shop's consent page.
pub struct Grant {
    pub consent: Url,
    pub state: String,
    pub cookies: String,
}

impl Grant {
    /// The page, and the addresses of its two links.
    pub async fn page(&self) -> (Answer, Url, Url) {
        let page = browse(Method::GET, &self.consent, None).await.expect(StatusCode::OK);
        let text = page.text().replace("&amp;", "&");
        let link = |class: &str| {
            let (_, rest) = text.split_once(&format!("class=\"{class}\" href=\"")).expect("a link");
            self.consent.join(rest.split('"').next().unwrap_or_default()).expect("an address")
        };
        let (approve, deny) = (link("wc-auth-approve"), link("wc-auth-deny"));
        (page, approve, deny)
    }

    /// Presses Approve: the shop's answer, once it has handed its keys over, or could not.
    pub async fn approve(&self) -> Answer {
        browse(Method::GET, &self.page().await.1, None).await
    }
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

    /// Begins at a WooCommerce shop, with the form of `start`.
    pub async fn ask_for_keys(&self, form: Value) -> Grant {
        let started = self.post("/api/oauth/woocommerce/start", form).await.expect(StatusCode::OK);
        self.grant_of(&started)
    }

    /// What a start leads to.
    pub fn grant_of(&self, started: &Answer) -> Grant {
        let consent = Url::parse(started.at("/url").as_str().expect("an address")).expect("an address");
        let state = consent.query_pairs().find(|(name, _)| name == "user_id").map(|(_, state)| state.into_owned());
        Grant { consent, state: state.expect("a state"), cookies: self.session_cookie() }
    }

    /// The address of a simulated shop, as its owner types it.
    pub fn shop_address(&self, host: &str) -> Value {
        let shop = self.installation().sandbox.woocommerce().shop(host).expect("a simulated shop");
        json!({ "config": { "shop_url": shop.spec().home() } })
    }

    /// Has a WooCommerce shop make keys, by consent in a browser; the answer of our return page.
    pub async fn grant(&self, form: Value) -> Answer {
        let grant = self.ask_for_keys(form).await;
        let back = grant.approve().await.expect(StatusCode::FOUND);
        self.redirected(&back, &grant.cookies).await
    }

    /// The store that a return page tells of.
    pub fn connected(&self, answer: Answer) -> Uuid {
        let answer = answer.expect(StatusCode::SEE_OTHER);
        let (_, id) = answer.header("location").split_once("connected=").expect("connected");
        id.parse().expect("a store's id")
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
        let mut given = self.consent_without_coming_back(handle, form).await;
        given.answer = self.redirected(&given.answer, &given.cookies).await;
        given
    }

    /// The way to the consent; the answer is the platform's, which leads back to us.
    pub async fn consent_without_coming_back(&self, handle: &str, form: Value) -> Consent {
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
        let to_consent = self.redirected(&to_us, &cookies).await.expect(StatusCode::SEE_OTHER);
        let consent = Url::parse(to_consent.header("location")).expect("an address");
        let mut given = self.consent(consent, cookies).await;
        given.secrets.insert(0, pairing.split('=').nth(1).unwrap_or_default().to_owned());
        given
    }

    /// Consents where a start leads to at once, since the account is known.
    pub async fn consent_at(&self, started: &Answer) -> Consent {
        let consent = Url::parse(started.at("/url").as_str().expect("an address")).expect("an address");
        self.consent_and_follow(consent).await
    }

    async fn consent_and_follow(&self, consent: Url) -> Consent {
        let mut given = self.consent(consent, self.session_cookie()).await;
        given.answer = self.redirected(&given.answer, &given.cookies).await;
        given
    }

    /// The same at another shop than the one that is asked.
    pub async fn consent_at_shop(&self, started: &Answer, handle: &str) -> Consent {
        let mut consent = Url::parse(started.at("/url").as_str().expect("an address")).expect("an address");
        let host = consent.host_str().unwrap_or_default().to_owned();
        let (_, rest) = host.split_once('.').expect("a shop's host");
        consent.set_host(Some(&format!("{handle}.{rest}"))).expect("a host");
        self.consent_and_follow(consent).await
    }

    fn session_cookie(&self) -> String {
        format!("__Host-entrepot_session={}", self.bearer.as_deref().unwrap_or_default())
    }

    /// Presses Install on a consent page; the answer leads back to us.
    async fn consent(&self, consent: Url, cookies: String) -> Consent {
        let form = format!("{}&decision=approve", consent.query().unwrap_or_default());
        let asked = browse(Method::GET, &consent, None).await.expect(StatusCode::OK);
        assert!(asked.text().contains("Install app"), "{}", asked.text());
        let mut decide = consent.clone();
        decide.set_query(None);
        let back = browse(Method::POST, &decide, Some(form)).await.expect(StatusCode::FOUND);
        let location = Url::parse(back.header("location")).expect("an address");
        let parameter = |wanted: &str| {
            let found = location.query_pairs().find(|(name, _)| name == wanted);
            found.map(|(_, value)| value.into_owned()).unwrap_or_default()
        };
        let (secrets, to) = (vec![parameter("state"), parameter("code")], back.header("location").to_owned());
        Consent { answer: back, secrets, back: to, cookies }
    }

    /// Follows a redirect to ourselves, with the cookies of the browser.
    pub async fn redirected(&self, answer: &Answer, cookies: &str) -> Answer {
        let location = answer.header("location");
        let path = location.strip_prefix(PUBLIC_URL).unwrap_or_else(|| panic!("{location} is not ours"));
        let mut browser = self.nobody().with_header("cookie", cookies);
        browser.bearer = None;
        let answer = browser.get(path).await;
        if answer.problem() != "oauth_refused" || answer.header("retry-after").is_empty() {
            return answer;
        }
        // As the page does by itself: keys wait a moment for another browser that they are not for.
        let Installation { clock, sandbox, .. } = self.installation();
        clock.advance(TimeDelta::seconds(5));
        sandbox.clock().set_now(clock.now());
        browser.get(path).await
    }

    fn nobody(&self) -> crate::Client {
        let mut client = (**self).clone();
        client.bearer = None;
        client
    }
}

/// A page of a simulator, as a browser on this machine gets it.
pub async fn browse(method: Method, url: &Url, form: Option<String>) -> Answer {
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
