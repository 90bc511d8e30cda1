//! What people see until the dashboard stands: the front page, the API reference, and a page for every error.

use std::sync::Arc;

use axum::{Router, response::Html, routing::get};
use kit::App;
use utoipa::openapi::OpenApi;

pub fn routes(_document: Arc<OpenApi>) -> Router<App> {
    Router::new().route("/", get(|| async { Html("<!doctype html><title>Entrepot</title><h1>Entrepot</h1>") }))
}
