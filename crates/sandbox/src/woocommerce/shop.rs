//! One running shop: its data with indexes, keys, faults, and what it was asked.

use super::serve;
use super::spec::{ApiKey, Permissions, ShopSpec, Transport};
use super::wc_auth::{self, Post};
use crate::faults::Faults;
use crate::server::{CallLog, Site};
use crate::world::{Id, OrderStatus, Rng, Role, World};
use crate::{Clock, Options};
use axum::Router;
use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, OnceLock, PoisonError, RwLock, RwLockReadGuard};

/// A running shop. Cloning gives another handle on the same.
#[derive(Debug, Clone)]
pub struct Shop(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    spec: ShopSpec,
    seed: u64,
    size: crate::world::Size,
    clock: Clock,
    data: OnceLock<RwLock<Data>>,
    keys: RwLock<Vec<ApiKey>>,
    /// By consumer key: nonces used, with their timestamps.
    nonces: Mutex<HashMap<String, Vec<(f64, String)>>>,
    /// Of consent pages that were shown.
    auth_nonces: Mutex<HashSet<String>>,
    post: Post,
    faults: Faults,
    calls: CallLog,
}

impl Shop {
    pub(super) fn new(spec: ShopSpec, options: &Options, post: Post) -> Shop {
        let seed = spec.host.bytes().fold(options.seed, |seed, byte| Rng::new(seed ^ u64::from(byte)).next_u64());
        let mut rng = Rng::new(seed);
        let keys = [
            (Permissions::ReadWrite, Role::Administrator),
            (Permissions::Read, Role::Administrator),
            (Permissions::Write, Role::Administrator),
            (Permissions::ReadWrite, Role::ShopManager),
            (Permissions::ReadWrite, Role::Customer),
        ];
        let keys = keys.map(|(permissions, role)| ApiKey::generate(&mut rng, permissions, role)).to_vec();
        Shop(Arc::new(Inner {
            spec,
            seed,
            size: options.size,
            clock: options.clock.clone(),
            data: OnceLock::new(),
            keys: RwLock::new(keys),
            nonces: Mutex::default(),
            auth_nonces: Mutex::default(),
            post,
            faults: Faults::default(),
            calls: CallLog::default(),
        }))
    }

    /// What it is like.
    pub fn spec(&self) -> &ShopSpec {
        &self.0.spec
    }

    /// What goes wrong on the way to it.
    pub fn faults(&self) -> &Faults {
        &self.0.faults
    }

    /// What it was asked. Endpoints are named like `orders/{id}`; pages that are not of the REST API are `page`.
    pub fn calls(&self) -> &CallLog {
        &self.0.calls
    }

    /// Looks at its data. Requests wait only while it is changed.
    pub fn read<R>(&self, look: impl FnOnce(&World) -> R) -> R {
        look(&self.data().world)
    }

    /// Changes its data. Requests see all of the change or nothing of it.
    pub fn edit<R>(&self, change: impl FnOnce(&mut World) -> R) -> R {
        let mut data = self.lock().write().unwrap_or_else(PoisonError::into_inner);
        let result = change(&mut data.world);
        data.index();
        result
    }

    /// The key with these permissions whose owner has this role: there is one of each kind that a merchant would give
    /// (read, write, both) for administrators, and one with both for shop managers and for customers.
    pub fn key(&self, permissions: Permissions, role: Role) -> Option<ApiKey> {
        let keys = self.0.keys.read().unwrap_or_else(PoisonError::into_inner);
        keys.iter().find(|key| key.permissions == permissions && key.role == role).cloned()
    }

    /// Adds a key.
    pub fn add_key(&self, key: ApiKey) {
        self.0.keys.write().unwrap_or_else(PoisonError::into_inner).push(key);
    }

    /// Revokes a key: from now on it is unknown.
    pub fn revoke_key(&self, consumer_key: &str) {
        self.0.keys.write().unwrap_or_else(PoisonError::into_inner).retain(|key| key.consumer_key != consumer_key);
    }

    /// How many keys it has.
    pub fn key_count(&self) -> usize {
        self.0.keys.read().unwrap_or_else(PoisonError::into_inner).len()
    }

    /// Where a browser on this machine finds its pages, on the plain listener.
    pub fn browser_host(&self) -> String {
        wc_auth::browser_host(&self.spec().host)
    }

    pub(super) fn post(&self) -> &Post {
        &self.0.post
    }

    /// What a consent page is shown with; WordPress takes it more than once.
    pub(super) fn new_auth_nonce(&self) -> String {
        let nonce = hex::encode(rand::random::<[u8; 5]>());
        self.0.auth_nonces.lock().unwrap_or_else(PoisonError::into_inner).insert(nonce.clone());
        nonce
    }

    pub(super) fn knows_auth_nonce(&self, nonce: &str) -> bool {
        self.0.auth_nonces.lock().unwrap_or_else(PoisonError::into_inner).contains(nonce)
    }

    pub(super) fn find_key(&self, consumer_key: &str) -> Option<ApiKey> {
        let keys = self.0.keys.read().unwrap_or_else(PoisonError::into_inner);
        keys.iter().find(|key| key.consumer_key == consumer_key).cloned()
    }

    /// Notes a nonce; `false` if it was used before. Those older than `expired` are forgotten.
    pub(super) fn use_nonce(&self, consumer_key: &str, nonce: &str, timestamp: f64, expired: f64) -> bool {
        let mut nonces = self.0.nonces.lock().unwrap_or_else(PoisonError::into_inner);
        let used = nonces.entry(consumer_key.to_owned()).or_default();
        used.retain(|(time, _)| *time >= expired);
        if used.iter().any(|(_, known)| known == nonce) {
            return false;
        }
        used.push((timestamp, nonce.to_owned()));
        true
    }

    pub(super) fn clock(&self) -> &Clock {
        &self.0.clock
    }

    pub(super) fn data(&self) -> RwLockReadGuard<'_, Data> {
        self.lock().read().unwrap_or_else(PoisonError::into_inner)
    }

    /// The data is made at first use: most tests need one shop of several.
    fn lock(&self) -> &RwLock<Data> {
        let inner = &self.0;
        inner.data.get_or_init(|| {
            let mut data =
                Data { world: World::generate(inner.seed, inner.size, inner.spec.market), ..Data::default() };
            data.index();
            RwLock::new(data)
        })
    }
}

impl Site for Shop {
    fn hosts(&self) -> Vec<String> {
        let spec = self.spec();
        std::iter::once(&spec.host).chain(&spec.aliases).cloned().chain([self.browser_host()]).collect()
    }

    fn router(&self) -> Router {
        serve::router(self)
    }

    fn serves_https(&self) -> bool {
        self.spec().transport != Transport::HttpOnly
    }
}

/// The world, and where things are in it.
#[derive(Debug)]
pub(super) struct Data {
    pub(super) world: World,
    pub(super) order_by_id: HashMap<Id, u32>,
    /// Positions of orders, ascending by what the name says and then by id.
    pub(super) orders_by_id: Vec<u32>,
    pub(super) orders_by_created: Vec<u32>,
    pub(super) orders_by_modified: Vec<u32>,
    /// By position: the order's JSON as it is by default, once it was asked for.
    pub(super) rendered: Vec<OnceLock<Box<[u8]>>>,
    pub(super) product_by_id: HashMap<Id, u32>,
    pub(super) variant_by_id: HashMap<Id, (u32, u32)>,
    pub(super) account_by_id: HashMap<Id, u32>,
    /// People who paid for something while logged in.
    pub(super) paying: HashSet<Id>,
    pub(super) sold: HashMap<Id, u64>,
}

impl Default for Data {
    fn default() -> Data {
        let none = crate::world::Size { people: 0, products: 0, orders: 0 };
        Data {
            world: World::generate(0, none, crate::world::Market::HUNGARY),
            order_by_id: HashMap::new(),
            orders_by_id: vec![],
            orders_by_created: vec![],
            orders_by_modified: vec![],
            rendered: vec![],
            product_by_id: HashMap::new(),
            variant_by_id: HashMap::new(),
            account_by_id: HashMap::new(),
            paying: HashSet::new(),
            sold: HashMap::new(),
        }
    }
}

impl Data {
    /// Rebuilds all indexes: some milliseconds for thousands of orders.
    fn index(&mut self) {
        let world = &self.world;
        let orders = &world.orders;
        let sorted = |key: &dyn Fn(&crate::world::Order) -> (i64, Id)| {
            let mut positions: Vec<u32> = (0..orders.len() as u32).collect();
            positions.sort_by_key(|at| key(&orders[*at as usize]));
            positions
        };
        self.orders_by_id = sorted(&|order| (0, order.id));
        self.orders_by_created = sorted(&|order| (order.created_at.timestamp(), order.id));
        self.orders_by_modified = sorted(&|order| (order.modified_at.timestamp(), order.id));
        self.rendered = orders.iter().map(|_| OnceLock::new()).collect();
        self.order_by_id = orders.iter().zip(0u32..).map(|(order, at)| (order.id, at)).collect();
        self.product_by_id = world.products.iter().zip(0u32..).map(|(product, at)| (product.id, at)).collect();
        self.variant_by_id = HashMap::new();
        for (product, at) in world.products.iter().zip(0u32..).filter(|(product, _)| !product.options.is_empty()) {
            self.variant_by_id
                .extend(product.variants.iter().zip(0u32..).map(|(variant, number)| (variant.id, (at, number))));
        }
        let accounts = world.people.iter().zip(0u32..).filter(|(person, _)| person.account.is_some());
        self.account_by_id = accounts.map(|(person, at)| (person.id, at)).collect();
        let paid = orders.iter().filter(|order| order.paid_at.is_some());
        self.paying = paid.clone().filter(|order| order.with_account).filter_map(|order| order.person_id).collect();
        self.sold = HashMap::new();
        for line in paid.filter(|order| order.status != OrderStatus::Refunded).flat_map(|order| &order.lines) {
            if let Some(id) = line.product_id {
                *self.sold.entry(id).or_default() += u64::from(line.quantity);
            }
        }
    }
}
