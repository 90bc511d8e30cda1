//! Organizations: the tenants. Deleting one destroys its data keys, and with them every secret it ever had here.

pub mod api;
pub mod jobs;
mod store;

use db::{DbError, SystemTask, SystemTx, TenantTx};
use kernel::{OrganizationId, TenantScope, Time};
use kit::{
    App, Code, Problem, data_keys,
    retention::BATCH,
    trail::{self, Change, Event},
};
use serde_json::json;

use crate::{
    api_keys::{self, ApiKeys},
    factors,
};

/// Of whom an organization asks for a second factor.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RequiredOf {
    Nobody,
    Owners,
    Everybody,
}

impl RequiredOf {
    pub const ALL: &'static [Self] = &[Self::Nobody, Self::Owners, Self::Everybody];

    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Nobody => "nobody",
            Self::Owners => "owners",
            Self::Everybody => "everybody",
        }
    }

    fn of(text: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|of| of.as_str() == text)
    }

    /// As the settings have it: who never chose asks nobody.
    fn stored(text: Option<&str>) -> Self {
        text.and_then(Self::of).unwrap_or(Self::Nobody)
    }

    /// # Errors
    /// [`Code::InvalidRequest`].
    fn given(text: &str) -> Result<Self, Problem> {
        Self::of(text).ok_or_else(|| Problem::invalid("/required_of", "must be nobody, owners or everybody"))
    }
}

/// Asks owners, or everybody, for a second factor, from their next request on.
///
/// # Errors
/// [`Code::SecondFactorRequired`] for whoever has none themself.
pub async fn require_second_factor(app: &App, scope: &TenantScope, of: RequiredOf) -> Result<(), Problem> {
    let mut system = app.db.system(SystemTask::Factors).await?;
    let has_one = match scope.actor().user() {
        Some(user) => factors::has_second_factor(&mut system, user).await?,
        None => false,
    };
    system.rollback().await?;
    if of != RequiredOf::Nobody && !has_one {
        return Err(Problem::new(
            Code::SecondFactorRequired,
            "Whoever asks others for a second factor has one. Set up an authenticator app or a passkey on the page /account \
             first.",
        )
        .with("factors", json!([])));
    }
    let mut tx = app.db.tenant(scope).await?;
    let before = store::lock_second_factor(&mut tx).await?.ok_or_else(Problem::not_found)?;
    let before = RequiredOf::stored(before.required_of.as_deref());
    if before == of {
        return Ok(tx.rollback().await?);
    }
    store::set_second_factor(&mut tx, of.as_str()).await?;
    let change = Change {
        action: "organization.require_second_factor",
        resource: "organization",
        resource_id: Some(scope.organization().uuid()),
        before: Some(json!({ "required_of": before.as_str() })),
        after: Some(json!({ "required_of": of.as_str() })),
    };
    trail::audit(&mut tx, &app.clock, change).await?;
    let sentence = match of {
        RequiredOf::Nobody => "Nobody is asked for a second factor any more.",
        RequiredOf::Owners => "Owners are let in with a second factor only.",
        RequiredOf::Everybody => "Members are let in with a second factor only.",
    };
    trail::event(&mut tx, &app.clock, Event::warning("organization.second_factor_required", sentence)).await?;
    Ok(tx.commit().await?)
}

/// Deletes the organization of the scope, for good. Its rows leave every list at once; its API keys end; what its data keys
/// sealed can be opened nowhere, not even from a backup of the database with the master key still there.
///
/// # Errors
/// [`Code::ConfirmationMismatch`] when the name is not the organization's.
pub async fn delete(app: &App, scope: &TenantScope, name: &str) -> Result<(), Problem> {
    let now = app.clock.now();
    let mut tx = app.db.tenant(scope).await?;
    let stored = store::lock_name(&mut tx).await?.ok_or_else(Problem::not_found)?;
    if stored != name.trim() {
        return Err(Problem::new(
            Code::ConfirmationMismatch,
            "Send the organization's name exactly as it is written. Deleting it cannot be undone.",
        ));
    }
    store::mark_deleted(&mut tx, scope.actor().user(), now).await?;
    api_keys::end_all(&mut tx, "the organization was deleted", now).await?;
    let keys = data_keys::mark_all_destroyed(&mut tx, &app.clock).await?;
    // The job, in case the program ends before the shards are gone; it commits with the deletion.
    ::jobs::enqueue(&mut tx, &app.clock, &jobs::DestroyShards::default()).await?;
    let change = Change {
        action: "organization.delete",
        resource: "organization",
        resource_id: Some(scope.organization().uuid()),
        before: Some(json!({ "name": stored })),
        after: Some(json!({ "data_keys_destroyed": keys.len() })),
    };
    trail::audit(&mut tx, &app.clock, change).await?;
    let event =
        Event::warning("organization.deleted", "The organization was deleted and its data keys were destroyed.");
    trail::event(&mut tx, &app.clock, event).await?;
    tx.commit().await?;
    app.slice::<ApiKeys>().forget_organization(scope.organization());
    if data_keys::destroy_shards(&app.keyring, &keys).await.is_err() {
        // It is deleted, and the rows open nothing; the job goes on until the shards are gone too.
        tracing::error!(organization = %scope.organization(), "shards of a deleted organization are still there");
    }
    Ok(())
}

/// An organization names itself in the path; only its own scope can mean it.
pub(crate) fn own(scope: &TenantScope, id: OrganizationId) -> Result<(), Problem> {
    if scope.organization() == id { Ok(()) } else { Err(Problem::not_found()) }
}

/// Whether the organization of the transaction was deleted before then.
///
/// # Errors
/// When the database refuses or is gone.
pub async fn was_deleted(tx: &mut TenantTx, before: Time) -> Result<bool, DbError> {
    store::was_deleted(tx, before).await
}

/// Organizations that were deleted before then and of which something is left, a batch of them.
///
/// # Errors
/// When the database refuses or is gone.
pub async fn left_of(tx: &mut SystemTx, before: Time) -> Result<Vec<OrganizationId>, DbError> {
    store::left_of(tx, before, BATCH).await
}
