//! Handshakes that have not come to their end. Each costs memory, and whoever begins many and ends none could take the places of
//! all others: when there is no place left, the one that has taken longest gives way to the newest.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use tokio::sync::Notify;

#[derive(Debug)]
pub(super) struct Handshakes {
    at_most: usize,
    waiting: Mutex<Waiting>,
}

#[derive(Debug, Default)]
struct Waiting {
    next: u64,
    by_age: BTreeMap<u64, Arc<Notify>>,
}

/// The place of one handshake. Dropping it gives the place back.
pub(super) struct Place<'a> {
    handshakes: &'a Handshakes,
    number: u64,
    is_over: Arc<Notify>,
}

impl Handshakes {
    pub(super) fn new(at_most: usize) -> Self {
        Self { at_most, waiting: Mutex::default() }
    }

    fn lock(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Always finds a place.
    pub(super) fn enter(&self) -> Place<'_> {
        let mut waiting = self.lock();
        if waiting.by_age.len() >= self.at_most
            && let Some((_, oldest)) = waiting.by_age.pop_first()
        {
            oldest.notify_one();
        }
        let (number, is_over) = (waiting.next, Arc::new(Notify::new()));
        waiting.next += 1;
        waiting.by_age.insert(number, Arc::clone(&is_over));
        drop(waiting);
        Place { handshakes: self, number, is_over }
    }
}

impl Place<'_> {
    #[cfg(test)]
    pub(super) fn handshakes_at_once(&self) -> usize {
        self.handshakes.lock().by_age.len()
    }

    /// Ends when this handshake has to give way.
    pub(super) async fn is_wanted(&self) {
        self.is_over.notified().await;
    }
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        self.handshakes.lock().by_age.remove(&self.number);
    }
}
