//! `kill -9` while tokens are being renewed. One kill meets the renewals of many shops, each at a moment of its own: before
//! the platform is asked, while it works, when it has given a new token that nobody has read, when that is saved.

use std::{collections::BTreeMap, time::Duration};

use futures::future::join_all;
use http::StatusCode;
use sandbox::{
    faults::{Fault, Rule},
    shopify::{Rate, ShopSpec},
    world::{Market, Size},
};
use testkit::{Options, Process, TestApp};
use uuid::Uuid;

use super::{BINARY, TOKENS, TURN, expire_all, list, two_processes};

const SHOPS: usize = 20;
/// How long a platform takes before it acts, and again before it answers, at most.
const SLOW_MS: u64 = 400;
/// When the renewal of a shop begins, at the latest.
const BEGIN_MS: u64 = 400;
/// When the process is killed, at the latest.
const KILL_MS: u64 = 1_000;

/// What the kill met.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
enum Met {
    NothingBegun,
    TurnTaken,
    /// The platform has replaced the token, and the new one died with the process.
    Renewed,
    Saved,
}

/// SplitMix64: the same numbers from the same seed on every machine.
struct Numbers(u64);

impl Numbers {
    fn below(&mut self, limit: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)) % limit
    }
}

fn setting(name: &str, usually: u64) -> u64 {
    std::env::var(name).map_or(usually, |text| text.parse().unwrap())
}

struct Scene {
    app: TestApp,
    stores: Vec<(String, Uuid)>,
    key: testkit::Key,
}

impl Scene {
    async fn set() -> Self {
        let shops = (0..SHOPS).map(|number| ShopSpec {
            size: Some(Size { people: 3, products: 3, orders: 3 }),
            rate: Rate::per_second(2_000.0),
            ..ShopSpec::new(&format!("shop-{number}"), &format!("Shop {number}"), Market::HUNGARY)
        });
        let options = Options {
            in_real_time: true,
            live_requests_per_minute: 100_000,
            shopify_shops: shops.collect(),
            ..Options::default()
        };
        let app = TestApp::with(options).await;
        let kata = app.sign_up("Kata").await;
        let mut stores = vec![];
        for number in 0..SHOPS {
            let handle = format!("shop-{number}");
            let store = kata.connect_shopify(&handle).await;
            stores.push((handle, store));
        }
        let key = kata.create_key("bot").await;
        Self { app, stores, key }
    }

    fn shop(&self, handle: &str) -> &sandbox::shopify::Shop {
        self.app.sandbox().shopify().shop(handle).unwrap()
    }

    /// How often each store's token has been renewed, and whether somebody has the turn to do it.
    async fn renewals(&self) -> BTreeMap<Uuid, (i64, bool)> {
        let rows: Vec<(Uuid, i64, bool)> = sqlx::query_as(
            "select connection_id, renewals, refresh_leased_until is not null from credentials where revoked_at is null",
        )
        .fetch_all(&mut self.app.superuser().await)
        .await
        .unwrap();
        rows.into_iter().map(|(store, renewals, is_leased)| (store, (renewals, is_leased))).collect()
    }

    /// One kill. The other process serves every store, and what was met is told.
    async fn kill(&self, victim: Process, survivor: &Process, numbers: &mut Numbers) -> Vec<Met> {
        let ms = |numbers: &mut Numbers, limit| Duration::from_millis(numbers.below(limit));
        expire_all(&self.app).await;
        for (handle, _) in &self.stores {
            let shop = self.shop(handle);
            shop.reset_counts();
            shop.faults().clear();
            shop.faults().inject(Rule::from(Fault::Delay(ms(numbers, SLOW_MS))).on(TOKENS));
            shop.faults().inject(Rule::from(Fault::LateAnswer(ms(numbers, SLOW_MS))).on(TOKENS));
        }
        let before = self.renewals().await;
        let kill_after = ms(numbers, KILL_MS);
        let mut doomed = vec![];
        let mut served = vec![];
        for (_, store) in &self.stores {
            let (there, path) = (self.key.at_process(&victim), list("products", *store));
            let (path_here, here) = (path.clone(), self.key.at_process(survivor));
            let (begins, comes) = (ms(numbers, BEGIN_MS), ms(numbers, BEGIN_MS));
            doomed.push(tokio::spawn(async move {
                tokio::time::sleep(begins).await;
                there.get_if_it_lives(&path).await
            }));
            // While the other is at it, or dead.
            served.push(tokio::spawn(async move {
                tokio::time::sleep(begins + Duration::from_millis(50) + comes).await;
                here.get(&path_here).await
            }));
        }
        tokio::time::sleep(kill_after).await;
        victim.kill();
        let after = self.renewals().await;
        let met = self.stores.iter().map(|(handle, store)| match (before[store], after[store]) {
            ((old, _), (new, _)) if new > old => Met::Saved,
            _ if self.shop(handle).counts().refreshes > 0 => Met::Renewed,
            (_, (_, true)) => Met::TurnTaken,
            _ => Met::NothingBegun,
        });
        let met: Vec<Met> = met.collect();

        for (answer, (handle, _)) in join_all(served).await.into_iter().zip(&self.stores) {
            let answer = answer.unwrap();
            assert_eq!(answer.status, StatusCode::OK, "{handle}: {}", answer.short());
        }
        join_all(doomed).await;
        for ((handle, _), met) in self.stores.iter().zip(&met) {
            let counts = self.shop(handle).counts();
            assert_eq!(counts.unauthorized, 0, "{handle}, {met:?}: a token that had ended was used");
            let at_most = if *met == Met::Saved { 1 } else { 2 };
            assert!((1..=at_most).contains(&counts.refreshes), "{handle}, {met:?}: {} renewals", counts.refreshes);
        }
        self.all_is_connected().await;
        met
    }

    async fn all_is_connected(&self) {
        let others: Vec<(Uuid, String, String)> =
            sqlx::query_as("select id, status, health from connections where (status, health) <> ('connected', 'ok')")
                .fetch_all(&mut self.app.superuser().await)
                .await
                .unwrap();
        assert!(others.is_empty(), "{others:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_process_killed_while_it_renews_tokens_loses_none() {
    let _turn = TURN.lock().await;
    let points = setting("ENTREPOT_KILL_POINTS", 100);
    let seed = setting("ENTREPOT_SEED", u64::from_le_bytes(kernel::random::bytes()));
    println!("{points} points; the seed is ENTREPOT_SEED={seed}");
    let mut numbers = Numbers(seed);
    let scene = Scene::set().await;
    let [mut victim, mut survivor] = two_processes(&scene.app).await;
    let mut all: BTreeMap<Met, u64> = BTreeMap::new();
    for _ in 0..points.div_ceil(SHOPS as u64) {
        // The next one starts while the survivor waits for the turns of the dead.
        let mut next = Process::launch(BINARY, &scene.app.installation);
        let (met, ()) = tokio::join!(scene.kill(victim, &survivor, &mut numbers), next.ready());
        for met in met {
            *all.entry(met).or_default() += 1;
        }
        // Each is killed in its turn, after it has served.
        (victim, survivor) = (survivor, next);
    }
    println!("{all:?}");
    for met in [Met::TurnTaken, Met::Renewed, Met::Saved] {
        assert!(all.contains_key(&met), "no kill met {met:?}: {all:?}");
    }

    // What is stored is what the platform takes: every family of tokens lives.
    expire_all(&scene.app).await;
    for (handle, store) in &scene.stores {
        scene.shop(handle).faults().clear();
        for process in [&victim, &survivor] {
            scene.key.at_process(process).get(&list("products", *store)).await.expect(StatusCode::OK);
        }
    }
    tokio::join!(victim.stop(), survivor.stop());
}
