//! Who is calling: a session's cookie, the same session as Bearer, an API key, or a token of an issuer.

use async_trait::async_trait;
use axum::http::{HeaderMap, Method, header, request::Parts};
use db::SystemTask;
use kernel::{Actor, OrganizationId, Principal, SessionId};
use kit::{
    App, Code, Problem,
    app::{Authenticate, Identity, StepUp},
};

use crate::{
    api_keys::ApiKeys,
    factors::step_up,
    grants, identities,
    oidc::Issuers,
    sessions::{SEEN_EVERY, model, store},
};

/// The program's authenticator.
#[derive(Clone)]
pub struct Authentication {
    keys: ApiKeys,
    issuers: Issuers,
}

impl Authentication {
    pub fn new(keys: ApiKeys, issuers: Issuers) -> Self {
        Self { keys, issuers }
    }
}

#[async_trait]
impl Authenticate for Authentication {
    fn refused(&self, organization: OrganizationId, actor: Actor) {
        if let Actor::Key { key, .. } = actor {
            self.keys.refused(organization, key);
        }
    }

    async fn has_proved(&self, app: &App, actor: Actor, step_up: StepUp) -> Result<(), Problem> {
        step_up::has_proved(app, actor, step_up).await
    }

    async fn identify(&self, app: &App, parts: &Parts) -> Result<Identity, Problem> {
        if let Some(text) = bearer(&parts.headers)? {
            if self.keys.are_claimed_by(text) {
                return self.keys.identify(app, text, parts).await;
            }
            if model::is_session_token(text) {
                return session(app, text).await;
            }
            if self.issuers.are_claimed_by(text) {
                return identities::identify(app, &self.issuers, text).await;
            }
            return Err(unauthenticated());
        }
        let Some(token) = cookie(&parts.headers, model::cookie_name(app.config.is_https())) else {
            return Err(unauthenticated());
        };
        let identity = session(app, &token).await?;
        if let (Actor::Person { session, .. }, false) = (identity.actor, is_safe(&parts.method)) {
            refuse_foreign_pages(app, parts, session)?;
        }
        Ok(identity)
    }

    async fn again(&self, app: &App, identity: &Identity, organization: OrganizationId) -> Result<Principal, Problem> {
        match identity.actor {
            Actor::Key { key, .. } => self.keys.again((organization, key)).await,
            Actor::Person { session, .. } => {
                let mut tx = app.db.system(SystemTask::Authenticate).await?;
                let goes_on = store::goes_on(&mut tx, session, app.clock.now()).await?;
                tx.rollback().await?;
                if !goes_on {
                    return Err(ended());
                }
                self.principal(app, identity, Some(organization)).await
            }
            Actor::System { .. } => Err(unauthenticated()),
        }
    }

    async fn principal(
        &self,
        app: &App,
        identity: &Identity,
        named: Option<OrganizationId>,
    ) -> Result<Principal, Problem> {
        if matches!(identity.actor, Actor::Key { .. }) {
            return self.keys.principal(identity, named).await;
        }
        let mut tx = app.db.system(SystemTask::Authenticate).await?;
        let memberships = store::memberships(&mut tx, identity.user).await?;
        let membership = match named {
            Some(named) => memberships.iter().find(|membership| membership.organization_id == named),
            None if memberships.len() > 1 => {
                return Err(Problem::new(
                    Code::OrganizationRequired,
                    "You belong to several organizations: name one in the header Entrepot-Organization.",
                ));
            }
            None => memberships.first(),
        };
        // The same answer for an organization that is not there and for one that is not theirs.
        let membership = membership.ok_or_else(Problem::not_found)?;
        if step_up::is_required(membership.second_factor_required_of.as_deref(), &membership.role) {
            step_up::at_the_door(&mut tx, identity, app.clock.now()).await?;
        }
        tx.rollback().await?;
        let rights = grants::model::rights(&membership.role, &membership.grants, app.clock.now())?;
        let standing = membership.subscription(app.clock.now())?.status.standing(membership.is_seat_paused);
        Ok(Principal::authenticated(identity.actor, membership.organization_id, rights, standing))
    }
}

pub(crate) fn ended() -> Problem {
    Problem::new(Code::Unauthenticated, "The session has ended. Sign in again.")
}

async fn session(app: &App, token: &str) -> Result<Identity, Problem> {
    let mut tx = app.db.system(SystemTask::Authenticate).await?;
    let now = app.clock.now();
    let row = store::session_by_token(&mut tx, &model::hash(token), now).await?;
    match &row {
        Some(row) if row.last_seen_at + SEEN_EVERY <= now => {
            store::note_seen(&mut tx, row.id, now).await?;
            tx.commit().await?;
        }
        _ => tx.rollback().await?,
    }
    let row = row.ok_or_else(ended)?;
    let actor = Actor::Person { user: row.user_id, session: row.id };
    Ok(Identity { actor, user: row.user_id, organization: None })
}

pub(crate) fn unauthenticated() -> Problem {
    Problem::new(
        Code::Unauthenticated,
        "Send a session, an API key or a token of a configured issuer as Authorization: Bearer, or sign in.",
    )
}

/// # Errors
/// When there is an `Authorization` header of another kind: ignoring it would fall back to a cookie unasked.
pub(crate) fn bearer(headers: &HeaderMap) -> Result<Option<&str>, Problem> {
    let Some(value) = headers.get(header::AUTHORIZATION) else { return Ok(None) };
    let text = value.to_str().map_err(|_| unauthenticated())?;
    match text.split_once(' ') {
        Some((scheme, token)) if scheme.eq_ignore_ascii_case("bearer") => Ok(Some(token.trim())),
        _ => Err(unauthenticated()),
    }
}

pub(crate) fn cookie(headers: &HeaderMap, name: &str) -> Option<String> {
    headers
        .get_all(header::COOKIE)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(';'))
        .filter_map(|pair| pair.trim().split_once('='))
        .find(|(key, _)| *key == name)
        .map(|(_, value)| value.to_owned())
}

fn is_safe(method: &Method) -> bool {
    matches!(*method, Method::GET | Method::HEAD | Method::OPTIONS)
}

/// A cookie travels with requests that other sites make; the origin and a token that they cannot read do not.
fn refuse_foreign_pages(app: &App, parts: &Parts, session: SessionId) -> Result<(), Problem> {
    let refuse = |detail: &'static str| Err(Problem::new(Code::CsrfRefused, detail));
    let origin = parts.headers.get(header::ORIGIN).map(|value| value.to_str().unwrap_or("null"));
    if origin.is_some_and(|origin| origin != app.config.public_url.origin().ascii_serialization()) {
        return refuse("The request comes from another site.");
    }
    let given = parts.headers.get("x-csrf-token").and_then(|value| value.to_str().ok()).unwrap_or_default();
    if !model::csrf_matches(&app.keyring.derive("csrf"), session, given) {
        return refuse("Send the csrf_token of GET /api/me as X-CSRF-Token, or use the session as Bearer.");
    }
    Ok(())
}
