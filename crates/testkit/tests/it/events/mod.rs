//! The activity log: narrowed, exported, followed, and held to be what it was.

mod export;
mod filters;
mod tail;
mod tampering;

use kernel::{Role, Time};
use sqlx::PgConnection;
use testkit::{Member, TestApp};
use uuid::Uuid;

/// Many lines of an organization, a second apart, the last one at `newest`: of five types, four actors and three connections.
/// One in a hundred is a warning, one in a thousand an error.
async fn fill(conn: &mut PgConnection, organization: Uuid, lines: i64, newest: Time) {
    sqlx::query(
        "insert into events (organization_id, id, connection_id, level, event_type, message, meta, actor, created_at)
         select $1,
            (substr(app.uuid_floor(at)::text, 1, 14) || '7' || substr(md5($1::text || n), 1, 3) || '-8' || substr(md5($1::text || n), 4, 3)
                || '-' || substr(md5($1::text || n), 7, 12))::uuid,
            ('00000000-0000-7000-8000-00000000000' || n % 3)::uuid,
            case when n % 1000 = 0 then 'error' when n % 100 = 0 then 'warning' else 'info' end,
            (array['sync.started', 'sync.ended', 'order.imported', 'product.changed', 'connection.tested'])[1 + n % 5],
            'Line ' || n || ' of many.', jsonb_build_object('n', n), 'system:task_' || n % 4, at
         from (select n, $3 - make_interval(secs => ($2 - n)::float8) as at from generate_series(1, $2) n) lines",
    )
    .bind(organization)
    .bind(lines)
    .bind(newest)
    .execute(conn)
    .await
    .expect("lines");
}

/// All ids of a list, page by page.
async fn all_ids(reader: &testkit::Client, query: &str) -> Vec<String> {
    let mut ids = vec![];
    let mut cursor = String::new();
    loop {
        let path = format!("/api/integrations/events/?limit=100&{query}{cursor}");
        let page = reader.get(&path).await.expect(http::StatusCode::OK);
        let rows = page.at("/data").as_array().cloned().unwrap_or_default();
        ids.extend(rows.iter().map(|row| row["id"].as_str().expect("an id").to_owned()));
        match page.at("/next_cursor").as_str() {
            Some(next) => cursor = format!("&cursor={next}"),
            None => return ids,
        }
    }
}

/// An organization with a log of its own and a neighbor with another.
async fn scene(lines: i64) -> (TestApp, Member, Member) {
    let app = TestApp::start().await;
    let (ours, theirs) = (app.sign_up("Ours").await, app.sign_up("Theirs").await);
    let mut superuser = app.superuser().await;
    let newest = app.clock().now();
    fill(&mut superuser, ours.organization, lines, newest).await;
    fill(&mut superuser, theirs.organization, lines, newest).await;
    sqlx::query("analyze events").execute(&mut superuser).await.expect("statistics");
    (app, ours, theirs)
}

#[tokio::test(flavor = "multi_thread")]
async fn who_may_not_read_the_log_reads_no_part_of_it() {
    let app = TestApp::start().await;
    let kata = app.sign_up("Kata").await;
    for role in Role::ALL {
        let member = kata.member(*role).await;
        let may = role.permissions().contains(kernel::Resource::Events, kernel::Action::Read);
        for path in ["", "export.csv", "stream"] {
            let path = format!("/api/integrations/events/{path}");
            let answer = member.get(&path).await;
            assert_eq!(answer.status.as_u16(), if may { 200 } else { 403 }, "{role}: {path}: {}", answer.short());
        }
    }
    app.finish().await;
}
