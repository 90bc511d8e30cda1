use axum::http::StatusCode;
use serde_json::json;

use super::scene::Scene;

/// A cursor continues one list of one store of one organization with the same filters, for a day.
#[tokio::test(flavor = "multi_thread")]
async fn a_cursor_is_refused_for_anything_but_its_own_list() {
    let scene = Scene::set().await;
    let (ours, theirs) = (&scene.ours, &scene.theirs);
    let first = format!("/webshop-data-api/orders?store_id={}&limit=2&status=processing", ours.ids.store);
    let page = ours.key.get(&first).await.expect(StatusCode::OK);
    let cursor = page.at("/meta/next_cursor").as_str().expect("more pages").to_owned();

    let second = ours.key.get(&format!("{first}&cursor={cursor}")).await.expect(StatusCode::OK);
    assert_ne!(second.at("/data/0/id"), page.at("/data/0/id"));
    let other_store = ours.owner.connect_shopify("kis-bolt").await;
    let mut flipped = cursor.clone().into_bytes();
    let middle = flipped.len() / 2;
    flipped[middle] = if flipped[middle] == b'A' { b'B' } else { b'A' };
    let flipped = String::from_utf8(flipped).expect("ASCII");

    let own = |resource: &str, rest: &str, cursor: &str| {
        format!("/webshop-data-api/{resource}?limit=2{rest}&cursor={cursor}")
    };
    let store = format!("&store_id={}", ours.ids.store);
    let refused = [
        ("other filters", own("orders", &format!("{store}&status=completed"), &cursor)),
        ("no filter", own("orders", &store, &cursor)),
        ("a filter more", own("orders", &format!("{store}&status=processing&customer_id=1"), &cursor)),
        ("another resource", own("products", &store, &cursor)),
        ("another store", own("orders", &format!("&store_id={other_store}&status=processing"), &cursor)),
        ("a changed letter", own("orders", &format!("{store}&status=processing"), &flipped)),
        ("noise", own("orders", &format!("{store}&status=processing"), "noise")),
        ("nothing", own("orders", &format!("{store}&status=processing"), "")),
    ];
    for (what, path) in refused {
        let answer = ours.key.get(&path).await;
        assert_eq!(
            (answer.status.as_u16(), answer.problem().as_str()),
            (400, "invalid_cursor"),
            "{what}: {}",
            answer.short()
        );
    }
    // Another organization, with its own store and the very same filters.
    let path = own("orders", &format!("&store_id={}&status=processing", theirs.ids.store), &cursor);
    theirs.key.get(&path).await.expect_problem(400, "invalid_cursor");
    // A search continues a list, since the filters are the same.
    let search = json!({ "store_id": ours.ids.store, "limit": 2, "status": "processing", "cursor": cursor });
    ours.key.post("/webshop-data-api/orders/search", search).await.expect(StatusCode::OK);
    scene.app.advance(chrono::TimeDelta::hours(25)).await;
    ours.key.get(&format!("{first}&cursor={cursor}")).await.expect_problem(400, "invalid_cursor");
    scene.app.finish().await;
}

/// The lists of our own records, with a filter that each can have.
const LISTS: &[(&str, &str)] = &[
    ("/api/stores", "access=orders"),
    ("/api/integrations/connections/", ""),
    ("/api/integrations/events/", "connection_id={store}"),
    ("/api/audit", ""),
    ("/api-key-management/list", ""),
    ("/api/access-log", "store_id={store}"),
    ("/api/stores/{store}/permissions/history", ""),
];

/// A cursor of our own lists is sealed: it continues its list with its filters in its organization, for a day.
#[tokio::test(flavor = "multi_thread")]
async fn a_cursor_of_our_own_lists_is_refused_for_anything_but_its_own_list() {
    let scene = Scene::set().await;
    let (ours, theirs) = (&scene.ours, &scene.theirs);
    ours.owner.connect_shopify("kis-bolt").await;
    ours.owner.create_key("another").await;
    for open in [false, true, false] {
        let switches =
            json!({ "allow_customer_access": open, "allow_order_access": true, "allow_product_access": true });
        let path = format!("/api/stores/{}/permissions", ours.ids.store);
        ours.owner.put(&path, json!({ "data_access_permissions": switches })).await.expect(StatusCode::OK);
        ours.key.get(&format!("/webshop-data-api/orders?store_id={}&limit=1", ours.ids.store)).await;
    }
    let path = |list: &str, store: uuid::Uuid, rest: &str| {
        let separator = if rest.is_empty() { "" } else { "&" };
        format!("{list}?limit=1{separator}{rest}").replace("{store}", &store.to_string())
    };
    let mut cursors = vec![];
    for (list, filter) in LISTS {
        let first = path(list, ours.ids.store, "");
        let page = ours.owner.get(&first).await.expect(StatusCode::OK);
        let cursor = page.at("/next_cursor").as_str().unwrap_or_else(|| panic!("{list} has one page")).to_owned();
        let first_row = |page: &testkit::Answer| {
            let id = page.at("/data/0/id").as_str().or(page.at("/data/0/key_id").as_str()).map(str::to_owned);
            id.unwrap_or_else(|| panic!("{list}: {}", page.short()))
        };
        let last = first_row(&page);
        assert!(!cursor.contains(&last), "{list}: the cursor shows the id");
        let next = ours.owner.get(&format!("{first}&cursor={cursor}")).await.expect(StatusCode::OK);
        assert_ne!(first_row(&next), last, "{list}");
        assert_eq!(next.at("/data").as_array().map(Vec::len), Some(1), "{list}");

        let mut refused = vec![
            ("noise".to_owned(), format!("{first}&cursor=noise")),
            ("nothing".to_owned(), format!("{first}&cursor=")),
            ("a bare id".to_owned(), format!("{first}&cursor={last}")),
        ];
        if !filter.is_empty() {
            refused.push(("a filter".to_owned(), path(list, ours.ids.store, &format!("{filter}&cursor={cursor}"))));
        }
        refused.extend(
            cursors.iter().map(|(other, cursor)| (format!("a cursor of {other}"), format!("{first}&cursor={cursor}"))),
        );
        for (what, path) in refused {
            let answer = ours.owner.get(&path).await;
            let refusal = (answer.status.as_u16(), answer.problem());
            assert_eq!(refusal, (400, "invalid_cursor".to_owned()), "{list} with {what}: {}", answer.short());
        }
        let foreign = format!("{}&cursor={cursor}", path(list, theirs.ids.store, ""));
        let answer = theirs.owner.get(&foreign).await.expect_problem(400, "invalid_cursor");
        ours.refuse_markers(list, &answer, &[]);
        cursors.push((*list, cursor));
    }
    scene.app.advance(chrono::TimeDelta::hours(25)).await;
    for (list, cursor) in cursors {
        let late = format!("{}&cursor={cursor}", path(list, ours.ids.store, ""));
        ours.owner.get(&late).await.expect_problem(400, "invalid_cursor");
    }
    scene.app.finish().await;
}
