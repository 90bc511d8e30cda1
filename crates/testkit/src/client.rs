//! Somebody who calls the program.

use std::{
    net::{Ipv4Addr, SocketAddr},
    ops::Deref,
    sync::Arc,
};

use axum::{
    body::Body,
    extract::ConnectInfo,
    http::{HeaderMap, Method, Request, StatusCode, header},
    response::Response,
};
use entrepot::server::Endpoint;
use http_body_util::BodyExt;
use kernel::{MemberId, Role, SessionId, UserId};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use tower::ServiceExt;
use uuid::Uuid;

use crate::{Process, TestApp, app::Installation, contract};

/// Who calls: this machine, as the documented proxy does, which is believed when it says for whom.
pub(crate) const PEER: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::LOCALHOST), 1);

/// What came back.
#[derive(Debug)]
pub struct Answer {
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub body: Vec<u8>,
}

impl Answer {
    /// An answer to its end; of one that does not end by itself, its beginning.
    pub async fn read(response: Response) -> Self {
        let (parts, mut body) = response.into_parts();
        if parts.headers.get(header::CONTENT_TYPE).is_some_and(|kind| kind == "text/event-stream") {
            let first = body.frame().await.and_then(Result::ok).and_then(|frame| frame.into_data().ok());
            return Self { status: parts.status, headers: parts.headers, body: first.unwrap_or_default().to_vec() };
        }
        let body = body.collect().await.expect("an answer is read").to_bytes().to_vec();
        Self { status: parts.status, headers: parts.headers, body }
    }

    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// The beginning of the body, for messages.
    pub fn short(&self) -> String {
        self.text().chars().take(600).collect()
    }

    /// # Panics
    /// When it is not JSON.
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body)
            .unwrap_or_else(|error| panic!("not JSON ({error}): {} {}", self.status, self.short()))
    }

    /// The value at a JSON pointer, null where there is none.
    pub fn at(&self, pointer: &str) -> Value {
        self.json().pointer(pointer).cloned().unwrap_or(Value::Null)
    }

    /// The end of the problem's `type`; empty where the answer is no problem.
    pub fn problem(&self) -> String {
        let kind =
            serde_json::from_slice::<Value>(&self.body).ok().and_then(|body| body["type"].as_str().map(str::to_owned));
        kind.and_then(|kind| kind.strip_prefix("/docs/errors/").map(str::to_owned)).unwrap_or_default()
    }

    /// # Panics
    /// When the status is another.
    #[track_caller]
    pub fn expect(self, status: StatusCode) -> Self {
        assert_eq!(self.status, status, "{}", self.short());
        self
    }

    /// # Panics
    /// When it is not this problem.
    #[track_caller]
    pub fn expect_problem(self, status: u16, problem: &str) -> Self {
        assert_eq!((self.status.as_u16(), self.problem().as_str()), (status, problem), "{}", self.short());
        self
    }

    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
    }
}

/// Somebody at a node: what they present, and where. Cheap to clone.
#[derive(Clone)]
pub struct Client {
    place: Place,
    installation: Arc<Installation>,
    /// A session's token or an API key.
    pub bearer: Option<String>,
    /// Sent as `Entrepot-Organization`.
    pub organization: Option<Uuid>,
    /// Further headers of each request.
    pub headers: HeaderMap,
}

impl Client {
    pub(crate) fn new(node: &TestApp, bearer: Option<String>) -> Self {
        let (place, installation) = (Place::Node(node.endpoint().clone()), node.installation.clone());
        Self { place, installation, bearer, organization: None, headers: HeaderMap::new() }
    }

    /// The same somebody at another node.
    #[must_use]
    pub fn on(&self, node: &TestApp) -> Self {
        Self { place: Place::Node(node.endpoint().clone()), ..self.clone() }
    }

    /// The same somebody at a process.
    ///
    /// # Panics
    /// When there is no client for HTTP.
    #[must_use]
    pub fn at_process(&self, process: &Process) -> Self {
        Self { place: Place::process(process), ..self.clone() }
    }

    /// The same with another header.
    #[must_use]
    pub fn with_header(&self, name: &'static str, value: &str) -> Self {
        let mut client = self.clone();
        client.headers.insert(name, value.parse().expect("a header"));
        client
    }

    /// The same, naming an organization.
    #[must_use]
    pub fn naming(&self, organization: Uuid) -> Self {
        Self { organization: Some(organization), ..self.clone() }
    }

    /// The same with other credentials.
    #[must_use]
    pub fn presenting(&self, bearer: &str) -> Self {
        Self { bearer: Some(bearer.to_owned()), ..self.clone() }
    }

    pub fn installation(&self) -> &Installation {
        &self.installation
    }

    pub async fn get(&self, path: &str) -> Answer {
        self.send(Method::GET, path, None).await
    }

    pub async fn post(&self, path: &str, body: Value) -> Answer {
        self.send(Method::POST, path, Some(body)).await
    }

    pub async fn put(&self, path: &str, body: Value) -> Answer {
        self.send(Method::PUT, path, Some(body)).await
    }

    pub async fn patch(&self, path: &str, body: Value) -> Answer {
        self.send(Method::PATCH, path, Some(body)).await
    }

    pub async fn delete(&self, path: &str, body: Value) -> Answer {
        self.send(Method::DELETE, path, Some(body)).await
    }

    pub async fn send(&self, method: Method, path: &str, body: Option<Value>) -> Answer {
        let bytes = body.map(|body| serde_json::to_vec(&body).expect("JSON"));
        self.send_bytes(method, path, bytes).await
    }

    /// A body that need not be JSON, sent as if it were.
    pub async fn send_bytes(&self, method: Method, path: &str, body: Option<Vec<u8>>) -> Answer {
        let names_fields = |text: &[u8]| text.windows(6).any(|part| part == b"fields");
        let is_partial = names_fields(path.as_bytes()) || body.as_deref().is_some_and(names_fields);
        let mut request = Request::builder().method(method.clone()).uri(path);
        if let Some(bearer) = &self.bearer {
            request = request.header(header::AUTHORIZATION, format!("Bearer {bearer}"));
        }
        if let Some(organization) = self.organization {
            request = request.header("entrepot-organization", organization.to_string());
        }
        if body.is_some() {
            request = request.header(header::CONTENT_TYPE, "application/json");
        }
        let mut request = request.body(body.map_or_else(Body::empty, Body::from)).expect("a request");
        request.headers_mut().extend(self.headers.clone());
        request.extensions_mut().insert(ConnectInfo(PEER));
        let answer = self.serve(request).await;
        contract::hold(&method, path, &answer, is_partial);
        answer
    }

    /// Any request, as it is.
    ///
    /// # Panics
    /// When a process does not answer.
    pub async fn serve(&self, request: Request<Body>) -> Answer {
        match &self.place {
            Place::Node(_) => Answer::read(self.open(request).await).await,
            Place::Process(address, client) => {
                let sent = over_the_wire(*address, client, request).await;
                sent.unwrap_or_else(|error| panic!("the process does not answer: {error}"))
            }
        }
    }

    /// A node's answer to any request, its body unread.
    ///
    /// # Panics
    /// At a process, whose answers are read whole.
    pub async fn open(&self, request: Request<Body>) -> Response {
        let Place::Node(endpoint) = &self.place else { panic!("answers of processes are read whole") };
        match endpoint.clone().oneshot(request).await {
            Ok(response) => response,
            Err(never) => match never {},
        }
    }

    /// A read of a process that may be killed meanwhile; None when it was.
    ///
    /// # Panics
    /// At a node, which is not killed.
    pub async fn get_if_it_lives(&self, path: &str) -> Option<Answer> {
        let Place::Process(address, client) = &self.place else { panic!("only processes are killed") };
        let request = Request::get(path)
            .header(header::AUTHORIZATION, format!("Bearer {}", self.bearer.as_deref().unwrap_or_default()));
        over_the_wire(*address, client, request.body(Body::empty()).expect("a request")).await.ok()
    }
}

/// Where somebody calls the program.
#[derive(Clone)]
enum Place {
    /// Without a socket.
    Node(Endpoint),
    Process(SocketAddr, reqwest::Client),
}

impl Place {
    fn process(process: &Process) -> Self {
        #[expect(clippy::disallowed_methods, reason = "a caller of the program, and no part of it")]
        let client = reqwest::Client::builder().no_proxy().tls_certs_only([]).build().expect("a client");
        Self::Process(process.address(), client)
    }
}

async fn over_the_wire(
    address: SocketAddr,
    client: &reqwest::Client,
    request: Request<Body>,
) -> Result<Answer, reqwest::Error> {
    let (parts, body) = request.into_parts();
    let body = body.collect().await.expect("a body of a test is there").to_bytes();
    let sent = client.request(parts.method, format!("http://{address}{}", parts.uri)).headers(parts.headers).body(body);
    let response = sent.send().await?;
    let (status, headers) = (response.status(), response.headers().clone());
    Ok(Answer { status, headers, body: response.bytes().await?.to_vec() })
}

/// A person with a session in one organization.
#[derive(Clone)]
pub struct Member {
    client: Client,
    pub name: String,
    pub email: String,
    /// Of those who signed up; members who were put there have none.
    pub password: String,
    pub user: Uuid,
    pub organization: Uuid,
    pub organization_name: String,
}

impl Deref for Member {
    type Target = Client;
    fn deref(&self) -> &Client {
        &self.client
    }
}

impl TestApp {
    /// Somebody signs up, owns an organization of their own, and has confirmed their address.
    pub async fn sign_up(&self, name: &str) -> Member {
        let member = self.sign_up_unconfirmed(name).await;
        sqlx::query("update users set email_verified_at = $2 where id = $1")
            .bind(member.user)
            .bind(self.clock().now())
            .execute(&mut self.superuser().await)
            .await
            .expect("a confirmed address");
        member
    }

    /// The same without the confirmation: its mail is on the way.
    pub async fn sign_up_unconfirmed(&self, name: &str) -> Member {
        let tag = kernel::random::base62(8).to_lowercase();
        let email = format!("{}-{tag}@people.example", name.to_lowercase());
        let password = format!("pass {} word", kernel::random::base62(16));
        let organization_name = format!("{name} & Co. {tag}");
        let form =
            json!({ "name": name, "email": email, "password": password, "organization_name": organization_name });
        let answer = self.nobody().post("/api/sign-up", form).await.expect(StatusCode::CREATED);
        let id = |pointer: &str| answer.at(pointer).as_str().and_then(|id| id.parse().ok()).expect("an id");
        Member {
            client: Client::new(self, answer.at("/session_token").as_str().map(str::to_owned)),
            name: name.to_owned(),
            email,
            password,
            user: id("/user_id"),
            organization: id("/organization_id"),
            organization_name,
        }
    }
}

impl Member {
    /// Another person of the organization, who is signed in. The rows are put there, which is quicker than an invitation.
    pub async fn member(&self, role: Role) -> Member {
        self.member_with_status(role, "active").await
    }

    /// The same, with a status of the membership.
    pub async fn member_with_status(&self, role: Role, status: &str) -> Member {
        let (clock, tag) = (&self.installation.clock, kernel::random::base62(8).to_lowercase());
        let now = clock.now();
        let (user, member, session) = (UserId::new(clock), MemberId::new(clock), SessionId::new(clock));
        let (name, email) = (format!("{role} {tag}"), format!("{role}-{tag}@people.example"));
        let token = format!("entrepot_session_{}", kernel::random::base62(43));
        let mut superuser = self.installation.database.superuser().await;
        sqlx::query("insert into users (id, email, name, password_hash, created_at, email_verified_at) values ($1, $2, $3, 'none', $4, $4)")
            .bind(user.uuid())
            .bind(&email)
            .bind(&name)
            .bind(now)
            .execute(&mut superuser)
            .await
            .expect("a user");
        sqlx::query(
            "insert into organization_members (organization_id, id, user_id, role, status, created_at)
             values ($1, $2, $3, $4, $5, $6)",
        )
        .bind(self.organization)
        .bind(member.uuid())
        .bind(user.uuid())
        .bind(role.as_str())
        .bind(status)
        .bind(now)
        .execute(&mut superuser)
        .await
        .expect("a member");
        sqlx::query(
            "insert into sessions (id, user_id, token_hash, created_at, last_seen_at, expires_at) values ($1, $2, $3, $4, $4, $5)",
        )
        .bind(session.uuid())
        .bind(user.uuid())
        .bind(Sha256::digest(token.as_bytes()).to_vec())
        .bind(now)
        .bind(now + chrono::TimeDelta::days(30))
        .execute(&mut superuser)
        .await
        .expect("a session");
        let client = Client { bearer: Some(token), ..self.client.clone() };
        Member { client, name, email, password: String::new(), user: user.uuid(), ..self.clone() }
    }

    /// Proves by the password that it is still them, for what asks for a proof of the last ten minutes.
    pub async fn prove(&self) {
        let proof = json!({ "password": self.password });
        self.post("/api/sessions/current/proof", proof).await.expect(StatusCode::OK);
    }

    /// Makes an API key with everything that keys may do.
    pub async fn create_key(&self, name: &str) -> Key {
        self.create_key_with(json!({ "name": name })).await
    }

    /// Makes an API key, with the body of the request.
    pub async fn create_key_with(&self, form: Value) -> Key {
        let answer = self.post("/api-key-management/create", form).await.expect(StatusCode::CREATED);
        self.key_of(&answer)
    }

    /// The key that an answer shows.
    pub fn key_of(&self, answer: &Answer) -> Key {
        let text = answer.at("/api_key").as_str().expect("a key").to_owned();
        let id = answer.at("/key_id").as_str().and_then(|id| id.parse().ok()).expect("a key's id");
        Key { client: self.client.presenting(&text), id, text }
    }

    /// The same person at another node.
    #[must_use]
    pub fn at(&self, node: &TestApp) -> Member {
        Member { client: self.client.on(node), ..self.clone() }
    }
}

/// A program with an API key.
#[derive(Clone)]
pub struct Key {
    client: Client,
    pub id: Uuid,
    pub text: String,
}

impl Deref for Key {
    type Target = Client;
    fn deref(&self) -> &Client {
        &self.client
    }
}
