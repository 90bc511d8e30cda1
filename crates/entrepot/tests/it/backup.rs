//! Backing up and restoring as an operator does it (RES-1), and what is refused.

use std::{
    fs,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use serde_json::{Value, json};

use crate::process::{PASSWORD, Serving, done, entrepot, new_key, refused, scratch};

/// An installation, and two places for its backups.
struct Site {
    folder: tempfile::TempDir,
    key: String,
}

impl Site {
    fn new() -> Self {
        Self { folder: scratch(), key: new_key() }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn text(&self, name: &str) -> String {
        self.path(name).to_str().unwrap().to_owned()
    }

    fn serve(&self, name: &str) -> Serving {
        Serving::start(&self.path(name), &self.key)
    }

    fn backup_arguments(&self) -> [String; 7] {
        let [dumps, shards, data] = ["dumps", "shards", "data"].map(|name| self.text(name));
        ["backup".into(), "--to".into(), dumps, "--shards-to".into(), shards, "--data-dir".into(), data]
    }

    /// No master key is needed for it.
    fn back_up(&self) -> String {
        done(&self.backup_arguments().each_ref().map(String::as_str), &[])
    }

    fn restore_arguments(&self, to: &str) -> [String; 7] {
        let [dumps, shards, to] = ["dumps", "shards", to].map(|name| self.text(name));
        ["restore".into(), "--from".into(), dumps, "--shards-from".into(), shards, "--data-dir".into(), to]
    }

    fn restore(&self, to: &str) -> String {
        let arguments = self.restore_arguments(to);
        done(&arguments.each_ref().map(String::as_str), &[("ENTREPOT_MASTER_KEY", &self.key)])
    }

    /// What the refusal said; nothing was written.
    fn restore_refused(&self, key: &str) -> String {
        let arguments = self.restore_arguments("never");
        let said = refused(&arguments.each_ref().map(String::as_str), &[("ENTREPOT_MASTER_KEY", key)]);
        assert!(!self.path("never").exists(), "it wrote before it refused: {said}");
        assert!(!said.contains(key), "the key was printed");
        said
    }

    fn only(&self, place: &str) -> PathBuf {
        let found = whole(&self.path(place));
        assert_eq!(found.len(), 1, "{found:?}");
        found.into_iter().next().unwrap()
    }
}

/// The backups in a place that look whole.
fn whole(place: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(place).unwrap().map(|entry| entry.unwrap().path());
    let mut found: Vec<PathBuf> =
        entries.filter(|path| path.file_name().unwrap().to_str().unwrap().starts_with("entrepot-")).collect();
    found.sort();
    found
}

fn modes(place: &Path) {
    for backup in whole(place) {
        assert_eq!(fs::metadata(&backup).unwrap().permissions().mode() & 0o777, 0o700, "{}", backup.display());
        for file in fs::read_dir(&backup).unwrap().map(|entry| entry.unwrap().path()) {
            assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600, "{}", file.display());
        }
    }
}

fn manifest(backup: &Path) -> Value {
    serde_json::from_slice(&fs::read(backup.join("manifest.json")).unwrap()).unwrap()
}

#[test]
fn a_backup_made_while_it_serves_becomes_another_installation_where_everything_works() {
    let site = Site::new();
    let serving = site.serve("data");
    let kata = serving.sign_up("kata");
    let created = serving.call("POST", "/api-key-management/create", &kata, &json!({ "name": "bot" }));
    assert_eq!(created.status, 201, "{}", created.body);
    let key = created.body["api_key"].as_str().unwrap_or_default().to_owned();
    let said = site.back_up();
    assert!(said.contains("1 organizations"), "{said}");
    // What comes after the dump is not in it.
    serving.sign_up("late");
    serving.stop();
    modes(&site.path("dumps"));
    modes(&site.path("shards"));
    let found = manifest(&site.only("dumps"));
    assert_eq!((&found["kind"], &found["of"]["users"]), (&json!("database"), &json!(1)), "{found}");
    assert!(!found.to_string().contains(&site.key), "the key is in the manifest");

    // Onto another machine: only the two places and the key go there.
    fs::remove_dir_all(site.path("data")).unwrap();
    let said = site.restore("elsewhere");
    assert!(said.contains("1 organizations, 1 users") && said.contains("were counted"), "{said}");
    let serving = site.serve("elsewhere");
    assert_eq!(serving.get("/api/me", &kata).status, 200, "the session goes on");
    let sign_in = |email: &str| {
        let form = json!({ "email": email, "password": PASSWORD });
        serving.call("POST", "/api/login", "", &form).status
    };
    assert_eq!((sign_in("kata@example.com"), sign_in("late@example.com")), (200, 401));
    let own = serving.get("/api-key-management/self", &key);
    assert_eq!((own.status, &own.body["name"]), (200, &json!("bot")), "{}", own.body);
    let events = serving.get("/api/integrations/events/", &kata);
    assert_eq!(events.status, 200, "{}", events.body);
    assert!(events.body.to_string().contains("api_key"), "{}", events.body);
    serving.sign_up("new");
    let data_dir = site.text("elsewhere");
    let said = done(&["verify", "--data-dir", &data_dir], &[]);
    assert!(said.contains("are what was sealed"), "{said}");
    serving.stop();
}

#[test]
fn a_backup_is_made_when_nothing_serves_too_and_a_number_of_dumps_is_kept() {
    let site = Site::new();
    let serving = site.serve("data");
    serving.sign_up("kata");
    serving.stop();
    for _ in 0..4 {
        let arguments = site.backup_arguments();
        let mut arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
        arguments.extend(["--keep", "2"]);
        done(&arguments, &[]);
    }
    assert_eq!(whole(&site.path("dumps")).len(), 2);
    // None of them is a week old.
    assert_eq!(whole(&site.path("shards")).len(), 4);
    // One that is goes with the next backup; the newest dump needs none but the newest shards.
    let all = whole(&site.path("shards"));
    fs::rename(&all[0], site.path("shards/entrepot-20200101T000000.000Z")).unwrap();
    site.back_up();
    assert!(!site.path("shards/entrepot-20200101T000000.000Z").exists());
    assert_eq!(whole(&site.path("shards")).len(), 4);
    let said = site.restore("elsewhere");
    assert!(said.contains("1 users"), "{said}");
}

#[test]
fn places_that_lie_in_one_another_are_refused_before_anything_is_written() {
    let site = Site::new();
    let data = site.text("data");
    for (to, shards_to) in [("a", "a"), ("a", "a/b"), ("a/b", "a"), ("a", "b/../a"), ("data/dumps", "b"), ("a", "data")]
    {
        let (to, shards_to) = (site.text(to), site.text(shards_to));
        let said = refused(&["backup", "--to", &to, "--shards-to", &shards_to, "--data-dir", &data], &[]);
        assert!(said.contains("in one another") || said.contains("not there"), "{to} {shards_to}: {said}");
    }
    // Nor is an installation made where there is none.
    let arguments = site.backup_arguments();
    let said = refused(&arguments.each_ref().map(String::as_str), &[]);
    assert!(said.contains("not the key store"), "{said}");
    assert_eq!(fs::read_dir(site.folder.path()).unwrap().count(), 0);
}

#[test]
fn a_backup_that_does_not_fit_is_refused_before_anything_is_written() {
    let site = Site::new();
    let serving = site.serve("data");
    serving.sign_up("kata");
    site.back_up();
    serving.stop();
    let (dump, shards) = (site.only("dumps"), site.only("shards"));
    let said = site.restore_refused(&new_key());
    assert!(said.contains("master key") && said.contains("ENTREPOT_MASTER_KEY_FILE"), "{said}");

    let with = |file: &Path, change: &dyn Fn(Vec<u8>) -> Vec<u8>, expected: &str| {
        let good = fs::read(file).unwrap();
        fs::write(file, change(good.clone())).unwrap();
        let said = site.restore_refused(&site.key);
        assert!(said.contains(expected), "{}: {said}", file.display());
        fs::write(file, good).unwrap();
    };
    let flipped = |mut bytes: Vec<u8>| {
        let middle = bytes.len() / 2;
        bytes[middle] ^= 1;
        bytes
    };
    with(&dump.join("database.dump"), &flipped, "is damaged");
    with(&dump.join("database.dump"), &|bytes| bytes[..bytes.len() - 1].to_vec(), "is damaged");
    with(&shards.join("shards"), &flipped, "is damaged");
    with(&dump.join("manifest.json"), &|_| b"{".to_vec(), "is damaged");
    let changed = |pointer: &'static str, value: Value| {
        move |bytes: Vec<u8>| {
            let mut manifest: Value = serde_json::from_slice(&bytes).unwrap();
            *manifest.pointer_mut(pointer).unwrap() = value.clone();
            serde_json::to_vec(&manifest).unwrap()
        }
    };
    with(&dump.join("manifest.json"), &changed("/format", json!(2)), "later version");
    with(&dump.join("manifest.json"), &changed("/of/schema", json!(99_991_231_000_000_i64)), "later version");
    with(&dump.join("manifest.json"), &changed("/of/postgresql", json!(99)), "of PostgreSQL 99");
    with(&shards.join("manifest.json"), &changed("/of/key_store", json!("00000000")), "another installation");
    with(&shards.join("manifest.json"), &changed("/made_at", json!("2020-01-01T00:00:00Z")), "older than the dump");
    for file in [dump.join("database.dump"), dump.join("manifest.json"), shards.join("shards")] {
        let away = file.with_extension("away");
        fs::rename(&file, &away).unwrap();
        let said = site.restore_refused(&site.key);
        assert!(
            said.contains("is missing") || said.contains("is not a backup") || said.contains("no backup"),
            "{said}"
        );
        fs::rename(&away, &file).unwrap();
    }
    let swapped = [site.text("shards"), site.text("dumps"), site.text("never")];
    let arguments = ["restore", "--from", &swapped[0], "--shards-from", &swapped[1], "--data-dir", &swapped[2]];
    let said = refused(&arguments, &[("ENTREPOT_MASTER_KEY", &site.key)]);
    assert!(said.contains("been swapped"), "{said}");

    // Over something else: neither an installation nor a stranger's file.
    fs::create_dir(site.path("occupied")).unwrap();
    fs::write(site.path("occupied/file"), "mine").unwrap();
    for target in ["data", "occupied"] {
        let arguments = site.restore_arguments(target);
        let said = refused(&arguments.each_ref().map(String::as_str), &[("ENTREPOT_MASTER_KEY", &site.key)]);
        assert!(said.contains("is not empty"), "{said}");
    }
    assert_eq!(fs::read_to_string(site.path("occupied/file")).unwrap(), "mine");
    site.restore("fitting");
}

#[test]
fn an_interrupted_backup_leaves_nothing_that_looks_whole_and_an_interrupted_restore_nothing_that_serves() {
    let site = Site::new();
    let serving = site.serve("data");
    serving.sign_up("kata");
    // A pg_dump that does not come to its end.
    let programs = site.path("programs");
    fs::create_dir(&programs).unwrap();
    let fake = programs.join("pg_dump");
    fs::write(
        &fake,
        "#!/bin/sh\n[ \"$1\" = --version ] && echo 'pg_dump (PostgreSQL) 18.1' && exit\n\
         for last in \"$@\"; do :; done\necho half > \"$last\"\nexec sleep 60\n",
    )
    .unwrap();
    fs::set_permissions(&fake, fs::Permissions::from_mode(0o755)).unwrap();
    let arguments = site.backup_arguments();
    let arguments = arguments.each_ref().map(String::as_str);
    let mut backup = entrepot(&arguments, &[("ENTREPOT_PG_BIN", programs.to_str().unwrap())]).spawn().unwrap();
    let half = || {
        let entries = fs::read_dir(site.path("dumps")).into_iter().flatten().map(|entry| entry.unwrap().path());
        entries.filter(|path| path.join("database.dump").exists()).collect::<Vec<_>>()
    };
    let until = Instant::now() + Duration::from_secs(60);
    while half().is_empty() {
        assert!(Instant::now() < until, "pg_dump was not started");
        std::thread::sleep(Duration::from_millis(20));
    }
    let said = refused(&arguments, &[]);
    assert!(said.contains("another backup is being written"), "{said}");
    backup.kill().unwrap();
    backup.wait().unwrap();
    assert_eq!(whole(&site.path("dumps")), [""; 0].map(PathBuf::from));
    assert_eq!(whole(&site.path("shards")), [""; 0].map(PathBuf::from));
    let said = site.restore_refused(&site.key);
    assert!(said.contains("there is no backup"), "{said}");
    site.back_up();
    assert_eq!(half(), [site.only("dumps")], "what was left is cleared away");
    serving.stop();

    site.restore("elsewhere");
    // As after a power failure in the middle of it.
    fs::write(site.path("elsewhere/restore.unfinished"), "").unwrap();
    let (data_dir, key) = (site.text("elsewhere"), ("ENTREPOT_MASTER_KEY", site.key.as_str()));
    let said = refused(&["serve", "--data-dir", &data_dir], &[key]);
    assert!(said.contains("was not finished"), "{said}");
}

#[test]
fn a_damaged_and_an_exposed_shard_are_named_and_the_rest_is_backed_up() {
    let site = Site::new();
    let serving = site.serve("data");
    for name in ["kata", "ference", "third"] {
        let token = serving.sign_up(name);
        let person = json!({ "full_name": name, "member_type": "sales" });
        assert_eq!(serving.call("POST", "/api/team-members", &token, &person).status, 201);
    }
    site.back_up();
    let folders = fs::read_dir(site.path("data/keys")).unwrap().map(|entry| entry.unwrap().path());
    let shards: Vec<PathBuf> = folders
        .filter(|path| path.is_dir())
        .flat_map(|folder| fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()))
        .collect();
    assert_eq!(shards.len(), 3);
    let name = |path: &Path| path.file_name().unwrap().to_str().unwrap().to_owned();
    let good = fs::read(&shards[0]).unwrap();
    fs::write(&shards[0], [7; 40]).unwrap();
    fs::set_permissions(&shards[1], fs::Permissions::from_mode(0o644)).unwrap();
    let arguments = site.backup_arguments();
    let arguments = arguments.each_ref().map(String::as_str);
    let said = refused(&arguments, &[]);
    assert!(said.contains("2 shards could not be read") && said.contains("open to other users"), "{said}");
    assert!(
        said.contains(&name(&shards[0])) && said.contains(&name(&shards[1])) && !said.contains(&name(&shards[2])),
        "{said}"
    );
    assert_eq!(
        (whole(&site.path("dumps")).len(), whole(&site.path("shards")).len()),
        (2, 2),
        "it was made all the same"
    );
    let found = manifest(whole(&site.path("shards")).last().unwrap());
    assert_eq!((&found["of"]["shards"], &found["of"]["unreadable"]), (&json!(1), &json!(2)), "{found}");
    let doctor = |expected: &str| {
        let (dumps, shards, data) = (site.text("dumps"), site.text("shards"), site.text("data"));
        let environment = [
            ("ENTREPOT_MASTER_KEY", site.key.as_str()),
            ("ENTREPOT_BACKUP_DIR", &dumps),
            ("ENTREPOT_BACKUP_SHARDS_DIR", &shards),
        ];
        let output = entrepot(&["doctor", "--json", "--all", "--data-dir", &data], &environment).output().unwrap();
        let findings: Vec<Value> = serde_json::from_slice(&output.stdout).unwrap();
        for check in ["shard_files", "shard_backup"] {
            let of: Vec<&Value> = findings.iter().filter(|finding| finding["check"] == check).collect();
            let worst = if of.iter().any(|finding| finding["severity"] == "error") { "error" } else { "ok" };
            assert_eq!((worst, of.is_empty()), (expected, false), "{check}: {findings:?}");
        }
    };
    doctor("error");
    // The rest cannot be restored as if it were all.
    let said = site.restore_refused(&site.key);
    assert!(said.contains("are missing") && said.contains("--accept-lost-keys"), "{said}");
    fs::write(&shards[0], good).unwrap();
    fs::set_permissions(&shards[1], fs::Permissions::from_mode(0o600)).unwrap();
    site.back_up();
    doctor("ok");
    serving.stop();
    site.restore("elsewhere");
}

#[test]
fn a_pg_dump_that_is_older_than_the_server_is_refused_with_what_to_install() {
    let site = Site::new();
    site.serve("data").stop();
    let programs = site.path("programs");
    fs::create_dir(&programs).unwrap();
    let version = |name: &str, version: &str| {
        let file = programs.join(name);
        fs::write(&file, format!("#!/bin/sh\necho '{name} (PostgreSQL) {version}'\n")).unwrap();
        fs::set_permissions(&file, fs::Permissions::from_mode(0o755)).unwrap();
    };
    // The server is found by itself: only the programs for clients are these.
    version("pg_dump", "9.6.1");
    let serving = site.serve("data");
    let arguments = site.backup_arguments();
    let arguments = arguments.each_ref().map(String::as_str);
    let said = refused(&arguments, &[("ENTREPOT_PG_BIN", programs.to_str().unwrap())]);
    assert!(
        said.contains("found no `pg_dump`") && said.contains("9 only") && said.contains("postgresql-client-"),
        "{said}"
    );
    site.back_up();
    // A dump that says that a later pg_dump made it needs a pg_restore as late.
    let file = site.only("dumps").join("manifest.json");
    let mut changed: Value = serde_json::from_slice(&fs::read(&file).unwrap()).unwrap();
    changed["of"]["pg_dump"] = json!(99);
    fs::write(&file, serde_json::to_vec(&changed).unwrap()).unwrap();
    let said = site.restore_refused(&site.key);
    assert!(said.contains("made by pg_dump 99") && said.contains("postgresql-client-99"), "{said}");
    serving.stop();
}
