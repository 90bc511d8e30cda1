//! Two organizations with everything that there is to mix up.

use kernel::Role;
use serde_json::json;
use testkit::{Answer, Client, Key, Member, Options, TestApp};
use uuid::Uuid;

use super::operations::{FORM, Ids};

/// An organization with a store, a key, records and words that nobody else may read.
pub(super) struct Tenant {
    pub(super) owner: Member,
    pub(super) key: Key,
    pub(super) ids: Ids,
    pub(super) markers: Vec<String>,
}

pub(super) struct Scene {
    pub(super) app: TestApp,
    pub(super) ours: Tenant,
    pub(super) theirs: Tenant,
}

impl Scene {
    pub(super) async fn set() -> Self {
        let app = TestApp::with(Options { live_requests_per_minute: 1_000_000, ..Options::default() }).await;
        let ours = Tenant::make(&app, "Ours", "kavebolt.example").await;
        let theirs = Tenant::make(&app, "Theirs", "tea.example").await;
        FORM.get_or_init(|| ours.owner.woocommerce_form("kavebolt.example"));
        Self { app, ours, theirs }
    }
}

impl Tenant {
    async fn make(app: &TestApp, name: &str, host: &str) -> Self {
        let owner = app.sign_up(name).await;
        let store = owner.connect_woocommerce(host).await;
        let marker = format!("marker-{}", kernel::random::token());
        let named = json!({ "display_name": format!("store {marker}") });
        owner.patch(&format!("/api/integrations/connections/{store}/"), named).await.expect(http::StatusCode::OK);
        let key = owner.create_key(&format!("key {marker}")).await;
        let Seats { member, invitation, grant, team_member } = seats(&owner, &marker).await;
        let organization = owner.organization;
        let notification = notify(&owner, &marker).await;
        let records = Default::default();
        let key_id = key.id;
        let mut ids =
            Ids { organization, store, key: key_id, member, invitation, grant, team_member, notification, records };
        for resource in ["customers", "orders", "products"] {
            let page = key
                .get(&format!("/webshop-data-api/{resource}?store_id={store}&limit=1"))
                .await
                .expect(http::StatusCode::OK);
            ids.records.insert(resource.to_owned(), page.at("/data/0/id").as_str().expect("a record").to_owned());
        }
        let markers = vec![
            marker,
            owner.organization_name.clone(),
            owner.email.clone(),
            host.to_owned(),
            owner.organization.to_string(),
            owner.user.to_string(),
            store.to_string(),
            key.id.to_string(),
            key.text[..21].to_owned(),
        ];
        Self { owner, key, ids, markers }
    }

    /// A person of this organization, with an API key of their own if they may have one.
    pub(super) async fn person(&self, role: Role) -> (Member, Ids) {
        let member = self.owner.member(role).await;
        let mut ids = self.ids.clone();
        ids.notification = notify(&member, &self.markers[0]).await;
        if role.permissions().contains(kernel::Resource::ApiKeys, kernel::Action::Create) {
            ids.key = member.create_key(&format!("{role}'s")).await.id;
        }
        if role.permissions().contains(kernel::Resource::Members, kernel::Action::Delete) {
            // To be removed and to be revoked.
            let Seats { member, invitation, grant, team_member } = seats(&self.owner, &self.markers[0]).await;
            (ids.member, ids.invitation, ids.grant, ids.team_member) = (member, invitation, grant, team_member);
        }
        (member, ids)
    }

    /// Panics where an answer to somebody else holds anything of this organization.
    pub(super) fn refuse_markers(&self, place: &str, answer: &Answer, given: &[Uuid]) {
        let mut text = answer.text();
        for (name, value) in &answer.headers {
            text.push_str(&format!("\n{name}: {}", String::from_utf8_lossy(value.as_bytes())));
        }
        for marker in self.markers.iter().filter(|marker| !given.iter().any(|id| id.to_string() == **marker)) {
            assert!(!text.contains(marker.as_str()), "{place}: the answer holds {marker}: {}", answer.short());
        }
    }
}

/// Something that a member is told.
async fn notify(member: &Member, marker: &str) -> Uuid {
    let clock = &member.installation().clock;
    let id = kernel::NotificationId::new(clock).uuid();
    sqlx::query(
        "insert into notifications (organization_id, id, user_id, kind, severity, params, created_at)
         values ($1, $2, $3, 'connection_needs_reauth', 'error', jsonb_build_object('store', $4::text), $5)",
    )
    .bind(member.organization)
    .bind(id)
    .bind(member.user)
    .bind(marker)
    .bind(clock.now())
    .execute(&mut member.installation().database.superuser().await)
    .await
    .expect("a notification");
    id
}

/// What there is of people to be changed and taken away.
struct Seats {
    /// A viewer's.
    member: Uuid,
    /// One that is offered.
    invitation: Uuid,
    /// Of the viewer.
    grant: Uuid,
    team_member: Uuid,
}

async fn seats(owner: &Member, marker: &str) -> Seats {
    let id = |value: serde_json::Value| value.as_str().and_then(|id| id.parse::<Uuid>().ok()).expect("an id");
    let viewer = owner.member(Role::Viewer).await;
    let members = owner.get("/api/members?limit=100").await.expect(http::StatusCode::OK).at("/data");
    let members = members.as_array().expect("members");
    let seat = members.iter().find(|member| member["user_id"] == viewer.user.to_string()).expect("the viewer's seat");
    let form = json!({ "email": format!("{}@people.example", kernel::random::token()), "role": "viewer" });
    let invited = owner.post("/api/invitations", form).await.expect(http::StatusCode::CREATED);
    let member = id(seat["id"].clone());
    let form = json!({ "effect": "allow", "resource": "audit", "action": "read", "reason": marker });
    let granted = owner.post(&format!("/api/members/{member}/grants"), form).await.expect(http::StatusCode::CREATED);
    let form = json!({ "full_name": format!("Person {marker}"), "email": format!("{}@people.example", marker.to_lowercase()), "member_type": "sales" });
    let person = owner.post("/api/team-members", form).await.expect(http::StatusCode::CREATED);
    Seats { member, invitation: id(invited.at("/id")), grant: id(granted.at("/id")), team_member: id(person.at("/id")) }
}

/// An answer without what differs from request to request, to compare two.
pub(super) fn shape(answer: &Answer, ids: &[Uuid]) -> String {
    let mut body = answer.text();
    if let Ok(mut value) = serde_json::from_str::<serde_json::Value>(&body) {
        if let Some(object) = value.as_object_mut() {
            object.remove("request_id");
        }
        body = value.to_string();
    } else if answer.header("content-type") == "text/event-stream" {
        // Where it stands is sealed, and when to come back is drawn.
        body = body.lines().map(|line| line.split(':').next().unwrap_or_default()).collect::<Vec<_>>().join(" ");
    }
    for id in ids {
        body = body.replace(&id.to_string(), "{id}");
    }
    format!("{} {body}", answer.status)
}

pub(super) fn unknown(client: &Client) -> Uuid {
    kernel::JobId::new(&client.installation().clock).uuid()
}
