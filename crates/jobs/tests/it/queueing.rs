use std::time::Duration;

use jobs::{State, backlog, enqueue};
use sqlx::Connection;

use crate::support::{Behavior, Probe, Queue, What, organization};

#[tokio::test]
async fn a_job_commits_with_the_change_that_asked_for_it() {
    let queue = Queue::new().await;
    let id = queue.enqueue(organization(), &Probe::succeeding("a")).await;
    assert_eq!(id.map(Into::into), Some(queue.row().await.id));
    assert_eq!(queue.drain().await, 1);
    assert_eq!(queue.world.of("a"), [(1, What::Began), (1, What::Completed)]);
    assert!(queue.rows().await.is_empty(), "what is done is removed");
}

#[tokio::test]
async fn a_job_vanishes_with_the_change_that_asked_for_it() {
    let queue = Queue::new().await;
    let mut tx = queue.tenant(organization()).await;
    assert!(enqueue(&mut tx, &queue.clock, &Probe::succeeding("a")).await.unwrap().is_some());
    tx.rollback().await.unwrap();
    assert_eq!(queue.drain().await, 0);
    assert!(queue.rows().await.is_empty());
}

#[tokio::test]
async fn an_effect_and_its_completion_commit_together_or_not_at_all() {
    let queue = Queue::new().await;
    let (ours, theirs) = (organization(), organization());
    let good = Probe::succeeding("good");
    queue.enqueue(ours, &good).await;
    // The row of this job cannot be removed, so what it wrote in the same transaction must not stay either.
    let held = Probe::succeeding("held");
    queue.enqueue(theirs, &held).await;
    sqlx::raw_sql(
        "create function keep() returns trigger language plpgsql as $$ begin
             if old.payload ->> 'label' = 'held' then raise exception 'kept'; end if;
             return old;
         end $$;
         create trigger keep before delete on jobs for each row execute function keep()",
    )
    .execute(&mut queue.superuser().await)
    .await
    .unwrap();
    queue.drain().await;
    let effects = queue.effects().await;
    assert_eq!(effects.get(&good.subject), Some(&1));
    assert_eq!(effects.get(&held.subject), None, "rolled back with the completion");
    assert_eq!(queue.row().await.state, "retrying");
}

#[tokio::test]
async fn at_most_one_job_waits_for_each_dedupe_key() {
    let queue = Queue::new().await;
    let (one, other) = (organization(), organization());
    let job = Probe::succeeding("a").deduped("key");
    assert!(queue.enqueue(one, &job).await.is_some());
    assert!(queue.enqueue(one, &job).await.is_none(), "one waits");
    assert!(queue.enqueue(other, &job).await.is_some(), "another organization has its own");
    assert!(queue.enqueue(one, &Probe::succeeding("b").deduped("other key")).await.is_some());
    assert_eq!(queue.drain().await, 3);
    assert!(queue.enqueue(one, &job).await.is_some(), "none waits any more");
}

#[tokio::test]
async fn a_running_job_does_not_stand_in_for_a_new_one() {
    let queue = Queue::new().await;
    let organization = organization();
    let job = Probe::new("a", Behavior::Wait).deduped("key");
    queue.enqueue(organization, &job).await;
    let runner = queue.quick_runner().start();
    queue.until("it runs", async || !queue.world.of("a").is_empty()).await;
    assert!(queue.enqueue(organization, &job).await.is_some(), "it may have read what changed since");
    queue.world.open("a", 1);
    queue.world.open("a", 1);
    queue.until_empty().await;
    runner.stop(Duration::from_secs(5)).await;
    assert_eq!(queue.world.began().len(), 2);
}

#[tokio::test]
async fn a_deduplicated_job_waits_for_the_change_that_it_stands_in_for() {
    let queue = Queue::new().await;
    let organization = organization();
    let job = Probe::succeeding("a").deduped("key");
    queue.enqueue(organization, &job).await;
    let mut tx = queue.tenant(organization).await;
    assert!(enqueue(&mut tx, &queue.clock, &job).await.unwrap().is_none());
    assert_eq!(queue.drain().await, 0, "it would not see what the open transaction changed");
    tx.commit().await.unwrap();
    assert_eq!(queue.drain().await, 1);
}

#[tokio::test]
async fn a_job_for_later_is_brought_forward_by_one_for_now() {
    let queue = Queue::new().await;
    let organization = organization();
    let job = Probe::succeeding("a").deduped("key");
    queue.enqueue_in(organization, &job, Duration::from_secs(3600)).await;
    assert_eq!(queue.row().await.state, "scheduled");
    assert_eq!(queue.drain().await, 0);
    assert!(queue.enqueue_in(organization, &job, Duration::from_secs(7200)).await.is_none());
    assert!(queue.enqueue(organization, &job).await.is_none(), "it is the same job");
    assert_eq!(queue.drain().await, 1);
    assert!(queue.rows().await.is_empty());
}

#[tokio::test]
async fn a_job_for_later_runs_when_its_time_has_come() {
    let queue = Queue::new().await;
    queue.enqueue_in(organization(), &Probe::succeeding("a"), Duration::from_secs(3600)).await;
    queue.advance(Duration::from_secs(3599));
    assert_eq!(queue.drain().await, 0);
    queue.advance(Duration::from_secs(1));
    assert_eq!(queue.drain().await, 1);
}

#[tokio::test]
async fn a_payload_that_is_too_long_is_refused() {
    let queue = Queue::new().await;
    let mut tx = queue.tenant(organization()).await;
    // Random, since repeated text is stored compressed.
    let error = enqueue(&mut tx, &queue.clock, &Probe::succeeding(kernel::random::base62(100_000))).await.unwrap_err();
    assert_eq!(error.to_string(), "constraint jobs_payload_check is violated");
}

#[tokio::test]
async fn the_backlog_tells_of_every_state_that_there_is() {
    let queue = Queue::new().await;
    let allowed: String =
        sqlx::query_scalar("select pg_get_constraintdef(oid) from pg_constraint where conname = 'jobs_state_check'")
            .fetch_one(&mut queue.superuser().await)
            .await
            .unwrap();
    let mut in_database: Vec<_> = allowed.split('\'').skip(1).step_by(2).map(str::to_owned).collect();
    let mut told: Vec<_> =
        backlog(&queue.db, &queue.clock).await.unwrap().iter().map(|entry| entry.state.to_string()).collect();
    in_database.sort();
    told.sort();
    assert_eq!(told, in_database);
}

#[tokio::test]
async fn the_backlog_counts_throttled_and_retried_work_from_its_beginning() {
    let queue = Queue::new().await;
    let organization = organization();
    let later = queue.clock.now() + Duration::from_secs(86_400);
    queue.enqueue(organization, &Probe::new("limited", Behavior::Throttled(later))).await;
    queue.enqueue(organization, &Probe::new("failing", Behavior::FailTransiently)).await;
    queue.enqueue(organization, &Probe::new("wrong", Behavior::FailPermanently)).await;
    queue.enqueue_in(organization, &Probe::succeeding("later"), Duration::from_secs(3600)).await;
    assert_eq!(queue.drain().await, 3);
    queue.advance(Duration::from_secs(3));
    queue.enqueue(organization, &Probe::succeeding("new")).await;
    let seen: Vec<_> = backlog(&queue.db, &queue.clock)
        .await
        .unwrap()
        .iter()
        .map(|entry| (entry.state, entry.jobs, entry.oldest.as_secs()))
        .collect();
    assert_eq!(
        seen,
        [
            (State::Scheduled, 1, 0),
            (State::Retrying, 1, 3),
            (State::Throttled, 1, 3),
            (State::Ready, 1, 0),
            (State::Running, 0, 0),
            (State::Dead, 1, 3),
        ]
    );
}

#[tokio::test]
async fn a_claim_passes_over_what_another_transaction_holds() {
    let queue = Queue::new().await;
    let organization = organization();
    let held = queue.enqueue(organization, &Probe::succeeding("held")).await.unwrap();
    queue.enqueue(organization, &Probe::succeeding("free")).await;
    let mut superuser = queue.superuser().await;
    let mut tx = superuser.begin().await.unwrap();
    sqlx::query("select from jobs where id = $1 for update").bind(held.uuid()).execute(&mut *tx).await.unwrap();
    let drained = tokio::time::timeout(Duration::from_secs(5), queue.drain()).await;
    assert_eq!(drained.expect("nobody waits for the lock"), 1);
    assert_eq!(queue.world.began(), ["free"]);
    tx.rollback().await.unwrap();
    assert_eq!(queue.drain().await, 1);
}
