use std::collections::{HashMap, HashSet};

use kernel::random;

#[test]
fn base62_has_the_asked_length_and_only_its_characters() {
    for length in 0..200 {
        let text = random::base62(length);
        assert_eq!(text.len(), length);
        assert!(text.bytes().all(|byte| byte.is_ascii_alphanumeric()), "{text}");
    }
}

/// Chi-square over 62 cells has mean 61 and deviation 11: 150 is eight deviations off. Taking bytes modulo 62 without
/// throwing any away would give some 3,500 here.
#[test]
fn base62_takes_each_character_equally_often() {
    const EACH: u32 = 10_000;
    let mut counts = HashMap::<u8, u32>::new();
    for byte in random::base62(62 * EACH as usize).into_bytes() {
        *counts.entry(byte).or_default() += 1;
    }
    assert_eq!(counts.len(), 62);
    let chi_square: f64 =
        counts.values().map(|count| (f64::from(*count) - f64::from(EACH)).powi(2) / f64::from(EACH)).sum();
    assert!(chi_square < 150.0, "chi-square is {chi_square}");
}

#[test]
fn tokens_and_bytes_do_not_repeat() {
    let tokens: HashSet<_> = (0..10_000).map(|_| random::token()).collect();
    assert_eq!(tokens.len(), 10_000);
    assert!(tokens.iter().all(|token| token.len() == 32 && hex::decode(token).is_ok()));
    let bytes: HashSet<[u8; 16]> = (0..10_000).map(|_| random::bytes()).collect();
    assert_eq!(bytes.len(), 10_000);
}
