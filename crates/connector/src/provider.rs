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

    /// For providers whose shops make keys themselves, once their owner consents.
    fn granted_keys(&self) -> Option<&dyn GrantedKeys> {
        None
    }

    /// For providers with OAuth's authorization-code flow.
    fn authorization_code(&self) -> Option<&dyn AuthorizationCode> {
        None
    }

    /// For providers at which our access can be ended by a call.
    fn revoke_access(&self) -> Option<&dyn RevokeAccess> {
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

/// Connecting with keys that the shop itself makes and hands over, from server to server, once its owner has consented in a
/// browser. What it hands over names no shop and carries no signature: the caller knows by the state which shop is meant, and
/// proves the keys there with [`PastedKeys::establish`].
#[async_trait]
pub trait GrantedKeys: PastedKeys {
    /// Looks at the shop that a person named in the public fields of the form, and says where its owner consents.
    ///
    /// # Errors
    /// [`ConnectError::Invalid`] when it is no shop that hands keys over.
    async fn ask(
        &self,
        http: &Http,
        clock: &Clock,
        config: &Value,
        request: &GrantRequest<'_>,
    ) -> Result<GrantPage, ConnectError>;

    /// Reads what the shop hands over. Nothing of it is proved.
    ///
    /// # Errors
    /// [`Unverified::Parameter`] when it is not of the documented form.
    fn read_keys(&self, body: &[u8]) -> Result<HandedOver, Unverified>;

    /// Reads with what the browser came back.
    ///
    /// # Errors
    /// [`Unverified::Parameter`] when it is not of the documented form.
    fn read_return(&self, raw_query: &str) -> Result<GrantReturn, Unverified>;
}

/// What a shop's consent page is told.
pub struct GrantRequest<'a> {
    /// The organization that asks, in its own words: nothing of them is to be believed.
    pub organization: &'a str,
    /// Comes back with the keys and with the browser.
    pub state: &'a str,
    /// Takes the keys, from the shop's server.
    pub callback: &'a Url,
    /// Takes the browser, afterwards.
    pub return_to: &'a Url,
}

/// Where a shop's owner consents.
pub struct GrantPage {
    pub account: String,
    pub url: Url,
}

/// What a shop handed over.
pub struct HandedOver {
    pub state: String,
    /// As if the owner had pasted them.
    pub secrets: PastedSecrets,
    /// What was asked for and not given; empty when all was.
    pub missing_scopes: Vec<String>,
}

/// With what a browser came back from a shop.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GrantReturn {
    pub state: String,
    pub is_granted: bool,
}

/// Ending our access at the provider, so that nothing of it works any more, with us or with anybody.
#[async_trait]
pub trait RevokeAccess: Send + Sync {
    /// # Errors
    /// [`ProviderError::Unauthorized`] when it had ended before.
    async fn revoke(&self, call: &Call<'_>) -> Result<(), ProviderError>;
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
    /// It was made by the provider, and says that the account's owner does not want us.
    #[error("the account's owner did not consent")]
    Denied,
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
    /// Whether an account is connected to one organization at a time: what such a provider sends us names the account alone.
    pub is_exclusive: bool,
    /// What the owner does at the provider where our access cannot be ended by a call, in words for people.
    pub revoke_by_hand: &'static str,
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

/// A way to connect an account.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum ConnectBy {
    /// [`AuthorizationCode`].
    Consent,
    /// [`GrantedKeys`].
    GrantedKeys,
    /// [`PastedKeys`].
    PastedKeys,
}

impl ConnectBy {
    pub const ALL: [Self; 3] = [Self::Consent, Self::GrantedKeys, Self::PastedKeys];

    /// The ways that a provider has.
    pub fn of(provider: &dyn Provider) -> Vec<Self> {
        let has = |way: &Self| match way {
            Self::Consent => provider.authorization_code().is_some(),
            Self::GrantedKeys => provider.granted_keys().is_some(),
            Self::PastedKeys => provider.pasted_keys().is_some(),
        };
        Self::ALL.into_iter().filter(has).collect()
    }
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
