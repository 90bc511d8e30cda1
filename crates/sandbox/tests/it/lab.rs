//! A running sandbox and clients that find it.

use hmac::{Hmac, KeyInit, Mac};
use http::{HeaderMap, Method, StatusCode};
use reqwest::{Certificate, Client, redirect};
use sandbox::woocommerce::{ApiKey, Permissions, Shop};
use sandbox::world::Role;
use sandbox::{Options, Sandbox};
use serde_json::Value;

pub(crate) struct Lab {
    pub(crate) sandbox: Sandbox,
    https: Client,
    http: Client,
}

/// An answer, read to its end.
#[derive(Debug)]
pub(crate) struct Reply {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) version: http::Version,
    pub(crate) body: String,
}

impl Reply {
    #[track_caller]
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|error| panic!("{error}: {}", self.body))
    }

    #[track_caller]
    pub(crate) fn list(&self) -> Vec<Value> {
        assert_eq!(self.status, StatusCode::OK, "{}", self.body);
        self.json().as_array().expect("a list").clone()
    }

    #[track_caller]
    pub(crate) fn ids(&self) -> Vec<u64> {
        self.list().iter().map(|item| item["id"].as_u64().expect("an id")).collect()
    }

    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().expect("text"))
    }

    /// Status and code of an error.
    #[track_caller]
    pub(crate) fn error(&self) -> (u16, String) {
        let json = self.json();
        assert_eq!(json["data"]["status"], self.status.as_u16(), "the body repeats the status");
        (self.status.as_u16(), json["code"].as_str().expect("a code").to_owned())
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "a client of the simulators, which are on loopback only; the product's client would refuse them"
)]
fn client(sandbox: &Sandbox, tls: bool) -> Client {
    let authority = Certificate::from_der(&sandbox.ca_certificate_der()).expect("certificate");
    let mut builder = Client::builder().redirect(redirect::Policy::none()).tls_certs_only([authority]).no_proxy();
    for route in sandbox.routes() {
        builder = builder.resolve(&route.pattern, if tls { route.https } else { route.http });
    }
    builder = builder.resolve("stranger.example", if tls { sandbox.tls_addr() } else { sandbox.http_addr() });
    builder.build().expect("client")
}

impl Lab {
    pub(crate) async fn start() -> Lab {
        Self::with(Options::default()).await
    }

    pub(crate) async fn with(options: Options) -> Lab {
        let sandbox = Sandbox::start(options).await.expect("the sandbox starts");
        let (https, http) = (client(&sandbox, true), client(&sandbox, false));
        Lab { sandbox, https, http }
    }

    pub(crate) fn shop(&self, host: &str) -> &Shop {
        self.sandbox.woocommerce().shop(host).expect("a standard shop")
    }

    pub(crate) fn request(&self, method: Method, url: &str) -> reqwest::RequestBuilder {
        let client = if url.starts_with("https:") { &self.https } else { &self.http };
        client.request(method, url)
    }

    pub(crate) async fn send(&self, request: reqwest::RequestBuilder) -> Reply {
        let response = request.send().await.expect("an answer");
        let (status, headers, version) = (response.status(), response.headers().clone(), response.version());
        let body = response.text().await.expect("a whole body");
        Reply { status, headers, version, body }
    }

    pub(crate) async fn anonymous(&self, url: &str) -> Reply {
        self.send(self.request(Method::GET, url)).await
    }

    /// GET with a Basic header.
    pub(crate) async fn get(&self, key: &ApiKey, url: &str) -> Reply {
        self.send(self.request(Method::GET, url).basic_auth(&key.consumer_key, Some(&key.consumer_secret))).await
    }

    /// GET below `wc/v3` of the first shop, as an administrator.
    pub(crate) async fn wc(&self, path: &str) -> Reply {
        self.get(&admin(self.shop("kavebolt.example")), &format!("https://kavebolt.example/wp-json/wc/v3/{path}")).await
    }
}

pub(crate) fn admin(shop: &Shop) -> ApiKey {
    shop.key(Permissions::ReadWrite, Role::Administrator).expect("every shop has one")
}

/// How an OAuth request is made.
pub(crate) struct Signing<'a> {
    pub(crate) key: &'a ApiKey,
    /// The address that goes into the signature.
    pub(crate) signed_url: &'a str,
    pub(crate) timestamp: i64,
    pub(crate) nonce: &'a str,
}

impl Signing<'_> {
    /// The query string with the OAuth parameters and their signature. Written after RFC 5849, not after the simulator.
    pub(crate) fn query(&self, params: &[(&str, &str)]) -> String {
        let timestamp = self.timestamp.to_string();
        let mut pairs: Vec<(String, String)> = params
            .iter()
            .copied()
            .chain([
                ("oauth_consumer_key", self.key.consumer_key.as_str()),
                ("oauth_nonce", self.nonce),
                ("oauth_signature_method", "HMAC-SHA256"),
                ("oauth_timestamp", &timestamp),
            ])
            .map(|(name, value)| (encode(name), encode(value)))
            .collect();
        pairs.sort();
        let query = pairs.iter().map(|(name, value)| format!("{name}={value}")).collect::<Vec<_>>().join("&");
        let base = format!("GET&{}&{}", encode(self.signed_url), encode(&query));
        let mut mac =
            Hmac::<sha2::Sha256>::new_from_slice(format!("{}&", self.key.consumer_secret).as_bytes()).expect("key");
        mac.update(base.as_bytes());
        use base64::Engine;
        let signature = base64::engine::general_purpose::STANDARD.encode(mac.finalize().into_bytes());
        format!("{query}&oauth_signature={}", encode(&signature))
    }
}

pub(crate) fn encode(text: &str) -> String {
    let unreserved = |byte: &u8| byte.is_ascii_alphanumeric() || b"-._~".contains(byte);
    text.bytes()
        .map(|byte| if unreserved(&byte) { char::from(byte).to_string() } else { format!("%{byte:02X}") })
        .collect()
}
