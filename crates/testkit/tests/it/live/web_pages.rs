//! Calls from web pages of other origins.

use axum::http::{Method, StatusCode};
use serde_json::json;
use testkit::TestApp;

use super::list;

const PAGE: &str = "https://shop.example";

#[tokio::test(flavor = "multi_thread")]
async fn a_page_reads_what_a_key_answers_that_names_it_and_nothing_else() {
    let app = TestApp::start().await;
    let kata = app.sign_up("Kata").await;
    let store = kata.connect_woocommerce("kavebolt.example").await;
    let path = list("products", store);
    let of_a_page = kata.create_key_with(json!({ "name": "of a page", "allowed_origins": [PAGE] })).await;
    let of_a_program = kata.create_key("of a program").await;

    let question = app
        .nobody()
        .with_header("origin", PAGE)
        .with_header("access-control-request-method", "GET")
        .with_header("access-control-request-headers", "authorization");
    let answer = question.send(Method::OPTIONS, &path, None).await.expect(StatusCode::NO_CONTENT);
    assert_eq!(answer.header("access-control-allow-origin"), PAGE);
    assert!(answer.header("access-control-allow-headers").contains("authorization"));
    assert!(answer.header("access-control-allow-methods").contains("GET"));
    assert_eq!(answer.header("vary"), "origin");
    assert!(answer.headers.get("access-control-allow-credentials").is_none(), "a browser's own credentials stay out");

    let answer = of_a_page.with_header("origin", PAGE).get(&path).await.expect(StatusCode::OK);
    assert_eq!(answer.header("access-control-allow-origin"), PAGE);
    assert!(answer.header("access-control-expose-headers").contains("ratelimit"));
    assert_eq!(answer.header("vary"), "origin");
    // The page may read why its key is refused, too.
    let unknown = list("products", uuid::Uuid::nil());
    let answer = of_a_page.with_header("origin", PAGE).get(&unknown).await;
    assert_eq!((answer.status, answer.header("access-control-allow-origin")), (StatusCode::NOT_FOUND, PAGE));

    let elsewhere = of_a_page.with_header("origin", "https://evil.example").get(&path).await;
    elsewhere.expect_problem(403, "forbidden");
    for reader in [(*of_a_program).clone(), (*kata).clone()] {
        let answer = reader.with_header("origin", PAGE).get(&path).await.expect(StatusCode::OK);
        assert!(answer.headers.get("access-control-allow-origin").is_none(), "nobody named the page");
        assert_eq!(answer.header("vary"), "origin");
    }
    let plain = of_a_page.get(&path).await.expect(StatusCode::OK);
    assert!(plain.headers.get("vary").is_none());
    app.finish().await;
}
