//! `key`: the check of a known API key against one SHA-256 of its text.

use std::{hint::black_box, time::Instant};

use anyhow::ensure;
use clap::Args;
use sha2::{Digest, Sha256};

use crate::{
    Common,
    figures::{Better, Figure, median, say},
    program::{self, Product, told},
};

const GOAL: f64 = 20.0;

#[derive(Args)]
pub(crate) struct Options {
    #[command(flatten)]
    common: Common,
    /// Checks of each turn
    #[arg(long, default_value_t = 100_000)]
    checks: u32,
    /// Keys, which take turns
    #[arg(long, default_value_t = 20)]
    keys: usize,
}

pub(crate) fn run(options: &Options) -> anyhow::Result<()> {
    ensure!(options.keys > 0 && options.checks > 0 && options.common.rounds > 0, "at least one of each is needed");
    let scratch = program::scratch(&options.common.scratch)?;
    let product = Product::start(scratch.path(), None)?;
    let keys = product.keys(options.keys)?;
    let api_keys = product.served.program.keys.clone();
    let (mut floor, mut ours) = (vec![], vec![]);
    product.runtime.block_on(async {
        for key in &keys {
            api_keys.check_text(key).await.map_err(told)?;
        }
        // The first round warms both.
        for round in 0..=options.common.rounds {
            let started = Instant::now();
            for key in keys.iter().cycle().take(options.checks as usize) {
                black_box(Sha256::digest(black_box(key.as_bytes())));
            }
            let hashed = started.elapsed().as_secs_f64();
            let started = Instant::now();
            for key in keys.iter().cycle().take(options.checks as usize) {
                black_box(api_keys.check_text(black_box(key)).await.map_err(told)?);
            }
            let checked = started.elapsed().as_secs_f64();
            if round > 0 {
                floor.push(hashed * 1e9 / f64::from(options.checks));
                ours.push(checked * 1e9 / f64::from(options.checks));
            }
        }
        anyhow::Ok(())
    })?;
    product.stop()?;
    let (floor, ours) = (median(floor), median(ours));
    say(&format!("{} warm keys, {} rounds of {} checks", keys.len(), options.common.rounds, options.checks));
    say(&format!("SHA-256 of the key   {floor:>8.0} ns"));
    say(&format!("check of the key     {ours:>8.0} ns  {:.1} ×", ours / floor));
    let also = serde_json::Map::from_iter([("unit".to_owned(), "ns".into())]);
    Figure { name: "key", floor, ours, ratio: ours / floor, goal: GOAL, better: Better::Lower, also }
        .tell(&options.common.results)
}
