use std::{
    io::{BufRead, BufReader, Write},
    net::{TcpListener, TcpStream},
    sync::mpsc,
    thread,
    time::{Duration, Instant},
};

use serde_json::json;
use sqlx::{Connection, Executor, PgConnection};

use super::{BACK_WITHIN, CALLERS, Crowd, NOTICED_WITHIN, last_lines, network::Elsewhere, outage};
use crate::process::{Serving, new_key, scratch};

#[tokio::test(flavor = "multi_thread")]
async fn a_database_elsewhere_that_refuses_or_falls_silent_is_not_waited_for_and_not_stormed_afterwards() {
    let (folder, key) = (scratch(), new_key());
    let elsewhere = Elsewhere::start(folder.path()).await;
    let (cluster, network) = (&elsewhere.cluster, &elsewhere.network);
    let mut serving = Serving::with(&folder.path().join("data"), &key, &elsewhere.environment());
    let token = serving.sign_up("kata");
    println!("{}", outage("refused", &mut serving, &token, || network.refuse(), || network.listen_again()));
    println!("{}", outage("cut off", &mut serving, &token, || network.cut(true), || network.cut(false)));

    let crowd = Crowd::gather(&serving, &token);
    thread::sleep(Duration::from_secs(1));
    let mut superuser = PgConnection::connect_with(&cluster.superuser_url(cluster.database())).await.unwrap();
    let connections: i64 = sqlx::query_scalar(
        "select count(*) from pg_stat_activity where usename in ('entrepot_app', 'entrepot_system', 'entrepot_ingest')",
    )
    .fetch_one(&mut superuser)
    .await
    .unwrap();
    crowd.leave();
    // The pools have 16, 6 and 2 places, the listener has two connections; what was left behind is closed by now.
    assert!(connections <= 26, "{connections} connections after two outages");
    println!("{connections} connections after two outages, {CALLERS} callers");
    superuser.close().await.unwrap();
    serving.stop();
    elsewhere.cluster.stop().await.unwrap();
}

/// Whoever follows the activity log, on one connection all the time.
struct Follower(mpsc::Receiver<String>);

impl Follower {
    fn of(serving: &Serving, token: &str) -> Self {
        let mut stream = TcpStream::connect(&serving.address).unwrap();
        let request = format!(
            "GET /api/integrations/events/stream HTTP/1.1\r\nhost: {}\r\nauthorization: Bearer {token}\r\n\r\n",
            serving.address
        );
        stream.write_all(request.as_bytes()).unwrap();
        let (sender, lines) = mpsc::channel();
        thread::spawn(move || {
            for line in BufReader::new(stream).lines().map_while(Result::ok) {
                if sender.send(line).is_err() {
                    return;
                }
            }
        });
        let follower = Self(lines);
        follower.hears("retry:", Duration::from_secs(5));
        follower
    }

    /// Waits for a line that begins so; `closed` must not come before it.
    fn hears(&self, beginning: &str, within: Duration) {
        let began = Instant::now();
        loop {
            let left = within.saturating_sub(began.elapsed());
            let line = self.0.recv_timeout(left).unwrap_or_else(|error| panic!("no `{beginning}`: {error}"));
            assert_ne!(line, "event: closed", "a stream was closed that might go on");
            if line.starts_with(beginning) {
                return;
            }
        }
    }
}

/// A mail server that takes nothing and counts who comes: jobs are run.
fn mail_server() -> (String, mpsc::Receiver<()>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let (sender, came) = mpsc::channel();
    thread::spawn(move || {
        for stream in listener.incoming() {
            drop(stream);
            if sender.send(()).is_err() {
                return;
            }
        }
    });
    (format!("smtp://{address}"), came)
}

/// The link is dropped, as by a machine that lost its power or a firewall that forgot: no reset, no refusal, and what was open
/// never says anything again, also when others can be made.
#[tokio::test(flavor = "multi_thread")]
async fn a_link_that_is_dropped_for_good_holds_up_neither_requests_nor_streams_nor_jobs_nor_the_end() {
    let (folder, key) = (scratch(), new_key());
    let elsewhere = Elsewhere::start(folder.path()).await;
    let network = &elsewhere.network;
    let (smtp, came) = mail_server();
    let mut environment = elsewhere.environment();
    environment.extend([("ENTREPOT_SMTP_URL", smtp.as_str()), ("ENTREPOT_MAIL_FROM", "hub@example.com")]);
    let mut serving = Serving::with(&folder.path().join("data"), &key, &environment);
    let token = serving.sign_up("kata");
    came.recv_timeout(Duration::from_secs(20)).expect("the job of the first mail");
    let follower = Follower::of(&serving, &token);

    let told = outage("dropped", &mut serving, &token, || network.forget_all(), || network.forget_no_more());
    println!("{told}");
    // What `outage` has just made was written to the log: the stream of before goes on with it.
    follower.hears("event: event", Duration::from_secs(10));
    while came.try_recv().is_ok() {}
    let back = Instant::now();
    serving.sign_up("bela");
    came.recv_timeout(Duration::from_secs(20)).expect("jobs go on");
    println!("dropped: a job of afterwards ran {:?} after it was asked for", back.elapsed());

    // Dropped once more, and told to stop before anybody can have noticed.
    network.forget_all();
    let stopped = Instant::now();
    serving.stop();
    println!("dropped: stopped within {:?}", stopped.elapsed());
    assert!(stopped.elapsed() < Duration::from_secs(20), "stopping waited for the database: {:?}", stopped.elapsed());
    elsewhere.cluster.stop().await.unwrap();
}

/// Everything else goes through, so nothing but the heartbeats that do not come back tells of it.
#[tokio::test(flavor = "multi_thread")]
async fn a_connection_that_listens_and_is_forgotten_is_made_anew() {
    let (folder, key) = (scratch(), new_key());
    let elsewhere = Elsewhere::start(folder.path()).await;
    let serving = Serving::with(&folder.path().join("data"), &key, &elsewhere.environment());
    assert_eq!(elsewhere.network.forget_listeners(), 1);
    let forgotten = Instant::now();
    let until = |what: &str, is_listening: bool, within: Duration| {
        let began = Instant::now();
        loop {
            let ready = serving.get("/readyz", "");
            assert_eq!(ready.body["database"], json!(true), "{}", ready.body);
            if ready.body["listening"] == json!(is_listening) {
                return;
            }
            assert!(began.elapsed() < within, "{what}: {}", last_lines(&serving.said()));
            thread::sleep(Duration::from_millis(10));
        }
    };
    until("the node is deaf", false, NOTICED_WITHIN);
    until("the node hears again", true, BACK_WITHIN);
    println!("forgotten while listening: heard again after {:?}", forgotten.elapsed());
    serving.stop();
    elsewhere.cluster.stop().await.unwrap();
}

/// The database is there all the time, so that nothing but a limit of their own ends the waits for two answers that never come.
#[tokio::test(flavor = "multi_thread")]
async fn what_waits_on_a_forgotten_connection_for_error_reports_and_keys_goes_on_without_it() {
    let (folder, key) = (scratch(), new_key());
    let elsewhere = Elsewhere::start(folder.path()).await;
    let serving = Serving::with(&folder.path().join("data"), &key, &elsewhere.environment());
    let token = serving.sign_up("kata");
    let url = elsewhere.cluster.superuser_url(elsewhere.cluster.database());
    let (mut holder, mut superuser) =
        (PgConnection::connect_with(&url).await.unwrap(), PgConnection::connect_with(&url).await.unwrap());
    superuser.execute("alter table events rename column message to elsewhere").await.unwrap();
    holder.execute("begin; lock table error_reports, key_rotations in access exclusive mode").await.unwrap();
    assert_eq!(serving.get("/api/integrations/events/", &token).status, 500);
    let waiting = "select count(distinct query) from pg_stat_activity where wait_event_type = 'Lock'
        and (query like '%-- upsert_error_reports%' or query like '%-- last_key_rotation%')";
    let began = Instant::now();
    while sqlx::query_scalar::<_, i64>(waiting).fetch_one(&mut superuser).await.unwrap() < 2 {
        assert!(began.elapsed() < Duration::from_secs(30), "both do not wait at once: {}", last_lines(&serving.said()));
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    elsewhere.network.forget_all_but_listeners();
    holder.execute("rollback").await.unwrap();
    let rotation = "insert into key_rotations (id, from_key, to_key, began_at, total, finished_at)
        select gen_random_uuid(), value, reverse(value), '2026-01-01', 0, '2026-01-01' from installation where name = 'master_key'";
    superuser.execute(rotation).await.unwrap();
    let forgotten = Instant::now();
    let reports = "select count(*) from error_reports where place = 'GET /api/integrations/events/'";
    let (mut is_written, mut is_looked_at) = (None, None);
    while is_written.is_none() || is_looked_at.is_none() {
        assert!(
            forgotten.elapsed() < Duration::from_secs(50),
            "written: {is_written:?}, looked at: {is_looked_at:?}: {}",
            last_lines(&serving.said())
        );
        tokio::time::sleep(Duration::from_millis(100)).await;
        if is_written.is_none() && sqlx::query_scalar::<_, i64>(reports).fetch_one(&mut superuser).await.unwrap() > 0 {
            is_written = Some(forgotten.elapsed());
        }
        if is_looked_at.is_none() && serving.said().contains("lacks the master key that counts") {
            is_looked_at = Some(forgotten.elapsed());
        }
    }
    println!("forgotten: error reports were written after {is_written:?}, keys looked at after {is_looked_at:?}");
    drop((holder, superuser));
    serving.stop();
    elsewhere.cluster.stop().await.unwrap();
}
