//! One of a kind at a time: callers that ask for the same thing while it is on its way share the outcome.

use std::{
    collections::HashMap,
    hash::Hash,
    sync::{Arc, Mutex, PoisonError},
};

use tokio::sync::watch;

/// Shares the outcome of work among those who ask for the same key while it runs. Nothing is kept afterwards.
pub struct SingleFlight<K, V> {
    running: Arc<Mutex<HashMap<K, watch::Receiver<Option<V>>>>>,
}

impl<K, V> Default for SingleFlight<K, V> {
    fn default() -> Self {
        Self { running: Arc::default() }
    }
}

impl<K, V> Clone for SingleFlight<K, V> {
    fn clone(&self) -> Self {
        Self { running: self.running.clone() }
    }
}

impl<K, V> SingleFlight<K, V>
where
    K: Eq + Hash + Clone + Send + 'static,
    V: Clone + Send + Sync + 'static,
{
    /// The outcome of `work`, done by whoever came first, in its own task: without the cost of another one. When that caller
    /// goes away half-way, one of those who wait begins anew.
    pub async fn share<F: Future<Output = V>>(&self, key: K, work: impl FnOnce() -> F) -> V {
        loop {
            let mut outcome = match self.board(&key) {
                Boarded::First(landing, sender) => {
                    let value = work().await;
                    drop(landing);
                    sender.send_replace(Some(value.clone()));
                    return value;
                }
                Boarded::Later(outcome) => outcome,
            };
            if let Some(value) = outcome.wait_for(Option::is_some).await.ok().and_then(|value| value.clone()) {
                return value;
            }
        }
    }

    /// The outcome of `work`, started by whoever came first. The work runs to its end even when every caller has gone
    /// away, since half a token refresh is worse than one nobody waits for. None when the work panicked.
    pub async fn run<F>(&self, key: K, work: impl FnOnce() -> F) -> Option<V>
    where
        F: Future<Output = V> + Send + 'static,
    {
        let mut outcome = match self.board(&key) {
            Boarded::First(landing, sender) => {
                let (outcome, work) = (sender.subscribe(), work());
                tokio::spawn(async move {
                    let value = work.await;
                    drop(landing);
                    sender.send_replace(Some(value));
                });
                outcome
            }
            Boarded::Later(outcome) => outcome,
        };
        outcome.wait_for(Option::is_some).await.ok().and_then(|value| value.clone())
    }

    fn board(&self, key: &K) -> Boarded<K, V> {
        let mut running = self.running.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(outcome) = running.get(key) {
            return Boarded::Later(outcome.clone());
        }
        let (sender, outcome) = watch::channel(None);
        running.insert(key.clone(), outcome);
        Boarded::First(Landing { running: self.running.clone(), key: key.clone() }, sender)
    }
}

enum Boarded<K: Eq + Hash, V> {
    /// Does the work. The landing is dropped before the outcome is told: whoever asks afterwards starts anew.
    First(Landing<K, V>, watch::Sender<Option<V>>),
    /// Waits for whoever does.
    Later(watch::Receiver<Option<V>>),
}

/// Forgets the flight when it ends, however it ends.
struct Landing<K: Eq + Hash, V> {
    running: Arc<Mutex<HashMap<K, watch::Receiver<Option<V>>>>>,
    key: K,
}

impl<K: Eq + Hash, V> Drop for Landing<K, V> {
    fn drop(&mut self) {
        self.running.lock().unwrap_or_else(PoisonError::into_inner).remove(&self.key);
    }
}

#[cfg(test)]
mod tests {
    use std::{
        sync::atomic::{AtomicUsize, Ordering},
        time::Duration,
    };

    use super::*;

    #[tokio::test]
    async fn five_hundred_callers_share_one_run() {
        let flights = SingleFlight::<u8, usize>::default();
        let runs = Arc::new(AtomicUsize::new(0));
        let callers = (0..500).map(|_| {
            let (flights, runs) = (flights.clone(), runs.clone());
            tokio::spawn(async move {
                flights
                    .run(7, || async move {
                        tokio::time::sleep(Duration::from_millis(20)).await;
                        runs.fetch_add(1, Ordering::SeqCst) + 1
                    })
                    .await
            })
        });
        for caller in callers.collect::<Vec<_>>() {
            assert_eq!(caller.await.unwrap(), Some(1));
        }
        assert_eq!(runs.load(Ordering::SeqCst), 1);
    }

    #[tokio::test]
    async fn when_the_one_who_works_goes_away_another_begins_anew() {
        let flights = SingleFlight::<u8, usize>::default();
        let runs = Arc::new(AtomicUsize::new(0));
        let work = |pause| {
            let runs = runs.clone();
            move || async move {
                runs.fetch_add(1, Ordering::SeqCst);
                tokio::time::sleep(Duration::from_millis(pause)).await;
                7
            }
        };
        let first = tokio::time::timeout(Duration::from_millis(20), flights.share(1, work(60_000)));
        let others = futures::future::join_all((0..9).map(|_| flights.share(1, work(5))));
        let (first, others) = tokio::join!(first, others);
        first.unwrap_err();
        assert_eq!(others, [7; 9]);
        assert_eq!(runs.load(Ordering::SeqCst), 2, "the first, and one for all the others");
        assert!(flights.running.lock().unwrap().is_empty());
    }

    #[tokio::test]
    async fn the_next_caller_starts_anew_also_after_a_panic() {
        let flights = SingleFlight::<u8, u8>::default();
        assert_eq!(flights.run(1, || async { panic!("on purpose") }).await, None);
        assert_eq!(flights.run(1, || async { 5 }).await, Some(5));
    }

    #[tokio::test]
    async fn work_ends_even_when_its_caller_has_gone() {
        let flights = SingleFlight::<u8, u8>::default();
        let done = Arc::new(AtomicUsize::new(0));
        let counted = done.clone();
        let call = flights.run(1, || async move {
            tokio::time::sleep(Duration::from_millis(20)).await;
            counted.fetch_add(1, Ordering::SeqCst);
            1
        });
        tokio::time::timeout(Duration::from_millis(1), call).await.unwrap_err();
        while done.load(Ordering::SeqCst) == 0 {
            tokio::task::yield_now().await;
        }
    }
}
