//! Who may call a handler, as its first argument. A handler that does not take one does not compile into a [`route`].
//!
//! [`route`]: crate::route

use std::{marker::PhantomData, ops::Deref};

use axum::{extract::FromRequestParts, http::request::Parts};
use kernel::{
    Actor, ApiKeyId, ConnectionId, OrganizationId, Permission, Principal, Reach, TenantScope,
    permission::is_at_connections, scope::Refused,
};

use crate::{
    App, Code, Problem,
    app::{Identity, StepUp},
    input::Path,
    rate_limit, request_id,
};

/// The header that names the organization.
pub const ORGANIZATION_HEADER: &str = "entrepot-organization";

/// Who calls. A key's request is taken from its minute.
async fn identify(parts: &Parts, app: &App) -> Result<Identity, Problem> {
    let identity = app.authenticate.identify(app, parts).await?;
    if let (Actor::Key { key, .. }, Some(organization)) = (identity.actor, identity.organization) {
        rate_limit::count(app, parts, organization, key).await?;
    }
    Ok(identity)
}

async fn principal(parts: &Parts, app: &App, identity: &Identity) -> Result<Principal, Problem> {
    let principal = app.authenticate.principal(app, identity, named_organization(parts)?).await?;
    request_id::is_of(principal.organization());
    Ok(principal)
}

/// Fails to compile for what can be granted or denied for one connection.
const fn asked_of_the_organization<P: Permission>() {
    assert!(
        !is_at_connections(P::RESOURCE, P::ACTION),
        "this may be granted or denied for one connection: take AtConnection or AcrossConnections"
    );
}

/// A caller who may do `P` in the organization as a whole, and the scope to do it in. What is asked for at connections
/// does not compile here: [`AtConnection`] and [`AcrossConnections`] ask for it where it is meant.
pub struct Authorized<P: Permission> {
    pub scope: TenantScope,
    permission: PhantomData<P>,
}

impl<P: Permission> Authorized<P> {
    pub fn organization(&self) -> OrganizationId {
        self.scope.organization()
    }

    pub fn actor(&self) -> Actor {
        self.scope.actor()
    }
}

impl<P: Permission> FromRequestParts<App> for Authorized<P> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, Problem> {
        const { asked_of_the_organization::<P>() }
        let identity = identify(parts, app).await?;
        let scope = principal(parts, app, &identity).await?.allow::<P>()?;
        Ok(Self { scope, permission: PhantomData })
    }
}

/// A caller who may do `P` to the connection that `{id}` in the path names. The only way to such an id, so that no handler
/// forgets to ask; whether the connection exists is for the handler's own query to say.
pub struct AtConnection<P: Permission> {
    pub scope: TenantScope,
    pub id: ConnectionId,
    permission: PhantomData<P>,
}

impl<P: Permission> AtConnection<P> {
    pub fn organization(&self) -> OrganizationId {
        self.scope.organization()
    }

    pub fn actor(&self) -> Actor {
        self.scope.actor()
    }
}

impl<P: Permission> FromRequestParts<App> for AtConnection<P> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, Problem> {
        let caller = AcrossConnections::<P>::from_request_parts(parts, app).await?;
        let Path(id) = Path::<ConnectionId>::from_request_parts(parts, app).await?;
        Ok(Self { scope: caller.at(id)?, id, permission: PhantomData })
    }
}

/// A caller who may do `P` at some connections: for lists of them, and for those that a query or a body names.
pub struct AcrossConnections<P: Permission> {
    identity: Identity,
    principal: Principal,
    scope: TenantScope,
    reach: Reach,
    permission: PhantomData<P>,
}

impl<P: Permission> AcrossConnections<P> {
    fn of(identity: Identity, principal: Principal) -> Result<Self, Refused> {
        let (scope, reach) = principal.allow_across::<P>()?;
        Ok(Self { identity, principal, scope, reach, permission: PhantomData })
    }

    pub fn organization(&self) -> OrganizationId {
        self.principal.organization()
    }

    pub fn actor(&self) -> Actor {
        self.principal.actor()
    }

    /// The scope to look at all of them in, and where they may do it, which a list is to be narrowed by.
    pub fn across(&self) -> (&TenantScope, &Reach) {
        (&self.scope, &self.reach)
    }

    /// The scope to do it in at this connection.
    ///
    /// # Errors
    /// [`Code::NotFound`] for one that is hidden from the caller, [`Code::Forbidden`] for one at which they may not.
    pub fn at(&self, connection: ConnectionId) -> Result<TenantScope, Problem> {
        Ok(self.principal.allow_at::<P>(connection)?)
    }

    /// The same, asked again: for an answer that took a while. Of a key it is known from memory while this node hears of changes.
    ///
    /// # Errors
    /// As if the request came in now.
    pub async fn still_at(&self, app: &App, connection: ConnectionId) -> Result<TenantScope, Problem> {
        let principal = app.authenticate.again(app, &self.identity, self.organization()).await?;
        Ok(principal.allow_at::<P>(connection)?)
    }
}

impl<P: Permission> FromRequestParts<App> for AcrossConnections<P> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, Problem> {
        let identity = identify(parts, app).await?;
        let principal = principal(parts, app, &identity).await?;
        Ok(Self::of(identity, principal)?)
    }
}

/// A caller who may do `P`, for an answer that goes on for long: what they may do can be asked again while it does.
///
/// Links and event sources of browsers send no headers of their own, so the organization may also be named as `?organization=`.
pub struct Lasting<P: Permission> {
    /// As it was when the request came in.
    pub scope: TenantScope,
    /// Who holds the places that long answers take: a session or a key.
    pub actor: Actor,
    parts: Parts,
    permission: PhantomData<P>,
}

impl<P: Permission> Lasting<P> {
    /// The scope, if the caller is still known by what they presented, and still may do `P` in the same organization.
    ///
    /// # Errors
    /// As if the request came in now.
    pub async fn again(&self, app: &App) -> Result<TenantScope, Problem> {
        let identity = app.authenticate.identify(app, &self.parts).await?;
        let organization = Some(self.scope.organization());
        Ok(app.authenticate.principal(app, &identity, organization).await?.allow::<P>()?)
    }
}

impl<P: Permission> FromRequestParts<App> for Lasting<P> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, Problem> {
        const { asked_of_the_organization::<P>() }
        let identity = identify(parts, app).await?;
        let named = match named_organization(parts)? {
            Some(named) => Some(named),
            None => organization_of_query(parts)?,
        };
        let principal = app.authenticate.principal(app, &identity, named).await?;
        request_id::is_of(principal.organization());
        let scope = principal.allow::<P>()?;
        let mut parts = parts.clone();
        parts.extensions.clear();
        Ok(Self { scope, actor: identity.actor, parts, permission: PhantomData })
    }
}

fn organization_of_query(parts: &Parts) -> Result<Option<OrganizationId>, Problem> {
    let query = parts.uri.query().unwrap_or_default();
    let named = url::form_urlencoded::parse(query.as_bytes()).find(|(name, _)| name == "organization");
    let invalid = |_| Problem::invalid("organization", "must be the id of an organization");
    named.map(|(_, id)| id.parse().map_err(invalid)).transpose()
}

/// A person with a session, whatever their organizations.
pub struct SignedIn {
    pub identity: Identity,
}

impl FromRequestParts<App> for SignedIn {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, Problem> {
        let identity = identify(parts, app).await?;
        if !matches!(identity.actor, Actor::Person { .. }) {
            return Err(Problem::new(Code::Forbidden, "This is for people with a session, not for API keys."));
        }
        Ok(Self { identity })
    }
}

/// A caller who acts, for those who ask more of them.
pub trait Acting {
    fn actor(&self) -> Actor;
}

impl<P: Permission> Acting for Authorized<P> {
    fn actor(&self) -> Actor {
        self.scope.actor()
    }
}

impl<P: Permission> Acting for AtConnection<P> {
    fn actor(&self) -> Actor {
        self.scope.actor()
    }
}

impl Acting for SignedIn {
    fn actor(&self) -> Actor {
        self.identity.actor
    }
}

macro_rules! stepped_up {
    ($($(#[$doc:meta])* $name:ident = $step_up:ident;)+) => {$(
        $(#[$doc])*
        pub struct $name<C>(C);

        impl<C> $name<C> {
            pub const STEP_UP: StepUp = StepUp::$step_up;

            /// The caller, of whom nothing more is asked.
            pub fn into_inner(self) -> C {
                self.0
            }
        }

        impl<C> Deref for $name<C> {
            type Target = C;
            fn deref(&self) -> &C {
                &self.0
            }
        }

        impl<C: Acting + FromRequestParts<App, Rejection = Problem> + Send> FromRequestParts<App> for $name<C> {
            type Rejection = Problem;

            async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, Problem> {
                // Who may not do it anyway is told so, and not sent for a proof.
                let caller = C::from_request_parts(parts, app).await?;
                app.authenticate.has_proved(app, caller.actor(), Self::STEP_UP).await?;
                Ok(Self(caller))
            }
        }
    )+};
}

stepped_up! {
    /// A caller who, where they have a second factor, used it a moment ago: `SteppedUp<Authorized<CreateApiKeys>>`. For what a
    /// stolen session must not do: credentials, keys, and who may what.
    SteppedUp = SecondFactor;
    /// A caller who proved who they are a moment ago, by a second factor or, without one, by their password. For what would
    /// give an account away, or end an organization.
    Reproved = Always;
}

/// A program with an API key, whatever the key may do.
pub struct AnyKey {
    pub key: ApiKeyId,
    pub identity: Identity,
    /// What the key may do now: its scopes ∩ its creator's rights.
    pub principal: Principal,
}

impl FromRequestParts<App> for AnyKey {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, Problem> {
        let identity = identify(parts, app).await?;
        let Actor::Key { key, .. } = identity.actor else {
            return Err(Problem::new(
                Code::InvalidRequest,
                "This tells an API key about itself, and you sent a session. Send the key as Authorization: Bearer; \
                 GET /api/me is about you.",
            ));
        };
        let principal = principal(parts, app, &identity).await?;
        Ok(Self { key, identity, principal })
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

/// A caller who asks for `P` at a connection, whether or not they may: for handlers that write down refusals too. A key that is known and
/// may not be used, since it was revoked, say, is such a caller; who is not known at all is a plain 401. The request is
/// not taken from anybody's minute: the handler takes it (`RateLimit::take_for`), so that it can write down that refusal as
/// well.
pub enum Attempted<P: Permission> {
    Authorized(AcrossConnections<P>),
    Refused { actor: Actor, organization: OrganizationId, problem: Problem },
}

impl<P: Permission> Attempted<P> {
    fn refused(problem: Problem) -> Result<Self, Problem> {
        match problem.refused() {
            Some((actor, organization)) => Ok(Self::Refused { actor, organization, problem }),
            None => Err(problem),
        }
    }
}

impl<P: Permission> FromRequestParts<App> for Attempted<P> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, Problem> {
        let identity = match app.authenticate.identify(app, parts).await {
            Ok(identity) => identity,
            Err(problem) => return Self::refused(problem),
        };
        let principal = match (principal(parts, app, &identity).await, identity.organization) {
            (Ok(principal), _) => principal,
            // A key has its organization, whichever other it names.
            (Err(problem), Some(organization)) => return Self::refused(problem.refusing(identity.actor, organization)),
            (Err(problem), None) => return Err(problem),
        };
        let (actor, organization) = (principal.actor(), principal.organization());
        Ok(match AcrossConnections::of(identity, principal) {
            Ok(caller) => Self::Authorized(caller),
            Err(refused) => Self::Refused { actor, organization, problem: refused.into() },
        })
    }
}
