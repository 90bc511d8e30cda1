use axum::extract::State;
use axum::{
    Json as Body,
    http::{HeaderMap, HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use chrono::{DateTime, Utc};
use db::SystemTask;
use kernel::{Actor, Role, Secret};
use kit::{
    App, Code, Problem, Public, Router, SignedIn,
    input::{self, Json},
    route,
};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use uuid::Uuid;

use super::{
    model::{self, NewUser, Session},
    store,
};
use crate::words::{SubscriptionPlan, SubscriptionStatus};

pub fn routes() -> Router {
    Router::new().routes(route!(sign_up)).routes(route!(log_in)).routes(route!(log_out)).routes(route!(me))
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
struct OpenedSession {
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
    (status = 409, description = "The e-mail has an account"),
))]
async fn sign_up(_: Public, State(app): State<App>, Json(form): Json<SignUp>) -> Result<Response, Problem> {
    let name = input::text("/name", &form.name, 200)?;
    let organization_name = input::text("/organization_name", &form.organization_name, 200)?;
    let email = form.email.trim().to_lowercase();
    if !model::is_address(&email) {
        return Err(Problem::invalid("/email", "is not an e-mail address"));
    }
    let length = form.password.expose().chars().count();
    if !(10..=200).contains(&length) || form.password.expose().to_lowercase() == email {
        return Err(Problem::invalid("/password", "must have 10 to 200 characters and not be the e-mail"));
    }
    let signed_up = super::sign_up(&app, NewUser { name, email, password: form.password, organization_name }).await?;
    opened(&app, StatusCode::CREATED, signed_up.session, &signed_up.token, Some(signed_up.organization.uuid()))
}

/// Sign in
#[utoipa::path(post, path = "/api/login", tag = "sessions", request_body = LogIn, responses(
    (status = 200, description = "Signed in", body = OpenedSession),
    (status = 401, description = "E-mail or password is wrong"),
))]
async fn log_in(_: Public, State(app): State<App>, Json(form): Json<LogIn>) -> Result<Response, Problem> {
    let email = form.email.trim().to_lowercase();
    // Nobody can have signed up with these, and the database could not even be asked about some of them.
    if form.password.expose().len() > 1_000 || !model::is_address(&email) {
        return Err(Problem::new(Code::InvalidCredentials, "Check both and try again."));
    }
    let (session, token) = super::log_in(&app, &email, &form.password).await?;
    opened(&app, StatusCode::OK, session, &token, None)
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
    name: String,
}

kit::vocabulary! {
    /// A member's role in an organization.
    MemberRole = Role::ALL.iter().map(|role| role.as_str());
}

#[derive(Serialize, ToSchema)]
struct Membership {
    id: Uuid,
    name: String,
    slug: String,
    #[schema(value_type = MemberRole)]
    role: String,
    #[schema(value_type = SubscriptionStatus)]
    subscription_status: String,
    #[schema(value_type = SubscriptionPlan)]
    subscription_plan: String,
    /// What you may do there now: `resource:action`.
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
    let organizations = memberships.into_iter().map(|row| Membership {
        id: row.organization_id.uuid(),
        permissions: row
            .role
            .parse::<Role>()
            .map(|role| role.permissions().iter().map(|(resource, action)| format!("{resource}:{action}")).collect())
            .unwrap_or_default(),
        name: row.name,
        slug: row.slug,
        role: row.role,
        subscription_status: row.subscription_status,
        subscription_plan: row.subscription_plan,
    });
    Ok(Body(Me {
        user: Profile { id: user.uuid(), email: profile.email, name: profile.name },
        organizations: organizations.collect(),
        csrf_token: model::csrf_token(&app.keyring.derive("csrf"), session),
    }))
}

fn opened(
    app: &App,
    status: StatusCode,
    session: Session,
    token: &Secret,
    organization_id: Option<Uuid>,
) -> Result<Response, Problem> {
    let mut headers = HeaderMap::new();
    set(&mut headers, &model::set_cookie(app.config.is_https(), token, session.expires_at - app.clock.now()))?;
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

fn set(headers: &mut HeaderMap, cookie: &str) -> Result<(), Problem> {
    let mut value = HeaderValue::from_str(cookie).map_err(|error| Problem::internal(&error))?;
    value.set_sensitive(true);
    headers.append(header::SET_COOKIE, value);
    Ok(())
}
