use axum::{Json as Body, extract::State};
use connector::{
    Provider,
    provider::{AuthType, Category, ConnectBy, FieldKind},
};
use kit::{AcrossConnections, App, Router, route};
use serde::Serialize;
use utoipa::ToSchema;

use crate::connections::api::ReadConnections;
use crate::words::{ConfigFieldKind, ProviderAuthType, ProviderCategory, ProviderConnectBy};

pub fn routes() -> Router {
    Router::new().routes(route!(providers))
}

/// A kind of external system, from its manifest.
#[derive(Serialize, ToSchema)]
struct ProviderView {
    key: &'static str,
    label: &'static str,
    #[schema(value_type = ProviderCategory)]
    category: Category,
    #[schema(value_type = ProviderAuthType)]
    auth_type: AuthType,
    /// The ways to connect an account, the best one first.
    #[schema(value_type = Vec<ProviderConnectBy>)]
    connect_by: Vec<ConnectBy>,
    /// Whether an account is connected to one organization at a time.
    is_exclusive: bool,
    capabilities: Vec<CapabilityView>,
    /// The fields of the connect form.
    config: Vec<FieldView>,
    scopes: &'static [&'static str],
    /// What the provider cannot do.
    notes: &'static [&'static str],
    /// Whether it can be connected on this installation.
    available: bool,
}

#[derive(Serialize, ToSchema)]
struct CapabilityView {
    key: &'static str,
    label: &'static str,
    default_enabled: bool,
    scopes: &'static [&'static str],
}

#[derive(Serialize, ToSchema)]
struct FieldView {
    name: &'static str,
    label: &'static str,
    #[schema(value_type = ConfigFieldKind)]
    kind: FieldKind,
    required: bool,
    help: &'static str,
}

#[derive(Serialize, ToSchema)]
struct ProviderList {
    data: Vec<ProviderView>,
}

/// What can be connected, and with what
#[utoipa::path(get, path = "/api/integrations/providers/", tag = "connections",
    responses((status = 200, description = "The providers of this installation", body = ProviderList)))]
async fn providers(_: AcrossConnections<ReadConnections>, State(app): State<App>) -> Body<ProviderList> {
    let view = |provider: &'static dyn Provider| {
        let manifest = provider.manifest();
        ProviderView {
            key: manifest.key,
            label: manifest.label,
            category: manifest.category,
            auth_type: manifest.auth_type,
            connect_by: ConnectBy::of(provider),
            is_exclusive: manifest.is_exclusive,
            capabilities: manifest
                .capabilities
                .iter()
                .map(|capability| CapabilityView {
                    key: capability.key,
                    label: capability.label,
                    default_enabled: capability.default_enabled,
                    scopes: capability.scopes,
                })
                .collect(),
            config: manifest
                .config
                .iter()
                .map(|field| FieldView {
                    name: field.name,
                    label: field.label,
                    kind: field.kind,
                    required: field.required,
                    help: field.help,
                })
                .collect(),
            scopes: manifest.scopes,
            notes: manifest.notes,
            available: provider.authorization_code().is_none() || app.config.app_credentials(manifest.key).is_some(),
        }
    };
    Body(ProviderList { data: app.providers.iter().map(view).collect() })
}
