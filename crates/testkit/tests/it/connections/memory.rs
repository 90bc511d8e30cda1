use std::{
    sync::{Arc, Barrier},
    time::Duration,
};

use axum::http::StatusCode;
use chrono::TimeDelta;
use integrations::connections::{Store, Stores};
use kernel::{Action, OrganizationId, Resource, Secret, TenantScope, scope::InternalTask};
use kit::decision_cache::DecisionCache;
use serde_json::json;
use testkit::{Member, TestApp};
use uuid::Uuid;

const ROUNDS: usize = 20_000;

/// Looks at what a node remembers.
enum Looking {}
impl InternalTask for Looking {
    const NAME: &'static str = "looking";
    const PERMISSIONS: &'static [(Resource, Action)] = &[];
}

async fn remembered(node: &TestApp, owner: &Member, store: Uuid) -> Option<Arc<Store>> {
    let (app, scope) = (node.app(), TenantScope::internal::<Looking>(owner.organization.into()));
    app.slice::<Stores>().get(app, &scope, store.into()).await.ok().flatten()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_changes_of_one_store_makes_no_node_forget_another() {
    let a = TestApp::start().await;
    let b = a.second_node().await;
    let (kata, bela) = (a.sign_up("Kata").await, a.sign_up("Bela").await);
    let renewed = kata.connect_shopify("kis-bolt").await;
    let sibling = kata.connect_woocommerce("kavebolt.example").await;
    let foreign = bela.connect_woocommerce("kavebolt.example").await;
    let before = remembered(&b, &kata, renewed).await.expect("a store");
    let others = [(&kata, sibling), (&bela, foreign)];
    let mut kept = vec![];
    for (owner, store) in others {
        kept.push(remembered(&b, owner, store).await.expect("a store"));
    }

    a.advance(sandbox::shopify::ACCESS_LIFE + TimeDelta::seconds(1)).await;
    kata.get(&format!("/webshop-data-api/orders?store_id={renewed}")).await.expect(StatusCode::OK);
    b.within_a_second("the other node knows the new token", || async {
        !Arc::ptr_eq(&before, &remembered(&b, &kata, renewed).await.expect("a store"))
    })
    .await;
    for ((owner, store), kept) in others.into_iter().zip(&kept) {
        let now = remembered(&b, owner, store).await.expect("a store");
        assert!(Arc::ptr_eq(kept, &now), "{store} was forgotten though nothing of it changed");
    }

    kata.prove().await;
    let name = json!({ "name": kata.organization_name });
    let deleted = kata.delete(&format!("/api/organizations/{}", kata.organization), name).await;
    deleted.expect(StatusCode::NO_CONTENT);
    for store in [renewed, sibling] {
        b.within_a_second("a store of a deleted organization cannot be opened", || async {
            remembered(&b, &kata, store).await.is_none_or(|store| store.opened().is_err())
        })
        .await;
    }
    let now = remembered(&b, &bela, foreign).await.expect("a store");
    assert!(Arc::ptr_eq(&kept[1], &now), "a store of another organization was forgotten");
    b.finish().await;
    a.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_secret_leaves_the_memory_when_its_time_is_over_and_when_it_is_forgotten() {
    let app = TestApp::start().await;
    let lifetime = Duration::from_millis(400);
    let known = DecisionCache::<u8, Arc<Secret>>::with_lifetime(app.app().freshness.clone(), 100, lifetime);
    let organization = OrganizationId::new(&app.app().clock);
    let remember = async |id: u8| {
        let key = (organization, id);
        let secret = Arc::new(Secret::new("a token"));
        let held = Arc::downgrade(&secret);
        app.eventually("is remembered", || async {
            known.get_or_load(&key, async { Ok::<_, ()>(Some(secret.clone())) }).await.ok();
            known.get(&key).is_some()
        })
        .await;
        held
    };
    let (used, forgotten) = (remember(1).await, remember(2).await);
    known.forget(&(organization, 2));
    known.sweep();
    app.within_a_second("what is forgotten is wiped", || async {
        known.sweep();
        forgotten.upgrade().is_none()
    })
    .await;
    // Used all the time, and wiped nevertheless.
    app.within_a_second("what is old is wiped", || async {
        known.get(&(organization, 1));
        known.sweep();
        used.upgrade().is_none()
    })
    .await;
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn of_two_who_forget_an_organization_at_once_neither_finds_it_afterwards() {
    let app = TestApp::start().await;
    app.eventually("memory may be believed", || async { app.app().freshness.holds() }).await;
    let known = DecisionCache::<u8, ()>::new(app.app().freshness.clone(), 100);
    let organization = OrganizationId::new(&app.app().clock);
    let key = (organization, 1);
    let round = Arc::new(Barrier::new(2));
    let (other, others_round) = (known.clone(), round.clone());
    // As the listener does, which hears of a change while whoever made it forgets as well.
    let listener = std::thread::spawn(move || {
        for _ in 0..ROUNDS {
            others_round.wait();
            other.forget_organization(organization);
            others_round.wait();
        }
    });
    let mut found = 0;
    for _ in 0..ROUNDS {
        known.get_or_load(&key, async { Ok::<_, ()>(Some(())) }).await.expect("a value");
        round.wait();
        known.forget_organization(organization);
        found += usize::from(known.get(&key).is_some());
        round.wait();
    }
    listener.join().expect("the other has ended");
    assert_eq!(found, 0, "of {ROUNDS}");
    app.finish().await;
}
