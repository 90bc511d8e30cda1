//! Who may call a handler, as its first argument. A handler that does not take one does not compile into a [`route`].
//!
//! [`route`]: crate::route

use std::{marker::PhantomData, sync::Arc};

use axum::{extract::FromRequestParts, http::request::Parts};
use kernel::{Actor, ConnectionId, OrganizationId, Permission, TenantScope};

use crate::{App, Code, Problem, app::Identity};

/// The header that names the organization.
pub const ORGANIZATION_HEADER: &str = "entrepot-organization";

/// A caller who may do `P`, and the scope to do it in.
pub struct Authorized<P: Permission> {
    pub scope: TenantScope,
    /// The stores that the caller's key is limited to; None is all of the organization's.
    pub stores: Option<Arc<[ConnectionId]>>,
    permission: PhantomData<P>,
}

impl<P: Permission> Authorized<P> {
    pub fn organization(&self) -> OrganizationId {
        self.scope.organization()
    }

    pub fn actor(&self) -> Actor {
        self.scope.actor()
    }

    /// Whether the caller's key reaches this store. One that it does not reach is as unknown as a foreign one.
    pub fn reaches(&self, store: ConnectionId) -> bool {
        self.stores.as_ref().is_none_or(|stores| stores.contains(&store))
    }
}

impl<P: Permission> FromRequestParts<App> for Authorized<P> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, Problem> {
        let identity = app.authenticate.identify(app, parts).await?;
        let organization = named_organization(parts)?;
        let principal = app.authenticate.principal(app, &identity, organization).await?;
        let scope = principal.allow::<P>()?;
        Ok(Self { scope, stores: identity.stores, permission: PhantomData })
    }
}

/// A person with a session, whatever their organizations.
pub struct SignedIn {
    pub identity: Identity,
    /// The organization that the request names, if any.
    pub organization: Option<OrganizationId>,
}

impl FromRequestParts<App> for SignedIn {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, Problem> {
        let identity = app.authenticate.identify(app, parts).await?;
        if !matches!(identity.actor, Actor::Person { .. }) {
            return Err(Problem::new(Code::Forbidden, "This is for people with a session, not for API keys."));
        }
        Ok(Self { identity, organization: named_organization(parts)? })
    }
}

/// Anybody. Each use is listed in the isolation test, with its reason.
pub struct Public;

impl FromRequestParts<App> for Public {
    type Rejection = Problem;

    async fn from_request_parts(_: &mut Parts, _: &App) -> Result<Self, Problem> {
        Ok(Self)
    }
}

fn named_organization(parts: &Parts) -> Result<Option<OrganizationId>, Problem> {
    let Some(value) = parts.headers.get(ORGANIZATION_HEADER) else { return Ok(None) };
    value
        .to_str()
        .ok()
        .and_then(|text| text.parse().ok())
        .map(Some)
        .ok_or_else(|| Problem::invalid("Entrepot-Organization", "must be the id of an organization"))
}

/// A caller who asks for `P`, whether or not they may: for handlers that write down refusals too.
pub enum Attempted<P: Permission> {
    Authorized(Authorized<P>),
    Refused { actor: Actor, organization: OrganizationId, problem: Problem },
}

impl<P: Permission> FromRequestParts<App> for Attempted<P> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, Problem> {
        let identity = app.authenticate.identify(app, parts).await?;
        let organization = named_organization(parts)?;
        let principal = app.authenticate.principal(app, &identity, organization).await?;
        Ok(match principal.allow::<P>() {
            Ok(scope) => Self::Authorized(Authorized { scope, stores: identity.stores, permission: PhantomData }),
            Err(denied) => Self::Refused {
                actor: principal.actor(),
                organization: principal.organization(),
                problem: denied.into(),
            },
        })
    }
}
