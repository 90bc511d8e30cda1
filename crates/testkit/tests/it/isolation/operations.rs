//! Every operation of the OpenAPI document, and how to call it. An operation that is not here fails the tests, so a new one
//! is covered by being written down, once, with the ids that it takes.

use std::collections::BTreeMap;

use axum::http::Method;
use serde_json::{Value, json};
use testkit::{Answer, Client};
use uuid::Uuid;

/// Who may call, as the document says (`x-permission`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Needs {
    Nothing,
    Session,
    /// An API key, whatever it may do.
    Key,
    Permission(String),
}

#[derive(Clone, Debug)]
pub(super) struct Operation {
    pub(super) method: Method,
    pub(super) path: String,
    pub(super) needs: Needs,
    /// It takes access away, and can be called while the organization is read-only: a write that no 402 is told of.
    pub(super) is_exception: bool,
    query: Vec<String>,
    has_body: bool,
}

impl Operation {
    pub(super) fn name(&self) -> String {
        format!("{} {}", self.method, self.path)
    }
}

/// The operations that anybody may call, each with its reason.
pub(super) const PUBLIC: &[(&str, &str)] = &[
    ("POST /api/login", "how a session begins"),
    (
        "POST /api/login/second-factor",
        "how a session of somebody with a second factor begins; of no use without their password",
    ),
    ("POST /api/login/passkey/start", "how a session begins with a passkey; it tells and writes nothing"),
    ("POST /api/login/passkey", "how a session begins with a passkey"),
    ("POST /api/sign-up", "how a user begins"),
    ("POST /api/email-verification/confirm", "the link in the mail is the proof, in whatever browser it is opened"),
    ("POST /api/password-reset", "for people who cannot sign in; nobody is told whether there is an account"),
    ("POST /api/password-reset/confirm", "the link in the mail is the proof"),
    ("POST /api/invitations/look", "the link in the mail is the proof, before there is an account"),
    ("POST /api/invitations/accept-as-new", "the link in the mail is the proof; it makes the account"),
    (
        "GET /api/oauth/{provider}/install",
        "a platform sends people here; signed by it, and of no use without the sealed pairing",
    ),
    (
        "POST /api/oauth/{provider}/callback",
        "a shop's server hands over keys here; of no use without a state of ours, and until whoever began comes back",
    ),
];

/// The ids that a request carries.
#[derive(Clone, Debug)]
pub(super) struct Ids {
    pub(super) organization: Uuid,
    pub(super) store: Uuid,
    pub(super) key: Uuid,
    pub(super) member: Uuid,
    pub(super) invitation: Uuid,
    /// A grant of the member.
    pub(super) grant: Uuid,
    pub(super) team_member: Uuid,
    /// What the caller is told.
    pub(super) notification: Uuid,
    /// By resource, the shop's own id of a record.
    pub(super) records: BTreeMap<String, String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Slot {
    Organization,
    Store,
    Key,
    Member,
    Invitation,
    Grant,
    TeamMember,
    Notification,
}

impl Slot {
    pub(super) const ALL: [Self; 8] = [
        Self::Organization,
        Self::Store,
        Self::Key,
        Self::Member,
        Self::Invitation,
        Self::Grant,
        Self::TeamMember,
        Self::Notification,
    ];
}

impl Ids {
    pub(super) fn with(&self, slot: Slot, id: Uuid) -> Self {
        let mut ids = self.clone();
        match slot {
            Slot::Organization => ids.organization = id,
            Slot::Store => ids.store = id,
            Slot::Key => ids.key = id,
            Slot::Member => ids.member = id,
            Slot::Invitation => ids.invitation = id,
            Slot::Grant => ids.grant = id,
            Slot::TeamMember => ids.team_member = id,
            Slot::Notification => ids.notification = id,
        }
        ids
    }

    pub(super) fn of(&self, slot: Slot) -> Uuid {
        match slot {
            Slot::Organization => self.organization,
            Slot::Store => self.store,
            Slot::Key => self.key,
            Slot::Member => self.member,
            Slot::Invitation => self.invitation,
            Slot::Grant => self.grant,
            Slot::TeamMember => self.team_member,
            Slot::Notification => self.notification,
        }
    }
}

/// How to call an operation with a body, and what it answers to one who may, with ids of their own. In an order in which each
/// leaves to the next what it needs.
pub(super) struct Recipe {
    pub(super) operation: &'static str,
    body: Option<fn(&Ids) -> Value>,
    pub(super) answers: u16,
}

const fn get(operation: &'static str) -> Recipe {
    Recipe { operation, body: None, answers: 200 }
}

const fn with_body(operation: &'static str, answers: u16, body: fn(&Ids) -> Value) -> Recipe {
    Recipe { operation, body: Some(body), answers }
}

pub(super) const RECIPES: &[Recipe] = &[
    get("GET /api/me"),
    get("GET /api/organizations/{id}"),
    get("GET /api/stores"),
    get("GET /api/stores/{id}"),
    get("GET /api/stores/{id}/permissions/history"),
    get("GET /api/access-log"),
    get("GET /api/audit"),
    get("GET /api/errors"),
    get("GET /api/retention"),
    get("GET /api/organizations/{id}/usage"),
    get("GET /api/notifications"),
    Recipe { operation: "POST /api/notifications/{id}/read", body: None, answers: 204 },
    Recipe { operation: "POST /api/notifications/read-all", body: None, answers: 204 },
    get("GET /api/integrations/events/"),
    get("GET /api/integrations/events/export.csv"),
    get("GET /api/integrations/events/stream"),
    get("GET /api/integrations/providers/"),
    get("GET /api/integrations/connections/"),
    get("GET /api/integrations/connections/{id}/"),
    get("GET /webshop-data-api/customers"),
    get("GET /webshop-data-api/customers/{id}"),
    with_body("POST /webshop-data-api/customers/search", 200, |ids| json!({ "store_id": ids.store })),
    get("GET /webshop-data-api/orders"),
    get("GET /webshop-data-api/orders/{id}"),
    with_body("POST /webshop-data-api/orders/search", 200, |ids| json!({ "store_id": ids.store })),
    get("GET /webshop-data-api/products"),
    get("GET /webshop-data-api/products/{id}"),
    with_body("POST /webshop-data-api/products/search", 200, |ids| json!({ "store_id": ids.store })),
    with_body(
        "POST /api-key-management/create",
        201,
        |ids| json!({ "name": "made by the sweep", "stores": [ids.store] }),
    ),
    get("GET /api-key-management/list"),
    get("GET /api-key-management/self"),
    with_body("POST /api-key-management/rotate", 201, |ids| json!({ "key_id": ids.key })),
    // It is there, and not suspended.
    with_body("POST /api-key-management/clear", 409, |ids| json!({ "key_id": ids.key })),
    with_body("POST /api-key-management/revoke", 200, |ids| json!({ "key_id": ids.key })),
    with_body(
        "PATCH /api/integrations/connections/{id}/",
        200,
        |_| json!({ "enabled_capabilities": ["read_customers", "read_orders", "read_products"] }),
    ),
    with_body(
        "PUT /api/stores/{id}/permissions",
        200,
        |_| json!({ "data_access_permissions": { "allow_customer_access": true, "allow_order_access": true, "allow_product_access": true } }),
    ),
    // Connected already: whoever may connect is told so, after the keys were proven.
    with_body("POST /api/integrations/connections/", 409, |_| form()),
    get("POST /api/integrations/connections/{id}/test/"),
    get("POST /api/integrations/connections/{id}/pause/"),
    get("POST /api/integrations/connections/{id}/resume/"),
    get("POST /api/integrations/connections/{id}/disable/"),
    get("POST /api/integrations/connections/{id}/enable/"),
    get("POST /api/integrations/connections/{id}/reauthorize/"),
    get("POST /api/integrations/connections/{id}/revoke/"),
    // Setting a credential brings it back.
    get("POST /api/integrations/connections/{id}/disconnect/"),
    Recipe { operation: "DELETE /api/integrations/connections/{id}/", body: None, answers: 204 },
    get("POST /api/integrations/connections/{id}/restore/"),
    with_body(
        "POST /api/integrations/connections/{id}/credential/",
        200,
        |_| json!({ "credential": form()["credential"] }),
    ),
    with_body("POST /api/oauth/{provider}/start", 200, |_| json!({})),
    // Without a platform's signature there is nothing to finish.
    Recipe { operation: "GET /api/oauth/{provider}/callback", body: None, answers: 400 },
    // Shopify hands over no keys.
    Recipe { operation: "GET /api/oauth/{provider}/return", body: None, answers: 400 },
    get("GET /api/members"),
    get("GET /api/roles"),
    get("GET /api/members/{id}/grants"),
    Recipe { operation: "DELETE /api/members/{id}/grants/{grant_id}", body: None, answers: 204 },
    with_body(
        "POST /api/members/{id}/grants",
        201,
        |ids| json!({ "effect": "allow", "resource": "products", "action": "read", "resource_id": ids.store }),
    ),
    get("GET /api/team-members"),
    with_body("POST /api/team-members", 201, |_| json!({ "full_name": "Made By The Sweep", "member_type": "sales" })),
    get("GET /api/team-members/{id}"),
    with_body("PATCH /api/team-members/{id}", 200, |_| json!({ "member_type": "support" })),
    Recipe { operation: "DELETE /api/team-members/{id}", body: None, answers: 204 },
    get("POST /api/team-members/{id}/restore"),
    with_body("PATCH /api/members/{id}", 200, |_| json!({ "role": "viewer", "status": "active" })),
    Recipe { operation: "DELETE /api/members/{id}", body: None, answers: 204 },
    with_body(
        "POST /api/invitations",
        201,
        |_| json!({ "email": format!("{}@people.example", kernel::random::token()), "role": "viewer" }),
    ),
    get("GET /api/invitations"),
    // Sent a moment ago: whoever may send it again is told to wait.
    Recipe { operation: "POST /api/invitations/{id}/resend", body: None, answers: 429 },
    get("POST /api/invitations/{id}/revoke"),
    with_body("POST /api/invitations/accept", 410, |_| json!({ "token": "none" })),
    // Confirmed already.
    Recipe { operation: "POST /api/email-verification", body: None, answers: 409 },
    get("GET /api/factors"),
    get("POST /api/factors/totp"),
    // It waits for its first code, and none is three letters.
    with_body("POST /api/factors/totp/confirm", 403, |_| json!({ "code": "abc" })),
    // Nobody has a factor yet.
    Recipe { operation: "DELETE /api/factors/totp", body: None, answers: 404 },
    Recipe { operation: "POST /api/factors/recovery-codes", body: None, answers: 409 },
    get("POST /api/factors/passkeys/start"),
    // Nothing was asked.
    with_body(
        "POST /api/factors/passkeys",
        410,
        |_| json!({ "challenge": "none", "name": "Made by the sweep", "credential": { "response": { "clientDataJSON": "", "attestationObject": "" } } }),
    ),
    // One that nobody has; that of somebody else is as unknown (people::passkeys).
    with_body("PATCH /api/factors/passkeys/{id}", 404, |_| json!({ "name": "Made by the sweep" })),
    Recipe { operation: "DELETE /api/factors/passkeys/{id}", body: None, answers: 404 },
    Recipe { operation: "POST /api/sessions/current/proof/passkey", body: None, answers: 409 },
    with_body("POST /api/sessions/current/proof", 403, |_| json!({ "password": "not the password" })),
    with_body("PUT /api/me/password", 400, |_| json!({ "password": "short" })),
    with_body("PUT /api/organizations/{id}/second-factor", 204, |_| json!({ "required_of": "nobody" })),
    get("GET /api/sessions"),
    // One that nobody has; that of somebody else is as unknown (people::sessions).
    Recipe { operation: "DELETE /api/sessions/{id}", body: None, answers: 404 },
    get("POST /api/sessions/end-others"),
    get("GET /api/identities"),
    // No token of an issuer: whoever may link one is told so.
    with_body("POST /api/identities", 400, |_| json!({ "token": "none" })),
    Recipe { operation: "DELETE /api/identities/{id}", body: None, answers: 404 },
    // With another name than the organization's nothing is deleted.
    with_body("DELETE /api/organizations/{id}", 422, |_| json!({ "name": "not its name" })),
    Recipe { operation: "POST /api/logout", body: None, answers: 204 },
];

/// Set once by the scene: the form of our own shop.
pub(super) static FORM: std::sync::OnceLock<Value> = std::sync::OnceLock::new();

fn form() -> Value {
    FORM.get().cloned().unwrap_or(Value::Null)
}

/// The operations of the program, from its OpenAPI document.
pub(super) fn operations() -> Vec<Operation> {
    let document = serde_json::to_value(entrepot::assembly::openapi()).expect("a document");
    let mut all = vec![];
    for (path, item) in document["paths"].as_object().expect("paths") {
        for (method, operation) in item.as_object().expect("methods") {
            let Ok(method) = method.to_uppercase().parse::<Method>() else { continue };
            if !operation.is_object() {
                continue;
            }
            let needs = match operation["x-permission"].as_str() {
                Some("public") => Needs::Nothing,
                Some("person") => Needs::Session,
                Some("key") => Needs::Key,
                Some(permission) => Needs::Permission(permission.to_owned()),
                None => panic!("{method} {path} says nobody who may call it: it was not made by kit::route!"),
            };
            let parameters = operation["parameters"].as_array().cloned().unwrap_or_default();
            let query = parameters
                .iter()
                .filter(|parameter| parameter["in"] == "query")
                .filter_map(|parameter| parameter["name"].as_str().map(str::to_owned))
                .collect();
            let has_body = operation.get("requestBody").is_some_and(|body| !body.is_null());
            let writes = matches!(&needs, Needs::Permission(permission) if !permission.ends_with(":read"));
            let is_exception = writes && operation["responses"]["402"].is_null();
            all.push(Operation { method, path: path.clone(), needs, is_exception, query, has_body });
        }
    }
    all
}

/// The operation with its recipe.
pub(super) fn recipe(operation: &Operation) -> Option<&'static Recipe> {
    RECIPES.iter().find(|recipe| recipe.operation == operation.name())
}

/// Every operation but the public ones, in the order of the recipes.
pub(super) fn guarded() -> Vec<(Operation, &'static Recipe)> {
    let operations = operations();
    RECIPES
        .iter()
        .map(|recipe| {
            let operation = operations.iter().find(|operation| operation.name() == recipe.operation);
            (operation.unwrap_or_else(|| panic!("{} is not in the document", recipe.operation)).clone(), recipe)
        })
        .collect()
}

/// The request with these ids, in the path, the query and the body.
pub(super) fn request(operation: &Operation, recipe: &Recipe, ids: &Ids) -> (String, Option<Value>) {
    assert_eq!(operation.has_body, recipe.body.is_some(), "{}: the recipe's body", operation.name());
    let resource = operation.path.strip_prefix("/webshop-data-api/").and_then(|rest| rest.split('/').next());
    let id = match &operation.path {
        path if path.starts_with("/api/organizations/") => ids.organization.to_string(),
        path if path.starts_with("/api/members/") => ids.member.to_string(),
        path if path.starts_with("/api/team-members/") => ids.team_member.to_string(),
        path if path.starts_with("/api/invitations/") => ids.invitation.to_string(),
        path if path.starts_with("/api/notifications/") => ids.notification.to_string(),
        path if ["/api/sessions/", "/api/identities/", "/api/factors/"].iter().any(|begin| path.starts_with(begin)) => {
            Uuid::nil().to_string()
        }
        path if path.starts_with("/api/stores/") || path.starts_with("/api/integrations/connections/") => {
            ids.store.to_string()
        }
        _ => resource.and_then(|resource| ids.records.get(resource)).cloned().unwrap_or_default(),
    };
    let mut path = operation.path.replace("{provider}", "shopify").replace("{grant_id}", &ids.grant.to_string());
    if path.contains("{id}") {
        assert!(!id.is_empty(), "{}: whose id is meant?", operation.name());
        path = path.replace("{id}", &id);
    }
    assert!(!path.contains('{'), "{path}: a parameter that the sweep does not know");
    let value = |name: &str| match name {
        "store_id" | "connection_id" => Some(ids.store),
        "key_id" => Some(ids.key),
        _ => None,
    };
    let query: Vec<String> =
        operation.query.iter().filter_map(|name| Some(format!("{name}={}", value(name)?))).collect();
    if !query.is_empty() {
        path = format!("{path}?{}", query.join("&"));
    }
    (path, recipe.body.map(|body| body(ids)))
}

/// The slots whose id the request carries.
pub(super) fn slots(operation: &Operation, recipe: &Recipe, ids: &Ids) -> Vec<Slot> {
    let carries = |slot: &Slot| {
        let sentinel = Uuid::from_u128(0xfeed_0000 + *slot as u128);
        let (path, body) = request(operation, recipe, &ids.with(*slot, sentinel));
        format!("{path} {}", body.unwrap_or_default()).contains(&sentinel.to_string())
    };
    Slot::ALL.into_iter().filter(carries).collect()
}

pub(super) async fn call(caller: &Client, operation: &Operation, recipe: &Recipe, ids: &Ids) -> Answer {
    let (path, body) = request(operation, recipe, ids);
    caller.send(operation.method.clone(), &path, body).await
}
