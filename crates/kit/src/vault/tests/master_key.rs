use std::{
    ffi::OsString,
    fs,
    os::unix::{
        ffi::OsStringExt as _,
        fs::{PermissionsExt as _, symlink},
    },
    path::Path,
};

use base64::{Engine as _, engine::general_purpose};
use rustix::fs::{CWD, FileType, Mode, mknodat};
use sha2::{Digest as _, Sha256};

use super::super::{EXAMPLE_MASTER_KEY, MASTER_KEY, MASTER_KEY_FILE, MasterKey, MasterKeyError, Weakness};

const GOOD: &str = "b1946ac92492d2347c6235b4d2611184f3d1e9c07a5b8846910fc3ee7254ab0d";

fn load(variables: &[(&str, OsString)]) -> Result<MasterKey, MasterKeyError> {
    MasterKey::from_lookup(|name| variables.iter().find(|(known, _)| *known == name).map(|(_, value)| value.clone()))
}

fn load_text(text: &str) -> Result<MasterKey, MasterKeyError> {
    load(&[(MASTER_KEY, text.into())])
}

fn load_file(path: &Path) -> Result<MasterKey, MasterKeyError> {
    load(&[(MASTER_KEY_FILE, path.into())])
}

fn write(path: &Path, text: &str, mode: u32) {
    fs::write(path, text).unwrap();
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
}

fn good_bytes() -> Vec<u8> {
    hex::decode(GOOD).unwrap()
}

#[test]
fn every_usual_writing_of_a_key_is_the_same_key() {
    let expected = load_text(GOOD).unwrap().fingerprint();
    let bytes = good_bytes();
    for text in [
        GOOD.to_uppercase(),
        format!("  {GOOD}\n"),
        general_purpose::STANDARD.encode(&bytes),
        general_purpose::STANDARD_NO_PAD.encode(&bytes),
        general_purpose::URL_SAFE.encode(&bytes),
        general_purpose::URL_SAFE_NO_PAD.encode(&bytes),
    ] {
        assert_eq!(load_text(&text).unwrap().fingerprint(), expected, "{text}");
    }
    let other = load_text(&GOOD.replace('b', "c")).unwrap().fingerprint();
    assert_ne!(other, expected);
    assert_eq!(expected.to_string().parse(), Ok(expected));
    assert_eq!(expected.to_string().len(), 8);
}

/// VLT-2: each row is an environment in which the process must not run, and what its message has to say.
#[test]
fn bad_environments_are_refused_with_what_to_do() {
    let base64 = |bytes: &[u8]| general_purpose::STANDARD.encode(bytes);
    let one: &[(&str, String, &str)] = &[
        ("empty", String::new(), "set ENTREPOT_MASTER_KEY_FILE"),
        ("blank", " \n".into(), "set ENTREPOT_MASTER_KEY_FILE"),
        ("a word", "changeme".into(), "holds 6 bytes"),
        ("not an encoding", "correct horse battery staple, correct!".into(), "neither base64 nor hexadecimal"),
        ("16 bytes of hex", GOOD[..32].into(), "holds 16 bytes"),
        ("31 bytes", GOOD[..62].into(), "holds 31 bytes"),
        ("33 bytes", format!("{GOOD}5e"), "holds 33 bytes"),
        ("64 bytes", GOOD.repeat(2), "holds 64 bytes"),
        ("half a byte", GOOD[..63].into(), "bytes, a master key has 32"),
        ("zeros", "0".repeat(64), "repeat or count up"),
        ("zeros in base64", base64(&[0; 32]), "repeat or count up"),
        ("ones", "f".repeat(64), "repeat or count up"),
        ("digits in order", "0123456789abcdef".repeat(4), "repeat or count up"),
        (
            "counting up",
            base64(&std::array::from_fn::<u8, 32, _>(|at| u8::try_from(at).unwrap())),
            "repeat or count up",
        ),
        (
            "counting down in sevens",
            base64(&std::array::from_fn::<u8, 32, _>(|at| 250 - 7 * u8::try_from(at).unwrap())),
            "repeat or count up",
        ),
        ("half a key twice", GOOD[..32].repeat(2), "repeat or count up"),
        ("sixteen different bytes", format!("{}{}", &GOOD[..32], "ab".repeat(16)), "repeat or count up"),
        ("a passphrase in base64", base64(b"the quick brown fox jumps over 1"), "text and not random"),
        ("a hexadecimal text in base64", base64(b"b1946ac92492d2347c6235b4d2611184"), "repeat or count up"),
        ("a passphrase as base64", "thequickbrownfoxjumpedoverthelazydog1234564".into(), "text and not random"),
        ("shouting", "THEQUICKBROWNFOXJUMPEDOVERTHELAZYDOG1234564".into(), "text and not random"),
        ("words", "ThisIsMyOwnChangeMeKeyXyz0987654321QwErTyU4".into(), "text and not random"),
        ("our documentation's", EXAMPLE_MASTER_KEY.into(), "published example"),
        (
            "our documentation's, in hex",
            hex::encode(general_purpose::STANDARD.decode(EXAMPLE_MASTER_KEY).unwrap()),
            "published",
        ),
        ("NIST's", "603deb1015ca71be2b73aef0857d77811f352c073b6108d72d9810a30914dff4".into(), "published example"),
        ("a hashed word", hex::encode(Sha256::digest(b"changeme")), "published example"),
        ("a hashed nothing", hex::encode(Sha256::digest(b"")), "published example"),
    ];
    for (name, value, says) in one {
        let error = load_text(value).err().unwrap_or_else(|| panic!("{name} was accepted"));
        let message = error.to_string();
        assert!(message.contains(says), "{name}: {message}");
        assert!(message.contains("openssl rand -base64 32"), "{name} does not say what to do: {message}");
    }

    let none = load(&[]).err().unwrap().to_string();
    assert!(none.contains("ENTREPOT_MASTER_KEY_FILE") && none.contains("keep a copy elsewhere"), "{none}");
    let both = load(&[(MASTER_KEY, GOOD.into()), (MASTER_KEY_FILE, "/run/key".into())]).err().unwrap().to_string();
    assert!(both.contains("remove one"), "{both}");
    let not_text = load(&[(MASTER_KEY, OsString::from_vec(vec![0xff; 32]))]).err().unwrap();
    assert!(matches!(not_text, MasterKeyError::Encoding { .. }));
}

#[test]
fn a_key_file_is_a_regular_file_that_only_its_owner_can_use() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);

    write(&at("key"), &format!("{GOOD}\n"), 0o600);
    assert_eq!(load_file(&at("key")).unwrap().fingerprint(), load_text(GOOD).unwrap().fingerprint());
    write(&at("key"), GOOD, 0o400);
    assert!(load_file(&at("key")).is_ok());
    symlink(at("key"), at("mounted")).unwrap();
    assert!(load_file(&at("mounted")).is_ok(), "secrets are mounted behind links");

    for mode in [0o640, 0o604, 0o620, 0o602, 0o610, 0o644, 0o666, 0o777] {
        write(&at("open"), GOOD, mode);
        let error = load_file(&at("open")).err().unwrap_or_else(|| panic!("mode {mode:o} was accepted"));
        assert!(matches!(&error, MasterKeyError::Exposed { mode: found, .. } if *found == mode), "{error}");
        assert!(error.to_string().contains("chmod 600"), "{error}");
    }

    assert!(matches!(load_file(folder.path()), Err(MasterKeyError::NotAFile { .. })));
    // A pipe that nobody writes to must not hang the start.
    mknodat(CWD, at("pipe"), FileType::Fifo, Mode::RUSR | Mode::WUSR, 0).unwrap();
    assert!(matches!(load_file(&at("pipe")), Err(MasterKeyError::NotAFile { .. })));
    assert!(matches!(load_file(&at("nothing")), Err(MasterKeyError::Io { .. })));
    write(&at("empty"), "", 0o600);
    assert!(matches!(load_file(&at("empty")), Err(MasterKeyError::Length { length: 0, .. })));
    write(&at("weak"), &"0".repeat(64), 0o600);
    assert!(matches!(load_file(&at("weak")), Err(MasterKeyError::Weak { weakness: Weakness::Pattern, .. })));
    write(&at("large"), &GOOD.repeat(1000), 0o600);
    assert!(matches!(load_file(&at("large")), Err(MasterKeyError::Length { length: 512, .. })));
}

#[test]
fn a_generated_file_holds_a_new_key_and_replaces_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("master.key");
    let made = MasterKey::generate_file(&path).unwrap();
    assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o7777, 0o600);
    assert_eq!(load_file(&path).unwrap().fingerprint(), made.fingerprint());

    let before = fs::read(&path).unwrap();
    assert!(matches!(MasterKey::generate_file(&path), Err(MasterKeyError::Exists { .. })));
    symlink(folder.path().join("elsewhere"), folder.path().join("link")).unwrap();
    assert!(matches!(MasterKey::generate_file(&folder.path().join("link")), Err(MasterKeyError::Exists { .. })));
    assert!(!folder.path().join("elsewhere").exists());
    assert_eq!(fs::read(&path).unwrap(), before);
    assert!(matches!(MasterKey::generate_file(&folder.path().join("no/key")), Err(MasterKeyError::Io { .. })));

    let other = MasterKey::generate_file(&folder.path().join("other.key")).unwrap();
    assert_ne!(other.fingerprint(), made.fingerprint());
}

#[test]
fn random_keys_are_not_called_weak() {
    for _ in 0..20_000 {
        let key: [u8; 32] = kernel::random::bytes();
        if let Err(error) = load_text(&general_purpose::STANDARD.encode(key)) {
            panic!("{}: {error}", hex::encode(key));
        }
    }
}

#[test]
fn no_message_holds_any_part_of_the_key() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("key");
    let almost = &GOOD[..62];
    write(&path, GOOD, 0o644);
    let errors = [
        load_text(almost).err().unwrap(),
        load_text(&format!("{GOOD}!")).err().unwrap(),
        load_text(&GOOD[..32].repeat(2)).err().unwrap(),
        load(&[(MASTER_KEY, GOOD.into()), (MASTER_KEY_FILE, "/run/key".into())]).err().unwrap(),
        load_file(&path).err().unwrap(),
    ];
    for error in errors {
        let shown = format!("{error} {error:?}");
        assert!(!GOOD.as_bytes().windows(6).any(|part| shown.contains(str::from_utf8(part).unwrap())), "{shown}");
    }
}
