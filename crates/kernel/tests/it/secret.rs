use kernel::Secret;

#[test]
fn only_the_end_of_a_long_secret_is_shown() {
    for (secret, masked) in [
        ("", "…"),
        ("short", "…"),
        ("eleven_char", "…"),
        ("twelve_chars", "…hars"),
        ("shpat_0123456789abcdef", "…cdef"),
        ("ключ-ключ-ключ", "…ключ"),
    ] {
        assert_eq!(Secret::new(secret).masked(), masked);
    }
}

#[test]
fn secrets_are_equal_when_their_texts_are() {
    assert!(Secret::new("ck_1") == Secret::new("ck_1"));
    for other in ["", "ck_", "ck_2", "ck_11", "CK_1"] {
        assert!(Secret::new("ck_1") != Secret::new(other), "{other}");
    }
}

#[test]
fn a_secret_is_read_from_the_wire_and_exposed_on_purpose() {
    let secret: Secret = serde_json::from_str("\"ck_1\"").unwrap();
    assert_eq!(secret.expose(), "ck_1");
    assert!(serde_json::from_str::<Secret>("17").is_err());
}
