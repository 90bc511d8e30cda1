use std::{borrow::Cow, fmt, panic::Location};

use axum::{extract::MatchedPath, http::Method};
use db::DbError;

/// How much of a text is kept.
const LENGTH_MAX: usize = 200;

/// What an error report may say: words that stand in the program, in one of its types, or that the compiler made. There is no way
/// from a text that came from outside to here, so no report holds one.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Words(Cow<'static, str>);

impl Words {
    fn of(text: String) -> Self {
        Self(Cow::Owned(text.chars().take(LENGTH_MAX).collect()))
    }

    /// A route by its pattern: what stands in place of an id may be anything, and so may a method.
    pub fn route(method: &Method, route: Option<&MatchedPath>) -> Self {
        Self::of(format!("{} {}", standard_method(method), route.map_or("none", MatchedPath::as_str)))
    }

    /// These words, and where in the program they were said.
    #[must_use]
    pub fn at(self, location: &Location<'_>) -> Self {
        Self::of(format!("{self} at {}", Self::from(location)))
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// A method of RFC 9110 or 5789; a caller may send any other word.
pub fn standard_method(method: &Method) -> &'static str {
    [
        Method::GET,
        Method::HEAD,
        Method::POST,
        Method::PUT,
        Method::PATCH,
        Method::DELETE,
        Method::OPTIONS,
        Method::TRACE,
        Method::CONNECT,
    ]
    .iter()
    .position(|known| known == method)
    .map_or("_OTHER", |at| ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "CONNECT"][at])
}

impl From<&'static str> for Words {
    fn from(text: &'static str) -> Self {
        Self(Cow::Borrowed(text))
    }
}

/// It carries our own words and names of constraints.
impl From<&DbError> for Words {
    fn from(error: &DbError) -> Self {
        Self::of(error.to_string())
    }
}

/// Its causes are made of our own words.
impl From<&jobs::Failure> for Words {
    fn from(failure: &jobs::Failure) -> Self {
        Self::of(failure.to_string())
    }
}

/// A line of the source, without the folders of the machine that compiled it.
impl From<&Location<'_>> for Words {
    fn from(location: &Location<'_>) -> Self {
        let file = location.file();
        let from = if file.starts_with('/') { file.rmatch_indices('/').nth(3).map_or(0, |(at, _)| at + 1) } else { 0 };
        Self::of(format!("{}:{}", &file[from..], location.line()))
    }
}

impl fmt::Display for Words {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_word_that_a_caller_made_up_is_no_method() {
        assert_eq!(Words::route(&Method::PATCH, None).as_str(), "PATCH none");
        let made_up = Method::from_bytes(b"KATA").unwrap();
        assert_eq!(Words::route(&made_up, None).as_str(), "_OTHER none");
    }

    #[test]
    fn a_place_in_the_source_is_told_without_the_folders_of_a_machine() {
        let here = Words::from(Location::caller());
        assert!(here.as_str().starts_with("crates/kit/src/error_reports/words.rs:"), "{here}");
        assert!(Words::from("it broke").at(Location::caller()).as_str().starts_with("it broke at crates/kit/"));
    }
}
