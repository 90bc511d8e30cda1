//! Canaries: people and secrets that are led through everything the program does, and then looked for in everything that it
//! leaves behind.

mod people;
mod walk;

use kernel::Role;
use sqlx::Connection;
use testkit::{
    Options, TestApp,
    cluster::cluster,
    collector::Collector,
    logs::Logs,
    scan::{Hit, Needle, Scanner},
};

/// Looks in everything that outlives a request: the files of the database with its log, the folder of keys, what was logged,
/// what is measured, what left for a collector of traces and for a Sentry.
fn scan(scanner: &Scanner, app: &TestApp, logs: &str, metrics: &str, collector: &Collector) -> Vec<Hit> {
    let (mut hits, bytes) = scanner.scan_folder(cluster().pgdata()).expect("the database's files are read");
    assert!(bytes > 10 << 20, "only {bytes} bytes of the database were read");
    let (in_keys, bytes) = scanner.scan_folder(app.installation.data_dir.path()).expect("the keys' files are read");
    assert!(bytes > 0, "the folder of keys is empty");
    hits.extend(in_keys);
    hits.extend(scanner.scan("log", logs.as_bytes()));
    hits.extend(scanner.scan("metrics", metrics.as_bytes()));
    hits.extend(scanner.scan("collector", &collector.everything()));
    hits.extend(scanner.scan("log of PostgreSQL", cluster().recent_log().join("\n").as_bytes()));
    hits
}

/// Spans come in the order in which they ended: when this one is there, all before it are.
async fn all_spans_arrive(app: &TestApp, collector: &Collector) {
    let name = format!("last-{}", kernel::random::token());
    drop(tracing::info_span!(target: "otel", "last", otel.name = name));
    app.eventually("all spans arrive", || async { collector.spans().iter().any(|span| span["name"] == name) }).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_personal_and_no_secret_is_left_anywhere() {
    let logs = Logs::collect();
    let collector = Collector::of_the_process();
    let metrics = metrics_exporter_prometheus::PrometheusBuilder::new().install_recorder().expect("a recorder");
    let options = Options {
        live_requests_per_minute: 100_000,
        issuers: crate::issuers::file(""),
        sentry_dsn: Some(collector.dsn()),
        ..Options::default()
    };
    let app = TestApp::with_metrics(options, Some(metrics)).await;

    let walked = walk::everything(&app).await;
    let needles = &walked.needles;

    // That the people were there at all: each was in an answer to somebody who may read them.
    for needle in
        needles.iter().filter(|needle| needle.name.starts_with("e-mail") || needle.name.starts_with("last name"))
    {
        let scanner = Scanner::new(std::slice::from_ref(needle));
        assert!(
            !scanner.scan("", walked.seen.as_bytes()).is_empty(),
            "{} was never read: the proof would be empty",
            needle.name
        );
    }

    let control = Needle { name: "control".into(), value: format!("planted-{}", kernel::random::token()) };
    let mut superuser = app.superuser().await;
    let all: Vec<Needle> = needles.iter().cloned().chain([control.clone()]).collect();
    let scanner = Scanner::new(&all);
    let checkpoint = async || {
        let mut admin = sqlx::PgConnection::connect_with(&cluster().superuser_url("postgres")).await.expect("connects");
        sqlx::query("checkpoint").execute(&mut admin).await.expect("a checkpoint");
    };
    for before_the_end in [true, false] {
        checkpoint().await;
        app.eventually("errors were told of", || async { !collector.events().is_empty() }).await;
        all_spans_arrive(&app, &collector).await;
        let hits = scan(&scanner, &app, &logs.text(), &app.metrics().await.text(), &collector);
        assert!(hits.is_empty(), "{} hits, such as {:#?}", hits.len(), &hits[..hits.len().min(12)]);
        if before_the_end {
            walk::the_end(&app, &walked).await;
        }
    }

    // The same search finds what somebody did write down, in the database, in its log and in ours.
    let outsider = app.sign_up("Outsider").await;
    sqlx::query("update organizations set settings = jsonb_build_object('note', $1::text) where id = $2")
        .bind(&control.value)
        .bind(outsider.organization)
        .execute(&mut superuser)
        .await
        .expect("planted");
    tracing::debug!(value = control.value, "planted");
    drop(tracing::info_span!(target: "otel", "planted", otel.kind = "server", entrepot.value = control.value));
    all_spans_arrive(&app, &collector).await;
    checkpoint().await;
    let hits = scan(&scanner, &app, &logs.text(), &app.metrics().await.text(), &collector);
    assert!(hits.iter().all(|hit| hit.name == "control"), "{hits:#?}");
    for place in ["/base/", "/pg_wal/", "log", "collector"] {
        assert!(hits.iter().any(|hit| hit.place.contains(place)), "the control was not found in {place}: {hits:#?}");
    }
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn answers_to_others_hold_nobodys_data() {
    let app = TestApp::with(Options { live_requests_per_minute: 100_000, ..Options::default() }).await;
    let kata = app.sign_up("Kata").await;
    let (store, needles) = walk::a_shop_with_canaries(&app, &kata).await;
    let scanner = Scanner::new(&needles);
    let read = kata.get(&format!("/webshop-data-api/customers?store_id={store}&limit=100")).await;
    assert!(!scanner.scan("", &read.body).is_empty(), "who may read them does");

    let viewer = kata.member(Role::Viewer).await;
    let other = app.sign_up("Other").await;
    let paths = [
        "/api/me",
        "/api/stores",
        "/api/audit",
        "/api/access-log",
        "/api/integrations/events/",
        "/api/integrations/connections/",
        "/api-key-management/list",
        "/healthz",
        "/readyz",
        "/openapi.json",
    ];
    let live = ["customers", "orders", "products"]
        .map(|resource| format!("/webshop-data-api/{resource}?store_id={store}&limit=100"));
    for (who, caller) in [("viewer", &*viewer), ("other", &*other), ("nobody", &app.nobody())] {
        for path in paths.iter().map(|path| (*path).to_owned()).chain(live.clone()) {
            let answer = caller.get(&path).await;
            let hits = scanner.scan(&path, &answer.body);
            assert!(hits.is_empty(), "{who}: {hits:?}");
        }
    }
    // Not even the owner finds people in what the program itself keeps.
    for path in paths {
        let answer = kata.get(path).await;
        let hits = scanner.scan(path, &answer.body);
        assert!(hits.is_empty(), "{hits:?}");
    }
    app.finish().await;
}
