//! What comes back from a consent and does not add up, case by case: each is refused with its own code, writes nothing, and
//! asks nobody where nobody may be asked.

mod install;
mod shopify;
mod woocommerce;

use sha2::{Digest, Sha256};
use testkit::{Answer, Member, TestApp};

/// Who brings the answer of the consent page.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Who {
    Began,
    /// The same person, signed in once more.
    OtherSession,
    /// An owner of the same organization.
    Colleague,
    OtherOrganization,
    Nobody,
    Key,
}

/// What happened since they left.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Meanwhile {
    Nothing,
    /// They may connect nothing any more.
    RightTaken,
    SeatSuspended,
    SessionEnded,
    OrganizationDeleted,
}

async fn execute(app: &TestApp, sql: &'static str, id: uuid::Uuid) {
    sqlx::query(sql).bind(id).execute(&mut app.superuser().await).await.expect("so");
}

/// A traveller in an organization of their own, with somebody for each [`Who`].
struct People {
    began: Member,
    colleague: Member,
    stranger: Member,
    key: String,
    other_session: String,
}

impl People {
    async fn meet(app: &TestApp) -> Self {
        let began = app.sign_up("Kata").await;
        let (colleague, stranger) = (began.member(kernel::Role::Owner).await, app.sign_up("Bela").await);
        let key = began.create_key("bot").await.text;
        let form = serde_json::json!({ "email": began.email, "password": began.password });
        let again = app.nobody().post("/api/login", form).await.expect(http::StatusCode::OK);
        let other_session = again.at("/session_token").as_str().expect("a session").to_owned();
        Self { began, colleague, stranger, key, other_session }
    }

    /// The headers that somebody comes with.
    fn bearer(&self, who: Who) -> Option<String> {
        match who {
            Who::Began => self.began.bearer.clone(),
            Who::OtherSession => Some(self.other_session.clone()),
            Who::Colleague => self.colleague.bearer.clone(),
            Who::OtherOrganization => self.stranger.bearer.clone(),
            Who::Nobody => None,
            Who::Key => Some(self.key.clone()),
        }
    }

    async fn get(&self, app: &TestApp, who: Who, path: &str) -> Answer {
        let mut client = app.nobody();
        client.bearer = self.bearer(who);
        client.get(path).await
    }

    async fn let_happen(&self, app: &TestApp, meanwhile: Meanwhile) {
        let user = self.began.user;
        match meanwhile {
            Meanwhile::Nothing => {}
            Meanwhile::RightTaken => {
                execute(app, "update organization_members set role = 'viewer' where user_id = $1", user).await;
            }
            Meanwhile::SeatSuspended => {
                execute(app, "update organization_members set status = 'suspended' where user_id = $1", user).await;
            }
            Meanwhile::SessionEnded => {
                execute(app, "update sessions set revoked_at = created_at where user_id = $1", user).await;
            }
            Meanwhile::OrganizationDeleted => {
                let organization = self.began.organization;
                execute(app, "update organizations set deleted_at = created_at where id = $1", organization).await;
            }
        }
    }
}

/// Connections, credentials that open, claims, and keys that wait.
async fn written(app: &TestApp) -> (i64, i64, i64, i64) {
    sqlx::query_as(
        "select (select count(*) from connections), (select count(*) from credentials where revoked_at is null),
                (select count(*) from exclusive_accounts), (select count(*) from oauth_states where sealed_keys is not null)",
    )
    .fetch_one(&mut app.superuser().await)
    .await
    .expect("counts")
}

/// Forgets the attempts of the cases before: a person has twenty at once.
async fn forget_attempts(app: &TestApp) {
    sqlx::query("delete from oauth_states").execute(&mut app.superuser().await).await.expect("so");
}

/// Whether an attempt is still open.
async fn is_open(app: &TestApp, state: &str) -> bool {
    let hash = Sha256::digest(state.as_bytes()).to_vec();
    let found: i64 = sqlx::query_scalar("select count(*) from oauth_states where state_hash = $1")
        .bind(hash)
        .fetch_one(&mut app.superuser().await)
        .await
        .expect("a count");
    found == 1
}

/// What is wrong with the refusal of a case; nothing if it is as it should be.
fn compare<T: PartialEq + std::fmt::Debug>(failures: &mut Vec<String>, case: &str, what: &str, is: T, should_be: T) {
    if is != should_be {
        failures.push(format!("{case}: {what} is {is:?} instead of {should_be:?}"));
    }
}
