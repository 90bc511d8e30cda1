//! Reading a message as its recipient does: headers (RFC 5322), parts (RFC 2046), their encodings (RFC 2045) and encoded
//! words (RFC 2047). What cannot be read is shown as it is.

use base64::{Engine, engine::general_purpose::STANDARD};

/// The parts that people see.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Message {
    pub(super) subject: String,
    pub(super) text: String,
    pub(super) html: String,
}

/// Headers and body of a message or of a part of one.
pub(super) struct Part<'a> {
    headers: Vec<(String, String)>,
    body: &'a str,
}

impl Message {
    pub(super) fn parse(raw: &str) -> Message {
        let whole = Part::parse(raw);
        let mut message = Message { subject: words(whole.header("subject").unwrap_or_default()), ..Message::default() };
        message.collect(&whole, 0);
        message
    }

    fn collect(&mut self, part: &Part<'_>, depth: usize) {
        let kind = part.header("content-type").unwrap_or("text/plain").to_owned();
        if kind.to_ascii_lowercase().starts_with("multipart/") {
            let boundary = parameter(&kind, "boundary").filter(|_| depth < 5);
            for inner in boundary.into_iter().flat_map(|boundary| part.parts(&boundary)) {
                self.collect(&inner, depth + 1);
            }
        } else if kind.to_ascii_lowercase().starts_with("text/html") {
            self.html = part.content();
        } else if self.text.is_empty() {
            self.text = part.content();
        }
    }
}

impl<'a> Part<'a> {
    pub(super) fn parse(raw: &'a str) -> Part<'a> {
        let mut headers: Vec<(String, String)> = vec![];
        let mut rest = raw;
        while let Some((line, after)) = rest.split_once("\r\n") {
            rest = after;
            if line.is_empty() {
                return Part { headers, body: rest };
            }
            match (line.starts_with([' ', '\t']), headers.last_mut()) {
                // A folded line goes on with the one before.
                (true, Some((_, value))) => value.push_str(line),
                _ => match line.split_once(':') {
                    Some((name, value)) => headers.push((name.trim().to_owned(), value.trim().to_owned())),
                    // No header: the message has none, or they are over.
                    None => return Part { headers, body: raw },
                },
            }
        }
        Part { headers, body: rest }
    }

    pub(super) fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(known, _)| known.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_str())
    }

    fn parts(&self, boundary: &str) -> Vec<Part<'a>> {
        let delimiter = format!("--{boundary}");
        let between = self.body.split(delimiter.as_str()).skip(1).take_while(|part| !part.starts_with("--"));
        between.filter_map(|part| Some(Part::parse(part.split_once("\r\n")?.1))).collect()
    }

    fn content(&self) -> String {
        let encoding = self.header("content-transfer-encoding").unwrap_or("7bit").to_ascii_lowercase();
        let bytes = match encoding.as_str() {
            "base64" => STANDARD.decode(self.body.split_whitespace().collect::<String>()).ok(),
            "quoted-printable" => Some(quoted_printable(self.body)),
            _ => None,
        };
        bytes.map_or_else(|| self.body.to_owned(), |bytes| String::from_utf8_lossy(&bytes).into_owned())
    }
}

fn parameter(value: &str, name: &str) -> Option<String> {
    value.split(';').skip(1).find_map(|parameter| {
        let (key, value) = parameter.split_once('=')?;
        key.trim().eq_ignore_ascii_case(name).then(|| value.trim().trim_matches('"').to_owned())
    })
}

fn quoted_printable(text: &str) -> Vec<u8> {
    let mut out = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let [first, after @ ..] = rest {
        rest = match after {
            // A line end that is not meant.
            [b'\r', b'\n', next @ ..] if *first == b'=' => next,
            [high, low, next @ ..] if *first == b'=' && high.is_ascii_hexdigit() && low.is_ascii_hexdigit() => {
                let digit = |byte: u8| char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
                out.push(digit(*high).unwrap_or_default() << 4 | digit(*low).unwrap_or_default());
                next
            }
            _ => {
                out.push(*first);
                after
            }
        };
    }
    out
}

/// `=?utf-8?b?…?=` and `=?utf-8?q?…?=`, anywhere in a header. White space between two of them is none (section 6.2).
fn words(header: &str) -> String {
    let mut out = String::new();
    let mut rest = header;
    let mut was_word = false;
    while let Some((before, word)) = rest.split_once("=?") {
        let mut fields = word.splitn(4, '?');
        let (Some(charset), Some(encoding), Some(text), Some(after)) =
            (fields.next(), fields.next(), fields.next(), fields.next().and_then(|end| end.strip_prefix('=')))
        else {
            break;
        };
        let bytes = match encoding.to_ascii_lowercase().as_str() {
            "b" => STANDARD.decode(text).ok(),
            "q" => Some(quoted_printable(&text.replace('_', " "))),
            _ => None,
        };
        let Some(bytes) = bytes.filter(|_| charset.eq_ignore_ascii_case("utf-8")) else { break };
        if !(was_word && before.trim().is_empty()) {
            out.push_str(before);
        }
        out.push_str(&String::from_utf8_lossy(&bytes));
        (rest, was_word) = (after, true);
    }
    out.push_str(rest);
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_parts_and_the_subject_are_read_as_they_were_meant() {
        let raw = "Subject: =?utf-8?b?S8OhdsOp?=\r\n =?utf-8?q?_&_Co?=\r\nContent-Type: multipart/alternative;\r\n \
                   boundary=\"xyz\"\r\n\r\npreamble\r\n--xyz\r\nContent-Type: text/plain; charset=utf-8\r\n\
                   Content-Transfer-Encoding: quoted-printable\r\n\r\nK=C3=A1v=C3=A9 1=3D1 so=\r\nft =zz\r\n--xyz\r\n\
                   Content-Type: text/html; charset=utf-8\r\nContent-Transfer-Encoding: base64\r\n\r\nPGI+aGk8\r\nL2I+\r\n--xyz--\r\n";
        let message = Message::parse(raw);
        assert_eq!(message.subject, "Kávé & Co");
        assert_eq!(message.text, "Kávé 1=1 soft =zz\r\n");
        assert_eq!(message.html, "<b>hi</b>");
        assert_eq!(Part::parse(raw).header("CONTENT-TYPE"), Some("multipart/alternative; boundary=\"xyz\""));
    }

    #[test]
    fn what_cannot_be_read_is_shown_as_it_is() {
        for raw in ["", "no headers at all\r\n", "Subject: =?x?y\r\n\r\n", "Content-Type: multipart/mixed\r\n\r\nx\r\n"]
        {
            let _shown = Message::parse(raw);
        }
        assert_eq!(Message::parse("Subject: =?utf-8?b?!!?=\r\n\r\nhi\r\n").subject, "=?utf-8?b?!!?=");
        assert_eq!(Message::parse("just text\r\nand more\r\n").text, "just text\r\nand more\r\n");
    }
}
