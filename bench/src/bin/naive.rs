//! What somebody writes in an afternoon to do the same: hashes the key, fetches, parses, normalises. It checks nothing else
//! and keeps no log. Beside the floor of `live`, for scale; a process of its own, as nginx is, with what one gets without asking.

use std::{collections::HashSet, io::Write, net::SocketAddr, sync::Arc};

use anyhow::Context;
use axum::{
    Json, Router,
    extract::{Query, State},
    http::{HeaderMap, StatusCode, header},
    response::{IntoResponse, Response},
    routing::get,
};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

struct Proxy {
    keys: HashSet<[u8; 32]>,
    client: reqwest::Client,
    shop: SocketAddr,
}

#[derive(Deserialize)]
struct Params {
    store_id: String,
    page: u64,
    limit: u16,
}

/// `naive SHOP`, with the keys of its callers on standard input, a line each. Says on standard output where it listens.
#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let shop = std::env::args().nth(1).context("the shop's address is missing")?.parse()?;
    let keys = std::io::stdin().lines().map(|key| Ok(Sha256::digest(key?).into()));
    #[expect(clippy::disallowed_methods, reason = "a naive proxy has a plain client; it only calls loopback")]
    let client = reqwest::Client::builder().no_proxy().build().context("no client")?;
    let proxy = Proxy { keys: keys.collect::<anyhow::Result<_>>()?, client, shop };
    let router = Router::new().route("/webshop-data-api/orders", get(orders)).with_state(Arc::new(proxy));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
    writeln!(std::io::stdout(), "{}", listener.local_addr()?)?;
    axum::serve(listener, router).await?;
    Ok(())
}

async fn orders(State(proxy): State<Arc<Proxy>>, Query(params): Query<Params>, headers: HeaderMap) -> Response {
    let key = headers
        .get(header::AUTHORIZATION)
        .and_then(|value| value.to_str().ok())
        .and_then(|text| text.strip_prefix("Bearer "));
    let digest: Option<[u8; 32]> = key.map(|key| Sha256::digest(key).into());
    if !digest.is_some_and(|digest| proxy.keys.contains(&digest)) {
        return StatusCode::UNAUTHORIZED.into_response();
    }
    let url = format!("http://{}/wp-json/wc/v3/orders?page={}&per_page={}", proxy.shop, params.page, params.limit);
    let fetched =
        async { proxy.client.get(url).basic_auth(&params.store_id, Some("secret")).send().await?.bytes().await };
    let Ok(body) = fetched.await else { return StatusCode::BAD_GATEWAY.into_response() };
    match serde_json::from_slice::<Vec<WooOrder>>(&body) {
        Ok(orders) => Json(Page { data: orders.into_iter().map(unified).collect() }).into_response(),
        Err(_) => StatusCode::BAD_GATEWAY.into_response(),
    }
}

#[derive(Deserialize)]
struct WooOrder {
    id: u64,
    number: String,
    status: String,
    date_paid_gmt: Option<String>,
    total: String,
    refunds: Vec<WooRefund>,
    customer_id: u64,
    billing: WooAddress,
    line_items: Vec<WooLine>,
    discount_total: String,
    shipping_total: String,
    total_tax: String,
    currency: String,
    shipping: WooAddress,
    customer_note: String,
    date_created_gmt: String,
    date_modified_gmt: String,
}

#[derive(Deserialize)]
struct WooRefund {
    total: String,
}

#[derive(Deserialize)]
struct WooAddress {
    first_name: String,
    last_name: String,
    company: String,
    address_1: String,
    address_2: String,
    city: String,
    state: String,
    postcode: String,
    country: String,
    email: Option<String>,
    phone: Option<String>,
}

#[derive(Deserialize)]
struct WooLine {
    id: u64,
    name: String,
    product_id: u64,
    variation_id: u64,
    quantity: u32,
    subtotal: String,
    total: String,
    total_tax: String,
    sku: Option<String>,
}

#[derive(Serialize)]
struct Page {
    data: Vec<Order>,
}

#[derive(Serialize)]
struct Order {
    id: String,
    number: String,
    status: String,
    payment_status: &'static str,
    fulfillment_status: Option<String>,
    customer: Customer,
    line_items: Vec<Line>,
    discount_total: String,
    shipping_total: String,
    tax_total: String,
    total: String,
    refunded_total: f64,
    currency: String,
    billing_address: Address,
    shipping_address: Address,
    note: Option<String>,
    tags: Vec<String>,
    placed_at: String,
    updated_at: String,
}

#[derive(Serialize)]
struct Customer {
    id: String,
    email: Option<String>,
    first_name: String,
    last_name: String,
    phone: Option<String>,
}

#[derive(Serialize)]
struct Address {
    first_name: String,
    last_name: String,
    company: Option<String>,
    address1: String,
    address2: Option<String>,
    city: String,
    postcode: String,
    province: String,
    country_code: String,
    phone: Option<String>,
}

#[derive(Serialize)]
struct Line {
    id: String,
    product_id: String,
    variant_id: Option<String>,
    sku: Option<String>,
    name: String,
    quantity: u32,
    unit_price: String,
    tax: String,
    total: String,
}

fn unified(order: WooOrder) -> Order {
    Order {
        id: order.id.to_string(),
        number: order.number,
        status: order.status,
        payment_status: if order.date_paid_gmt.is_some() { "paid" } else { "pending" },
        fulfillment_status: None,
        customer: Customer {
            id: order.customer_id.to_string(),
            email: order.billing.email.clone(),
            first_name: order.billing.first_name.clone(),
            last_name: order.billing.last_name.clone(),
            phone: order.billing.phone.clone(),
        },
        line_items: order.line_items.into_iter().map(line).collect(),
        discount_total: order.discount_total,
        shipping_total: order.shipping_total,
        tax_total: order.total_tax,
        total: order.total,
        refunded_total: order.refunds.iter().filter_map(|refund| refund.total.parse::<f64>().ok()).sum(),
        currency: order.currency,
        billing_address: address(order.billing),
        shipping_address: address(order.shipping),
        note: some(order.customer_note),
        tags: vec![],
        placed_at: format!("{}Z", order.date_created_gmt),
        updated_at: format!("{}Z", order.date_modified_gmt),
    }
}

fn line(line: WooLine) -> Line {
    Line {
        id: line.id.to_string(),
        product_id: line.product_id.to_string(),
        variant_id: (line.variation_id != 0).then(|| line.variation_id.to_string()),
        sku: line.sku,
        name: line.name,
        quantity: line.quantity,
        unit_price: line.subtotal,
        tax: line.total_tax,
        total: line.total,
    }
}

fn address(address: WooAddress) -> Address {
    Address {
        first_name: address.first_name,
        last_name: address.last_name,
        company: some(address.company),
        address1: address.address_1,
        address2: some(address.address_2),
        city: address.city,
        postcode: address.postcode,
        province: address.state,
        country_code: address.country,
        phone: address.phone,
    }
}

fn some(text: String) -> Option<String> {
    Some(text).filter(|text| !text.is_empty())
}
