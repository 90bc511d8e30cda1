//! The forms of a session: its token, its cookie, its CSRF token.

use hmac::{Hmac, KeyInit, Mac};
use kernel::{OrganizationId, Secret, SessionId, Time, UserId, random};
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

/// What people see in front of a session token, so that secret scanners know it.
const TOKEN_PREFIX: &str = "entrepot_session_";

pub struct NewUser {
    pub name: String,
    /// Lower case.
    pub email: String,
    pub password: Secret,
    pub organization_name: String,
}

pub struct Session {
    pub id: SessionId,
    pub user: UserId,
    pub expires_at: Time,
}

pub struct SignedUp {
    pub organization: OrganizationId,
    pub opened: super::Opened,
}

/// Whether an e-mail in lower case can be one: enough to catch what was typed into the wrong field. Only a message that
/// arrives shows that it is one.
pub(crate) fn is_address(email: &str) -> bool {
    email.len() <= 254
        && email
            .split_once('@')
            .is_some_and(|(user, host)| !user.is_empty() && host.contains('.') && !host.contains('@'))
        && !email.chars().any(|c| c.is_whitespace() || c.is_control())
}

/// A new token (256 bits) and the hash to keep of it.
pub(super) fn new_token() -> (Secret, Vec<u8>) {
    let token = Secret::new(format!("{TOKEN_PREFIX}{}", random::base62(43)));
    let hash = hash(token.expose());
    (token, hash)
}

/// SHA-256 is enough for a token that cannot be guessed.
pub(crate) fn hash(token: &str) -> Vec<u8> {
    Sha256::digest(token.as_bytes()).to_vec()
}

pub(crate) fn is_session_token(text: &str) -> bool {
    text.starts_with(TOKEN_PREFIX)
}

/// The name of the cookie. `__Host-` binds it to this host and to https; browsers refuse that on plain loopback.
pub(crate) const fn cookie_name(is_https: bool) -> &'static str {
    if is_https { "__Host-entrepot_session" } else { "entrepot_session" }
}

/// The name of the cookie by which a browser is known when it comes back. It opens nothing.
pub(crate) const fn device_cookie_name(is_https: bool) -> &'static str {
    if is_https { "__Host-entrepot_device" } else { "entrepot_device" }
}

pub(super) fn set_cookie(is_https: bool, name: &str, value: &Secret, max_age: chrono::Duration) -> String {
    let secure = if is_https { "; Secure" } else { "" };
    format!("{name}={}; Path=/; HttpOnly; SameSite=Lax; Max-Age={}{secure}", value.expose(), max_age.num_seconds())
}

/// What people tell their sessions apart by. Of what a browser says of itself only this is kept.
pub(super) fn device(user_agent: &str) -> String {
    let first = |words: &[(&'static str, &'static str)]| {
        words.iter().find(|(word, _)| user_agent.contains(word)).map(|(_, name)| *name)
    };
    // Browsers name those that they want to be taken for, so the order matters.
    let browser = first(&[
        ("Edg/", "Edge"),
        ("OPR/", "Opera"),
        ("Firefox/", "Firefox"),
        ("FxiOS/", "Firefox"),
        ("CriOS/", "Chrome"),
        ("Chrome/", "Chrome"),
        ("Safari/", "Safari"),
        ("curl/", "curl"),
    ]);
    let system = first(&[
        ("iPhone", "iOS"),
        ("iPad", "iPadOS"),
        ("Android", "Android"),
        ("Windows", "Windows"),
        ("Mac OS X", "macOS"),
        ("CrOS", "ChromeOS"),
        ("Linux", "Linux"),
    ]);
    match (browser, system) {
        (Some(browser), Some(system)) => format!("{browser} on {system}"),
        (Some(browser), None) => browser.to_owned(),
        (None, Some(system)) => format!("A program on {system}"),
        (None, None) => "A program".to_owned(),
    }
}

pub(super) fn clear_cookie(is_https: bool) -> String {
    let secure = if is_https { "; Secure" } else { "" };
    format!("{}=; Path=/; HttpOnly; SameSite=Lax; Max-Age=0{secure}", cookie_name(is_https))
}

/// What a browser must send in `X-CSRF-Token` with everything that changes something: derived from the session, so that
/// nothing more is kept.
pub(crate) fn csrf_token(key: &[u8; 32], session: SessionId) -> String {
    let mut mac = <Hmac<Sha256> as KeyInit>::new_from_slice(key)
        .unwrap_or_else(|_| unreachable!("HMAC takes keys of any length"));
    mac.update(session.uuid().as_bytes());
    hex::encode(mac.finalize().into_bytes())
}

pub(crate) fn csrf_matches(key: &[u8; 32], session: SessionId, given: &str) -> bool {
    csrf_token(key, session).as_bytes().ct_eq(given.as_bytes()).into()
}

/// A readable, unique name for addresses: the organization's name in plain letters, with a random end.
pub(super) fn slug(name: &str) -> String {
    let mut plain = String::new();
    for letter in name.chars().flat_map(char::to_lowercase) {
        if letter.is_ascii_alphanumeric() {
            plain.push(letter);
        } else if !plain.ends_with('-') && !plain.is_empty() {
            plain.push('-');
        }
        if plain.len() == 40 {
            break;
        }
    }
    let plain = plain.trim_matches('-');
    let end = random::base62(6).to_lowercase();
    if plain.is_empty() { format!("org-{end}") } else { format!("{plain}-{end}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slug_is_plain_whatever_the_name() {
        for name in ["Kávé & Bolt Kft.", "日本", "  -- ", "a", &"x".repeat(300)] {
            let slug = slug(name);
            assert!(slug.len() <= 63 && !slug.starts_with('-') && !slug.ends_with('-'), "{slug}");
            assert!(slug.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-'), "{slug}");
        }
    }

    #[test]
    fn a_device_is_told_in_a_few_words_of_our_own() {
        for (said, told) in [
            ("Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0", "Firefox on Linux"),
            (
                "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/140.0.0.0 \
                 Safari/537.36 Edg/140.0.0.0",
                "Edge on Windows",
            ),
            (
                "Mozilla/5.0 (iPhone; CPU iPhone OS 19_0 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) \
                 Version/19.0 Mobile/15E148 Safari/604.1",
                "Safari on iOS",
            ),
            ("curl/8.5.0", "curl"),
            ("<script>kata@people.example</script>", "A program"),
        ] {
            assert_eq!(device(said), told);
        }
    }

    #[test]
    fn a_csrf_token_is_of_one_session_only() {
        let clock = kernel::Clock::system();
        let (mine, other) = (SessionId::new(&clock), SessionId::new(&clock));
        let key = [7; 32];
        assert!(csrf_matches(&key, mine, &csrf_token(&key, mine)));
        assert!(!csrf_matches(&key, other, &csrf_token(&key, mine)));
        assert!(!csrf_matches(&[8; 32], mine, &csrf_token(&key, mine)));
    }
}
