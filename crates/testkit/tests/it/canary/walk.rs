//! Everything that the program does, with canaries in hand.

use axum::http::{Method, StatusCode};
use kit::vault::{self, Context, Kind, Scope};
use sandbox::{
    faults::{Fault, Rule},
    woocommerce::{ApiKey, Permissions},
    world::{Rng, Role as ShopRole},
};
use serde_json::{Value, json};
use testkit::{Answer, Client, Member, TestApp, scan::Needle};
use uuid::Uuid;

use super::people::people;
use crate::people::factors::{enrol, first_step, second_step};

const WOOCOMMERCE: &str = "kavebolt.example";
const SHOPIFY: &str = "kis-bolt";

fn secret(name: &str, value: impl Into<String>) -> Needle {
    Needle { name: name.to_owned(), value: value.into() }
}

/// A connected WooCommerce shop whose people are canaries.
pub(super) async fn a_shop_with_canaries(app: &TestApp, owner: &Member) -> (Uuid, Vec<Needle>) {
    let (people, needles) = people("woocommerce");
    let shop = app.sandbox().woocommerce().shop(WOOCOMMERCE).expect("a shop");
    shop.edit(|world| {
        for person in people {
            world.plant(person);
        }
    });
    (owner.connect_woocommerce(WOOCOMMERCE).await, needles)
}

/// Who walked, what they were shown, and what must be found nowhere.
pub(super) struct Walked {
    owner: Member,
    store: Uuid,
    pub(super) seen: String,
    pub(super) needles: Vec<Needle>,
}

/// Tokens that are taken, and some that are not: their signatures and what is in them.
async fn tokens_of_an_issuer(app: &TestApp, kata: &Member, needles: &mut Vec<Needle>) {
    let issuer = app.sandbox().issuer();
    let claims = |more: Value| {
        let mut claims = json!({ "sub": "kata", "canary": kernel::random::token() });
        claims.as_object_mut().expect("claims").extend(more.as_object().expect("claims").clone());
        claims
    };
    let good = issuer.token(claims(json!({})));
    kata.post("/api/identities", json!({ "token": good })).await.expect(StatusCode::OK);
    let mut tokens = vec![good.clone()];
    for more in [
        json!({ "exp": 1 }),
        json!({ "aud": "others" }),
        json!({ "sub": "stranger", "email": "stranger@people.example" }),
    ] {
        tokens.push(issuer.token(claims(more)));
    }
    tokens.push(format!("{good}x"));
    for token in tokens {
        app.nobody().presenting(&token).get("/api/me").await;
        app.nobody().get(&format!("/api/me?access_token={token}")).await;
        let parts: Vec<&str> = token.split('.').collect();
        needles.push(secret("claims of a token", parts[1]));
        needles.push(secret("signature of a token", parts[2]));
    }
}

/// All flows, good and bad, but for the last.
pub(super) async fn everything(app: &TestApp) -> Walked {
    let kata = app.sign_up("Kata").await;
    let mut needles = vec![
        secret("password", &kata.password),
        secret("session", kata.bearer.clone().expect("a session")),
        secret("master key", &app.installation.master_key),
        secret("app secret", &app.installation.shopify_secret),
    ];
    sessions(app, &kata, &mut needles).await;
    tokens_of_an_issuer(app, &kata, &mut needles).await;
    factors(app, &mut needles).await;

    let (people, words) = people(SHOPIFY);
    needles.extend(words);
    let shop = app.sandbox().shopify().shop(SHOPIFY).expect("a shop");
    for person in people {
        shop.plant(person);
    }
    let woocommerce = connect_with_new_keys(app, &kata, &mut needles).await;
    let consent = kata.consent_to(SHOPIFY, json!({})).await;
    let back = consent.answer.expect(StatusCode::SEE_OTHER);
    let shopify: Uuid = back.header("location").rsplit('=').next().and_then(|id| id.parse().ok()).expect("a store");
    for (name, value) in ["pairing", "state", "code"].into_iter().zip(consent.secrets) {
        needles.push(secret(name, value));
    }
    // The same way again, used up.
    let again = consent.back.strip_prefix(testkit::app::PUBLIC_URL).expect("ours").to_owned();
    app.nobody().with_header("cookie", &consent.cookies).get(&again).await.expect_problem(400, "oauth_state_invalid");
    needles.extend(tokens(app, &kata, shopify).await);

    let key = kata.create_key("reader").await;
    needles.push(secret("API key", &key.text));
    needles.push(secret("API key, secret part", &key.text[21..]));
    let mut seen = String::new();
    for store in [woocommerce, shopify] {
        read(&key, store, &needles, &mut seen).await;
        read_while_the_shop_fails(app, &key, store, &needles).await;
        bad_bodies(&key, store, &needles).await;
    }
    app.advance(sandbox::shopify::ACCESS_LIFE).await;
    key.get(&format!("/webshop-data-api/orders?store_id={shopify}")).await.expect(StatusCode::OK);
    needles.extend(tokens(app, &kata, shopify).await);
    keys(&kata, &mut needles).await;
    switches(&kata, &key, woocommerce).await;
    Walked { owner: kata, store: woocommerce, seen, needles }
}

async fn sessions(app: &TestApp, kata: &Member, needles: &mut Vec<Needle>) {
    let nobody = app.nobody();
    let wrong = format!("wrong password {}", kernel::random::token());
    nobody
        .post("/api/login", json!({ "email": kata.email, "password": wrong }))
        .await
        .expect_problem(401, "invalid_credentials");
    let right = nobody
        .post("/api/login", json!({ "email": kata.email, "password": kata.password }))
        .await
        .expect(StatusCode::OK);
    let token = right.at("/session_token").as_str().expect("a session").to_owned();
    needles.extend([
        secret("wrong password", &wrong),
        secret("second session", &token),
        secret("CSRF token", right.at("/csrf_token").as_str().expect("a token")),
    ]);
    nobody.presenting(&token).post("/api/logout", json!({})).await.expect(StatusCode::NO_CONTENT);
    let form = json!({ "name": "K", "email": "not an address", "password": wrong, "organization_name": "K" });
    nobody.post("/api/sign-up", form).await.expect_problem(400, "invalid_request");
    let form = json!({ "name": "K", "email": "k@people.example", "password": wrong, "surplus": wrong });
    nobody.post("/api/sign-up", form).await.expect_problem(400, "invalid_request");
    let taken = json!({ "name": "K", "email": kata.email, "password": wrong, "organization_name": "K" });
    nobody.post("/api/sign-up", taken).await.expect_problem(409, "conflict");
    nobody
        .send_bytes(Method::POST, "/api/login", Some(format!("{{\"email\": {wrong}").into_bytes()))
        .await
        .expect_problem(400, "invalid_request");
}

/// A second factor that is set up, used, and recovered from, right and wrong.
async fn factors(app: &TestApp, needles: &mut Vec<Needle>) {
    let person = app.sign_up("Factor").await;
    let (authenticator, codes) = enrol(app, &person).await;
    needles.push(secret("secret of an app", authenticator.base32()));
    needles.extend(codes.iter().map(|code| secret("recovery code", code)));
    let pending = first_step(&app.nobody(), &person).await;
    needles.push(secret("pending login", pending.at("/pending_login").as_str().expect("a login")));
    let wrong = json!({ "recovery_code": kernel::random::token() });
    second_step(&app.nobody(), &pending, wrong).await.expect_problem(403, "factor_refused");
    let right = json!({ "recovery_code": codes[0] });
    second_step(&app.nobody(), &pending, right).await.expect(StatusCode::OK);
    person.post("/api/factors/recovery-codes", Value::Null).await.expect(StatusCode::OK);
}

/// Keys of a shop that nobody has seen before, and wrong ones.
async fn connect_with_new_keys(app: &TestApp, kata: &Member, needles: &mut Vec<Needle>) -> Uuid {
    let (people, words) = people(WOOCOMMERCE);
    needles.extend(words);
    let shop = app.sandbox().woocommerce().shop(WOOCOMMERCE).expect("a shop");
    shop.edit(|world| {
        for person in people {
            world.plant(person);
        }
    });
    let mut rng = Rng::new(u64::from_be_bytes(kernel::random::bytes()));
    let mut new = |name: &str| {
        let key = ApiKey::generate(&mut rng, Permissions::Read, ShopRole::Administrator);
        needles.extend([
            secret(&format!("{name} key"), &key.consumer_key),
            secret(&format!("{name} secret"), &key.consumer_secret),
        ]);
        key
    };
    let (first, second, wrong) = (new("first"), new("second"), new("wrong"));
    shop.add_key(first.clone());
    shop.add_key(second.clone());
    let form = |key: &ApiKey| {
        let mut form = kata.woocommerce_form(WOOCOMMERCE);
        form["credential"] = json!({ "consumer_key": key.consumer_key, "consumer_secret": key.consumer_secret });
        form
    };
    let connections = "/api/integrations/connections/";
    assert!(kata.post(connections, form(&wrong)).await.status.is_client_error(), "wrong keys");
    let mut misplaced = form(&first);
    misplaced["config"]["consumer_secret"] = json!(first.consumer_secret);
    kata.post(connections, misplaced).await.expect_problem(400, "invalid_request");
    let answer = kata.post(connections, form(&first)).await.expect(StatusCode::CREATED);
    let store: Uuid = answer.at("/id").as_str().and_then(|id| id.parse().ok()).expect("a store");
    kata.post(connections, form(&first)).await.expect_problem(409, "conflict");
    let path = format!("{connections}{store}/credential/");
    assert!(kata.post(&path, json!({ "credential": form(&wrong)["credential"] })).await.status.is_client_error());
    kata.post(&path, json!({ "credential": form(&second)["credential"] })).await.expect(StatusCode::OK);
    store
}

/// The tokens that the provider gave us, from where they lie sealed.
async fn tokens(app: &TestApp, owner: &Member, store: Uuid) -> Vec<Needle> {
    enum Look {}
    impl kernel::scope::InternalTask for Look {
        const NAME: &'static str = "test";
        const PERMISSIONS: &'static [(kernel::Resource, kernel::Action)] = &[];
    }
    let organization = owner.organization.into();
    let scope = kernel::TenantScope::internal::<Look>(organization);
    let mut tx = app.app().db.tenant(&scope).await.expect("a transaction");
    let (id, key, sealed): (Uuid, Uuid, Vec<u8>) = sqlx::query_as(
        "select id, data_key_id, sealed from credentials where connection_id = $1 and revoked_at is null",
    )
    .bind(store)
    .fetch_one(tx.conn())
    .await
    .expect("a credential");
    let key = kit::data_keys::open(&mut tx, &app.app().keyring, key.into()).await.expect("a key").expect("a live key");
    let context = Context { organization, scope: Scope::Connection(store.into()), kind: Kind::CREDENTIAL, record: id };
    let opened = vault::open(&key, &context, &sealed).expect("opens");
    let opened: Value = serde_json::from_slice(&opened).expect("JSON");
    let token = |name: &str| secret(&format!("{name} token"), opened[name].as_str().expect("a token"));
    vec![token("access"), token("refresh")]
}

/// Of those that people search by.
fn words<'a>(needles: &'a [Needle], what: &'a str) -> impl Iterator<Item = &'a str> {
    needles.iter().filter(move |needle| needle.name.starts_with(what)).map(|needle| needle.value.as_str())
}

fn encoded(text: &str) -> String {
    url::form_urlencoded::byte_serialize(text.as_bytes()).collect()
}

/// All nine operations, with filters, pages and fields, by GET and by search.
async fn read(key: &Client, store: Uuid, needles: &[Needle], seen: &mut String) {
    let mut keep = |answer: Answer| {
        seen.push_str(&answer.text());
        answer
    };
    for resource in ["customers", "orders", "products"] {
        let path = format!("/webshop-data-api/{resource}?store_id={store}");
        let page = keep(key.get(&format!("{path}&limit=100")).await.expect(StatusCode::OK));
        for record in page.at("/data").as_array().expect("records").iter().take(3) {
            let id = record["id"].as_str().expect("an id");
            keep(key.get(&format!("/webshop-data-api/{resource}/{id}?store_id={store}")).await.expect(StatusCode::OK));
        }
        let page = keep(key.get(&format!("{path}&limit=2&fields=id,platform_specific")).await.expect(StatusCode::OK));
        if let Some(cursor) = page.at("/meta/next_cursor").as_str() {
            keep(
                key.get(&format!("{path}&limit=2&fields=id,platform_specific&cursor={cursor}"))
                    .await
                    .expect(StatusCode::OK),
            );
        }
        for (field, what) in [("email", "e-mail"), ("phone", "phone"), ("search", "last name"), ("search", "note")] {
            for value in words(needles, what).take(14) {
                let search = json!({ "store_id": store, field: value, "limit": 5 });
                keep(key.post(&format!("/webshop-data-api/{resource}/search"), search).await);
            }
            for value in words(needles, what).take(2) {
                keep(key.get(&format!("{path}&{field}={}", encoded(value))).await);
                keep(key.get(&format!("/webshop-data-api/{resource}/{}?store_id={store}", encoded(value))).await);
            }
        }
    }
}

/// A shop whose errors quote what it was asked, or whom it was asked about.
async fn read_while_the_shop_fails(app: &TestApp, key: &Client, store: Uuid, needles: &[Needle]) {
    let email = words(needles, "e-mail").next().expect("somebody").to_owned();
    let name = words(needles, "last name").last().expect("somebody").to_owned();
    let faults = || {
        [
            app.sandbox().woocommerce().shop(WOOCOMMERCE).expect("a shop").faults(),
            app.sandbox().shopify().shop(SHOPIFY).expect("a shop").faults(),
        ]
    };
    let quoting = json!({ "code": name, "message": format!("no such person: {email}"), "data": { "status": 400, "params": { &email: name } }, "errors": name });
    let json_of = |status: u16| {
        Fault::answer(StatusCode::from_u16(status).expect("a status"), "application/json", quoting.to_string())
    };
    let all = [
        json_of(200),
        json_of(400),
        json_of(401),
        json_of(403),
        json_of(404),
        json_of(429),
        json_of(500),
        Fault::answer(
            StatusCode::OK,
            "application/json",
            format!("[{{\"id\": \"{email}\", \"email\": {{\"{name}\": 1}}, \"billing\": \"{name}\"}}]"),
        ),
        Fault::answer(
            StatusCode::OK,
            "application/json",
            format!("{{\"data\": {{\"customers\": {{\"nodes\": [{{\"id\": 7, \"lastName\": [\"{name}\"]}}]}}}}}}"),
        ),
        Fault::answer(
            StatusCode::OK,
            "application/json",
            format!(
                "{{\"data\": null, \"errors\": [{{\"message\": \"{email} {name}\", \"extensions\": {{\"code\": \"{name}\"}}}}]}}"
            ),
        ),
        Fault::html(StatusCode::BAD_GATEWAY, &name),
        Fault::Prefix(bytes::Bytes::from(format!("<b>Notice</b>: {email}"))),
        Fault::CutHalfway,
        Fault::CutBeforeHeaders,
    ];
    for fault in all {
        for faults in faults() {
            faults.inject(Rule::from(fault.clone()));
        }
        for resource in ["customers", "orders"] {
            let search = json!({ "store_id": store, "search": name });
            key.post(&format!("/webshop-data-api/{resource}/search"), search).await;
            key.get(&format!("/webshop-data-api/{resource}?store_id={store}")).await;
            key.get(&format!("/webshop-data-api/{resource}/1?store_id={store}")).await;
        }
        faults().iter().for_each(|faults| faults.clear());
        revive(app, store).await;
    }
}

/// Makes a store usable again that a refusal has marked.
async fn revive(app: &TestApp, store: Uuid) {
    let mut superuser = app.superuser().await;
    sqlx::query("update connections set status = 'connected', health = 'ok' where id = $1")
        .bind(store)
        .execute(&mut superuser)
        .await
        .expect("revived");
}

/// Requests that are wrong, with persons in the wrong places.
async fn bad_bodies(key: &Client, store: Uuid, needles: &[Needle]) {
    for value in words(needles, "e-mail").take(1).chain(words(needles, "last name").take(3)) {
        let search = "/webshop-data-api/customers/search";
        let bodies = [
            json!({ "store_id": value }),
            json!({ "store_id": store, value: value }),
            json!({ "store_id": store, "limit": value }),
            json!({ "store_id": store, "created_after": value }),
            json!({ "store_id": store, "status": value }),
            json!({ "store_id": store, "fields": [value] }),
            json!({ "store_id": store, "cursor": value }),
            json!({ "store_id": store, "email": { "is": value } }),
            json!([value]),
        ];
        for body in bodies {
            let answer = key.post(search, body).await;
            assert!(answer.status.is_client_error(), "{}", answer.short());
        }
        key.send_bytes(Method::POST, search, Some(format!("{{\"email\": \"{value}").into_bytes()))
            .await
            .expect_problem(400, "invalid_request");
        let plain = key.with_header("content-type", "text/plain");
        plain.send_bytes(Method::POST, search, None).await.expect_problem(415, "unsupported_media_type");
        for query in ["limit", "store_id", "created_after", "status", "payment_status", "surplus"] {
            let answer = key.get(&format!("/webshop-data-api/orders?{query}={}", encoded(value))).await;
            assert!(answer.status.is_client_error(), "{}", answer.short());
        }
        key.get(&format!("/{}", encoded(value))).await.expect_problem(404, "not_found");
        key.with_header("x-request-id", "short")
            .with_header("user-agent", "curl")
            .get(&format!("/api/stores/{}", encoded(value)))
            .await;
        key.presenting(&format!("entrepot_session_{}", encoded(value)))
            .get("/api/me")
            .await
            .expect_problem(401, "unauthenticated");
    }
}

async fn keys(kata: &Member, needles: &mut Vec<Needle>) {
    let old = kata.create_key("old").await;
    let answer = kata
        .post("/api-key-management/rotate", json!({ "key_id": old.id, "overlap_hours": 1 }))
        .await
        .expect(StatusCode::CREATED);
    let new = kata.key_of(&answer);
    for key in [&old, &new] {
        key.get("/api/stores").await.expect(StatusCode::OK);
        needles.push(secret("rotated key", &key.text));
    }
    kata.post("/api-key-management/revoke", json!({ "key_id": old.id })).await.expect(StatusCode::OK);
    let mut wrong = new.text.clone();
    wrong.replace_range(25..26, if &wrong[25..26] == "x" { "y" } else { "x" });
    kata.presenting(&wrong).get("/api/stores").await.expect_problem(401, "unauthenticated");
    needles.push(secret("wrong key", wrong));
}

async fn switches(kata: &Member, key: &Client, store: Uuid) {
    let permissions =
        json!({ "allow_customer_access": false, "allow_order_access": true, "allow_product_access": true });
    let path = format!("/api/stores/{store}/permissions");
    kata.put(&path, json!({ "data_access_permissions": permissions, "reason": "a reason" }))
        .await
        .expect(StatusCode::OK);
    for resource in ["customers", "orders"] {
        key.get(&format!("/webshop-data-api/{resource}?store_id={store}&limit=100")).await;
    }
    for path in
        ["/api/audit", "/api/access-log", "/api/integrations/events/", "/api/stores", "/api-key-management/list"]
    {
        kata.get(path).await.expect(StatusCode::OK);
    }
}

/// The credential is revoked, and the organization deleted.
pub(super) async fn the_end(app: &TestApp, walked: &Walked) {
    let Walked { owner: kata, store, .. } = walked;
    kata.post(&format!("/api/integrations/connections/{store}/revoke/"), json!({})).await.expect(StatusCode::OK);
    let path = format!("/api/organizations/{}", kata.organization);
    kata.prove().await;
    kata.delete(&path, json!({ "name": kata.organization_name })).await.expect(StatusCode::NO_CONTENT);
    app.eventually("its jobs are done", || async {
        let mut superuser = app.superuser().await;
        let left: i64 =
            sqlx::query_scalar("select count(*) from jobs").fetch_one(&mut superuser).await.expect("a count");
        left == 0
    })
    .await;
}
