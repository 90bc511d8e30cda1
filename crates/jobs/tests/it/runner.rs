use std::{collections::HashMap, time::Duration};

use jobs::Limits;

use crate::support::{Behavior, Probe, Queue, What, organization};

#[tokio::test]
async fn a_sleeping_runner_is_woken_by_the_commit_of_an_enqueueing_transaction() {
    let queue = Queue::new().await;
    let listener = queue.db.listen();
    queue.until("the listener hears", async || listener.freshness().holds()).await;
    let limits = Limits { poll: Duration::from_secs(3600), ..Limits::default() };
    let runner = queue.runner().limits(limits).listen(&listener).start();
    tokio::time::sleep(Duration::from_millis(200)).await;
    for label in ["a", "b"] {
        queue.enqueue(organization(), &Probe::succeeding(label)).await;
        queue.until("it ran", async || queue.world.of(label).len() == 2).await;
    }
    runner.stop(Duration::from_secs(5)).await;
}

#[tokio::test]
async fn a_runner_without_a_listener_finds_out_by_itself() {
    let queue = Queue::new().await;
    let runner = queue.quick_runner().start();
    tokio::time::sleep(Duration::from_millis(100)).await;
    queue.enqueue(organization(), &Probe::succeeding("a")).await;
    queue.until("it ran", async || queue.world.of("a").len() == 2).await;
    runner.stop(Duration::from_secs(5)).await;
}

#[tokio::test]
async fn a_stopping_runner_finishes_what_runs_and_begins_nothing() {
    let queue = Queue::new().await;
    let organization = organization();
    let job = Probe::new("running", Behavior::Wait);
    queue.enqueue(organization, &job).await;
    let runner = queue.quick_runner().start();
    queue.until("it runs", async || !queue.world.of("running").is_empty()).await;
    let (stopped, ()) = tokio::join!(runner.stop(Duration::from_secs(30)), async {
        tokio::time::sleep(Duration::from_millis(100)).await;
        queue.enqueue(organization, &Probe::succeeding("new")).await;
        tokio::time::sleep(Duration::from_millis(100)).await;
        queue.world.open("running", 1);
    });
    let () = stopped;
    assert_eq!(queue.world.of("running"), [(1, What::Began), (1, What::Completed)]);
    assert_eq!(queue.effects().await, HashMap::from([(job.subject, 1)]));
    let row = queue.row().await;
    assert_eq!((row.state.as_str(), row.attempts), ("ready", 0), "the new one is for others");
}

#[tokio::test]
async fn what_does_not_finish_in_time_is_given_up_with_its_attempt() {
    let queue = Queue::new().await;
    queue.enqueue(organization(), &Probe::new("a", Behavior::Wait)).await;
    let runner = queue.quick_runner().start();
    queue.until("it runs", async || !queue.world.of("a").is_empty()).await;
    runner.stop(Duration::from_millis(50)).await;
    assert_eq!(queue.world.of("a"), [(1, What::Began), (1, What::Dropped)]);
    queue.world.open("a", 1);
    assert_eq!(queue.drain().await, 1, "at once, long before the lease would have run out");
    assert_eq!(queue.world.of("a")[2..], [(1, What::Began), (1, What::Completed)]);
}

#[tokio::test]
#[should_panic(expected = "two jobs are named probe")]
async fn two_jobs_cannot_have_one_name() {
    let queue = Queue::new().await;
    drop(queue.runner().register::<Probe>());
}
