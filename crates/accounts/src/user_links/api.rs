use axum::{
    extract::State,
    http::{HeaderMap, StatusCode},
    response::{IntoResponse, Response},
};
use kernel::Secret;
use kit::{App, Problem, Public, Router, SignedIn, input::Json, route};
use serde::Deserialize;
use utoipa::ToSchema;

use crate::sessions::{self, api::Visit};

pub fn routes() -> Router {
    Router::new().routes(route!(resend)).routes(route!(verify)).routes(route!(request_reset)).routes(route!(reset))
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct VerificationToken {
    /// What stands behind `#verify=` in the link.
    #[schema(value_type = String, max_length = 200)]
    token: Secret,
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct AskReset {
    #[schema(format = "email", max_length = 254)]
    email: String,
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct NewPassword {
    /// What stands behind `#reset=` in the link.
    #[schema(value_type = String, max_length = 200)]
    token: Secret,
    /// At least ten characters.
    #[schema(value_type = String, min_length = 10, max_length = 200, format = "password")]
    password: Secret,
}

/// Have the mail that confirms your address sent again
#[utoipa::path(post, path = "/api/email-verification", tag = "sessions", responses(
    (status = 202, description = "It is on its way; the link before works no longer"),
    (status = 409, description = "Your address is confirmed"),
    (status = 429, description = "It was sent a moment ago"),
))]
async fn resend(caller: SignedIn, State(app): State<App>) -> Result<StatusCode, Problem> {
    super::resend_verification(&app, caller.identity.user).await?;
    Ok(StatusCode::ACCEPTED)
}

/// Confirm an address by the link that was mailed to it
#[utoipa::path(post, path = "/api/email-verification/confirm", tag = "sessions", request_body = VerificationToken, responses(
    (status = 204, description = "The address is confirmed"),
    (status = 410, description = "The link no longer works"),
))]
async fn verify(_: Public, State(app): State<App>, Json(form): Json<VerificationToken>) -> Result<StatusCode, Problem> {
    super::verify(&app, &form.token).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Ask for a new password
#[utoipa::path(post, path = "/api/password-reset", tag = "sessions", request_body = AskReset,
    responses((status = 202, description = "If the address has an account, a link is on its way to it")))]
async fn request_reset(
    _: Public,
    State(app): State<App>,
    Visit(visitor): Visit,
    Json(form): Json<AskReset>,
) -> Result<StatusCode, Problem> {
    let email = sessions::address("/email", &form.email)?;
    super::request_reset(&app, &email, &visitor).await?;
    Ok(StatusCode::ACCEPTED)
}

/// Choose a new password by the link that was mailed
#[utoipa::path(post, path = "/api/password-reset/confirm", tag = "sessions", request_body = NewPassword, responses(
    (status = 204, description = "The password is set, and all sessions have ended"),
    (status = 410, description = "The link no longer works"),
))]
async fn reset(_: Public, State(app): State<App>, Json(form): Json<NewPassword>) -> Result<Response, Problem> {
    let device = super::reset(&app, &form.token, &form.password).await?;
    let mut headers = HeaderMap::new();
    sessions::api::remember(&app, &mut headers, &device)?;
    Ok((StatusCode::NO_CONTENT, headers).into_response())
}
