use axum::http::StatusCode;
use connector::{Credential, KeyPair, provider::Established};
use integrations::connections::{self, model::NewConnection};
use kernel::{Action, Resource, Secret, TenantScope, scope::InternalTask};
use serde_json::{Value, json};
use testkit::TestApp;

use super::{connection, view};

#[tokio::test(flavor = "multi_thread")]
async fn names_and_reasons_are_kept_or_refused_with_their_place() {
    let app = TestApp::start().await;
    let kata = app.sign_up("Kata").await;
    let store = kata.connect_woocommerce("kavebolt.example").await;
    let switches = json!({ "allow_customer_access": true, "allow_order_access": false, "allow_product_access": true });
    let permissions = format!("/api/stores/{store}/permissions");
    let long = "é".repeat(501);
    for text in ["\0", "a\0b", "two\nlines", "\u{7f}", "\u{9b}x", "", "  ", &long] {
        let refused = kata.patch(&connection(store), json!({ "display_name": text })).await;
        assert_eq!(refused.expect_problem(400, "invalid_request").at("/errors/0/pointer"), "/display_name");
        let mut form = kata.woocommerce_form("kavebolt.example");
        form["display_name"] = json!(text);
        let refused = kata.post("/api/integrations/connections/", form).await;
        assert_eq!(refused.expect_problem(400, "invalid_request").at("/errors/0/pointer"), "/display_name");
        let form = json!({ "data_access_permissions": switches, "reason": text });
        let refused = kata.put(&permissions, form).await;
        assert_eq!(refused.expect_problem(400, "invalid_request").at("/errors/0/pointer"), "/reason");
    }
    let untouched = view(&kata, store).await;
    assert_eq!(untouched.at("/data_access_permissions/allow_order_access"), json!(true), "nothing was changed");

    let form = json!({ "data_access_permissions": switches, "reason": " the owner says so " });
    kata.put(&permissions, form).await.expect(StatusCode::OK);
    let told = kata.get(&format!("{permissions}/history")).await.expect(StatusCode::OK);
    assert_eq!(told.at("/data/0/reason"), "the owner says so");
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn only_what_the_platform_can_do_is_switched_on_each_thing_once() {
    let app = TestApp::start().await;
    let kata = app.sign_up("Kata").await;
    let store = kata.connect_woocommerce("kavebolt.example").await;
    let many = vec!["read_orders"; 20_000];
    for (given, place) in [
        (json!(["read_orders", "read_minds"]), "/enabled_capabilities/1"),
        (json!([""]), "/enabled_capabilities/0"),
        (json!(["read_orders\0"]), "/enabled_capabilities/0"),
        (json!(["read_orders", "read_products", "read_orders"]), "/enabled_capabilities/2"),
        (json!(many), "/enabled_capabilities/1"),
    ] {
        let refused = kata.patch(&connection(store), json!({ "enabled_capabilities": given })).await;
        let refused = refused.expect_problem(422, "capability_unknown");
        assert_eq!(refused.at("/errors/0/pointer"), place);
        assert_eq!(refused.at("/allowed"), json!(["read_customers", "read_orders", "read_products"]));
        assert!(!refused.text().contains("read_minds"), "what was sent is not said back");
    }
    let kept = json!(["read_customers", "read_orders", "read_products"]);
    assert_eq!(view(&kata, store).await.at("/enabled_capabilities"), kept, "nothing was changed");
    app.finish().await;
}

/// May connect a shop.
enum Connecting {}
impl InternalTask for Connecting {
    const NAME: &'static str = "connecting";
    const PERMISSIONS: &'static [(Resource, Action)] = &[(Resource::Connections, Action::Create)];
}

#[tokio::test(flavor = "multi_thread")]
async fn a_shop_with_an_impossible_name_is_connected_all_the_same() {
    let app = TestApp::start().await;
    let kata = app.sign_up("Kata").await;
    let scope = TenantScope::internal::<Connecting>(kata.organization.into());
    for (number, (name, shown)) in [
        ("ő".repeat(300), "ő".repeat(200)),
        ("Kávé\0 & Bolt\n".to_owned(), "Kávé  & Bolt".to_owned()),
        (String::new(), "shop-2.example".to_owned()),
    ]
    .into_iter()
    .enumerate()
    {
        let new = NewConnection {
            provider_key: "woocommerce",
            display_name: None,
            established: Established {
                external_account: format!("shop-{number}.example"),
                display_name: name,
                config: json!({}),
                credential: Credential::Keys(KeyPair { key: Secret::new("key"), secret: Secret::new("secret") }),
                scopes: vec![],
            },
            enabled_capabilities: vec![],
            data_access: Default::default(),
        };
        let row = connections::insert(app.app(), &scope, new).await.expect("connected");
        assert_eq!(view(&kata, row.id.uuid()).await.at("/display_name"), Value::String(shown));
    }
    app.finish().await;
}
