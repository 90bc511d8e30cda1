//! One simulated shop: its data, its limits, its troubles, and what it was asked.

use super::graphql::bucket::{Bucket, Rate};
use super::store::{Profile, Store};
use crate::faults::Faults;
use crate::world::{self, CanaryPerson, Market, Size, World};
use crate::{Clock, Options};
use chrono::{DateTime, TimeDelta, Utc};
use http::StatusCode;
use std::collections::{BTreeMap, HashMap};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, PoisonError, RwLock};

/// What a shop is like.
#[derive(Debug, Clone)]
pub struct ShopSpec {
    /// First label of its `myshopify.com` domain.
    pub handle: String,
    /// For people.
    pub name: String,
    /// Country, currency, time zone, tax.
    pub market: Market,
    /// How much data; `None`: as the sandbox's options say.
    pub size: Option<Size>,
    /// Its limits for the Admin API.
    pub rate: Rate,
}

impl ShopSpec {
    /// A shop of the usual size on the standard plan.
    pub fn new(handle: &str, name: &str, market: Market) -> ShopSpec {
        ShopSpec { handle: handle.to_owned(), name: name.to_owned(), market, size: None, rate: Rate::default() }
    }

    /// The shops of the demo: euros, forints, yen.
    pub fn standard() -> Vec<ShopSpec> {
        vec![
            ShopSpec::new("feine-dinge", "Feine Dinge", Market::GERMANY),
            ShopSpec::new("kis-bolt", "Kis Bolt", Market::HUNGARY),
            ShopSpec::new("ocha-ya", "Ocha-ya", Market::JAPAN),
        ]
    }
}

/// Whether a shop answers its API.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum ShopStatus {
    /// Yes.
    #[default]
    Open,
    /// 402: the merchant has not paid.
    Frozen,
    /// 403: the app or the shop is blocked.
    Forbidden,
    /// 404: closed for good; every page is gone.
    Closed,
    /// 423: locked after abuse.
    Locked,
    /// 430: Shopify takes the caller for an attacker.
    Rejected,
}

impl ShopStatus {
    /// Status and `errors` of the API's answer; `None`: it works.
    pub(super) fn refusal(self) -> Option<(StatusCode, &'static str)> {
        Some(match self {
            ShopStatus::Open => return None,
            ShopStatus::Frozen => (StatusCode::PAYMENT_REQUIRED, "Unavailable Shop"),
            ShopStatus::Forbidden => (StatusCode::FORBIDDEN, "[API] This action requires merchant approval."),
            ShopStatus::Closed => (StatusCode::NOT_FOUND, "Not Found"),
            ShopStatus::Locked => (StatusCode::LOCKED, "Locked"),
            ShopStatus::Rejected => (StatusCode::from_u16(430).unwrap_or(StatusCode::FORBIDDEN), "Security Rejection"),
        })
    }
}

/// How often a shop was asked.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Counts {
    /// GraphQL operations by name; `anonymous` for those without.
    pub operations: BTreeMap<String, u64>,
    /// Uses of refresh tokens, also failed ones.
    pub refreshes: u64,
    /// Exchanges of authorization codes, also failed ones.
    pub exchanges: u64,
    /// GraphQL calls with a token that did not work.
    pub unauthorized: u64,
    /// GraphQL calls answered with `THROTTLED`.
    pub throttled: u64,
}

/// A running shop.
#[derive(Debug)]
pub struct Shop {
    spec: ShopSpec,
    faults: Faults,
    clock: Clock,
    world: Mutex<World>,
    store: RwLock<Store>,
    status: Mutex<ShopStatus>,
    rate: Mutex<Rate>,
    buckets: Mutex<HashMap<String, Arc<Mutex<Bucket>>>>,
    storm: AtomicU32,
    counts: Mutex<Counts>,
}

impl Shop {
    pub(super) fn new(spec: ShopSpec, place: usize, options: &Options) -> Shop {
        let size = spec.size.unwrap_or(options.size);
        let world = World::generate(options.seed.wrapping_add(7 * place as u64), size, spec.market);
        let store = Store::render(profile(&spec, place), &world);
        Shop {
            rate: Mutex::new(spec.rate),
            spec,
            faults: Faults::default(),
            clock: options.clock.clone(),
            world: Mutex::new(world),
            store: RwLock::new(store),
            status: Mutex::default(),
            buckets: Mutex::default(),
            storm: AtomicU32::new(0),
            counts: Mutex::default(),
        }
    }

    /// What it is like.
    pub fn spec(&self) -> &ShopSpec {
        &self.spec
    }

    /// `{handle}.myshopify.com`.
    pub fn domain(&self) -> String {
        format!("{}.myshopify.com", self.spec.handle)
    }

    /// What goes wrong between a client and this shop.
    pub fn faults(&self) -> &Faults {
        &self.faults
    }

    /// Opens, freezes, locks or closes the shop.
    pub fn set_status(&self, status: ShopStatus) {
        *lock(&self.status) = status;
    }

    pub(super) fn status(&self) -> ShopStatus {
        *lock(&self.status)
    }

    /// Gives the shop other limits; every app's bucket starts full again.
    pub fn set_rate(&self, rate: Rate) {
        *lock(&self.rate) = rate;
        lock(&self.buckets).clear();
    }

    /// Answers the next `calls` GraphQL calls with `THROTTLED` and an empty bucket.
    pub fn throttle_next(&self, calls: u32) {
        self.storm.store(calls, Ordering::Relaxed);
    }

    /// Whether this call is one of those to throttle.
    pub(super) fn in_storm(&self) -> bool {
        let less = |calls: u32| calls.checked_sub(1);
        self.storm.fetch_update(Ordering::Relaxed, Ordering::Relaxed, less).is_ok()
    }

    pub(super) fn bucket(&self, client_id: &str) -> Arc<Mutex<Bucket>> {
        let rate = *lock(&self.rate);
        let mut buckets = lock(&self.buckets);
        match buckets.get(client_id) {
            Some(bucket) => bucket.clone(),
            None => {
                let bucket = Arc::new(Mutex::new(Bucket::new(rate, self.clock.now())));
                buckets.insert(client_id.to_owned(), bucket.clone());
                bucket
            }
        }
    }

    pub(super) fn store(&self) -> &RwLock<Store> {
        &self.store
    }

    /// Looks at the shop's data.
    pub fn read<T>(&self, look: impl FnOnce(&Store) -> T) -> T {
        look(&self.store.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Changes the shop's data. Nothing else is touched: whoever changes an order sets its `updated_at` too.
    pub fn edit<T>(&self, change: impl FnOnce(&mut Store) -> T) -> T {
        let mut store = self.store.write().unwrap_or_else(PoisonError::into_inner);
        let changed = change(&mut store);
        store.changed();
        changed
    }

    /// Makes a person a customer with three orders, whose words a privacy scan looks for later. Undoes earlier edits.
    pub fn plant(&self, canary: CanaryPerson) -> Planted {
        let mut world = lock(&self.world);
        let planted = world.plant(canary);
        self.edit(|store| *store = Store::render(store.profile.clone(), &world));
        Planted {
            customer_id: super::store::customer_id(planted.person_id),
            order_ids: planted.order_ids.map(super::store::order_id),
        }
    }

    /// How often the shop was asked so far.
    pub fn counts(&self) -> Counts {
        lock(&self.counts).clone()
    }

    /// Forgets how often.
    pub fn reset_counts(&self) {
        *lock(&self.counts) = Counts::default();
    }

    pub(super) fn count(&self, what: impl FnOnce(&mut Counts)) {
        what(&mut lock(&self.counts));
    }
}

/// Where a canary was put.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Planted {
    /// The number in the customer's gid.
    pub customer_id: u64,
    /// The numbers in the orders' gids.
    pub order_ids: [u64; 3],
}

fn profile(spec: &ShopSpec, place: usize) -> Profile {
    let own = spec.market.currency.code;
    let others = ["EUR", "USD"].into_iter().filter(|code| *code != own);
    Profile {
        id: 60_000_000_000 + place as u64,
        name: spec.name.clone(),
        handle: spec.handle.clone(),
        email: format!("owner@{}.example", spec.handle),
        primary_host: format!("{}.example", spec.handle),
        market: spec.market,
        presentment_currencies: std::iter::once(own).chain(others).collect(),
        plan: if spec.rate.restore_per_second >= 1000.0 { "Plus" } else { "Basic" },
        created_at: opened(),
    }
}

/// Before everything in any world.
fn opened() -> DateTime<Utc> {
    world::epoch_end() - TimeDelta::days(4 * 365)
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
