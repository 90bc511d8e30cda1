//! The states of a connection, and the form that makes one.

mod next_step;
mod transition;

use std::collections::{BTreeMap, BTreeSet};

use connector::provider::{Established, FieldKind, PastedSecrets, Provider};
use kernel::{Secret, Time};
use kit::{App, Code, Problem, problem::FieldError};
use serde_json::{Map, Value};

use crate::data_access::model::DataAccess;

pub use next_step::NextStep;
pub use transition::Action;

pub struct NewConnection {
    pub provider_key: &'static str,
    /// What the person calls it; the account's own name otherwise.
    pub display_name: Option<String>,
    pub established: Established,
    pub enabled_capabilities: Vec<String>,
    /// None: nothing was chosen. Everything of a new one may be read, and of one that comes back what might be before.
    pub data_access: Option<DataAccess>,
}

/// Where a connection stands (`docs/ARCHITECTURE.md`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Status {
    Pending,
    Connected,
    /// No background work; live reads go on.
    Paused,
    /// Nothing, but webhooks are kept.
    Disabled,
    NeedsReauth,
    /// Switched off by the provider.
    Suspended,
    Disconnected,
}

impl Status {
    pub const ALL: [Self; 7] = [
        Self::Pending,
        Self::Connected,
        Self::Paused,
        Self::Disabled,
        Self::NeedsReauth,
        Self::Suspended,
        Self::Disconnected,
    ];

    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Connected => "connected",
            Self::Paused => "paused",
            Self::Disabled => "disabled",
            Self::NeedsReauth => "needs_reauth",
            Self::Suspended => "suspended",
            Self::Disconnected => "disconnected",
        }
    }

    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|status| status.as_str() == text)
    }

    /// Whether the shop may be asked. A suspended one may: asking is how its return is noticed.
    ///
    /// # Errors
    /// The problem that says what to do.
    pub fn allow_live_reads(self) -> Result<(), Problem> {
        match self {
            Self::Connected | Self::Paused | Self::Suspended => Ok(()),
            Self::NeedsReauth => Err(Self::needs_credential()),
            Self::Pending | Self::Disabled | Self::Disconnected => Err(Problem::new(
                Code::StoreNotConnected,
                format!("The store is {}. Its owner can change that under connections.", self.as_str()),
            )),
        }
    }

    /// There is nothing to ask the shop with.
    pub(super) fn needs_credential() -> Problem {
        Problem::new(
            Code::StoreReauthorizationRequired,
            "The store's owner must connect it again, or set a new credential.",
        )
    }
}

/// Whether the shop answers, as far as we know from asking it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Health {
    Ok,
    /// It fails in a way that passes by itself.
    Degraded,
    /// Somebody must do something.
    Failing,
}

impl Health {
    pub const ALL: [Self; 3] = [Self::Ok, Self::Degraded, Self::Failing];

    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Degraded => "degraded",
            Self::Failing => "failing",
        }
    }

    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|health| health.as_str() == text)
    }
}

/// Which state of a connection somebody has seen: it changes with everything that people decide.
pub fn version(updated_at: Time) -> String {
    format!("{:x}", updated_at.timestamp_micros())
}

/// The fields of a provider's connect form: what its manifest names, secrets among them.
pub type Fields = BTreeMap<String, Secret>;

/// Characters of a field at most.
const FIELD_MAX: usize = 2_048;

/// Checks a form against the manifest: nothing missing, nothing unknown, nothing secret where it would be shown.
///
/// # Errors
/// [`Code::InvalidRequest`] with the place of the field.
pub(super) fn split(
    provider: &'static dyn Provider,
    config: BTreeMap<String, String>,
    credential: Fields,
) -> Result<(Value, PastedSecrets), Problem> {
    let fields = provider.manifest().config;
    let is_secret = |name: &str| fields.iter().any(|field| field.name == name && field.kind == FieldKind::Secret);
    if let Some(name) = credential.keys().find(|name| !is_secret(name)) {
        return Err(Problem::invalid(format!("/credential/{name}"), "is not a secret field of this provider"));
    }
    let config = public_fields(provider, config)?;
    for field in fields.iter().filter(|field| field.required && field.kind == FieldKind::Secret) {
        if credential.get(field.name).is_none_or(|secret| secret.expose().trim().is_empty()) {
            return Err(Problem::invalid(
                format!("/credential/{}", field.name),
                format!("is required: {}", field.help),
            ));
        }
    }
    if credential.values().any(|secret| secret.expose().len() > FIELD_MAX) {
        return Err(Problem::invalid("/credential", format!("a field is longer than {FIELD_MAX} characters")));
    }
    Ok((config, PastedSecrets(credential.into_iter().collect())))
}

/// The same for the fields that are not secret, by themselves.
///
/// # Errors
/// As [`split`].
pub(crate) fn public_fields(provider: &dyn Provider, config: BTreeMap<String, String>) -> Result<Value, Problem> {
    let fields = || provider.manifest().config.iter().filter(|field| field.kind != FieldKind::Secret);
    if let Some(name) = config.keys().find(|name| !fields().any(|field| field.name == name.as_str())) {
        return Err(Problem::invalid(format!("/config/{name}"), "is not a public field of this provider"));
    }
    for field in fields().filter(|field| field.required) {
        if config.get(field.name).is_none_or(|text| text.trim().is_empty()) {
            return Err(Problem::invalid(format!("/config/{}", field.name), format!("is required: {}", field.help)));
        }
    }
    if config.values().any(|text| text.len() > FIELD_MAX) {
        return Err(Problem::invalid("/config", format!("a field is longer than {FIELD_MAX} characters")));
    }
    let config =
        config.into_iter().map(|(name, text)| (name, Value::String(text.trim().to_owned()))).collect::<Map<_, _>>();
    Ok(Value::Object(config))
}

/// The public fields of the form that a connection was made with, which its configuration keeps.
pub(crate) fn fields_of(provider: &dyn Provider, config: &Value) -> BTreeMap<String, String> {
    let fields = provider.manifest().config.iter().filter(|field| field.kind != FieldKind::Secret);
    fields.filter_map(|field| Some((field.name.to_owned(), config.get(field.name)?.as_str()?.to_owned()))).collect()
}

/// The capabilities that a new connection starts with.
pub fn default_capabilities(provider: &dyn Provider) -> Vec<String> {
    let capabilities = provider.manifest().capabilities.iter();
    capabilities.filter(|capability| capability.default_enabled).map(|capability| capability.key.to_owned()).collect()
}

/// What is switched on must be what the provider has, each thing once.
///
/// # Errors
/// [`Code::CapabilityUnknown`], with the names that there are.
pub(super) fn refuse_unknown_capabilities(app: &App, provider_key: &str, given: &[String]) -> Result<(), Problem> {
    let manifest = app.providers.get(provider_key).map(Provider::manifest);
    let allowed: Vec<&str> =
        manifest.iter().flat_map(|manifest| manifest.capabilities).map(|capability| capability.key).collect();
    let mut seen = BTreeSet::new();
    let Some(index) = given.iter().position(|key| !allowed.contains(&key.as_str()) || !seen.insert(key)) else {
        return Ok(());
    };
    let pointer = format!("/enabled_capabilities/{index}");
    let what = if allowed.contains(&given[index].as_str()) { "is named twice for" } else { "is not a capability of" };
    let platform = manifest.map_or("this platform", |manifest| manifest.label);
    let detail = format!("{what} {platform}; there are {}", allowed.join(", "));
    Err(Problem::new(Code::CapabilityUnknown, format!("{pointer} {detail}."))
        .with_error(FieldError { pointer, detail })
        .with("allowed", allowed))
}

/// Characters of a connection's name at most, as of its column.
pub(super) const NAME_MAX: usize = 200;

/// What an account calls itself, as it can be kept and shown: on one line, not longer than our column, and never empty.
pub(super) fn own_name(established: &Established) -> String {
    let cut = |text: &str| {
        let text: String = text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
        text.trim().chars().take(NAME_MAX).collect::<String>().trim_end().to_owned()
    };
    [&established.display_name, &established.external_account]
        .into_iter()
        .map(|text| cut(text))
        .find(|text| !text.is_empty())
        .unwrap_or_else(|| "Shop".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn states_and_healths_are_read_as_they_are_written() {
        assert!(Status::ALL.into_iter().all(|status| Status::parse(status.as_str()) == Some(status)));
        assert!(Health::ALL.into_iter().all(|health| Health::parse(health.as_str()) == Some(health)));
        assert_eq!((Status::parse("off"), Health::parse("off")), (None, None));
    }

    #[test]
    fn what_an_account_calls_itself_is_cut_between_characters_and_never_empty() {
        let named = |name: &str, account: &str| {
            own_name(&Established {
                external_account: account.to_owned(),
                display_name: name.to_owned(),
                config: Value::Null,
                credential: connector::Credential::Keys(connector::KeyPair {
                    key: Secret::new("key"),
                    secret: Secret::new("secret"),
                }),
                scopes: vec![],
            })
        };
        assert_eq!(named(" Kávé & Bolt\r\n", "kave.example"), "Kávé & Bolt");
        assert_eq!(named("Kávé\0Bolt", "kave.example"), "Kávé Bolt");
        assert_eq!(named(&"ő".repeat(300), "kave.example"), "ő".repeat(200));
        assert_eq!(named(&format!("{} and more", "a".repeat(199)), "x"), "a".repeat(199), "no space at the end");
        assert_eq!(named(" \0", "kave.example"), "kave.example");
        assert_eq!(named("", ""), "Shop");
    }
}
