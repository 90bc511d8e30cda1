use axum::{
    Json as Body,
    extract::State,
    http::StatusCode,
    response::{IntoResponse, Response},
};
use chrono::{DateTime, Utc};
use kernel::{Actor, Secret};
use kit::{
    App, Problem, Public, Reproved, Router, SignedIn,
    input::{self, Json, Path},
    route,
};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::ToSchema;
use uuid::Uuid;

use super::{
    Caller, Method, PasskeyId,
    proof::{self, Assertion, PendingLogin, Presented, Question},
    store::PasskeyRow,
    webauthn::{AssertionResponse, AttestationResponse, RelyingParty},
};
use crate::{
    sessions::{
        self,
        api::{OpenedSession, Visit},
    },
    words::ProofMethod,
};

pub fn routes() -> Router {
    Router::new()
        .routes(route!(list))
        .routes(route!(begin_totp))
        .routes(route!(confirm_totp))
        .routes(route!(remove_totp))
        .routes(route!(make_recovery_codes))
        .routes(route!(begin_passkey))
        .routes(route!(add_passkey))
        .routes(route!(rename_passkey))
        .routes(route!(remove_passkey))
        .routes(route!(finish_login))
        .routes(route!(begin_passkey_login))
        .routes(route!(log_in_with_passkey))
        .routes(route!(begin_passkey_proof))
        .routes(route!(prove))
}

/// # Errors
/// For whoever is no person, which the handler's first argument has refused already.
pub(crate) fn caller(signed_in: &SignedIn) -> Result<Caller, Problem> {
    match signed_in.identity.actor {
        Actor::Person { user, session } => Ok(Caller { user, session }),
        Actor::Key { .. } | Actor::System { .. } => Err(Problem::not_found()),
    }
}

/// What you prove who you are by beside your password.
#[derive(Serialize, ToSchema)]
struct FactorsView {
    /// Since when there is an authenticator app; null when there is none.
    totp_since: Option<DateTime<Utc>>,
    passkeys: Vec<PasskeyView>,
    recovery_codes_left: i64,
    /// Whether passkeys work at the address of this installation.
    passkeys_available: bool,
}

/// A passkey of yours.
#[derive(Serialize, ToSchema)]
struct PasskeyView {
    id: Uuid,
    name: String,
    /// Whether it is kept by a password manager or in a cloud as well, so that a lost device does not take it along.
    is_backed_up: bool,
    created_at: DateTime<Utc>,
    last_used_at: Option<DateTime<Utc>>,
}

fn view(row: PasskeyRow) -> PasskeyView {
    PasskeyView {
        id: row.id,
        name: row.name,
        is_backed_up: row.is_backed_up,
        created_at: row.created_at,
        last_used_at: row.last_used_at,
    }
}

/// Your authenticator app, passkeys and recovery codes
#[utoipa::path(get, path = "/api/factors", tag = "factors",
    responses((status = 200, description = "What you have", body = FactorsView)))]
async fn list(signed_in: SignedIn, State(app): State<App>) -> Result<Body<FactorsView>, Problem> {
    let factors = super::list(&app, caller(&signed_in)?.user).await?;
    Ok(Body(FactorsView {
        totp_since: factors.totp_since,
        passkeys: factors.passkeys.into_iter().map(view).collect(),
        recovery_codes_left: factors.recovery_codes_left,
        passkeys_available: RelyingParty::of(&app).is_some(),
    }))
}

/// An authenticator app that waits for its first code. Shown this once.
#[derive(Serialize, ToSchema)]
struct TotpEnrolment {
    /// To type into the app, where it cannot read the picture: base32.
    secret: String,
    /// What the picture says.
    otpauth_url: String,
    qr_code: QrCodeView,
    expires_at: DateTime<Utc>,
}

/// A picture for the app, as SVG draws it: dark on light.
#[derive(Serialize, ToSchema)]
struct QrCodeView {
    /// For `viewBox`.
    view_box: String,
    /// For `d` of a `path`.
    path: String,
}

/// Begin to set up an authenticator app; one that you have goes on until the new one is confirmed
#[utoipa::path(post, path = "/api/factors/totp", tag = "factors",
    responses((status = 200, description = "What the app is to know", body = TotpEnrolment)))]
async fn begin_totp(signed_in: Reproved<SignedIn>, State(app): State<App>) -> Result<Response, Problem> {
    let enrolment = super::begin_totp(&app, caller(&signed_in)?).await?;
    Ok(unkept(TotpEnrolment {
        secret: enrolment.secret.expose().to_owned(),
        otpauth_url: enrolment.address.expose().to_owned(),
        qr_code: QrCodeView { view_box: enrolment.drawing.view_box, path: enrolment.drawing.path },
        expires_at: enrolment.expires_at,
    }))
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct FirstCode {
    /// What the app shows.
    #[schema(value_type = String, max_length = 20)]
    code: Secret,
}

/// Recovery codes, shown once.
#[derive(Serialize, ToSchema)]
struct RecoveryCodes {
    /// Keep them where you find them without your devices: each signs you in once. Null when those that you have go on.
    recovery_codes: Option<Vec<String>>,
}

fn shown(codes: Option<Vec<Secret>>) -> Option<Vec<String>> {
    codes.map(|codes| codes.iter().map(|code| code.expose().to_owned()).collect())
}

/// What is shown once is kept by no browser and no proxy.
fn unkept<T: Serialize>(body: T) -> Response {
    ([("cache-control", "no-store")], Body(body)).into_response()
}

/// Confirm an authenticator app by its first code
#[utoipa::path(post, path = "/api/factors/totp/confirm", tag = "factors", request_body = FirstCode, responses(
    (status = 200, description = "It counts from now on", body = RecoveryCodes),
    (status = 403, description = "The code is not the app's"),
    (status = 410, description = "No app waits, or it has waited for longer than 15 minutes"),
    (status = 429, description = "Too many codes: wait as long as Retry-After says"),
))]
async fn confirm_totp(
    signed_in: SignedIn,
    State(app): State<App>,
    Json(form): Json<FirstCode>,
) -> Result<Response, Problem> {
    let codes = super::confirm_totp(&app, caller(&signed_in)?, &form.code).await?;
    Ok(unkept(RecoveryCodes { recovery_codes: shown(codes) }))
}

/// Remove your authenticator app
#[utoipa::path(delete, path = "/api/factors/totp", tag = "factors",
    responses((status = 204, description = "Removed; you are signed out everywhere else")))]
async fn remove_totp(signed_in: Reproved<SignedIn>, State(app): State<App>) -> Result<StatusCode, Problem> {
    super::remove_totp(&app, caller(&signed_in)?).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Make new recovery codes
#[utoipa::path(post, path = "/api/factors/recovery-codes", tag = "factors", responses(
    (status = 200, description = "Ten codes; those before work no longer", body = RecoveryCodes),
    (status = 409, description = "You have no second factor"),
))]
async fn make_recovery_codes(signed_in: Reproved<SignedIn>, State(app): State<App>) -> Result<Response, Problem> {
    let codes = super::make_recovery_codes(&app, caller(&signed_in)?).await?;
    Ok(unkept(RecoveryCodes { recovery_codes: shown(Some(codes)) }))
}

/// What a browser is to ask an authenticator.
#[derive(Serialize, ToSchema)]
struct PasskeyQuestion {
    /// To send back with the answer, within five minutes.
    challenge: String,
    /// `publicKey` of `navigator.credentials.create` or `.get`, with bytes as base64url (WebAuthn Level 3, sections 5.4 and 5.5).
    #[schema(value_type = Object)]
    options: Value,
}

impl From<Question> for PasskeyQuestion {
    fn from(question: Question) -> Self {
        Self { challenge: question.challenge.expose().to_owned(), options: question.options }
    }
}

/// Begin to add a passkey
#[utoipa::path(post, path = "/api/factors/passkeys/start", tag = "factors", responses(
    (status = 200, description = "What to ask the authenticator", body = PasskeyQuestion),
    (status = 409, description = "Passkeys do not work at this address, or you have twenty"),
))]
async fn begin_passkey(
    signed_in: Reproved<SignedIn>,
    State(app): State<App>,
) -> Result<Body<PasskeyQuestion>, Problem> {
    Ok(Body(super::begin_passkey(&app, caller(&signed_in)?).await?.into()))
}

/// What `navigator.credentials.create` gave: RegistrationResponseJSON, as far as it is read.
#[derive(Deserialize, ToSchema)]
struct NewCredential {
    response: AttestationResponse,
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct AddPasskey {
    /// That of the question.
    #[schema(value_type = String, max_length = 4_000)]
    challenge: Secret,
    /// What you call it, such as the device that it is on.
    #[schema(min_length = 1, max_length = 100)]
    name: String,
    credential: NewCredential,
}

/// A passkey that was added.
#[derive(Serialize, ToSchema)]
struct AddedPasskey {
    passkey: PasskeyView,
    /// Keep them where you find them without your devices: each signs you in once. Null when those that you have go on.
    recovery_codes: Option<Vec<String>>,
}

/// Add the passkey that the authenticator made
#[utoipa::path(post, path = "/api/factors/passkeys", tag = "factors", request_body = AddPasskey, responses(
    (status = 200, description = "You can sign in with it", body = AddedPasskey),
    (status = 403, description = "It answers something else than was asked"),
    (status = 409, description = "It was added already"),
    (status = 410, description = "The challenge was used, or has run out"),
))]
async fn add_passkey(
    signed_in: SignedIn,
    State(app): State<App>,
    Json(form): Json<AddPasskey>,
) -> Result<Response, Problem> {
    let name = input::text("/name", &form.name, 100)?;
    let response = &form.credential.response;
    let (row, codes) = super::add_passkey(&app, caller(&signed_in)?, &form.challenge, &name, response).await?;
    Ok(unkept(AddedPasskey { passkey: view(row), recovery_codes: shown(codes) }))
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct RenamePasskey {
    #[schema(min_length = 1, max_length = 100)]
    name: String,
}

/// Give a passkey another name
#[utoipa::path(patch, path = "/api/factors/passkeys/{id}", tag = "factors", params(("id" = Uuid, Path)),
    request_body = RenamePasskey, responses((status = 200, description = "The passkey", body = PasskeyView)))]
async fn rename_passkey(
    signed_in: SignedIn,
    State(app): State<App>,
    Path(id): Path<PasskeyId>,
    Json(form): Json<RenamePasskey>,
) -> Result<Body<PasskeyView>, Problem> {
    let name = input::text("/name", &form.name, 100)?;
    Ok(Body(view(super::rename_passkey(&app, caller(&signed_in)?, id, &name).await?)))
}

/// Remove a passkey
#[utoipa::path(delete, path = "/api/factors/passkeys/{id}", tag = "factors", params(("id" = Uuid, Path)),
    responses((status = 204, description = "Removed; you are signed out everywhere else")))]
async fn remove_passkey(
    signed_in: Reproved<SignedIn>,
    State(app): State<App>,
    Path(id): Path<PasskeyId>,
) -> Result<StatusCode, Problem> {
    super::remove_passkey(&app, caller(&signed_in)?, id).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// What `navigator.credentials.get` gave: AuthenticationResponseJSON, as far as it is read.
#[derive(Deserialize, ToSchema)]
struct UsedCredential {
    /// What the authenticator calls the passkey, as base64url.
    #[schema(max_length = 2_000)]
    id: String,
    response: AssertionResponse,
}

/// What a passkey answered.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct PasskeyAnswer {
    /// That of the question. Left out at the second step of signing in, where the pending login is the question.
    #[schema(value_type = Option<String>, max_length = 4_000)]
    challenge: Option<Secret>,
    credential: UsedCredential,
}

impl From<PasskeyAnswer> for Assertion {
    fn from(answer: PasskeyAnswer) -> Self {
        Self { challenge: answer.challenge, credential_id: answer.credential.id, response: answer.credential.response }
    }
}

/// One of its kinds: what you prove yourself by.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct ProofForm {
    /// For who has no second factor.
    #[schema(value_type = Option<String>, max_length = 200, format = "password")]
    password: Option<Secret>,
    /// What your authenticator app shows.
    #[schema(value_type = Option<String>, max_length = 20)]
    totp_code: Option<Secret>,
    #[schema(value_type = Option<String>, max_length = 40)]
    recovery_code: Option<Secret>,
    #[serde(default, deserialize_with = "kit::input::optional_object")]
    passkey: Option<PasskeyAnswer>,
}

impl ProofForm {
    fn presented(self) -> Result<Presented, Problem> {
        match (self.password, self.totp_code, self.recovery_code, self.passkey) {
            (Some(password), None, None, None) if password.expose().len() <= 1_000 => Ok(Presented::Password(password)),
            (None, Some(code), None, None) => Ok(Presented::Totp(code)),
            (None, None, Some(code), None) if code.expose().len() <= 200 => Ok(Presented::RecoveryCode(code)),
            (None, None, None, Some(answer)) => Ok(Presented::Passkey(Box::new(answer.into()))),
            _ => Err(Problem::invalid(
                "/totp_code",
                "give one of password, totp_code, recovery_code and passkey, and only one",
            )),
        }
    }
}

/// A login whose password was right. It is no session: the second step makes one, within five minutes.
#[derive(Serialize, ToSchema)]
pub(crate) struct PendingLoginView {
    /// For the second step.
    pending_login: String,
    /// What you can prove yourself by, the best first.
    #[schema(value_type = Vec<ProofMethod>)]
    factors: Vec<&'static str>,
    /// `publicKey` of `navigator.credentials.get`, with bytes as base64url; null without a passkey.
    #[schema(value_type = Option<Object>)]
    passkey_options: Option<Value>,
    expires_at: DateTime<Utc>,
}

pub(crate) fn pending(login: PendingLogin) -> Response {
    let body = PendingLoginView {
        pending_login: login.token.expose().to_owned(),
        factors: login.methods.into_iter().map(Method::as_str).collect(),
        passkey_options: login.passkey_options,
        expires_at: login.expires_at,
    };
    (StatusCode::ACCEPTED, unkept(body)).into_response()
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct SecondStep {
    /// What the first step answered.
    #[schema(value_type = String, max_length = 4_000)]
    pending_login: Secret,
    #[schema(value_type = Option<String>, max_length = 20)]
    totp_code: Option<Secret>,
    #[schema(value_type = Option<String>, max_length = 40)]
    recovery_code: Option<Secret>,
    #[serde(default, deserialize_with = "kit::input::optional_object")]
    passkey: Option<PasskeyAnswer>,
}

/// The second step of signing in
#[utoipa::path(post, path = "/api/login/second-factor", tag = "sessions", request_body = SecondStep, responses(
    (status = 200, description = "Signed in", body = OpenedSession),
    (status = 403, description = "The factor was not accepted"),
    (status = 410, description = "The login was finished, has run out, or its password was replaced: begin again"),
    (status = 429, description = "Too many attempts: wait as long as Retry-After says"),
))]
async fn finish_login(
    _: Public,
    State(app): State<App>,
    Visit(visitor): Visit,
    Json(form): Json<SecondStep>,
) -> Result<Response, Problem> {
    let SecondStep { pending_login, totp_code, recovery_code, passkey } = form;
    let presented = ProofForm { password: None, totp_code, recovery_code, passkey }.presented()?;
    let opened = proof::finish_login(&app, &pending_login, presented, &visitor).await?;
    sessions::api::opened(&app, StatusCode::OK, &opened, None)
}

/// Begin to sign in with a passkey, without an e-mail
#[utoipa::path(post, path = "/api/login/passkey/start", tag = "sessions", responses(
    (status = 200, description = "What to ask the authenticator", body = PasskeyQuestion),
    (status = 409, description = "Passkeys do not work at this address"),
))]
async fn begin_passkey_login(_: Public, State(app): State<App>) -> Result<Body<PasskeyQuestion>, Problem> {
    Ok(Body(proof::begin_passkey_login(&app)?.into()))
}

/// Sign in with a passkey
#[utoipa::path(post, path = "/api/login/passkey", tag = "sessions", request_body = PasskeyAnswer, responses(
    (status = 200, description = "Signed in", body = OpenedSession),
    (status = 403, description = "The passkey was not accepted"),
    (status = 409, description = "Passkeys do not work at this address"),
    (status = 410, description = "The challenge was used, or has run out"),
))]
async fn log_in_with_passkey(
    _: Public,
    State(app): State<App>,
    Visit(visitor): Visit,
    Json(form): Json<PasskeyAnswer>,
) -> Result<Response, Problem> {
    let opened = proof::log_in_with_passkey(&app, form.into(), &visitor).await?;
    sessions::api::opened(&app, StatusCode::OK, &opened, None)
}

/// Begin to prove by a passkey that it is you
#[utoipa::path(post, path = "/api/sessions/current/proof/passkey", tag = "sessions", responses(
    (status = 200, description = "What to ask the authenticator", body = PasskeyQuestion),
    (status = 409, description = "You have no passkey, or they do not work at this address"),
))]
async fn begin_passkey_proof(signed_in: SignedIn, State(app): State<App>) -> Result<Body<PasskeyQuestion>, Problem> {
    let Caller { user, session } = caller(&signed_in)?;
    Ok(Body(proof::begin_passkey_proof(&app, user, session).await?.into()))
}

/// A proof that it is you.
#[derive(Serialize, ToSchema)]
struct ProofView {
    #[schema(value_type = ProofMethod)]
    proved_by: &'static str,
    proved_at: DateTime<Utc>,
    /// Until then nothing asks for another.
    lasts_until: DateTime<Utc>,
}

/// Prove that it is still you, where an operation asks for it
#[utoipa::path(post, path = "/api/sessions/current/proof", tag = "sessions", request_body = ProofForm, responses(
    (status = 200, description = "Send again what asked for it", body = ProofView),
    (status = 403, description = "It was not accepted"),
    (status = 410, description = "The challenge was used, or has run out"),
    (status = 429, description = "Too many attempts: wait as long as Retry-After says"),
))]
async fn prove(
    signed_in: SignedIn,
    State(app): State<App>,
    Json(form): Json<ProofForm>,
) -> Result<Body<ProofView>, Problem> {
    let Caller { user, session } = caller(&signed_in)?;
    let proof = proof::prove(&app, user, session, form.presented()?).await?;
    Ok(Body(ProofView { proved_by: proof.method.as_str(), proved_at: proof.proved_at, lasts_until: proof.lasts_until }))
}
