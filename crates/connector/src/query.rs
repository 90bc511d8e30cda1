//! What is asked of a shop, and what comes back beside the records.

use std::collections::BTreeSet;

use kernel::{Exit, Personal, Time, personal::Door};

/// One read of a list.
pub struct Query {
    pub filters: Filters,
    pub selection: Selection,
    /// 1 to 100.
    pub limit: u16,
    pub position: Position,
}

pub enum Position {
    /// 1-based.
    Page(u32),
    /// The shop's own cursor, from [`Page::next`].
    After(String),
}

/// The filters of all three resources; which of them a shop can apply is for [`crate::Read::filters`] to say.
#[derive(Clone, Default)]
pub struct Filters {
    pub ids: Vec<String>,
    pub email: Option<Personal<String>>,
    pub phone: Option<Personal<String>>,
    pub search: Option<Personal<String>>,
    /// In the unified vocabulary (`completed`, `active`).
    pub status: Option<String>,
    pub payment_status: Option<String>,
    pub customer_id: Option<String>,
    pub number: Option<String>,
    pub sku: Option<String>,
    pub created_after: Option<Time>,
    pub created_before: Option<Time>,
    pub updated_after: Option<Time>,
    pub updated_before: Option<Time>,
}

/// The name of a filter, as in the query string.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Filter {
    Ids,
    Email,
    Phone,
    Search,
    Status,
    PaymentStatus,
    CustomerId,
    Number,
    Sku,
    CreatedAfter,
    CreatedBefore,
    UpdatedAfter,
    UpdatedBefore,
}

impl Filter {
    pub const ALL: &'static [Self] = &[
        Self::Ids,
        Self::Email,
        Self::Phone,
        Self::Search,
        Self::Status,
        Self::PaymentStatus,
        Self::CustomerId,
        Self::Number,
        Self::Sku,
        Self::CreatedAfter,
        Self::CreatedBefore,
        Self::UpdatedAfter,
        Self::UpdatedBefore,
    ];

    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Ids => "ids",
            Self::Email => "email",
            Self::Phone => "phone",
            Self::Search => "search",
            Self::Status => "status",
            Self::PaymentStatus => "payment_status",
            Self::CustomerId => "customer_id",
            Self::Number => "number",
            Self::Sku => "sku",
            Self::CreatedAfter => "created_after",
            Self::CreatedBefore => "created_before",
            Self::UpdatedAfter => "updated_after",
            Self::UpdatedBefore => "updated_before",
        }
    }
}

/// A filter's value, for the request to the shop that is asked by it.
pub fn in_request(value: &Personal<String>) -> &str {
    #[expect(clippy::disallowed_methods, reason = "the exit into a request to the provider that the data belongs to")]
    value.reveal(&Exit::open(Door::ProviderRequest))
}

impl Filters {
    /// Which filters this request uses.
    pub fn used(&self) -> Vec<Filter> {
        let used = [
            (!self.ids.is_empty(), Filter::Ids),
            (self.email.is_some(), Filter::Email),
            (self.phone.is_some(), Filter::Phone),
            (self.search.is_some(), Filter::Search),
            (self.status.is_some(), Filter::Status),
            (self.payment_status.is_some(), Filter::PaymentStatus),
            (self.customer_id.is_some(), Filter::CustomerId),
            (self.number.is_some(), Filter::Number),
            (self.sku.is_some(), Filter::Sku),
            (self.created_after.is_some(), Filter::CreatedAfter),
            (self.created_before.is_some(), Filter::CreatedBefore),
            (self.updated_after.is_some(), Filter::UpdatedAfter),
            (self.updated_before.is_some(), Filter::UpdatedBefore),
        ];
        used.into_iter().filter_map(|(is_used, filter)| is_used.then_some(filter)).collect()
    }
}

/// Which fields are wanted, so that what is withheld or not needed is not even asked for where the shop can leave it out.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Selection {
    /// False when the store's owner has switched customers off: no customer, e-mail, phone, address or note.
    pub persons: bool,
    pub fields: Fields,
}

/// Top-level fields of the unified object.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Fields {
    /// All but `platform_specific`, which costs in lists.
    Standard,
    All,
    Named(BTreeSet<String>),
}

impl Selection {
    /// Everything that a list gives when nothing particular is asked for.
    pub fn standard() -> Self {
        Self { persons: true, fields: Fields::Standard }
    }

    /// Everything that one record gives when nothing particular is asked for.
    pub fn everything() -> Self {
        Self { persons: true, fields: Fields::All }
    }

    /// Whether a field of the unified object is asked for.
    pub fn wants(&self, field: &str) -> bool {
        match &self.fields {
            Fields::Standard => field != "platform_specific",
            Fields::All => true,
            Fields::Named(fields) => fields.contains(field),
        }
    }
}

/// A page of records, newest change first unless the shop can only do otherwise.
pub struct Page<T> {
    pub items: Vec<T>,
    /// The shop's own cursor for what follows; None at the end. For shops with page numbers, the next number.
    pub next: Option<String>,
    /// How many there are in all, when the shop tells.
    pub total: Option<u64>,
    pub notes: Notes,
}

/// One record, or none by that id.
pub struct Answer<T> {
    pub item: Option<T>,
    pub notes: Notes,
}

/// What a caller must know to read an answer rightly.
#[derive(Clone, Debug, Default)]
pub struct Notes {
    pub coverage: Vec<Coverage>,
    pub withheld: Vec<Withheld>,
    /// What the read took of the shop's budget, in the shop's own unit (Shopify: points).
    pub cost: Option<f64>,
}

/// Why an answer may not show everything there is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Coverage {
    /// Guests have no customer record.
    RegisteredOnly,
    /// Without `read_all_orders`.
    Last60Days,
    /// The shop has no customers of its own; these were found in its orders.
    DerivedFromOrders,
    /// Some records carry only the first of their line items, variants, addresses or images, because a list may not cost
    /// more of the shop's budget; reading one record gives them all.
    Abridged,
}

impl Coverage {
    pub const ALL: &'static [Self] = &[Self::RegisteredOnly, Self::Last60Days, Self::DerivedFromOrders, Self::Abridged];

    pub const fn as_str(self) -> &'static str {
        match self {
            Self::RegisteredOnly => "registered_only",
            Self::Last60Days => "last_60_days",
            Self::DerivedFromOrders => "derived_from_orders",
            Self::Abridged => "abridged",
        }
    }
}

/// A field that is not in the answer although the shop may have it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Withheld {
    /// The unified field's name (`customer`, `email`, `shipping_address`).
    pub field: &'static str,
    pub reason: WithheldReason,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WithheldReason {
    /// The store's owner switched it off.
    Switch,
    /// The credential lacks the scope.
    Scope,
    /// The provider has not approved the app for it (Shopify's protected customer data).
    ProviderApproval,
}

impl WithheldReason {
    pub const ALL: &'static [Self] = &[Self::Switch, Self::Scope, Self::ProviderApproval];

    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Switch => "switch",
            Self::Scope => "scope",
            Self::ProviderApproval => "provider_approval",
        }
    }
}
