use std::time::Duration;

use jobs::enqueue;
use sqlx::Connection;

use crate::support::{Behavior, Probe, Queue, What, organization};

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn jobs_of_one_ordering_key_never_overlap_and_keep_their_order() {
    let queue = Queue::on_a_running_clock().await;
    let organizations = [(); 2].map(|()| organization());
    for organization in organizations {
        // In one transaction and so, most of them, in one millisecond.
        let jobs: Vec<_> = (0..100)
            .map(|number| {
                let key = format!("{organization}:{}", number % 10);
                Probe::new(key.clone(), Behavior::Take(number % 7)).ordered(key)
            })
            .collect();
        queue.enqueue_all(organization, &jobs).await;
    }
    let mut enqueued: Vec<(String, String)> = sqlx::query_as(
        "select payload ->> 'label', payload ->> 'subject' from jobs order by payload ->> 'label', sequence",
    )
    .fetch_all(&mut queue.superuser().await)
    .await
    .unwrap();
    let completions = "create table completions (number bigserial, label text, subject text);
        create function note() returns trigger language plpgsql security definer as $$ begin
            insert into completions (label, subject) values (old.payload ->> 'label', old.payload ->> 'subject');
            return null;
        end $$;
        create trigger note after delete on jobs for each row execute function note()";
    sqlx::raw_sql(completions).execute(&mut queue.superuser().await).await.unwrap();

    let runners = [(); 8].map(|()| queue.quick_runner().start());
    queue.until_empty().await;
    for runner in runners {
        runner.stop(Duration::from_secs(5)).await;
    }

    for organization in organizations {
        for key in 0..10 {
            let label = format!("{organization}:{key}");
            let events = queue.world.of(&label);
            assert_eq!(events.len(), 20, "ten began and completed: {events:?}");
            assert_eq!(queue.world.most_under_way(&label), 1, "no two of {label} at a time");
        }
    }
    let completed: Vec<(String, String)> =
        sqlx::query_as("select label, subject from completions order by label, number")
            .fetch_all(&mut queue.superuser().await)
            .await
            .unwrap();
    enqueued.sort_by(|(one, _), (other, _)| one.cmp(other));
    let mut completed = completed;
    completed.sort_by(|(one, _), (other, _)| one.cmp(other));
    assert_eq!(completed, enqueued);
}

#[tokio::test]
async fn a_job_that_waits_for_its_next_attempt_holds_up_those_behind_it_and_no_others() {
    let queue = Queue::new().await;
    let organization = organization();
    queue.enqueue(organization, &Probe::new("first", Behavior::FailTransiently).ordered("key")).await;
    queue.enqueue(organization, &Probe::succeeding("second").ordered("key")).await;
    queue.enqueue(organization, &Probe::succeeding("other").ordered("other key")).await;
    queue.enqueue(organization, &Probe::succeeding("none")).await;
    assert_eq!(queue.drain().await, 3);
    assert_eq!(queue.world.began(), ["first", "other", "none"]);
    for _ in 0..7 {
        queue.advance(Duration::from_secs(30 * 3600));
        queue.drain().await;
    }
    assert_eq!(queue.world.of("first").len(), 16, "it is dead now");
    assert_eq!(queue.world.of("second"), [(1, What::Began), (1, What::Completed)]);
}

#[tokio::test]
async fn ordering_keys_of_two_organizations_have_nothing_to_do_with_each_other() {
    let queue = Queue::new().await;
    queue.enqueue(organization(), &Probe::new("first", Behavior::FailTransiently).ordered("key")).await;
    queue.enqueue(organization(), &Probe::succeeding("second").ordered("key")).await;
    assert_eq!(queue.drain().await, 2);
}

#[tokio::test]
async fn a_job_whose_transaction_commits_late_does_not_overlap_with_the_one_that_overtook_it() {
    let queue = Queue::new().await;
    let organization = organization();
    let mut late = queue.tenant(organization).await;
    enqueue(&mut late, &queue.clock, &Probe::succeeding("late").ordered("key")).await.unwrap();
    queue.enqueue(organization, &Probe::new("early", Behavior::Wait).ordered("key")).await;
    let runner = queue.quick_runner().start();
    queue.until("the one that can be seen runs", async || queue.world.began() == ["early"]).await;
    late.commit().await.unwrap();
    assert_eq!(queue.drain().await, 0, "the late one waits, although it is first in the order");
    queue.world.open("early", 1);
    queue.until_empty().await;
    runner.stop(Duration::from_secs(5)).await;
    assert_eq!(queue.world.began(), ["early", "late"]);
}

#[tokio::test]
async fn two_claims_of_one_ordering_key_in_the_same_moment_cannot_both_succeed() {
    let queue = Queue::new().await;
    let organization = organization();
    queue.enqueue(organization, &Probe::succeeding("mine").ordered("key")).await;
    queue.enqueue(organization, &Probe::succeeding("free")).await;
    // Another node's claim of a job that only it can see yet, not committed.
    let mut superuser = queue.superuser().await;
    let mut theirs = superuser.begin().await.unwrap();
    sqlx::query(
        "insert into jobs (organization_id, id, name, payload, ordering_key, run_at, due_at, state, created_at)
         select organization_id, gen_random_uuid(), name, payload, ordering_key, run_at, due_at + interval '1 hour', 'running',
             created_at
         from jobs where ordering_key = 'key'",
    )
    .execute(&mut *theirs)
    .await
    .unwrap();
    let runner = queue.runner();
    let (drained, ()) = tokio::join!(runner.drain(), async {
        tokio::time::sleep(Duration::from_millis(300)).await;
        theirs.commit().await.unwrap();
    });
    assert_eq!(drained.unwrap(), 1, "only the one without a key");
    assert_eq!(queue.world.began(), ["free"]);
}
