//! The table of contents: every provider, every slice, and how they are put together. Nothing else knows them all.

use std::{sync::Arc, time::Duration};

use accounts::{
    Authentication,
    api_keys::ApiKeys,
    oidc::Issuers,
    plans::{DailyUsage, Paused},
};
use connector::{Provider, Registry, http::Http};
use db::{Db, listener::Listener};
use integrations::{
    connections::Stores,
    data_access::access_log::AccessLog,
    events::{Exports, Tails},
    live::Live,
    oauth::Handovers,
};
use jobs::{Runner, Schedule};
use kernel::Clock;
use kit::{
    App, Config, Router,
    app::Parts,
    error_reports::{ErrorReports, Report},
    mail::Mailer,
    rate_limit::RateLimit,
    vault::Keyring,
};
use utoipa::{
    Modify, OpenApi,
    openapi::security::{ApiKey, ApiKeyValue, HttpAuthScheme, HttpBuilder, SecurityScheme},
};

/// The providers of this build.
pub const PROVIDERS: Registry = Registry::new(&[
    &providers::shopify::Shopify as &dyn Provider,
    &providers::woocommerce::Woocommerce as &dyn Provider,
]);

/// The slices: each one's routes, lowest layer first.
pub const SLICES: &[fn() -> Router] = &[
    accounts::sessions::api::routes,
    accounts::user_links::api::routes,
    accounts::identities::api::routes,
    accounts::factors::api::routes,
    accounts::organizations::api::routes,
    accounts::plans::api::routes,
    accounts::notifications::api::routes,
    accounts::retention::api::routes,
    accounts::members::api::routes,
    accounts::grants::api::routes,
    accounts::team_members::api::routes,
    accounts::invitations::api::routes,
    accounts::api_keys::api::routes,
    accounts::audit::api::routes,
    integrations::catalog::api::routes,
    integrations::connections::api::routes,
    integrations::oauth::api::routes,
    integrations::data_access::api::routes,
    integrations::live::api::routes,
    integrations::health::api::routes,
    integrations::events::api::routes,
    integrations::errors::api::routes,
];

/// What is paused beyond a plan.
const PAUSED: Paused = Paused(&[&accounts::plans::Seats, &integrations::connections::places::Connections]);

/// How long a line of a log may wait for its seal.
const SEAL_EVERY: Duration = Duration::from_mins(15);

/// The jobs that the program works off, and when the house asks for them.
pub fn runner(app: &App, listener: &Listener) -> Runner<App> {
    let reports = app.slice::<ErrorReports>().clone();
    Runner::new(app.db.clone(), app.clock.clone(), app.clone())
        .register::<kit::mail::jobs::SendMail>()
        .register::<accounts::api_keys::jobs::ExpireKeys>()
        .register::<accounts::api_keys::jobs::SuspendKey>()
        .register::<accounts::api_keys::jobs::RevokeSuspendedKey>()
        .register::<accounts::organizations::jobs::DestroyShards>()
        .register::<accounts::plans::jobs::ApplyPlan>()
        .register::<accounts::plans::jobs::TellOfLimit>()
        .register::<accounts::audit::jobs::SealLogs>()
        .register::<crate::housekeeping::jobs::PurgeDeleted>()
        .schedule(Schedule::daily::<accounts::api_keys::jobs::ExpireKeys>())
        .schedule(Schedule::daily::<accounts::plans::jobs::ApplyPlan>())
        .schedule(Schedule::daily::<crate::housekeeping::jobs::PurgeDeleted>())
        .schedule(Schedule::every::<accounts::audit::jobs::SealLogs>(SEAL_EVERY))
        .on_dead(move |job, organization, failure| reports.record(Report::dead_job(job, organization, failure)))
        .listen(listener)
}

/// What the program is made of.
pub struct Ingredients {
    pub db: Db,
    pub clock: Clock,
    pub keyring: Arc<Keyring>,
    pub http: Http,
    pub config: Config,
    pub mailer: Mailer,
    pub issuers: Issuers,
}

/// Puts the program together. The listener must live as long as the app.
pub fn app(ingredients: Ingredients, listener: &Listener) -> (App, ApiKeys) {
    let Ingredients { db, clock, keyring, http, config, mailer, issuers } = ingredients;
    let hash_key = *keyring.derive("api key memory");
    let keys = ApiKeys::new(db.clone(), clock.clone(), listener, hash_key, config.api_key_prefix.clone());
    let mut slices = axum::http::Extensions::new();
    slices.insert(keys.clone());
    slices.insert(issuers.clone());
    slices.insert(mailer);
    slices.insert(ErrorReports::new(clock.clone(), env!("CARGO_PKG_VERSION")));
    slices.insert(RateLimit::new(db.clone(), clock.clone(), config.live_requests_per_minute));
    slices.insert(Handovers::default());
    slices.insert(DailyUsage::new(db.clone(), clock.clone(), listener));
    slices.insert(PAUSED);
    slices.insert(Stores::new(listener));
    slices.insert(AccessLog::new(db.clone()));
    slices.insert(Live::new(&keyring));
    slices.insert(Exports::default());
    slices.insert(Tails::new(listener));
    slices.insert(crate::keys::keep::HasMasterKey::at_start());
    let app = App::new(Parts {
        db,
        clock,
        keyring,
        http,
        providers: PROVIDERS,
        freshness: listener.freshness(),
        config,
        authenticate: Arc::new(Authentication::new(keys.clone(), issuers)),
        slices,
    });
    (app, keys)
}

#[derive(OpenApi)]
#[openapi(
    info(
        title = "Entrepot",
        description = "The commerce integration hub: connect webshops, read their customers, orders and products live through one \
            API, and keep none of it.",
        license(name = "Apache-2.0", identifier = "Apache-2.0"),
    ),
    components(schemas(kit::problem::ProblemBody)),
    modifiers(&SecuritySchemes),
)]
struct Document;

struct SecuritySchemes;
impl Modify for SecuritySchemes {
    fn modify(&self, document: &mut utoipa::openapi::OpenApi) {
        let components = document.components.get_or_insert_default();
        let bearer = HttpBuilder::new()
            .scheme(HttpAuthScheme::Bearer)
            .description(Some(
                "An API key (`api_shopcall_…`, unless the installation chose another prefix), a session token, or a token of an \
                 issuer that the installation is configured for",
            ))
            .build();
        components.add_security_scheme("bearer", SecurityScheme::Http(bearer));
        let cookie = ApiKeyValue::with_description(
            "entrepot_session",
            "The dashboard's session (`__Host-entrepot_session` on https). What changes something also needs `X-CSRF-Token`.",
        );
        components.add_security_scheme("session", SecurityScheme::ApiKey(ApiKey::Cookie(cookie)));
    }
}

/// All routes of all slices, and the OpenAPI document that they make.
pub fn routes() -> (axum::Router<App>, utoipa::openapi::OpenApi) {
    let (router, mut document) = SLICES
        .iter()
        .fold(Router::with_openapi(Document::openapi()), |router, slice| router.merge(slice()))
        .split_for_parts();
    crate::document::complete(&mut document);
    (router, document)
}

/// The OpenAPI document, as it is checked in.
pub fn openapi() -> utoipa::openapi::OpenApi {
    routes().1
}
