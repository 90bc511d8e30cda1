//! Query strings as PHP reads them (`parse_str`).

/// A parameter's value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Value {
    /// `a=1`
    Text(String),
    /// `a[x]=1`: in the order of arrival.
    Map(Vec<(String, Value)>),
}

/// All parameters, in the order in which PHP holds them: that of the first arrival.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Query(pub(super) Vec<(String, Value)>);

impl Query {
    /// Parses a raw query string.
    pub(super) fn parse(raw: &str) -> Query {
        let mut entries = vec![];
        for pair in raw.split('&').filter(|pair| !pair.is_empty()) {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            insert(&mut entries, &decode(name), decode(value));
        }
        Query(entries)
    }

    /// A parameter's value.
    pub(super) fn get(&self, name: &str) -> Option<&Value> {
        self.0.iter().find(|(known, _)| known == name).map(|(_, value)| value)
    }

    /// A parameter's text, if it is not an array.
    pub(super) fn text(&self, name: &str) -> Option<&str> {
        match self.get(name)? {
            Value::Text(text) => Some(text),
            Value::Map(_) => None,
        }
    }

    /// A list: an array, or text with commas or spaces between (`wp_parse_list`).
    pub(super) fn list(&self, name: &str) -> Option<Vec<&str>> {
        match self.get(name)? {
            Value::Text(text) => {
                Some(text.split(|c: char| c == ',' || c.is_whitespace()).filter(|part| !part.is_empty()).collect())
            }
            Value::Map(entries) => Some(
                entries
                    .iter()
                    .filter_map(|(_, value)| match value {
                        Value::Text(text) => Some(text.as_str()),
                        Value::Map(_) => None,
                    })
                    .collect(),
            ),
        }
    }

    /// Encoded again as WordPress' `add_query_arg` does: for `Link` headers.
    pub(super) fn encode(&self) -> String {
        fn add(out: &mut Vec<String>, name: &str, value: &Value) {
            match value {
                Value::Text(text) => out.push(format!("{}={}", urlencode(name), urlencode(text))),
                Value::Map(entries) => {
                    entries.iter().for_each(|(key, value)| add(out, &format!("{name}[{key}]"), value))
                }
            }
        }
        let mut out = vec![];
        self.0.iter().for_each(|(name, value)| add(&mut out, name, value));
        out.join("&")
    }

    /// Sets a parameter at its place, or at the end.
    pub(super) fn set(&mut self, name: &str, value: String) {
        insert_key(&mut self.0, name, Value::Text(value));
    }
}

fn insert_key(entries: &mut Vec<(String, Value)>, key: &str, value: Value) {
    match entries.iter_mut().find(|(known, _)| known == key) {
        Some((_, old)) => *old = value,
        None => entries.push((key.to_owned(), value)),
    }
}

fn insert(entries: &mut Vec<(String, Value)>, name: &str, value: String) {
    let name = name.trim_start();
    let (base, mut brackets) = match name.find('[').filter(|at| *at > 0 && name[*at..].contains(']')) {
        Some(at) => name.split_at(at),
        None => (name, ""),
    };
    if base.is_empty() {
        return;
    }
    // PHP variable names hold neither dots nor spaces.
    let base = base.replace(['.', ' '], "_");
    let mut path = vec![base];
    while let Some(rest) = brackets.strip_prefix('[') {
        let Some((key, rest)) = rest.split_once(']') else { break };
        path.push(key.to_owned());
        brackets = rest;
        // PHP's own limit is 64 (max_input_nesting_level).
        if path.len() > 8 {
            return;
        }
    }
    let mut at = entries;
    let last = path.pop().unwrap_or_default();
    for key in path {
        let key = if key.is_empty() { next_index(at) } else { key };
        let index = match at.iter().position(|(known, _)| *known == key) {
            Some(index) => index,
            None => {
                at.push((key, Value::Map(vec![])));
                at.len() - 1
            }
        };
        if let Value::Text(_) = at[index].1 {
            at[index].1 = Value::Map(vec![]);
        }
        match &mut at[index].1 {
            Value::Map(map) => at = map,
            Value::Text(_) => return,
        }
    }
    let last = if last.is_empty() { next_index(at) } else { last };
    insert_key(at, &last, Value::Text(value));
}

fn next_index(entries: &[(String, Value)]) -> String {
    entries.iter().filter_map(|(key, _)| key.parse::<u64>().ok()).max().map_or(0, |max| max + 1).to_string()
}

/// Percent-decoding with `+` as space; what is not UTF-8 becomes U+FFFD.
pub(super) fn decode(text: &str) -> String {
    let bytes = text.as_bytes();
    let mut out = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while at < bytes.len() {
        let hex = |byte: Option<&u8>| byte.and_then(|b| char::from(*b).to_digit(16));
        match bytes[at] {
            b'+' => out.push(b' '),
            b'%' => match (hex(bytes.get(at + 1)), hex(bytes.get(at + 2))) {
                (Some(high), Some(low)) => {
                    out.push((high * 16 + low) as u8);
                    at += 2;
                }
                _ => out.push(b'%'),
            },
            byte => out.push(byte),
        }
        at += 1;
    }
    String::from_utf8_lossy(&out).into_owned()
}

/// RFC 3986 percent-encoding of everything but unreserved characters.
pub(super) fn rawurlencode(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => out.push(char::from(byte)),
            _ => out.push_str(&format!("%{byte:02X}")),
        }
    }
    out
}

/// PHP's `urlencode`: as [`rawurlencode`], but a space is `+` and `~` is encoded.
fn urlencode(text: &str) -> String {
    rawurlencode(text).replace("%20", "+").replace('~', "%7E")
}

#[cfg(test)]
mod tests {
    use super::{Query, Value};

    #[test]
    fn arrays_get_indexes_and_the_last_of_equal_names_wins() {
        let query = Query::parse("a[]=1&a[]=2&b=x&b=y%20z&c.d=5&e[k]=v");
        assert_eq!(query.list("a"), Some(vec!["1", "2"]));
        assert_eq!(query.text("b"), Some("y z"));
        assert_eq!(query.text("c_d"), Some("5"));
        assert_eq!(query.get("e"), Some(&Value::Map(vec![("k".into(), Value::Text("v".into()))])));
        assert_eq!(query.encode(), "a%5B0%5D=1&a%5B1%5D=2&b=y+z&c_d=5&e%5Bk%5D=v");
    }

    #[test]
    fn a_list_may_be_text_with_commas() {
        assert_eq!(Query::parse("include=1,2%2C3").list("include"), Some(vec!["1", "2", "3"]));
    }

    #[test]
    fn broken_input_is_no_trouble() {
        for raw in ["%", "%zz=%", "[]=1", "a[=1", "a[b=1", "&&=&=x", "a[b][c][d][e][f][g][h][i][j]=1"] {
            Query::parse(raw);
        }
    }
}
