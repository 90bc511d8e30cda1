//! `entrepot doctor` finds what is wrong, says what to do, and is content where nothing is.

use std::{collections::BTreeMap, fs, path::PathBuf};

use db::cluster::{Cluster, ClusterOptions};
use serde_json::Value;
use sqlx::{Connection, Executor, PgConnection};

use crate::process::{Serving, done, entrepot, new_key, scratch};

struct Patient {
    folder: tempfile::TempDir,
    key: String,
}

impl Patient {
    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn text(&self, name: &str) -> String {
        self.path(name).to_str().unwrap().to_owned()
    }

    /// The worst that was found of each check, and whether the status was 0.
    fn look(&self, environment: &[(&str, &str)]) -> (BTreeMap<String, String>, bool) {
        let [data, dumps, shards] = ["data", "dumps", "shards"].map(|name| self.text(name));
        let usual = [
            ("ENTREPOT_MASTER_KEY", self.key.as_str()),
            ("ENTREPOT_DATA_DIR", &data),
            ("ENTREPOT_BACKUP_DIR", &dumps),
            ("ENTREPOT_BACKUP_SHARDS_DIR", &shards),
            ("ENTREPOT_PUBLIC_URL", "https://hub.example"),
            ("ENTREPOT_SMTP_URL", "smtp://localhost"),
            ("ENTREPOT_MAIL_FROM", "a@example.com"),
        ];
        let environment: Vec<(&str, &str)> = usual.into_iter().chain(environment.iter().copied()).collect();
        let output = entrepot(&["doctor", "--all", "--json"], &environment).output().unwrap();
        let said = String::from_utf8(output.stdout).unwrap();
        assert!(!said.contains(&self.key), "the key was printed");
        let findings: Vec<Value> = serde_json::from_str(&said)
            .unwrap_or_else(|error| panic!("{error}: {said} {}", String::from_utf8_lossy(&output.stderr)));
        let mut worst = BTreeMap::new();
        for finding in findings {
            let [check, severity] = ["check", "severity"].map(|name| finding[name].as_str().unwrap().to_owned());
            assert_eq!(severity == "ok", finding["todo"].is_null(), "{finding}");
            let known: &mut String = worst.entry(check).or_insert_with(|| "ok".to_owned());
            if known != "error" && severity != "ok" {
                *known = severity;
            }
        }
        (worst, output.status.success())
    }

    /// Exactly these checks find an error.
    fn wrong(&self, environment: &[(&str, &str)], expected: &[&str]) {
        let (found, is_content) = self.look(environment);
        let wrong: Vec<&str> =
            found.iter().filter(|(_, severity)| *severity == "error").map(|(check, _)| check.as_str()).collect();
        assert_eq!(wrong, expected, "{found:?}");
        assert_eq!(is_content, expected.is_empty());
    }

    /// Does something as a superuser of the database, with nothing serving.
    async fn spoil(&self, sql: &'static str) {
        let cluster = Cluster::start(ClusterOptions::new(self.path("data/postgres"))).await.unwrap();
        let mut superuser = PgConnection::connect_with(&cluster.superuser_url(cluster.database())).await.unwrap();
        superuser.execute(sqlx::raw_sql(sql)).await.unwrap();
        superuser.close().await.unwrap();
        cluster.stop().await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_doctor_is_content_with_what_is_well_and_names_what_is_not() {
    let patient = Patient { folder: scratch(), key: new_key() };
    let serving = Serving::start(&patient.path("data"), &patient.key);
    serving.sign_up("kata");
    let [data, dumps, shards] = ["data", "dumps", "shards"].map(|name| patient.text(name));
    let back_up = || done(&["backup", "--to", &dumps, "--shards-to", &shards, "--data-dir", &data], &[]);
    back_up();
    // Beside the program that serves.
    let (found, is_content) = patient.look(&[]);
    let disk = found.get("disk").cloned();
    let unwell: Vec<_> = found.iter().filter(|(check, severity)| *check != "disk" && *severity != "ok").collect();
    assert!(unwell.is_empty() && (is_content || disk.as_deref() == Some("error")), "{found:?}");
    let looked_at = [
        "backup",
        "clock",
        "connections",
        "data_keys",
        "dead_jobs",
        "disk",
        "errors",
        "key_rotation",
        "key_store",
        "logins",
        "mail",
        "master_key",
        "old_shards",
        "orphans",
        "partitions",
        "proxies",
        "public_url",
        "row_level_security",
        "schema",
        "seals",
        "shard_backup",
        "shard_files",
        "shards",
        "stuck_jobs",
    ];
    assert_eq!(found.keys().map(String::as_str).collect::<Vec<_>>(), looked_at);
    serving.stop();

    patient.wrong(&[("ENTREPOT_MASTER_KEY", &new_key())], &["master_key"]);
    let empty = patient.text("empty");
    fs::create_dir(&empty).unwrap();
    patient.wrong(&[("ENTREPOT_BACKUP_DIR", &empty)], &["backup"]);

    let newest = fs::read_dir(&shards).unwrap().map(|entry| entry.unwrap().path());
    let newest = newest.filter(|path| path.is_dir()).max().unwrap();
    let old = patient.path("shards/entrepot-20200101T000000.000Z");
    fs::rename(&newest, &old).unwrap();
    patient.wrong(&[], &["old_shards", "shard_backup"]);
    fs::rename(&old, &newest).unwrap();
    fs::write(newest.join("shards"), "other").unwrap();
    patient.wrong(&[], &["shard_backup"]);
    back_up();
    patient.wrong(&[], &[]);

    for (spoil, mend, expected) in [
        (
            "alter table sessions no force row level security",
            "alter table sessions force row level security",
            &["row_level_security"][..],
        ),
        (
            "update _sqlx_migrations set checksum = '\\x00' where version = 20261120000004",
            "delete from _sqlx_migrations where version = 20261120000004",
            &["schema"],
        ),
        ("grant entrepot_owner to entrepot_app", "revoke entrepot_owner from entrepot_app", &["logins"]),
        (
            "insert into data_keys (organization_id, id, scope, scope_id, key_version, wrapped, master_fingerprint, created_at)
                 select id, gen_random_uuid(), 'organization', id, 1, '\\x01', '00000000', '2026-01-01' from organizations",
            "delete from data_keys",
            &["shards"],
        ),
        (
            "insert into jobs (organization_id, id, name, payload, run_at, due_at, state, created_at)
                 select id, gen_random_uuid(), 'nobody', '{}', '2026-01-01', '2026-01-01', 'ready', '2026-01-01' from organizations",
            "update jobs set state = 'dead' where name = 'nobody'",
            &["stuck_jobs"],
        ),
    ] {
        patient.spoil(spoil).await;
        patient.wrong(&[], expected);
        patient.spoil(mend).await;
    }
    let (found, is_content) = patient.look(&[
        ("ENTREPOT_PUBLIC_URL", "http://127.0.0.1"),
        ("ENTREPOT_SMTP_URL", ""),
        ("ENTREPOT_MAIL_FROM", ""),
    ]);
    for check in ["public_url", "mail", "dead_jobs", "schema"] {
        assert_eq!(found[check], "warning", "{check}: {found:?}");
    }
    assert!(is_content, "warnings are no errors: {found:?}");
}
