//! Memory that decides: keys, permissions, store switches. Believed only while this node hears what others change
//! (`db::listener`); otherwise the database is asked each time.

use std::{
    hash::Hash,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use db::listener::Freshness;

/// A bounded cache of decisions. Cheap to clone.
pub struct DecisionCache<K, V>(Arc<State<K, V>>);

struct State<K, V> {
    freshness: Freshness,
    entries: moka::sync::Cache<K, V>,
    /// Grows with every change: what was read from the database before a change is not kept after it.
    generation: AtomicU64,
}

impl<K, V> Clone for DecisionCache<K, V> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

impl<K, V> DecisionCache<K, V>
where
    K: Eq + Hash + Clone + Send + Sync + 'static,
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

    fn of(freshness: Freshness, entries: moka::sync::Cache<K, V>) -> Self {
        Self(Arc::new(State { freshness, entries, generation: AtomicU64::new(0) }))
    }

    /// Drops what was forgotten or has outlived its time. What is no longer found is otherwise dropped with later uses, which
    /// need not come.
    pub fn sweep(&self) {
        self.0.entries.run_pending_tasks();
    }

    /// What is known of `key`, if it may be believed now.
    pub fn get(&self, key: &K) -> Option<V> {
        if self.0.freshness.holds() { self.0.entries.get(key) } else { None }
    }

    /// What is known, or what `load` finds out.
    ///
    /// # Errors
    /// Those of `load`, which are not remembered; neither is a `None`.
    pub async fn get_or_load<E>(
        &self,
        key: &K,
        load: impl Future<Output = Result<Option<V>, E>>,
    ) -> Result<Option<V>, E> {
        if let Some(value) = self.get(key) {
            return Ok(Some(value));
        }
        let state = &self.0;
        let (fresh, generation) = (state.freshness.holds(), state.generation.load(Ordering::SeqCst));
        let value = load.await?;
        if let Some(value) = value.as_ref().filter(|_| fresh) {
            state.entries.insert(key.clone(), value.clone());
            // Compared after the insertion: a change in between either sees the entry or is seen here.
            if state.generation.load(Ordering::SeqCst) != generation {
                state.entries.invalidate(key);
            }
        }
        Ok(value)
    }

    pub fn forget(&self, key: &K) {
        self.0.generation.fetch_add(1, Ordering::SeqCst);
        self.0.entries.invalidate(key);
    }

    /// Forgets all keys of which this is so. It looks at every key: for what changes rarely.
    pub fn forget_where(&self, is_meant: impl Fn(&K) -> bool) {
        // Before looking: what is inserted meanwhile and not seen here finds that the generation has changed.
        self.0.generation.fetch_add(1, Ordering::SeqCst);
        for (key, _) in &self.0.entries {
            if is_meant(&key) {
                self.0.entries.invalidate(&*key);
            }
        }
    }

    pub fn forget_all(&self) {
        self.0.generation.fetch_add(1, Ordering::SeqCst);
        self.0.entries.invalidate_all();
    }
}
