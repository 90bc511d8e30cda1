use std::time::Duration;

use jobs::Limits;

use crate::support::{Behavior, Probe, Queue, labels, organization, quick};

const BATCH: usize = 16;

#[tokio::test]
async fn ten_thousand_jobs_of_one_organization_delay_another_by_no_more_than_a_batch() {
    let queue = Queue::on_a_running_clock().await;
    let (noisy, quiet) = (organization(), organization());
    queue.enqueue(noisy, &Probe::succeeding("noisy")).await;
    sqlx::query(
        "insert into jobs (organization_id, id, name, payload, run_at, due_at, state, created_at)
         select organization_id, gen_random_uuid(), name, payload, run_at, due_at, state, created_at
         from jobs, generate_series(2, 10000)",
    )
    .execute(&mut queue.superuser().await)
    .await
    .unwrap();
    // Without a cap for each, so that only the round can help.
    let limits = Limits { in_flight: BATCH, in_flight_per_organization: BATCH, ..quick() };
    let runner = queue.runner().limits(limits).start();
    queue.until("it is well under way", async || queue.world.began().len() > 100).await;
    queue.enqueue(quiet, &Probe::succeeding("quiet")).await;
    let before = queue.world.began().len();
    queue.until("the other's job ran", async || queue.world.began().iter().any(|label| label == "quiet")).await;
    let at = queue.world.began().iter().position(|label| label == "quiet").unwrap();
    // The batch that was being claimed at the commit, and then its turn, the first or second of the next.
    assert!(at <= before + BATCH + 2, "began after {at} others, and {before} when it was enqueued");
    runner.stop(Duration::from_secs(5)).await;
}

#[tokio::test]
async fn organizations_take_turns() {
    let queue = Queue::new().await;
    for name in ["a", "b", "c"] {
        queue.enqueue_all(organization(), &labels(name, 5)).await;
    }
    assert_eq!(queue.drain().await, 15);
    for round in queue.world.began().chunks(3) {
        let mut names: Vec<_> = round.iter().map(|label| &label[..1]).collect();
        names.sort_unstable();
        assert_eq!(names, ["a", "b", "c"]);
    }
}

#[tokio::test]
async fn slow_jobs_of_one_organization_leave_places_for_others() {
    let queue = Queue::new().await;
    let (slow, quick_one) = (organization(), organization());
    let jobs: Vec<_> = (0..20).map(|number| Probe::new(format!("slow{number}"), Behavior::Wait)).collect();
    queue.enqueue_all(slow, &jobs).await;
    let limits = Limits { in_flight: 8, in_flight_per_organization: 4, ..quick() };
    let runner = queue.runner().limits(limits).start();
    queue.until("some of them hang", async || queue.world.began().len() >= 4).await;
    queue.enqueue(quick_one, &Probe::succeeding("quick")).await;
    queue.until("the other's job ran", async || queue.world.of("quick").len() == 2).await;
    assert_eq!(queue.world.began().len(), 5, "four hang, and there is no fifth");
    drop(runner);
}
