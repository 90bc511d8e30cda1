//! `events`: what the activity log promises of a million lines. Lists within a time, the CSV within a memory, the hash chain that
//! finds whatever was altered, and the tail that loses nothing while all that goes on.
//!
//! - [`log`]: lists, the CSV, the chain
//! - [`tail`]: followers, and what ringing for them costs whoever writes

mod log;
mod tail;

use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use clap::Args;
use kernel::OrganizationId;
use serde_json::{Map, json};
use sqlx::{AssertSqlSafe, Connection, PgConnection};
use uuid::Uuid;

use crate::{
    Common,
    figures::{Better, Figure, rounded, say},
    program::{self, Product},
};

/// Lines of one transaction, so that they do not all have one place in the order of commits.
const BATCH: i64 = 10_000;
/// How far back the lines lie: as far as an export goes.
const DAYS: i64 = 89;

#[derive(Args)]
pub(crate) struct Options {
    #[command(flatten)]
    common: Common,
    #[arg(long, default_value_t = 1_000_000)]
    rows: i64,
    /// Lists of each kind of filter
    #[arg(long, default_value_t = 200)]
    lists: usize,
    /// What 95 of 100 lists may take, in milliseconds
    #[arg(long, default_value_t = 50.0)]
    list_ms: f64,
    /// By how much the program may grow for the CSV, in MiB
    #[arg(long, default_value_t = 32)]
    csv_mib: u64,
    /// Lines that are altered and looked for, one after the other
    #[arg(long, default_value_t = 3)]
    altered: usize,
    /// How many follow the log
    #[arg(long, default_value_t = 48)]
    followers: usize,
    /// Lines a second while they do
    #[arg(long, default_value_t = 20)]
    per_second: u32,
    /// For how long; more than a minute shows that no time limit of requests ends a stream
    #[arg(long, default_value_t = 70.0)]
    seconds: f64,
}

/// The product, with somebody whose log it is.
struct Bench<'a> {
    options: &'a Options,
    product: &'a Product,
    organization: OrganizationId,
    token: String,
    http: reqwest::Client,
}

pub(crate) fn run(options: &Options) -> anyhow::Result<()> {
    ensure!(options.rows >= 1_000 && options.lists > 0 && options.altered > 0, "at least a thousand lines are needed");
    let scratch = program::scratch(&options.common.scratch)?;
    let product = Product::start(scratch.path(), None)?;
    let runtime = tokio::runtime::Builder::new_multi_thread().thread_name("bench").enable_all().build()?;
    let also = runtime.block_on(async {
        let (organization, token) = product.sign_up(0).await?;
        #[expect(
            clippy::disallowed_methods,
            reason = "the bench calls the product on loopback, which the guarded client refuses"
        )]
        let http = reqwest::Client::builder().no_proxy().build()?;
        Bench { options, product: &product, organization, token, http }.measure().await
    });
    product.stop()?;
    let (worst, also) = also?;
    let ratio = worst / options.list_ms;
    Figure { name: "events", floor: options.list_ms, ours: worst, ratio, goal: 1.0, better: Better::Lower, also }
        .tell(&options.common.results)
}

impl Bench<'_> {
    /// The slowest kind of list in milliseconds, at the 95th of 100, and whatever else was found.
    async fn measure(&self) -> anyhow::Result<(f64, Map<String, serde_json::Value>)> {
        self.fill().await?;
        let lists = self.lists().await?;
        let worst = lists.iter().map(|(_, p95)| *p95).fold(0.0, f64::max);
        let csv = self.csv().await?;
        let chain = self.chain().await?;
        let ring = self.ring().await?;
        let tail = self.tail().await?;
        let lists: Map<_, _> = lists.into_iter().map(|(name, p95)| (name, json!(rounded(p95)))).collect();
        let also = [
            ("unit", json!("ms at the 95th of 100 lists, the slowest kind")),
            ("rows", json!(self.options.rows)),
            ("lists_ms", json!(lists)),
            ("csv", csv),
            ("chain", chain),
            ("writing", ring),
            ("tail", tail),
        ];
        Ok((worst, also.map(|(name, value)| (name.to_owned(), value)).into_iter().collect()))
    }

    async fn admin(&self) -> anyhow::Result<PgConnection> {
        let cluster = self.product.served.program.cluster().context("the bench runs its own PostgreSQL")?;
        Ok(PgConnection::connect_with(&cluster.superuser_url(cluster.database())).await?)
    }

    fn url(&self, path: &str) -> String {
        format!("http://{}/api/integrations/events/{path}", self.product.address())
    }

    /// Lines of ninety days in the order of time, as they come in: of five types, four actors and three connections; one in a hundred is
    /// a warning, one in a thousand an error.
    async fn fill(&self) -> anyhow::Result<()> {
        let began = Instant::now();
        let app = &self.product.served.program.app;
        let now = app.clock.now();
        for days in [DAYS, 60, 30, 0] {
            app.db.maintain_partitions(now - chrono::TimeDelta::days(days), &[]).await?;
        }
        let mut admin = self.admin().await?;
        for first in (0..self.options.rows).step_by(usize::try_from(BATCH)?) {
            sqlx::query(
                "
                -- bench_log
                insert into events (organization_id, id, connection_id, level, event_type, message, meta, actor, created_at)
                select $1,
                    (substr(app.uuid_floor(at)::text, 1, 14) || '7' || substr(md5(n::text), 1, 3) || '-a' || substr(md5(n::text), 4, 3)
                        || '-' || substr(md5(n::text), 7, 12))::uuid,
                    ('00000000-0000-7000-8000-00000000000' || n % 3)::uuid,
                    case when n % 1000 = 0 then 'error' when n % 100 = 0 then 'warning' else 'info' end,
                    (array['sync.started', 'sync.ended', 'order.imported', 'product.changed', 'connection.tested'])[1 + n % 5],
                    'Line ' || n || ' of many.', jsonb_build_object('n', n), 'system:task_' || n % 4, at
                from generate_series($2::bigint, least($2 + $3, $4) - 1) n,
                    lateral (select $5::timestamptz - interval '89 days' * (1 - n / $4::float8) as at) made
                ",
            )
            .bind(self.organization.uuid())
            .bind(first)
            .bind(BATCH)
            .bind(self.options.rows)
            .bind(now - chrono::TimeDelta::minutes(1))
            .execute(&mut admin)
            .await?;
        }
        sqlx::raw_sql("vacuum (freeze, analyze) events").execute(&mut admin).await?;
        say(&format!("{} lines of {DAYS} days in {:.1} s", self.options.rows, began.elapsed().as_secs_f64()));
        Ok(())
    }

    async fn execute(&self, admin: &mut PgConnection, sql: String) -> anyhow::Result<u64> {
        Ok(sqlx::raw_sql(AssertSqlSafe(sql)).execute(admin).await?.rows_affected())
    }

    /// Somebody else who may read the log, with their session.
    async fn viewer(&self, admin: &mut PgConnection, number: usize) -> anyhow::Result<String> {
        let (own, token) = self.product.sign_up(number).await?;
        sqlx::query(
            "
            -- bench_viewer
            insert into organization_members (organization_id, id, user_id, role, status, created_at)
            select $1, $2, user_id, 'viewer', 'active', created_at from organization_members where organization_id = $3
            ",
        )
        .bind(self.organization.uuid())
        .bind(Uuid::from_bytes(kernel::random::bytes()))
        .bind(own.uuid())
        .execute(admin)
        .await?;
        Ok(token)
    }
}

/// The value at or below which so many of 100 lie.
fn percentile(mut values: Vec<Duration>, of_hundred: usize) -> f64 {
    values.sort_unstable();
    let at = (values.len() * of_hundred).div_ceil(100).saturating_sub(1);
    values.get(at).map_or(f64::NAN, |value| value.as_secs_f64() * 1e3)
}
