//! Codes of authenticator apps: RFC 6238 over HMAC-SHA-1 (RFC 4226), six digits, thirty seconds. Apps know other sizes, and
//! many of them ignore that they were asked for one.

use hmac::{Hmac, KeyInit, Mac};
use kernel::{Time, random};
use sha1::Sha1;
use subtle::{Choice, ConstantTimeEq};
use url::Url;

/// RFC 4226, section 4, R6.
const SECRET_LENGTH: usize = 20;
const STEP_SECONDS: i64 = 30;
const DIGITS: usize = 6;
/// Clocks of phones are some seconds off, and people need some to type (RFC 6238, section 5.2).
const STEPS_AROUND: i64 = 1;

/// What an app and we share.
pub(super) struct TotpSecret(zeroize::Zeroizing<[u8; SECRET_LENGTH]>);

impl TotpSecret {
    pub(super) fn generate() -> Self {
        Self(zeroize::Zeroizing::new(random::bytes()))
    }

    /// None when it was not stored by us.
    pub(super) fn from_bytes(bytes: &[u8]) -> Option<Self> {
        bytes.try_into().ok().map(|bytes| Self(zeroize::Zeroizing::new(bytes)))
    }

    pub(super) fn as_bytes(&self) -> &[u8] {
        self.0.as_slice()
    }

    /// For typing it into an app.
    pub(super) fn base32(&self) -> String {
        data_encoding::BASE32_NOPAD.encode(self.as_bytes())
    }

    /// For an app that reads it from a picture: the address that all of them know
    /// (<https://github.com/google/google-authenticator/wiki/Key-Uri-Format>).
    pub(super) fn address(&self, account: &str) -> Option<Url> {
        let mut url = Url::parse("otpauth://totp/").ok()?;
        url.path_segments_mut().ok()?.clear().push(&format!("Entrepot:{account}"));
        url.query_pairs_mut()
            .append_pair("secret", &self.base32())
            .append_pair("issuer", "Entrepot")
            .append_pair("algorithm", "SHA1")
            .append_pair("digits", &DIGITS.to_string())
            .append_pair("period", &STEP_SECONDS.to_string());
        Some(url)
    }

    /// The time step that a code is of, if it is of this moment or its neighbours, and of none that was used.
    pub(super) fn step_of(&self, code: &str, now: Time, last_step: Option<i64>) -> Option<i64> {
        let given: String = code.chars().filter(|char| !char.is_whitespace()).collect();
        let current = now.timestamp().div_euclid(STEP_SECONDS);
        let mut found = None;
        // All of them are compared, so that it takes as long whichever it is.
        for step in current - STEPS_AROUND..=current + STEPS_AROUND {
            let is_new = Choice::from(u8::from(last_step.is_none_or(|last| step > last)));
            let matches: bool = (self.code_at(step).as_bytes().ct_eq(given.as_bytes()) & is_new).into();
            found = if matches { Some(step) } else { found };
        }
        found
    }

    /// RFC 4226, section 5.3, with the time step for a counter.
    fn code_at(&self, step: i64) -> String {
        let mut mac = <Hmac<Sha1> as KeyInit>::new_from_slice(self.as_bytes())
            .unwrap_or_else(|_| unreachable!("HMAC takes keys of any length"));
        mac.update(&step.to_be_bytes());
        let digest = mac.finalize().into_bytes();
        let offset = usize::from(digest[digest.len() - 1] & 0x0f);
        let word = [digest[offset] & 0x7f, digest[offset + 1], digest[offset + 2], digest[offset + 3]];
        format!("{:06}", u32::from_be_bytes(word) % 1_000_000)
    }
}

#[cfg(test)]
mod tests {
    use chrono::DateTime;

    use super::*;

    fn secret() -> TotpSecret {
        TotpSecret::from_bytes(b"12345678901234567890").unwrap()
    }

    fn at(seconds: i64) -> Time {
        DateTime::from_timestamp(seconds, 0).unwrap()
    }

    #[test]
    fn codes_are_those_of_the_rfc() {
        // RFC 6238, appendix B, of whose eight digits ours are the last six.
        for (seconds, code) in [
            (59, "94287082"),
            (1_111_111_109, "07081804"),
            (1_111_111_111, "14050471"),
            (1_234_567_890, "89005924"),
            (2_000_000_000, "69279037"),
            (20_000_000_000, "65353130"),
        ] {
            assert_eq!(secret().code_at(seconds / STEP_SECONDS), code[2..], "{seconds}");
            assert_eq!(secret().step_of(&code[2..], at(seconds), None), Some(seconds / STEP_SECONDS));
        }
    }

    #[test]
    fn a_code_works_in_its_step_and_the_next_ones_and_never_again() {
        let (code, step) = ("287082", 1);
        for (seconds, expected) in [(0, Some(step)), (30, Some(step)), (89, Some(step)), (90, None), (-1, None)] {
            assert_eq!(secret().step_of(code, at(seconds), None), expected, "at {seconds}");
        }
        assert_eq!(secret().step_of(code, at(59), Some(0)), Some(step));
        assert_eq!(secret().step_of(code, at(59), Some(step)), None, "used");
        assert_eq!(secret().step_of(code, at(59), Some(step + 1)), None, "older than one that was used");
        assert_eq!(secret().step_of("287 082", at(59), None), Some(step), "as apps write it");
        for wrong in ["", "28708", "2870820", "287083", "٢٨٧٠٨٢"] {
            assert_eq!(secret().step_of(wrong, at(59), None), None, "{wrong}");
        }
    }

    #[test]
    fn an_app_reads_the_secret_from_its_address() {
        let address = secret().address("kata+é@people.example").unwrap();
        assert_eq!(
            address.as_str(),
            "otpauth://totp/Entrepot:kata+%C3%A9@people.example?secret=GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ&issuer=Entrepot\
             &algorithm=SHA1&digits=6&period=30"
        );
    }
}
