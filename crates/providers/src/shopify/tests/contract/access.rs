//! Who may see what, and what happens when they may not, or not now.

use super::*;

#[tokio::test]
async fn without_the_scope_for_all_orders_the_last_sixty_days_are_seen_and_said() {
    let world = World::with(app(FEWER)).await;
    let since = sandbox::world::epoch_end() - chrono::Duration::days(60);
    let page = world.list::<Order>(first_page(25)).await.ok().unwrap();
    assert!(page.notes.coverage.contains(&Coverage::Last60Days));
    assert!(!page.items.is_empty() && page.items.iter().all(|order| order.placed_at.unwrap() > since));
    let all = World::open().await.list::<Order>(first_page(25)).await.ok().unwrap();
    assert!(!all.notes.coverage.contains(&Coverage::Last60Days));
}

#[tokio::test]
async fn switched_off_persons_are_in_no_answer() {
    let world = World::open().await;
    let selection = Selection { persons: false, ..Selection::standard() };
    let page = world.list::<Order>(Query { selection: selection.clone(), ..first_page(25) }).await.ok().unwrap();
    for order in &page.items {
        assert!(order.customer.is_none() && order.note.is_none());
        assert!(order.billing_address.is_none() && order.shipping_address.is_none());
        assert!(!order.line_items.is_empty());
    }
    let page = world.list::<Customer>(Query { selection, ..first_page(25) }).await.ok().unwrap();
    assert!(page.items.iter().all(|customer| customer.email.is_none() && customer.first_name.is_none()));
}

#[tokio::test]
async fn a_throttled_shop_is_asked_again_in_time() {
    let world = World::open().await;
    // Points come back so fast that what follows the first call, such as an order's further lines, finds enough of them.
    world
        .sandbox
        .shopify()
        .set_rate(HANDLE, Rate { bucket: 2000.0, restore_per_second: 500_000.0, single_query: 1000.0 });
    world.shop().throttle_next(2);
    assert_eq!(world.list::<Order>(first_page(25)).await.ok().unwrap().items.len(), 25);
    assert_eq!(world.shop().counts().throttled, 2);
    world.sandbox.shopify().set_rate(HANDLE, Rate { bucket: 2000.0, restore_per_second: 10.0, single_query: 1000.0 });
    world.shop().throttle_next(1);
    let error = world.list::<Order>(first_page(25)).await.err().unwrap();
    assert!(matches!(error, ProviderError::RateLimited { retry_after } if retry_after.as_secs() > 10), "{error}");
}

#[tokio::test]
async fn a_shop_that_allows_less_for_one_query_is_asked_in_smaller_ones() {
    let world = World::open().await;
    world
        .sandbox
        .shopify()
        .set_rate(HANDLE, Rate { bucket: 20_000.0, restore_per_second: 5000.0, single_query: 300.0 });
    let all: Vec<Order> = world.all(Filters::default(), 25).await;
    assert_eq!(all.len(), world.orders().len());
}

#[tokio::test]
async fn a_shop_in_trouble_says_which() {
    let world = World::open().await;
    let states = [
        (ShopStatus::Frozen, "suspended"),
        (ShopStatus::Forbidden, "forbidden"),
        (ShopStatus::Closed, "suspended"),
        (ShopStatus::Locked, "suspended"),
        (ShopStatus::Rejected, "rate_limited"),
    ];
    for (state, kind) in states {
        world.shop().set_status(state);
        assert_eq!(world.list::<Product>(first_page(5)).await.err().unwrap().kind(), kind, "{state:?}");
    }
}

#[tokio::test]
async fn an_expired_token_is_refreshed_and_a_revoked_one_is_not() {
    let mut world = World::open().await;
    world.sandbox.shopify().expire_tokens(HANDLE);
    assert_eq!(world.list::<Order>(first_page(5)).await.err().unwrap().kind(), "unauthorized");
    let refresh = async |world: &World| {
        Shopify.refresh(&world.http, &world.clock, &World::credentials(), &world.account, world.token()).await
    };
    let renewed = refresh(&world).await.ok().unwrap();
    assert!(renewed.access != world.token().access && renewed.refresh != world.token().refresh);
    assert_eq!(renewed.expires_at, Some(sandbox::world::epoch_end() + chrono::Duration::hours(1)));
    // The answer was lost: the old token gives another.
    let renewed = refresh(&world).await.ok().unwrap();
    world.credential = Credential::Token(renewed);
    assert!(world.list::<Order>(first_page(5)).await.is_ok());

    world.sandbox.shopify().revoke(HANDLE);
    assert_eq!(world.list::<Order>(first_page(5)).await.err().unwrap().kind(), "unauthorized");
    assert_eq!(refresh(&world).await.err().unwrap().kind(), "unauthorized");
}

#[tokio::test]
async fn what_is_not_approved_is_withheld_and_what_is_refused_is_forbidden() {
    let world = World::with(App { data_access: DataAccess::WithoutIdentity, ..app(SCOPES) }).await;
    let page = world.list::<Order>(first_page(25)).await.ok().unwrap();
    assert_eq!(page.items.len(), 25);
    assert!(page.notes.withheld.iter().all(|withheld| withheld.reason == WithheldReason::ProviderApproval));
    assert!(page.notes.withheld.iter().any(|withheld| withheld.field == "email"));
    let world = World::with(App { data_access: DataAccess::None, ..app(SCOPES) }).await;
    assert_eq!(world.list::<Order>(first_page(25)).await.err().unwrap().kind(), "forbidden");
    let world = World::with(app("read_products")).await;
    let error = world.list::<Order>(first_page(25)).await.err().unwrap();
    let ProviderError::Forbidden { missing_scopes, .. } = error else { panic!("{error}") };
    assert!(missing_scopes.contains(&"read_orders".to_owned()), "{missing_scopes:?}");
    let world = World::with(app("read_orders,read_all_orders,read_products")).await;
    let page = world.list::<Order>(first_page(25)).await.ok().unwrap();
    let scope: Vec<_> =
        page.notes.withheld.iter().filter(|withheld| withheld.reason == WithheldReason::Scope).collect();
    assert!(scope.iter().any(|withheld| withheld.field == "customer"), "{:?}", page.notes.withheld);
}

/// As a browser would: install page, consent, callback, exchange.
#[tokio::test]
async fn an_owner_connects_a_shop() {
    let world = World::open().await;
    let credentials = World::credentials();
    let now: Time = world.clock.now();
    let choose = world.http.send(Request::get(Shopify.install_url(&credentials))).await.ok().unwrap();
    let page = String::from_utf8(choose.body.to_vec()).unwrap();
    let link =
        page.split('"').find(|part| part.contains(HANDLE) && part.starts_with('/')).unwrap().replace("&amp;", "&");
    let opened = world.http.send(Request::get(choose.url.join(&link).unwrap())).await.ok().unwrap();
    let install_request = Url::parse(opened.header(header::LOCATION).unwrap()).unwrap();
    let install = Shopify.verify_install(&credentials, install_request.query().unwrap(), now).unwrap();
    assert_eq!(install, Install { account: format!("{HANDLE}.myshopify.com") });

    let consent = Shopify.authorize_url(&credentials, &install, "state-1", &Url::parse(BACK).unwrap());
    assert_eq!(world.http.send(Request::get(consent.clone())).await.ok().unwrap().status, 200);
    let form = form_urlencoded::Serializer::new(String::new())
        .extend_pairs(consent.query_pairs())
        .append_pair("decision", "approve")
        .finish();
    let mut decide = Request::new(Method::POST, consent)
        .header(header::CONTENT_TYPE, HeaderValue::from_static("application/x-www-form-urlencoded"));
    decide.body = Some(form.into());
    let decided = world.http.send(decide).await.ok().unwrap();
    let back = Url::parse(decided.header(header::LOCATION).unwrap()).unwrap();
    let callback = Shopify.verify_callback(&credentials, back.query().unwrap(), now).ok().unwrap();
    assert_eq!(callback.state, "state-1");

    let established = Shopify.exchange(&world.http, &world.clock, &credentials, &callback).await.ok().unwrap();
    assert_eq!(established.external_account, format!("{HANDLE}.myshopify.com"));
    assert_eq!(established.display_name, "Feine Dinge");
    assert_eq!(established.config["currency"], "EUR");
    assert_eq!(established.scopes, ["read_customers", "read_orders", "read_products"]);
    let account = Account { config: established.config, scopes: established.scopes, ..world.account.clone() };
    let call = Call { account: &account, credential: &established.credential, ..world.call() };
    assert!(Read::<Order>::list(&Shopify, &call, &first_page(5)).await.is_ok());
    // The code was used.
    let again = Shopify.exchange(&world.http, &world.clock, &credentials, &callback).await.err().unwrap();
    assert_eq!(again.kind(), "rejected");
}
