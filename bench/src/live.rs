//! `live`: reads of 25 orders with warm keys, all checks on, each with its line in the access log committed before the
//! first byte, against nginx as a reverse proxy to the same shop.
//!
//! Everything speaks plain http, so that no side pays for TLS; ours therefore signs each request with OAuth 1.0a, as
//! WooCommerce wants it then. Identical reads that are under way share one call, so no two requests here are the same:
//! stores take turns and pages count up. All three get the same bytes from the same load.

use std::{
    net::SocketAddr,
    sync::{Arc, atomic::AtomicU64},
    time::Duration,
};

use anyhow::{Context, ensure};
use clap::Args;
use serde_json::{Value, json};

use crate::{
    Common,
    client::{self, Load, Requests},
    cpu,
    figures::{Better, Figure, median, rounded, say},
    naive::Naive,
    nginx::Nginx,
    program::{self, Product, Store},
    shop::{self, Shop},
};

const GOAL: f64 = 0.3;

#[derive(Args)]
pub(crate) struct Options {
    #[command(flatten)]
    common: Common,
    /// Seconds of each turn
    #[arg(long, default_value_t = 2.0)]
    seconds: f64,
    /// Connected stores; ten share a key
    #[arg(long, default_value_t = 200)]
    stores: usize,
    /// Connections of load, one run for each
    #[arg(long, value_delimiter = ',', default_values_t = [16, 64])]
    connections: Vec<usize>,
}

/// Who answers the load.
struct Side<'a> {
    name: &'a str,
    address: SocketAddr,
    /// Processor time used so far: its own, and its database's.
    used: Box<dyn Fn() -> [Duration; 2] + 'a>,
}

/// One turn of one side.
struct Turn {
    load: Load,
    /// Microseconds for each answer.
    cpu_us: [f64; 2],
}

/// What a side's turns came to: medians.
struct Outcome {
    per_second: f64,
    p50_ms: f64,
    cpu_us: [f64; 2],
}

pub(crate) fn run(options: &Options) -> anyhow::Result<()> {
    ensure!(options.stores > 0 && options.common.rounds > 0, "at least one store and one round are needed");
    let scratch = program::scratch(&options.common.scratch)?;
    let shop = Shop::start()?;
    let product = Product::start(scratch.path(), Some(shop.address))?;
    let stores = product.seed(options.stores)?;
    let naive = Naive::start(stores.iter().map(|store| store.key.as_str()), shop.address)?;
    let nginx = Nginx::start(scratch.path(), shop.address)?;
    let postgres = product.postgres()?;

    let answer_bytes = warm(&product, &stores)?;
    let cores = std::thread::available_parallelism()?;
    say(&format!(
        "25 orders, {:.1} KB from the shop, {:.1} KB to the caller; {} stores, {} rounds of {} s, {cores} cores",
        shop.body_bytes as f64 / 1e3,
        answer_bytes as f64 / 1e3,
        stores.len(),
        options.common.rounds,
        options.seconds,
    ));
    match &nginx {
        Some(nginx) => {
            say(&format!("floor: {}, a worker for each core, as reverse proxy with kept connections", nginx.version))
        }
        None => say("nginx is not installed: the floor is skipped, and the naive proxy stands in for it"),
    }

    let mut sides = vec![
        Side {
            name: "ours",
            address: product.address(),
            used: Box::new(|| [cpu::of_threads(program::THREAD), cpu::of_tree(postgres)]),
        },
        Side { name: "naive", address: naive.address, used: Box::new(|| [cpu::of_tree(naive.pid()), Duration::ZERO]) },
    ];
    if let Some(nginx) = &nginx {
        let pid = nginx.pid();
        sides.insert(
            0,
            Side { name: "nginx", address: nginx.address, used: Box::new(move || [cpu::of_tree(pid), Duration::ZERO]) },
        );
    }
    let measuring = Measuring { options, shop: &shop, requests: requests(stores), sent: Arc::new(AtomicU64::new(1)) };
    let mut runs = vec![];
    for &connections in &options.connections {
        runs.push((connections, measuring.take_turns(&sides, connections)?));
    }
    drop(sides);
    drop(naive);
    drop(nginx);
    product.stop()?;
    figure(&runs)?.tell(&options.common.results)
}

/// The n-th request, over all stores in turn.
fn requests(stores: Vec<Store>) -> Requests {
    Arc::new(move |n| {
        let store = &stores[usize::try_from(n).unwrap_or(0) % stores.len()];
        format!(
            "GET /webshop-data-api/orders?store_id={}&page={n}&limit=25 HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer \
             {}\r\nAccept: application/json\r\n\r\n",
            store.id, store.key
        )
        .into_bytes()
    })
}

/// Reads each store once, so that keys and stores are known, and looks whether the answer is one. Its length in bytes.
fn warm(product: &Product, stores: &[Store]) -> anyhow::Result<usize> {
    let address = product.address();
    let mut bytes = 0;
    for store in stores {
        let request = format!(
            "GET /webshop-data-api/orders?store_id={}&limit=25 HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {}\r\n\r\n",
            store.id, store.key
        );
        let body = product.runtime.block_on(async {
            let mut stream = tokio::net::TcpStream::connect(address).await?;
            tokio::io::AsyncWriteExt::write_all(&mut stream, request.as_bytes()).await?;
            let mut buffer = vec![0; 64 * 1024];
            let body = client::answer(&mut stream, &mut buffer).await?;
            anyhow::Ok(buffer[body].to_vec())
        })?;
        let answer: Value = serde_json::from_slice(&body)?;
        let orders = answer["data"].as_array().context("the answer has no data")?;
        let named =
            orders.iter().filter(|order| order["billing_address"]["city"] == "Köln" && order["total"].is_string());
        ensure!(named.count() == shop::ORDERS, "the answer is not the shop's 25 orders");
        bytes = body.len();
    }
    Ok(bytes)
}

struct Measuring<'a> {
    options: &'a Options,
    shop: &'a Shop,
    requests: Requests,
    sent: Arc<AtomicU64>,
}

impl Measuring<'_> {
    fn take_turns(&self, sides: &[Side<'_>], connections: usize) -> anyhow::Result<Vec<(String, Outcome)>> {
        let seconds = Duration::from_secs_f64(self.options.seconds);
        let mut turns: Vec<Vec<Turn>> = sides.iter().map(|_| vec![]).collect();
        let mut unanswered = 0;
        // The first round only opens the connections to the shop.
        for round in 0..=self.options.common.rounds {
            for (side, turns) in sides.iter().zip(&mut turns) {
                let (asked, before) = (self.shop.asked(), (side.used)());
                let load = client::run(side.address, connections, seconds, &self.requests, &self.sent)?;
                let after = (side.used)();
                let calls = self.shop.asked() - asked;
                ensure!(
                    calls >= load.answers,
                    "{}: {} answers came of {calls} calls of the shop",
                    side.name,
                    load.answers
                );
                unanswered += calls - load.answers;
                if round > 0 {
                    let each = |index: usize| {
                        after[index].saturating_sub(before[index]).as_secs_f64() * 1e6 / load.answers as f64
                    };
                    turns.push(Turn { cpu_us: [each(0), each(1)], load });
                }
            }
        }
        let outcomes: Vec<(String, Outcome)> =
            sides.iter().zip(&turns).map(|(side, turns)| (side.name.to_owned(), Outcome::of(turns))).collect();
        say(&format!("\n{connections} connections     requests/s         p50    CPU/request    PostgreSQL's"));
        for (name, outcome) in &outcomes {
            let [own, database] = outcome.cpu_us;
            let database = if database > 0.0 { format!("{database:>9.0} µs") } else { String::new() };
            say(&format!(
                "{name:<16} {:>10.0} {:>8.2} ms {own:>11.0} µs {database}",
                outcome.per_second, outcome.p50_ms
            ));
        }
        let answers: u64 = turns.iter().flatten().map(|turn| turn.load.answers).sum();
        say(&format!(
            "{answers} answers counted; the shop was asked at least once for each, and {unanswered} times more"
        ));
        Ok(outcomes)
    }
}

impl Outcome {
    fn of(turns: &[Turn]) -> Self {
        Self {
            per_second: median(turns.iter().map(|turn| turn.load.per_second)),
            p50_ms: median(turns.iter().map(|turn| turn.load.p50.as_secs_f64() * 1e3)),
            cpu_us: [0, 1].map(|index| median(turns.iter().map(|turn| turn.cpu_us[index]))),
        }
    }
}

/// The worst of the runs.
fn figure(runs: &[(usize, Vec<(String, Outcome)>)]) -> anyhow::Result<Figure> {
    let mut worst: Option<Figure> = None;
    let mut all = serde_json::Map::new();
    for (connections, outcomes) in runs {
        let find = |name: &str| outcomes.iter().find(|(known, _)| known == name).map(|(_, outcome)| outcome);
        let (ours, naive) =
            (find("ours").context("ours was not measured")?, find("naive").context("naive was not measured")?);
        let floor = find("nginx").unwrap_or(naive);
        let ratio = ours.per_second / floor.per_second;
        let mut also = serde_json::Map::new();
        also.insert("floor_is".into(), json!(if find("nginx").is_some() { "nginx" } else { "naive proxy" }));
        also.insert("of_naive".into(), json!(rounded(ours.per_second / naive.per_second)));
        also.insert("naive".into(), json!(rounded(naive.per_second)));
        also.insert("p50_of_floor".into(), json!(rounded(ours.p50_ms / floor.p50_ms)));
        also.insert("connections".into(), json!(connections));
        all.insert(
            connections.to_string(),
            json!({ "ratio": rounded(ratio), "of_naive": also["of_naive"], "p50_of_floor": also["p50_of_floor"] }),
        );
        if worst.as_ref().is_none_or(|worst| ratio < worst.ratio) {
            let (floor, ours) = (floor.per_second, ours.per_second);
            worst = Some(Figure { name: "live", floor, ours, ratio, goal: GOAL, better: Better::Higher, also });
        }
    }
    let mut worst = worst.context("no run was made")?;
    worst.also.insert("runs".into(), Value::Object(all));
    Ok(worst)
}
