//! Who may call what, for every operation of the program's OpenAPI document: each role, keys, nobody, those who were
//! suspended, and those of another organization with ours ids in hand.

mod cursors;
mod operations;
mod read_only;
mod scene;
mod stores;

use std::collections::BTreeSet;

use axum::http::StatusCode;
use kernel::Role;
use testkit::Client;

use operations::{Needs, PUBLIC, Slot, call, guarded, operations, recipe, slots};
use scene::{Scene, shape, unknown};

/// Operations that answer foreign ids otherwise than with 404, each with its reason; the answer is then the same as for an
/// id that does not exist.
const OTHER_ANSWERS: &[(&str, Slot, u16, &str)] = &[
    ("GET /api/access-log", Slot::Store, 200, "a filter: nothing is found by it"),
    ("GET /api/access-log", Slot::Key, 200, "a filter: nothing is found by it"),
    ("GET /api/integrations/events/", Slot::Store, 200, "a filter: nothing is found by it"),
    ("GET /api/integrations/events/export.csv", Slot::Store, 200, "a filter: nothing is found by it"),
    ("GET /api/integrations/events/stream", Slot::Store, 200, "a filter: nothing is found by it"),
    ("POST /api/members/{id}/grants", Slot::Store, 400, "a field that names no connection of the organization"),
    ("POST /api-key-management/create", Slot::Store, 400, "a field that names no store of the organization"),
];

fn allows(role: Role, needs: &Needs) -> bool {
    match needs {
        Needs::Nothing | Needs::Session => true,
        Needs::Key => false,
        Needs::Permission(wanted) => {
            role.permissions().iter().any(|(resource, action)| format!("{resource}:{action}") == *wanted)
        }
    }
}

fn is_for_keys(needs: &Needs) -> bool {
    match needs {
        Needs::Key => true,
        Needs::Permission(wanted) => KEY_SCOPES.contains(&wanted.as_str()),
        Needs::Nothing | Needs::Session => false,
    }
}

/// The most that a key may do (product decision: webshop data and the list of stores).
const KEY_SCOPES: [&str; 4] = ["customers:read", "orders:read", "products:read", "connections:read"];

#[test]
fn every_operation_is_covered_and_every_public_one_is_listed() {
    let all = operations();
    assert!(all.len() > 30, "{}", all.len());
    for operation in &all {
        let is_listed = PUBLIC.iter().any(|(name, _)| *name == operation.name());
        assert_eq!(operation.needs == Needs::Nothing, is_listed, "{}: public, with a reason?", operation.name());
        assert!(is_listed || recipe(operation).is_some(), "{} is not covered: add it to RECIPES", operation.name());
    }
    let names: BTreeSet<String> = all.iter().map(|operation| operation.name()).collect();
    for (name, _) in PUBLIC {
        assert!(names.contains(*name), "{name} is listed and not there");
    }
    for recipe in operations::RECIPES {
        assert!(names.contains(recipe.operation), "{} is listed and not there", recipe.operation);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_role_may_do_what_the_matrix_says_and_nothing_else() {
    let scene = Scene::set().await;
    let mut checked = 0;
    for role in Role::ALL {
        let (member, ids) = scene.ours.person(*role).await;
        for (operation, recipe) in guarded() {
            let answer = call(&member, &operation, recipe, &ids).await;
            let place = format!("{role}: {}", operation.name());
            if allows(*role, &operation.needs) {
                assert_eq!(answer.status.as_u16(), recipe.answers, "{place}: {}", answer.short());
            } else {
                let refusal = if operation.needs == Needs::Key { (400, "invalid_request") } else { (403, "forbidden") };
                let given = (answer.status.as_u16(), answer.problem());
                assert_eq!(given, (refusal.0, refusal.1.to_owned()), "{place}: {}", answer.short());
            }
            scene.theirs.refuse_markers(&place, &answer, &[]);
            checked += 1;
        }
    }
    assert!(checked >= 8 * 30);
    scene.app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_does_what_keys_may_and_nobody_does_nothing() {
    let scene = Scene::set().await;
    let nobody = scene.app.nobody();
    let strangers: Vec<(&str, Client)> = vec![
        ("no credentials", nobody.clone()),
        ("a made-up key", nobody.presenting("api_shopcall_aB3dE6gHsecretsecretsecre000000")),
        ("a made-up session", nobody.presenting(&format!("entrepot_session_{}", kernel::random::base62(43)))),
        ("noise", nobody.presenting("noise")),
        ("basic", nobody.with_header("authorization", "Basic dXNlcjpwYXNz")),
    ];
    for (operation, recipe) in guarded() {
        let answer = call(&scene.ours.key, &operation, recipe, &scene.ours.ids).await;
        let expected = if is_for_keys(&operation.needs) { recipe.answers } else { 403 };
        assert_eq!(answer.status.as_u16(), expected, "key: {}: {}", operation.name(), answer.short());
        for (who, stranger) in &strangers {
            let answer = call(stranger, &operation, recipe, &scene.ours.ids).await;
            let place = format!("{who}: {}", operation.name());
            assert_eq!(
                (answer.status.as_u16(), answer.problem().as_str()),
                (401, "unauthenticated"),
                "{place}: {}",
                answer.short()
            );
            scene.ours.refuse_markers(&place, &answer, &[]);
        }
    }
    scene.app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn members_who_are_suspended_or_only_invited_reach_nothing() {
    let scene = Scene::set().await;
    for status in ["suspended", "invited"] {
        let member = scene.ours.owner.member_with_status(Role::Owner, status).await;
        for (operation, recipe) in guarded() {
            for caller in [(*member).clone(), member.naming(scene.ours.ids.organization)] {
                let answer = call(&caller, &operation, recipe, &scene.ours.ids).await;
                let place = format!("{status}: {}", operation.name());
                match operation.needs {
                    // They are who they are; their session shows them nothing of the organization.
                    Needs::Session => assert_eq!(answer.status.as_u16(), recipe.answers, "{place}"),
                    Needs::Key => assert_eq!(answer.status.as_u16(), 400, "{place}"),
                    _ => assert!(matches!(answer.status.as_u16(), 401 | 403 | 404), "{place}: {}", answer.short()),
                }
                scene.ours.refuse_markers(&place, &answer, &[]);
                if operation.path == "/api/logout" {
                    break;
                }
            }
        }
    }
    scene.app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn foreign_ids_are_as_unknown_as_made_up_ones_in_every_place() {
    let scene = Scene::set().await;
    let mut checked = 0;
    for role in Role::ALL {
        let (member, own) = scene.theirs.person(*role).await;
        let key = &*scene.theirs.key;
        let callers: Vec<(&str, &Client)> =
            if *role == Role::Owner { vec![("session", &member), ("key", key)] } else { vec![("session", &member)] };
        for (how, caller) in callers {
            for (operation, recipe) in guarded() {
                for slot in slots(&operation, recipe, &own) {
                    let (foreign, made_up) = (scene.ours.ids.of(slot), unknown(caller));
                    let place = format!("{role} by {how}: {} with a foreign {slot:?}", operation.name());
                    let with_foreign = call(caller, &operation, recipe, &own.with(slot, foreign)).await;
                    let with_made_up = call(caller, &operation, recipe, &own.with(slot, made_up)).await;
                    scene.ours.refuse_markers(&place, &with_foreign, &[foreign]);
                    assert_eq!(shape(&with_foreign, &[foreign]), shape(&with_made_up, &[made_up]), "{place}");
                    let other = OTHER_ANSWERS.iter().find(|(name, s, ..)| *name == operation.name() && *s == slot);
                    let may = match how {
                        "key" => is_for_keys(&operation.needs),
                        _ => allows(*role, &operation.needs),
                    };
                    let expected = match (may, other) {
                        (false, _) => 403,
                        (true, Some((_, _, status, _))) => *status,
                        (true, None) => 404,
                    };
                    assert_eq!(with_foreign.status.as_u16(), expected, "{place}: {}", with_foreign.short());
                    if expected == 200 && with_foreign.header("content-type").starts_with("text/csv") {
                        assert_eq!(with_foreign.text().lines().count(), 1, "{place}: a head and no line");
                    } else if expected == 200 && with_foreign.header("content-type") == "text/event-stream" {
                        assert!(!with_foreign.text().contains("data:"), "{place}: a beginning and no line");
                    } else if expected == 200 {
                        assert_eq!(with_foreign.at("/data"), serde_json::json!([]), "{place}");
                    }
                    checked += 1;
                }
            }
        }
    }
    assert!(checked > 150, "{checked}");
    // What was tried left ours as it was.
    for (operation, recipe) in
        guarded().into_iter().filter(|(operation, _)| operation.path != "/api/logout" && operation.needs != Needs::Key)
    {
        let answer = call(&scene.ours.owner, &operation, recipe, &scene.ours.ids).await;
        assert_eq!(answer.status.as_u16(), recipe.answers, "{}: {}", operation.name(), answer.short());
    }
    scene.app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn naming_a_foreign_organization_reaches_nothing() {
    let scene = Scene::set().await;
    let callers = [("session", (*scene.theirs.owner).clone()), ("key", (*scene.theirs.key).clone())];
    for (how, caller) in callers {
        let made_up = unknown(&caller);
        for (operation, recipe) in guarded() {
            let is_tried = match operation.needs {
                Needs::Permission(_) => true,
                Needs::Key => how == "key",
                Needs::Nothing | Needs::Session => false,
            };
            if !is_tried {
                continue;
            }
            let foreign = call(&caller.naming(scene.ours.ids.organization), &operation, recipe, &scene.ours.ids).await;
            let unknown = call(&caller.naming(made_up), &operation, recipe, &scene.ours.ids).await;
            let place = format!("{how}: {}", operation.name());
            assert_eq!(foreign.status, StatusCode::NOT_FOUND, "{place}: {}", foreign.short());
            assert_eq!(shape(&foreign, &[]), shape(&unknown, &[]), "{place}");
            scene.ours.refuse_markers(&place, &foreign, &[]);
        }
        let own =
            call(&caller.naming(scene.theirs.ids.organization), &guarded()[2].0, guarded()[2].1, &scene.theirs.ids)
                .await;
        own.expect(StatusCode::OK);
    }
    scene.app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn of_a_deleted_organization_nothing_is_reached_by_anybody() {
    let scene = Scene::set().await;
    let viewer = scene.ours.owner.member(Role::Viewer).await;
    let open_session = scene.ours.owner.member(Role::Administrator).await;
    let path = format!("/api/organizations/{}", scene.ours.ids.organization);
    let confirmation = serde_json::json!({ "name": scene.ours.owner.organization_name });
    scene.ours.owner.delete(&path, confirmation).await.expect(StatusCode::NO_CONTENT);
    let named = open_session.naming(scene.ours.ids.organization);
    // Sessions stay open; their organization is not there any more. Keys have ended with it.
    let callers = [
        ("owner", &*scene.ours.owner, 404),
        ("viewer", &*viewer, 404),
        ("administrator who names it", &named, 404),
        ("key", &*scene.ours.key, 401),
    ];
    for (who, caller, expected) in callers {
        for (operation, recipe) in guarded() {
            let is_tried = match operation.needs {
                Needs::Permission(_) => true,
                Needs::Key => who == "key",
                Needs::Nothing | Needs::Session => false,
            };
            if !is_tried {
                continue;
            }
            let answer = call(caller, &operation, recipe, &scene.ours.ids).await;
            assert_eq!(answer.status.as_u16(), expected, "{who}: {}: {}", operation.name(), answer.short());
        }
    }
    let me = scene.ours.owner.get("/api/me").await.expect(StatusCode::OK);
    assert_eq!(me.at("/organizations"), serde_json::json!([]));
    // The other organization goes on.
    scene
        .theirs
        .key
        .get(&format!("/webshop-data-api/orders?store_id={}", scene.theirs.ids.store))
        .await
        .expect(StatusCode::OK);
    scene.app.finish().await;
}
