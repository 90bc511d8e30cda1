//! Memory that decides: keys, permissions, store switches. Believed only while this node hears what others change
//! (`db::listener`); otherwise the database is asked each time.

use std::{
    collections::HashMap,
    hash::Hash,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};

use db::listener::Freshness;
use kernel::OrganizationId;

/// A bounded cache of decisions, each about a thing of one organization. Cheap to clone.
///
/// What changed in one organization leaves the others warm: it is forgotten by organization, in constant time.
pub struct DecisionCache<Id, V>(Arc<State<Id, V>>);

/// Organizations remembered before those without an entry are looked for.
const ORGANIZATIONS_MIN: usize = 1_024;

struct State<Id, V> {
    freshness: Freshness,
    entries: moka::sync::Cache<(OrganizationId, Id), Entry<V>>,
    organizations: Mutex<Organizations>,
    /// Grows with every change that names no organization.
    changes: AtomicU64,
}

#[derive(Clone)]
struct Entry<V> {
    organization: Arc<Organization>,
    value: V,
}

/// What the entries of one organization share.
#[derive(Default)]
struct Organization {
    /// Its entries are believed no more; what is loaded from now on belongs to a new one.
    is_forgotten: AtomicBool,
    /// Grows with every change of one of its things.
    changes: AtomicU64,
}

struct Organizations {
    known: HashMap<OrganizationId, Arc<Organization>>,
    /// How many there may be before those that nobody holds are removed.
    sweep_at: usize,
}

impl Organizations {
    fn get(&mut self, id: OrganizationId) -> Arc<Organization> {
        if self.known.len() >= self.sweep_at {
            // Entries and loads under way hold theirs; this lock keeps others from taking one meanwhile.
            self.known.retain(|_, organization| Arc::strong_count(organization) > 1);
            self.sweep_at = (2 * self.known.len()).max(ORGANIZATIONS_MIN);
        }
        self.known.entry(id).or_default().clone()
    }
}

impl<Id, V> Clone for DecisionCache<Id, V> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

impl<Id, V> DecisionCache<Id, V>
where
    Id: Eq + Hash + Clone + Send + Sync + 'static,
    V: Clone + Send + Sync + 'static,
{
    pub fn new(freshness: Freshness, capacity: u64) -> Self {
        Self::of(freshness, moka::sync::Cache::new(capacity))
    }

    /// For values that are not to lie in memory: none is kept longer than this, nor than until the [`sweep`](Self::sweep)
    /// after it.
    pub fn with_lifetime(freshness: Freshness, capacity: u64, lifetime: Duration) -> Self {
        Self::of(freshness, moka::sync::Cache::builder().max_capacity(capacity).time_to_live(lifetime).build())
    }

    fn of(freshness: Freshness, entries: moka::sync::Cache<(OrganizationId, Id), Entry<V>>) -> Self {
        Self(Arc::new(State {
            freshness,
            entries,
            organizations: Mutex::new(Organizations { known: HashMap::new(), sweep_at: ORGANIZATIONS_MIN }),
            changes: AtomicU64::new(0),
        }))
    }

    /// Drops what was forgotten or has outlived its time. What is no longer found is otherwise dropped with later uses, which
    /// need not come.
    pub fn sweep(&self) {
        self.0.entries.run_pending_tasks();
    }

    /// What is known of `key`, if it may be believed now.
    pub fn get(&self, key: &(OrganizationId, Id)) -> Option<V> {
        if !self.0.freshness.holds() {
            return None;
        }
        let entry = self.0.entries.get(key)?;
        (!entry.organization.is_forgotten.load(Ordering::SeqCst)).then_some(entry.value)
    }

    /// What is known, or what `load` finds out.
    ///
    /// # Errors
    /// Those of `load`, which are not remembered; neither is a `None`.
    pub async fn get_or_load<E>(
        &self,
        key: &(OrganizationId, Id),
        load: impl Future<Output = Result<Option<V>, E>>,
    ) -> Result<Option<V>, E> {
        if let Some(value) = self.get(key) {
            return Ok(Some(value));
        }
        let state = &self.0;
        let organization = self.organizations(|all| all.get(key.0));
        let changes = || (state.changes.load(Ordering::SeqCst), organization.changes.load(Ordering::SeqCst));
        let (fresh, before) = (state.freshness.holds(), changes());
        let value = load.await?;
        if let Some(value) = value.as_ref().filter(|_| fresh) {
            let entry = Entry { organization: organization.clone(), value: value.clone() };
            state.entries.insert(key.clone(), entry);
            // Compared after the insertion: a change in between either sees the entry or is seen here. That the whole
            // organization was forgotten shows in the entry itself.
            if changes() != before {
                state.entries.invalidate(key);
            }
        }
        Ok(value)
    }

    pub fn forget(&self, key: &(OrganizationId, Id)) {
        self.organizations(|all| {
            if let Some(organization) = all.known.get(&key.0) {
                organization.changes.fetch_add(1, Ordering::SeqCst);
            }
        });
        self.0.entries.invalidate(key);
    }

    /// Forgets everything of one organization.
    pub fn forget_organization(&self, id: OrganizationId) {
        self.organizations(|all| {
            // Under the lock: whoever finds it forgotten by somebody else at the same moment believes it no more either.
            if let Some(organization) = all.known.remove(&id) {
                organization.is_forgotten.store(true, Ordering::SeqCst);
            }
        });
    }

    /// Forgets what answers to a description. It looks at every entry: for what is rare.
    pub fn forget_if(&self, is_meant: impl Fn(&V) -> bool) {
        self.0.changes.fetch_add(1, Ordering::SeqCst);
        for (key, entry) in &self.0.entries {
            if is_meant(&entry.value) {
                self.0.entries.invalidate(&*key);
            }
        }
    }

    pub fn forget_all(&self) {
        self.0.changes.fetch_add(1, Ordering::SeqCst);
        self.0.entries.invalidate_all();
    }

    fn organizations<T>(&self, with: impl FnOnce(&mut Organizations) -> T) -> T {
        with(&mut self.0.organizations.lock().unwrap_or_else(PoisonError::into_inner))
    }
}
