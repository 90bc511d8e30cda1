//! Every operation of the OpenAPI document that can change something: with the line that it leaves, or the reason why it leaves none.

use std::collections::BTreeSet;

use axum::http::{Method, StatusCode};
use kernel::Role;
use serde_json::{Value, json};
use testkit::{Answer, Client, Member, TestApp};

use crate::people::{PASSWORD, accept_as_new, factors::begin, fresh_address, invited, seat_path, token};

/// What changes nothing of an organization, or nothing that is not told elsewhere, each with its reason.
const WITHOUT_LINE: &[(&str, &str)] = &[
    ("POST /api/factors/totp", "begins; the first code leaves factor.add"),
    ("POST /api/factors/passkeys/start", "begins"),
    ("POST /api/factors/passkeys", "leaves factor.add where the person has a seat: `people::passkeys` shows it"),
    ("PATCH /api/factors/passkeys/{id}", "of a person, whatever their organizations: a name of their own for it"),
    (
        "DELETE /api/factors/passkeys/{id}",
        "leaves factor.remove where the person has a seat: `people::passkeys` shows it",
    ),
    ("POST /api/login/passkey", "of a person, whatever their organizations: GET /api/sessions shows it"),
    ("POST /api/login/passkey/start", "begins"),
    ("POST /api/login/second-factor", "of a person, whatever their organizations: GET /api/sessions shows it"),
    ("POST /api/sessions/current/proof", "of a session: GET /api/sessions shows it"),
    ("POST /api/sessions/current/proof/passkey", "begins"),
    ("POST /api/identities", "of a person, whatever their organizations, who is told by mail"),
    ("DELETE /api/identities/{id}", "of a person, whatever their organizations"),
    ("POST /api/notifications/{id}/read", "what somebody has read is theirs"),
    ("POST /api/notifications/read-all", "what somebody has read is theirs"),
    ("POST /api/login", "of a person, whatever their organizations: GET /api/sessions shows it"),
    ("POST /api/logout", "of a person, whatever their organizations"),
    ("DELETE /api/sessions/{id}", "of a person, whatever their organizations"),
    ("POST /api/sessions/end-others", "of a person, whatever their organizations"),
    ("POST /api/email-verification", "mails a person a link of their own"),
    ("POST /api/email-verification/confirm", "of a person, whatever their organizations"),
    ("POST /api/password-reset", "mails a person a link of their own, or nobody"),
    ("POST /api/password-reset/confirm", "of a person, whatever their organizations, who is told by mail"),
    ("POST /api/invitations/look", "reads"),
    ("POST /api/integrations/connections/{id}/test/", "reads; the activity log and the access log tell of it"),
    ("POST /api/integrations/connections/{id}/reauthorize/", "begins; coming back leaves credential.set"),
    ("POST /api/oauth/{provider}/start", "begins; coming back leaves connection.create or credential.set"),
    ("POST /api/oauth/{provider}/callback", "keys wait for whoever began; coming back leaves connection.create"),
    ("POST /webshop-data-api/customers/search", "reads; the access log tells of it"),
    ("POST /webshop-data-api/orders/search", "reads; the access log tells of it"),
    ("POST /webshop-data-api/products/search", "reads; the access log tells of it"),
];

/// What was shown to leave its line.
struct Shown<'a> {
    owner: &'a Member,
    operations: BTreeSet<String>,
}

impl Shown<'_> {
    /// The answer's request has left a line with this action, by whoever is meant.
    async fn left(&mut self, operation: &str, answer: &Answer, actor: &str, action: &str) -> Value {
        assert!(answer.status.is_success() || answer.status.is_redirection(), "{operation}: {}", answer.short());
        let request = answer.header("x-request-id");
        let found = self.owner.get(&format!("/api/audit?request_id={request}")).await.expect(StatusCode::OK);
        let lines = found.at("/data");
        let line = lines.as_array().and_then(|lines| lines.iter().find(|line| line["action"] == action));
        let line = line.unwrap_or_else(|| panic!("{operation} left no {action}: {lines}"));
        assert_eq!(line["actor"], actor, "{operation}");
        assert!(line["resource"].as_str().is_some_and(|resource| !resource.is_empty()), "{operation}: {line}");
        assert!(line["resource_id"].is_string(), "{operation}: {line}");
        assert!(!line["before"].is_null() || !line["after"].is_null(), "{operation}: neither before nor after: {line}");
        self.operations.insert(operation.to_owned());
        line.clone()
    }

    async fn call(
        &mut self,
        by: &Client,
        actor: &str,
        template: &str,
        path: &str,
        body: Option<Value>,
        action: &str,
    ) -> Answer {
        let method: Method = template.split(' ').next().and_then(|method| method.parse().ok()).expect("a method");
        let answer = by.send(method, path, body).await;
        self.left(template, &answer, actor, action).await;
        answer
    }
}

fn writing() -> BTreeSet<String> {
    let document = serde_json::to_value(entrepot::assembly::openapi()).expect("a document");
    let mut all = BTreeSet::new();
    for (path, item) in document["paths"].as_object().expect("paths") {
        for method in ["post", "put", "patch", "delete"].into_iter().filter(|method| item[method].is_object()) {
            all.insert(format!("{} {path}", method.to_uppercase()));
        }
    }
    all
}

#[tokio::test(flavor = "multi_thread")]
async fn every_operation_that_changes_something_leaves_a_line_or_says_why_not() {
    let app = TestApp::start().await;
    let kata = app.sign_up("Kata").await;
    let me = format!("user:{}", kata.user);
    let mut shown = Shown { owner: &kata, operations: BTreeSet::new() };

    // Somebody begins, and others come.
    let first = kata.get("/api/audit?action=organization.create").await.expect(StatusCode::OK);
    assert_eq!((first.at("/data/0/actor"), first.at("/data/0/resource")), (json!(me), json!("organization")));
    shown.operations.insert("POST /api/sign-up".to_owned());
    let address = fresh_address();
    let form = Some(json!({ "email": address, "role": "viewer" }));
    let created = "POST /api/invitations";
    let invitation = shown.call(&kata, &me, created, "/api/invitations", form, "invitation.create").await;
    let id = invitation.at("/id").as_str().expect("an id").to_owned();
    // The first mail is on its way before the clock is moved.
    token(&app, &address, "invitation", 1).await;
    app.advance(chrono::TimeDelta::minutes(2)).await;
    let path = format!("/api/invitations/{id}/resend");
    shown.call(&kata, &me, "POST /api/invitations/{id}/resend", &path, None, "invitation.resend").await;
    let link = token(&app, &address, "invitation", 2).await;
    let joined = accept_as_new(&app.nobody(), &link).await.expect(StatusCode::CREATED);
    let newcomer = format!("user:{}", joined.at("/user_id").as_str().expect("a user"));
    shown.left("POST /api/invitations/accept-as-new", &joined, &newcomer, "invitation.accept").await;
    let bela = app.sign_up("Bela").await;
    let (link, _) = invited(&app, &kata, &bela.email, "viewer").await;
    let accepted = bela.post("/api/invitations/accept", json!({ "token": link })).await;
    shown.left("POST /api/invitations/accept", &accepted, &format!("user:{}", bela.user), "invitation.accept").await;
    let (_, id) = invited(&app, &kata, &fresh_address(), "viewer").await;
    let path = format!("/api/invitations/{id}/revoke");
    shown.call(&kata, &me, "POST /api/invitations/{id}/revoke", &path, None, "invitation.revoke").await;

    // Seats, grants and people.
    let seat = seat_path(&kata, &address).await;
    let form = Some(json!({ "role": "employee" }));
    shown.call(&kata, &me, "PATCH /api/members/{id}", &seat, form, "member.update").await;
    let (grants, secret) = (format!("{seat}/grants"), "because of what somebody wrote");
    let form = Some(json!({ "effect": "allow", "resource": "audit", "action": "read", "reason": secret }));
    let granted =
        shown.call(&kata, &me, "POST /api/members/{id}/grants", &grants, form, "permission_grant.create").await;
    let path = format!("{grants}/{}", granted.at("/id").as_str().expect("an id"));
    let operation = "DELETE /api/members/{id}/grants/{grant_id}";
    shown.call(&kata, &me, operation, &path, None, "permission_grant.delete").await;
    shown.call(&kata, &me, "DELETE /api/members/{id}", &seat, None, "member.remove").await;
    let form = Some(json!({ "full_name": "Somebody Named", "email": "named@staff.example", "member_type": "sales" }));
    let added = shown.call(&kata, &me, "POST /api/team-members", "/api/team-members", form, "team_member.create").await;
    let path = format!("/api/team-members/{}", added.at("/id").as_str().expect("an id"));
    let form = Some(json!({ "full_name": "Somebody Renamed" }));
    shown.call(&kata, &me, "PATCH /api/team-members/{id}", &path, form, "team_member.update").await;
    shown.call(&kata, &me, "DELETE /api/team-members/{id}", &path, None, "team_member.delete").await;
    let (operation, path) = ("POST /api/team-members/{id}/restore", format!("{path}/restore"));
    shown.call(&kata, &me, operation, &path, None, "team_member.restore").await;

    // Keys.
    let (create, form) = ("/api-key-management/create", Some(json!({ "name": "reader" })));
    let created = shown.call(&kata, &me, "POST /api-key-management/create", create, form, "api_key.create").await;
    let key = kata.key_of(&created);
    let form = || Some(json!({ "key_id": key.id }));
    let rotate = "/api-key-management/rotate";
    shown.call(&kata, &me, "POST /api-key-management/rotate", rotate, form(), "api_key.rotate").await;
    sqlx::query("update user_api_keys set state = 'suspended', state_reason = 'networks' where id = $1")
        .bind(key.id)
        .execute(&mut app.superuser().await)
        .await
        .expect("a suspended key");
    shown
        .call(&kata, &me, "POST /api-key-management/clear", "/api-key-management/clear", form(), "api_key.clear")
        .await;
    let revoke = "/api-key-management/revoke";
    shown.call(&kata, &me, "POST /api-key-management/revoke", revoke, form(), "api_key.revoke").await;

    connections(&kata, &me, &mut shown).await;

    // Coming back from a consent page is a GET that changes something.
    let shopify = kata.consent_to("kis-bolt", json!({})).await.answer;
    shown.left("GET /api/oauth/{provider}/callback", &shopify, &me, "connection.create").await;
    let form = kata.shop_address("tea.example");
    let granted = kata.grant(form).await;
    shown.left("GET /api/oauth/{provider}/return", &granted, &me, "connection.create").await;

    // What somebody signs in with. The clock stands still, and a code works once.
    for _ in 0..2 {
        kata.prove().await;
        let authenticator = begin(&app, &kata).await;
        let code = json!({ "code": authenticator.code(0) });
        let confirmed = kata.post("/api/factors/totp/confirm", code).await;
        shown.left("POST /api/factors/totp/confirm", &confirmed, &me, "factor.add").await;
        let (operation, path) = ("POST /api/factors/recovery-codes", "/api/factors/recovery-codes");
        shown.call(&kata, &me, operation, path, None, "factor.recovery_codes").await;
        if shown.operations.contains("DELETE /api/factors/totp") {
            break;
        }
        shown.call(&kata, &me, "DELETE /api/factors/totp", "/api/factors/totp", None, "factor.remove").await;
    }
    let (path, form) =
        (format!("/api/organizations/{}/second-factor", kata.organization), json!({ "required_of": "owners" }));
    let (operation, action) = ("PUT /api/organizations/{id}/second-factor", "organization.require_second_factor");
    shown.call(&kata, &me, operation, &path, Some(form), action).await;
    let form = Some(json!({ "password": "another long password" }));
    shown.call(&kata, &me, "PUT /api/me/password", "/api/me/password", form, "password.change").await;

    // Nothing of it holds what is secret or about a person.
    let everything: Vec<String> = sqlx::query_scalar("select a::text from audit_log a")
        .fetch_all(&mut app.superuser().await)
        .await
        .expect("lines");
    let keys = kata.woocommerce_form("kavebolt.example")["credential"]["consumer_secret"].clone();
    for hidden in [secret, "Somebody", "named@staff", &address, &key.text, PASSWORD, keys.as_str().expect("a secret")] {
        assert!(everything.iter().all(|line| !line.contains(hidden)), "{hidden} is in the audit log");
    }

    // The organization itself goes last; its owner reads nothing there any more.
    let path = format!("/api/organizations/{}", kata.organization);
    kata.delete(&path, json!({ "name": kata.organization_name })).await.expect(StatusCode::NO_CONTENT);
    let last: (String, String) = sqlx::query_as(
        "select actor, resource from audit_log where action = 'organization.delete' and request_id is not null",
    )
    .fetch_one(&mut app.superuser().await)
    .await
    .expect("a line");
    assert_eq!(last, (me, "organization".to_owned()));
    shown.operations.insert("DELETE /api/organizations/{id}".to_owned());

    let without: BTreeSet<String> = WITHOUT_LINE.iter().map(|(operation, _)| (*operation).to_owned()).collect();
    let all = writing();
    let told: BTreeSet<String> = shown.operations.union(&without).cloned().collect();
    let missing: Vec<_> = all.difference(&told).collect();
    assert!(missing.is_empty(), "which line do these leave? Show it here, or say why none: {missing:?}");
    let both: Vec<_> = shown.operations.intersection(&without).collect();
    assert!(both.is_empty(), "{both:?} leave a line, and are said to leave none");
    let gone: Vec<_> = without.difference(&all).collect();
    assert!(gone.is_empty(), "listed and not there: {gone:?}");
    app.finish().await;
}

async fn connections(kata: &Member, me: &str, shown: &mut Shown<'_>) {
    let list = "/api/integrations/connections/";
    let form = kata.woocommerce_form("kavebolt.example");
    let created = shown
        .call(kata, me, "POST /api/integrations/connections/", list, Some(form.clone()), "connection.create")
        .await;
    let id = created.at("/id").as_str().expect("an id").to_owned();
    let path = format!("{list}{id}/");
    let switches = json!({ "allow_customer_access": false, "allow_order_access": true, "allow_product_access": true });
    let body = Some(json!({ "data_access_permissions": switches, "reason": "Somebody asked for it" }));
    let operation = "PUT /api/stores/{id}/permissions";
    shown.call(kata, me, operation, &format!("/api/stores/{id}/permissions"), body, "store_permissions.update").await;
    let body = Some(json!({ "display_name": "Ours" }));
    shown.call(kata, me, "PATCH /api/integrations/connections/{id}/", &path, body, "connection.update").await;
    for (word, action) in [
        ("pause", "connection.pause"),
        ("resume", "connection.resume"),
        ("disable", "connection.disable"),
        ("enable", "connection.enable"),
        ("revoke", "credential.revoke"),
    ] {
        let operation = format!("POST /api/integrations/connections/{{id}}/{word}/");
        shown.call(kata, me, &operation, &format!("{path}{word}/"), None, action).await;
    }
    let operation = "POST /api/integrations/connections/{id}/credential/";
    let body = Some(json!({ "credential": form["credential"] }));
    shown.call(kata, me, operation, &format!("{path}credential/"), body, "credential.set").await;
    let operation = "POST /api/integrations/connections/{id}/disconnect/";
    shown.call(kata, me, operation, &format!("{path}disconnect/"), None, "connection.disconnect").await;
    shown.call(kata, me, "DELETE /api/integrations/connections/{id}/", &path, None, "connection.delete").await;
    let operation = "POST /api/integrations/connections/{id}/restore/";
    shown.call(kata, me, operation, &format!("{path}restore/"), None, "connection.restore").await;
    // What keys do is told as theirs: they may change nothing, so there is nothing to tell.
    let key = kata.create_key("changes nothing").await;
    key.send(Method::DELETE, &path, None).await.expect_problem(403, "forbidden");
    let viewer = kata.member(Role::Viewer).await;
    let refused = viewer.send(Method::DELETE, &path, None).await.expect_problem(403, "forbidden");
    let request = refused.header("x-request-id");
    let found = kata.get(&format!("/api/audit?request_id={request}")).await.expect(StatusCode::OK);
    assert_eq!(found.at("/data"), json!([]), "what was refused changed nothing");
}
