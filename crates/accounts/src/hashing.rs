//! Slow hashes, a few at a time. Argon2id and bcrypt hold a thread and a core to their end, whoever still waits for them.

use std::{sync::Arc, time::Duration};

use kit::{Code, Problem};
use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore},
    task::spawn_blocking,
};

/// Where hashing happens. Cheap to clone; clones share the places.
#[derive(Clone)]
pub(crate) struct Hashing {
    at_once: Arc<Semaphore>,
}

/// Who may wait for a place, and what the others are told. Each kind of caller has a room of its own, so that one kind
/// cannot keep another outside.
#[derive(Clone)]
pub(crate) struct WaitingRoom {
    seats: Arc<Semaphore>,
    come_back_after: Duration,
    refusal: &'static str,
}

impl Hashing {
    pub(crate) fn new(at_once_max: usize) -> Self {
        Self { at_once: Arc::new(Semaphore::new(at_once_max)) }
    }

    /// Runs `work` on the blocking pool, once its turn has come.
    ///
    /// # Errors
    /// [`Code::Overloaded`] when the waiting room is full.
    pub(crate) async fn run<T: Send + 'static>(
        &self,
        room: &WaitingRoom,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, Problem> {
        let seat = room.enter()?;
        self.run_seated(seat, work).await
    }

    /// The same for one who is in a waiting room already.
    pub(crate) async fn run_seated<T: Send + 'static>(
        &self,
        seat: OwnedSemaphorePermit,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, Problem> {
        let turn = self.at_once.clone().acquire_owned().await.map_err(|error| Problem::internal(&error))?;
        let hashing = spawn_blocking(move || {
            // The thread goes on when nobody waits any more, so the place is the thread's.
            let _held = (seat, turn);
            work()
        });
        hashing.await.map_err(|error| Problem::internal(&error))
    }
}

impl WaitingRoom {
    pub(crate) fn new(seats: usize, come_back_after: Duration, refusal: &'static str) -> Self {
        Self { seats: Arc::new(Semaphore::new(seats)), come_back_after, refusal }
    }

    /// # Errors
    /// [`Code::Overloaded`] when it is full.
    pub(crate) fn enter(&self) -> Result<OwnedSemaphorePermit, Problem> {
        self.seats
            .clone()
            .try_acquire_owned()
            .map_err(|_| Problem::new(Code::Overloaded, self.refusal).with_retry_after(self.come_back_after))
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{
        atomic::{AtomicUsize, Ordering},
        mpsc,
    };

    use super::*;

    fn room(seats: usize) -> WaitingRoom {
        WaitingRoom::new(seats, Duration::from_secs(1), "full")
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn a_caller_who_hangs_up_frees_no_place_while_the_hash_goes_on() {
        let (hashing, room) = (Hashing::new(1), room(2));
        let (go_on, wait) = mpsc::channel::<()>();
        let (begun, has_begun) = tokio::sync::oneshot::channel();
        let first = tokio::spawn({
            let (hashing, room) = (hashing.clone(), room.clone());
            async move {
                let work = move || {
                    begun.send(()).unwrap();
                    wait.recv().unwrap();
                };
                hashing.run(&room, work).await
            }
        });
        has_begun.await.unwrap();
        first.abort();
        assert!(first.await.unwrap_err().is_cancelled());

        let ran = Arc::new(AtomicUsize::new(0));
        let second = tokio::spawn({
            let (hashing, room, ran) = (hashing.clone(), room.clone(), ran.clone());
            async move { hashing.run(&room, move || ran.fetch_add(1, Ordering::SeqCst)).await }
        });
        tokio::time::sleep(Duration::from_millis(100)).await;
        assert_eq!(ran.load(Ordering::SeqCst), 0, "two hash at once where one may");
        // The one who hangs up keeps the seat as well: what is under way counts.
        assert_eq!(hashing.run(&room, || ()).await.unwrap_err().code(), Code::Overloaded);
        go_on.send(()).unwrap();
        second.await.unwrap().unwrap();
        assert_eq!(ran.load(Ordering::SeqCst), 1);
        hashing.run(&room, || ()).await.unwrap();
    }

    #[tokio::test]
    async fn a_full_room_keeps_nobody_of_another_outside() {
        let (hashing, strangers, people) = (Hashing::new(1), room(1), room(1));
        let seat = strangers.enter().unwrap();
        assert_eq!(hashing.run(&strangers, || ()).await.unwrap_err().code(), Code::Overloaded);
        hashing.run(&people, || ()).await.unwrap();
        hashing.run_seated(seat, || ()).await.unwrap();
        hashing.run(&strangers, || ()).await.unwrap();
    }
}
