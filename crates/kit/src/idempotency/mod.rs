//! `Idempotency-Key`: what a POST creates is created once, however often it is sent
//! (draft-ietf-httpapi-idempotency-key-header).
//!
//! A handler opts in with [`Once`] in place of its body, and `params(IdempotencyKey)` in the document. The key is taken in a
//! transaction of its own before anything is done, so that of two at once one runs. It is free again when the request is
//! refused, for then nothing was created. When it is not known what came of a request, since the program or the database
//! ended in the middle of it, its key is not used again: running it once more could create a second.

mod store;

use axum::{
    extract::{FromRequest, Request},
    http::{HeaderMap, HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use chrono::Duration;
use db::{DbError, SystemTx};
use hmac::{Hmac, KeyInit, Mac};
use kernel::{TenantScope, Time};
use serde::{Serialize, de::DeserializeOwned};
use sha2::Sha256;
use utoipa::IntoParams;

use crate::{App, Code, Problem, input, request_id, retention::BATCH, vault::TokenSealer};

/// The header of the request.
pub const HEADER: &str = "idempotency-key";
/// Says that an answer is an earlier one.
pub const REPLAYED: &str = "idempotency-replayed";
/// How long an answer is given again.
pub const KEPT: Duration = Duration::hours(72);
const LENGTH_MAX: usize = 255;
/// No request runs longer: the server gives up after a minute, and what goes on is one call to a provider at most.
const RUNS_AT_MOST: Duration = Duration::seconds(120);

/// The header, for the document: `params(IdempotencyKey)`.
#[derive(IntoParams)]
#[into_params(parameter_in = Header)]
#[expect(dead_code, reason = "its fields are for the document")]
pub struct IdempotencyKey {
    /// Of your choice, new for each thing to create: sent again with the same body within 72 hours, nothing more is created
    /// and the answer is the first one, with `Idempotency-Replayed: true`. What is shown once is null in it.
    #[param(rename = "Idempotency-Key", required = false, min_length = 1, max_length = 255)]
    idempotency_key: String,
}

/// What a creation answers, with 201.
pub trait Created: Serialize + Send + 'static {
    /// What is kept, and answered when the request is sent again: without what is shown once.
    #[must_use]
    fn again(self) -> Self;
}

/// A JSON body that is acted on once for each `Idempotency-Key`. Without the header it is a plain body.
pub struct Once<T> {
    form: T,
    key: Option<Key>,
}

struct Key {
    text: String,
    request: [u8; 32],
}

impl<T: DeserializeOwned> FromRequest<App> for Once<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, app: &App) -> Result<Self, Problem> {
        let text = chosen(request.headers())?;
        // With the ids that are in it: the same body for another member is another request.
        let operation = format!("{} {}", request.method(), request.uri().path());
        let body = input::body(request, app).await?;
        let form = input::json(&body)?;
        let key = text.map(|text| Key { text, request: digest(app, "request", &[operation.as_bytes(), &body]) });
        Ok(Self { form, key })
    }
}

impl<T> Once<T> {
    /// Runs `create`, or answers what it answered before. It runs to its end when the caller hangs up, so that the answer
    /// is there when they come back.
    ///
    /// # Errors
    /// Those of `create`; [`Code::IdempotencyKeyReused`] for another request under the same key,
    /// [`Code::RequestInProgress`] while the first runs, or when nobody knows what came of it.
    pub async fn answer<V, F>(
        self,
        app: App,
        scope: TenantScope,
        create: impl FnOnce(App, TenantScope, T) -> F,
    ) -> Result<Response, Problem>
    where
        V: Created,
        F: Future<Output = Result<V, Problem>> + Send + 'static,
    {
        let work = create(app.clone(), scope.clone(), self.form);
        let Some(key) = self.key else { return written(&work.await?).map(created) };
        let running = async move {
            let attempt = Attempt::new(&app, &scope, &key);
            if let Some(answered) = attempt.claim().await? {
                return Ok(answered);
            }
            let outcome = work.await;
            attempt.settle(outcome).await
        };
        request_id::spawn(running).await.map_err(|error| Problem::internal(&error))?
    }
}

/// A request with a key, in the organization and by the hand of one actor.
struct Attempt {
    app: App,
    scope: TenantScope,
    key: [u8; 32],
    request: [u8; 32],
}

impl Attempt {
    fn new(app: &App, scope: &TenantScope, key: &Key) -> Self {
        let place = [scope.actor().label(), key.text.clone()];
        let [actor, text] = place.each_ref().map(String::as_bytes);
        let digest = digest(app, "key", &[scope.organization().uuid().as_bytes(), actor, text]);
        Self { app: app.clone(), scope: scope.clone(), key: digest, request: key.request }
    }

    /// Takes the key; the earlier answer if it was taken before.
    async fn claim(&self) -> Result<Option<Response>, Problem> {
        let now = self.app.clock.now();
        let mut tx = self.app.db.tenant(&self.scope).await?;
        if store::claim(&mut tx, &self.key, &self.request, now, now - KEPT).await? {
            tx.commit().await?;
            return Ok(None);
        }
        let earlier = store::find(&mut tx, &self.key).await?;
        tx.rollback().await?;
        // It was freed between the two questions.
        let earlier = earlier.ok_or_else(in_progress)?;
        if earlier.request_digest != self.request {
            return Err(Problem::new(
                Code::IdempotencyKeyReused,
                "This Idempotency-Key was sent with another request. Choose a new key for each thing to create.",
            ));
        }
        let Some(sealed) = earlier.sealed_answer else {
            return Err(if now - earlier.created_at < RUNS_AT_MOST { in_progress() } else { unsettled() });
        };
        let opened = self
            .sealer()
            .open_stored(&sealed, &self.bound_to(), now)
            .map_err(|error| Problem::internal(&format!("a kept answer: {error}")))?;
        if self.names_what_is_hidden(&opened) {
            return Err(Problem::not_found());
        }
        let mut response = created(opened.to_vec());
        response.headers_mut().insert(REPLAYED, HeaderValue::from_static("true"));
        Ok(Some(response))
    }

    /// Whether an answer names a connection that was hidden from the caller since.
    fn names_what_is_hidden(&self, answer: &[u8]) -> bool {
        self.scope.rights().hidden().any(|connection| {
            let id = connection.to_string();
            answer.windows(id.len()).any(|part| part.eq_ignore_ascii_case(id.as_bytes()))
        })
    }

    /// Keeps the answer, or frees the key when nothing was created.
    async fn settle<V: Created>(&self, outcome: Result<V, Problem>) -> Result<Response, Problem> {
        match outcome {
            Ok(view) => {
                let response = written(&view).map(created)?;
                let kept = self.keep(&written(&view.again())?).await;
                if let Err(error) = kept {
                    // It was created, which the caller is told; sent again it is refused and not done again.
                    tracing::warn!(%error, "the answer to an idempotent request is not kept");
                }
                Ok(response)
            }
            Err(problem) => {
                if !matches!(problem.code(), Code::Internal | Code::DatabaseUnavailable)
                    && let Err(error) = self.release().await
                {
                    tracing::warn!(%error, "the key of a refused idempotent request stays taken");
                }
                Err(problem)
            }
        }
    }

    async fn keep(&self, answer: &[u8]) -> Result<(), DbError> {
        let sealed = self.sealer().seal_stored(answer, &self.bound_to(), self.app.clock.now());
        let mut tx = self.app.db.tenant(&self.scope).await?;
        store::keep_answer(&mut tx, &self.key, &sealed).await?;
        tx.commit().await
    }

    async fn release(&self) -> Result<(), DbError> {
        let mut tx = self.app.db.tenant(&self.scope).await?;
        store::release(&mut tx, &self.key).await?;
        tx.commit().await
    }

    fn sealer(&self) -> TokenSealer {
        TokenSealer::new(&self.app.keyring, "idempotent answers", KEPT)
    }

    /// An answer opens for the request that it answers, and for no other.
    fn bound_to(&self) -> [(&str, &[u8]); 2] {
        [("key", &self.key), ("request", &self.request)]
    }
}

fn in_progress() -> Problem {
    Problem::new(Code::RequestInProgress, "The first request with this Idempotency-Key is still running.")
        .with_retry_after(std::time::Duration::from_secs(1))
}

fn unsettled() -> Problem {
    Problem::new(
        Code::RequestInProgress,
        "The first request with this Idempotency-Key ended without an answer. Look whether what it creates is there; if \
         not, send it with a new key.",
    )
}

/// # Errors
/// When there is more than one, or one that is empty, too long or not plain ASCII.
pub(crate) fn chosen(headers: &HeaderMap) -> Result<Option<String>, Problem> {
    let mut values = headers.get_all(HEADER).iter();
    let Some(value) = values.next() else { return Ok(None) };
    let text = value.to_str().ok().map(str::trim).filter(|text| (1..=LENGTH_MAX).contains(&text.len()));
    match (text, values.next()) {
        (Some(text), None) => Ok(Some(text.to_owned())),
        _ => Err(Problem::invalid("Idempotency-Key", "must be one header of 1 to 255 plain ASCII characters")),
    }
}

/// Keyed, so that neither a key nor a body can be guessed from what is kept.
fn digest(app: &App, what: &'static str, fields: &[&[u8]]) -> [u8; 32] {
    let mut mac = <Hmac<Sha256> as KeyInit>::new_from_slice(&*app.keyring.derive("idempotency"))
        .unwrap_or_else(|_| unreachable!("HMAC takes keys of any length"));
    for field in [what.as_bytes()].iter().chain(fields) {
        // With its length, so that no two lists of fields are the same text.
        mac.update(&(field.len() as u64).to_be_bytes());
        mac.update(field);
    }
    mac.finalize().into_bytes().into()
}

fn written(view: &impl Serialize) -> Result<Vec<u8>, Problem> {
    serde_json::to_vec(view).map_err(|error| Problem::internal(&error))
}

fn created(body: Vec<u8>) -> Response {
    (StatusCode::CREATED, [(header::CONTENT_TYPE, "application/json")], body).into_response()
}

/// Removes answers of up to then, a batch of them. How many there were.
///
/// # Errors
/// When the database refuses or is gone.
pub async fn purge(tx: &mut SystemTx, kept_since: Time) -> Result<u64, DbError> {
    store::purge(tx, kept_since, BATCH).await
}
