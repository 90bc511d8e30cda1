//! Errors for people: what happened, whose side it is on, what to do next (RFC 9457, `application/problem+json`).

use std::{borrow::Cow, panic::Location, sync::Arc, time::Duration};

use axum::{
    Json,
    http::{HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use kernel::{Actor, Limit, OrganizationId, plan::ReadOnly, scope::Refused};
use serde::Serialize;
use utoipa::ToSchema;

use crate::{error_reports::Words, request_id};

macro_rules! codes {
    ($($(#[$doc:meta])* $variant:ident = $code:literal, $status:ident, $title:literal;)+) => {
        /// Every way a request can fail. Each has a page in `docs/errors/`, which a test demands.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum Code { $($(#[$doc])* $variant),+ }

        impl Code {
            pub const ALL: &'static [Self] = &[$(Self::$variant),+];

            /// The stable word: the end of the problem's `type`, and the result in logs.
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $code),+ }
            }

            pub const fn status(self) -> StatusCode {
                match self { $(Self::$variant => StatusCode::$status),+ }
            }

            pub const fn title(self) -> &'static str {
                match self { $(Self::$variant => $title),+ }
            }
        }
    };
}

codes! {
    // What was asked
    InvalidRequest = "invalid_request", BAD_REQUEST, "The request cannot be read";
    OrganizationRequired = "organization_required", BAD_REQUEST, "Say which organization you mean";
    FilterUnsupported = "filter_unsupported", BAD_REQUEST, "The shop cannot apply this filter";
    UseCursor = "use_cursor", BAD_REQUEST, "Follow the cursor instead of page numbers";
    InvalidCursor = "invalid_cursor", BAD_REQUEST, "The cursor is not valid here";
    NotSupportedByPlatform = "not_supported_by_platform", BAD_REQUEST, "This platform cannot do that";
    ConfirmationMismatch = "confirmation_mismatch", UNPROCESSABLE_ENTITY, "The name does not match";
    ConnectRefused = "connect_refused", UNPROCESSABLE_ENTITY, "The account could not be connected";
    CapabilityUnknown = "capability_unknown", UNPROCESSABLE_ENTITY, "The platform has no such capability";
    PayloadTooLarge = "payload_too_large", PAYLOAD_TOO_LARGE, "The request is too large";
    UnsupportedMediaType = "unsupported_media_type", UNSUPPORTED_MEDIA_TYPE, "Send JSON";
    MethodNotAllowed = "method_not_allowed", METHOD_NOT_ALLOWED, "This address does not take that method";
    NotFound = "not_found", NOT_FOUND, "There is no such thing here";
    Conflict = "conflict", CONFLICT, "That is already there";
    PreconditionFailed = "precondition_failed", PRECONDITION_FAILED, "It has changed since you have seen it";
    IdempotencyKeyReused = "idempotency_key_reused", UNPROCESSABLE_ENTITY, "The Idempotency-Key was used for something else";
    RequestInProgress = "request_in_progress", CONFLICT, "The same request has not been answered yet";
    LastOwner = "last_owner", CONFLICT, "An organization keeps an owner";
    LinkInvalid = "link_invalid", GONE, "The link no longer works";
    ConnectionStatusConflict = "connection_status_conflict", CONFLICT, "The connection's status does not allow this";

    // Connecting by consent
    OauthRefused = "oauth_refused", BAD_REQUEST, "The connection could not be finished";
    OauthSignatureInvalid = "oauth_signature_invalid", BAD_REQUEST, "The platform did not make this request";
    OauthRequestStale = "oauth_request_stale", BAD_REQUEST, "The request is not of this moment";
    OauthRequestInvalid = "oauth_request_invalid", BAD_REQUEST, "The request is not as the platform makes it";
    OauthStateInvalid = "oauth_state_invalid", BAD_REQUEST, "This attempt was used before or has expired";
    OauthSessionMismatch = "oauth_session_mismatch", BAD_REQUEST, "Finish where you began";
    OauthAccountMismatch = "oauth_account_mismatch", BAD_REQUEST, "The consent is for another account";
    OauthDenied = "oauth_denied", BAD_REQUEST, "The account's owner did not consent";
    AccountConnectedElsewhere = "account_connected_elsewhere", CONFLICT, "The account is connected elsewhere";

    // Who asked
    Unauthenticated = "unauthenticated", UNAUTHORIZED, "Sign in or send an API key";
    InvalidCredentials = "invalid_credentials", UNAUTHORIZED, "E-mail or password is wrong";
    LoginThrottled = "login_throttled", TOO_MANY_REQUESTS, "Too many attempts to sign in";
    ApiKeyThrottled = "api_key_throttled", TOO_MANY_REQUESTS, "Too many unknown API keys";
    IdentityUnknown = "identity_unknown", FORBIDDEN, "Nobody here is linked to this token";
    StepUpRequired = "step_up_required", FORBIDDEN, "Prove that it is you";
    SecondFactorRequired = "second_factor_required", FORBIDDEN, "The organization asks for a second factor";
    FactorRefused = "factor_refused", FORBIDDEN, "The proof was not accepted";
    ChallengeInvalid = "challenge_invalid", GONE, "This attempt has run out or was used";
    PasskeysUnavailable = "passkeys_unavailable", CONFLICT, "Passkeys do not work at this address";
    EmailUnverified = "email_unverified", FORBIDDEN, "Confirm your e-mail first";
    CsrfRefused = "csrf_refused", FORBIDDEN, "This browser request was not made by the dashboard";
    Forbidden = "forbidden", FORBIDDEN, "You may not do this";
    PlanLimitReached = "plan_limit_reached", PAYMENT_REQUIRED, "The plan allows no more";
    OrganizationReadOnly = "organization_read_only", PAYMENT_REQUIRED, "The organization is read-only";
    DataAccessDisabled = "data_access_disabled", FORBIDDEN, "The store's owner has switched this data off";
    RateLimited = "rate_limited", TOO_MANY_REQUESTS, "Too many requests";
    TooManyOpen = "too_many_open", TOO_MANY_REQUESTS, "Too many long answers at once";

    // The shop
    StoreNotConnected = "store_not_connected", CONFLICT, "The store is not connected";
    StoreReauthorizationRequired = "store_reauthorization_required", FAILED_DEPENDENCY, "The shop no longer accepts our access";
    StoreScopeMissing = "store_scope_missing", FAILED_DEPENDENCY, "The shop has not allowed this";
    StoreSuspended = "store_suspended", FAILED_DEPENDENCY, "The shop's platform has switched it off";
    StoreRateLimited = "store_rate_limited", TOO_MANY_REQUESTS, "The shop is asked too often";
    StoreSlow = "store_slow", GATEWAY_TIMEOUT, "The shop did not answer in time";
    StoreUnavailable = "store_unavailable", BAD_GATEWAY, "The shop cannot be reached";
    StoreRejected = "store_rejected", BAD_GATEWAY, "The shop refused the request";
    StoreAnswerUnreadable = "store_answer_unreadable", BAD_GATEWAY, "The shop's answer cannot be read";

    // Us
    PlatformAppRefused = "platform_app_refused", SERVICE_UNAVAILABLE, "The shop's platform refuses our app";
    IssuerUnavailable = "issuer_unavailable", SERVICE_UNAVAILABLE, "The token's issuer cannot be asked";
    Overloaded = "overloaded", SERVICE_UNAVAILABLE, "Too busy at the moment";
    KeysUnavailable = "keys_unavailable", SERVICE_UNAVAILABLE, "Our keys are not available";
    DatabaseUnavailable = "database_unavailable", SERVICE_UNAVAILABLE, "Our database is not available";
    Internal = "internal", INTERNAL_SERVER_ERROR, "Something broke on our side";
}

crate::vocabulary! {
    /// Every way a request can fail; each has a page at `/docs/errors/<code>`.
    pub ProblemCode = Code::ALL.iter().map(|code| code.as_str());
}

/// A failure on its way to the caller.
#[derive(Clone, Debug)]
pub struct Problem {
    code: Code,
    detail: Cow<'static, str>,
    errors: Vec<FieldError>,
    retry_after: Option<Duration>,
    extra: serde_json::Map<String, serde_json::Value>,
    refused: Option<Box<(Actor, OrganizationId)>>,
    cause: Option<Arc<Cause>>,
}

/// What is behind an answer that is our fault, for error reports and not for the caller.
#[derive(Clone, Debug)]
pub struct Cause {
    /// Where in the program it became a problem.
    pub place: &'static Location<'static>,
    pub words: Words,
}

/// The body of every failed answer.
#[derive(Serialize, ToSchema)]
#[schema(as = Problem)]
pub struct ProblemBody {
    /// Stable, and the address of a page about it.
    #[serde(rename = "type")]
    pub kind: String,
    /// The end of `type`: the stable word to decide by.
    #[schema(value_type = ProblemCode)]
    pub code: &'static str,
    pub title: &'static str,
    pub status: u16,
    /// What a person can act on.
    pub detail: String,
    /// Name this when asking for help.
    pub request_id: Option<String>,
    /// Which fields break a rule; empty when it is not about fields.
    pub errors: Vec<FieldError>,
    #[serde(flatten)]
    pub extra: serde_json::Map<String, serde_json::Value>,
}

/// What is wrong with one field.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct FieldError {
    /// JSON pointer into the body (RFC 6901), or the parameter's name.
    pub pointer: String,
    pub detail: String,
}

impl Problem {
    pub fn new(code: Code, detail: impl Into<Cow<'static, str>>) -> Self {
        Self {
            code,
            detail: detail.into(),
            errors: vec![],
            retry_after: None,
            extra: serde_json::Map::new(),
            refused: None,
            cause: None,
        }
    }

    /// The body or a parameter breaks a rule; `pointer` says where.
    pub fn invalid(pointer: impl Into<String>, detail: impl Into<String>) -> Self {
        let error = FieldError { pointer: pointer.into(), detail: detail.into() };
        Self::new(Code::InvalidRequest, format!("{}: {}", error.pointer, error.detail)).with_error(error)
    }

    pub fn not_found() -> Self {
        Self::new(Code::NotFound, "It does not exist, was deleted, or belongs to another organization.")
    }

    /// A bug or a broken invariant; the cause goes to the log, not to the caller. Error reports name the line that calls this.
    #[track_caller]
    pub fn internal(cause: &dyn std::fmt::Display) -> Self {
        Self::internal_as(cause, "internal error".into())
    }

    #[track_caller]
    fn internal_as(cause: &dyn std::fmt::Display, words: Words) -> Self {
        let place = Location::caller();
        tracing::error!(%cause, %place, "internal error");
        let problem = Self::new(Code::Internal, "This is our fault. Try again; if it stays, tell us the request id.");
        Self { cause: Some(Arc::new(Cause { place, words })), ..problem }
    }

    #[must_use]
    pub fn with_error(mut self, error: FieldError) -> Self {
        self.errors.push(error);
        self
    }

    /// When to come back, where that is known.
    pub fn retry_after(&self) -> Option<Duration> {
        self.retry_after
    }

    #[must_use]
    pub fn with_retry_after(mut self, after: Duration) -> Self {
        self.retry_after = Some(after);
        self
    }

    /// A further member of the body (RFC 9457, section 3.2).
    #[must_use]
    pub fn with(mut self, name: &str, value: impl Into<serde_json::Value>) -> Self {
        self.extra.insert(name.to_owned(), value.into());
        self
    }

    /// Says who is refused, where that is known although they may not call: for logs, and not for the answer.
    #[must_use]
    pub fn refusing(mut self, actor: Actor, organization: OrganizationId) -> Self {
        self.refused = Some(Box::new((actor, organization)));
        self
    }

    /// Who is refused, where that is known.
    pub fn refused(&self) -> Option<(Actor, OrganizationId)> {
        self.refused.as_deref().copied()
    }

    pub fn code(&self) -> Code {
        self.code
    }

    pub fn detail(&self) -> &str {
        &self.detail
    }

    /// What the caller reads. It names the request that this task works for, if any.
    pub fn into_body(self) -> ProblemBody {
        ProblemBody {
            kind: format!("/docs/errors/{}", self.code.as_str()),
            code: self.code.as_str(),
            title: self.code.title(),
            status: self.code.status().as_u16(),
            detail: self.detail.into_owned(),
            request_id: request_id::current(),
            errors: self.errors,
            extra: self.extra,
        }
    }
}

impl From<kernel::Denied> for Problem {
    fn from(denied: kernel::Denied) -> Self {
        Self::new(
            Code::Forbidden,
            format!(
                "This needs the permission {}:{}. Ask an owner of the organization.",
                denied.resource, denied.action
            ),
        )
        .with("permission", format!("{}:{}", denied.resource, denied.action))
    }
}

impl From<Refused> for Problem {
    fn from(refused: Refused) -> Self {
        match refused {
            Refused::Unknown => Self::not_found(),
            Refused::Denied(denied) => denied.into(),
            Refused::ReadOnly(ReadOnly::Organization(status)) => Self::new(
                Code::OrganizationReadOnly,
                format!(
                    "The subscription of the organization is {status}: nothing can be changed. Reading goes on, and so do exports, \
                     disconnecting, revoking keys, removing members and deleting the organization. Ask your operator to make it \
                     active again."
                ),
            )
            .with("status_of_subscription", status.as_str()),
            Refused::ReadOnly(ReadOnly::Seat) => Self::new(
                Code::PlanLimitReached,
                "Your seat is beyond what the plan allows: you can read, and change nothing. It goes on by itself when the plan \
                 allows more members, or another leaves.",
            )
            .with("limit", Limit::Members.as_str()),
        }
    }
}

impl From<db::DbError> for Problem {
    #[track_caller]
    fn from(error: db::DbError) -> Self {
        match error {
            db::DbError::Unavailable => {
                Self::new(Code::DatabaseUnavailable, "Nothing was changed. Try again in a few seconds.")
                    .with_retry_after(Duration::from_secs(2))
            }
            other => Self::internal_as(&other, Words::from(&other)),
        }
    }
}

impl From<sqlx::Error> for Problem {
    #[track_caller]
    fn from(error: sqlx::Error) -> Self {
        db::DbError::from(error).into()
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let (code, retry_after, cause) = (self.code, self.retry_after, self.cause.clone());
        let status = code.status();
        let mut response = (status, Json(self.into_body())).into_response();
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
        if status == StatusCode::UNAUTHORIZED {
            headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        if let Some(after) = retry_after {
            // Rounded up: coming back a moment early would be refused again.
            headers
                .insert(header::RETRY_AFTER, HeaderValue::from(after.as_secs() + u64::from(after.subsec_nanos() > 0)));
        }
        // For the access log of the server, which tells failures by their code.
        response.extensions_mut().insert(code);
        if let Some(cause) = cause {
            response.extensions_mut().insert(cause);
        }
        response
    }
}
