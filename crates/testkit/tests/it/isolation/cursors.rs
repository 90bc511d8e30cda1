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

/// Ids of foreign rows as cursors of our own lists select among our own rows.
#[tokio::test(flavor = "multi_thread")]
async fn a_foreign_id_as_a_cursor_shows_own_rows_only() {
    let scene = Scene::set().await;
    for path in
        ["/api/stores", "/api/integrations/connections/", "/api/integrations/events/", "/api/audit", "/api/access-log"]
    {
        for cursor in [scene.ours.ids.store, scene.ours.ids.key, uuid::Uuid::max()] {
            let answer = scene.theirs.owner.get(&format!("{path}?cursor={cursor}")).await.expect(StatusCode::OK);
            scene.ours.refuse_markers(path, &answer, &[cursor]);
        }
        scene.theirs.owner.get(&format!("{path}?cursor=noise")).await.expect_problem(400, "invalid_cursor");
    }
    scene.app.finish().await;
}
