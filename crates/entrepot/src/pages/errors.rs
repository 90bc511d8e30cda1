//! `/docs/errors`: a page for every way a request can fail, written in `docs/errors/`.

use axum::{
    extract::Path,
    http::StatusCode,
    response::{IntoResponse, Response},
};
use kit::{Code, Problem};

use super::{
    Shell,
    html::{escape, markdown},
    page,
};

macro_rules! pages {
    ($($variant:ident: $code:literal),+ $(,)?) => {
        /// The page of a code. A code without one does not compile.
        pub(super) const fn text(code: Code) -> &'static str {
            match code {
                $(Code::$variant => include_str!(concat!("../../../../docs/errors/", $code, ".md"))),+
            }
        }
    };
}

pages! {
    InvalidRequest: "invalid_request",
    OrganizationRequired: "organization_required",
    FilterUnsupported: "filter_unsupported",
    UseCursor: "use_cursor",
    InvalidCursor: "invalid_cursor",
    NotSupportedByPlatform: "not_supported_by_platform",
    ConfirmationMismatch: "confirmation_mismatch",
    ConnectRefused: "connect_refused",
    CapabilityUnknown: "capability_unknown",
    PayloadTooLarge: "payload_too_large",
    UnsupportedMediaType: "unsupported_media_type",
    MethodNotAllowed: "method_not_allowed",
    NotFound: "not_found",
    Conflict: "conflict",
    PreconditionFailed: "precondition_failed",
    IdempotencyKeyReused: "idempotency_key_reused",
    RequestInProgress: "request_in_progress",
    LastOwner: "last_owner",
    LinkInvalid: "link_invalid",
    ConnectionStatusConflict: "connection_status_conflict",
    OauthRefused: "oauth_refused",
    OauthSignatureInvalid: "oauth_signature_invalid",
    OauthRequestStale: "oauth_request_stale",
    OauthRequestInvalid: "oauth_request_invalid",
    OauthStateInvalid: "oauth_state_invalid",
    OauthSessionMismatch: "oauth_session_mismatch",
    OauthAccountMismatch: "oauth_account_mismatch",
    OauthDenied: "oauth_denied",
    AccountConnectedElsewhere: "account_connected_elsewhere",
    Unauthenticated: "unauthenticated",
    InvalidCredentials: "invalid_credentials",
    LoginThrottled: "login_throttled",
    ApiKeyThrottled: "api_key_throttled",
    IdentityUnknown: "identity_unknown",
    StepUpRequired: "step_up_required",
    SecondFactorRequired: "second_factor_required",
    FactorRefused: "factor_refused",
    ChallengeInvalid: "challenge_invalid",
    PasskeysUnavailable: "passkeys_unavailable",
    EmailUnverified: "email_unverified",
    CsrfRefused: "csrf_refused",
    Forbidden: "forbidden",
    PlanLimitReached: "plan_limit_reached",
    OrganizationReadOnly: "organization_read_only",
    DataAccessDisabled: "data_access_disabled",
    RateLimited: "rate_limited",
    TooManyOpen: "too_many_open",
    StoreNotConnected: "store_not_connected",
    StoreReauthorizationRequired: "store_reauthorization_required",
    StoreScopeMissing: "store_scope_missing",
    StoreSuspended: "store_suspended",
    StoreRateLimited: "store_rate_limited",
    StoreSlow: "store_slow",
    StoreUnavailable: "store_unavailable",
    StoreRejected: "store_rejected",
    StoreAnswerUnreadable: "store_answer_unreadable",
    PlatformAppRefused: "platform_app_refused",
    IssuerUnavailable: "issuer_unavailable",
    Overloaded: "overloaded",
    DatabaseUnavailable: "database_unavailable",
    KeysUnavailable: "keys_unavailable",
    Internal: "internal",
}

/// Who has to do something, as the pages' section "Whose side" begins: the word, and what it means for a reader.
pub(super) const SIDES: [(&str, &str); 4] = [
    ("Yours", "Change the request, or how it is sent. The same request fails again."),
    (
        "The store owner's",
        "Only the owner of the store or of the organization can change this. Tell them what the detail says.",
    ),
    ("The shop's", "The shop or its platform failed. The request was right; try again as the page says."),
    ("Ours", "Entrepot is at fault or too busy. Try again; if it stays, tell the operator the request id."),
];

/// The word of [`SIDES`] that a page's section "Whose side" begins with.
pub(super) fn side(code: Code) -> &'static str {
    let after = text(code).split_once("## Whose side\n\n**").map_or("", |(_, after)| after);
    SIDES.iter().map(|(side, _)| *side).find(|side| after.starts_with(&format!("{side}."))).unwrap_or_default()
}

pub(super) async fn index() -> Response {
    page(StatusCode::OK, &Shell { title: "Errors", section: "errors", script: Some("reference.js") }, &render_index())
}

pub(super) async fn one(Path(name): Path<String>) -> Response {
    match Code::ALL.iter().find(|code| code.as_str() == name) {
        Some(code) => page(
            StatusCode::OK,
            &Shell { title: code.title(), section: "errors", script: Some("reference.js") },
            &render(*code),
        ),
        None => Problem::new(Code::NotFound, "There is no error by this name. All of them are at /docs/errors.")
            .into_response(),
    }
}

pub(super) fn render_index() -> String {
    let groups: String = SIDES
        .iter()
        .map(|(word, meaning)| {
            let rows: String = Code::ALL
                .iter()
                .filter(|code| side(**code) == *word)
                .map(|code| {
                    format!(
                        "<li><a href=\"/docs/errors/{name}\"><span class=\"status\">{status}</span>\
                         <span class=\"error-title\">{title}</span><code>{name}</code></a></li>",
                        name = code.as_str(),
                        status = code.status().as_u16(),
                        title = escape(code.title()),
                    )
                })
                .collect();
            format!(
                "<section class=\"error-group\"><h2>{}</h2><p class=\"muted\">{}</p><ul class=\"error-list\">{rows}</ul></section>",
                escape(word),
                escape(meaning)
            )
        })
        .collect();
    format!(
        "<div class=\"prose-page wide\"><h1>Errors</h1><p class=\"lead\">Every failed answer is <code>application/problem+json</code> \
         (RFC 9457). Programs decide by its <code>type</code>, which is the address of a page below and does not change; \
         people read its <code>detail</code>, which says what to do. They are grouped by who has to do something.</p>{groups}</div>"
    )
}

pub(super) fn render(code: Code) -> String {
    // The page's own title is replaced by one with the status and the code beside it.
    let body = text(code).split_once('\n').map_or("", |(_, rest)| rest);
    format!(
        "<article class=\"prose-page prose\"><p class=\"crumbs\"><a href=\"/docs/errors\">Errors</a></p><h1>{}</h1>\
         <p class=\"error-facts\"><span class=\"status\">{}</span> <code>{}</code></p>{}</article>",
        escape(code.title()),
        escape(&code.status().to_string()),
        code.as_str(),
        markdown(body)
    )
}
