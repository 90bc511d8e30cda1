//! The shop, and the app as installed on it.

use super::{At, Resolved, View, connection, gid, leaf, maybe, time};
use crate::shopify::graphql::access::AppFacts;
use crate::shopify::graphql::countries;
use crate::shopify::store::Profile;
use apollo_compiler::resolvers::ResolvedValue;
use chrono::Offset;
use chrono::TimeZone;

/// Versions of the Admin API that answer, newest last: handle, name for people, whether it is stable.
pub(in crate::shopify) const VERSIONS: &[(&str, &str, bool)] = &[
    ("2026-01", "2026-01", true),
    ("2026-04", "2026-04", true),
    ("2026-07", "2026-07", true),
    ("2026-10", "2026-10 (Latest)", true),
    ("2027-01", "2027-01 (Release candidate)", false),
    ("unstable", "unstable", false),
];

#[derive(Clone, Copy)]
pub(super) struct Shop<'a>(pub(super) &'a Profile);

impl View for Shop<'_> {
    fn type_name(&self) -> &'static str {
        "Shop"
    }

    fn field<'b>(&'b self, at: At<'b>) -> Resolved<'b> {
        let shop = self.0;
        let zone = shop.market.time_zone;
        let offset = || zone.offset_from_utc_datetime(&at.context.now.naive_utc());
        match at.name() {
            "id" => gid("Shop", shop.id),
            "name" => leaf(shop.name.as_str()),
            "email" | "contactEmail" => leaf(shop.email.as_str()),
            "myshopifyDomain" => leaf(shop.domain()),
            "url" => leaf(format!("https://{}", shop.primary_host)),
            "currencyCode" => leaf(shop.market.currency.code),
            "ianaTimezone" => leaf(zone.name()),
            "timezoneAbbreviation" => leaf(offset().to_string()),
            "timezoneOffsetMinutes" => leaf(offset().fix().local_minus_utc() / 60),
            "taxesIncluded" => leaf(shop.market.prices_include_tax),
            "taxShipping" | "setupRequired" => leaf(false),
            "weightUnit" => leaf("KILOGRAMS"),
            "unitSystem" => leaf("METRIC_SYSTEM"),
            "createdAt" => time(shop.created_at),
            "primaryDomain" => at.node(Domain(shop)),
            "plan" => at.node(Plan(shop.plan)),
            "shopAddress" => at.node(ShopAddress(shop)),
            "enabledPresentmentCurrencies" => {
                let codes = shop.presentment_currencies.iter().map(|code| ResolvedValue::leaf(*code));
                Ok(ResolvedValue::list(codes.collect::<Vec<_>>()))
            }
            "resourceLimits" => at.node(ResourceLimits),
            _ => at.unknown(self),
        }
    }
}

struct Domain<'a>(&'a Profile);

impl View for Domain<'_> {
    fn type_name(&self) -> &'static str {
        "Domain"
    }

    fn field<'b>(&'b self, at: At<'b>) -> Resolved<'b> {
        match at.name() {
            "id" => gid("Domain", self.0.id + 1),
            "host" => leaf(self.0.primary_host.as_str()),
            "url" => leaf(format!("https://{}", self.0.primary_host)),
            "sslEnabled" => leaf(true),
            _ => at.unknown(self),
        }
    }
}

struct Plan(&'static str);

impl View for Plan {
    fn type_name(&self) -> &'static str {
        "ShopPlan"
    }

    fn field<'b>(&'b self, at: At<'b>) -> Resolved<'b> {
        match at.name() {
            "publicDisplayName" => leaf(self.0),
            "partnerDevelopment" => leaf(self.0 == "Development"),
            "shopifyPlus" => leaf(self.0 == "Plus"),
            _ => at.unknown(self),
        }
    }
}

struct ShopAddress<'a>(&'a Profile);

impl View for ShopAddress<'_> {
    fn type_name(&self) -> &'static str {
        "ShopAddress"
    }

    fn field<'b>(&'b self, at: At<'b>) -> Resolved<'b> {
        let country = self.0.market.country;
        match at.name() {
            "id" => gid("ShopAddress", self.0.id),
            "address1" => leaf("Main street 1"),
            "company" => leaf(self.0.name.as_str()),
            "countryCodeV2" => leaf(country),
            "country" => leaf(countries::name(country)),
            "address2" | "city" | "zip" | "provinceCode" | "province" | "phone" => Ok(ResolvedValue::null()),
            "formatted" => Ok(ResolvedValue::list([ResolvedValue::leaf("Main street 1")])),
            _ => at.unknown(self),
        }
    }
}

struct ResourceLimits;

impl View for ResourceLimits {
    fn type_name(&self) -> &'static str {
        "ShopResourceLimits"
    }

    fn field<'b>(&'b self, at: At<'b>) -> Resolved<'b> {
        match at.name() {
            "maxProductVariants" => leaf(2048),
            "maxProductOptions" => leaf(3),
            "locationLimit" => leaf(10),
            _ => at.unknown(self),
        }
    }
}

/// `AppInstallation` of whoever asks.
pub(super) struct Installation;

impl View for Installation {
    fn type_name(&self) -> &'static str {
        "AppInstallation"
    }

    fn field<'b>(&'b self, at: At<'b>) -> Resolved<'b> {
        let viewer = at.context.viewer;
        match at.name() {
            "id" => gid("AppInstallation", viewer.app.id + at.store().profile.id),
            "accessScopes" => at.nodes(viewer.scopes.expanded().into_iter().map(AccessScope)),
            "activeSubscriptions" => connection::none(),
            "app" => at.node(App(&viewer.app)),
            "launchUrl" => leaf(viewer.app.url.as_str()),
            _ => at.unknown(self),
        }
    }
}

struct AccessScope(String);

impl View for AccessScope {
    fn type_name(&self) -> &'static str {
        "AccessScope"
    }

    fn field<'b>(&'b self, at: At<'b>) -> Resolved<'b> {
        match at.name() {
            "handle" => leaf(self.0.as_str()),
            _ => at.unknown(self),
        }
    }
}

pub(super) struct App<'a>(pub(super) &'a AppFacts);

impl View for App<'_> {
    fn type_name(&self) -> &'static str {
        "App"
    }

    fn field<'b>(&'b self, at: At<'b>) -> Resolved<'b> {
        match at.name() {
            "id" => gid("App", self.0.id),
            "handle" => maybe(Some(self.0.handle.as_str())),
            "title" => leaf(self.0.title.as_str()),
            _ => at.unknown(self),
        }
    }
}

/// One of [`VERSIONS`].
pub(super) struct ApiVersion(pub(super) &'static (&'static str, &'static str, bool));

impl View for ApiVersion {
    fn type_name(&self) -> &'static str {
        "ApiVersion"
    }

    fn field<'b>(&'b self, at: At<'b>) -> Resolved<'b> {
        let (handle, name, supported) = *self.0;
        match at.name() {
            "handle" => leaf(handle),
            "displayName" => leaf(name),
            "supported" => leaf(supported),
            _ => at.unknown(self),
        }
    }
}
