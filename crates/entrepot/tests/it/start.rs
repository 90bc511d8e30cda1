//! The program refuses to run unsafe (VLT-2, TEN-1), and says what to do.

use std::{fs, os::unix::fs::PermissionsExt, path::PathBuf};

use db::{
    Login,
    cluster::{Cluster, ClusterOptions},
};
use sqlx::{ConnectOptions, Connection, Executor};

use crate::process::{Serving, entrepot, new_key, refused, scratch};

#[test]
fn without_a_good_master_key_it_does_not_start() {
    let (folder, good) = (scratch(), new_key());
    let open_to_all = folder.path().join("open.key");
    fs::write(&open_to_all, &good).unwrap();
    fs::set_permissions(&open_to_all, fs::Permissions::from_mode(0o644)).unwrap();
    let cases: &[(&[(&str, &str)], &str)] = &[
        (&[], "no master key"),
        (&[("ENTREPOT_MASTER_KEY", "changeme")], "master_key"),
        (&[("ENTREPOT_MASTER_KEY", "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=")], "master_key"),
        (&[("ENTREPOT_MASTER_KEY", "c2hvcnQ=")], "master_key"),
        (&[("ENTREPOT_MASTER_KEY_FILE", "/nowhere/at/all")], "/nowhere/at/all"),
        (&[("ENTREPOT_MASTER_KEY_FILE", open_to_all.to_str().unwrap())], "open.key"),
    ];
    for (environment, expected) in cases {
        let said = refused(&["serve", "--data-dir", folder.path().join("data").to_str().unwrap()], environment);
        assert!(said.to_lowercase().contains(expected), "{environment:?} said: {said}");
        assert!(!said.contains(&good), "the key was printed");
        assert!(!folder.path().join("data").exists(), "it touched the disk before it refused");
    }
}

#[test]
fn plain_http_and_half_a_database_are_refused() {
    let key = new_key();
    let key = ("ENTREPOT_MASTER_KEY", key.as_str());
    let said = refused(&["serve", "--public-url", "http://hub.example.com"], &[key]);
    assert!(said.contains("must be https"), "{said}");
    let said = refused(&["serve"], &[key, ("DATABASE_URL", "postgres://app:topsecret@localhost/x")]);
    assert!(said.contains("DATABASE_OWNER_URL") && !said.contains("topsecret"), "{said}");
}

#[test]
fn simulated_platforms_are_for_this_machine_only() {
    let folder = scratch();
    let file = folder.path().join("sandbox.json");
    // What is in it is looked at by whoever trusts it, which nobody does here.
    let certificate = r"-----BEGIN CERTIFICATE-----\nMAA=\n-----END CERTIFICATE-----\n";
    let write = |https: &str| {
        let routes = format!(r#"[{{"pattern":"*.myshopify.com","https":"{https}","http":"127.0.0.1:2"}}]"#);
        fs::write(&file, format!(r#"{{"certificate":"{certificate}","routes":{routes},"links":[]}}"#)).unwrap();
    };
    write("127.0.0.1:1");
    let (key, data_dir) = (new_key(), folder.path().join("data"));
    let serve = ["serve", "--data-dir", data_dir.to_str().unwrap(), "--sandbox", file.to_str().unwrap()];
    let key = ("ENTREPOT_MASTER_KEY", key.as_str());
    for arguments in [
        ["--public-url", "https://hub.example.com", "--listen", "127.0.0.1:0"],
        ["--public-url", "http://localhost:8080", "--listen", "0.0.0.0:0"],
    ] {
        let said = refused(&[serve.as_slice(), arguments.as_slice()].concat(), &[key]);
        assert!(said.contains("on this machine"), "{said}");
    }
    write("203.0.113.7:443");
    let said = refused(&serve, &[key]);
    assert!(said.contains("only loopback addresses"), "{said}");
    fs::write(&file, "{}").unwrap();
    let said = refused(&serve, &[key]);
    assert!(said.contains("does not describe a sandbox"), "{said}");
    assert!(!data_dir.exists(), "it touched the disk before it refused");
    // The environment of a real installation cannot switch it on.
    let said = entrepot(&["serve", "--help"], &[]).output().unwrap();
    assert!(!String::from_utf8(said.stdout).unwrap().to_uppercase().contains("SANDBOX"));
}

#[test]
fn with_only_a_master_key_it_runs_on_its_own_postgresql_and_with_another_key_it_does_not() {
    let folder = scratch();
    let data_dir = folder.path().join("data");
    let (key, other) = (new_key(), new_key());
    Serving::start(&data_dir, &key).stop();
    Serving::start(&data_dir, &key).stop();
    let said = refused(&["serve", "--data-dir", data_dir.to_str().unwrap()], &[("ENTREPOT_MASTER_KEY", &other)]);
    assert!(said.contains("master key") && said.contains("filled with"), "{said}");
}

#[tokio::test]
async fn logins_that_could_see_past_row_level_security_are_refused() {
    let folder = scratch();
    let cluster = Cluster::start(ClusterOptions::new(folder.path().join("postgres"))).await.unwrap();
    let database = cluster.database().to_owned();
    let mut superuser = cluster.superuser_url(&database).connect().await.unwrap();
    superuser
        .execute(
            "create role too_strong login bypassrls password 'x'; grant entrepot_app to too_strong;
             create role two_hats login password 'x'; grant entrepot_app, entrepot_system to two_hats;
             create role stranger login password 'x'; grant connect on database entrepot to too_strong, two_hats, stranger",
        )
        .await
        .unwrap();
    let good = db::Logins::of_cluster(&cluster, &database);
    db::Db::migrate(&good.owner).await.unwrap();
    let sizes = db::PoolSizes::default();
    db::Db::connect(&good, &sizes).await.unwrap().close().await;

    let as_app = |name: &str| {
        let mut logins = good.clone();
        logins.app = cluster.url(Login::App, &database).username(name).password("x");
        logins
    };
    for (logins, expected) in [
        (db::Logins { app: cluster.superuser_url(&database), ..good.clone() }, "is a superuser"),
        (as_app("too_strong"), "BYPASSRLS"),
        (as_app("two_hats"), "another of the four"),
        (as_app("stranger"), "not (a member of)"),
        (db::Logins { app: good.owner.clone(), ..good.clone() }, "owns tables"),
    ] {
        match db::Db::connect(&logins, &sizes).await {
            Err(error) => assert!(error.to_string().contains(expected), "expected {expected}: {error}"),
            Ok(_) => panic!("connected although the login {expected}"),
        }
    }
    superuser.close().await.unwrap();
    cluster.stop().await.unwrap();
}

#[test]
fn the_demo_checks_itself() {
    let folder: PathBuf = scratch().keep();
    let output = entrepot(&["demo", "--check"], &[("TMPDIR", folder.to_str().unwrap())]).output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{said}\n{}", String::from_utf8_lossy(&output.stderr));
    assert!(said.contains("All good"), "{said}");
    let left: Vec<_> = fs::read_dir(&folder).unwrap().collect();
    assert!(left.is_empty(), "it left {left:?} behind");
    fs::remove_dir(&folder).unwrap();
}
