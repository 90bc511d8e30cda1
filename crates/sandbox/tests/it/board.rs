//! Faults switched on over HTTP, as programs and as people do it; each ends as it was told.

use crate::lab::{Lab, Reply};
use http::{Method, StatusCode};
use serde_json::{Value, json};
use std::time::{Duration, Instant};

const HOST: &str = "kavebolt.example";

impl Lab {
    async fn ask(&self, method: Method, path: &str, body: Option<Value>) -> Reply {
        let url = format!("http://localhost:{}/sandbox/faults{path}", self.sandbox.http_addr().port());
        let request = self.request(method, &url);
        self.send(match body {
            Some(body) => request.header("content-type", "application/json").body(body.to_string()),
            None => request,
        })
        .await
    }

    /// Switches a fault on at the first shop. Its id.
    async fn inject(&self, fault: Value) -> u64 {
        let mut asked = fault;
        if asked["host"].is_null() {
            asked["host"] = json!(HOST);
        }
        let reply = self.ask(Method::POST, "", Some(asked)).await;
        assert_eq!(reply.status, StatusCode::CREATED, "{}", reply.body);
        reply.json()["id"].as_u64().expect("an id")
    }

    async fn on(&self) -> Vec<Value> {
        self.ask(Method::GET, "", None).await.json()["data"].as_array().expect("a list").clone()
    }

    /// What a client sees of the orders: the status, or how the answer broke.
    async fn orders(&self) -> Result<(u16, String), String> {
        let key = crate::lab::admin(self.shop(HOST));
        let url = format!("https://{HOST}/wp-json/wc/v3/orders?per_page=2");
        let request = self.request(Method::GET, &url).basic_auth(&key.consumer_key, Some(&key.consumer_secret));
        let response = request.send().await.map_err(|_| "no answer".to_owned())?;
        let status = response.status().as_u16();
        let body = response.text().await.map_err(|_| format!("{status}, and a body that broke off"))?;
        Ok((status, body))
    }
}

#[tokio::test]
async fn each_fault_is_seen_once_and_then_all_is_well() {
    let lab = Lab::start().await;
    let whole = lab.orders().await.expect("well").1;
    for (fault, seen) in [
        (json!({ "fault": "too_many_requests", "retry_after_seconds": 7 }), Ok(429)),
        (json!({ "fault": "status", "status": 521 }), Ok(521)),
        (json!({ "fault": "php_fatal" }), Ok(500)),
        (json!({ "fault": "cut_before" }), Err("no answer")),
        (json!({ "fault": "lost_answer" }), Err("no answer")),
        (json!({ "fault": "cut_after_headers" }), Err("200, and a body that broke off")),
        (json!({ "fault": "half_body" }), Err("200, and a body that broke off")),
        (json!({ "fault": "redirect", "location": "https://elsewhere.example/" }), Ok(302)),
        (json!({ "fault": "revoked_token" }), Ok(401)),
        (json!({ "fault": "uninstalled" }), Ok(401)),
    ] {
        let mut once = fault.clone();
        once["times"] = json!(1);
        lab.inject(once).await;
        let outcome = lab.orders().await;
        assert_eq!(outcome.map(|(status, _)| status), seen.map_err(str::to_owned), "{fault}");
        assert_eq!(lab.orders().await, Ok((200, whole.clone())), "after {fault}");
        assert_eq!(lab.on().await, Vec::<Value>::new(), "{fault} is over");
    }
}

#[tokio::test]
async fn bodies_come_cut_as_a_page_or_bit_by_bit() {
    let lab = Lab::start().await;
    let whole = lab.orders().await.expect("well").1;
    lab.inject(json!({ "fault": "malformed_json", "times": 1 })).await;
    let (status, cut) = lab.orders().await.expect("an answer");
    assert_eq!((status, cut.len()), (200, whole.len() / 2));
    assert!(whole.starts_with(&cut) && serde_json::from_str::<Value>(&cut).is_err());
    lab.inject(json!({ "fault": "html", "times": 1 })).await;
    assert!(lab.orders().await.expect("an answer").1.starts_with("<!DOCTYPE html>"));
    let bytes = whole.len().div_ceil(4);
    lab.inject(json!({ "fault": "slow_drip", "bytes": bytes, "milliseconds": 60, "times": 1 })).await;
    let started = Instant::now();
    assert_eq!(lab.orders().await, Ok((200, whole)));
    assert!(started.elapsed() >= Duration::from_millis(4 * 60));
}

#[tokio::test]
async fn a_lost_answer_was_worked_on_and_a_cut_request_was_not() {
    let lab = Lab::start().await;
    let nonce = |nonce: &'static str| {
        let (shop, url) = (lab.shop("csapagy.example"), "http://csapagy.example/wp-json/wc/v3/orders");
        let key = crate::lab::admin(shop);
        let timestamp = lab.sandbox.clock().now().timestamp();
        let query = crate::lab::Signing { key: &key, signed_url: url, timestamp, nonce }.query(&[]);
        lab.request(Method::GET, &format!("{url}?{query}"))
    };
    lab.inject(json!({ "fault": "lost_answer", "host": "csapagy.example", "times": 1 })).await;
    assert!(nonce("lost").send().await.is_err());
    // The shop has used up the nonce, which is what a request leaves behind there.
    assert_eq!(nonce("lost").send().await.expect("an answer").status(), StatusCode::UNAUTHORIZED);
    lab.inject(json!({ "fault": "cut_before", "host": "csapagy.example", "times": 1 })).await;
    assert!(nonce("cut").send().await.is_err());
    assert_eq!(nonce("cut").send().await.expect("an answer").status(), StatusCode::OK);
}

#[tokio::test]
async fn answers_are_late_by_what_is_asked_and_a_hanging_shop_answers_when_the_fault_is_taken_away() {
    let lab = Lab::start().await;
    lab.inject(json!({ "fault": "latency", "milliseconds": 100, "jitter_milliseconds": 50, "times": 1, "seed": 3 }))
        .await;
    let started = Instant::now();
    assert!(lab.orders().await.is_ok());
    assert!(started.elapsed() >= Duration::from_millis(100));
    let id = lab.inject(json!({ "fault": "hang" })).await;
    assert!(tokio::time::timeout(Duration::from_millis(200), lab.orders()).await.is_err());
    let gone = lab.ask(Method::DELETE, &format!("/{id}"), None).await;
    assert_eq!((gone.status, gone.json()["taken_away"].as_u64()), (StatusCode::OK, Some(1)));
    assert!(lab.orders().await.is_ok());
    assert_eq!(lab.ask(Method::DELETE, &format!("/{id}"), None).await.status, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn a_skewed_clock_shows_in_the_date() {
    let lab = Lab::start().await;
    lab.inject(json!({ "fault": "clock_skew", "skew_seconds": -7200 })).await;
    let reply = lab.wc("orders?per_page=1").await;
    let date = chrono::DateTime::parse_from_rfc2822(reply.header("date")).expect("a date").to_utc();
    let off = lab.sandbox.clock().now() - date - chrono::TimeDelta::hours(2);
    assert!(off.abs() < chrono::TimeDelta::seconds(5), "{off}");
}

#[tokio::test]
async fn requests_are_chosen_by_path_share_number_and_host() {
    let lab = Lab::start().await;
    lab.inject(json!({ "fault": "status", "path": "/products", "times": 1, "after": 1 })).await;
    let mut seen = vec![];
    for path in ["orders", "products", "products", "products"] {
        seen.push(lab.wc(path).await.status.as_u16());
    }
    assert_eq!(seen, [200, 200, 503, 200]);

    let mut runs = vec![];
    for _ in 0..2 {
        let id = lab.inject(json!({ "fault": "status", "probability": 0.5, "seed": 11 })).await;
        let mut struck = vec![];
        for _ in 0..12 {
            struck.push(lab.wc("orders?per_page=1").await.status.as_u16());
        }
        assert!(struck.contains(&200) && struck.contains(&503), "{struck:?}");
        runs.push(struck);
        lab.ask(Method::DELETE, &format!("/{id}"), None).await;
    }
    assert_eq!(runs[0], runs[1], "the same seed chooses the same ones");

    // Two at all shops together, wherever they are asked.
    lab.ask(Method::POST, "", Some(json!({ "fault": "status", "times": 2, "host": null }))).await;
    let tea = crate::lab::admin(lab.shop("tea.example"));
    let elsewhere = "https://tea.example/wp-json/wc/v3/orders";
    let seen = [
        lab.wc("orders").await.status.as_u16(),
        lab.get(&tea, elsewhere).await.status.as_u16(),
        lab.get(&tea, elsewhere).await.status.as_u16(),
    ];
    assert_eq!(seen, [503, 503, 200]);
    lab.ask(Method::POST, "", Some(json!({ "fault": "status", "host": "*.myshopify.com" }))).await;
    assert_eq!(lab.wc("orders").await.status, StatusCode::OK, "that was for others");
    assert_eq!(lab.ask(Method::DELETE, "", None).await.json()["taken_away"], 1);
}

#[tokio::test]
async fn what_cannot_be_switched_on_is_refused_with_its_place() {
    let lab = Lab::start().await;
    for (asked, place) in [
        (json!({}), "fault"),
        (json!({ "fault": "gremlins" }), "fault:"),
        (json!({ "fault": "hang", "host": "nobody.example" }), "host:"),
        (json!({ "fault": "hang", "times": 0 }), "times:"),
        (json!({ "fault": "hang", "probability": 1.5 }), "probability:"),
        (json!({ "fault": "status", "status": 99 }), "status:"),
        (json!({ "fault": "redirect" }), "location:"),
        (json!({ "fault": "clock_skew" }), "skew_seconds:"),
        (json!({ "fault": "latency", "milliseconds": 9_999_999 }), "milliseconds:"),
        (json!({ "fault": "hang", "tiems": 1 }), "tiems"),
    ] {
        let reply = lab.ask(Method::POST, "", Some(asked.clone())).await;
        assert_eq!(reply.status, StatusCode::BAD_REQUEST, "{asked}");
        assert!(reply.json()["error"].as_str().is_some_and(|error| error.contains(place)), "{asked}: {}", reply.body);
    }
    assert!(lab.on().await.is_empty());
}

#[tokio::test]
async fn people_use_a_form_and_other_pages_cannot() {
    let lab = Lab::start().await;
    let port = lab.sandbox.http_addr().port();
    let url = format!("http://localhost:{port}/sandbox/faults");
    let form = |origin: String| {
        let body = "fault=status&host=kavebolt.example&path=&times=2&probability=&status=503";
        let request = lab.request(Method::POST, &url).header("content-type", "application/x-www-form-urlencoded");
        request.header("origin", origin).body(body)
    };
    let foreign = lab.send(form("https://evil.example".to_owned())).await;
    assert_eq!(foreign.status, StatusCode::FORBIDDEN);
    let own = lab.send(form(format!("http://localhost:{port}"))).await;
    assert_eq!((own.status, own.header("location")), (StatusCode::SEE_OTHER, "/sandbox/faults"));
    let page = lab.send(lab.request(Method::GET, &url).header("accept", "text/html")).await;
    assert!(page.body.contains("Take away") && page.body.contains(HOST), "{}", page.body);
    assert!(page.header("content-security-policy").contains("form-action 'self'"));
    assert_eq!(lab.on().await[0]["left"], 2);
    assert_eq!(lab.wc("orders").await.status, StatusCode::SERVICE_UNAVAILABLE);
    // A page of somebody else's that points a name of its own at this machine reaches nothing.
    let rebound = lab.request(Method::GET, &url).header("host", format!("evil.example:{port}"));
    assert_eq!(lab.send(rebound).await.status, StatusCode::MISDIRECTED_REQUEST);
}
