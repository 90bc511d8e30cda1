//! Lists and single records of any resource, within what a query may cost.

use connector::{Answer, Call, Coverage, Page, Position, ProviderError, Query, Selection};
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::{
    error::{Denied, Failure},
    resource::{Resource, is_on},
    search::{self, Search},
    session::Session,
};
use crate::shopify::convert::wire::{Connection, Count, Gid, PageInfo};

/// Points that one query may ask for, on every plan, less what stands around the records.
const POINTS_MAX: u32 = 990;
/// Records that one page of Shopify's may have.
const FIRST_MAX: u32 = 250;
/// Children that are read at once of each of several records.
const CHILDREN_OF_EACH: u32 = 25;
/// Queries that a list spends on children beyond those that came with their records.
const FOLLOW_UPS_LIST: u32 = 8;
/// Queries that one record's children may take: 2048 variants, 135 at a time, with room to halve.
const FOLLOW_UPS_ONE: u32 = 40;

#[derive(Deserialize)]
struct ListData<W> {
    records: Option<Connection<W>>,
    total: Option<Count>,
    shop: Option<ShopMoney>,
}

#[derive(Deserialize)]
struct OneData<W> {
    record: Option<W>,
    shop: Option<ShopMoney>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct ShopMoney {
    currency_code: Option<String>,
}

#[derive(Deserialize)]
struct PositionData {
    records: Option<Bare>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Bare {
    page_info: PageInfo,
}

#[derive(Deserialize)]
struct ManyData<C> {
    records: Option<Vec<Option<Children<C>>>>,
}

#[derive(Deserialize)]
struct Children<C> {
    id: Gid,
    children: Connection<C>,
}

/// What a list has gathered so far.
struct Gathered<W> {
    wires: Vec<W>,
    next: Option<String>,
    total: Option<u64>,
    currency: Option<String>,
}

/// # Errors
/// [`ProviderError`]
pub(crate) async fn list<R: Resource>(call: &Call<'_>, query: &Query) -> Result<Page<R::Model>, ProviderError> {
    let mut session = Session::open(call)?;
    session.notes.coverage = R::coverage(call.account);
    let search = R::search(&query.filters)?;
    let Search::Terms { query: terms, is_exact } = search else {
        return Ok(Page { items: vec![], next: None, total: Some(0), notes: session.notes });
    };
    let mut switches = R::switches(&query.selection, false);
    switches.insert(R::CHILDREN_FIRST.0.to_owned(), R::CHILDREN_FIRST.1.into());
    switches.insert("query".to_owned(), terms.into());

    let start = match &query.position {
        Position::After(cursor) => Some(Some(cursor.clone())),
        Position::Page(page) => {
            walk::<R>(&mut session, &switches, page.saturating_sub(1) * u32::from(query.limit)).await?
        }
    };
    let Some(start) = start else {
        return Ok(Page { items: vec![], next: None, total: None, notes: session.notes });
    };
    let mut gathered = gather::<R>(&mut session, &switches, start, u32::from(query.limit), is_exact).await?;

    let wanted = Followed { session: &mut session, switches: &switches, left: FOLLOW_UPS_LIST };
    let is_whole = match wanted.children_of_many::<R>(&mut gathered.wires).await {
        Ok(is_whole) => is_whole,
        // The records are there; for the rest of them the shop has no time now.
        Err(error) if error.is_transient() => false,
        Err(error) => return Err(error),
    };
    if !is_whole || gathered.wires.iter().any(R::is_abridged) {
        session.notes.coverage.push(Coverage::Abridged);
    }
    let platform = is_on(&switches, "platformSpecific");
    let currency = gathered.currency.as_deref();
    let items = gathered.wires.into_iter().map(|wire| R::convert(wire, currency, platform)).collect();
    Ok(Page { items, next: gathered.next, total: gathered.total, notes: session.notes })
}

/// # Errors
/// [`ProviderError`]
pub(crate) async fn one<R: Resource>(
    call: &Call<'_>,
    id: &str,
    selection: &Selection,
) -> Result<Answer<R::Model>, ProviderError> {
    let mut session = Session::open(call)?;
    session.notes.coverage = R::coverage(call.account);
    let Some(number) = search::number(R::KIND, id) else {
        return Ok(Answer { item: None, notes: session.notes });
    };
    let mut switches = R::switches(selection, true);
    switches.insert("id".to_owned(), format!("gid://shopify/{}/{number}", R::KIND).into());

    let mut children = R::CHILDREN_FIRST_ONE;
    let answered = loop {
        switches.insert(R::CHILDREN_FIRST.0.to_owned(), children.into());
        match session.ask::<OneData<R::Wire>>(&R::ONE, &switches).await {
            Ok(answered) => break answered,
            Err(failure) => children = halved(children, failure)?,
        }
    };
    let data = answered.data;
    let (record, shop) = data.map_or((None, None), |data| (data.record, data.shop));
    let Some(mut wire) = record else {
        return match answered.denied.as_slice() {
            [] => Ok(Answer { item: None, notes: session.notes }),
            denied => Err(Denied::forbidden(denied)),
        };
    };
    session.withhold(&answered.denied);
    let mut followed = Followed { session: &mut session, switches: &switches, left: FOLLOW_UPS_ONE };
    let is_whole = followed.children_of_one::<R>(&mut wire).await?;
    if !is_whole || R::is_abridged(&wire) {
        session.notes.coverage.push(Coverage::Abridged);
    }
    let currency = shop.and_then(|shop| shop.currency_code);
    let item = R::convert(wire, currency.as_deref(), is_on(&switches, "platformSpecific"));
    Ok(Answer { item: Some(item), notes: session.notes })
}

/// Half of it, when a query asks for too much.
fn halved(first: u32, failure: Failure) -> Result<u32, ProviderError> {
    match failure {
        Failure::TooExpensive if first > 1 => Ok(first / 2),
        failure => Err(failure.into_provider_error()),
    }
}

/// Steps over so many records without reading them. None: the list ends before.
async fn walk<R: Resource>(
    session: &mut Session<'_>,
    switches: &Map<String, Value>,
    mut skip: u32,
) -> Result<Option<Option<String>>, ProviderError> {
    let mut after = None;
    let mut first_max = FIRST_MAX;
    while skip > 0 {
        let first = skip.min(first_max);
        let variables = with(switches, [("first", first.into()), ("after", after.clone().into())]);
        let answered = match session.ask::<PositionData>(&R::POSITION, &variables).await {
            Ok(answered) => answered,
            Err(failure) => {
                first_max = halved(first, failure)?;
                continue;
            }
        };
        let Some(Bare { page_info }) = answered.data.and_then(|data| data.records) else {
            return Err(missing("data.records", &answered.denied));
        };
        let Some(next) = page_info.next() else { return Ok(None) };
        after = Some(next.to_owned());
        skip -= first;
    }
    Ok(Some(after))
}

/// As many queries as it takes, each as large as the points allow.
async fn gather<R: Resource>(
    session: &mut Session<'_>,
    switches: &Map<String, Value>,
    mut after: Option<String>,
    limit: u32,
    is_exact: bool,
) -> Result<Gathered<R::Wire>, ProviderError> {
    let points = R::points(switches);
    let mut points_each = f64::from(points.record + points.child * children_with_record::<R>(switches));
    let mut first_max = FIRST_MAX;
    let mut gathered = Gathered { wires: Vec::new(), next: None, total: None, currency: None };
    let mut count = is_exact;
    loop {
        let left = limit - gathered.wires.len() as u32;
        let affordable = (f64::from(POINTS_MAX) / points_each) as u32;
        let first = left.min(affordable.max(1)).min(first_max);
        let variables =
            with(switches, [("first", first.into()), ("after", after.clone().into()), ("count", count.into())]);
        let answered = match session.ask::<ListData<R::Wire>>(&R::LIST, &variables).await {
            Ok(answered) => answered,
            Err(failure) => {
                first_max = halved(first, failure)?;
                continue;
            }
        };
        let Some(ListData { records: Some(records), total, shop }) = answered.data else {
            return Err(missing("data.records", &answered.denied));
        };
        session.withhold(&answered.denied);
        // The estimate counts every object; what Shopify asks for is usually less, and then more fits.
        if let Some(requested) = answered.requested.filter(|requested| *requested >= 1.0) {
            points_each = requested / f64::from(first);
        }
        count = false;
        gathered.total = gathered.total.or(total.and_then(|total| total.exact()));
        gathered.currency = gathered.currency.or(shop.and_then(|shop| shop.currency_code));
        gathered.next = records.page_info.next().map(str::to_owned);
        // A page without records that promises more would be asked for for ever.
        let is_over = gathered.next.is_none() || records.nodes.is_empty();
        gathered.wires.extend(records.nodes);
        if is_over || gathered.wires.len() as u32 >= limit {
            return Ok(gathered);
        }
        after = gathered.next.clone();
    }
}

fn children_with_record<R: Resource>(switches: &Map<String, Value>) -> u32 {
    const SWITCHES: [&str; 3] = ["lineItems", "addresses", "variants"];
    if SWITCHES.into_iter().any(|name| is_on(switches, name)) { R::CHILDREN_FIRST.1 } else { 0 }
}

fn with<const N: usize>(switches: &Map<String, Value>, more: [(&str, Value); N]) -> Map<String, Value> {
    let mut variables = switches.clone();
    variables.extend(more.into_iter().map(|(name, value)| (name.to_owned(), value)));
    variables
}

/// The root is null: because we may not read it, or for no reason that Shopify documents.
fn missing(path: &str, denied: &[Denied]) -> ProviderError {
    match denied {
        [] => ProviderError::Malformed { path: path.to_owned() },
        denied => Denied::forbidden(denied),
    }
}

/// The children that did not come with their records.
struct Followed<'s, 'c> {
    session: &'s mut Session<'c>,
    switches: &'s Map<String, Value>,
    /// Queries that may still be made.
    left: u32,
}

impl Followed<'_, '_> {
    /// False when some are left out.
    async fn children_of_many<R: Resource>(mut self, wires: &mut [R::Wire]) -> Result<bool, ProviderError> {
        let child = R::points(self.switches).child;
        let mut each = CHILDREN_OF_EACH;
        let mut at_once = (POINTS_MAX / (3 + each * child)).max(1) as usize;
        let mut waiting: Vec<usize> = (0..wires.len()).filter(|at| is_cut::<R>(&mut wires[*at])).collect();
        while !waiting.is_empty() && self.left > 0 {
            let now: Vec<usize> = waiting.iter().copied().take(at_once).collect();
            let ids: Vec<&str> = now.iter().map(|at| R::gid(&wires[*at]).as_str()).collect();
            let variables = with(self.switches, [("ids", json!(ids)), ("first", each.into())]);
            self.left -= 1;
            let answered = match self.session.ask::<ManyData<R::Child>>(&R::CHILDREN_OF_MANY, &variables).await {
                Ok(answered) => answered,
                Err(failure) if at_once == 1 => {
                    each = halved(each, failure)?;
                    continue;
                }
                Err(failure) => {
                    at_once = halved(at_once as u32, failure)? as usize;
                    continue;
                }
            };
            self.session.withhold(&answered.denied);
            let Some(records) = answered.data.and_then(|data| data.records) else {
                return Err(missing("data.records", &answered.denied));
            };
            // A record that is gone by now is null here; what came with it stays.
            for Children { id, children } in records.into_iter().flatten() {
                let known = now.iter().copied().find(|at| *R::gid(&wires[*at]) == id);
                let place = known.and_then(|at| R::children(&mut wires[at]));
                if let Some(place) = place.filter(|place| children.nodes.len() >= place.nodes.len()) {
                    *place = children;
                }
            }
            waiting.drain(..now.len());
        }
        for wire in wires.iter_mut() {
            self.children_of_one::<R>(wire).await?;
        }
        Ok(!wires.iter_mut().any(is_cut::<R>))
    }

    /// False when some are left out.
    async fn children_of_one<R: Resource>(&mut self, wire: &mut R::Wire) -> Result<bool, ProviderError> {
        let mut first = (POINTS_MAX / R::points(self.switches).child).min(FIRST_MAX);
        while self.left > 0 {
            let id = R::gid(wire).as_str().to_owned();
            let Some(place) = R::children(wire) else { return Ok(true) };
            let Some(after) = place.page_info.next().map(str::to_owned) else { return Ok(true) };
            let variables = with(self.switches, [("id", id.into()), ("first", first.into()), ("after", after.into())]);
            self.left -= 1;
            let answered = match self.session.ask::<OneData<Children<R::Child>>>(&R::CHILDREN_OF_ONE, &variables).await
            {
                Ok(answered) => answered,
                Err(failure) => {
                    first = halved(first, failure)?;
                    continue;
                }
            };
            self.session.withhold(&answered.denied);
            let Some(more) = answered.data.and_then(|data| data.record) else { return Ok(false) };
            place.nodes.extend(more.children.nodes);
            place.page_info = more.children.page_info;
        }
        Ok(!is_cut::<R>(wire))
    }
}

fn is_cut<R: Resource>(wire: &mut R::Wire) -> bool {
    R::children(wire).is_some_and(|children| children.page_info.next().is_some())
}
