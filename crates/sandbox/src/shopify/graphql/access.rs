//! Who asks, what they may see, and how a refusal looks.

use super::resolve::View;
use crate::shopify::app::DataAccess;
use crate::shopify::scopes::Scopes;
use apollo_compiler::resolvers::FieldError;
use apollo_compiler::response::serde_json_bytes::json;
use apollo_compiler::response::{GraphQLError, JsonMap, JsonValue};

const SCOPE_DOCUMENTATION: &str = "https://shopify.dev/api/usage/access-scopes";

/// The app behind a request.
#[derive(Debug, Clone)]
pub(in crate::shopify) struct Viewer {
    pub(in crate::shopify) scopes: Scopes,
    pub(in crate::shopify) data_access: DataAccess,
    pub(in crate::shopify) app: AppFacts,
}

/// What an app can read about itself.
#[derive(Debug, Clone)]
pub(in crate::shopify) struct AppFacts {
    pub(in crate::shopify) id: u64,
    pub(in crate::shopify) handle: String,
    pub(in crate::shopify) title: String,
    pub(in crate::shopify) url: String,
}

impl Viewer {
    /// Whether the viewer has one of `scopes`.
    pub(super) fn require(&self, scopes: &[&str], field: &str) -> Result<(), FieldError> {
        if scopes.is_empty() || scopes.iter().any(|scope| self.scopes.allows(scope)) {
            return Ok(());
        }
        let named: Vec<String> = scopes.iter().map(|scope| format!("`{scope}` access scope")).collect();
        let required = format!("{}.", named.join(" or "));
        let message = format!("Access denied for {field} field. Required access: {required}");
        let mut refusal = Refusal::denied(message);
        refusal.extensions.insert("documentation", SCOPE_DOCUMENTATION.into());
        refusal.extensions.insert("requiredAccess", required.into());
        Err(refusal.into())
    }

    pub(super) fn may_see<V: View>(&self, view: &V, field: &str) -> Result<(), FieldError> {
        self.require(view.scopes(), field)?;
        if view.protected() {
            self.may_see_protected(view.type_name())?;
        }
        Ok(())
    }

    /// Whether the viewer may see objects that are customer data.
    pub(super) fn may_see_protected(&self, type_name: &str) -> Result<(), FieldError> {
        match self.data_access {
            DataAccess::None => Err(not_approved(format!("access the {type_name} object"))),
            DataAccess::WithoutIdentity | DataAccess::Full => Ok(()),
        }
    }

    /// Whether the viewer may see names, addresses, phone numbers and email addresses.
    pub(super) fn may_know_people(&self, field: &str) -> Result<(), FieldError> {
        match self.data_access {
            DataAccess::Full => Ok(()),
            DataAccess::None | DataAccess::WithoutIdentity => Err(not_approved(format!("use the {field} field"))),
        }
    }
}

fn not_approved(what: String) -> FieldError {
    Refusal::denied(format!(
        "This app is not approved to {what}. See https://shopify.dev/docs/apps/launch/protected-customer-data for more details."
    ))
    .into()
}

/// An error of one field, with the extensions that the engine has no place for: they travel inside the message.
#[derive(Debug)]
pub(super) struct Refusal {
    message: String,
    extensions: JsonMap,
}

/// What the engine puts before a resolver's message.
const ENGINE_PREFIX: &str = "resolver error: ";
/// Starts a message that holds a [`Refusal`].
const MARK: char = '\u{1}';

impl Refusal {
    fn denied(message: String) -> Refusal {
        Refusal::new(message, "ACCESS_DENIED")
    }

    /// The request makes no sense.
    pub(super) fn bad_request(message: impl Into<String>) -> Refusal {
        Refusal::new(message.into(), "BAD_REQUEST")
    }

    pub(super) fn internal(message: String) -> Refusal {
        Refusal::new(message, "INTERNAL_SERVER_ERROR")
    }

    fn new(message: String, code: &str) -> Refusal {
        let mut extensions = JsonMap::new();
        extensions.insert("code", code.into());
        Refusal { message, extensions }
    }

    /// Takes the refusal out of an error's message again.
    pub(super) fn unpack(error: &mut GraphQLError) {
        let message = error.message.strip_prefix(ENGINE_PREFIX).unwrap_or(&error.message);
        let Some(packed) = message.strip_prefix(MARK) else {
            error.message = message.to_owned();
            return;
        };
        if let Ok(JsonValue::Object(mut packed)) = serde_json::from_str(packed) {
            if let Some(JsonValue::String(message)) = packed.remove("message") {
                error.message = message.as_str().to_owned();
            }
            if let Some(JsonValue::Object(extensions)) = packed.remove("extensions") {
                error.extensions = extensions;
            }
        }
    }
}

impl From<Refusal> for FieldError {
    fn from(refusal: Refusal) -> FieldError {
        let packed = json!({"message": refusal.message, "extensions": refusal.extensions});
        FieldError { message: format!("{MARK}{packed}") }
    }
}
