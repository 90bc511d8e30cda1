//! `demo --check`: runs the printed lines as a person would paste them, looks at the answers, and does what an owner does.

mod organization;

use std::{process::Stdio, time::Instant};

use anyhow::{Context, bail, ensure};
use http::Method;
use serde_json::{Value, json};

use super::Demo;
use crate::cli::say;

pub(super) async fn run(demo: &Demo, started: Instant) -> anyhow::Result<()> {
    say(&demo.greeting(started));
    say("\nChecking:");
    let health = paste(&format!("curl -sf {}healthz", demo.public_url)).await?;
    ensure!(health == "ok", "/healthz answered {health:?}");
    say("  /healthz answers");
    for (line, look) in demo.lines().iter().zip([order as fn(&Value) -> anyhow::Result<String>, customer, product]) {
        let answer = paste(line).await?;
        let answer: Value = serde_json::from_str(&answer).with_context(|| format!("not JSON: {answer}"))?;
        let seen = look(&answer).with_context(|| format!("{line}\nanswered {answer:#}"))?;
        say(&format!("  {seen}"));
    }
    let login = json!({ "email": demo.seeded.email, "password": demo.seeded.password });
    let (_, session) = demo.visitor.call(Method::POST, "/api/login", None, Some(&login)).await?;
    let owner = session["session_token"].as_str().context("no session")?;
    say(&format!("  {}", connect(demo, owner).await?));
    say(&format!("  {}", organization::a_viewer_only_looks(demo, owner).await?));
    say(&format!("  {}", organization::a_key_is_rotated(demo, owner).await?));
    say(&format!("  {}", organization::the_log_is_exported(demo, owner).await?));
    say(&format!("All good, {:.1} s after the start.", started.elapsed().as_secs_f64()));
    Ok(())
}

/// Connects the shop whose keys were printed, as a person does on the front page.
async fn connect(demo: &Demo, owner: &str) -> anyhow::Result<String> {
    let keys = demo.unconnected.woocommerce.as_ref().context("no shop is left to connect")?;
    ensure!(demo.unconnected.shopify.is_some(), "no Shopify shop is left to connect");
    let form = json!({
        "provider_key": "woocommerce",
        "config": { "shop_url": keys.shop_url },
        "credential": { "consumer_key": keys.consumer_key, "consumer_secret": keys.consumer_secret },
    });
    let (_, connection) =
        demo.visitor.call(Method::POST, "/api/integrations/connections/", Some(owner), Some(&form)).await?;
    ensure!(connection["status"] == "connected", "{} is not connected: {connection:#}", keys.shop_url);
    Ok(format!("{} connects with the keys that were printed", keys.shop_url))
}

/// Runs a line in a shell, as pasted.
async fn paste(line: &str) -> anyhow::Result<String> {
    let output = tokio::process::Command::new("sh")
        .args(["-c", line])
        .stdin(Stdio::null())
        .output()
        .await
        .context("sh could not be started")?;
    if !output.status.success() {
        bail!("{line}\nended with {}: {}", output.status, String::from_utf8_lossy(&output.stderr));
    }
    Ok(String::from_utf8(output.stdout)?)
}

fn records(answer: &Value) -> anyhow::Result<&Vec<Value>> {
    let records = answer["data"].as_array().context("no data")?;
    ensure!(records.len() == 2, "{} records instead of 2", records.len());
    ensure!(answer["meta"]["receipt_id"].is_string(), "no receipt");
    Ok(records)
}

fn order(answer: &Value) -> anyhow::Result<String> {
    for order in records(answer)? {
        ensure!(order["status"] == "completed", "an order is not completed");
        ensure!(order["currency"] == "HUF", "an order is not in forints");
        let total: f64 = order["total"].as_str().context("no total")?.parse()?;
        ensure!(total > 0.0, "an order without a total");
        ensure!(order["line_items"].as_array().is_some_and(|lines| !lines.is_empty()), "an order without lines");
    }
    ensure!(answer["meta"]["platform"] == "woocommerce", "not from the WooCommerce shop");
    Ok(format!("orders of the WooCommerce shop, live: {} in all are completed", answer["meta"]["total"]))
}

fn customer(answer: &Value) -> anyhow::Result<String> {
    for customer in records(answer)? {
        ensure!(
            customer["id"].as_str().is_some_and(|id| id.bytes().all(|b| b.is_ascii_digit())),
            "a customer without id"
        );
        ensure!(customer["created_at"].is_string(), "a customer without a date");
    }
    ensure!(answer["meta"]["next_cursor"].is_string(), "no cursor to the next page");
    Ok("customers of the Shopify shop, live, through a token that its owner consented to".to_owned())
}

fn product(answer: &Value) -> anyhow::Result<String> {
    for product in records(answer)? {
        ensure!(
            product["variants"].as_array().is_some_and(|variants| !variants.is_empty()),
            "a product without variants"
        );
        ensure!(product.get("description_html").is_none(), "a field that was not asked for");
        ensure!(product["currency"] == "EUR", "a product not in euros");
    }
    Ok("products of the Shopify shop, only the fields that were asked for".to_owned())
}
