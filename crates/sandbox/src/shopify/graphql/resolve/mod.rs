//! Resolvers: one view per object type, over the records of a [`Store`].

mod connection;
mod customer;
mod inventory;
mod money;
mod order;
mod payment;
mod product;
mod root;
mod shop;

pub(super) use root::{MutationRoot, QueryRoot};
pub(in crate::shopify) use shop::VERSIONS;

use super::access::{Refusal, Viewer};
use crate::shopify::store::Store;
use apollo_compiler::resolvers::{FieldError, ObjectValue, ResolveInfo, ResolvedValue};
use apollo_compiler::response::{JsonMap, JsonValue};
use chrono::{DateTime, SecondsFormat, Utc};
use std::cell::{Cell, RefCell};

/// What one execution works with.
pub(super) struct Context<'a> {
    pub(super) store: &'a Store,
    pub(super) viewer: &'a Viewer,
    pub(super) now: DateTime<Utc>,
    /// Objects made so far: the actual cost.
    pub(super) cost: Cell<u64>,
    /// What `extensions.search` will tell.
    pub(super) searches: RefCell<Vec<JsonValue>>,
    /// A mutation asked for the app to be removed.
    pub(super) uninstall: Cell<bool>,
}

pub(super) type Resolved<'b> = Result<ResolvedValue<'b>, FieldError>;

/// An object of the schema.
pub(super) trait View {
    /// Name of its type.
    fn type_name(&self) -> &'static str;

    /// Any of these scopes lets it be seen; empty: no scope is needed.
    fn scopes(&self) -> &'static [&'static str] {
        &[]
    }

    /// Whether it is customer data that an app must be approved for.
    fn protected(&self) -> bool {
        false
    }

    /// What it costs to make one.
    fn cost(&self) -> u64 {
        1
    }

    /// The value of a field.
    fn field<'b>(&'b self, at: At<'b>) -> Resolved<'b>;
}

/// A field being resolved.
#[derive(Clone, Copy)]
pub(super) struct At<'b> {
    pub(super) context: &'b Context<'b>,
    info: &'b ResolveInfo<'b>,
}

/// A view as the engine wants it.
pub(super) struct Node<'b, V> {
    context: &'b Context<'b>,
    view: V,
}

impl<'b, V: View> Node<'b, V> {
    pub(super) fn new(context: &'b Context<'b>, view: V) -> Node<'b, V> {
        Node { context, view }
    }
}

impl<V: View> ObjectValue for Node<'_, V> {
    fn type_name(&self) -> &str {
        self.view.type_name()
    }

    fn resolve_field<'b>(&'b self, info: &'b ResolveInfo<'b>) -> Resolved<'b> {
        self.view.field(At { context: self.context, info })
    }
}

impl<'b> At<'b> {
    pub(super) fn name(self) -> &'b str {
        self.info.field_name()
    }

    pub(super) fn store(self) -> &'b Store {
        self.context.store
    }

    pub(super) fn arguments(self) -> &'b JsonMap {
        self.info.arguments()
    }

    pub(super) fn text(self, argument: &str) -> Option<&'b str> {
        self.arguments().get(argument)?.as_str()
    }

    pub(super) fn int(self, argument: &str) -> Option<i64> {
        self.arguments().get(argument)?.as_i64()
    }

    pub(super) fn flag(self, argument: &str) -> bool {
        self.arguments().get(argument).and_then(JsonValue::as_bool).unwrap_or(false)
    }

    /// An object, if the viewer may see it.
    pub(super) fn node<V: View + 'b>(self, view: V) -> Resolved<'b> {
        self.context.viewer.may_see(&view, self.name())?;
        self.context.cost.set(self.context.cost.get() + view.cost());
        Ok(ResolvedValue::object(Node::new(self.context, view)))
    }

    pub(super) fn maybe<V: View + 'b>(self, view: Option<V>) -> Resolved<'b> {
        view.map_or_else(|| Ok(ResolvedValue::null()), |view| self.node(view))
    }

    pub(super) fn nodes<V: View + 'b>(self, views: impl IntoIterator<Item = V>) -> Resolved<'b> {
        let nodes: Vec<_> = views.into_iter().map(|view| self.node(view)).collect();
        Ok(ResolvedValue::List(Box::new(nodes.into_iter())))
    }

    /// A field that says who someone is or where they live: only for apps approved for it.
    pub(super) fn personal(self, value: impl Into<JsonValue>) -> Resolved<'b> {
        self.context.viewer.may_know_people(self.name())?;
        leaf(value)
    }

    /// The same, where there may be none. A missing value is refused all the same.
    pub(super) fn maybe_personal(self, value: Option<&str>) -> Resolved<'b> {
        self.context.viewer.may_know_people(self.name())?;
        maybe(value)
    }

    pub(super) fn unknown<V: View>(self, view: &V) -> Resolved<'b> {
        Err(Refusal::internal(format!("{}.{} is in the schema but not simulated", view.type_name(), self.name()))
            .into())
    }
}

pub(super) fn leaf<'b>(value: impl Into<JsonValue>) -> Resolved<'b> {
    Ok(ResolvedValue::leaf(value))
}

pub(super) fn maybe<'b>(value: Option<impl Into<JsonValue>>) -> Resolved<'b> {
    value.map_or_else(|| Ok(ResolvedValue::null()), leaf)
}

pub(super) fn gid<'b>(kind: &str, id: u64) -> Resolved<'b> {
    leaf(format!("gid://shopify/{kind}/{id}"))
}

/// `UnsignedInt64`: a number in a string.
pub(super) fn number<'b>(number: u64) -> Resolved<'b> {
    leaf(number.to_string())
}

pub(super) fn texts<'b>(texts: &[String]) -> Resolved<'b> {
    Ok(ResolvedValue::list(texts.iter().map(|text| ResolvedValue::leaf(text.as_str())).collect::<Vec<_>>()))
}

/// `DateTime`: UTC, whole seconds.
pub(super) fn time<'b>(time: DateTime<Utc>) -> Resolved<'b> {
    leaf(time.to_rfc3339_opts(SecondsFormat::Secs, true))
}

pub(super) fn maybe_time<'b>(at: Option<DateTime<Utc>>) -> Resolved<'b> {
    at.map_or_else(|| Ok(ResolvedValue::null()), time)
}

/// Type and number of `gid://shopify/{Type}/{n}`, with or without a query string.
pub(super) fn parse_gid(gid: &str) -> Option<(&str, u64)> {
    let (kind, id) = gid.strip_prefix("gid://shopify/")?.split_once('/')?;
    Some((kind, id.split('?').next()?.parse().ok()?))
}

/// The number in a gid of this type; `None` also for a gid of another type.
pub(super) fn id_of(kind: &str, gid: Option<&str>) -> Option<u64> {
    parse_gid(gid?).filter(|(found, _)| *found == kind).map(|(_, id)| id)
}

/// The one field of an `identifier` argument, of which exactly one must be given.
fn identifier<'b>(at: At<'b>) -> Result<(&'b str, &'b JsonValue), FieldError> {
    let given = at.arguments().get("identifier").and_then(JsonValue::as_object);
    let given: Vec<_> = given.into_iter().flatten().filter(|(_, value)| !value.is_null()).collect();
    match given.as_slice() {
        [(name, value)] => Ok((name.as_str(), *value)),
        _ => Err(Refusal::bad_request("exactly one identifier must be given").into()),
    }
}
