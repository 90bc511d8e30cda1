//! The error bodies of the REST API: `{"code","message","data":{"status"}}`.

use super::json::object;
use axum::response::{IntoResponse, Response};
use http::{StatusCode, header};

/// An error as the REST API answers it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct RestError {
    pub(super) status: StatusCode,
    pub(super) code: &'static str,
    pub(super) message: String,
    /// For `rest_invalid_param`: name, code of the check, message.
    pub(super) params: Vec<(String, &'static str, String)>,
}

impl RestError {
    pub(super) fn new(status: StatusCode, code: &'static str, message: impl Into<String>) -> RestError {
        RestError { status, code, message: message.into(), params: vec![] }
    }

    /// 401 from the authentication itself.
    pub(super) fn authentication(message: &str) -> RestError {
        Self::new(StatusCode::UNAUTHORIZED, "woocommerce_rest_authentication_error", message)
    }

    /// 401 without a user, 403 with one that may not.
    pub(super) fn cannot_view(logged_in: bool, list: bool) -> RestError {
        let status = if logged_in { StatusCode::FORBIDDEN } else { StatusCode::UNAUTHORIZED };
        let message = if list { "Sorry, you cannot list resources." } else { "Sorry, you cannot view this resource." };
        Self::new(status, "woocommerce_rest_cannot_view", message)
    }

    /// 404: no such path or method.
    pub(super) fn no_route() -> RestError {
        let message = "No route was found matching the URL and request method.";
        Self::new(StatusCode::NOT_FOUND, "rest_no_route", message)
    }

    /// 404 for an id.
    pub(super) fn invalid_id(code: &'static str) -> RestError {
        Self::new(StatusCode::NOT_FOUND, code, "Invalid ID.")
    }

    /// 400 that names the parameters.
    pub(super) fn invalid_params(params: Vec<(String, &'static str, String)>) -> RestError {
        let names: Vec<&str> = params.iter().map(|(name, _, _)| name.as_str()).collect();
        let message = format!("Invalid parameter(s): {}", names.join(", "));
        RestError { params, ..Self::new(StatusCode::BAD_REQUEST, "rest_invalid_param", message) }
    }

    pub(super) fn body(&self) -> Vec<u8> {
        let mut out = vec![];
        object(&mut out, None, |error| {
            error.put("code", self.code);
            error.put("message", &self.message);
            error.object("data", |data| {
                data.put("status", u32::from(self.status.as_u16()));
                if !self.params.is_empty() {
                    data.object("params", |all| {
                        self.params.iter().for_each(|(name, _, message)| all.put(name, message));
                    });
                    data.object("details", |all| {
                        for (name, code, message) in &self.params {
                            all.object(name, |detail| {
                                detail.put("code", *code);
                                detail.put("message", message);
                                detail.put("data", None::<&str>);
                            });
                        }
                    });
                }
            });
        });
        out
    }
}

impl IntoResponse for RestError {
    fn into_response(self) -> Response {
        let content_type = [(header::CONTENT_TYPE, "application/json; charset=UTF-8")];
        (self.status, content_type, self.body()).into_response()
    }
}
