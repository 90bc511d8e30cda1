//! Checking a key: microseconds when this node knows it, bcrypt when it does not.
//!
//! Two memories. `verified` says that a text is the key of a row with that hash, which never becomes untrue; `facts` say
//! what the row and its creator allow, and are believed only while this node hears what others change
//! (`db::listener`). A warm check is then one keyed hash and two look-ups.

use std::{
    collections::HashSet,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use axum::http::{HeaderMap, header, request::Parts};
use db::{
    Db, DbError, SystemTask,
    listener::{Change, Listener},
};
use hmac::{Hmac, KeyInit, Mac};
use kernel::{
    Actor, ApiKeyId, Clock, ConnectionId, OrganizationId, Principal, Secret, Standing, SubscriptionStatus, Time, UserId,
};
use kit::{
    ApiKeyPrefix, App, Code, Problem, app::Identity, cross_origin, decision_cache::DecisionCache, network::Network,
    single_flight::SingleFlight,
};
use sha2::Sha256;

use super::{
    jobs::SuspendKey,
    model::{self, KeyPermissions, KeyText},
    store::{self, KeyAddress},
    suspicion::{Suspicion, Watch},
};
use crate::{
    authentication::unauthenticated,
    grants::{self, model::StoredGrant},
    hashing::{Hashing, WaitingRoom},
    sessions::throttle::KeyGuesses,
};

/// Keys remembered, of all organizations.
const REMEMBERED: u64 = 100_000;
/// Keys hashed or checked with bcrypt at once: as many as leave the server its other work.
const HASHED_AT_ONCE: usize = 2;
/// Texts that may be in or before a cold check, each counted once however many calls present it. It bounds the wait, to
/// 32 checks of bcrypt one after the other; more texts are an attack, or a start with everything cold, and both may come back.
const COLD_TEXTS: usize = 64;
/// New keys that may be in or before their hash.
const NEW_KEYS: usize = 16;
/// How long a wrong text is remembered as wrong, so that repeating it costs no bcrypt.
const WRONG_FOR: Duration = Duration::from_secs(60);
/// How long a wrong text counts as one guess, however often it comes.
const GUESSED_FOR: Duration = Duration::from_hours(24);
/// How often uses are written down.
const USES_EVERY: Duration = Duration::from_secs(15);
/// A hash that no key has, checked for keys that are not there, so that both take as long.
const NOBODY: &str = "$2b$12$fn5dHOJXhwMFKbURZNRkh.FdwIpQvMpEA3LkBPEG8cTzGs9r6F3dK";

/// The keys that this node knows. Cheap to clone.
#[derive(Clone)]
pub struct ApiKeys(Arc<State>);

struct State {
    db: Db,
    clock: Clock,
    prefix: ApiKeyPrefix,
    /// Ours alone: what is remembered of a key is of no use to who reads our memory.
    hash_key: [u8; 32],
    verified: moka::sync::Cache<[u8; 32], Arc<Verified>>,
    wrong: moka::sync::Cache<[u8; 32], ()>,
    /// Wrong texts that were counted as guesses.
    guessed: moka::sync::Cache<[u8; 32], ()>,
    facts: DecisionCache<ApiKeyId, Arc<Facts>>,
    /// One query for all who ask for the facts of a key at the same time.
    loads: SingleFlight<KeyAddress, Loaded>,
    /// One cold check for all who present a text at the same time.
    checks: SingleFlight<[u8; 32], Checked>,
    hashing: Hashing,
    cold_texts: WaitingRoom,
    new_keys: WaitingRoom,
    used: Mutex<HashSet<KeyAddress>>,
    watch: Watch,
}

/// What a key may do; None when it is not there.
type Loaded = Result<Option<Arc<Facts>>, Problem>;

/// The key that a text is and what it may do; None when it is no key.
type Checked = Result<Option<(KeyAddress, Arc<Facts>)>, Problem>;

/// A text that is the key of a row.
struct Verified {
    key: KeyAddress,
    /// The row's hash when it was verified; another hash is another key.
    key_hash: String,
}

/// What a key is and may do now.
pub(super) struct Facts {
    pub(super) key_name: String,
    user: UserId,
    organization: OrganizationId,
    pub(super) organization_name: String,
    pub(super) permissions: KeyPermissions,
    creator: Creator,
    /// As it was when the facts were read, and is until something granted ends.
    principal: Principal,
    principal_until: Option<Time>,
    pub(super) stores: Option<Arc<[ConnectionId]>>,
    allowed_origins: Option<Vec<String>>,
    pub(super) expires_at: Time,
    /// Why it may not be used; None when it may.
    refusal: Option<&'static str>,
    key_hash: String,
}

/// Whose rights a key acts with.
struct Creator {
    role: String,
    grants: Vec<StoredGrant>,
    standing: Standing,
}

impl Facts {
    /// What the key may do at this moment. That a grant ends is told by nobody: it is for the clock to say.
    fn principal_at(&self, key: ApiKeyId, now: Time) -> Result<Principal, Problem> {
        if self.principal_until.is_none_or(|end| now < end) {
            return Ok(self.principal.clone());
        }
        let actor = Actor::Key { key, user: self.user };
        principal(actor, self.organization, self.permissions, self.stores.as_deref(), &self.creator, now)
    }

    /// Whether the key names the web page that a browser says it calls from; None when it names none, or no browser calls.
    fn names_page(&self, headers: &HeaderMap) -> Option<bool> {
        let (allowed, origin) = (self.allowed_origins.as_ref()?, headers.get(header::ORIGIN)?);
        Some(allowed.iter().any(|allowed| origin.as_bytes() == allowed.as_bytes()))
    }

    /// # Errors
    /// When the key may not be used: now, or from this web page.
    fn refuse(&self, now: Time, headers: &HeaderMap) -> Result<(), Problem> {
        if self.expires_at <= now {
            return Err(Problem::new(Code::Unauthenticated, "The API key has expired. Create or rotate one."));
        }
        if let Some(refusal) = self.refusal {
            return Err(Problem::new(Code::Unauthenticated, refusal));
        }
        if self.names_page(headers) == Some(false) {
            return Err(Problem::new(Code::Forbidden, "This key may not be used from this web page's origin."));
        }
        Ok(())
    }
}

impl ApiKeys {
    pub fn new(db: Db, clock: Clock, listener: &Listener, hash_key: [u8; 32], prefix: ApiKeyPrefix) -> Self {
        let keys = Self(Arc::new(State {
            db,
            clock,
            prefix,
            hash_key,
            verified: moka::sync::Cache::new(REMEMBERED),
            wrong: moka::sync::Cache::builder().max_capacity(REMEMBERED).time_to_live(WRONG_FOR).build(),
            guessed: moka::sync::Cache::builder().max_capacity(REMEMBERED).time_to_live(GUESSED_FOR).build(),
            facts: DecisionCache::new(listener.freshness(), REMEMBERED),
            loads: SingleFlight::default(),
            checks: SingleFlight::default(),
            hashing: Hashing::new(HASHED_AT_ONCE),
            cold_texts: WaitingRoom::new(
                COLD_TEXTS,
                Duration::from_secs(1),
                "Too many unknown API keys are being checked. Try again in a second.",
            ),
            new_keys: WaitingRoom::new(
                NEW_KEYS,
                Duration::from_secs(2),
                "Many API keys are being made at once. Try again in a few seconds.",
            ),
            used: Mutex::default(),
            watch: Watch::default(),
        }));
        let state = keys.0.clone();
        listener.subscribe(Box::new(move |change| state.forget(change)));
        tokio::spawn(write_uses(Arc::downgrade(&keys.0)));
        keys
    }

    /// Forgets a key at once on this node, for whoever has just changed it; the others hear of it.
    pub(super) fn forget(&self, organization: OrganizationId, key: ApiKeyId) {
        self.0.facts.forget(&(organization, key));
    }

    /// Forgets all keys of an organization at once on this node, for whoever has just changed who may do what there.
    pub(crate) fn forget_organization(&self, organization: OrganizationId) {
        self.0.facts.forget_organization(organization);
    }

    /// Whether a Bearer text claims to be an API key.
    pub(crate) fn are_claimed_by(&self, text: &str) -> bool {
        text.starts_with(self.0.prefix.as_str())
    }

    pub(crate) async fn identify(&self, app: &App, text: &str, parts: &Parts) -> Result<Identity, Problem> {
        let network = app.config.trusted_proxies.address(parts).and_then(Network::of);
        let (key, facts) = self.check(text, || network.map(|network| KeyGuesses::of(app, network))).await?;
        if facts.names_page(&parts.headers) == Some(true) {
            cross_origin::Readable::allow(parts);
        }
        let actor = Actor::Key { key: key.1, user: facts.user };
        let (watch, now) = (&self.0.watch, app.clock.now());
        if facts.allowed_origins.is_none() {
            self.suspect(key, watch.called(key, network, now));
        }
        // Whose key it is is known now, so that its refusal can be written down.
        facts.refuse(now, &parts.headers).map_err(|problem| problem.refusing(actor, facts.organization))?;
        self.0.used.lock().unwrap_or_else(PoisonError::into_inner).insert(key);
        Ok(Identity { actor, user: facts.user, organization: Some(facts.organization) })
    }

    /// A call with this key was answered with: not there, or not allowed.
    pub(crate) fn refused(&self, organization: OrganizationId, key: ApiKeyId) {
        let key = (organization, key);
        self.suspect(key, self.0.watch.refused(key, self.0.clock.now()));
    }

    /// Has a key suspended, without holding up the call that raised the suspicion.
    fn suspect(&self, (organization, key): KeyAddress, suspicion: Option<Suspicion>) {
        let Some(suspicion) = suspicion else { return };
        metrics::counter!("entrepot_api_key_suspicions_total", "reason" => suspicion.as_str()).increment(1);
        let (state, job) = (self.0.clone(), SuspendKey { key: key.uuid(), suspicion });
        tokio::spawn(async move {
            let asked = async {
                let mut tx = state.db.system(SystemTask::Authenticate).await?;
                ::jobs::enqueue_as_system(&mut tx, &state.clock, organization, &job).await?;
                tx.commit().await
            };
            if let Err(error) = state.db.unless_away(asked).await {
                tracing::error!(%error, %key, reason = suspicion.as_str(), "a suspicious API key is not suspended");
            }
        });
    }

    pub(crate) async fn principal(
        &self,
        identity: &Identity,
        named: Option<OrganizationId>,
    ) -> Result<Principal, Problem> {
        let (Actor::Key { key, .. }, Some(organization)) = (identity.actor, identity.organization) else {
            return Err(unauthenticated());
        };
        let facts = self.facts((organization, key)).await?;
        if named.is_some_and(|named| named != facts.organization) {
            return Err(Problem::not_found());
        }
        facts.principal_at(key, self.0.clock.now())
    }

    /// What a key that was identified may do now, if it may still be used.
    pub(crate) async fn again(&self, key: KeyAddress) -> Result<Principal, Problem> {
        let (facts, now) = (self.facts(key).await?, self.0.clock.now());
        facts.refuse(now, &HeaderMap::new())?;
        facts.principal_at(key.1, now)
    }

    /// What a key is that has just been identified.
    pub(super) async fn facts(&self, key: KeyAddress) -> Result<Arc<Facts>, Problem> {
        self.0.facts(key).await?.ok_or_else(unauthenticated)
    }

    /// Whether a text is a key that is known, warm or cold. For the bench of one warm check as well.
    ///
    /// # Errors
    /// The same [`Code::Unauthenticated`] whatever is wrong with the text.
    pub async fn check_text(&self, text: &str) -> Result<ApiKeyId, Problem> {
        self.check(text, || None).await.map(|((_, id), _)| id)
    }

    /// `guesses` are those of the network that presents the text; asked only when the text is not known.
    async fn check(
        &self,
        text: &str,
        guesses: impl FnOnce() -> Option<KeyGuesses>,
    ) -> Result<(KeyAddress, Arc<Facts>), Problem> {
        let state = &self.0;
        let lookup = model::parse(&state.prefix, text).ok_or_else(unauthenticated)?;
        let digest = state.digest(text);
        if let Some(known) = state.check_warm(&digest).await? {
            return Ok(known);
        }
        if state.wrong.contains_key(&digest) {
            return Err(unauthenticated());
        }
        let (flight, key, lookup) = (state.clone(), Secret::new(text), lookup.to_owned());
        let guesses = guesses();
        // A flight is nobody's request: nothing else ends its wait for a database that fell silent.
        let cold = || async move { flight.db.unless_away(flight.check_cold(digest, key, &lookup, guesses)).await };
        let checked = state.checks.run(digest, cold).await;
        checked.ok_or_else(|| Problem::internal(&"the check of an API key panicked"))??.ok_or_else(unauthenticated)
    }

    /// A new key and its hash.
    ///
    /// # Errors
    /// [`Code::Overloaded`] when too many are being made.
    pub(super) async fn generate(&self) -> Result<(KeyText, String), Problem> {
        let text = model::generate(&self.0.prefix);
        let full = text.full.clone();
        let hash = self.0.hashing.run(&self.0.new_keys, move || model::hash(&full)).await??;
        Ok((text, hash))
    }

    /// Writes down at once which keys were used; otherwise it happens every fifteen seconds.
    ///
    /// # Errors
    /// When the database is gone; the uses are then written the next time.
    pub async fn flush_uses(&self) -> Result<(), DbError> {
        self.0.flush_uses().await
    }
}

impl State {
    fn digest(&self, text: &str) -> [u8; 32] {
        let mut mac = <Hmac<Sha256> as KeyInit>::new_from_slice(&self.hash_key)
            .unwrap_or_else(|_| unreachable!("HMAC takes keys of any length"));
        mac.update(text.as_bytes());
        mac.finalize().into_bytes().into()
    }

    async fn check_warm(self: &Arc<Self>, digest: &[u8; 32]) -> Checked {
        let Some(verified) = self.verified.get(digest) else { return Ok(None) };
        let facts = self.facts(verified.key).await?.filter(|facts| facts.key_hash == verified.key_hash);
        if facts.is_none() {
            // The row is gone, or holds another key.
            self.verified.invalidate(digest);
        }
        Ok(facts.map(|facts| (verified.key, facts)))
    }

    /// bcrypt, bounded. A key that is not there is checked against a hash of nobody. What comes out is remembered before the
    /// flight ends, so that whoever comes next finds it.
    async fn check_cold(
        self: &Arc<Self>,
        digest: [u8; 32],
        key: Secret,
        lookup: &str,
        guesses: Option<KeyGuesses>,
    ) -> Checked {
        // An earlier flight may have ended since the caller looked.
        if let Some(known) = self.check_warm(&digest).await? {
            return Ok(Some(known));
        }
        if self.wrong.contains_key(&digest) {
            return Ok(None);
        }
        let seat = self.cold_texts.enter().inspect_err(|_| {
            metrics::counter!("entrepot_api_key_cold_checks_refused_total").increment(1);
        })?;
        let mut tx = self.db.system(SystemTask::Authenticate).await?;
        let found = store::hash_by_lookup(&mut tx, lookup).await?;
        // Whoever has a key shares its network with others; eight of its characters are not met by guessing.
        if let (None, Some(guesses)) = (&found, &guesses) {
            guesses.refuse_early(&mut tx, self.clock.now()).await?;
        }
        tx.rollback().await?;
        let hash = found.as_ref().map_or(NOBODY, |found| found.key_hash.as_str()).to_owned();
        let matches = self.hashing.run_seated(seat, move || model::matches(&key, &hash)).await?;
        let Some(found) = found.filter(|_| matches) else {
            // A program that goes on with a key of yesterday guesses nothing.
            let is_new = !self.guessed.contains_key(&digest);
            if let Some(guesses) = guesses.filter(|_| is_new) {
                let mut tx = self.db.system(SystemTask::Authenticate).await?;
                guesses.count(&mut tx, self.clock.now()).await?;
                tx.commit().await?;
                self.guessed.insert(digest, ());
            }
            self.wrong.insert(digest, ());
            return Ok(None);
        };
        let key = (found.organization_id, found.id);
        self.verified.insert(digest, Arc::new(Verified { key, key_hash: found.key_hash }));
        Ok(self.facts(key).await?.map(|facts| (key, facts)))
    }

    async fn facts(self: &Arc<Self>, key: KeyAddress) -> Loaded {
        if let Some(facts) = self.facts.get(&key) {
            return Ok(Some(facts));
        }
        let state = self.clone();
        let load = || async move { state.db.unless_away(state.facts.get_or_load(&key, state.read_facts(key))).await };
        let loaded = self.loads.run(key, load).await;
        loaded.ok_or_else(|| Problem::internal(&"the load of an API key's facts panicked"))?
    }

    async fn read_facts(&self, key: KeyAddress) -> Loaded {
        let mut tx = self.db.system(SystemTask::Authenticate).await?;
        let row = store::key_with_creator(&mut tx, key).await?;
        tx.rollback().await?;
        let now = self.clock.now();
        row.map(|row| facts_of(key, row, now).map(Arc::new)).transpose()
    }

    fn forget(&self, change: &Change) {
        let Change::Row(row) = change else { return self.facts.forget_all() };
        match (row.table.as_str(), row.organization_id, row.id) {
            ("user_api_keys", Some(organization), Some(key)) => self.facts.forget(&(organization.into(), key.into())),
            ("organization_members" | "permission_grants", Some(organization), _)
            | ("organizations", _, Some(organization)) => {
                self.facts.forget_organization(organization.into());
            }
            // A person may have made keys in any number of organizations.
            ("users", _, Some(user)) => self.facts.forget_if(|facts| facts.user == user.into()),
            ("user_api_keys" | "organization_members" | "permission_grants" | "organizations" | "users", ..) => {
                self.facts.forget_all();
            }
            _ => {}
        }
    }

    async fn flush_uses(&self) -> Result<(), DbError> {
        let used: Vec<KeyAddress> = {
            let mut used = self.used.lock().unwrap_or_else(PoisonError::into_inner);
            std::mem::take(&mut *used).into_iter().collect()
        };
        if used.is_empty() {
            return Ok(());
        }
        let written = async {
            let mut tx = self.db.system(SystemTask::Authenticate).await?;
            store::write_uses(&mut tx, &used, self.clock.now()).await?;
            tx.commit().await
        };
        let result = self.db.unless_away(written).await;
        if result.is_err() {
            self.used.lock().unwrap_or_else(PoisonError::into_inner).extend(used);
        }
        result
    }
}

/// A key acts with its scopes ∩ its creator's rights now, at its stores.
fn principal(
    actor: Actor,
    organization: OrganizationId,
    permissions: KeyPermissions,
    stores: Option<&[ConnectionId]>,
    creator: &Creator,
    now: Time,
) -> Result<Principal, Problem> {
    let rights = grants::model::rights(&creator.role, &creator.grants, now)?.limited_to(permissions.scopes(), stores);
    Ok(Principal::authenticated(actor, organization, rights, creator.standing))
}

fn facts_of((organization, id): KeyAddress, row: store::KeyFactsRow, now: Time) -> Result<Facts, Problem> {
    let permissions: KeyPermissions =
        serde_json::from_value(row.permissions).map_err(|error| Problem::internal(&error))?;
    let refusal = match row.state.as_str() {
        "active" if row.member_status != "active" || row.user_deleted => {
            Some("The person who made this API key no longer has an active seat.")
        }
        "active" if row.organization_deleted => Some("The organization of this API key was deleted."),
        "active" => None,
        "suspended" => Some("The API key is suspended. Its owner can see why under API keys."),
        "revoked" => Some("The API key was revoked."),
        _ => Some("The API key has expired. Create or rotate one."),
    };
    let actor = Actor::Key { key: id, user: row.user_id };
    let stores: Option<Arc<[ConnectionId]>> =
        row.stores.map(|stores| stores.into_iter().map(ConnectionId::from).collect());
    let status: SubscriptionStatus = row.subscription_status.parse().map_err(|error| Problem::internal(&error))?;
    let creator = Creator { role: row.role, grants: row.grants.0, standing: status.standing(row.is_seat_paused) };
    Ok(Facts {
        key_name: row.key_name,
        user: row.user_id,
        organization,
        organization_name: row.organization_name,
        permissions,
        principal: principal(actor, organization, permissions, stores.as_deref(), &creator, now)?,
        principal_until: grants::model::next_end(&creator.grants, now),
        creator,
        stores,
        allowed_origins: row.allowed_origins,
        expires_at: row.expires_at,
        refusal,
        key_hash: row.key_hash,
    })
}

/// Writes down every fifteen seconds which keys were used, until the program forgets its keys.
async fn write_uses(state: std::sync::Weak<State>) {
    let mut tick = tokio::time::interval(USES_EVERY);
    loop {
        tick.tick().await;
        let Some(state) = state.upgrade() else { return };
        if let Err(error) = state.flush_uses().await {
            tracing::warn!(%error, "uses of API keys are written later");
        }
    }
}
