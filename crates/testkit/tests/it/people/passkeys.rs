//! Passkeys, with a browser and an authenticator that do as Web Authentication Level 3 says, or as a test tells them. Chromium and its
//! own authenticator are in `e2e/account.test.mjs`.

use aws_lc_rs::{
    rand::SystemRandom,
    signature::{ECDSA_P256_SHA256_ASN1_SIGNING, EcdsaKeyPair, KeyPair},
};
use axum::http::StatusCode;
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use chrono::TimeDelta;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use testkit::{Answer, Client, Member, TestApp};

use super::factors::{enrol, first_step, second_step};

const HERE: &str = "https://entrepot.example";

/// A device with one passkey, and the browser on it.
#[derive(Clone)]
pub(crate) struct Device {
    /// PKCS #8.
    key: Vec<u8>,
    credential_id: Vec<u8>,
    user_handle: Value,
    count: u32,
    /// Whether the person who holds it is known to it.
    is_verified: bool,
}

impl Device {
    fn new() -> Self {
        let key = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_ASN1_SIGNING).expect("a key");
        Self {
            key: key.to_pkcs8v1().expect("a key").as_ref().to_vec(),
            credential_id: kernel::random::bytes::<32>().to_vec(),
            user_handle: Value::Null,
            count: 0,
            is_verified: true,
        }
    }

    fn key(&self) -> EcdsaKeyPair {
        EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_ASN1_SIGNING, &self.key).expect("a key")
    }

    /// Section 6.1: for whom, who was there, and how often.
    fn data(&mut self, relying_party: &Value, attested: &[u8]) -> Vec<u8> {
        self.count += 1;
        let relying_party = Sha256::digest(relying_party.as_str().expect("a relying party"));
        let attests = if attested.is_empty() { 0 } else { 0x40 };
        let flags = 0x01 | if self.is_verified { 0x04 } else { 0 } | attests;
        [&relying_party[..], &[flags], &self.count.to_be_bytes(), attested].concat()
    }

    fn make(&mut self, origin: &str, question: &Answer) -> Value {
        let options = question.at("/options");
        let algorithms = options["pubKeyCredParams"].as_array().expect("algorithms");
        assert!(algorithms.iter().any(|offered| offered["alg"] == -7 && offered["type"] == "public-key"));
        self.user_handle = options["user"]["id"].clone();
        let (key, length) = (self.key(), u16::try_from(self.credential_id.len()).expect("short"));
        let (x, y) = key.public_key().as_ref()[1..].split_at(32);
        // EC2, ES256, P-256 (RFC 9053, section 7.1).
        let cose = [b"\xa5\x01\x02\x03\x26\x20\x01\x21\x58\x20", x, b"\x22\x58\x20", y].concat();
        let attested = [&[0; 16][..], &length.to_be_bytes(), &self.credential_id, &cose].concat();
        let data = self.data(&options["rp"]["id"], &attested);
        let length = u8::try_from(data.len()).expect("short");
        let object = [b"\xa3\x63fmt\x64none\x67attStmt\xa0\x68authData\x58", &[length][..], &data].concat();
        json!({
            "id": encode(&self.credential_id),
            "type": "public-key",
            "response": {
                "clientDataJSON": encode(&client_data("webauthn.create", origin, &options["challenge"])),
                "attestationObject": encode(&object),
                "transports": ["internal", "teleport"],
            },
        })
    }

    fn answer(&mut self, origin: &str, options: &Value) -> Value {
        let client_data = client_data("webauthn.get", origin, &options["challenge"]);
        let data = self.data(&options["rpId"], &[]);
        let signed = [&data[..], &Sha256::digest(&client_data)].concat();
        let signature = self.key().sign(&SystemRandom::new(), &signed).expect("a signature");
        json!({
            "id": encode(&self.credential_id),
            "type": "public-key",
            "response": {
                "clientDataJSON": encode(&client_data),
                "authenticatorData": encode(&data),
                "signature": encode(signature.as_ref()),
                "userHandle": self.user_handle,
            },
        })
    }
}

/// Section 5.8.1.
fn client_data(kind: &str, origin: &str, challenge: &Value) -> Vec<u8> {
    json!({ "type": kind, "challenge": challenge, "origin": origin, "crossOrigin": false }).to_string().into_bytes()
}

fn encode(bytes: &[u8]) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

async fn question(person: &Client) -> Answer {
    person.post("/api/factors/passkeys/start", Value::Null).await.expect(StatusCode::OK)
}

async fn add(person: &Client, question: &Answer, credential: Value) -> Answer {
    let form = json!({ "challenge": question.at("/challenge"), "name": "Phone", "credential": credential });
    person.post("/api/factors/passkeys", form).await
}

/// A device with a passkey of this person.
pub(crate) async fn a_device_of(person: &Client) -> Device {
    let mut device = Device::new();
    let question = question(person).await;
    let credential = device.make(HERE, &question);
    add(person, &question, credential).await.expect(StatusCode::OK);
    device
}

async fn begin(at: &Client) -> Answer {
    at.post("/api/login/passkey/start", Value::Null).await.expect(StatusCode::OK)
}

async fn finish(at: &Client, question: &Answer, credential: Value) -> Answer {
    at.post("/api/login/passkey", json!({ "challenge": question.at("/challenge"), "credential": credential })).await
}

async fn log_in(at: &Client, device: &mut Device) -> Answer {
    let question = begin(at).await;
    let credential = device.answer(HERE, &question.at("/options"));
    finish(at, &question, credential).await
}

fn session(of: &Member, opened: &Answer) -> Client {
    of.presenting(opened.at("/session_token").as_str().expect("a session"))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_passkey_signs_in_without_an_e_mail_on_any_node() {
    let a = TestApp::start().await;
    let b = a.second_node().await;
    let kata = a.sign_up("Kata").await;
    let mut device = Device::new();
    let asked = question(&kata).await;
    let options = asked.at("/options");
    assert_eq!((&options["rp"]["id"], &options["attestation"]), (&json!("entrepot.example"), &json!("none")));
    assert_eq!(options["authenticatorSelection"]["userVerification"], "required");
    let credential = device.make(HERE, &asked);
    let added = add(&kata.on(&b), &asked, credential.clone()).await.expect(StatusCode::OK);
    assert_eq!(added.at("/recovery_codes").as_array().map(Vec::len), Some(10));
    // The question was answered; and the passkey is there.
    add(&kata, &asked, credential).await.expect_problem(410, "challenge_invalid");
    let excluded = question(&kata).await.at("/options/excludeCredentials/0/id");
    assert!(excluded.is_string());

    let asked = begin(&a.nobody()).await;
    assert_eq!(asked.at("/options/allowCredentials"), json!([]));
    let credential = device.answer(HERE, &asked.at("/options"));
    let opened = finish(&b.nobody(), &asked, credential.clone()).await.expect(StatusCode::OK);
    assert_eq!(session(&kata, &opened).get("/api/me").await.at("/user/email"), json!(kata.email));
    assert_eq!(session(&kata, &opened).get("/api/sessions").await.at("/data/0/proved_by"), "passkey");
    // What was answered once is answered.
    finish(&a.nobody(), &asked, credential).await.expect_problem(410, "challenge_invalid");
    log_in(&a.nobody(), &mut device).await.expect(StatusCode::OK);
    let listed = kata.get("/api/factors").await.expect(StatusCode::OK);
    assert_eq!(listed.at("/passkeys/0/name"), "Phone");
    assert!(listed.at("/passkeys/0/last_used_at").is_string());
    b.finish().await;
    a.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_is_taken_for_its_own_question_only() {
    let a = TestApp::start().await;
    let b = a.second_node().await;
    let kata = a.sign_up("Kata").await;
    let mut device = a_device_of(&kata).await;
    let nobody = a.nobody();

    // Of another question, of another purpose, of another session, and after five minutes.
    let (one, other) = (begin(&nobody).await, begin(&nobody).await);
    let credential = device.answer(HERE, &one.at("/options"));
    finish(&nobody, &other, credential.clone()).await.expect_problem(403, "factor_refused");
    let proof = kata.post("/api/sessions/current/proof/passkey", Value::Null).await.expect(StatusCode::OK);
    finish(&nobody, &proof, credential.clone()).await.expect_problem(410, "challenge_invalid");
    let form = json!({ "passkey": { "challenge": one.at("/challenge"), "credential": credential } });
    kata.post("/api/sessions/current/proof", form).await.expect_problem(410, "challenge_invalid");
    let elsewhere = session(&kata, &log_in(&nobody, &mut device).await.expect(StatusCode::OK));
    let credential = device.answer(HERE, &proof.at("/options"));
    let form = json!({ "passkey": { "challenge": proof.at("/challenge"), "credential": credential } });
    elsewhere.post("/api/sessions/current/proof", form.clone()).await.expect_problem(410, "challenge_invalid");
    kata.on(&b).post("/api/sessions/current/proof", form.clone()).await.expect(StatusCode::OK);
    kata.post("/api/sessions/current/proof", form).await.expect_problem(410, "challenge_invalid");
    let late = begin(&nobody).await;
    let credential = device.answer(HERE, &late.at("/options"));
    a.advance(TimeDelta::minutes(5)).await;
    finish(&nobody, &late, credential).await.expect_problem(410, "challenge_invalid");

    // Of a registration: nothing but a registration of the same session.
    let asked = question(&kata).await;
    let mut second = Device::new();
    let credential = second.make(HERE, &asked);
    add(&elsewhere, &asked, credential.clone()).await.expect_problem(410, "challenge_invalid");
    let of_login = begin(&nobody).await;
    add(&kata, &of_login, credential.clone()).await.expect_problem(410, "challenge_invalid");
    add(&kata, &asked, credential).await.expect(StatusCode::OK);
    b.finish().await;
    a.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_from_another_origin_or_of_another_person_is_refused() {
    let app = TestApp::start().await;
    let (kata, other) = (app.sign_up("Kata").await, app.sign_up("Other").await);
    let mut device = a_device_of(&kata).await;
    let mut others = a_device_of(&other).await;
    let nobody = app.nobody();
    // A site below ours may ask for passkeys of ours; it is not us.
    for origin in ["https://evil.entrepot.example", "https://entrepot.example:8443"] {
        let asked = begin(&nobody).await;
        let credential = device.answer(origin, &asked.at("/options"));
        finish(&nobody, &asked, credential).await.expect_problem(403, "factor_refused");
        let asked = question(&kata).await;
        let credential = Device::new().make(origin, &asked);
        add(&kata, &asked, credential).await.expect_problem(403, "factor_refused");
    }
    // The passkey of one, said to be of another; and without saying whose.
    let asked = begin(&nobody).await;
    let mut credential = device.answer(HERE, &asked.at("/options"));
    let of_other = others.answer(HERE, &begin(&nobody).await.at("/options"));
    credential["response"]["userHandle"] = of_other["response"]["userHandle"].clone();
    finish(&nobody, &asked, credential.clone()).await.expect_problem(403, "factor_refused");
    credential["response"]["userHandle"] = Value::Null;
    finish(&nobody, &asked, credential).await.expect_problem(403, "factor_refused");
    // The second step, and the proof, of one person by the passkey of another.
    let pending = first_step(&nobody, &kata).await;
    assert_eq!(pending.at("/factors"), json!(["passkey", "recovery_code"]));
    let mut options = pending.at("/passkey_options");
    let named = options["allowCredentials"].take();
    let credential = others.answer(HERE, &options);
    let answer = second_step(&nobody, &pending, json!({ "passkey": { "credential": credential } })).await;
    answer.expect_problem(403, "factor_refused");
    options["allowCredentials"] = named;
    let credential = device.answer(HERE, &options);
    let answer = second_step(&nobody, &pending, json!({ "passkey": { "credential": credential } })).await;
    answer.expect(StatusCode::OK);
    // A passkey of one is as unknown to another as one that nobody has.
    let path = "/api/factors/passkeys";
    let katas = kata.get("/api/factors").await.at("/passkeys/0/id");
    let katas = format!("{path}/{}", katas.as_str().expect("an id"));
    other.patch(&katas, json!({ "name": "Mine now" })).await.expect_problem(404, "not_found");
    other.delete(&katas, Value::Null).await.expect_problem(404, "not_found");
    kata.patch(&katas, json!({ "name": "Key ring" })).await.expect(StatusCode::OK);
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_is_let_in_by_a_passkey_that_did_not_verify_them() {
    let app = TestApp::start().await;
    let kata = app.sign_up("Kata").await;
    let device = a_device_of(&kata).await;
    let mut glove = Device { is_verified: false, ..device };
    let asked = begin(&app.nobody()).await;
    // The page of a thief asks its authenticator for less than we did.
    let mut options = asked.at("/options");
    options["userVerification"] = json!("discouraged");
    let credential = glove.answer(HERE, &options);
    finish(&app.nobody(), &asked, credential).await.expect_problem(403, "factor_refused");
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_copy_that_has_counted_less_is_refused_written_down_and_told_of() {
    let a = TestApp::start().await;
    let b = a.second_node().await;
    let kata = a.sign_up("Kata").await;
    let mut device = a_device_of(&kata).await;
    let mut copy = device.clone();
    log_in(&a.nobody(), &mut device).await.expect(StatusCode::OK);
    log_in(&a.nobody(), &mut device).await.expect(StatusCode::OK);
    let refused = log_in(&b.nobody(), &mut copy).await.expect_problem(403, "factor_refused");
    assert!(refused.at("/detail").as_str().is_some_and(|detail| detail.contains("copy")));
    let audit = kata.get("/api/audit?limit=100").await.expect(StatusCode::OK).text();
    assert!(audit.contains("factor.copied") && audit.contains("factor.add"), "{audit}");
    let events = kata.get("/api/integrations/events/?limit=100").await.expect(StatusCode::OK).text();
    assert!(events.contains("member.passkey_copied"), "{events}");
    let mail = a.sandbox().mailbox();
    a.eventually("a mail tells of it", || async {
        mail.to(&kata.email).iter().any(|mail| mail.subject.contains("may have been copied"))
    })
    .await;
    log_in(&a.nobody(), &mut device).await.expect(StatusCode::OK);
    b.finish().await;
    a.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn several_passkeys_are_listed_and_one_that_is_removed_opens_nothing() {
    let a = TestApp::start().await;
    let b = a.second_node().await;
    let kata = a.sign_up("Kata").await;
    let (mut first, mut second) = (a_device_of(&kata).await, a_device_of(&kata).await);
    enrol(&a, &kata).await;
    let elsewhere = session(&kata, &log_in(&b.nobody(), &mut first).await.expect(StatusCode::OK)).on(&b);
    let listed = kata.get("/api/factors").await.expect(StatusCode::OK);
    assert_eq!(listed.at("/passkeys").as_array().map(Vec::len), Some(2));
    let path = format!("/api/factors/passkeys/{}", listed.at("/passkeys/0/id").as_str().expect("an id"));
    a.advance(TimeDelta::minutes(11)).await;
    let refused = kata.delete(&path, Value::Null).await.expect_problem(403, "step_up_required");
    assert_eq!(refused.at("/factors"), json!(["passkey", "totp", "recovery_code"]));
    let asked = kata.post("/api/sessions/current/proof/passkey", Value::Null).await.expect(StatusCode::OK);
    let credential = second.answer(HERE, &asked.at("/options"));
    let form = json!({ "passkey": { "challenge": asked.at("/challenge"), "credential": credential } });
    kata.post("/api/sessions/current/proof", form).await.expect(StatusCode::OK);
    kata.delete(&path, Value::Null).await.expect(StatusCode::NO_CONTENT);
    let audit = kata.get("/api/audit?action=factor.remove").await.expect(StatusCode::OK);
    assert_eq!(audit.at("/data").as_array().map(Vec::len), Some(1));
    a.within_a_second("other sessions end", || async { elsewhere.get("/api/me").await.status == 401 }).await;
    log_in(&b.nobody(), &mut first).await.expect_problem(403, "factor_refused");
    log_in(&b.nobody(), &mut second).await.expect(StatusCode::OK);
    b.finish().await;
    a.finish().await;
}
