use axum::http::StatusCode;
use kernel::Role;
use serde_json::json;

use super::{
    allows,
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

/// A store that is denied to a member: nothing that they, or a key that they made, can ask for shows it.
#[tokio::test(flavor = "multi_thread")]
async fn a_store_that_is_denied_to_a_member_is_nowhere_for_them_and_their_keys() {
    let scene = Scene::set().await;
    let ours = &scene.ours;
    let second = ours.owner.connect_shopify("kis-bolt").await;
    let name = format!("name-{}", kernel::random::token());
    let renamed = json!({ "display_name": name });
    let path = format!("/api/integrations/connections/{second}/");
    ours.owner.patch(&path, renamed).await.expect(StatusCode::OK);
    let both = ours.owner.create_key_with(json!({ "name": "both", "stores": [ours.ids.store, second] })).await;
    both.get(&format!("/webshop-data-api/orders?store_id={second}")).await.expect(StatusCode::OK);
    let mut checked = 0;
    for role in [Role::Administrator, Role::ShopManager, Role::Manager, Role::Employee, Role::Sales, Role::Viewer] {
        // A colleague of the same role, to whom it is not denied, sees what the other must not.
        let (colleague, _) = ours.person(role).await;
        let (member, ids) = ours.person(role).await;
        let members = ours.owner.get("/api/members?limit=100").await.expect(StatusCode::OK).at("/data");
        let seat = members.as_array().expect("members").iter().find(|seat| seat["user_id"] == member.user.to_string());
        let seat = seat.expect("a seat")["id"].as_str().expect("an id").to_owned();
        let denial = json!({ "effect": "deny", "resource": "connections", "action": "read", "resource_id": second });
        ours.owner.post(&format!("/api/members/{seat}/grants"), denial).await.expect(StatusCode::CREATED);
        let mut callers = vec![("session", (*member).clone(), (*colleague).clone())];
        if allows(role, &Needs::Permission("api_keys:create".into())) {
            let (key, colleagues) = (member.create_key("denied").await, colleague.create_key("sees").await);
            callers.push(("key", (*key).clone(), (*colleagues).clone()));
        }
        for (how, caller, colleague) in &callers {
            for (operation, recipe) in guarded().into_iter().filter(|(operation, _)| operation.path != "/api/logout") {
                let place = format!("{role} by {how}: {}", operation.name());
                let may = match *how {
                    "key" => super::is_for_keys(&operation.needs),
                    _ => operation.needs != Needs::Key && allows(role, &operation.needs),
                };
                let own = call(caller, &operation, recipe, &ids).await;
                // Lines of the trail that are about something else may name it by its id.
                let is_trail = operation.path == "/api/audit";
                assert!(
                    is_trail || !own.text().contains(&second.to_string()),
                    "{place} names the store: {}",
                    own.short()
                );
                assert!(!own.text().contains(&name), "{place} shows the store's name: {}", own.short());
                if !slots(&operation, recipe, &ids).contains(&Slot::Store) {
                    continue;
                }
                let made_up = unknown(caller);
                let beyond = call(caller, &operation, recipe, &ids.with(Slot::Store, second)).await;
                let unknown = call(caller, &operation, recipe, &ids.with(Slot::Store, made_up)).await;
                assert_eq!(shape(&beyond, &[second]), shape(&unknown, &[made_up]), "{place}");
                if may {
                    assert!(beyond.status != StatusCode::FORBIDDEN, "{place}: {}", beyond.short());
                }
                checked += 1;
                let is_of_the_store = slots(&operation, recipe, &ids) == [Slot::Store];
                if may
                    && is_of_the_store
                    && operation.method == axum::http::Method::GET
                    && !operation.path.contains("data-api")
                    // Begins now, for everybody.
                    && !operation.path.ends_with("/stream")
                {
                    let seen = call(colleague, &operation, recipe, &ids.with(Slot::Store, second)).await;
                    assert_eq!(seen.status, StatusCode::OK, "{place}: a colleague: {}", seen.short());
                    assert_ne!(shape(&seen, &[second]), shape(&beyond, &[second]), "{place}: a colleague sees more");
                }
            }
        }
        if allows(role, &Needs::Permission("access_log:read".into())) {
            let log = format!("/api/access-log?store_id={second}");
            let lines = async |who: &testkit::Client| who.get(&log).await.at("/data").as_array().map_or(0, Vec::len);
            assert!(lines(&member).await == 0 && lines(&colleague).await > 0, "{role}");
        }
        // The lists of connections show the one and not the other.
        if allows(role, &Needs::Permission("connections:read".into())) {
            for (_, caller, colleague) in &callers {
                let count =
                    async |who: &testkit::Client| who.get("/api/stores").await.at("/data").as_array().map(Vec::len);
                assert_eq!((count(caller).await, count(colleague).await), (Some(1), Some(2)), "{role}");
            }
        }
    }
    assert!(checked > 150, "{checked}");
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
