//! `entrepot keys rotate`: killed anywhere, twice at once, with keys that do not fit.

use std::time::{Duration, Instant};

use sqlx::{AssertSqlSafe, Executor};

use super::{Many, master, name};
use crate::process::new_key;

/// In each of these the process waits when it is killed: before anything is named, before the new key counts, before a batch is
/// begun, before it is read, before it is written.
const POINTS: &[(&str, &str)] = &[
    ("lock_master_key", "select pg_advisory_xact_lock(hashtextextended('master_key', 39))"),
    ("insert_key_rotation", "lock table key_rotations in share row exclusive mode"),
    ("lock_key_rotation", "select 1 from key_rotations for update"),
    ("data_keys_under", "lock table data_keys in access exclusive mode"),
    ("rewrap_data_keys", "select 1 from data_keys for update"),
];

#[tokio::test(flavor = "multi_thread")]
async fn a_rotation_that_is_killed_anywhere_loses_nothing_and_goes_on_where_it_was() {
    let many = Many::keys(16, 1_000).await;
    let (old, new) = (name(&many.old), name(&many.new));
    let both = many.keyring(&many.new, Some(&many.old)).await;
    let check = async |what: &str| -> i64 {
        let (under, said) = many.under().await;
        let count = |key: &str| under.get(key).copied().unwrap_or_default();
        assert_eq!(count(&old) + count(&new), many.rows as i64, "{what}: {under:?}");
        assert_eq!(count(&new), said, "{what}: what is wrapped and what is noted are committed together");
        said
    };

    for (point, lock) in POINTS {
        let mut holder = many.superuser().await;
        // Those after the beginning need one.
        if many.status()["rotation"].is_null() && !["lock_master_key", "insert_key_rotation"].contains(point) {
            let mut begun = many.rotate().spawn().unwrap();
            while many.under().await.1 == 0 {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
            begun.kill().unwrap();
            begun.wait().unwrap();
        }
        let before = check(point).await;
        holder.execute(AssertSqlSafe(format!("begin; {lock}"))).await.unwrap();
        let mut killed = many.rotate().spawn().unwrap();
        many.waits_for(point).await;
        killed.kill().unwrap();
        killed.wait().unwrap();
        holder.execute("rollback").await.unwrap();
        // PostgreSQL notices that the client is gone, and rolls back.
        tokio::time::sleep(Duration::from_millis(300)).await;
        assert_eq!(check(point).await, before, "{point}: nothing was done by halves");
    }

    let mut numbers = 7_u64;
    let (mut kills, mut last) = (0, check("begin").await);
    let mut moved = 0;
    // About the time after which some have been wrapped, and not all: it is found out, whatever the machine does.
    let mut around = 300_u64;
    while kills < 24 {
        numbers = numbers.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let mut killed = many.rotate().spawn().unwrap();
        tokio::time::sleep(Duration::from_millis(around / 2 + (numbers >> 33) % around)).await;
        if killed.try_wait().unwrap().is_some() {
            break;
        }
        killed.kill().unwrap();
        killed.wait().unwrap();
        kills += 1;
        tokio::time::sleep(Duration::from_millis(50)).await;
        let now = check("a random moment").await;
        assert!(now >= last, "it goes on where it was: {last}, then {now}");
        moved += usize::from(now > last);
        around = if now > last { (around * 2 / 3).max(20) } else { around * 5 / 4 };
        last = now;
        if kills % 8 == 0 {
            assert_eq!(many.opened(&both).await, many.rows, "all open, with both keys");
        }
    }
    println!("{kills} kills at random moments, {moved} of them after some were wrapped; {last} of {} then", many.rows);
    assert!(kills + POINTS.len() >= 20 && moved >= 3, "{kills} kills, {moved}");

    let (ended_well, said) = Many::run(many.rotate());
    assert!(ended_well && said.contains("Done"), "{said}");
    let status = many.status();
    assert_eq!((&status["removable"], &status["master_key"]), (&old.as_str().into(), &new.as_str().into()), "{status}");
    assert_eq!(status["rotation"]["rewrapped"], many.rows, "each was wrapped once: {status}");
    let alone = many.keyring(&many.new, None).await;
    assert_eq!(many.opened(&alone).await, many.rows, "the new key alone opens all");
    let before = many.keyring(&many.old, None).await;
    assert_eq!(many.opened(&before).await, 0, "the old one opens none");
    // Once more changes nothing.
    let (ended_well, said) = Many::run(many.rotate());
    assert!(ended_well && said.contains("Done"), "{said}");
}

#[tokio::test(flavor = "multi_thread")]
async fn two_that_rotate_at_once_take_turns_and_what_is_destroyed_meanwhile_stays_so() {
    let many = Many::keys(4, 1_500).await;
    let mut superuser = many.superuser().await;
    let victim: uuid::Uuid =
        sqlx::query_scalar("select id from data_keys order by organization_id, id offset 700 limit 1")
            .fetch_one(&mut superuser)
            .await
            .unwrap();
    // The first batch has been wrapped, the second is read, when the organization's owner destroys a key of it.
    let destroy = "begin; update data_keys set wrapped = null, destroyed_at = created_at where id = ";
    superuser.execute(AssertSqlSafe(format!("{destroy}'{victim}'"))).await.unwrap();
    let mut both = [many.rotate().spawn().unwrap(), many.rotate().spawn().unwrap()];
    many.waits_for("rewrap_data_keys").await;
    superuser.execute("commit").await.unwrap();
    for child in &mut both {
        assert!(child.wait().unwrap().success());
    }
    let (under, said) = many.under().await;
    assert_eq!(under.get(&name(&many.new)), Some(&(many.rows as i64 - 1)));
    assert_eq!(said, many.rows as i64 - 1, "each was wrapped once, whoever did it");
    let destroyed: bool =
        sqlx::query_scalar("select wrapped is null and destroyed_at is not null from data_keys where id = $1")
            .bind(victim)
            .fetch_one(&mut superuser)
            .await
            .unwrap();
    assert!(destroyed);
    assert_eq!(many.opened(&many.keyring(&many.new, None).await).await, many.rows - 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_that_do_not_fit_are_refused_with_both_names() {
    let many = Many::keys(1, 3).await;
    let (old, new, other) = (many.old.as_str(), many.new.as_str(), new_key());
    let [old_name, new_name, other_name] = [name(old), name(new), name(&other)];
    let refused = |keys: (&str, Option<&str>), expected: &[&str]| {
        let (is_done, said) = Many::run(many.command(&["rotate"], keys));
        assert!(!is_done, "{said}");
        for part in expected {
            assert!(said.contains(part), "{part} is not in: {said}");
        }
        assert!(![old, new, &other].into_iter().any(|key| said.contains(key)), "a key was printed");
    };
    refused((old, None), &["nothing to replace", &old_name, "ENTREPOT_MASTER_KEY_PREVIOUS"]);
    refused((new, None), &["filled with", &old_name, &new_name]);
    refused((old, Some(old)), &["the same key"]);
    refused((old, Some(new)), &["never filled with", &old_name, &new_name]);
    refused((new, Some(&other)), &["filled with", &old_name, &new_name]);
    assert_eq!(many.under().await.1, 0);
    let (is_done, said) = Many::run(many.rotate());
    assert!(is_done, "{said}");
    refused((old, None), &["was replaced by", &old_name, &new_name]);
    refused((old, Some(new)), &["are swapped", &new_name, &old_name]);
    refused((new, Some(&other)), &["never filled with", &other_name]);
    let status = many.status();
    assert_eq!(status["removable"], old_name.as_str());
    // And on to a third; the first does not come back.
    let (is_done, said) = Many::run(many.command(&["rotate"], (&other, Some(new))));
    assert!(is_done, "{said}");
    refused((old, Some(&other)), &["was in use before", &old_name]);
    let third = many.keyring(&other, None).await;
    assert_eq!(many.opened(&third).await, 3);
    assert_eq!(master(&other).fingerprint().to_string(), other_name);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_does_not_open_is_named_and_keeps_the_old_key_until_it_is_given_up() {
    let many = Many::keys(2, 40).await;
    let ids: Vec<String> = many.all().await.iter().take(2).map(|row| row.identity.id.to_string()).collect();
    let file = |id: &str| many.store().join(&id[34..]).join(id);
    let good = std::fs::read(file(&ids[0])).unwrap();
    std::fs::write(file(&ids[0]), [7; 40]).unwrap();
    let aside = many.folder.path().join("aside");
    std::fs::rename(file(&ids[1]), &aside).unwrap();
    let (is_done, said) = Many::run(many.rotate());
    assert!(
        !is_done && said.contains("2 data keys could not be opened") && said.contains("--give-up-unopened"),
        "{said}"
    );
    assert!(ids.iter().all(|id| said.contains(id.as_str())), "{said}");
    assert!(many.status()["removable"].is_null(), "{}", many.status());
    // The damaged one comes back from a backup; the other is given up.
    std::fs::write(file(&ids[0]), good).unwrap();
    let (is_done, said) = Many::run(many.command(&["rotate", "--give-up-unopened"], (&many.new, Some(&many.old))));
    assert!(is_done && said.contains("1 data keys were given up") && said.contains(&ids[1]), "{said}");
    assert!(said.contains("1 are still under") && !said.contains("Remove ENTREPOT_MASTER_KEY_PREVIOUS"), "{said}");
    assert_eq!(many.under().await.0.get(&name(&many.new)), Some(&79));
    assert!(many.status()["removable"].is_null(), "a row still names the old key");
    assert!(!many.status()["rotation"]["finished_at"].is_null());
    assert_eq!(many.status()["left_behind"], 1);
    // Its shard comes back after all, and the rotation is taken up again.
    std::fs::rename(&aside, file(&ids[1])).unwrap();
    let (is_done, said) = Many::run(many.rotate());
    assert!(is_done && said.contains("Remove ENTREPOT_MASTER_KEY_PREVIOUS"), "{said}");
    let status = many.status();
    assert_eq!((&status["removable"], &status["left_behind"]), (&name(&many.old).into(), &0.into()), "{status}");
    assert_eq!((&status["rotation"]["rewrapped"], &status["rotation"]["total"]), (&80.into(), &80.into()), "{status}");
    assert_eq!(many.opened(&many.keyring(&many.new, None).await).await, 80);
}

/// VLT-3: a million data keys within ten minutes. `script/soak rotation` takes so many.
#[tokio::test(flavor = "multi_thread")]
async fn data_keys_are_wrapped_fast_enough_for_a_million_in_ten_minutes() {
    let wanted: usize = std::env::var("ENTREPOT_ROTATION_KEYS").map_or(20_000, |text| text.parse().unwrap());
    let many = Many::keys(wanted.div_ceil(1_000), 1_000).await;
    // Somebody reads all the time.
    let both = many.keyring(&many.new, Some(&many.old)).await;
    let rows = many.all().await;
    let began = Instant::now();
    let mut child = many.rotate().stdout(std::process::Stdio::null()).spawn().unwrap();
    let mut superuser = many.superuser().await;
    let (mut times, mut at) = (vec![], 0_usize);
    while child.try_wait().unwrap().is_none() {
        at = (at + 7_919) % rows.len();
        let identity = rows[at].identity;
        let asked = Instant::now();
        let (wrapped, under): (Vec<u8>, String) =
            sqlx::query_as("select wrapped, master_fingerprint from data_keys where organization_id = $1 and id = $2")
                .bind(identity.organization.uuid())
                .bind(identity.id.uuid())
                .fetch_one(&mut superuser)
                .await
                .unwrap();
        let row = kit::vault::WrappedKey { identity, master: under.parse().unwrap(), wrapped };
        both.data_key(&row).await.unwrap_or_else(|error| panic!("a live read failed: {error}"));
        times.push(asked.elapsed());
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    let took = began.elapsed();
    assert!(child.wait().unwrap().success());
    times.sort();
    let per_second = many.rows as f64 / took.as_secs_f64();
    let million = 1_000_000.0 / per_second / 60.0;
    println!(
        "{} data keys in {took:.1?}: {per_second:.0} a second, a million in {million:.1} min; {} live reads meanwhile, p50 {:.2?}, p99 {:.2?}",
        many.rows,
        times.len(),
        times[times.len() / 2],
        times[times.len() * 99 / 100]
    );
    assert_eq!(many.status()["removable"], name(&many.old).as_str());
    // A debug build on a machine that does much else is given three times as long.
    assert!(million < 30.0, "{million:.1} minutes for a million");
}
