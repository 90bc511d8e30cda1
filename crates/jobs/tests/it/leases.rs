use std::{collections::HashMap, time::Duration};

use jobs::{Failure, Limits};

use crate::support::{Behavior, Probe, Queue, What, labels, organization, quick};

/// Longer than a lease.
const MINUTES: Duration = Duration::from_secs(120);

#[tokio::test]
async fn the_job_of_a_killed_worker_runs_again() {
    let queue = Queue::new().await;
    let job = Probe::new("a", Behavior::Wait);
    queue.enqueue(organization(), &job).await;
    let killed = queue.quick_runner().start();
    queue.until("it runs", async || !queue.world.of("a").is_empty()).await;
    drop(killed);
    assert_eq!(queue.drain().await, 0, "its lease still holds");
    queue.advance(MINUTES);
    queue.world.open("a", 2);
    assert_eq!(queue.drain().await, 1);
    assert_eq!(queue.world.of("a"), [(1, What::Began), (1, What::Dropped), (2, What::Began), (2, What::Completed)]);
    assert_eq!(queue.effects().await, HashMap::from([(job.subject, 1)]));
}

#[tokio::test]
async fn a_worker_that_lost_its_lease_changes_nothing_while_another_runs_the_job() {
    let queue = Queue::new().await;
    let job = Probe::new("a", Behavior::Wait);
    queue.enqueue(organization(), &job).await;
    let slow = queue.quick_runner().start();
    queue.until("it runs", async || queue.world.began().len() == 1).await;
    queue.advance(MINUTES);
    let quick = queue.quick_runner().start();
    queue.until("the other runs it too", async || queue.world.began().len() == 2).await;

    queue.world.open("a", 1);
    queue.until("the first has ended", async || queue.world.of("a").len() == 3).await;
    assert_eq!(queue.world.of("a")[2], (1, What::Failed(Failure::LeaseLost)));
    assert_eq!(queue.effects().await, HashMap::new(), "its effect was rolled back");
    let row = queue.row().await;
    assert_eq!((row.state.as_str(), row.attempts, row.lease_token), ("running", 2, 2), "the job is the other's");

    queue.world.open("a", 2);
    queue.until_empty().await;
    assert_eq!(queue.effects().await, HashMap::from([(job.subject, 1)]));
    slow.stop(Duration::from_secs(5)).await;
    quick.stop(Duration::from_secs(5)).await;
}

#[tokio::test]
async fn a_worker_that_lost_its_lease_cannot_complete_after_the_job_is_done() {
    let queue = Queue::new().await;
    let job = Probe::new("a", Behavior::Wait);
    queue.enqueue(organization(), &job).await;
    let slow = queue.quick_runner().start();
    queue.until("it runs", async || queue.world.began().len() == 1).await;
    queue.advance(MINUTES);
    queue.world.open("a", 2);
    let quick = queue.quick_runner().start();
    queue.until_empty().await;
    queue.world.open("a", 1);
    queue.until("the first has ended", async || queue.world.of("a").len() == 4).await;
    assert_eq!(queue.world.of("a")[3], (1, What::Failed(Failure::LeaseLost)));
    assert_eq!(queue.effects().await, HashMap::from([(job.subject, 1)]));
    slow.stop(Duration::from_secs(5)).await;
    quick.stop(Duration::from_secs(5)).await;
}

#[tokio::test]
async fn a_worker_that_lost_its_lease_cannot_fail_the_job_of_another() {
    let queue = Queue::new().await;
    let organization = organization();
    queue.enqueue(organization, &Probe::new("a", Behavior::FailAfterEffect)).await;
    // What a second worker's claim does, while the first runs.
    sqlx::raw_sql(
        "create function steal() returns trigger language plpgsql security definer as $$ begin
             update jobs set lease_token = lease_token + 1, attempts = 7; return new;
         end $$;
         create trigger steal after insert on effects for each row execute function steal()",
    )
    .execute(&mut queue.superuser().await)
    .await
    .unwrap();
    assert_eq!(queue.drain().await, 1);
    assert_eq!(queue.world.of("a")[1], (1, What::Failed(Failure::Transient("told to fail".into()))));
    let row = queue.row().await;
    assert_eq!((row.state.as_str(), row.attempts, row.last_error), ("running", 7, None), "the job is the other's");
}

#[tokio::test]
async fn a_lease_is_renewed_while_its_job_runs() {
    let queue = Queue::on_a_running_clock().await;
    queue.enqueue(organization(), &Probe::new("long", Behavior::Take(6_000))).await;
    let limits = Limits { lease: Duration::from_millis(2_500), ..quick() };
    let runners = [(); 2].map(|()| queue.runner().limits(limits.clone()).start());
    queue.until_empty().await;
    assert_eq!(queue.world.of("long"), [(1, What::Began), (1, What::Completed)]);
    for runner in runners {
        runner.stop(Duration::from_secs(5)).await;
    }
}

#[tokio::test]
async fn an_attempt_ends_when_its_lease_is_found_lost() {
    let queue = Queue::on_a_running_clock().await;
    queue.enqueue(organization(), &Probe::new("a", Behavior::Wait)).await;
    let runner = queue.runner().limits(Limits { lease: Duration::from_millis(600), ..quick() }).start();
    queue.until("it runs", async || !queue.world.of("a").is_empty()).await;
    // Another has claimed it, and its lease is long.
    sqlx::query("update jobs set lease_token = lease_token + 1, due_at = due_at + interval '1 day'")
        .execute(&mut queue.superuser().await)
        .await
        .unwrap();
    queue.until("it has ended", async || queue.world.of("a").len() == 2).await;
    assert_eq!(queue.world.of("a")[1], (1, What::Dropped));
    assert_eq!(queue.row().await.state, "running", "it is the other's");
    runner.stop(Duration::from_secs(5)).await;
}

#[tokio::test]
async fn a_job_whose_workers_all_die_is_dead_in_the_end() {
    let queue = Queue::new().await;
    queue.enqueue(organization(), &Probe::new("a", Behavior::Wait)).await;
    for attempt in 1..=8 {
        let killed = queue.quick_runner().start();
        queue.until("it runs", async || queue.world.began().len() == attempt).await;
        drop(killed);
        queue.advance(MINUTES);
    }
    queue.drain().await;
    assert_eq!(queue.world.began().len(), 8, "it is not run a ninth time");
    let row = queue.row().await;
    assert_eq!(
        (row.state.as_str(), row.last_error.as_deref()),
        ("dead", Some("the lease of the last attempt ran out"))
    );
}

#[tokio::test]
async fn a_job_that_comes_back_gives_up_its_dedupe_key_to_the_one_that_waits() {
    let queue = Queue::new().await;
    let organization = organization();
    let job = Probe::new("a", Behavior::Wait).deduped("key");
    queue.enqueue(organization, &job).await;
    let killed = queue.quick_runner().start();
    queue.until("it runs", async || !queue.world.of("a").is_empty()).await;
    drop(killed);
    queue.enqueue(organization, &Probe::succeeding("b").deduped("key")).await.expect("none waits");
    queue.advance(MINUTES);
    queue.world.open("a", 2);
    assert_eq!(queue.drain().await, 2);
    assert!(queue.rows().await.is_empty());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn eight_workers_run_each_of_a_thousand_jobs_once() {
    let queue = Queue::on_a_running_clock().await;
    let organizations = [(); 5].map(|()| organization());
    for organization in organizations {
        queue.enqueue_all(organization, &labels(&organization.to_string(), 200)).await;
    }
    let runners = [(); 8].map(|()| queue.quick_runner().start());
    queue.until_empty().await;
    for runner in runners {
        runner.stop(Duration::from_secs(5)).await;
    }
    let mut began = queue.world.began();
    began.sort();
    began.dedup();
    assert_eq!((queue.world.began().len(), began.len()), (1_000, 1_000), "none ran twice");
    let effects = queue.effects().await;
    assert_eq!(effects.len(), 1_000);
    assert!(effects.values().all(|times| *times == 1));
}
