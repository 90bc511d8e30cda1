//! The closed sets of words that the API answers with, for its document.

use connector::{
    model,
    query::{Coverage, WithheldReason},
};
use kit::{Code, error_reports, trail::Level};

use crate::connections::model::{Health, NextStep, Status};

/// The kinds of data that shops are asked for.
pub(crate) const RESOURCES: [&str; 3] = ["customers", "orders", "products"];

fn codes() -> impl Iterator<Item = &'static str> {
    Code::ALL.iter().map(|code| code.as_str())
}

kit::vocabulary! {
    /// Where an order stands, in one vocabulary for all platforms.
    pub(crate) OrderStatus = model::OrderStatus::ALL.iter().map(|status| status.as_str());
    /// Whether an order was paid.
    pub(crate) PaymentStatus = model::PaymentStatus::ALL.iter().map(|status| status.as_str());
    /// Whether an order was sent.
    pub(crate) FulfillmentStatus = model::FulfillmentStatus::ALL.iter().map(|status| status.as_str());
    /// Whether a product is sold.
    pub(crate) ProductStatus = model::ProductStatus::ALL.iter().map(|status| status.as_str());
    /// Why there may be more than is shown. `abridged`: some records carry only the first of their parts; read one to see
    /// all.
    pub(crate) CoverageNote = Coverage::ALL.iter().map(|coverage| coverage.as_str());
    /// `switch` (the store's owner), `scope` (the shop) or `provider_approval` (the platform).
    pub(crate) WithheldBecause = WithheldReason::ALL.iter().map(|reason| reason.as_str());

    /// Where a connection stands. `connected`, `paused` and `suspended` ones are read live.
    pub(crate) ConnectionStatus = Status::ALL.map(Status::as_str);
    /// Whether the shop answers. `degraded` passes by itself; with `failing`, somebody must do something.
    pub(crate) ConnectionHealth = Health::ALL.map(Health::as_str);
    /// What somebody is to do about a connection. `wait`: it passes by itself.
    pub(crate) ConnectionNextStep = NextStep::ALL.map(NextStep::as_str);
    /// `keys` were pasted or handed over by the shop, a `token` was given by consent.
    pub(crate) CredentialKind = ["keys", "token"];

    /// `api` is talked to, `vendor` works by hand.
    pub(crate) ProviderCategory = ["api", "vendor"];
    /// How it is connected: by its consent page, with keys that its owner pastes, or without either.
    pub(crate) ProviderAuthType = ["oauth", "api_key", "none"];
    /// `consent`: POST /api/oauth/{provider}/start alone. `granted_keys`: the same, with the fields of the form that are not
    /// secret. `pasted_keys`: POST /api/integrations/connections/.
    pub(crate) ProviderConnectBy = ["consent", "granted_keys", "pasted_keys"];
    /// What a field of the connect form takes.
    pub(crate) ConfigFieldKind = ["text", "url", "secret"];

    /// A kind of data that shops are asked for.
    pub(crate) ShopResource = RESOURCES;
    /// What was asked of a shop: a list, one record, a search, or a test whether it answers.
    pub(crate) ShopOperation = ["list", "one", "search", "test"];
    /// `ok`, or the code of the problem that the caller got.
    pub(crate) AccessResult = std::iter::once("ok").chain(codes());
    /// `ok`, `disabled` (its owner does not want it read, so the shop was not asked), or the code of a problem.
    pub(crate) TestResult = ["ok", "disabled"].into_iter().chain(codes());

    /// What kind of thing broke: an answer of 500 or above, a panic, a job that is not tried again, something that the program
    /// does by itself, or what does not fit what the operator has set.
    pub(crate) ErrorKind = error_reports::Kind::ALL.map(error_reports::Kind::as_str);

    /// How much an event matters.
    pub(crate) EventLevel = Level::ALL.iter().map(|level| level.as_str());
}

#[cfg(test)]
mod tests {
    use connector::provider::{AuthType, Category, ConnectBy, FieldKind};
    use serde_json::json;
    use utoipa::PartialSchema;

    use super::*;

    fn words<T: PartialSchema>() -> serde_json::Value {
        serde_json::to_value(T::schema()).unwrap()["enum"].clone()
    }

    #[test]
    fn words_are_those_of_the_manifests() {
        assert_eq!(words::<ProviderCategory>(), json!([Category::Api, Category::Vendor]));
        assert_eq!(words::<ProviderAuthType>(), json!([AuthType::Oauth, AuthType::ApiKey, AuthType::None]));
        assert_eq!(words::<ProviderConnectBy>(), json!(ConnectBy::ALL));
        assert_eq!(words::<ConfigFieldKind>(), json!([FieldKind::Text, FieldKind::Url, FieldKind::Secret]));
    }

    #[test]
    fn results_begin_with_ok_and_name_every_problem() {
        assert_eq!(words::<AccessResult>().as_array().unwrap().len(), 1 + Code::ALL.len());
        assert_eq!(words::<TestResult>().as_array().unwrap().len(), 2 + Code::ALL.len());
    }
}
