//! Authorization codes, access tokens and refresh tokens of all shops, with the lives and the rotation that Shopify gives
//! them. Holds no clock: the caller says what time it is.

use super::scopes::Scopes;
use chrono::{DateTime, TimeDelta, Utc};
use std::collections::HashMap;

/// How long an authorization code may be exchanged.
const CODE_LIFE: TimeDelta = TimeDelta::seconds(60);
/// How long an expiring offline access token lives.
pub const ACCESS_LIFE: TimeDelta = TimeDelta::seconds(3600);
/// How long a refresh token lives when it is not used.
pub const REFRESH_LIFE: TimeDelta = TimeDelta::days(90);
/// How long a refresh token may be repeated after its first use.
const REPLAY_LIFE: TimeDelta = TimeDelta::days(30);

/// What a token or a code stands for: one app in one shop.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Grant {
    pub(crate) client_id: String,
    /// The `myshopify.com` domain.
    pub(crate) shop: String,
    pub(crate) scopes: Scopes,
}

/// What the token endpoint answers with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Issued {
    pub(crate) access_token: String,
    /// `None`: a token of the old kind, without expiry.
    pub(crate) refresh_token: Option<String>,
    /// When the refresh token ends.
    pub(crate) refresh_until: Option<DateTime<Utc>>,
    pub(crate) scopes: Scopes,
}

#[derive(Debug)]
struct Code {
    grant: Grant,
    redirect_uri: String,
    expires: DateTime<Utc>,
}

#[derive(Debug)]
struct Access {
    grant: Grant,
    expires: Option<DateTime<Utc>>,
}

#[derive(Debug)]
struct Refresh {
    grant: Grant,
    expires: DateTime<Utc>,
    first_used: Option<DateTime<Utc>>,
    /// The token whose use made this one.
    parent: Option<String>,
}

/// All codes and tokens.
#[derive(Debug, Default)]
pub(crate) struct Tokens {
    codes: HashMap<String, Code>,
    access: HashMap<String, Access>,
    refresh: HashMap<String, Refresh>,
}

impl Tokens {
    /// A code for a merchant's consent; it works once, for one minute.
    pub(crate) fn grant_code(&mut self, grant: Grant, redirect_uri: &str, now: DateTime<Utc>) -> String {
        let code = random("");
        let redirect_uri = redirect_uri.to_owned();
        self.codes.insert(code.clone(), Code { grant, redirect_uri, expires: now + CODE_LIFE });
        code
    }

    /// Exchanges a code. `None`: unknown, used, expired, or given for another app, shop or address. A code that was tried
    /// is spent.
    pub(crate) fn exchange(
        &mut self,
        code: &str,
        client_id: &str,
        shop: &str,
        redirect_uri: Option<&str>,
        expiring: bool,
        now: DateTime<Utc>,
    ) -> Option<Issued> {
        let code = self.codes.remove(code)?;
        let meant = code.grant.client_id == client_id && code.grant.shop == shop;
        let same_address = redirect_uri.is_none_or(|uri| uri == code.redirect_uri);
        (meant && same_address && now < code.expires).then(|| self.issue(code.grant, expiring, None, now))
    }

    /// A token without any consent, for tests that start with a connected shop.
    pub(crate) fn issue(&mut self, grant: Grant, expiring: bool, parent: Option<String>, now: DateTime<Utc>) -> Issued {
        let access_token = random("shpat_");
        let expires = expiring.then(|| now + ACCESS_LIFE);
        self.access.insert(access_token.clone(), Access { grant: grant.clone(), expires });
        let scopes = grant.scopes.clone();
        let mut issued = Issued { access_token, refresh_token: None, refresh_until: None, scopes };
        if expiring {
            let token = random("shprt_");
            let expires = now + REFRESH_LIFE;
            self.refresh.insert(token.clone(), Refresh { grant, expires, first_used: None, parent });
            issued.refresh_token = Some(token);
            issued.refresh_until = Some(expires);
        }
        issued
    }

    /// Uses a refresh token. `None`: `invalid_grant`.
    ///
    /// The token stays usable, so that a lost answer can be asked for again, until a token made by it is used for the first
    /// time, at most 30 days after its own first use and within its own 90 days. When it was repeated, the first of its
    /// replacements to be used ends the others.
    pub(crate) fn refresh(&mut self, token: &str, client_id: &str, shop: &str, now: DateTime<Utc>) -> Option<Issued> {
        let used = self.refresh.get_mut(token)?;
        let replayable = used.first_used.is_none_or(|first| now < first + REPLAY_LIFE);
        if used.grant.client_id != client_id || used.grant.shop != shop || now >= used.expires || !replayable {
            return None;
        }
        let first_use = used.first_used.is_none();
        used.first_used.get_or_insert(now);
        let (grant, parent) = (used.grant.clone(), used.parent.clone());
        if let (true, Some(parent)) = (first_use, parent) {
            self.refresh.remove(&parent);
            self.refresh.retain(|name, sibling| name == token || sibling.parent.as_ref() != Some(&parent));
        }
        Some(self.issue(grant, true, Some(token.to_owned()), now))
    }

    /// Exchanges a permanent token for an expiring pair; the permanent one dies at once.
    pub(crate) fn migrate(&mut self, token: &str, client_id: &str, shop: &str, now: DateTime<Utc>) -> Option<Issued> {
        let access = self.access.get(token)?;
        if access.expires.is_some() || access.grant.client_id != client_id || access.grant.shop != shop {
            return None;
        }
        let access = self.access.remove(token)?;
        Some(self.issue(access.grant, true, None, now))
    }

    /// What an access token stands for; `None`: unknown, expired or revoked.
    pub(crate) fn access(&self, token: &str, shop: &str, now: DateTime<Utc>) -> Option<&Grant> {
        let access = self.access.get(token)?;
        let alive = access.expires.is_none_or(|expires| now < expires);
        (alive && access.grant.shop == shop).then_some(&access.grant)
    }

    /// Ends the access tokens of a shop now; refresh tokens stay.
    pub(crate) fn expire_access(&mut self, shop: &str, now: DateTime<Utc>) {
        for access in self.access.values_mut().filter(|access| access.grant.shop == shop) {
            access.expires = Some(now);
        }
    }

    /// Ends the refresh tokens of a shop now; access tokens stay.
    pub(crate) fn expire_refresh(&mut self, shop: &str) {
        self.refresh.retain(|_, refresh| refresh.grant.shop != shop);
    }

    /// Ends every code and token of one app in one shop; `None` for the app: of every app.
    pub(crate) fn revoke(&mut self, shop: &str, client_id: Option<&str>) {
        let keep =
            |grant: &Grant| grant.shop != shop || client_id.is_some_and(|client_id| client_id != grant.client_id);
        self.codes.retain(|_, code| keep(&code.grant));
        self.access.retain(|_, access| keep(&access.grant));
        self.refresh.retain(|_, refresh| keep(&refresh.grant));
    }
}

/// 128 random bits in hex after a prefix, as Shopify writes tokens.
pub(crate) fn random(prefix: &str) -> String {
    format!("{prefix}{}", hex::encode(rand::random::<[u8; 16]>()))
}

#[cfg(test)]
mod tests {
    use super::{ACCESS_LIFE, Grant, Issued, REFRESH_LIFE, Tokens};
    use crate::shopify::scopes::Scopes;
    use chrono::{DateTime, TimeDelta, Utc};

    const SHOP: &str = "a.myshopify.com";

    fn start() -> DateTime<Utc> {
        DateTime::from_timestamp(1_795_000_000, 0).unwrap()
    }

    fn connected(tokens: &mut Tokens) -> Issued {
        let grant = Grant { client_id: "app".into(), shop: SHOP.into(), scopes: Scopes::parse("read_orders") };
        let code = tokens.grant_code(grant, "https://hub/cb", start());
        tokens.exchange(&code, "app", SHOP, None, true, start()).unwrap()
    }

    fn refresh(tokens: &mut Tokens, token: &str, now: DateTime<Utc>) -> Option<String> {
        tokens.refresh(token, "app", SHOP, now)?.refresh_token
    }

    #[test]
    fn a_lost_answer_can_be_asked_for_again_until_the_replacement_is_used() {
        let mut tokens = Tokens::default();
        let first = connected(&mut tokens).refresh_token.unwrap();
        let lost = refresh(&mut tokens, &first, start()).unwrap();
        let second = refresh(&mut tokens, &first, start()).unwrap();
        assert_ne!(lost, second);
        let third = refresh(&mut tokens, &second, start()).unwrap();
        assert_eq!(refresh(&mut tokens, &first, start()), None, "its replacement was used");
        assert_eq!(refresh(&mut tokens, &lost, start()), None, "the other replacement won");
        assert!(refresh(&mut tokens, &second, start()).is_some(), "itself not yet replaced for good");
        assert!(refresh(&mut tokens, &third, start()).is_some());
    }

    #[test]
    fn a_used_refresh_token_ends_30_days_after_its_first_use_and_an_unused_one_after_90() {
        let mut tokens = Tokens::default();
        let first = connected(&mut tokens).refresh_token.unwrap();
        refresh(&mut tokens, &first, start()).unwrap();
        assert!(refresh(&mut tokens, &first, start() + TimeDelta::days(29)).is_some());
        assert_eq!(refresh(&mut tokens, &first, start() + TimeDelta::days(30)), None);
        let unused = connected(&mut tokens).refresh_token.unwrap();
        assert_eq!(refresh(&mut tokens, &unused, start() + REFRESH_LIFE), None);
        let almost = start() + REFRESH_LIFE - TimeDelta::seconds(1);
        assert!(refresh(&mut tokens, &unused, almost).is_some());
        assert_eq!(refresh(&mut tokens, &unused, start() + REFRESH_LIFE), None, "also within its own 90 days");
    }

    #[test]
    fn an_access_token_outlives_a_refresh_and_ends_with_its_hour() {
        let mut tokens = Tokens::default();
        let first = connected(&mut tokens);
        refresh(&mut tokens, first.refresh_token.as_ref().unwrap(), start()).unwrap();
        let almost = start() + ACCESS_LIFE - TimeDelta::seconds(1);
        assert!(tokens.access(&first.access_token, SHOP, almost).is_some());
        assert!(tokens.access(&first.access_token, SHOP, start() + ACCESS_LIFE).is_none());
        assert!(tokens.access(&first.access_token, "b.myshopify.com", start()).is_none());
    }

    #[test]
    fn a_code_works_once_and_only_for_whom_it_was_given() {
        let grant = Grant { client_id: "app".into(), shop: SHOP.into(), scopes: Scopes::default() };
        let mut tokens = Tokens::default();
        let mut code = || tokens.grant_code(grant.clone(), "https://hub/cb", start());
        let (once, foreign, late) = (code(), code(), code());
        assert!(tokens.exchange(&once, "app", SHOP, Some("https://hub/cb"), true, start()).is_some());
        assert!(tokens.exchange(&once, "app", SHOP, None, true, start()).is_none());
        assert!(tokens.exchange(&foreign, "other", SHOP, None, true, start()).is_none());
        assert!(tokens.exchange(&late, "app", SHOP, None, true, start() + TimeDelta::seconds(60)).is_none());
    }

    #[test]
    fn a_permanent_token_migrates_once_and_dies() {
        let grant = Grant { client_id: "app".into(), shop: SHOP.into(), scopes: Scopes::default() };
        let mut tokens = Tokens::default();
        let old = tokens.issue(grant, false, None, start()).access_token;
        assert!(tokens.access(&old, SHOP, start() + TimeDelta::days(900)).is_some());
        let new = tokens.migrate(&old, "app", SHOP, start()).unwrap();
        assert!(new.refresh_token.is_some());
        assert!(tokens.access(&old, SHOP, start()).is_none());
        assert!(tokens.migrate(&new.access_token, "app", SHOP, start()).is_none());
    }

    #[test]
    fn uninstalling_ends_the_tokens_of_that_app_in_that_shop() {
        let mut tokens = Tokens::default();
        let here = connected(&mut tokens);
        tokens.revoke("b.myshopify.com", None);
        tokens.revoke(SHOP, Some("other"));
        assert!(tokens.access(&here.access_token, SHOP, start()).is_some());
        tokens.revoke(SHOP, Some("app"));
        assert!(tokens.access(&here.access_token, SHOP, start()).is_none());
        assert_eq!(refresh(&mut tokens, &here.refresh_token.unwrap(), start()), None);
    }
}
