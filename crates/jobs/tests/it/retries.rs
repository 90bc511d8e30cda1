use std::time::Duration;

use jobs::{Done, Failure, Job, Retry, Run};
use kernel::{Action, Resource};
use serde::{Deserialize, Serialize};

use crate::support::{Behavior, Context, Probe, Queue, What, organization};

const DOCUMENTED_SECONDS: [u64; 7] = [5, 30, 120, 600, 3_600, 21_600, 86_400];

#[tokio::test]
async fn a_failing_job_is_tried_at_the_documented_times_and_is_then_dead() {
    let queue = Queue::new().await;
    queue.enqueue(organization(), &Probe::new("a", Behavior::FailTransiently)).await;
    assert_eq!(queue.drain().await, 1);
    for (number, seconds) in DOCUMENTED_SECONDS.into_iter().enumerate() {
        let row = queue.row().await;
        assert_eq!((row.state.as_str(), row.attempts), ("retrying", i32::try_from(number).unwrap() + 1));
        assert_eq!(row.last_error.as_deref(), Some("told to fail"));
        let wait = (row.due_at - queue.clock.now()).as_seconds_f64();
        let delay = Duration::from_secs(seconds).as_secs_f64();
        assert!((delay..=delay * 1.1).contains(&wait), "{wait} s for a delay of {delay} s");
        queue.advance(Duration::from_secs_f64(delay - 0.001));
        assert_eq!(queue.drain().await, 0, "never before its time");
        queue.advance(Duration::from_secs_f64(delay * 0.1 + 0.001));
        assert_eq!(queue.drain().await, 1, "never later than a tenth after it");
    }
    let row = queue.row().await;
    assert_eq!((row.state.as_str(), row.attempts), ("dead", 8));
    queue.advance(Duration::from_secs(365 * 86_400));
    assert_eq!(queue.drain().await, 0, "the dead stay dead");
}

#[tokio::test]
async fn attempts_that_failed_together_do_not_come_back_together() {
    let queue = Queue::new().await;
    let organization = organization();
    for _ in 0..20 {
        queue.enqueue(organization, &Probe::new("a", Behavior::FailTransiently)).await;
    }
    assert_eq!(queue.drain().await, 20);
    let mut times: Vec<_> = queue.rows().await.into_iter().map(|row| row.due_at).collect();
    times.sort();
    times.dedup();
    assert!(times.len() > 15, "{} times for 20 jobs", times.len());
}

#[tokio::test]
async fn a_permanent_failure_is_dead_at_once() {
    let queue = Queue::new().await;
    queue.enqueue(organization(), &Probe::new("a", Behavior::FailPermanently)).await;
    assert_eq!(queue.drain().await, 1);
    let row = queue.row().await;
    assert_eq!(
        (row.state.as_str(), row.attempts, row.last_error.as_deref()),
        ("dead", 1, Some("told to fail for good"))
    );
}

#[tokio::test]
async fn a_panic_is_a_failure_whose_message_is_not_kept() {
    let queue = Queue::new().await;
    let organization = organization();
    queue.enqueue(organization, &Probe::new("a", Behavior::Panic)).await;
    queue.enqueue(organization, &Probe::succeeding("b")).await;
    assert_eq!(queue.drain().await, 2, "the runner goes on");
    let row = queue.row().await;
    assert_eq!((row.state.as_str(), row.last_error.as_deref()), ("retrying", Some("the job panicked")));
}

#[tokio::test]
async fn waiting_for_a_limit_uses_up_no_attempt() {
    let queue = Queue::new().await;
    let until = queue.clock.now() + Duration::from_secs(600);
    queue.enqueue(organization(), &Probe::new("a", Behavior::Throttled(until))).await;
    assert_eq!(queue.drain().await, 1);
    let row = queue.row().await;
    assert_eq!((row.state.as_str(), row.attempts, row.due_at), ("throttled", 0, until));
    queue.advance(Duration::from_secs(599));
    assert_eq!(queue.drain().await, 0);
    for _ in 0..20 {
        queue.advance(Duration::from_secs(600));
        assert_eq!(queue.drain().await, 1, "a limit in the past is asked again a second later, not at once");
    }
    assert_eq!(queue.row().await.attempts, 0);
}

#[tokio::test]
async fn a_failed_job_makes_way_for_its_successor() {
    let queue = Queue::new().await;
    queue.enqueue(organization(), &Probe::new("a", Behavior::FailWithSuccessor).deduped("key")).await;
    assert_eq!(queue.drain().await, 2);
    assert_eq!(queue.world.began().len(), 2);
    assert!(queue.rows().await.is_empty(), "the successor was its next attempt");
}

#[derive(Serialize, Deserialize)]
struct Impatient;

impl Job for Impatient {
    const NAME: &'static str = "impatient";
    const PERMISSIONS: &'static [(Resource, Action)] = &[];
    const RETRY: Retry = Retry::NEVER;
    const TIMEOUT: Duration = Duration::from_millis(50);
    type Context = Context;

    async fn run(self, _: Context, run: Run) -> Result<Done, Failure> {
        assert!(run.last_attempt);
        std::future::pending().await
    }
}

#[tokio::test]
async fn an_attempt_that_takes_too_long_has_failed() {
    let queue = Queue::new().await;
    queue.enqueue(organization(), &Impatient).await;
    assert_eq!(queue.runner().register::<Impatient>().drain().await.unwrap(), 1);
    let row = queue.row().await;
    assert_eq!((row.state.as_str(), row.last_error.as_deref()), ("dead", Some("the attempt took too long")));
}

#[tokio::test]
async fn a_job_that_this_program_does_not_know_is_left_to_others() {
    let queue = Queue::new().await;
    queue.enqueue(organization(), &Impatient).await;
    assert_eq!(queue.drain().await, 0);
    let row = queue.row().await;
    assert_eq!((row.state.as_str(), row.attempts), ("ready", 0));
}

#[tokio::test]
async fn a_payload_of_another_version_is_tried_again_and_not_quoted() {
    let queue = Queue::new().await;
    queue.enqueue(organization(), &Probe::succeeding("a")).await;
    sqlx::query(r#"update jobs set payload = '{"customer": "somebody"}'"#)
        .execute(&mut queue.superuser().await)
        .await
        .unwrap();
    assert_eq!(queue.drain().await, 1);
    assert_eq!(queue.world.of("a"), Vec::<(u32, What)>::new());
    let row = queue.row().await;
    assert_eq!(
        (row.state.as_str(), row.last_error.as_deref()),
        ("retrying", Some("the payload is not of a form that this version of the job knows"))
    );
}

#[tokio::test]
async fn how_an_attempt_ended_is_noted_when_a_database_that_was_away_is_back() {
    let queue = Queue::new().await;
    queue.enqueue(organization(), &Probe::new("a", Behavior::Wait)).await;
    let runner = queue.quick_runner().start();
    queue.until("it runs", async || !queue.world.of("a").is_empty()).await;
    queue.admit(false).await;
    queue.world.open("a", 1);
    queue.until("it has failed", async || queue.world.of("a").len() == 2).await;
    tokio::time::sleep(Duration::from_secs(4)).await;
    assert_eq!(queue.row().await.state, "running", "nothing could be written down");
    queue.admit(true).await;
    queue.until("it is noted", async || queue.row().await.state == "retrying").await;
    runner.stop(Duration::from_secs(5)).await;
}
