//! Relay connections: pages of lists, with cursors tied to sort key and query.

use super::{At, Resolved, View, leaf, maybe};
use crate::shopify::graphql::access::Refusal;
use crate::shopify::graphql::search::{Filter, Searchable};
use crate::shopify::store::{Key, Listed};
use apollo_compiler::resolvers::{FieldError, ResolvedValue};
use apollo_compiler::response::serde_json_bytes::json;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use chrono::DateTime;
use sha2::{Digest, Sha256};

/// The most that one page holds.
const PAGE_LIMIT: i64 = 250;

/// A page.
pub(super) struct Connection<V> {
    /// `ProductConnection`.
    type_name: &'static str,
    edges: Vec<Edge<V>>,
    has_next: bool,
    has_previous: bool,
}

#[derive(Clone)]
struct Edge<V> {
    /// `ProductEdge`.
    type_name: &'static str,
    cursor: String,
    node: V,
}

struct PageInfo {
    has_next: bool,
    has_previous: bool,
    start: Option<String>,
    end: Option<String>,
}

impl<V: View + Copy> View for Connection<V> {
    fn type_name(&self) -> &'static str {
        self.type_name
    }

    fn field<'b>(&'b self, at: At<'b>) -> Resolved<'b> {
        match at.name() {
            "nodes" => at.nodes(self.edges.iter().map(|edge| edge.node)),
            "edges" => at.nodes(self.edges.iter().cloned()),
            "pageInfo" => at.node(PageInfo {
                has_next: self.has_next,
                has_previous: self.has_previous,
                start: self.edges.first().map(|edge| edge.cursor.clone()),
                end: self.edges.last().map(|edge| edge.cursor.clone()),
            }),
            _ => at.unknown(self),
        }
    }
}

impl<V: View + Copy> View for Edge<V> {
    fn type_name(&self) -> &'static str {
        self.type_name
    }

    fn cost(&self) -> u64 {
        0
    }

    fn field<'b>(&'b self, at: At<'b>) -> Resolved<'b> {
        match at.name() {
            "cursor" => leaf(self.cursor.as_str()),
            "node" => at.node(self.node),
            _ => at.unknown(self),
        }
    }
}

impl View for PageInfo {
    fn type_name(&self) -> &'static str {
        "PageInfo"
    }

    fn field<'b>(&'b self, at: At<'b>) -> Resolved<'b> {
        match at.name() {
            "hasNextPage" => leaf(self.has_next),
            "hasPreviousPage" => leaf(self.has_previous),
            "startCursor" => maybe(self.start.as_deref()),
            "endCursor" => maybe(self.end.as_deref()),
            _ => at.unknown(self),
        }
    }
}

/// `Count`, of the items that the `query` argument lets through.
struct Count {
    found: usize,
    limit: Option<usize>,
}

impl View for Count {
    fn type_name(&self) -> &'static str {
        "Count"
    }

    fn field<'b>(&'b self, at: At<'b>) -> Resolved<'b> {
        let capped = self.limit.filter(|limit| self.found > *limit);
        match at.name() {
            "count" => leaf(capped.unwrap_or(self.found) as u64),
            "precision" => leaf(if capped.is_some() { "AT_LEAST" } else { "EXACT" }),
            _ => at.unknown(self),
        }
    }
}

/// How many the `query` argument lets through, up to the `limit` argument: 10 000 when left out, no limit when null.
pub(super) fn count<'b, T: Searchable>(at: At<'b>, items: &[T], visible: impl Fn(&T) -> bool) -> Resolved<'b> {
    let filter = filter::<T>(at);
    let found = items.iter().filter(|item| visible(item) && filter.matches(*item, at.store())).count();
    let limit = if at.arguments().contains_key("limit") { at.int("limit") } else { Some(10_000) };
    at.node(Count { found, limit: limit.map(|limit| limit.max(0) as usize) })
}

/// A number of things already counted.
pub(super) fn exactly(at: At<'_>, found: usize) -> Resolved<'_> {
    at.node(Count { found, limit: None })
}

fn filter<T: Searchable>(at: At<'_>) -> Filter {
    let Some(text) = at.text("query") else { return Filter::Any };
    let mut warnings = Vec::new();
    let filter = Filter::parse(text, T::FIELDS, &mut warnings);
    if !warnings.is_empty() {
        let told = json!({"path": [at.name()], "query": text, "warnings": warnings});
        at.context.searches.borrow_mut().push(told);
    }
    filter
}

/// The part of a list that the paging arguments ask for.
struct Window {
    /// `Ok`: the first so many, `Err`: the last so many.
    size: Result<usize, usize>,
    after: Option<(Key, u64)>,
    before: Option<(Key, u64)>,
    reverse: bool,
    digest: String,
}

impl Window {
    fn read(at: At<'_>, sort: &str, limit: i64) -> Result<Window, FieldError> {
        let asked = |argument: &str| -> Result<Option<usize>, FieldError> {
            match at.int(argument) {
                None => Ok(None),
                Some(size) if (0..=limit).contains(&size) => Ok(Some(size as usize)),
                Some(size) => {
                    let problem =
                        if size < 0 { "must not be negative".into() } else { format!("must not exceed {limit}") };
                    Err(Refusal::bad_request(format!("{argument} on {} {problem}", at.name())).into())
                }
            }
        };
        let size = match (asked("first")?, asked("last")?) {
            (Some(first), None) => Ok(first),
            (None, Some(last)) => Err(last),
            (None, None) => return Err(Refusal::bad_request("you must provide one of first or last").into()),
            (Some(_), Some(_)) => {
                return Err(Refusal::bad_request("providing both first and last is not supported").into());
            }
        };
        let reverse = at.flag("reverse");
        let tied = format!("{} {sort} {reverse} {}", at.name(), at.text("query").unwrap_or(""));
        let digest = hex::encode(&Sha256::digest(tied)[..6]);
        let cursor = |argument: &str| match at.text(argument) {
            None => Ok(None),
            Some(cursor) => match decode(cursor, &digest) {
                Some(position) => Ok(Some(position)),
                None => Err(FieldError::from(Refusal::bad_request("Invalid cursor for current pagination sort."))),
            },
        };
        let (after, before) = (cursor("after")?, cursor("before")?);
        Ok(Window { size, after, before, reverse, digest })
    }

    /// Cuts the window out of a list in ascending order, through a filter.
    fn cut<V: View + Copy>(
        self,
        sorted: &[(Key, u64, usize)],
        names: (&'static str, &'static str),
        keep: impl Fn(usize) -> bool,
        view: impl Fn(usize) -> V,
    ) -> Connection<V> {
        let below =
            |position: &(Key, u64)| sorted.partition_point(|(key, id, _)| (key, *id) < (&position.0, position.1));
        let up_to =
            |position: &(Key, u64)| sorted.partition_point(|(key, id, _)| (key, *id) <= (&position.0, position.1));
        let length = sorted.len();
        let (start, end) = match self.reverse {
            false => (self.after.as_ref().map_or(0, up_to), self.before.as_ref().map_or(length, below)),
            true => (
                self.after.as_ref().map_or(0, |position| length - below(position)),
                self.before.as_ref().map_or(length, |position| length - up_to(position)),
            ),
        };
        let nth = |place: usize| &sorted[if self.reverse { length - 1 - place } else { place }];
        let kept = |place: &usize| keep(nth(*place).2);
        let (mut places, more_before, more_after): (Vec<usize>, bool, bool);
        match self.size {
            Ok(first) => {
                places = (start..end.max(start)).filter(kept).take(first + 1).collect();
                more_after = places.len() > first || (end.max(start)..length).any(|place| kept(&place));
                places.truncate(first);
                more_before = (0..start).rev().any(|place| kept(&place));
            }
            Err(last) => {
                places = (start..end.max(start)).rev().filter(kept).take(last + 1).collect();
                more_before = places.len() > last || (0..start).rev().any(|place| kept(&place));
                places.truncate(last);
                places.reverse();
                more_after = (end.max(start)..length).any(|place| kept(&place));
            }
        }
        let edge = |place: &usize| {
            let (key, id, at) = nth(*place);
            Edge { type_name: names.1, cursor: encode(key, *id, &self.digest), node: view(*at) }
        };
        let edges = places.iter().map(edge).collect();
        Connection { type_name: names.0, edges, has_next: more_after, has_previous: more_before }
    }
}

/// A list at the root or below a customer: with `query`, `sortKey` and `reverse`.
pub(super) fn search<'b, 'i, T: Listed + Searchable, V: View + Copy + 'b>(
    at: At<'b>,
    items: &'i [T],
    default_sort: &str,
    names: (&'static str, &'static str),
    visible: impl Fn(&'i T) -> bool,
    view: impl Fn(&'i T) -> V,
) -> Resolved<'b> {
    let sort = at.text("sortKey").unwrap_or(default_sort);
    let window = Window::read(at, sort, PAGE_LIMIT)?;
    let filter = filter::<T>(at);
    let sorted = at.store().sorted(items, sort);
    let keep = |place: usize| visible(&items[place]) && filter.matches(&items[place], at.store());
    at.node(window.cut(&sorted, names, keep, |place| view(&items[place])))
}

/// A list inside an object, in its own order.
pub(super) fn nested<'b, V: View + Copy + 'b>(
    at: At<'b>,
    names: (&'static str, &'static str),
    items: impl IntoIterator<Item = V>,
) -> Resolved<'b> {
    nested_up_to(at, names, items, PAGE_LIMIT)
}

/// The same with another limit for `first` and `last`.
pub(super) fn nested_up_to<'b, V: View + Copy + 'b>(
    at: At<'b>,
    names: (&'static str, &'static str),
    items: impl IntoIterator<Item = V>,
    limit: i64,
) -> Resolved<'b> {
    let window = Window::read(at, "", limit)?;
    let items: Vec<V> = items.into_iter().collect();
    let sorted: Vec<_> = (0..items.len()).map(|place| (Key::Missing, place as u64 + 1, place)).collect();
    at.node(window.cut(&sorted, names, |_| true, |place| items[place]))
}

/// A plain list with a `first` argument.
pub(super) fn first_of<'b, V: View + 'b>(at: At<'b>, items: impl IntoIterator<Item = V>) -> Resolved<'b> {
    match at.int("first") {
        Some(first) if !(0..=PAGE_LIMIT).contains(&first) => {
            Err(Refusal::bad_request(format!("first on {} must be between 0 and {PAGE_LIMIT}", at.name())).into())
        }
        Some(first) => at.nodes(items.into_iter().take(first as usize)),
        None => at.nodes(items),
    }
}

/// An empty list, for what the simulated shop never has.
pub(super) fn none<'b>() -> Resolved<'b> {
    Ok(ResolvedValue::list(Vec::new()))
}

fn encode(key: &Key, id: u64, digest: &str) -> String {
    let value = match key {
        Key::Missing => "-".to_owned(),
        Key::Time(time) => format!("t{}", time.timestamp_micros()),
        Key::Number(number) => format!("n{number}"),
        Key::Text(text) => format!("s{text}"),
    };
    STANDARD.encode(json!({"last_id": id, "last_value": value, "q": digest}).to_string())
}

fn decode(cursor: &str, digest: &str) -> Option<(Key, u64)> {
    let cursor: serde_json::Value = serde_json::from_slice(&STANDARD.decode(cursor).ok()?).ok()?;
    if cursor.get("q")?.as_str()? != digest {
        return None;
    }
    let value = cursor.get("last_value")?.as_str()?;
    let rest = value.get(1..)?;
    let key = match value.as_bytes().first()? {
        b't' => Key::Time(DateTime::from_timestamp_micros(rest.parse().ok()?)?),
        b'n' => Key::Number(rest.parse().ok()?),
        b's' => Key::Text(rest.to_owned()),
        _ => Key::Missing,
    };
    Some((key, cursor.get("last_id")?.as_u64()?))
}
