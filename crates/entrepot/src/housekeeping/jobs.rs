//! What people of one organization have deleted goes when its time is over, in the scope of that organization.

use ::jobs::{Done, Failure, Job, Run};
use accounts::{api_keys, grants, members, organizations, team_members};
use db::{DbError, TenantTx};
use integrations::{connections, data_access};
use kernel::{Action, Resource, TenantScope};
use kit::{
    App, Problem,
    error_reports::{ErrorReports, Report},
    retention::{BATCH, Due, Kind},
};
use serde::{Deserialize, Serialize};

/// Batches of one kind and run: the rest waits for the next day.
const BATCHES_MAX: usize = 100;

/// Removes what was deleted in an organization, or is over, for longer than it is kept: a batch in each transaction. Of an
/// organization that was itself deleted long ago, everything but its logs.
#[derive(Default, Serialize, Deserialize)]
pub struct PurgeDeleted {}

impl Job for PurgeDeleted {
    const NAME: &'static str = "purge_deleted";
    const PERMISSIONS: &'static [(Resource, Action)] = &[
        (Resource::ApiKeys, Action::Delete),
        (Resource::Connections, Action::Delete),
        (Resource::Members, Action::Delete),
        (Resource::Members, Action::Update),
        // Owners' seats go with their organization.
        (Resource::Organization, Action::Delete),
    ];
    type Context = App;

    fn dedupe_key(&self) -> Option<String> {
        Some("all".to_owned())
    }

    async fn run(self, app: App, run: Run) -> Result<Done, Failure> {
        let now = app.clock.now();
        let mut tx = app.db.tenant(&run.scope).await?;
        let is_gone =
            organizations::was_deleted(&mut tx, app.config.retention.before(Kind::Organizations, now)).await?;
        tx.rollback().await?;
        for kind in Kind::ALL {
            let due = Due { before: app.config.retention.before(kind, now), all: is_gone };
            for _ in 0..BATCHES_MAX {
                let mut tx = app.db.tenant(&run.scope).await?;
                let removed = remove(&mut tx, &app, kind, due).await?;
                tx.commit().await?;
                if removed < BATCH.unsigned_abs() {
                    break;
                }
            }
        }
        if !is_gone {
            seal_reasons(&app, &run.scope).await;
        }
        let tx = app.db.tenant(&run.scope).await?;
        run.complete(tx).await
    }
}

/// After what has to go: a key that does not open keeps nothing from going. What stays in clear is tried again the next day.
async fn seal_reasons(app: &App, scope: &TenantScope) {
    let sealed = async {
        let mut tx = app.db.tenant(scope).await?;
        grants::seal_reasons(&mut tx, app).await?;
        tx.commit().await?;
        Ok::<_, Problem>(())
    };
    if let Err(problem) = sealed.await {
        tracing::error!(
            organization = %scope.organization(), code = problem.code().as_str(),
            "reasons of grants were not sealed and stay in clear; the next try is tomorrow"
        );
        app.slice::<ErrorReports>().record(Report::task("seal_reasons", "reasons of grants were not sealed"));
    }
}

/// A batch of one kind.
async fn remove(tx: &mut TenantTx, app: &App, kind: Kind, due: Due) -> Result<u64, DbError> {
    match kind {
        Kind::Connections => connections::purge(tx, &app.clock, due).await,
        Kind::TeamMembers => team_members::purge(tx, &app.clock, due).await,
        Kind::Grants => grants::purge(tx, due).await,
        Kind::ApiKeys => api_keys::purge(tx, due).await,
        Kind::StorePermissions => data_access::purge(tx, due).await,
        Kind::DeadJobs => ::jobs::purge_dead(tx, due.before, due.all, BATCH).await,
        // Seats last: that there are some tells that something is left.
        Kind::Organizations if due.all => members::purge(tx).await,
        Kind::Organizations => Ok(0),
        // By partitions.
        Kind::Events | Kind::AccessLog | Kind::AuditLog => Ok(0),
        // By each node, of all organizations alike.
        Kind::Invitations
        | Kind::Sessions
        | Kind::Links
        | Kind::Mail
        | Kind::IdempotencyKeys
        | Kind::LoginAttempts
        | Kind::OauthStates
        | Kind::RateWindows
        | Kind::Notifications
        | Kind::UsageCounters
        | Kind::ErrorReports
        | Kind::Challenges => Ok(0),
    }
}
