use std::time::Duration;

use jobs::{Done, Failure, Job, Run, Runner, Schedule};
use kernel::{Action, OrganizationId, Resource};
use serde::{Deserialize, Serialize};
use sqlx::Connection;

use crate::support::{Context, Queue, effect, organization};

#[derive(Default, Serialize, Deserialize)]
struct Expire {}

impl Job for Expire {
    const NAME: &'static str = "expire";
    const PERMISSIONS: &'static [(Resource, Action)] = &[];
    type Context = Context;

    async fn run(self, cx: Context, run: Run) -> Result<Done, Failure> {
        let mut tx = cx.db.tenant(&run.scope).await?;
        let subject = run.scope.organization().uuid();
        effect(&mut tx, subject).await?;
        run.complete(tx).await
    }
}

fn runner(queue: &Queue) -> Runner<Context> {
    queue.runner().register::<Expire>().schedule(Schedule::daily::<Expire>())
}

async fn found(queue: &Queue, name: &str, deleted: bool) -> OrganizationId {
    let organization = organization();
    sqlx::query(
        "insert into organizations (id, name, slug, subscription_status, subscription_plan, created_at, deleted_at)
         values ($1, $2, $2, 'trial', 'free', $3, case when $4 then $3 end)",
    )
    .bind(organization.uuid())
    .bind(name)
    .bind(queue.clock.now())
    .bind(deleted)
    .execute(&mut queue.superuser().await)
    .await
    .expect("the organization is founded");
    organization
}

/// How often the job ran in each organization.
async fn runs(queue: &Queue, organizations: &[OrganizationId]) -> Vec<i32> {
    let effects = queue.effects().await;
    organizations.iter().map(|organization| effects.get(&organization.uuid()).copied().unwrap_or(0)).collect()
}

#[tokio::test]
async fn of_three_runners_one_enqueues_a_job_for_each_organization() {
    let queue = Queue::new().await;
    let mut organizations = vec![found(&queue, "deleted", true).await];
    for name in ["one", "two", "three"] {
        organizations.push(found(&queue, name, false).await);
    }
    let runners = [(); 3].map(|()| runner(&queue));
    for day in 1..=3 {
        let (a, b, c) = tokio::join!(runners[0].drain(), runners[1].drain(), runners[2].drain());
        assert_eq!(a.unwrap() + b.unwrap() + c.unwrap(), 3);
        assert_eq!(runs(&queue, &organizations).await, [0, day, day, day]);
        queue.advance(Duration::from_secs(86_399));
        for runner in &runners {
            assert_eq!(runner.drain().await.unwrap(), 0, "not before its time");
        }
        queue.advance(Duration::from_secs(1));
    }
}

#[tokio::test]
async fn a_runner_that_comes_to_an_election_late_has_lost_it() {
    let queue = Queue::new().await;
    let organization = found(&queue, "one", false).await;
    let mut superuser = queue.superuser().await;
    let late = runner(&queue);
    for (day, statement) in [
        "insert into schedules (name, last_run_at) values ('expire', $1)",
        "update schedules set last_run_at = $1 where name = 'expire'",
    ]
    .into_iter()
    .enumerate()
    {
        // Another node, in the middle of it.
        let mut theirs = superuser.begin().await.unwrap();
        sqlx::query(statement).bind(queue.clock.now()).execute(&mut *theirs).await.unwrap();
        let (drained, ()) = tokio::join!(late.drain(), async {
            tokio::time::sleep(Duration::from_millis(200)).await;
            theirs.commit().await.unwrap();
        });
        assert_eq!(drained.unwrap(), 0, "on day {day} the other does it");
        queue.advance(Duration::from_secs(86_400));
    }
    assert_eq!(runs(&queue, &[organization]).await, [0]);
}

#[tokio::test]
async fn an_organization_in_which_the_last_one_waits_gets_no_second() {
    let queue = Queue::new().await;
    found(&queue, "one", false).await;
    // It knows the schedule and is stopped before it runs the jobs.
    let limits = jobs::Limits { in_flight: 0, poll: Duration::from_millis(10), ..jobs::Limits::default() };
    let idle = runner(&queue).limits(limits).start();
    queue.until("it is enqueued", async || queue.rows().await.len() == 1).await;
    queue.advance(Duration::from_secs(86_400));
    tokio::time::sleep(Duration::from_millis(200)).await;
    assert_eq!(queue.row().await.state, "ready");
    idle.stop(Duration::from_secs(1)).await;
    assert_eq!(queue.runner().register::<Expire>().drain().await.unwrap(), 1);
}

#[tokio::test]
async fn more_organizations_than_a_page_all_get_their_job() {
    let queue = Queue::new().await;
    sqlx::query(
        "insert into organizations (id, name, slug, subscription_status, subscription_plan, created_at)
         select gen_random_uuid(), 'o', 'o' || n, 'trial', 'free', $1 from generate_series(1, 2001) as n",
    )
    .bind(queue.clock.now())
    .execute(&mut queue.superuser().await)
    .await
    .unwrap();
    let limits = jobs::Limits { in_flight: 0, ..jobs::Limits::default() };
    let idle = runner(&queue).limits(limits).start();
    queue.until("all are enqueued", async || queue.rows().await.len() == 2001).await;
    idle.stop(Duration::from_secs(1)).await;
}

#[tokio::test]
#[should_panic(expected = "the scheduled job expire is not registered")]
async fn a_schedule_needs_its_job() {
    let queue = Queue::new().await;
    drop(queue.runner().schedule(Schedule::daily::<Expire>()));
}
