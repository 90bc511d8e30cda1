//! Each kind that leaves by rows: there a second before its time, gone a second after it, and only where its time has come.

use axum::http::StatusCode;
use chrono::TimeDelta;
use entrepot::housekeeping::{self, jobs::PurgeDeleted};
use kernel::{JobId, OrganizationId};
use kit::retention::{Kind, Removal};
use serde_json::json;
use sqlx::{AssertSqlSafe, PgConnection};
use testkit::{Member, TestApp};

/// How one of a kind comes to its end at `{at}`, for the organization `{org}` and the person `{user}`, and how many there are.
fn one(kind: Kind) -> Option<(&'static str, &'static str)> {
    Some(match kind {
        Kind::StorePermissions => (
            "insert into store_permission_audit (organization_id, id, connection_id, actor, before, after, created_at) values ('{org}', '{n}', '{n}', 'system:test', '{}', '{}', '{at}')",
            "select count(*) from store_permission_audit where organization_id = '{org}'",
        ),
        Kind::Connections => (
            "insert into connections (organization_id, id, provider_key, external_account, display_name, status, created_at, updated_at, deleted_at) values ('{org}', '{n}', 'woocommerce', '{n}', 'test', 'disconnected', '{at}', '{at}', '{at}')",
            "select count(*) from connections where organization_id = '{org}'",
        ),
        Kind::TeamMembers => (
            "with key as (insert into data_keys (organization_id, id, scope, scope_id, key_version, wrapped, master_fingerprint, created_at) values ('{org}', '{n}', 'import', '{n}', 1, '\\x00', 'test', '{at}') returning id) insert into team_members (organization_id, id, external_id, data_key_id, sealed_name, member_type, created_at, updated_at, deleted_at) select '{org}', '{n}', '{n}', key.id, '\\x00', 'sales', '{at}', '{at}', '{at}' from key",
            "select count(*) from team_members where organization_id = '{org}'",
        ),
        Kind::Grants => (
            "insert into permission_grants (organization_id, id, member_id, effect, resource, action, created_at, ends_at) select '{org}', '{n}', m.id, 'allow', 'orders', 'read', '{at}', '{at}' from organization_members m where m.organization_id = '{org}' limit 1",
            "select count(*) from permission_grants where organization_id = '{org}'",
        ),
        Kind::ApiKeys => (
            "insert into user_api_keys (organization_id, id, user_id, key_name, lookup, key_hash, state, state_changed_at, expires_at, created_at, updated_at) values ('{org}', '{n}', '{user}', 'key', substr(md5('{n}'), 1, 8), 'hash', 'revoked', '{at}', '9999-01-01', '{at}', '{at}')",
            "select count(*) from user_api_keys where organization_id = '{org}'",
        ),
        Kind::DeadJobs => (
            "insert into jobs (organization_id, id, name, payload, run_at, due_at, state, created_at) values ('{org}', '{n}', 'test', '{}', '{at}', '{at}', 'dead', '{at}')",
            "select count(*) from jobs where organization_id = '{org}' and name = 'test'",
        ),
        Kind::Invitations => (
            "insert into invitations (organization_id, id, role, email_digest, token_hash, invited_by, sent_at, expires_at, created_at) values ('{org}', '{n}', 'viewer', sha256('{n}'), sha256('{n}'), '{user}', '{at}', '{at}', '{at}')",
            "select count(*) from invitations where organization_id = '{org}'",
        ),
        Kind::Sessions => (
            "insert into sessions (id, user_id, token_hash, created_at, last_seen_at, expires_at, revoked_at) values ('{n}', '{user}', sha256('{n}'), '{at}', '{at}', '9999-01-01', '{at}')",
            "select count(*) from sessions where user_id = '{user}' and expires_at = '9999-01-01'",
        ),
        Kind::Links => (
            "insert into user_links (id, user_id, purpose, token_hash, created_at, expires_at, used_at) values ('{n}', '{user}', 'reset', sha256('{n}'), '{at}', '{at}', '{at}')",
            "select count(*) from user_links where user_id = '{user}' and purpose = 'reset'",
        ),
        Kind::Mail => (
            "insert into mail_outbox (organization_id, id, kind, state, created_at, settled_at) values ('{org}', '{n}', 'test', 'sent', '{at}', '{at}')",
            "select count(*) from mail_outbox where organization_id = '{org}' and kind = 'test'",
        ),
        Kind::IdempotencyKeys => (
            "insert into idempotency_keys (organization_id, key_digest, request_digest, created_at) values ('{org}', sha256('{n}'), sha256('{n}'), '{at}')",
            "select count(*) from idempotency_keys where organization_id = '{org}'",
        ),
        Kind::LoginAttempts => (
            "insert into login_attempts (subject, failures, last_at, blocked_until) values (sha256('{org}'), 77, '{at}', '{at}')",
            "select count(*) from login_attempts where failures = 77 and subject = sha256('{org}')",
        ),
        Kind::OauthStates => (
            "insert into oauth_states (state_hash, organization_id, user_id, session_id, provider_key, step, created_at, expires_at) select sha256('{n}'), '{org}', '{user}', s.id, 'shopify', 'pairing', '{at}', '{at}' from sessions s where s.user_id = '{user}' limit 1",
            "select count(*) from oauth_states where organization_id = '{org}'",
        ),
        Kind::RateWindows => (
            "insert into rate_windows (organization_id, subject, window_minute, used) values ('{org}', '{n}', floor(extract(epoch from timestamptz '{at}') / 60), 1)",
            "select count(*) from rate_windows where organization_id = '{org}'",
        ),
        Kind::Notifications => (
            "insert into notifications (organization_id, id, user_id, kind, severity, created_at) values ('{org}', '{n}', '{user}', 'test', 'info', '{at}')",
            "select count(*) from notifications where organization_id = '{org}' and kind = 'test'",
        ),
        Kind::UsageCounters => (
            "insert into usage_counters (organization_id, counter, day, used, leased) values ('{org}', 'test', (timestamptz '{at}' at time zone 'UTC')::date, 1, 1)",
            "select count(*) from usage_counters where organization_id = '{org}' and counter = 'test'",
        ),
        Kind::ErrorReports => (
            "insert into error_reports (id, organization_id, fingerprint, kind, place, code, message, occurrences, first_seen_at, last_seen_at, release) values ('{n}', '{org}', md5('{n}'), 'task', 'test', 'test', 'test', 1, '{at}', '{at}', '1')",
            "select count(*) from error_reports where organization_id = '{org}'",
        ),
        Kind::Challenges => (
            "insert into spent_challenges (challenge_hash, expires_at) values (sha256('{org}'), '{at}')",
            "select count(*) from spent_challenges where challenge_hash = sha256('{org}')",
        ),
        // By partitions (partitions.rs); by the organization (below).
        Kind::Events | Kind::AccessLog | Kind::AuditLog | Kind::Organizations => return None,
    })
}

async fn run(conn: &mut PgConnection, sql: &str, app: &TestApp, of: &Member) {
    let sql = filled(sql, app, of);
    sqlx::query(AssertSqlSafe(sql.clone())).execute(conn).await.unwrap_or_else(|error| panic!("{sql}: {error}"));
}

async fn count(conn: &mut PgConnection, sql: &str, app: &TestApp, of: &Member) -> i64 {
    sqlx::query_scalar(AssertSqlSafe(filled(sql, app, of))).fetch_one(conn).await.expect("a count")
}

fn filled(sql: &str, app: &TestApp, of: &Member) -> String {
    sql.replace("{org}", &of.organization.to_string())
        .replace("{user}", &of.user.to_string())
        .replace("{n}", &JobId::new(app.clock()).to_string())
        .replace("{at}", &app.clock().now().to_rfc3339())
}

/// Both ways in which rows leave, for all organizations.
async fn purge(app: &TestApp, members: &[&Member]) {
    housekeeping::purge(app.app()).await.expect("a purge");
    for member in members {
        let mut tx = app.app().db.system(db::SystemTask::EnqueueSchedules).await.expect("a transaction");
        let organization: OrganizationId = member.organization.into();
        jobs::enqueue_as_system(&mut tx, app.clock(), organization, &PurgeDeleted::default()).await.expect("enqueued");
        tx.commit().await.expect("committed");
    }
    app.eventually("the jobs are done", || async {
        let waiting: i64 = sqlx::query_scalar("select count(*) from jobs where name = 'purge_deleted'")
            .fetch_one(&mut app.superuser().await)
            .await
            .expect("a count");
        waiting == 0
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn every_kind_is_there_just_before_its_time_and_gone_just_after_and_that_of_others_stays() {
    let app = TestApp::start().await;
    let (kata, bela) = (app.sign_up("Kata").await, app.sign_up("Bela").await);
    let mut superuser = app.superuser().await;
    let mut shown = 0;
    for kind in Kind::ALL {
        let Some((insert, counted)) = one(kind) else { continue };
        // Minutes and days are counted whole.
        let (step, apart) = match kind {
            Kind::RateWindows => (TimeDelta::minutes(2), TimeDelta::hours(1)),
            Kind::UsageCounters => (TimeDelta::days(1), TimeDelta::days(1)),
            _ => (TimeDelta::seconds(2), TimeDelta::hours(1)),
        };
        let kept = app.app().config.retention.of(kind);
        run(&mut superuser, insert, &app, &kata).await;
        app.advance(apart).await;
        run(&mut superuser, insert, &app, &bela).await;
        if kept > TimeDelta::hours(1) {
            app.advance(kept - apart - step).await;
            purge(&app, &[&kata, &bela]).await;
            let left =
                [count(&mut superuser, counted, &app, &kata).await, count(&mut superuser, counted, &app, &bela).await];
            assert_eq!(left, [1, 1], "{kind:?}: its time has not come");
            app.advance(step * 2).await;
        }
        purge(&app, &[&kata, &bela]).await;
        let left =
            [count(&mut superuser, counted, &app, &kata).await, count(&mut superuser, counted, &app, &bela).await];
        // What is kept for no time at all has run out for both.
        let expected = if kept > TimeDelta::hours(1) { [0, 1] } else { [0, 0] };
        assert_eq!(left, expected, "{kind:?}: its time has come, and not for another organization");
        run(&mut superuser, &counted.replace("select count(*)", "delete"), &app, &bela).await;
        shown += 1;
    }
    let by_rows = Kind::ALL.iter().filter(|kind| kind.rule().removal != Removal::Partitions).count();
    assert_eq!(shown, by_rows - 1, "each kind that leaves by rows, but for organizations");
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn more_than_a_batch_goes_at_once_and_what_is_not_over_is_never_touched() {
    let app = TestApp::start().await;
    let kata = app.sign_up("Kata").await;
    let mut superuser = app.superuser().await;
    sqlx::query(
        "insert into connections (organization_id, id, provider_key, external_account, display_name, status, created_at, updated_at, deleted_at)
         select $1, gen_random_uuid(), 'woocommerce', n::text, 'test', 'disconnected', $2, $2, case when n > 1200 then null else $2 end
         from generate_series(1, 1210) n",
    )
    .bind(kata.organization)
    .bind(app.clock().now() - TimeDelta::days(31))
    .execute(&mut superuser)
    .await
    .expect("rows");
    purge(&app, &[&kata]).await;
    let left: i64 =
        sqlx::query_scalar("select count(*) from connections").fetch_one(&mut superuser).await.expect("a count");
    assert_eq!(left, 10);
    let lines: i64 = sqlx::query_scalar(
        "select count(*) from audit_log where action = 'connection.purge' and actor = 'system:purge_deleted'",
    )
    .fetch_one(&mut superuser)
    .await
    .expect("a count");
    assert_eq!(lines, 1_200);
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reason_that_cannot_be_sealed_is_reported_and_keeps_nothing_from_going() {
    let app = TestApp::start().await;
    let kata = app.sign_up("Kata").await;
    let person = json!({ "full_name": "Somebody", "member_type": "sales" });
    kata.post("/api/team-members", person).await.expect(StatusCode::CREATED);
    let mut superuser = app.superuser().await;
    // In clear, as a program before this one wrote it; and the key to seal it with is damaged.
    let grant = "insert into permission_grants (organization_id, id, member_id, effect, resource, action, created_at, reason)
        select '{org}', '{n}', m.id, 'allow', 'orders', 'read', '{at}', 'Réka is away' from organization_members m where m.organization_id = '{org}' limit 1";
    run(&mut superuser, grant, &app, &kata).await;
    let key: uuid::Uuid =
        sqlx::query_scalar("select id from data_keys where organization_id = $1 and scope = 'organization'")
            .bind(kata.organization)
            .fetch_one(&mut superuser)
            .await
            .expect("a key");
    let name = key.to_string();
    let shard = app.installation.data_dir.path().join("keys").join(&name[34..]).join(&name);
    std::fs::write(shard, [7; 40]).expect("a damaged shard");
    let (deleted, count_deleted) = one(Kind::Connections).expect("a kind");
    run(&mut superuser, deleted, &app, &kata).await;
    app.advance(TimeDelta::days(31)).await;
    purge(&app, &[&kata]).await;
    assert_eq!(count(&mut superuser, count_deleted, &app, &kata).await, 0, "what is over goes");
    let clear = "select count(*) from permission_grants where organization_id = '{org}' and reason is not null";
    assert_eq!(count(&mut superuser, clear, &app, &kata).await, 1);
    app.eventually("it is reported", || async {
        count(
            &mut app.superuser().await,
            "select count(*) from error_reports where place = 'seal_reasons'",
            &app,
            &kata,
        )
        .await
            > 0
    })
    .await;
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn of_a_deleted_organization_only_its_logs_and_its_name_stay() {
    let app = TestApp::start().await;
    let (kata, bela) = (app.sign_up("Kata").await, app.sign_up("Bela").await);
    for member in [&kata, &bela] {
        member.connect_woocommerce("kavebolt.example").await;
        member.create_key("reader").await;
        let person = json!({ "full_name": "Somebody", "member_type": "sales" });
        member.post("/api/team-members", person).await.expect(StatusCode::CREATED);
    }
    let path = format!("/api/organizations/{}", kata.organization);
    kata.delete(&path, json!({ "name": kata.organization_name })).await.expect(StatusCode::NO_CONTENT);
    let mut superuser = app.superuser().await;
    let sql = "select (select count(*) from organization_members where organization_id = '{org}')
        + (select count(*) from connections where organization_id = '{org}') + (select count(*) from credentials where organization_id = '{org}')
        + (select count(*) from user_api_keys where organization_id = '{org}') + (select count(*) from api_key_prefixes where organization_id = '{org}')
        + (select count(*) from team_members where organization_id = '{org}')";
    let kept = app.app().config.retention.of(Kind::Organizations);
    app.advance(kept - TimeDelta::seconds(2)).await;
    purge(&app, &[]).await;
    assert_eq!(count(&mut superuser, sql, &app, &kata).await, 6);
    app.advance(TimeDelta::seconds(4)).await;
    purge(&app, &[]).await;
    assert_eq!(count(&mut superuser, sql, &app, &kata).await, 0);
    assert_eq!(count(&mut superuser, sql, &app, &bela).await, 6, "another organization's stay");
    let logs = "select count(*) from audit_log where organization_id = '{org}' and action = 'organization.delete'";
    assert_eq!(count(&mut superuser, logs, &app, &kata).await, 1);
    let name = "select count(*) from organizations where id = '{org}'";
    assert_eq!(count(&mut superuser, name, &app, &kata).await, 1);
    app.finish().await;
}
