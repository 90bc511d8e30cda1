use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use anyhow::{Context, ensure};
use kernel::{Action, EventId, Resource, TenantScope, scope::InternalTask};
use serde_json::{Value, json};
use tokio::task::JoinSet;
use uuid::Uuid;

use super::{Bench, percentile};
use crate::{
    cpu,
    figures::{median, rounded, say},
    program::THREAD,
};

/// Streams that a person may have open.
const OF_A_PERSON: usize = 6;
/// Connections that write at once, as fast as they can.
const WRITERS: usize = 8;

/// Writes lines, as the product does.
enum Write {}
impl InternalTask for Write {
    const NAME: &'static str = "bench_write";
    const PERMISSIONS: &'static [(Resource, Action)] = &[];
}

/// The last line.
const END: &str = "bench.tail_end";

type Written = Arc<Mutex<HashMap<Uuid, Instant>>>;

impl Bench<'_> {
    /// One line in a transaction of the product's.
    async fn write(&self, id: Uuid, event_type: &str, is_rung: bool) -> anyhow::Result<()> {
        let app = &self.product.served.program.app;
        let mut tx = app.db.tenant(&TenantScope::internal::<Write>(self.organization)).await?;
        sqlx::query(
            "
            -- bench_line
            insert into events (organization_id, id, level, event_type, message, actor, created_at)
            values ($1, $2, 'info', $3, 'A line.', 'system:bench', $4)
            ",
        )
        .bind(self.organization.uuid())
        .bind(id)
        .bind(event_type)
        .bind(app.clock.now())
        .execute(tx.conn())
        .await?;
        if is_rung {
            tx.ring_followers();
        }
        Ok(tx.commit().await?)
    }

    /// Commits a second of eight writers, who ring and who do not, in turn.
    pub(super) async fn ring(&self) -> anyhow::Result<Value> {
        let (mut with, mut without) = (vec![], vec![]);
        let length = Duration::from_secs_f64((self.options.seconds / 20.0).clamp(0.2, 3.0));
        for _ in 0..3 {
            without.push(self.commits(length, false).await?);
            with.push(self.commits(length, true).await?);
        }
        let (with, without) = (median(with), median(without));
        say(&format!("writing: {with:.0} commits/s with the bell, {without:.0} without: {:.3} ×", with / without));
        Ok(json!({ "commits_per_second": rounded(with), "without_bell": rounded(without) }))
    }

    async fn commits(&self, length: Duration, is_rung: bool) -> anyhow::Result<f64> {
        let began = Instant::now();
        let writing = (0..WRITERS).map(async |_| {
            let mut commits = 0_u32;
            while began.elapsed() < length {
                let id = EventId::new(&self.product.served.program.app.clock).uuid();
                self.write(id, "bench.filled", is_rung).await?;
                commits += 1;
            }
            anyhow::Ok(commits)
        });
        let commits: Vec<anyhow::Result<u32>> = futures::future::join_all(writing).await;
        let sum = commits.into_iter().sum::<anyhow::Result<u32>>()?;
        Ok(f64::from(sum) / began.elapsed().as_secs_f64())
    }

    /// Followers of a log that grows: how late they hear of a line, that they hear of all, and what it takes.
    pub(super) async fn tail(&self) -> anyhow::Result<Value> {
        let mut admin = self.admin().await?;
        let postgres = self.product.postgres()?;
        let (written, mut following) = (Written::default(), JoinSet::new());
        let mut token = self.token.clone();
        for number in 0..self.options.followers {
            if number > 0 && number % OF_A_PERSON == 0 {
                token = self.viewer(&mut admin, number).await?;
            }
            let path = format!("stream?event_type=bench.tail*&organization={}", self.organization);
            let response = self.http.get(self.url(&path)).bearer_auth(&token).send().await?;
            ensure!(response.status().is_success(), "a stream answered {}", response.status());
            following.spawn(follow(response, written.clone()));
        }
        let used = || cpu::of_threads(THREAD) + cpu::of_tree(postgres);
        let length = Duration::from_secs_f64(self.options.seconds);
        let (began, before) = (Instant::now(), used());
        tokio::time::sleep(length / 4).await;
        let idle = used().saturating_sub(before).as_secs_f64() / began.elapsed().as_secs_f64();
        let (began, before) = (Instant::now(), used());
        let mut tick = tokio::time::interval(Duration::from_secs(1) / self.options.per_second.max(1));
        let mut lines = 0;
        while began.elapsed() < length {
            tick.tick().await;
            let id = EventId::new(&self.product.served.program.app.clock).uuid();
            let sent = Instant::now();
            written.lock().unwrap_or_else(PoisonError::into_inner).insert(id, sent);
            self.write(id, "bench.tail", true).await?;
            lines += 1;
        }
        let busy = used().saturating_sub(before).as_secs_f64() / began.elapsed().as_secs_f64();
        self.write(EventId::new(&self.product.served.program.app.clock).uuid(), END, true).await?;
        let mut late = vec![];
        while let Some(heard) = following.join_next().await {
            let heard = heard??;
            ensure!(heard.len() == lines, "a follower heard {} of {lines} lines", heard.len());
            late.extend(heard.into_values());
        }
        let followers = self.options.followers;
        let (p50, p95) = (percentile(late.clone(), 50), percentile(late, 95));
        say(&format!(
            "tail: {followers} followers of {} lines/s heard all {lines} lines once, half within {p50:.1} ms, 95 of 100 within {p95:.1} ms; \
             processor: {:.1} % of a core while nothing is written, {:.1} % then",
            self.options.per_second,
            idle * 100.0,
            busy * 100.0
        ));
        Ok(
            json!({ "followers": followers, "lines": lines, "p50_ms": rounded(p50), "p95_ms": rounded(p95), "idle_cores": rounded(idle), "busy_cores": rounded(busy) }),
        )
    }
}

/// Reads a stream to the last line; how late each line came.
async fn follow(mut response: reqwest::Response, written: Written) -> anyhow::Result<HashMap<Uuid, Duration>> {
    let (mut heard, mut text) = (HashMap::new(), String::new());
    loop {
        let chunk = response.chunk().await?.context("a stream ended")?;
        text.push_str(std::str::from_utf8(&chunk)?);
        let now = Instant::now();
        while let Some((part, rest)) = text.split_once("\n\n") {
            if let Some((_, data)) = part.split_once("\ndata: ") {
                let line: Value = serde_json::from_str(data)?;
                let id: Uuid = line["id"].as_str().context("a line has an id")?.parse()?;
                if line["event_type"] == END {
                    return Ok(heard);
                }
                let sent = written.lock().unwrap_or_else(PoisonError::into_inner).get(&id).copied();
                let late = now - sent.context("a line that nobody wrote")?;
                ensure!(heard.insert(id, late).is_none(), "a line came twice");
            }
            text = rest.to_owned();
        }
    }
}
