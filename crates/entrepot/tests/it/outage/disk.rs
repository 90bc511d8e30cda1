use std::{
    fs,
    io::{self, Write},
    path::PathBuf,
    thread,
    time::{Duration, Instant},
};

use serde_json::json;

use super::{BACK_WITHIN, length};
use crate::process::{Serving, new_key, scratch};

/// A small file system of its own for as long as this lives.
struct SmallDisk(PathBuf);

impl SmallDisk {
    /// None where this user may not mount.
    fn mount(at: PathBuf) -> Option<Self> {
        fs::create_dir(&at).unwrap();
        let mut mount = std::process::Command::new("mount");
        mount.args(["-t", "tmpfs", "-o", "size=192m,mode=711", "tmpfs"]).arg(&at);
        let is_mounted = mount.output().is_ok_and(|done| done.status.success());
        is_mounted.then_some(Self(at))
    }

    /// Leaves no room at all.
    fn fill(&self) {
        let mut file = fs::File::create(self.0.join("filler")).unwrap();
        let mut block = vec![1; 1024 * 1024];
        while !block.is_empty() {
            if file.write_all(&block).is_err() {
                block.truncate(block.len() / 2);
            }
        }
    }

    fn make_room(&self) {
        fs::remove_file(self.0.join("filler")).unwrap();
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _gone = std::process::Command::new("umount").arg("--lazy").arg(&self.0).status();
    }
}

#[test]
fn a_full_disk_refuses_what_is_written_and_room_brings_it_back() {
    let (folder, key) = (scratch(), new_key());
    let Some(disk) = SmallDisk::mount(folder.path().join("disk")) else {
        // Not `println`, which a test that passes keeps to itself.
        let said = writeln!(
            io::stderr(),
            "skipped, not passed: a full disk, since this user may not mount a small file system"
        );
        said.unwrap();
        return;
    };
    let data_dir = disk.0.join("data");
    let mut serving = Serving::start(&data_dir, &key);
    let token = serving.sign_up("kata");
    let write = |serving: &Serving, text: &str| {
        let path = "/api/sign-up";
        let form = json!({
            "name": text, "email": format!("{text}@example.com"), "password": crate::process::PASSWORD,
            "organization_name": "x".repeat(150),
        });
        serving.call("POST", path, "", &form)
    };
    for round in 0..2 {
        disk.fill();
        let (mut refused, mut read) = (0, 0);
        let began = Instant::now();
        let mut number = 0;
        while refused < 5 || began.elapsed() < length() {
            let answer = write(&serving, &format!("full-{round}-{number}"));
            number += 1;
            match answer.status {
                // Until the last page that is there is used up.
                201 => {}
                503 => refused += 1,
                other => panic!("a full disk is no {other}: {}", answer.body),
            }
            let me = serving.get("/api/me", &token);
            assert!([200, 503].contains(&me.status), "{}", me.body);
            read += usize::from(me.status == 200);
            assert_eq!(serving.get("/healthz", "").status, 200);
            assert!(began.elapsed() < length() + Duration::from_secs(60), "{refused} refusals of {number}");
        }
        assert!(serving.child.try_wait().unwrap().is_none(), "it ended");
        disk.make_room();
        let room = Instant::now();
        let mut again = 0;
        while write(&serving, &format!("room-{round}-{again}")).status != 201 {
            assert!(room.elapsed() < BACK_WITHIN, "not back");
            again += 1;
            thread::sleep(Duration::from_millis(50));
        }
        println!(
            "full: {refused} of {number} writes were refused, {read} reads answered; back after {:?}",
            room.elapsed()
        );
    }
    assert_eq!(serving.get("/api/me", &token).status, 200);
    assert!(!serving.said().contains("panicked"));
    serving.stop();
}
