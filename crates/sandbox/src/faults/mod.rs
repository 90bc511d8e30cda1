//! What goes wrong between a client and a shop, switched on from tests, or over HTTP ([`board`]).
//!
//! A service has one [`Faults`]; its router is wrapped with [`Faults::apply`]. Rules are tried in the order they were injected,
//! and all that match act together, up to one that ends the request: a `Delay` and then an `Answer` is a slow answer.

pub(crate) mod board;
mod page;
mod strike;

use crate::world::Rng;
use axum::Router;
use axum::middleware::from_fn_with_state;
use bytes::Bytes;
use http::{HeaderMap, HeaderValue, StatusCode, header};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// Something that goes wrong.
#[derive(Debug, Clone)]
pub enum Fault {
    /// The request reaches the service this much later, and so the answer comes later.
    Delay(Duration),
    /// The service does at once what it is asked; its answer comes this much later.
    LateAnswer(Duration),
    /// The answer comes later, by something between these two.
    Jitter(Duration, Duration),
    /// Something in front of the service answers instead of it.
    Answer {
        /// The status.
        status: StatusCode,
        /// Headers, `Content-Type` among them.
        headers: HeaderMap,
        /// The body.
        body: Bytes,
    },
    /// The connection is closed before any byte of the answer.
    CutBeforeHeaders,
    /// The connection is closed after the headers.
    CutAfterHeaders,
    /// The connection is closed after half of the body.
    CutHalfway,
    /// No answer ever comes; the connection stays open.
    Hang,
    /// The service does what it was asked, and then the connection is closed before any byte of the answer.
    LoseAnswer,
    /// The body comes in pieces of so many bytes, with this pause before each.
    Drip {
        /// Bytes of a piece.
        bytes: usize,
        /// The pause before each.
        pause: Duration,
    },
    /// Only the first half of the body comes, and is said to be all of it.
    Truncate,
    /// These bytes come before the body: a byte order mark, a PHP notice.
    Prefix(Bytes),
    /// The web server does not pass the `Authorization` header on.
    StripAuthorization,
    /// The service no longer knows the token or key: it refuses in its own words. Tokens can still be renewed.
    RevokedToken,
    /// The merchant has removed the app or the key: neither the token nor its renewal works.
    Uninstalled,
    /// The service's clock is off by this much (ahead, if positive). Read by the service through [`ClockSkew`].
    WrongClock(chrono::TimeDelta),
    /// The first JSON object of the body has one more field, of this many bytes.
    GiantField(usize),
}

/// An extension of a request: how far the service's clock is off for it.
#[derive(Debug, Clone, Copy)]
pub struct ClockSkew(pub chrono::TimeDelta);

impl Fault {
    /// 429 with a plain body, as a hosting company's front end sends it.
    pub fn too_many_requests(retry_after: Option<Duration>) -> Fault {
        let mut fault = Self::html(StatusCode::TOO_MANY_REQUESTS, "429 Too Many Requests");
        if let (Fault::Answer { headers, .. }, Some(wait)) = (&mut fault, retry_after) {
            headers.insert(header::RETRY_AFTER, HeaderValue::from(wait.as_secs()));
        }
        fault
    }

    /// An HTML page with this status, as firewalls and proxies send it.
    pub fn html(status: StatusCode, title: &str) -> Fault {
        let body =
            format!("<!DOCTYPE html>\n<html><head><title>{title}</title></head><body><h1>{title}</h1></body></html>\n");
        Self::answer(status, "text/html; charset=UTF-8", body)
    }

    /// Any answer.
    pub fn answer(status: StatusCode, content_type: &'static str, body: impl Into<Bytes>) -> Fault {
        let headers = HeaderMap::from_iter([(header::CONTENT_TYPE, HeaderValue::from_static(content_type))]);
        Fault::Answer { status, headers, body: body.into() }
    }

    /// Shopify's GraphQL answer to who has used up the budget.
    pub fn throttled() -> Fault {
        let body = r#"{"errors":[{"message":"Throttled","extensions":{"code":"THROTTLED","documentation":"https://shopify.dev/api/usage/rate-limits"}}],"extensions":{"cost":{"requestedQueryCost":100,"actualQueryCost":null,"throttleStatus":{"maximumAvailable":2000.0,"currentlyAvailable":0,"restoreRate":100.0}}}}"#;
        Self::answer(StatusCode::OK, "application/json; charset=utf-8", body)
    }

    /// 500 with WordPress' JSON for a fatal PHP error.
    pub fn php_fatal() -> Fault {
        let body = r#"{"code":"internal_server_error","message":"<p>There has been a critical error on this website.<\/p>","data":{"status":500},"additional_errors":[]}"#;
        Self::answer(StatusCode::INTERNAL_SERVER_ERROR, "application/json; charset=UTF-8", body)
    }

    /// A PHP notice printed before the JSON.
    pub fn php_notice() -> Fault {
        let notice = "<br />\n<b>Notice</b>:  Undefined index: rate in <b>/var/www/html/wp-content/plugins/rates/rates.php</b> on line <b>42</b><br />\n";
        Fault::Prefix(Bytes::from_static(notice.as_bytes()))
    }

    /// A UTF-8 byte order mark before the JSON.
    pub fn byte_order_mark() -> Fault {
        Fault::Prefix(Bytes::from_static("\u{feff}".as_bytes()))
    }
}

/// Which requests a fault strikes, and how often.
#[derive(Debug, Clone)]
pub struct Rule {
    fault: Fault,
    path: Option<String>,
    skip: u32,
    times: Option<u32>,
    chance: Option<(f64, Rng)>,
    jitter: Rng,
    struck: u64,
}

impl Rule {
    /// Only requests whose path contains `part`; `*` in it stands for anything.
    pub fn on(mut self, part: &str) -> Rule {
        self.path = Some(part.to_owned());
        self
    }

    /// Only this share of the requests, from 0 to 1. The same seed chooses the same ones of a sequence.
    pub fn with_probability(mut self, share: f64, seed: u64) -> Rule {
        self.chance = Some((share, Rng::new(seed)));
        self.jitter = Rng::new(!seed);
        self
    }

    /// Only so many requests, then never again.
    pub fn times(mut self, times: u32) -> Rule {
        self.times = Some(times);
        self
    }

    /// Lets the first `skip` matching requests pass.
    pub fn after(mut self, skip: u32) -> Rule {
        self.skip = skip;
        self
    }

    /// Whether it strikes this request, and how; counts it.
    fn strike(&mut self, path: &str) -> Option<Fault> {
        if self.path.as_ref().is_some_and(|pattern| !fits(pattern, path)) || self.is_over() {
            return None;
        }
        if self.skip > 0 {
            self.skip -= 1;
            return None;
        }
        if let Some((share, rng)) = &mut self.chance
            && (rng.below(1 << 53) as f64) / ((1u64 << 53) as f64) >= *share
        {
            return None;
        }
        if let Some(times) = &mut self.times {
            *times -= 1;
        }
        self.struck += 1;
        Some(match &self.fault {
            Fault::Jitter(from, to) => {
                let millis = |time: &Duration| u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
                Fault::Delay(Duration::from_millis(self.jitter.between(millis(from), millis(to))))
            }
            other => other.clone(),
        })
    }

    /// Whether it will never strike again.
    fn is_over(&self) -> bool {
        self.times == Some(0)
    }
}

/// Whether the path contains the pattern's parts, which `*` separates, one after the other.
fn fits(pattern: &str, path: &str) -> bool {
    let mut rest = path;
    pattern.split('*').all(|part| match rest.find(part) {
        Some(at) => {
            rest = &rest[at + part.len()..];
            true
        }
        None => false,
    })
}

impl From<Fault> for Rule {
    fn from(fault: Fault) -> Rule {
        Rule { fault, path: None, skip: 0, times: None, chance: None, jitter: Rng::new(0), struck: 0 }
    }
}

/// A rule that may be switched on in several services: they count together.
type Shared = Arc<Mutex<Rule>>;

/// The faults of one simulated service. Cloning gives another handle on the same.
#[derive(Debug, Clone, Default)]
pub struct Faults {
    rules: Arc<Mutex<Vec<Shared>>>,
}

impl Faults {
    /// Switches a fault on: `faults.inject(Fault::Hang)`, `faults.inject(Rule::from(Fault::Hang).on("/orders").times(1))`.
    pub fn inject(&self, rule: impl Into<Rule>) {
        self.share(&Arc::new(Mutex::new(rule.into())));
    }

    /// Switches all faults off.
    pub fn clear(&self) {
        lock(&self.rules).clear();
    }

    /// Puts the faults in front of a service's routes.
    pub fn apply(&self, router: Router) -> Router {
        router.layer(from_fn_with_state(self.clone(), strike::strike))
    }

    fn share(&self, rule: &Shared) {
        lock(&self.rules).push(rule.clone());
    }

    fn take_away(&self, rule: &Shared) {
        lock(&self.rules).retain(|known| !Arc::ptr_eq(known, rule));
    }

    /// The faults that strike a request for `path`; counts the request. Those behind one that ends the request do not see it.
    fn striking(&self, path: &str) -> Vec<Fault> {
        let mut striking = vec![];
        let mut rules = lock(&self.rules);
        rules.retain(|rule| !lock(rule).is_over());
        for rule in rules.iter() {
            if let Some(fault) = lock(rule).strike(path) {
                let ends = matches!(fault, Fault::Answer { .. } | Fault::CutBeforeHeaders | Fault::Hang);
                striking.push(fault);
                if ends {
                    break;
                }
            }
        }
        striking
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pattern_is_a_part_or_parts_in_their_order() {
        assert!(fits("/orders", "/wp-json/wc/v3/orders/7"));
        assert!(fits("wc/*/orders", "/wp-json/wc/v3/orders"));
        assert!(fits("*", "/"));
        assert!(!fits("orders*wc", "/wp-json/wc/v3/orders"));
        assert!(!fits("/products", "/wp-json/wc/v3/orders"));
    }

    #[test]
    fn a_share_of_the_requests_is_the_same_for_the_same_seed() {
        let struck = |share, seed| -> Vec<bool> {
            let mut rule = Rule::from(Fault::Hang).with_probability(share, seed);
            (0..1000).map(|_| rule.strike("/").is_some()).collect()
        };
        assert_eq!(struck(0.3, 7), struck(0.3, 7));
        assert_ne!(struck(0.3, 7), struck(0.3, 8));
        let count = struck(0.3, 7).iter().filter(|struck| **struck).count();
        assert!((250..350).contains(&count), "{count}");
        assert!(struck(0.0, 7).iter().all(|struck| !struck) && struck(1.0, 7).iter().all(|struck| *struck));
    }
}
