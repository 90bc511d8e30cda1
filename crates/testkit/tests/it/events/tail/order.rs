use std::{
    collections::BTreeSet,
    time::{Duration, Instant},
};

use axum::http::StatusCode;
use kernel::{EventId, Role};
use serde_json::json;
use testkit::{Member, TestApp};
use uuid::Uuid;

use super::{LONG, begin, commit, id_of, ring, say, write};

/// The lines of an organization in the order of their transactions.
async fn settled(app: &TestApp, organization: Uuid) -> Vec<Uuid> {
    sqlx::query_scalar("select id from events where organization_id = $1 and event_type like 'test.%' order by xid, id")
        .bind(organization)
        .fetch_all(&mut app.superuser().await)
        .await
        .expect("ids")
}

/// Eight connections that write at once: short transactions, and long ones that draw their ids early and commit late, some of
/// which are rolled back.
async fn write_all_at_once(app: &TestApp, member: &Member, rounds: usize) {
    let organization = member.organization;
    let writers = (0..8_usize).map(|writer| {
        let (clock, database) = (app.clock().clone(), app.installation.clone());
        tokio::spawn(async move {
            let mut conn = database.database.superuser().await;
            for round in 0..rounds {
                begin(&mut conn).await;
                for _ in 0..=(writer + round) % 3 {
                    let id = EventId::new(&clock).uuid();
                    write(&mut conn, organization, id, "test.written", "A line.", clock.now()).await;
                    if writer < 3 {
                        tokio::time::sleep(Duration::from_millis(40 * (1 + (writer + round) as u64 % 4))).await;
                    }
                }
                if (writer + round) % 5 == 4 {
                    sqlx::raw_sql("rollback").execute(&mut conn).await.expect("rolled back");
                } else {
                    commit(&mut conn).await;
                }
            }
        })
    });
    let writers: Vec<_> = writers.collect();
    // Followers look all the time, also in the middle of whatever is under way.
    let ringing = async {
        loop {
            ring(app, member).await;
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    let written = async {
        for writer in writers {
            writer.await.expect("a writer");
        }
    };
    tokio::select! {
        () = written => {}
        () = ringing => {}
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_line_of_eight_writers_comes_once_and_in_the_order_of_commits() {
    let app = TestApp::start().await;
    let kata = app.sign_up("Kata").await;
    let mut follower = kata.follow("event_type=test.*", "").await.expect("a stream");
    let following = tokio::spawn(async move {
        let mut ids = vec![];
        loop {
            let line = follower.line(LONG).await;
            if line["event_type"] == "test.end" {
                return ids;
            }
            ids.push(id_of(&line));
        }
    });
    write_all_at_once(&app, &kata, 25).await;
    let expected = settled(&app, kata.organization).await;
    say(&app, &kata, "test.end", "The last.").await;
    let told = following.await.expect("a follower");
    assert!(expected.len() > 200, "{}", expected.len());
    assert_eq!(told, expected);
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_line_that_was_written_first_and_committed_last_is_not_skipped() {
    let app = TestApp::start().await;
    let kata = app.sign_up("Kata").await;
    let mut follower = kata.follow("event_type=test.*", "").await.expect("a stream");
    let (mut slow, clock) = (app.superuser().await, app.clock());
    let (early, late) = (EventId::new(clock).uuid(), EventId::new(clock).uuid());
    begin(&mut slow).await;
    write(&mut slow, kata.organization, early, "test.early", "Written first.", clock.now()).await;
    write(&mut app.superuser().await, kata.organization, late, "test.late", "Committed first.", clock.now()).await;
    assert!(follower.is_quiet(Duration::from_millis(700)).await, "what came later waits for what began earlier");
    commit(&mut slow).await;
    assert_eq!(id_of(&follower.line(LONG).await), early);
    assert_eq!(id_of(&follower.line(LONG).await), late);
    // One that is rolled back holds nothing up for longer than it lasts, though nobody rings for its end.
    begin(&mut slow).await;
    write(&mut slow, kata.organization, EventId::new(clock).uuid(), "test.gone", "Never.", clock.now()).await;
    let next = say(&app, &kata, "test.next", "Next.").await;
    assert!(follower.is_quiet(Duration::from_millis(400)).await);
    sqlx::raw_sql("rollback").execute(&mut slow).await.expect("rolled back");
    assert_eq!(id_of(&follower.line(LONG).await), next);
    app.finish().await;
}

/// What people do is heard at once, on every node; transactions of other tests may hold a line up now and then.
#[tokio::test(flavor = "multi_thread")]
async fn what_one_node_commits_rings_at_the_others() {
    let app = TestApp::start().await;
    let other = app.second_node().await;
    let kata = app.sign_up("Kata").await;
    let mut follower = kata.at(&other).follow("event_type=invitation.*", "").await.expect("a stream");
    let mut waits = vec![];
    for _ in 0..5 {
        // Nothing that decides changes with it, so nothing but the bell wakes anybody.
        let form = json!({ "email": format!("{}@people.example", kernel::random::token()), "role": "viewer" });
        let invited = kata.post("/api/invitations", form).await.expect(StatusCode::CREATED);
        let began = Instant::now();
        assert_eq!(follower.line(LONG).await["event_type"], "invitation.created");
        waits.push(began.elapsed());
        let id = invited.at("/id").as_str().expect("an id").to_owned();
        kata.post(&format!("/api/invitations/{id}/revoke"), json!({})).await.expect(StatusCode::OK);
        let began = Instant::now();
        assert_eq!(follower.line(LONG).await["event_type"], "invitation.revoked");
        waits.push(began.elapsed());
    }
    waits.sort();
    // Whoever looks by themselves looks two seconds after they found something.
    assert!(waits[waits.len() / 2] < Duration::from_millis(700), "they were found without a bell: {waits:?}");
    other.finish().await;
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_comes_back_misses_nothing_and_gets_nothing_twice() {
    let app = TestApp::start().await;
    let kata = app.sign_up("Kata").await;
    let node = app.listen().await;
    let mut follower = kata.follow_at(&node, "event_type=test.*", "").await;
    let writing = {
        let (app, kata) = (app.second_node().await, kata.clone());
        tokio::spawn(async move {
            write_all_at_once(&app, &kata, 20).await;
            say(&app, &kata, "test.end", "The last.").await;
            app.finish().await;
        })
    };
    let (mut told, mut cuts) = (vec![], 0);
    loop {
        let line = follower.line(LONG).await;
        if line["event_type"] == "test.end" {
            break;
        }
        told.push(id_of(&line));
        // Cut in the middle of whatever is on its way, or the moment something was read.
        if told.len() % 17 == 0 {
            let last_id = std::mem::take(&mut follower.last_id);
            drop(follower);
            cuts += 1;
            follower = match cuts % 3 {
                0 => kata.follow_at(&node, &format!("event_type=test.*&cursor={last_id}"), "").await,
                1 => kata.follow_at(&node, "event_type=test.*", &last_id).await,
                // A browser asks with the address it began with; the header is newer.
                _ => {
                    let first = kata.follow("event_type=test.*", "").await.expect("a stream").last_id;
                    kata.follow_at(&node, &format!("event_type=test.*&cursor={first}"), &last_id).await
                }
            };
        }
    }
    writing.await.expect("written");
    let expected = settled(&app, kata.organization).await;
    assert!(cuts > 5, "{cuts}");
    assert_eq!(told.len(), told.iter().collect::<BTreeSet<_>>().len(), "nothing twice");
    assert_eq!(told, expected[..expected.len() - 1]);
    node.stop().await;
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_without_a_position_begins_now_and_one_with_it_where_it_was() {
    let app = TestApp::start().await;
    let kata = app.sign_up("Kata").await;
    say(&app, &kata, "test.before", "Before.").await;
    let mut first = kata.follow("event_type=test.*", "").await.expect("a stream");
    let after = say(&app, &kata, "test.after", "After.").await;
    let line = loop {
        let line = first.line(LONG).await;
        // While a transaction of another test runs, the line from just before is not settled, and counts as one of now.
        if line["event_type"] != "test.before" {
            break line;
        }
    };
    assert_eq!(id_of(&line), after);
    let missed = say(&app, &kata, "test.missed", "Missed.").await;
    let last_id = first.last_id.clone();
    drop(first);
    let mut second = kata.follow("event_type=test.*", &last_id).await.expect("a stream");
    assert_eq!(id_of(&second.line(LONG).await), missed);
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_position_is_of_one_organization_with_its_filters_for_a_day() {
    let app = TestApp::start().await;
    let (kata, bela) = (app.sign_up("Kata").await, app.sign_up("Bela").await);
    let last_id = kata.follow("level=info", "").await.expect("a stream").last_id;
    let mut flipped = last_id.clone().into_bytes();
    let middle = flipped.len() / 2;
    flipped[middle] = if flipped[middle] == b'A' { b'B' } else { b'A' };
    let flipped = String::from_utf8(flipped).expect("ASCII");
    let page = kata.get("/api/integrations/events/?limit=1").await.expect(StatusCode::OK);
    let cursor = page.at("/next_cursor").as_str().map(str::to_owned);
    let cases = [
        ("another organization", &bela, "level=info", last_id.as_str()),
        ("other filters", &kata, "level=error", &last_id),
        ("no filter", &kata, "", &last_id),
        ("a changed letter", &kata, "level=info", &flipped),
        ("noise", &kata, "level=info", "noise"),
        ("a list's cursor", &kata, "", cursor.as_deref().unwrap_or("none")),
    ];
    for (what, member, query, id) in cases {
        for refused in [member.follow(query, id).await, member.follow(&format!("{query}&cursor={id}"), "").await] {
            let answer = refused.err().unwrap_or_else(|| panic!("{what} was taken"));
            answer.expect_problem(400, "invalid_cursor");
        }
    }
    app.clock().advance(chrono::TimeDelta::hours(23));
    kata.follow("level=info", &last_id).await.expect("within the day");
    app.clock().advance(chrono::TimeDelta::hours(2));
    kata.follow("level=info", &last_id).await.err().expect("too old").expect_problem(400, "invalid_cursor");
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn filters_leave_what_they_say_and_a_neighbor_is_not_heard() {
    let app = TestApp::start().await;
    let (kata, bela) = (app.sign_up("Kata").await, app.sign_up("Bela").await);
    let connection = Uuid::from_u128(0x0198_0000_0000_7000_8000_0000_0000_0001);
    let mut superuser = app.superuser().await;
    // Each filter, and the one line of four that it leaves.
    let cases = [
        (format!("connection_id={connection}"), 0),
        ("level=warning".to_owned(), 1),
        ("event_type=test.two".to_owned(), 2),
        ("event_type=other.*".to_owned(), 3),
        ("actor=user:three".to_owned(), 3),
        ("search=L%C3%81TTAM".to_owned(), 1),
        ("level=info&event_type=test.*&search=line".to_owned(), 2),
    ];
    let mut followers = vec![];
    for (query, line) in &cases {
        // Six are all that a person may have.
        let viewer = kata.member(Role::Viewer).await;
        followers.push((viewer.follow(query, "").await.expect("a stream"), query, *line));
    }
    let mut neighbor = bela.follow("", "").await.expect("a stream");
    let mut knowing = bela.follow(&format!("connection_id={connection}"), "").await.expect("a stream");
    let lines = [
        (Some(connection), "error", "test.zero", "system:zero", "Zero"),
        (None, "warning", "test.one", "system:one", "Kevés áfonyát láttam"),
        (None, "info", "test.two", "system:two", "A line"),
        (None, "info", "other.three", "user:three", "A line"),
    ];
    let mut ids = vec![];
    for (connection, level, event_type, actor, message) in lines {
        let id = EventId::new(app.clock()).uuid();
        ids.push(id);
        sqlx::query(
            "insert into events (organization_id, id, connection_id, level, event_type, message, actor, created_at)
             values ($1, $2, $3, $4, $5, $6, $7, $8)",
        )
        .bind(kata.organization)
        .bind(id)
        .bind(connection)
        .bind(level)
        .bind(event_type)
        .bind(message)
        .bind(actor)
        .bind(app.clock().now())
        .execute(&mut superuser)
        .await
        .expect("a line");
    }
    for (follower, query, line) in &mut followers {
        assert_eq!(id_of(&follower.line(LONG).await), ids[*line], "{query}");
        assert!(follower.is_quiet(Duration::from_millis(150)).await, "{query} leaves one");
        let listed = kata.get(&format!("/api/integrations/events/?{query}")).await.expect(StatusCode::OK);
        assert_eq!(listed.at("/data/0/id"), ids[*line].to_string(), "{query}: the list agrees");
    }
    assert!(neighbor.is_quiet(Duration::from_millis(300)).await, "nothing of it is the neighbor's");
    assert!(knowing.is_quiet(Duration::from_millis(100)).await, "nor is it for knowing an id");
    let own = say(&app, &bela, "test.own", "Own.").await;
    assert_eq!(id_of(&neighbor.line(LONG).await), own);
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_begins_now_is_told_nothing_of_before_also_while_an_older_transaction_runs() {
    let app = TestApp::start().await;
    let kata = app.sign_up("Kata").await;
    let mut superuser = app.superuser().await;
    sqlx::raw_sql("begin; select pg_current_xact_id();").execute(&mut superuser).await.expect("an older transaction");
    say(&app, &kata, "test.before", "Before.").await;
    let mut follower = kata.follow("", "").await.expect("a stream");
    let after = say(&app, &kata, "test.after", "After.").await;
    assert!(follower.is_quiet(Duration::from_millis(300)).await, "nothing is told before its turn");
    sqlx::raw_sql("rollback").execute(&mut superuser).await.expect("it ends");
    assert_eq!(id_of(&follower.line(LONG).await), after);
    app.finish().await;
}
