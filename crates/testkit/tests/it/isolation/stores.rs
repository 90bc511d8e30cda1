use axum::http::StatusCode;
use serde_json::json;

use super::{
    operations::{Needs, Slot, call, guarded, slots},
    scene::{Scene, shape, unknown},
};

/// A key that is limited to stores sees the others as little as another organization does.
#[tokio::test(flavor = "multi_thread")]
async fn a_key_for_one_store_does_not_know_the_others() {
    let scene = Scene::set().await;
    let ours = &scene.ours;
    let second = ours.owner.connect_shopify("kis-bolt").await;
    let limited = ours.owner.create_key_with(json!({ "name": "limited", "stores": [ours.ids.store] })).await;
    let mut checked = 0;
    for (operation, recipe) in guarded() {
        if !super::is_for_keys(&operation.needs) {
            continue;
        }
        let own = call(&limited, &operation, recipe, &ours.ids).await;
        assert_eq!(own.status.as_u16(), recipe.answers, "{}: {}", operation.name(), own.short());
        assert!(!own.text().contains(&second.to_string()), "{}: lists the other store", operation.name());
        if slots(&operation, recipe, &ours.ids).contains(&Slot::Store) {
            let made_up = unknown(&limited);
            let beyond = call(&limited, &operation, recipe, &ours.ids.with(Slot::Store, second)).await;
            let unknown = call(&limited, &operation, recipe, &ours.ids.with(Slot::Store, made_up)).await;
            assert_eq!(beyond.status, StatusCode::NOT_FOUND, "{}: {}", operation.name(), beyond.short());
            assert_eq!(shape(&beyond, &[second]), shape(&unknown, &[made_up]), "{}", operation.name());
            checked += 1;
        }
    }
    assert!(checked >= 11, "{checked}");
    // Its owner's other key sees both.
    ours.key.get(&format!("/webshop-data-api/orders?store_id={second}")).await.expect(StatusCode::OK);
    scene.app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_without_webshop_data_may_only_ask_what_it_is() {
    let scene = Scene::set().await;
    let key =
        scene.ours.owner.create_key_with(json!({ "name": "nothing", "permissions": { "webshop_data": false } })).await;
    for (operation, recipe) in guarded() {
        let answer = call(&key, &operation, recipe, &scene.ours.ids).await;
        let expected = if operation.needs == Needs::Key { StatusCode::OK } else { StatusCode::FORBIDDEN };
        assert_eq!(answer.status, expected, "{}: {}", operation.name(), answer.short());
    }
    scene.app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_for_web_pages_is_refused_from_others() {
    let scene = Scene::set().await;
    let form = json!({ "name": "page", "allowed_origins": ["https://shop.example"] });
    let key = scene.ours.owner.create_key_with(form).await;
    let path = format!("/webshop-data-api/products?store_id={}", scene.ours.ids.store);
    key.get(&path).await.expect(StatusCode::OK);
    key.with_header("origin", "https://shop.example").get(&path).await.expect(StatusCode::OK);
    for origin in ["https://evil.example", "https://shop.example.evil.example", "http://shop.example", "null"] {
        key.with_header("origin", origin).get(&path).await.expect_problem(403, "forbidden");
    }
    scene.app.finish().await;
}
