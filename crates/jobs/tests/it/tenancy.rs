use db::DbError;
use jobs::{Done, Failure, Job, Run};
use kernel::{Action, Actor, OrganizationId, Resource};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::support::{Behavior, Context, Probe, Queue, effect, organization};

/// Reads, changes and removes all that it can reach, then writes a row of another organization.
#[derive(Serialize, Deserialize)]
struct Intruder {
    into: OrganizationId,
}

impl Job for Intruder {
    const NAME: &'static str = "intruder";
    const PERMISSIONS: &'static [(Resource, Action)] = &[(Resource::Organization, Action::Update)];
    type Context = Context;

    async fn run(self, cx: Context, run: Run) -> Result<Done, Failure> {
        assert_eq!(run.scope.actor(), Actor::System { task: "intruder" });
        let mut tx = cx.db.tenant(&run.scope).await?;
        let seen: Vec<Uuid> = sqlx::query_scalar("select distinct organization_id from effects")
            .fetch_all(tx.conn())
            .await
            .map_err(DbError::from)?;
        assert_eq!(seen, [run.scope.organization().uuid()]);
        for statement in ["update effects set used = 666", "update jobs set last_error = 'intruder'"] {
            sqlx::query(statement).execute(tx.conn()).await.map_err(DbError::from)?;
        }
        tx.commit().await?;

        let mut tx = cx.db.tenant(&run.scope).await?;
        let written = sqlx::query("insert into effects (organization_id, subject, used) values ($1, $1, 1)")
            .bind(self.into.uuid())
            .execute(tx.conn())
            .await
            .map_err(DbError::from);
        assert!(matches!(written, Err(DbError::Refused { .. })), "{written:?}");
        Err(Failure::Permanent("it has seen enough".into()))
    }
}

#[tokio::test]
async fn a_job_reaches_no_row_of_another_organization() {
    let queue = Queue::new().await;
    let (ours, theirs) = (organization(), organization());
    for organization in [ours, theirs] {
        let mut tx = queue.tenant(organization).await;
        effect(&mut tx, organization.uuid()).await.unwrap();
        tx.commit().await.unwrap();
    }
    queue.enqueue_in(theirs, &Probe::succeeding("theirs"), std::time::Duration::from_secs(60)).await;
    queue.enqueue(ours, &Intruder { into: theirs }).await;
    assert_eq!(queue.runner().register::<Intruder>().drain().await.unwrap(), 1);
    let effects = queue.effects().await;
    assert_eq!((effects[&ours.uuid()], effects[&theirs.uuid()]), (666, 1));
    let rows = queue.rows().await;
    assert_eq!(rows[0].last_error, None, "the other's job");
    assert_eq!(rows[1].last_error.as_deref(), Some("it has seen enough"), "no assertion of the job failed");
}

#[tokio::test]
async fn a_job_cannot_be_completed_in_the_transaction_of_another_organization() {
    let queue = Queue::new().await;
    queue.enqueue(organization(), &Probe::new("a", Behavior::CompleteIn(organization()))).await;
    assert_eq!(queue.drain().await, 1);
    let row = queue.row().await;
    assert_eq!(
        (row.state.as_str(), row.last_error.as_deref()),
        ("dead", Some("the job was completed in a transaction of another organization"))
    );
}

/// Renames its organization, with and without the permission to.
#[derive(Serialize, Deserialize)]
struct Rename<const ALLOWED: bool>;

impl<const ALLOWED: bool> Job for Rename<ALLOWED> {
    const NAME: &'static str = if ALLOWED { "rename_allowed" } else { "rename" };
    const PERMISSIONS: &'static [(Resource, Action)] =
        if ALLOWED { &[(Resource::Organization, Action::Update)] } else { &[(Resource::Organization, Action::Read)] };
    type Context = Context;

    async fn run(self, cx: Context, run: Run) -> Result<Done, Failure> {
        let mut tx = cx.db.tenant(&run.scope).await?;
        sqlx::query("update organizations set name = 'renamed'").execute(tx.conn()).await.map_err(DbError::from)?;
        run.complete(tx).await
    }
}

#[tokio::test]
async fn a_job_may_write_what_its_permissions_say_and_nothing_else() {
    let queue = Queue::new().await;
    let organization = organization();
    sqlx::query(
        "insert into organizations (id, name, slug, subscription_status, subscription_plan, created_at)
         values ($1, 'named', 'named', 'trial', 'free', $2)",
    )
    .bind(organization.uuid())
    .bind(queue.clock.now())
    .execute(&mut queue.superuser().await)
    .await
    .unwrap();
    let runner = queue.runner().register::<Rename<true>>().register::<Rename<false>>();
    let name = async || -> String {
        sqlx::query_scalar("select name from organizations").fetch_one(&mut queue.superuser().await).await.unwrap()
    };

    queue.enqueue(organization, &Rename::<false>).await;
    assert_eq!(runner.drain().await.unwrap(), 1);
    assert_eq!(name().await, "named");
    assert_eq!(queue.row().await.last_error.as_deref(), Some("the database refuses: policy or grant (42501)"));

    queue.enqueue(organization, &Rename::<true>).await;
    assert_eq!(runner.drain().await.unwrap(), 1);
    assert_eq!(name().await, "renamed");
}
