use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use accounts::plans::DailyUsage;
use axum::{
    extract::State,
    http::{HeaderName, HeaderValue},
    response::{IntoResponse, Response},
};
use chrono::{DateTime, Utc};
use connector::{Coverage, Fields, Notes, Position, Query as Ask, Selection, provider::Paging, query::WithheldReason};
use kernel::{AccessReceiptId, Actor, ConnectionId, Exit, Limit, OrganizationId, Permission};
use kit::{
    AcrossConnections, App, Code, Problem, Router, answer,
    caller::Attempted,
    input::{Json, Path, Query},
    page,
    rate_limit::{RateLimit, Verdict},
    request_id, route,
};
use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;
use uuid::Uuid;

use super::{
    Failure, Found, Live, LiveResource,
    model::{
        ask::{self, ListParams, OneParams},
        parameters::{CustomerQuery, OrderQuery, ProductQuery},
        unified::{UnifiedCustomer, UnifiedOrder, UnifiedProduct},
    },
    resource::{Customers, Orders, Products},
};
use crate::{
    connections::Store,
    data_access::access_log::{Access, AccessLog},
    words::{CoverageNote, WithheldBecause},
};

kernel::permissions! {
    ReadCustomers = (Customers, Read);
    ReadOrders = (Orders, Read);
    ReadProducts = (Products, Read);
}

pub fn routes() -> Router {
    Router::new()
        .routes(route!(list_customers))
        .routes(route!(find_customer))
        .routes(route!(search_customers))
        .routes(route!(list_orders))
        .routes(route!(find_order))
        .routes(route!(search_orders))
        .routes(route!(list_products))
        .routes(route!(find_product))
        .routes(route!(search_products))
}

/// A page of records, with what a reader must know about it.
#[derive(Serialize, ToSchema)]
struct LivePage<T> {
    data: Vec<T>,
    meta: Meta,
}

/// One record, with what a reader must know about it.
#[derive(Serialize, ToSchema)]
struct LiveOne<T> {
    data: T,
    meta: Meta,
}

#[derive(Serialize, ToSchema)]
struct Meta {
    store: Uuid,
    platform: &'static str,
    /// The page's number; null when it was asked for by cursor, and of one record.
    page: Option<u32>,
    /// Null of one record.
    limit: Option<u16>,
    /// How many there are in all, when the shop tells.
    total: Option<u64>,
    /// For the page after this one, with the same filters, for 24 hours; null at the end.
    next_cursor: Option<String>,
    /// When the shop was asked.
    fetched_at: DateTime<Utc>,
    /// How long the shop took.
    upstream_ms: u64,
    /// What the read took of the shop's budget, in its own unit.
    cost: Option<f64>,
    /// Why there may be more than is shown.
    #[schema(value_type = Vec<CoverageNote>)]
    coverage: Vec<&'static str>,
    /// What is left out, and why.
    withheld: Vec<WithheldField>,
    /// This access in GET /api/access-log.
    receipt_id: Uuid,
}

#[derive(Serialize, ToSchema)]
struct WithheldField {
    field: &'static str,
    #[schema(value_type = WithheldBecause)]
    reason: &'static str,
}

macro_rules! handlers {
    ($list:ident, $find:ident, $search:ident, $resource:ident, $permission:ident, $view:ident, $query:ident, $path:literal, $word:literal) => {
        #[utoipa::path(get, summary = concat!("List ", $path, " of a webshop, live"), path = concat!("/webshop-data-api/", $path), tag = "live data", params($query), responses(
            (status = 200, description = "A page, newest first", body = LivePage<$view<'static>>),
            (status = 402, description = "The live reads of the day are used up; `resets_at` says until when"),
            (status = 409, description = "The store is not connected"),
            (status = 424, description = "The shop no longer accepts us, or its platform has switched it off"),
            (status = 429, description = "The caller, or the shop, has reached its limit; see Retry-After"),
            (status = 502, description = "The shop failed"),
            (status = 504, description = "The shop was too slow"),
        ))]
        async fn $list(
            caller: Attempted<$permission>,
            State(app): State<App>,
            params: Result<Query<ListParams>, Problem>,
        ) -> Response {
            let asked = params.map(|Query(params)| Asked::Page(Box::new(params)));
            attempt::<$resource, $permission>(app, caller, "list", asked).await
        }

        #[utoipa::path(get, summary = concat!("Read one ", $word, " of a webshop, live"), path = concat!("/webshop-data-api/", $path, "/{id}"), tag = "live data",
            params(("id" = String, Path, description = "The shop's own id"), OneParams), responses(
            (status = 200, description = "The record", body = LiveOne<$view<'static>>),
            (status = 402, description = "The live reads of the day are used up; `resets_at` says until when"),
            (status = 409, description = "The store is not connected"),
            (status = 424, description = "The shop no longer accepts us, or its platform has switched it off"),
            (status = 429, description = "The caller, or the shop, has reached its limit; see Retry-After"),
            (status = 502, description = "The shop failed"),
            (status = 504, description = "The shop was too slow"),
        ))]
        async fn $find(
            caller: Attempted<$permission>,
            State(app): State<App>,
            Path(record): Path<String>,
            params: Result<Query<OneParams>, Problem>,
        ) -> Response {
            let asked = params.map(|Query(params)| Asked::One { record, params });
            attempt::<$resource, $permission>(app, caller, "one", asked).await
        }

        #[utoipa::path(post, summary = concat!("Search ", $path, " of a webshop, live"), description = "The same as the list, with the filters in the body: personal values do not belong into an address.", path = concat!("/webshop-data-api/", $path, "/search"), tag = "live data",
            request_body = $query, responses(
            (status = 200, description = "A page, newest first", body = LivePage<$view<'static>>),
            (status = 402, description = "The live reads of the day are used up; `resets_at` says until when"),
            (status = 409, description = "The store is not connected"),
            (status = 424, description = "The shop no longer accepts us, or its platform has switched it off"),
            (status = 429, description = "The caller, or the shop, has reached its limit; see Retry-After"),
            (status = 502, description = "The shop failed"),
            (status = 504, description = "The shop was too slow"),
        ))]
        async fn $search(
            caller: Attempted<$permission>,
            State(app): State<App>,
            params: Result<Json<ListParams>, Problem>,
        ) -> Response {
            let asked = params.map(|Json(params)| Asked::Page(Box::new(params)));
            attempt::<$resource, $permission>(app, caller, "search", asked).await
        }
    };
}

handlers!(
    list_customers,
    find_customer,
    search_customers,
    Customers,
    ReadCustomers,
    UnifiedCustomer,
    CustomerQuery,
    "customers",
    "customer"
);
handlers!(list_orders, find_order, search_orders, Orders, ReadOrders, UnifiedOrder, OrderQuery, "orders", "order");
handlers!(
    list_products,
    find_product,
    search_products,
    Products,
    ReadProducts,
    UnifiedProduct,
    ProductQuery,
    "products",
    "product"
);

/// What a caller asks for.
enum Asked {
    Page(Box<ListParams>),
    One { record: String, params: OneParams },
}

/// Runs a read to its end, also when the caller hangs up: what the shop was asked is written down.
async fn attempt<R: LiveResource, P: Permission>(
    app: App,
    caller: Attempted<P>,
    operation: &'static str,
    asked: Result<Asked, Problem>,
) -> Response {
    match request_id::spawn(accounted::<R, P>(app, caller, operation, asked)).await {
        Ok(response) => response,
        Err(error) => Problem::internal(&error).into_response(),
    }
}

/// Everything around a read: the caller's minute before it, the access-log line after it, whatever came of it.
async fn accounted<R: LiveResource, P: Permission>(
    app: App,
    caller: Attempted<P>,
    operation: &'static str,
    asked: Result<Asked, Problem>,
) -> Response {
    let app = &app;
    let started = Instant::now();
    let (actor, organization) = match &caller {
        Attempted::Authorized(caller) => (caller.actor(), caller.organization()),
        Attempted::Refused { actor, organization, .. } => (*actor, *organization),
    };
    let receipt = AccessReceiptId::new(&app.clock);
    let mut access = Access::new(receipt, organization, actor, R::NAME, operation, app.clock.now());
    let verdict = take(app, organization, actor).await;
    let outcome = match (verdict.as_ref(), caller) {
        (Ok(verdict), _) if !verdict.allowed => Err(verdict.refusal()),
        (Err(_), _) => Err(Problem::from(db::DbError::Unavailable)),
        (Ok(_), Attempted::Refused { problem, .. }) => Err(problem),
        (Ok(_), Attempted::Authorized(caller)) => match asked {
            Ok(Asked::Page(params)) => read_page::<R, P>(app, &caller, &params, &mut access).await,
            Ok(Asked::One { record, params }) => read_one::<R, P>(app, &caller, &record, &params, &mut access).await,
            Err(problem) => Err(problem),
        },
    };
    if let Err(problem) = &outcome {
        access.result = problem.code().as_str();
        access.records = None;
        // Stores that are not there or not open to them; a record that a shop does not have is nothing to wonder at.
        if access.connection_id.is_none() && matches!(problem.code(), Code::NotFound | Code::Forbidden) {
            app.authenticate.refused(organization, actor);
        }
    }
    access.duration_ms = millis(started.elapsed());
    let upstream = access.upstream_ms;
    let logging = Instant::now();
    // The first refusal of a minute is written down; more of them are only counted.
    let outcome = if verdict.as_ref().is_ok_and(|verdict| verdict.refused_before && !verdict.allowed) {
        metrics::counter!("entrepot_live_requests_over_limit_total").increment(1);
        outcome
    } else {
        match app.slice::<AccessLog>().write(access).await {
            Ok(()) => outcome,
            Err(unwritten) => Err(unwritten),
        }
    };
    let mut response = outcome.unwrap_or_else(IntoResponse::into_response);
    if let Ok(verdict) = verdict {
        verdict.write_headers(response.headers_mut());
    }
    let timing = format!(
        "shop;dur={}, log;dur={:.1}, total;dur={:.1}",
        upstream.unwrap_or(0),
        logging.elapsed().as_secs_f64() * 1e3,
        started.elapsed().as_secs_f64() * 1e3
    );
    if let Ok(timing) = HeaderValue::from_str(&timing) {
        response.headers_mut().insert(HeaderName::from_static("server-timing"), timing);
    }
    response
}

pub(crate) async fn take(app: &App, organization: OrganizationId, actor: Actor) -> Result<Verdict, db::DbError> {
    app.slice::<RateLimit>().take_for(organization, actor).await
}

/// Takes a read from the day of the organization's plan, once nothing but the shop is left to be asked.
async fn count(app: &App, organization: OrganizationId) -> Result<(), Problem> {
    app.slice::<DailyUsage>().count(organization, Limit::LiveReadsPerDay).await
}

async fn read_page<R: LiveResource, P: Permission>(
    app: &App,
    caller: &AcrossConnections<P>,
    params: &ListParams,
    access: &mut Access,
) -> Result<Response, Problem> {
    let live = app.slice::<Live>().state();
    let limit = page::limit(params.limit)?;
    let filters = params.filters()?;
    ask::refuse_unknown_status(R::NAME, filters.status.as_deref())?;
    let id = ConnectionId::from(params.store_id);
    let scope = caller.at(id)?;
    let (store, reader) = super::open_store::<R>(app, &scope, id, access).await?;
    ask::refuse_unsupported(&filters, reader.filters(), store.provider.manifest().label)?;
    let persons = super::shows_persons(&scope, &store);
    let mut selection = ask::selection(&params.fields, R::FIELDS, Fields::Standard, persons)?;
    if !persons {
        ask::refuse_about_persons(&filters, R::ABOUT_PERSONS)?;
    }
    let asked = selection.clone();
    // What tells whether a record matches is asked for too; it is cut off again if nobody wants to see it.
    if let Fields::Named(fields) = &mut selection.fields {
        fields.extend(filters.used().into_iter().filter_map(R::checked_by).map(str::to_owned));
    }

    let filter_digest = params.filter_digest(&live.digest_key);
    let (organization_bytes, store_bytes) = (caller.organization().uuid().into_bytes(), id.uuid().into_bytes());
    let bound: [(&str, &[u8]); 4] = [
        ("organization", &organization_bytes),
        ("store", &store_bytes),
        ("resource", R::NAME.as_bytes()),
        ("filters", &filter_digest),
    ];
    let now = app.clock.now();
    let (position, page) = match (&params.cursor, params.page) {
        (Some(_), Some(_)) => return Err(Problem::invalid("page", "cannot be combined with cursor")),
        (Some(cursor), None) => {
            let opened = live.cursors.open(cursor, &bound, now).map_err(|error| {
                Problem::new(
                    Code::InvalidCursor,
                    format!("{error}. Take next_cursor of the page before and keep store and filters as they were."),
                )
            })?;
            (Position::After(String::from_utf8_lossy(&opened).into_owned()), None)
        }
        (None, page) => {
            let page = page.unwrap_or(1);
            if page == 0 {
                return Err(Problem::invalid("page", "begins at 1"));
            }
            if reader.paging() == Paging::Cursor && page > ask::WALKED_PAGES {
                return Err(Problem::new(
                    Code::UseCursor,
                    format!(
                        "This shop has no page numbers; beyond page {} follow meta.next_cursor.",
                        ask::WALKED_PAGES
                    ),
                ));
            }
            (Position::Page(page), Some(page))
        }
    };
    let key = page_key(&live.digest_key, R::NAME, &filter_digest, params, limit, persons);
    let query = Ask { filters: filters.clone(), selection, limit, position };
    count(app, caller.organization()).await?;
    let shared = super::page::<R>(app, store.clone(), reader, key, query).await;
    let found = found(&shared, access)?;
    let persons = super::still_allowed::<R, P>(app, caller, id, persons).await?;
    let abridged = found.value.notes.coverage.contains(&Coverage::Abridged);
    let records: Vec<&R::Model> =
        found.value.items.iter().filter(|model| R::matches(model, &filters, abridged)).collect();

    let next_cursor = match &found.value.next {
        None => None,
        Some(next) => Some(live.cursors.seal(&bound, next.as_bytes(), now).map_err(|error| Problem::internal(&error))?),
    };
    let mut meta = meta::<R>(&store, persons, &found.value.notes, found.took, now, access);
    meta.page = page;
    meta.limit = Some(limit);
    meta.total = found.value.total;
    meta.next_cursor = next_cursor;
    access.records = u32::try_from(records.len()).ok();
    access.fields_returned = returned::<R>(&asked, &meta);
    let fields = &params.fields;
    answer::reveal(|exit, out| {
        let data: Vec<_> = records.into_iter().map(|model| Shown::<R> { model, fields, persons, exit }).collect();
        serde_json::to_writer(out, &LivePage { data, meta })
    })
    .map_err(|error| Problem::internal(&error))
}

async fn read_one<R: LiveResource, P: Permission>(
    app: &App,
    caller: &AcrossConnections<P>,
    record: &str,
    params: &OneParams,
    access: &mut Access,
) -> Result<Response, Problem> {
    if record.is_empty() || record.len() > 200 {
        return Err(Problem::not_found());
    }
    let live = app.slice::<Live>().state();
    let id = ConnectionId::from(params.store_id);
    let scope = caller.at(id)?;
    let (store, reader) = super::open_store::<R>(app, &scope, id, access).await?;
    let persons = super::shows_persons(&scope, &store);
    let selection = ask::selection(&params.fields, R::FIELDS, Fields::All, persons)?;
    let mut digest = ask::digest(&live.digest_key);
    ask::feed(&mut digest, R::NAME, record);
    ask::feed(&mut digest, "fields", &params.fields.join(","));
    ask::feed(&mut digest, "persons", if persons { "yes" } else { "no" });
    let key = hmac::Mac::finalize(digest).into_bytes().into();
    let asked = selection.clone();
    count(app, caller.organization()).await?;
    let shared = super::one::<R>(app, store.clone(), reader, key, record.to_owned(), selection).await;
    let found = found(&shared, access)?;
    let persons = super::still_allowed::<R, P>(app, caller, id, persons).await?;
    let model =
        found.value.item.as_ref().ok_or_else(|| Problem::new(Code::NotFound, "The shop has no record by this id."))?;
    let meta = meta::<R>(&store, persons, &found.value.notes, found.took, app.clock.now(), access);
    access.records = Some(1);
    access.fields_returned = returned::<R>(&asked, &meta);
    let fields = &params.fields;
    answer::reveal(|exit, out| {
        serde_json::to_writer(out, &LiveOne { data: Shown::<R> { model, fields, persons, exit }, meta })
    })
    .map_err(|error| Problem::internal(&error))
}

/// A record on its way out: all of it, or the fields that were asked for and its id.
struct Shown<'a, R: LiveResource> {
    model: &'a R::Model,
    fields: &'a [String],
    persons: bool,
    exit: &'a Exit,
}

impl<R: LiveResource> Serialize for Shown<'_, R> {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let view = R::view(self.model, self.persons, self.exit);
        if self.fields.is_empty() {
            return view.serialize(serializer);
        }
        let mut value = serde_json::to_value(view).map_err(serde::ser::Error::custom)?;
        if let Value::Object(object) = &mut value {
            object.retain(|name, _| name == "id" || self.fields.iter().any(|field| field == name));
        }
        value.serialize(serializer)
    }
}

fn found<'a, T>(shared: &'a Arc<Result<Found<T>, Failure>>, access: &mut Access) -> Result<&'a Found<T>, Problem> {
    let found = shared.as_ref().as_ref().map_err(Failure::problem)?;
    access.upstream_ms = Some(millis(found.took));
    Ok(found)
}

fn meta<R: LiveResource>(
    store: &Store,
    persons: bool,
    notes: &Notes,
    took: Duration,
    now: kernel::Time,
    access: &mut Access,
) -> Meta {
    let switched_off = if persons { &[] } else { R::PERSONS };
    let mut withheld: Vec<WithheldField> =
        switched_off.iter().map(|field| WithheldField { field, reason: WithheldReason::Switch.as_str() }).collect();
    for note in &notes.withheld {
        if !withheld.iter().any(|known| known.field == note.field) {
            withheld.push(WithheldField { field: note.field, reason: note.reason.as_str() });
        }
    }
    access.fields_withheld = withheld.iter().map(|withheld| withheld.field).collect();
    Meta {
        store: store.id.uuid(),
        platform: store.provider.manifest().key,
        page: None,
        limit: None,
        total: None,
        next_cursor: None,
        fetched_at: now,
        upstream_ms: u64::from(millis(took)),
        cost: notes.cost,
        coverage: notes.coverage.iter().map(|coverage| coverage.as_str()).collect(),
        withheld,
        receipt_id: access.id.uuid(),
    }
}

/// The names of the fields that the answer carries, for the access log.
fn returned<R: LiveResource>(selection: &Selection, meta: &Meta) -> Vec<&'static str> {
    let is_withheld = |name: &str| meta.withheld.iter().any(|withheld| withheld.field == name);
    let is_shown = |name: &str| name == "id" || selection.wants(name);
    R::FIELDS.iter().copied().filter(|name| is_shown(name) && !is_withheld(name)).collect()
}

/// What makes two reads of a list the same.
fn page_key(
    digest_key: &[u8; 32],
    resource: &str,
    filters: &[u8; 32],
    params: &ListParams,
    limit: u16,
    persons: bool,
) -> [u8; 32] {
    let mut digest = ask::digest(digest_key);
    ask::feed(&mut digest, "resource", resource);
    ask::feed(&mut digest, "filters", &hex::encode(filters));
    ask::feed(&mut digest, "fields", &params.fields.join(","));
    ask::feed(&mut digest, "page", &params.page.unwrap_or(1).to_string());
    ask::feed(&mut digest, "cursor", params.cursor.as_deref().unwrap_or_default());
    ask::feed(&mut digest, "limit", &limit.to_string());
    ask::feed(&mut digest, "persons", if persons { "yes" } else { "no" });
    hmac::Mac::finalize(digest).into_bytes().into()
}

fn millis(duration: Duration) -> u32 {
    u32::try_from(duration.as_millis()).unwrap_or(u32::MAX)
}
