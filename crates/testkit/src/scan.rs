//! Finds values in whatever form they may have been written down: in files, logs, metrics, answers.
//!
//! A value is looked for as it is, in UTF-16, escaped as JSON and percent-encoded (both cases), in hexadecimal (both cases,
//! which is how PostgreSQL shows `bytea`), and in base64 and base64url at each of the three places in a group that it can
//! begin at. Compressed forms are not looked through; the cluster of the tests does not compress its log.

use std::{fs, io, path::Path};

use aho_corasick::AhoCorasick;
use base64::{
    Engine,
    engine::general_purpose::{STANDARD_NO_PAD, URL_SAFE_NO_PAD},
};

/// A value that must not turn up.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Needle {
    /// What it is, for messages.
    pub name: String,
    pub value: String,
}

/// Where a value turned up.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Hit {
    pub name: String,
    pub form: &'static str,
    pub place: String,
}

/// Looks for many values at once.
pub struct Scanner {
    patterns: Vec<Pattern>,
    automaton: AhoCorasick,
}

/// Every pattern has at least so many bytes: shorter values would be found everywhere.
const LENGTH_MIN: usize = 6;

struct Pattern {
    needle: usize,
    name: String,
    form: &'static str,
    bytes: Vec<u8>,
}

impl Scanner {
    /// # Panics
    /// When a value is too short to be told from chance.
    pub fn new(needles: &[Needle]) -> Self {
        let mut patterns = vec![];
        for (at, Needle { name, value }) in needles.iter().enumerate() {
            assert!(value.len() >= 8, "{name} is too short to look for");
            for (form, bytes) in forms(value) {
                assert!(bytes.len() >= LENGTH_MIN, "{name} as {form} is too short to look for");
                let known = patterns.iter().any(|known: &Pattern| known.needle == at && known.bytes == bytes);
                if !known {
                    patterns.push(Pattern { needle: at, name: name.clone(), form, bytes });
                }
            }
        }
        let automaton = AhoCorasick::new(patterns.iter().map(|pattern| &pattern.bytes)).expect("patterns of some KiB");
        Self { patterns, automaton }
    }

    /// The values in these bytes, each form once.
    pub fn scan(&self, place: &str, bytes: &[u8]) -> Vec<Hit> {
        // One value may lie in another, or begin in it.
        let found = self.automaton.find_overlapping_iter(bytes).map(|found| &self.patterns[found.pattern()]);
        let mut hits: Vec<Hit> = found
            .map(|pattern| Hit { name: pattern.name.clone(), form: pattern.form, place: place.to_owned() })
            .collect();
        hits.sort();
        hits.dedup();
        hits
    }

    /// The values in all files below a folder. Files that vanish meanwhile are passed over, as a running server's do.
    ///
    /// # Errors
    /// When a file that is there cannot be read.
    pub fn scan_folder(&self, folder: &Path) -> io::Result<(Vec<Hit>, u64)> {
        let (mut hits, mut bytes) = (vec![], 0);
        for entry in fs::read_dir(folder)? {
            let entry = entry?;
            let path = entry.path();
            match entry.file_type() {
                Ok(kind) if kind.is_dir() => {
                    let (below, read) = self.scan_folder(&path)?;
                    hits.extend(below);
                    bytes += read;
                }
                Ok(kind) if kind.is_file() => match fs::read(&path) {
                    Ok(content) => {
                        bytes += content.len() as u64;
                        hits.extend(self.scan(&path.display().to_string(), &content));
                    }
                    Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                    Err(error) => return Err(error),
                },
                Ok(_) => {}
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(error) => return Err(error),
            }
        }
        Ok((hits, bytes))
    }
}

/// Every form of a value.
fn forms(value: &str) -> Vec<(&'static str, Vec<u8>)> {
    let bytes = value.as_bytes();
    let quoted = serde_json::to_string(value).expect("a text is JSON");
    let json_escaped = &quoted[1..quoted.len() - 1];
    let ascii_json: String = json_escaped
        .encode_utf16()
        .map(|unit| {
            char::from_u32(u32::from(unit))
                .filter(char::is_ascii)
                .map_or_else(|| format!("\\u{unit:04x}"), String::from)
        })
        .collect();
    let percent = |upper: bool, space: &str| -> String {
        bytes
            .iter()
            .map(|byte| match byte {
                b if b.is_ascii_alphanumeric() || matches!(b, b'-' | b'.' | b'_' | b'~') => char::from(*b).to_string(),
                b' ' => space.to_owned(),
                b if upper => format!("%{b:02X}"),
                b => format!("%{b:02x}"),
            })
            .collect()
    };
    let mut forms = vec![
        ("plain", bytes.to_vec()),
        ("lower case", value.to_lowercase().into_bytes()),
        ("upper case", value.to_uppercase().into_bytes()),
        ("UTF-16LE", value.encode_utf16().flat_map(u16::to_le_bytes).collect()),
        ("UTF-16BE", value.encode_utf16().flat_map(u16::to_be_bytes).collect()),
        ("JSON", json_escaped.as_bytes().to_vec()),
        ("ASCII JSON", ascii_json.clone().into_bytes()),
        (
            "ASCII JSON, upper case",
            ascii_json.replace("\\u", "\u{0}").to_uppercase().replace('\u{0}', "\\u").into_bytes(),
        ),
        ("percent-encoded", percent(true, "%20").into_bytes()),
        ("percent-encoded, lower case", percent(false, "%20").into_bytes()),
        ("form-encoded", percent(true, "+").into_bytes()),
        ("hexadecimal", hex::encode(bytes).into_bytes()),
        ("hexadecimal, upper case", hex::encode_upper(bytes).into_bytes()),
    ];
    for (place, [standard, url_safe]) in [
        ["base64", "base64url"],
        ["base64, second place", "base64url, second place"],
        ["base64, third place", "base64url, third place"],
    ]
    .into_iter()
    .enumerate()
    {
        // What stands before shifts the letters; those that hold a bit of a neighbour are cut off.
        let mut shifted = vec![0; place];
        shifted.extend_from_slice(bytes);
        let first = (8 * place).div_ceil(6);
        let last = 8 * shifted.len() / 6;
        for (name, text) in [(standard, STANDARD_NO_PAD.encode(&shifted)), (url_safe, URL_SAFE_NO_PAD.encode(&shifted))]
        {
            forms.push((name, text.as_bytes()[first..last].to_vec()));
        }
    }
    forms
}

#[cfg(test)]
mod tests {
    use base64::engine::general_purpose::{STANDARD, URL_SAFE};

    use super::*;

    const VALUE: &str = "Űrmadár \"Kázmér\" <k+a@ex>/?";

    fn scanner() -> Scanner {
        Scanner::new(&[Needle { name: "canary".into(), value: VALUE.into() }])
    }

    fn is_found(bytes: &[u8]) -> bool {
        !scanner().scan("here", bytes).is_empty()
    }

    #[test]
    fn a_value_is_found_in_every_form() {
        let json = serde_json::to_string(&serde_json::json!({ "a": ["x", VALUE] })).unwrap();
        let in_query: String = url::form_urlencoded::Serializer::new(String::new()).append_pair("q", VALUE).finish();
        for before in 0..7 {
            let text = format!("{}{VALUE} and after", "x".repeat(before));
            let utf16: Vec<u8> = text.encode_utf16().flat_map(u16::to_le_bytes).collect();
            for (form, bytes) in [
                ("plain", text.clone().into_bytes()),
                ("upper case", text.to_uppercase().into_bytes()),
                ("lower case", text.to_lowercase().into_bytes()),
                ("hex", hex::encode(&text).into_bytes()),
                ("HEX", hex::encode_upper(&text).into_bytes()),
                ("base64", STANDARD.encode(&text).into_bytes()),
                ("base64url", URL_SAFE.encode(&text).into_bytes()),
                ("UTF-16", utf16),
            ] {
                assert!(is_found(&bytes), "{form} after {before} bytes");
            }
        }
        assert!(is_found(json.as_bytes()), "{json}");
        assert!(is_found(in_query.as_bytes()), "{in_query}");
        assert!(is_found(in_query.replace('+', "%20").as_bytes()));
        assert!(is_found("%c5%b0rmad%c3%a1r%20%22K%c3%a1zm%c3%a9r%22%20%3ck%2ba%40ex%3e%2f%3f".as_bytes()));
        assert!(is_found(br#""\u0170rmad\u00e1r \"K\u00e1zm\u00e9r\" <k+a@ex>/?""#));
    }

    #[test]
    fn what_is_not_there_is_not_found() {
        assert!(!is_found(b""));
        assert!(!is_found("Űrmadár \"Kázmér\" <k+a@ex>/".as_bytes()), "half of it");
        assert!(!is_found(STANDARD.encode(vec![7; 4096]).as_bytes()));
    }

    #[test]
    fn every_file_below_a_folder_is_read() {
        let folder = tempfile::tempdir().unwrap();
        let deep = folder.path().join("a/b");
        fs::create_dir_all(&deep).unwrap();
        fs::write(deep.join("file"), format!("\0\0{}", hex::encode(VALUE))).unwrap();
        fs::write(folder.path().join("other"), "nothing").unwrap();
        let (hits, bytes) = scanner().scan_folder(folder.path()).unwrap();
        assert_eq!(hits.len(), 1, "{hits:?}");
        assert!(hits[0].place.ends_with("a/b/file") && hits[0].form == "hexadecimal", "{hits:?}");
        assert!(bytes > 60);
    }
}
