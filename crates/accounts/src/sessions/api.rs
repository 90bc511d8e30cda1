use std::convert::Infallible;

use axum::{
    Json as Body,
    extract::{FromRequestParts, State},
    http::{HeaderMap, HeaderValue, StatusCode, header, request::Parts},
    response::{IntoResponse, Response},
};
use chrono::{DateTime, Utc};
use db::SystemTask;
use kernel::{Actor, ConnectionId, Secret, SessionId, Standing};
use kit::{
    App, Code, Problem, Public, Reproved, Router, SignedIn,
    input::{self, Json, Path},
    network::Network,
    route,
};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use uuid::Uuid;

use super::{
    LoggedIn, Opened, Visitor,
    model::{self, NewUser},
    store, throttle,
};
use crate::authentication::cookie;
use crate::factors::{
    Caller,
    api::{PendingLoginView, caller as person, pending},
};
use crate::grants::{self, api::spelled};
use crate::words::{MemberRole, ProofMethod, SubscriptionPlan, SubscriptionStatus};

pub fn routes() -> Router {
    Router::new()
        .routes(route!(sign_up))
        .routes(route!(log_in))
        .routes(route!(log_out))
        .routes(route!(me))
        .routes(route!(change_password))
        .routes(route!(list))
        .routes(route!(end))
        .routes(route!(end_others))
}

/// Who stands at the door.
pub(crate) struct Visit(pub(crate) Visitor);

impl FromRequestParts<App> for Visit {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, Infallible> {
        let user_agent = parts.headers.get(header::USER_AGENT).and_then(|value| value.to_str().ok());
        Ok(Self(Visitor {
            device: user_agent.map(model::device),
            known_as: cookie(&parts.headers, model::device_cookie_name(app.config.is_https())).map(Secret::new),
            network: app.config.trusted_proxies.address(parts).and_then(Network::of),
        }))
    }
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct SignUp {
    /// Your name.
    #[schema(min_length = 1, max_length = 200)]
    name: String,
    #[schema(format = "email", max_length = 254)]
    email: String,
    /// At least ten characters.
    #[schema(value_type = String, min_length = 10, max_length = 200, format = "password")]
    password: Secret,
    /// The name of your organization; you become its owner.
    #[schema(min_length = 1, max_length = 200)]
    organization_name: String,
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct LogIn {
    #[schema(max_length = 254)]
    email: String,
    #[schema(value_type = String, max_length = 200, format = "password")]
    password: Secret,
}

/// A session, shown once.
#[derive(Serialize, ToSchema)]
pub(crate) struct OpenedSession {
    user_id: Uuid,
    /// The organization that signing up made; null after signing in.
    organization_id: Option<Uuid>,
    /// For programs of yours, as `Authorization: Bearer`. Browsers have it in a cookie.
    session_token: String,
    /// Browsers send it back as `X-CSRF-Token` with everything that changes something.
    csrf_token: String,
    expires_at: DateTime<Utc>,
}

/// Make a user with an organization
#[utoipa::path(post, path = "/api/sign-up", tag = "sessions", request_body = SignUp, responses(
    (status = 201, description = "Signed up and signed in", body = OpenedSession),
    (status = 409, description = "The e-mail has an account, whose owner is told by mail"),
    (status = 429, description = "Too many e-mails that have accounts: wait as long as Retry-After says"),
))]
async fn sign_up(
    _: Public,
    State(app): State<App>,
    Visit(visitor): Visit,
    Json(form): Json<SignUp>,
) -> Result<Response, Problem> {
    let name = input::text("/name", &form.name, 200)?;
    let organization_name = input::text("/organization_name", &form.organization_name, 200)?;
    let email = super::address("/email", &form.email)?;
    super::refuse_weak(&form.password, &email)?;
    let new = NewUser { name, email, password: form.password, organization_name };
    let signed_up = super::sign_up(&app, new, &visitor).await?;
    opened(&app, StatusCode::CREATED, &signed_up.opened, Some(signed_up.organization.uuid()))
}

/// Sign in
#[utoipa::path(post, path = "/api/login", tag = "sessions", request_body = LogIn, responses(
    (status = 200, description = "Signed in", body = OpenedSession),
    (status = 202, description = "The password is right, and there is a second factor to show: POST /api/login/second-factor", body = PendingLoginView),
    (status = 401, description = "E-mail or password is wrong"),
    (status = 429, description = "Too many attempts: wait as long as Retry-After says"),
))]
async fn log_in(
    _: Public,
    State(app): State<App>,
    Visit(visitor): Visit,
    Json(form): Json<LogIn>,
) -> Result<Response, Problem> {
    let email = form.email.trim().to_lowercase();
    // Nobody can have signed up with these, and the database could not even be asked about some of them.
    if form.password.expose().len() > 1_000 || !model::is_address(&email) {
        return Err(Problem::new(Code::InvalidCredentials, "Check both and try again."));
    }
    match super::log_in(&app, &email, &form.password, &visitor).await? {
        LoggedIn::Opened(session) => opened(&app, StatusCode::OK, &session, None),
        LoggedIn::SecondStep(login) => Ok(pending(login)),
    }
}

/// Sign out
#[utoipa::path(post, path = "/api/logout", tag = "sessions", responses((status = 204, description = "The session has ended")))]
async fn log_out(caller: SignedIn, State(app): State<App>) -> Result<Response, Problem> {
    if let Actor::Person { session, .. } = caller.identity.actor {
        super::log_out(&app, session).await?;
    }
    let mut headers = HeaderMap::new();
    set(&mut headers, &model::clear_cookie(app.config.is_https()))?;
    Ok((StatusCode::NO_CONTENT, headers).into_response())
}

#[derive(Serialize, ToSchema)]
struct Me {
    user: Profile,
    organizations: Vec<Membership>,
    /// For `X-CSRF-Token`.
    csrf_token: String,
}

#[derive(Serialize, ToSchema)]
struct Profile {
    id: Uuid,
    email: String,
    /// Whether a link that was mailed to the address came back.
    email_verified: bool,
    name: String,
}

#[derive(Serialize, ToSchema)]
struct Membership {
    id: Uuid,
    name: String,
    slug: String,
    #[schema(value_type = MemberRole)]
    role: String,
    #[schema(value_type = SubscriptionStatus)]
    subscription_status: &'static str,
    #[schema(value_type = SubscriptionPlan)]
    subscription_plan: &'static str,
    /// You can read and change nothing, since the subscription is inactive or cancelled, or your seat is beyond the plan.
    is_read_only: bool,
    /// What you may do there now, by your role and by what was allowed and denied to you: `resource:action`.
    permissions: Vec<String>,
    /// The connections at which you may do something else.
    at_connections: Vec<RightsAtConnection>,
}

/// What you may do at one connection, in place of what you may do at the others.
#[derive(Serialize, ToSchema)]
struct RightsAtConnection {
    connection_id: Uuid,
    permissions: Vec<String>,
}

/// You, your organizations, and what you may do in them
#[utoipa::path(get, path = "/api/me", tag = "sessions", responses((status = 200, description = "You", body = Me)))]
async fn me(caller: SignedIn, State(app): State<App>) -> Result<Body<Me>, Problem> {
    let Actor::Person { session, user } = caller.identity.actor else { return Err(Problem::not_found()) };
    let mut tx = app.db.system(SystemTask::Authenticate).await?;
    let profile = store::profile(&mut tx, user).await?;
    let memberships = store::memberships(&mut tx, user).await?;
    tx.rollback().await?;
    let organizations = memberships.into_iter().map(|row| {
        let rights = grants::model::rights(&row.role, &row.grants, app.clock.now())?;
        let subscription = row.subscription(app.clock.now())?;
        let at_connection = |(connection, permissions): (ConnectionId, _)| RightsAtConnection {
            connection_id: connection.uuid(),
            permissions: spelled(permissions),
        };
        Ok(Membership {
            id: row.organization_id.uuid(),
            permissions: spelled(rights.everywhere()),
            at_connections: rights.exceptions().map(at_connection).collect(),
            name: row.name,
            slug: row.slug,
            role: row.role,
            subscription_status: subscription.status.as_str(),
            subscription_plan: subscription.plan.as_str(),
            is_read_only: subscription.status.standing(row.is_seat_paused) != Standing::Writable,
        })
    });
    Ok(Body(Me {
        user: Profile {
            id: user.uuid(),
            email: profile.email,
            email_verified: profile.is_verified,
            name: profile.name,
        },
        organizations: organizations.collect::<Result<_, Problem>>()?,
        csrf_token: model::csrf_token(&app.keyring.derive("csrf"), session),
    }))
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct ChangePassword {
    /// At least ten characters.
    #[schema(value_type = String, min_length = 10, max_length = 200, format = "password")]
    password: Secret,
}

/// Choose another password
#[utoipa::path(put, path = "/api/me/password", tag = "sessions", request_body = ChangePassword,
    responses((status = 204, description = "It is changed; you are signed out everywhere else")))]
async fn change_password(
    caller: Reproved<SignedIn>,
    State(app): State<App>,
    Json(form): Json<ChangePassword>,
) -> Result<StatusCode, Problem> {
    let Caller { user, session } = person(&caller)?;
    super::change_password(&app, user, session, &form.password).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// A session of yours.
#[derive(Serialize, ToSchema)]
struct SessionView {
    id: Uuid,
    /// The browser and its system; null for sessions from before it was kept.
    device: Option<String>,
    /// Whether it is the one that asks.
    is_current: bool,
    created_at: DateTime<Utc>,
    /// To within ten minutes.
    last_seen_at: DateTime<Utc>,
    /// When you last proved in it who you are, and by what. Null for tokens of an issuer until you do: they prove nothing here.
    proved_at: Option<DateTime<Utc>>,
    #[schema(value_type = Option<ProofMethod>)]
    proved_by: Option<String>,
    expires_at: DateTime<Utc>,
}

#[derive(Serialize, ToSchema)]
struct SessionList {
    data: Vec<SessionView>,
}

/// Your sessions, the last used first
#[utoipa::path(get, path = "/api/sessions", tag = "sessions",
    responses((status = 200, description = "Where you are signed in", body = SessionList)))]
async fn list(caller: SignedIn, State(app): State<App>) -> Result<Body<SessionList>, Problem> {
    let Actor::Person { session, user } = caller.identity.actor else { return Err(Problem::not_found()) };
    let mut tx = app.db.system(SystemTask::Authenticate).await?;
    let rows = store::sessions_of(&mut tx, user, app.clock.now()).await?;
    tx.rollback().await?;
    let data = rows.into_iter().map(|row| SessionView {
        id: row.id.uuid(),
        device: row.device,
        is_current: row.id == session,
        created_at: row.created_at,
        last_seen_at: row.last_seen_at,
        proved_at: row.proved_at,
        proved_by: row.proved_by,
        expires_at: row.expires_at,
    });
    Ok(Body(SessionList { data: data.collect() }))
}

/// End one of your sessions
#[utoipa::path(delete, path = "/api/sessions/{id}", tag = "sessions", params(("id" = Uuid, Path)),
    responses((status = 204, description = "The session has ended, on every node within a second")))]
async fn end(caller: SignedIn, State(app): State<App>, Path(id): Path<SessionId>) -> Result<StatusCode, Problem> {
    super::end(&app, caller.identity.user, id).await?;
    Ok(StatusCode::NO_CONTENT)
}

#[derive(Serialize, ToSchema)]
struct EndedSessions {
    /// How many there were.
    ended: u64,
}

/// End all your sessions but this one
#[utoipa::path(post, path = "/api/sessions/end-others", tag = "sessions",
    responses((status = 200, description = "You are signed in here only", body = EndedSessions)))]
async fn end_others(caller: SignedIn, State(app): State<App>) -> Result<Body<EndedSessions>, Problem> {
    let Actor::Person { session, user } = caller.identity.actor else { return Err(Problem::not_found()) };
    Ok(Body(EndedSessions { ended: super::end_others(&app, user, session).await? }))
}

pub(crate) fn opened(
    app: &App,
    status: StatusCode,
    opened: &Opened,
    organization_id: Option<Uuid>,
) -> Result<Response, Problem> {
    let Opened { session, token, device } = opened;
    let is_https = app.config.is_https();
    let mut headers = HeaderMap::new();
    let max_age = session.expires_at - app.clock.now();
    set(&mut headers, &model::set_cookie(is_https, model::cookie_name(is_https), token, max_age))?;
    remember(app, &mut headers, device)?;
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    let body = OpenedSession {
        user_id: session.user.uuid(),
        organization_id,
        session_token: token.expose().to_owned(),
        csrf_token: model::csrf_token(&app.keyring.derive("csrf"), session.id),
        expires_at: session.expires_at,
    };
    Ok((status, headers, Body(body)).into_response())
}

/// Lets the browser be known when it comes back.
pub(crate) fn remember(app: &App, headers: &mut HeaderMap, device: &Secret) -> Result<(), Problem> {
    let is_https = app.config.is_https();
    let name = model::device_cookie_name(is_https);
    set(headers, &model::set_cookie(is_https, name, device, throttle::DEVICE_KNOWN_FOR))
}

fn set(headers: &mut HeaderMap, cookie: &str) -> Result<(), Problem> {
    let mut value = HeaderValue::from_str(cookie).map_err(|error| Problem::internal(&error))?;
    value.set_sensitive(true);
    headers.append(header::SET_COOKIE, value);
    Ok(())
}
