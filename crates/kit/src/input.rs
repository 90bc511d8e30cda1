//! Bodies and parameters, with limits and with errors that say where.

use axum::{
    body::Bytes,
    extract::{FromRequest, FromRequestParts, Request},
    http::{header, request::Parts},
};
use chrono::Datelike;
use kernel::Time;
use serde::{
    Deserialize, Deserializer,
    de::{DeserializeOwned, Error as _, MapAccess, Visitor, value::MapAccessDeserializer},
};

use crate::{App, Code, Problem, problem::FieldError};

/// A JSON body. Larger than the router's limit is 413; unknown fields are for the type to refuse.
pub struct Json<T>(pub T);

impl<T: DeserializeOwned> FromRequest<App> for Json<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, app: &App) -> Result<Self, Problem> {
        json(&body(request, app).await?).map(Self)
    }
}

/// The bytes of a body that is sent as JSON.
pub(crate) async fn body(request: Request, app: &App) -> Result<Bytes, Problem> {
    let is_json =
        request.headers().get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).is_some_and(|value| {
            value.split(';').next().is_some_and(|kind| kind.trim().eq_ignore_ascii_case("application/json"))
        });
    if !is_json {
        return Err(Problem::new(
            Code::UnsupportedMediaType,
            "Send the body as JSON, with Content-Type: application/json.",
        ));
    }
    Bytes::from_request(request, app).await.map_err(|rejection| {
        if rejection.status() == axum::http::StatusCode::PAYLOAD_TOO_LARGE {
            Problem::new(Code::PayloadTooLarge, "The body may be 1 MiB at most.")
        } else {
            Problem::new(Code::InvalidRequest, "The body could not be read to its end.")
        }
    })
}

/// Reads a JSON object; the error names the place by JSON pointer and never quotes the value.
pub fn json<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, Problem> {
    let mut reader = serde_json::Deserializer::from_slice(bytes);
    let Object(value) = serde_path_to_error::deserialize(&mut reader).map_err(|error| {
        let pointer = pointer(error.path());
        let detail = describe(error.inner());
        Problem::new(Code::InvalidRequest, format!("The body is not as documented at \"{pointer}\": {detail}."))
            .with_error(FieldError { pointer, detail })
    })?;
    reader.end().map_err(|_| Problem::new(Code::InvalidRequest, "The body goes on after its JSON value."))?;
    Ok(value)
}

/// A value that is written as a JSON object. Serde takes the array of its fields' values for a struct as well: no document says
/// that, and `[null, null]` would be a PATCH that changes nothing.
pub struct Object<T>(pub T);

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Object<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Members<T>(std::marker::PhantomData<T>);
        impl<'de, T: Deserialize<'de>> Visitor<'de> for Members<T> {
            type Value = T;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, members: A) -> Result<T, A::Error> {
                T::deserialize(MapAccessDeserializer::new(members))
            }
        }
        deserializer.deserialize_map(Members(std::marker::PhantomData)).map(Self)
    }
}

/// For a field that is an object, `#[serde(deserialize_with = "kit::input::object")]`.
///
/// # Errors
/// When it is something else.
pub fn object<'de, D: Deserializer<'de>, T: Deserialize<'de>>(deserializer: D) -> Result<T, D::Error> {
    Object::deserialize(deserializer).map(|Object(value)| value)
}

/// The same for one that may be null or, with `#[serde(default)]`, absent.
///
/// # Errors
/// When it is something else.
pub fn optional_object<'de, D: Deserializer<'de>, T: Deserialize<'de>>(deserializer: D) -> Result<Option<T>, D::Error> {
    Option::deserialize(deserializer).map(|value| value.map(|Object(value)| value))
}

/// For a time in a request, with `#[serde(default)]`: RFC 3339 has years of four digits. What can be read beyond that has no
/// place in the database, and nothing can be counted back from its ends.
///
/// # Errors
/// When it is another.
pub fn optional_time<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Time>, D::Error> {
    let time = Option::<Time>::deserialize(deserializer)?;
    match time {
        Some(time) if !(0..=9999).contains(&time.year()) => Err(D::Error::custom("a year has four digits")),
        time => Ok(time),
    }
}

fn pointer(path: &serde_path_to_error::Path) -> String {
    use serde_path_to_error::Segment;
    path.iter().fold(String::new(), |mut pointer, segment| {
        match segment {
            Segment::Seq { index } => pointer.push_str(&format!("/{index}")),
            Segment::Map { key } => pointer.push_str(&format!("/{}", key.replace('~', "~0").replace('/', "~1"))),
            Segment::Enum { variant } => pointer.push_str(&format!("/{variant}")),
            Segment::Unknown => {}
        }
        pointer
    })
}

/// Serde's messages quote values, which may be secrets or personal; only their kinds are repeated here.
fn describe(error: &serde_json::Error) -> String {
    let text = error.to_string();
    match error.classify() {
        serde_json::error::Category::Syntax | serde_json::error::Category::Eof | serde_json::error::Category::Io => {
            format!("it is not JSON (line {}, column {})", error.line(), error.column())
        }
        serde_json::error::Category::Data => {
            let known = ["missing field", "unknown field", "duplicate field", "unknown variant"];
            match known.iter().find(|start| text.starts_with(**start)) {
                Some(&"unknown variant") => text.split_once("expected").map_or_else(
                    || "it is not one of the known values".to_owned(),
                    |(_, expected)| format!("expected{}", expected.split(" at line").next().unwrap_or_default()),
                ),
                Some(_) => text.split(" at line").next().unwrap_or_default().to_owned(),
                None => text.split_once("expected ").map_or_else(
                    || "it breaks a rule of this field".to_owned(),
                    |(_, expected)| {
                        format!("expected {}", plain(expected.split(" at line").next().unwrap_or_default()))
                    },
                ),
            }
        }
    }
}

/// Rust's names of kinds, as people say them.
fn plain(expected: &str) -> &str {
    match expected {
        "u8" | "u16" | "u32" | "u64" | "usize" => "a whole number, not negative and not too large",
        "i16" | "i32" | "i64" => "a whole number, not too large",
        "a sequence" => "a list",
        "a boolean" => "true or false",
        other => other,
    }
}

/// A short text of a person's, such as a name: trimmed, of 1 to `max` characters, on one line.
///
/// PostgreSQL takes no NUL in a text, and nothing that shows the text expects any other control character.
///
/// # Errors
/// [`Code::InvalidRequest`] at `pointer`.
pub fn text(pointer: &str, value: &str, max: usize) -> Result<String, Problem> {
    let value = value.trim();
    if value.is_empty() || value.chars().count() > max || value.chars().any(char::is_control) {
        return Err(Problem::invalid(
            pointer,
            format!("must have 1 to {max} characters, none of them a control character"),
        ));
    }
    Ok(value.to_owned())
}

/// The query string.
pub struct Query<T>(pub T);

impl<T: DeserializeOwned> FromRequestParts<App> for Query<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &App) -> Result<Self, Problem> {
        query(parts.uri.query().unwrap_or_default()).map(Self)
    }
}

/// Reads a query string; repeated names become lists.
pub fn query<T: DeserializeOwned>(text: &str) -> Result<T, Problem> {
    let reader = serde_html_form::Deserializer::new(form_urlencoded(text));
    serde_path_to_error::deserialize(reader).map_err(|error| {
        let name = error.path().to_string();
        let message = error.inner().to_string();
        // A missing or unknown parameter is named by serde; any other message may quote the value.
        let detail = if message.starts_with("missing field") || message.starts_with("unknown field") {
            message
        } else {
            "is not of the documented form".to_owned()
        };
        Problem::invalid(if name == "." { "query".to_owned() } else { name }, detail)
    })
}

fn form_urlencoded(text: &str) -> url::form_urlencoded::Parse<'_> {
    url::form_urlencoded::parse(text.as_bytes())
}

/// Ids in the path. One that is not of the right form is as unknown as one that is not there.
pub struct Path<T>(pub T);

impl<T: DeserializeOwned + Send> FromRequestParts<App> for Path<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, Problem> {
        axum::extract::Path::from_request_parts(parts, app)
            .await
            .map(|path| Self(path.0))
            .map_err(|_| Problem::not_found())
    }
}

/// A field of a PATCH body: absent (leave it), null (clear it) or a value (set it).
/// Use with `#[serde(default)]`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Patch<T> {
    #[default]
    Absent,
    Null,
    Value(T),
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Patch<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Option::deserialize(deserializer).map(|value| value.map_or(Self::Null, Self::Value))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, Deserialize, PartialEq)]
    #[serde(deny_unknown_fields)]
    struct Form {
        name: Option<String>,
        hours: Option<u16>,
        #[serde(default, deserialize_with = "optional_object")]
        inner: Option<Inner>,
    }

    #[derive(Debug, Deserialize, PartialEq)]
    struct Inner {
        on: bool,
    }

    #[test]
    fn an_object_is_not_written_as_a_list() {
        let form = json::<Form>(br#"{"name":"a","inner":{"on":true}}"#).unwrap();
        assert_eq!(form, Form { name: Some("a".to_owned()), hours: None, inner: Some(Inner { on: true }) });
        assert_eq!(json::<Form>(br#"{"inner":null}"#).unwrap().inner, None);
        for refused in [r#"[null,null,null]"#, "[]", "null", "3", r#""a""#, r#"{"inner":[true]}"#, r#"{"inner":true}"#]
        {
            let problem = json::<Form>(refused.as_bytes()).unwrap_err();
            assert!(problem.detail().contains("expected an object"), "{refused}: {}", problem.detail());
        }
    }

    #[test]
    fn a_refusal_speaks_to_people() {
        let detail = |body: &str| json::<Form>(body.as_bytes()).unwrap_err().detail().to_owned();
        assert!(
            detail(r#"{"hours":-1}"#).contains("/hours\": expected a whole number"),
            "{}",
            detail(r#"{"hours":-1}"#)
        );
        assert!(detail(r#"{"inner":{"on":1}}"#).contains("/inner/on\": expected true or false"));
    }

    #[test]
    fn a_text_is_trimmed_and_counted_in_characters() {
        assert_eq!(text("/name", " \t Kávé & Bolt\n", 11).unwrap(), "Kávé & Bolt");
        assert_eq!(text("/name", &"é".repeat(200), 200).unwrap().chars().count(), 200);
    }

    #[test]
    fn a_text_that_cannot_be_kept_or_shown_is_refused_with_its_place() {
        let long = "é".repeat(201);
        for refused in ["", "  ", "\u{0}", "a\u{0}b", "two\nlines", "\u{7f}x", "\u{9b}x", &long] {
            let problem = text("/name", refused, 200).unwrap_err();
            assert_eq!(problem.code(), Code::InvalidRequest, "{refused:?}");
            assert!(problem.detail().starts_with("/name: "), "{}", problem.detail());
        }
    }
}
