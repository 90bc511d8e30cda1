//! Codes for whoever has lost their factors: ten, shown once, each good for once.

use kernel::{Secret, UserId, random};
use sha2::{Digest, Sha256};

pub(super) const CODES: usize = 10;
/// 80 bits: nobody finds one by trying, not even with its hash in hand.
const LENGTH: usize = 16;
/// Crockford's: no letter looks like another, or like a digit.
const ALPHABET: &[u8; 32] = b"0123456789abcdefghjkmnpqrstvwxyz";

/// `7k3m-9x0q-…`: four groups of four.
pub(super) fn generate() -> Secret {
    let mut text = String::with_capacity(LENGTH + 3);
    for (index, byte) in random::bytes::<LENGTH>().into_iter().enumerate() {
        if index > 0 && index % 4 == 0 {
            text.push('-');
        }
        text.push(char::from(ALPHABET[usize::from(byte % 32)]));
    }
    Secret::new(text)
}

/// What is kept of a code. Hyphens, spaces, capitals, and letters that look like digits are as people write them.
pub(super) fn hash(user: UserId, code: &Secret) -> Vec<u8> {
    let plain = code.expose().chars().filter(|char| !char.is_whitespace() && *char != '-').map(|char| {
        match char.to_ascii_lowercase() {
            'o' => '0',
            'i' | 'l' => '1',
            other => other,
        }
    });
    let plain = zeroize::Zeroizing::new(plain.collect::<String>());
    Sha256::new().chain_update(user.uuid().as_bytes()).chain_update(plain.as_bytes()).finalize().to_vec()
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use kernel::Clock;

    use super::*;

    #[test]
    fn a_code_is_read_as_people_write_it_and_is_one_persons() {
        let clock = Clock::system();
        let (kata, other) = (UserId::new(&clock), UserId::new(&clock));
        let is = |text: &str| hash(kata, &Secret::new("01ab-cdef-ghjk-mnpq")) == hash(kata, &Secret::new(text));
        for same in ["01ABCDEFGHJKMNPQ", " oIab cdef ghjk mnpq ", "0lab-cdefghjkmnpq"] {
            assert!(is(same), "{same}");
        }
        assert!(!is("01ab-cdef-ghjk-mnp0"));
        assert_ne!(hash(kata, &Secret::new("a")), hash(other, &Secret::new("a")));
    }

    #[test]
    fn no_code_is_made_twice() {
        let codes: HashSet<String> = (0..1_000).map(|_| generate().expose().to_owned()).collect();
        assert_eq!(codes.len(), 1_000);
        for code in codes {
            assert!(code.len() == 19 && code.split('-').all(|group| group.len() == 4), "{code}");
        }
    }
}
