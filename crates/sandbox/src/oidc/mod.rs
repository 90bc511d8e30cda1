//! An issuer of OpenID Connect tokens, in the shape of Supabase Auth: a discovery document, a key set, and tokens for whoever a
//! test says. From the standards alone: OpenID Connect Discovery 1.0, RFC 7517, RFC 7519.
//!
//! | file | holds |
//! |---|---|
//! | `keys` | key pairs, and how they are published |
//! | `serve` | the documents, and a token for the asking |

mod keys;
mod serve;

pub use keys::Algorithm;

use crate::Options;
use crate::faults::Faults;
use crate::server::{CallLog, Site};
use axum::Router;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use keys::SigningKey;
use serde_json::{Value, json};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Where it is.
pub const HOST: &str = "login.posta.example";
/// What it puts into `iss`.
pub const ISSUER: &str = "https://login.posta.example/auth/v1";
/// Whom its tokens are for unless something else is asked for, as at Supabase.
pub const AUDIENCE: &str = "authenticated";
/// How long they live.
const LIVES_SECONDS: i64 = 3_600;

/// A running issuer. Cloning gives another handle on the same.
#[derive(Clone)]
pub struct Simulator {
    inner: Arc<Inner>,
}

struct Inner {
    clock: crate::Clock,
    keys: Mutex<Vec<SigningKey>>,
    faults: Faults,
    calls: CallLog,
}

impl std::fmt::Debug for Simulator {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Simulator").field("issuer", &ISSUER).finish_non_exhaustive()
    }
}

impl Simulator {
    pub(crate) fn new(options: &Options) -> anyhow::Result<Simulator> {
        let first = SigningKey::generate(Algorithm::Es256)?;
        let inner = Inner {
            clock: options.clock.clone(),
            keys: Mutex::new(vec![first]),
            faults: Faults::default(),
            calls: CallLog::default(),
        };
        Ok(Simulator { inner: Arc::new(inner) })
    }

    /// A token of this person, whose claims are the usual ones with these in their place. A claim that is null is left out.
    ///
    /// # Panics
    /// When the claims are no object.
    pub fn token(&self, claims: Value) -> String {
        self.sign(json!({}), &self.claims(claims))
    }

    /// The usual claims, with these in their place.
    ///
    /// # Panics
    /// When they are no object.
    pub fn claims(&self, given: Value) -> Value {
        let now = self.inner.clock.now().timestamp();
        let mut claims = json!({ "iss": ISSUER, "aud": AUDIENCE, "iat": now, "exp": now + LIVES_SECONDS, "role": "authenticated",
            "aal": "aal1", "is_anonymous": false, "amr": [{ "method": "password", "timestamp": now }] });
        replace(&mut claims, given);
        claims
    }

    /// Signs anything with the newest key. Members of `header` stand in the place of the usual ones; one that is null is left out.
    ///
    /// # Panics
    /// When the header is no object, or the machine has no randomness.
    pub fn sign(&self, header: Value, claims: &Value) -> String {
        let mut whole = self.header();
        replace(&mut whole, header);
        self.sign_text(&whole.to_string(), &claims.to_string())
    }

    /// The usual header: of the newest key.
    ///
    /// # Panics
    /// Never: there is always a key.
    pub fn header(&self) -> Value {
        let keys = self.keys();
        let key = keys.last().expect("there is always a key");
        json!({ "alg": key.algorithm().as_str(), "typ": "JWT", "kid": key.kid() })
    }

    /// Signs two texts, whatever they are, with the newest key.
    ///
    /// # Panics
    /// When the machine has no randomness.
    pub fn sign_text(&self, header: &str, claims: &str) -> String {
        let message = [header, claims].map(|part| URL_SAFE_NO_PAD.encode(part)).join(".");
        let signature = self.keys().last().and_then(|key| key.sign(message.as_bytes()).ok()).expect("a signature");
        format!("{message}.{}", URL_SAFE_NO_PAD.encode(signature))
    }

    /// From now on tokens are signed with a new key; the ones before it stay published. The new key's name.
    ///
    /// # Panics
    /// When the machine has no randomness.
    pub fn rotate(&self, algorithm: Algorithm) -> String {
        let key = SigningKey::generate(algorithm).expect("a key");
        let kid = key.kid().to_owned();
        self.keys().push(key);
        kid
    }

    /// Publishes the newest key only.
    pub fn withdraw_old_keys(&self) {
        let mut keys = self.keys();
        let newest = keys.pop();
        keys.clear();
        keys.extend(newest);
    }

    /// The published keys (RFC 7517).
    pub fn key_set(&self) -> Value {
        json!({ "keys": self.keys().iter().map(SigningKey::public).collect::<Vec<_>>() })
    }

    /// The faults in front of it.
    pub fn faults(&self) -> &Faults {
        &self.inner.faults
    }

    /// What it was asked.
    pub fn calls(&self) -> &CallLog {
        &self.inner.calls
    }

    fn keys(&self) -> MutexGuard<'_, Vec<SigningKey>> {
        self.inner.keys.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn replace(members: &mut Value, given: Value) {
    let (Value::Object(members), Value::Object(given)) = (members, given) else { panic!("not an object") };
    for (name, value) in given {
        match value {
            Value::Null => members.remove(&name),
            value => members.insert(name, value),
        };
    }
}

impl Site for Simulator {
    fn hosts(&self) -> Vec<String> {
        vec![HOST.to_owned()]
    }

    fn router(&self) -> Router {
        serve::router(self)
    }
}
