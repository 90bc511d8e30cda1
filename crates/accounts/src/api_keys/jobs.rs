//! Keys reach their expiry whether or not anybody uses them, and those that are suspected are suspended, then revoked.

use ::jobs::{Done, Failure, Job, Run};
use chrono::Duration;
use kernel::{Action, ApiKeyId, Resource, Time, UserId};
use kit::{
    App, mail,
    trail::{self, Change, Event},
};
use serde::{Deserialize, Serialize};
use serde_json::json;
use uuid::Uuid;

use super::{ApiKeys, store, suspicion::Suspicion};
use crate::{
    letters,
    notifications::{self, About, Kind, Notice},
};

/// How long a suspended key waits for somebody to clear it.
const CLEARED_WITHIN: Duration = Duration::hours(24);

/// Marks the keys of an organization that are past their expiry (002's `cleanup_expired_api_keys`). They stopped working at
/// that moment; this is so that people see it.
#[derive(Default, Serialize, Deserialize)]
pub struct ExpireKeys {}

impl Job for ExpireKeys {
    const NAME: &'static str = "expire_api_keys";
    const PERMISSIONS: &'static [(Resource, Action)] = &[(Resource::ApiKeys, Action::Update)];
    type Context = App;

    async fn run(self, app: App, run: Run) -> Result<Done, Failure> {
        let mut tx = app.db.tenant(&run.scope).await?;
        for expired in store::expire_due(&mut tx, app.clock.now()).await? {
            let event = Event::warning("api_key.expired", format!("The API key \"{}\" has expired.", expired.key_name));
            trail::event(&mut tx, &app.clock, event.with(json!({ "key_id": expired.id }))).await?;
        }
        run.complete(tx).await
    }
}

/// Suspends a key that behaves as a stolen one does, and tells those who answer for it.
#[derive(Serialize, Deserialize)]
pub struct SuspendKey {
    pub key: Uuid,
    pub suspicion: Suspicion,
}

impl Job for SuspendKey {
    const NAME: &'static str = "suspend_api_key";
    const PERMISSIONS: &'static [(Resource, Action)] = &[(Resource::ApiKeys, Action::Update)];
    type Context = App;

    fn dedupe_key(&self) -> Option<String> {
        Some(format!("{}:{}", self.key, self.suspicion.as_str()))
    }

    async fn run(self, app: App, run: Run) -> Result<Done, Failure> {
        let (id, now) = (ApiKeyId::from(self.key), app.clock.now());
        let mut tx = app.db.tenant(&run.scope).await?;
        let Some(suspended) = store::suspend(&mut tx, id, self.suspicion.as_str(), now).await? else {
            return run.complete(tx).await;
        };
        let change = Change {
            action: "api_key.suspend",
            resource: "api_key",
            resource_id: Some(self.key),
            before: Some(json!({ "state": "active" })),
            after: Some(json!({ "state": "suspended", "reason": self.suspicion.as_str() })),
        };
        trail::audit(&mut tx, &app.clock, change).await?;
        let until = suspended.since + CLEARED_WITHIN;
        let message = format!(
            "The API key \"{}\" was suspended. {} It is revoked in 24 hours unless somebody clears it.",
            suspended.key_name,
            self.suspicion.sentence()
        );
        let meta = json!({ "key_id": id, "reason": self.suspicion.as_str(), "revoked_at": until });
        trail::event(&mut tx, &app.clock, Event::warning("api_key.suspended", message).with(meta)).await?;
        let later = RevokeSuspendedKey { key: self.key, since: suspended.since };
        ::jobs::enqueue_at(&mut tx, &app.clock, &later, until).await?;
        let people = store::who_answers_for(&mut tx, suspended.user_id).await?;
        let notice = Notice::of(Kind::ApiKeySuspended)
            .about(About::ApiKey(id))
            .with(json!({ "key": suspended.key_name, "revoked_at": until }));
        let told: Vec<UserId> = people.iter().map(|person| person.user_id).collect();
        notifications::tell(&mut tx, &app.clock, &told, &notice).await?;
        for person in people {
            let letter = letters::key_suspended(
                &app,
                &person.name,
                &suspended.organization_name,
                &suspended.key_name,
                &self.suspicion.sentence(),
            );
            mail::write(&mut tx, &app, &person.email, &letter, mail::NOTICE_LIVES).await?;
        }
        let organization = run.scope.organization();
        let done = run.complete(tx).await?;
        app.slice::<ApiKeys>().forget(organization, id);
        Ok(done)
    }
}

/// Revokes a key that nobody has cleared since it was suspended.
#[derive(Serialize, Deserialize)]
pub struct RevokeSuspendedKey {
    pub key: Uuid,
    pub since: Time,
}

impl Job for RevokeSuspendedKey {
    const NAME: &'static str = "revoke_suspended_api_key";
    const PERMISSIONS: &'static [(Resource, Action)] = &[(Resource::ApiKeys, Action::Update)];
    type Context = App;

    async fn run(self, app: App, run: Run) -> Result<Done, Failure> {
        const REASON: &str = "suspended for a day without being cleared";
        let mut tx = app.db.tenant(&run.scope).await?;
        let (id, now) = (ApiKeyId::from(self.key), app.clock.now());
        if let Some(name) = store::revoke_suspended(&mut tx, id, self.since, REASON, now).await? {
            let change = Change {
                action: "api_key.revoke",
                resource: "api_key",
                resource_id: Some(self.key),
                before: Some(json!({ "state": "suspended" })),
                after: Some(json!({ "state": "revoked" })),
            };
            trail::audit(&mut tx, &app.clock, change).await?;
            let message = format!("The API key \"{name}\" was revoked: it was {REASON}.");
            trail::event(&mut tx, &app.clock, Event::warning("api_key.revoked", message).with(json!({ "key_id": id })))
                .await?;
        }
        run.complete(tx).await
    }
}
