//! Checking parameters as WordPress does before it asks who is calling: all wrong ones are named at once.

use super::dates::DateParam;
use super::error::RestError;
use super::query::{Query, Value};

/// Collects what is wrong with the parameters of one request.
pub(super) struct Check<'q> {
    query: &'q Query,
    wrong: Vec<(String, &'static str, String)>,
}

impl<'q> Check<'q> {
    pub(super) fn new(query: &'q Query) -> Check<'q> {
        Check { query, wrong: vec![] }
    }

    /// Fails if anything was wrong.
    pub(super) fn done(self) -> Result<(), RestError> {
        if self.wrong.is_empty() { Ok(()) } else { Err(RestError::invalid_params(self.wrong)) }
    }

    fn refuse(&mut self, name: &str, code: &'static str, message: String) {
        self.wrong.push((name.to_owned(), code, message));
    }

    /// A whole number with bounds.
    pub(super) fn integer(&mut self, name: &str, min: Option<i64>, max: Option<i64>) -> Option<i64> {
        let value = self.query.get(name)?;
        let number = match value {
            // PHP takes `1.0` and ` 1` for integers too.
            Value::Text(text) => text.trim().parse::<f64>().ok().filter(|n| n.fract() == 0.0 && n.is_finite()),
            Value::Map(_) => None,
        };
        let Some(number) = number.map(|number| number as i64) else {
            self.refuse(name, "rest_invalid_type", format!("{name} is not of type integer."));
            return None;
        };
        let message = match (min, max) {
            (Some(min), Some(max)) if number < min || number > max => {
                format!("{name} must be between {min} (inclusive) and {max} (inclusive)")
            }
            (Some(min), None) if number < min => format!("{name} must be greater than or equal to {min}"),
            _ => return Some(number),
        };
        self.refuse(name, "rest_out_of_bounds", message);
        None
    }

    /// Ids in a list.
    pub(super) fn ids(&mut self, name: &str) -> Option<Vec<u64>> {
        let list = self.query.list(name)?;
        let mut ids = Vec::with_capacity(list.len());
        for (index, item) in list.iter().enumerate() {
            match item.parse::<i64>() {
                Ok(id) => ids.push(id.unsigned_abs()),
                Err(_) => {
                    let item = format!("{name}[{index}]");
                    self.refuse(name, "rest_invalid_type", format!("{item} is not of type integer."));
                    return None;
                }
            }
        }
        Some(ids)
    }

    /// One of some words.
    pub(super) fn word(&mut self, name: &str, words: &[&str]) -> Option<&'q str> {
        let value = self.query.get(name)?;
        match value {
            Value::Text(text) if words.contains(&text.as_str()) => Some(text),
            _ => {
                self.refuse(name, "rest_not_in_enum", format!("{name} is not one of {}.", enumerate(words)));
                None
            }
        }
    }

    /// Any number of some words.
    pub(super) fn words(&mut self, name: &str, words: &[&str]) -> Option<Vec<&'q str>> {
        let list = self.query.list(name)?;
        if let Some(at) = list.iter().position(|item| !words.contains(item)) {
            let message = format!("{name}[{at}] is not one of {}.", enumerate(words));
            self.refuse(name, "rest_not_in_enum", message);
            return None;
        }
        Some(list)
    }

    /// `true`, `false`, `1`, `0` and the like.
    pub(super) fn boolean(&mut self, name: &str) -> Option<bool> {
        match self.query.get(name)? {
            Value::Text(text) => match text.to_ascii_lowercase().as_str() {
                "true" | "1" => return Some(true),
                "false" | "0" | "" => return Some(false),
                _ => {}
            },
            Value::Map(_) => {}
        }
        self.refuse(name, "rest_invalid_type", format!("{name} is not of type boolean."));
        None
    }

    /// A time.
    pub(super) fn date(&mut self, name: &str) -> Option<DateParam> {
        let date = match self.query.get(name)? {
            Value::Text(text) => DateParam::parse(text),
            Value::Map(_) => None,
        };
        if date.is_none() {
            self.refuse(name, "rest_invalid_date", "Invalid date.".to_owned());
        }
        date
    }

    /// Text; empty text is as good as none.
    pub(super) fn text(&mut self, name: &str) -> Option<&'q str> {
        match self.query.get(name)? {
            Value::Text(text) if text.is_empty() => None,
            Value::Text(text) => Some(text),
            Value::Map(_) => {
                self.refuse(name, "rest_invalid_type", format!("{name} is not of type string."));
                None
            }
        }
    }

    /// An e-mail address.
    pub(super) fn email(&mut self, name: &str) -> Option<&'q str> {
        let text = self.text(name)?;
        let plausible = text.split_once('@').is_some_and(|(user, host)| {
            !user.is_empty()
                && host.contains('.')
                && !host.starts_with('.')
                && !host.ends_with('.')
                && !text.contains([' ', ','])
        });
        if !plausible {
            self.refuse(name, "rest_invalid_email", "Invalid email address.".to_owned());
            return None;
        }
        Some(text)
    }
}

/// `a, b, and c`: WordPress' English since 5.6.
fn enumerate(words: &[&str]) -> String {
    match words {
        [] => String::new(),
        [only] => (*only).to_owned(),
        [first, last] => format!("{first} and {last}"),
        [rest @ .., last] => format!("{}, and {last}", rest.join(", ")),
    }
}

/// Where in a collection: the parameters that every collection has.
#[derive(Debug, Clone, Copy)]
pub(super) struct Window {
    pub(super) page: usize,
    pub(super) per_page: usize,
    pub(super) offset: Option<usize>,
}

impl Window {
    pub(super) fn check(check: &mut Check<'_>) -> Window {
        let page = check.integer("page", Some(1), None).unwrap_or(1) as usize;
        let per_page = check.integer("per_page", Some(1), Some(100)).unwrap_or(10) as usize;
        let offset = check.integer("offset", None, None).map(|offset| offset.max(0) as usize);
        Window { page, per_page, offset }
    }

    /// The index of the first item.
    pub(super) fn skip(&self) -> usize {
        self.offset.filter(|offset| *offset > 0).unwrap_or((self.page - 1).saturating_mul(self.per_page))
    }
}
