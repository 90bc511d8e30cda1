use std::time::Duration;

use tokio::sync::watch;

/// Counts what is under way, so that whoever stops the program can wait for it. Cheap to clone.
#[derive(Clone, Default)]
pub(super) struct UnderWay(watch::Sender<usize>);

impl UnderWay {
    /// Something begins; it has ended when the guard is dropped, however that happens.
    pub(super) fn begin(&self) -> Guard {
        self.0.send_modify(|count| *count += 1);
        Guard(self.0.clone())
    }

    /// Waits for everything to end; false when it took longer.
    pub(super) async fn ended(&self, within: Duration) -> bool {
        let mut count = self.0.subscribe();
        // The sender lives as long as this: waiting for it ends in time or not at all.
        tokio::time::timeout(within, count.wait_for(|count| *count == 0)).await.is_ok()
    }
}

pub(super) struct Guard(watch::Sender<usize>);

impl Drop for Guard {
    fn drop(&mut self) {
        self.0.send_modify(|count| *count -= 1);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn what_is_under_way_is_waited_for_also_when_it_panics() {
        let under_way = UnderWay::default();
        assert!(under_way.ended(Duration::ZERO).await);
        let (first, second) = (under_way.begin(), under_way.begin());
        assert!(!under_way.ended(Duration::from_millis(5)).await);
        let works = tokio::spawn(async move {
            let _first = first;
            tokio::time::sleep(Duration::from_millis(20)).await;
        });
        let panics = tokio::spawn(async move {
            let _second = second;
            panic!("on purpose");
        });
        assert!(under_way.ended(Duration::from_secs(5)).await);
        assert!(works.is_finished() && panics.is_finished());
    }
}
