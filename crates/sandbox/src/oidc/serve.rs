//! What an issuer answers.

use super::{ISSUER, Simulator};
use crate::server::Call;
use axum::Json;
use axum::Router;
use axum::body::Bytes;
use axum::extract::{Request, State};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use http::StatusCode;
use serde_json::{Value, json};

pub(super) fn router(issuer: &Simulator) -> Router {
    let router = Router::new()
        .route("/auth/v1/.well-known/openid-configuration", get(configuration))
        .route("/auth/v1/.well-known/jwks.json", get(key_set))
        .route("/auth/v1/token", post(token))
        .with_state(issuer.clone());
    issuer.faults().apply(router).layer(from_fn_with_state(issuer.clone(), record))
}

async fn record(State(issuer): State<Simulator>, request: Request, next: Next) -> Response {
    let (path, query) = (request.uri().path(), request.uri().query().unwrap_or_default());
    let endpoint = path.rsplit('/').next().unwrap_or_default().to_owned();
    issuer.calls().record(Call {
        method: request.method().clone(),
        endpoint,
        path: path.to_owned(),
        query: query.to_owned(),
    });
    next.run(request).await
}

async fn configuration() -> Json<Value> {
    Json(json!({
        "issuer": ISSUER,
        "jwks_uri": format!("{ISSUER}/.well-known/jwks.json"),
        "token_endpoint": format!("{ISSUER}/token"),
        "response_types_supported": ["code"],
        "subject_types_supported": ["public"],
        "id_token_signing_alg_values_supported": ["ES256", "RS256", "EdDSA"],
    }))
}

async fn key_set(State(issuer): State<Simulator>) -> Json<Value> {
    Json(issuer.key_set())
}

/// A token with the claims of the body. No real issuer does that: here it stands for a person who signs in.
async fn token(State(issuer): State<Simulator>, body: Bytes) -> Response {
    match serde_json::from_slice::<Value>(&body) {
        Ok(claims) if claims.get("sub").is_some_and(Value::is_string) => {
            Json(json!({ "access_token": issuer.token(claims), "token_type": "bearer" })).into_response()
        }
        _ => {
            let error =
                json!({ "error": "invalid_request", "error_description": "send an object of claims, sub among them" });
            (StatusCode::BAD_REQUEST, Json(error)).into_response()
        }
    }
}
