//! What a provider is. Capabilities are answered, not declared twice: a missing one is `None`, never an empty implementation.

use async_trait::async_trait;
use kernel::{Clock, Time};
use serde::Serialize;
use serde_json::Value;
use url::Url;

use crate::{
    credential::{AppCredentials, Credential, Token},
    error::ProviderError,
    http::Http,
    model::{Customer, Order, Product},
    query::{Answer, Filter, Page, Query, Selection},
};

/// A kind of external system. Stateless: everything about one account comes in the [`Call`].
pub trait Provider: Send + Sync + 'static {
    fn manifest(&self) -> &'static Manifest;

    /// For providers whose owner pastes keys.
    fn pasted_keys(&self) -> Option<&dyn PastedKeys> {
        None
    }

    /// For providers with OAuth's authorization-code flow.
    fn authorization_code(&self) -> Option<&dyn AuthorizationCode> {
        None
    }

    fn customers(&self) -> Option<&dyn Read<Customer>> {
        None
    }

    fn orders(&self) -> Option<&dyn Read<Order>> {
        None
    }

    fn products(&self) -> Option<&dyn Read<Product>> {
        None
    }
}

/// Live reads of one resource.
#[async_trait]
pub trait Read<T>: Send + Sync {
    /// The filters that the shop itself applies; any other is refused before the shop is asked, since shops ignore what
    /// they do not know and would return everybody.
    fn filters(&self) -> &'static [Filter];

    fn paging(&self) -> Paging;

    async fn list(&self, call: &Call<'_>, query: &Query) -> Result<Page<T>, ProviderError>;

    /// One record by the shop's own id; an id that cannot be one is `None`, not an error.
    async fn one(&self, call: &Call<'_>, id: &str, selection: &Selection) -> Result<Answer<T>, ProviderError>;
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Paging {
    /// Any page can be asked for.
    Numbered,
    /// Pages follow one another; a page by number is walked to, so its number is limited (`api.md`: 10).
    Cursor,
}

/// Everything that one call needs.
pub struct Call<'a> {
    pub http: &'a Http,
    pub account: &'a Account,
    pub credential: &'a Credential,
    pub clock: &'a Clock,
}

/// The account that a connection stands for, without its secrets.
#[derive(Clone, Debug)]
pub struct Account {
    /// The strongest stable name that the provider gives it (`some-shop.myshopify.com`, a shop's canonical home URL).
    pub external_account: String,
    /// Typed by the provider, described by [`Manifest::config`].
    pub config: Value,
    pub scopes: Vec<String>,
}

/// What a finished connect found out.
pub struct Established {
    pub external_account: String,
    /// What people call the account: the shop's own name.
    pub display_name: String,
    pub config: Value,
    pub credential: Credential,
    pub scopes: Vec<String>,
}

/// Connecting with keys that the owner made at the provider and pastes.
#[async_trait]
pub trait PastedKeys: Send + Sync {
    /// Proves the keys by using them. `config` and `secrets` hold the fields of the manifest, already checked for presence.
    ///
    /// # Errors
    /// [`ConnectError::Invalid`] names the field that the person can mend.
    async fn establish(
        &self,
        http: &Http,
        clock: &Clock,
        config: &Value,
        secrets: &PastedSecrets,
    ) -> Result<Established, ConnectError>;
}

/// The secret fields of a connect form, by their names in the manifest.
#[derive(Clone, Default)]
pub struct PastedSecrets(pub Vec<(String, kernel::Secret)>);

impl PastedSecrets {
    pub fn get(&self, name: &str) -> Option<&kernel::Secret> {
        self.0.iter().find(|(field, _)| field == name).map(|(_, secret)| secret)
    }
}

/// Why an account could not be connected.
#[derive(Debug, thiserror::Error)]
pub enum ConnectError {
    /// A field that the person filled in is wrong; `message` says how and what to do.
    #[error("{field}: {message}")]
    Invalid { field: &'static str, message: String },
    #[error(transparent)]
    Provider(#[from] ProviderError),
}

/// OAuth 2 with the authorization-code grant (RFC 6749, section 4.1), with each provider's deviations.
#[async_trait]
pub trait AuthorizationCode: Send + Sync {
    /// Where the owner goes first: the provider's own listing or install page. Nobody types a shop's address.
    fn install_url(&self, app: &AppCredentials) -> Url;

    /// Checks a request that the provider's install page sends to our app URL.
    ///
    /// # Errors
    /// [`Unverified`] when the request was not made by the provider just now.
    fn verify_install(&self, app: &AppCredentials, raw_query: &str, now: Time) -> Result<Install, Unverified>;

    /// Where the owner consents.
    fn authorize_url(&self, app: &AppCredentials, install: &Install, state: &str, redirect_uri: &Url) -> Url;

    /// Checks the redirect back to us, all but the state, which is the caller's.
    ///
    /// # Errors
    /// [`Unverified`] when the callback was not made by the provider just now.
    fn verify_callback(&self, app: &AppCredentials, raw_query: &str, now: Time) -> Result<Callback, Unverified>;

    /// Exchanges the code and looks at the account.
    async fn exchange(
        &self,
        http: &Http,
        clock: &Clock,
        app: &AppCredentials,
        callback: &Callback,
    ) -> Result<Established, ProviderError>;

    /// A new token for an old one. The caller makes sure that one refresh runs at a time and saves before it uses.
    async fn refresh(
        &self,
        http: &Http,
        clock: &Clock,
        app: &AppCredentials,
        account: &Account,
        token: &Token,
    ) -> Result<Token, ProviderError>;
}

/// A verified install request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Install {
    /// The account that asks, validated (`some-shop.myshopify.com`).
    pub account: String,
}

/// A verified callback.
#[derive(Clone)]
pub struct Callback {
    pub account: String,
    pub state: String,
    /// Single use.
    pub code: kernel::Secret,
}

/// A request that claims to come from a provider and cannot prove it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unverified {
    #[error("the signature does not match")]
    Signature,
    #[error("the request is too old or from the future")]
    Stale,
    #[error("the account's name is not one of this provider")]
    Account,
    #[error("a required parameter is missing or repeated")]
    Parameter,
}

/// What a provider says of itself; the dashboard draws the connect form and the switches from it.
#[derive(Debug, Serialize)]
pub struct Manifest {
    /// `shopify`, `woocommerce`, …
    pub key: &'static str,
    pub label: &'static str,
    pub category: Category,
    pub auth_type: AuthType,
    pub capabilities: &'static [Capability],
    /// The fields of the connect form, secrets among them.
    pub config: &'static [Field],
    /// Scopes asked for at connect.
    pub scopes: &'static [&'static str],
    /// What the provider cannot do, in words for people.
    pub notes: &'static [&'static str],
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Category {
    Api,
    Vendor,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum AuthType {
    Oauth,
    ApiKey,
    None,
}

/// One thing a provider can do, switched per connection.
#[derive(Debug, Serialize)]
pub struct Capability {
    /// `read_orders`, `write_customer_tags`, …
    pub key: &'static str,
    pub label: &'static str,
    /// On when connected; writes are off by default.
    pub default_enabled: bool,
    /// The provider's own scopes that it needs.
    pub scopes: &'static [&'static str],
}

/// A field of the connect form.
#[derive(Debug, Serialize)]
pub struct Field {
    pub name: &'static str,
    pub label: &'static str,
    pub kind: FieldKind,
    pub required: bool,
    pub help: &'static str,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum FieldKind {
    Text,
    Url,
    /// Goes into the vault and never comes back.
    Secret,
}
