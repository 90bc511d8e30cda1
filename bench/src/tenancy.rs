//! `tenancy`: an organization's newest events through [`db::Db::tenant`], under row level security, against the same
//! query in a transaction of the same shape by a role that bypasses it.

use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use clap::Args;
use db::{
    Db, Logins, PoolSizes,
    cluster::{Cluster, ClusterOptions},
};
use kernel::{Action, Clock, OrganizationId, Resource, TenantScope, random, scope::InternalTask};
use kit::page;
use serde_json::json;
use sqlx::{AssertSqlSafe, Connection, PgConnection, PgPool, postgres::PgPoolOptions};
use uuid::Uuid;

use crate::{
    Common, cpu,
    figures::{Better, Figure, median, say},
    program,
};

const GOAL: f64 = 0.95;
/// Where the product keeps the query, so that what is measured is what is served.
const STORE: &str = include_str!("../../crates/integrations/src/events/store.rs");
/// The role that row level security does not concern.
const FREE: &str = "bench_free";

#[derive(Args)]
pub(crate) struct Options {
    #[command(flatten)]
    common: Common,
    #[arg(long, default_value_t = 1_000_000)]
    rows: i64,
    #[arg(long, default_value_t = 1_000)]
    organizations: usize,
    /// Lists of each turn
    #[arg(long, default_value_t = 500)]
    lists: usize,
}

/// Reads events, as the handler's scope does.
enum List {}
impl InternalTask for List {
    const NAME: &'static str = "bench_list";
    const PERMISSIONS: &'static [(Resource, Action)] = &[(Resource::Events, Action::Read)];
}

pub(crate) fn run(options: &Options) -> anyhow::Result<()> {
    ensure!(options.rows > 0 && options.organizations > 0 && options.lists > 0, "at least one of each is needed");
    let scratch = program::scratch(&options.common.scratch)?;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(async {
        let cluster = Cluster::start(ClusterOptions::new(scratch.path().join("postgres"))).await?;
        let logins = Logins::of_cluster(&cluster, cluster.database());
        Db::migrate(&logins.owner).await?;
        let db = Db::connect(&logins, &PoolSizes::default()).await?;
        db.maintain_partitions(Clock::system().now(), &[]).await?;
        let organizations: Vec<Uuid> = (0..options.organizations).map(|_| Uuid::from_bytes(random::bytes())).collect();
        let free = fill(&cluster, &organizations, options.rows).await?;
        let postgres = cluster.pid().context("PostgreSQL does not run")?;
        let figure = measure(options, &db, &free, postgres, &organizations).await?;
        free.close().await;
        db.close().await;
        cluster.stop().await?;
        figure.tell(&options.common.results)
    })
}

/// Makes the rows in the order of time, as they come in, and the role.
async fn fill(cluster: &Cluster, organizations: &[Uuid], rows: i64) -> anyhow::Result<PgPool> {
    let mut admin = PgConnection::connect_with(&cluster.superuser_url(cluster.database())).await?;
    sqlx::query(
        "
        -- bench_events
        insert into events (organization_id, id, connection_id, level, event_type, message, meta, actor, created_at)
        select
            ($1::uuid[])[1 + n % cardinality($1)],
            (lpad(to_hex((extract(epoch from made.at) * 1000)::bigint), 12, '0') || '7' || substr(md5(n::text), 1, 3)
                || 'a' || substr(md5(n::text), 4, 15))::uuid,
            case when n % 3 = 0 then null else ($1::uuid[])[1 + (n / 7) % cardinality($1)] end,
            'info', 'connection.updated', 'Shop ' || n % 100 || ' was changed.',
            jsonb_build_object('display_name', 'Shop ' || n % 100), 'system:bench', made.at
        from generate_series(0, $2::bigint - 1) as n,
            lateral (select now() - interval '27 days' * (1 - n / $2::float8) as at) as made
        ",
    )
    .bind(organizations)
    .bind(rows)
    .execute(&mut admin)
    .await?;
    let password = random::base62(32);
    let statements = [
        "vacuum (freeze, analyze) events".to_owned(),
        format!("create role {FREE} login bypassrls password '{password}'"),
        format!("grant connect on database {} to {FREE}", cluster.database()),
        format!("grant usage on schema public to {FREE}"),
        format!("grant select on events to {FREE}"),
        "checkpoint".to_owned(),
    ];
    for statement in statements {
        sqlx::raw_sql(AssertSqlSafe(statement)).execute(&mut admin).await?;
    }
    admin.close().await?;
    let login =
        cluster.superuser_url(cluster.database()).username(FREE).password(&password).options([db::TENANT_PLANS]);
    #[expect(clippy::disallowed_methods, reason = "the floor is a role that the product does not have")]
    Ok(PgPoolOptions::new().max_connections(4).test_before_acquire(false).connect_with(login).await?)
}

/// The text of `newest_events` without a filter, put together as its macro does.
fn query() -> anyhow::Result<&'static str> {
    const BEFORE: &str = "\" + $driven";
    const AFTER: &str = "+ \"";
    let start = STORE.find("-- newest_events").context("the query is not where it was")?;
    let (first, rest) = STORE[start..].split_once(BEFORE).context("the query is not put together as it was")?;
    let (_, rest) = rest.split_once(AFTER).context("the query is not put together as it was")?;
    let (last, _) = rest.split_once("\",").context("the query does not end")?;
    // One text for the whole run, as the product's is.
    Ok(format!("{first}{last}").leak())
}

/// Pages of an organization's events, one after the other.
struct Lists<'a> {
    sql: &'static str,
    /// One more than a page, as the list does to know whether there is another.
    fetch: i64,
    organizations: &'a [Uuid],
    next: usize,
}

impl Lists<'_> {
    fn organization(&mut self) -> Uuid {
        // A prime stride: neighbours in time are not neighbours here.
        self.next = self.next.wrapping_add(7_919);
        self.organizations[self.next % self.organizations.len()]
    }

    async fn list(&self, connection: &mut PgConnection, organization: Uuid) -> Result<usize, sqlx::Error> {
        let query = sqlx::query(self.sql).bind(organization).bind(Uuid::nil()).bind(Uuid::max()).bind(self.fetch);
        let query =
            query.bind(None::<Uuid>).bind(None::<&str>).bind(None::<&str>).bind(None::<&str>).bind(None::<&str>);
        let query = query.bind(None::<kernel::Time>).bind(None::<kernel::Time>).bind(None::<&str>);
        Ok(query.fetch_all(connection).await?.len())
    }

    async fn through_tenant(&mut self, db: &Db, count: usize) -> anyhow::Result<(f64, usize)> {
        let (started, mut rows) = (Instant::now(), 0);
        for _ in 0..count {
            let organization = self.organization();
            let mut tx = db.tenant(&TenantScope::internal::<List>(OrganizationId::from(organization))).await?;
            rows += self.list(tx.conn(), organization).await?;
            tx.commit().await?;
        }
        Ok((count as f64 / started.elapsed().as_secs_f64(), rows))
    }

    async fn freely(&mut self, pool: &PgPool, count: usize) -> anyhow::Result<(f64, usize)> {
        let (started, mut rows) = (Instant::now(), 0);
        for _ in 0..count {
            let organization = self.organization();
            let scope = TenantScope::internal::<List>(OrganizationId::from(organization));
            let begin = format!(
                "begin; set local app.organization_id = '{}'; set local app.permissions = '{}'",
                scope.organization(),
                scope.permissions_text()
            );
            let mut tx = pool.begin_with(AssertSqlSafe(begin)).await?;
            rows += self.list(&mut tx, organization).await?;
            tx.commit().await?;
        }
        Ok((count as f64 / started.elapsed().as_secs_f64(), rows))
    }
}

async fn measure(
    options: &Options,
    db: &Db,
    free: &PgPool,
    postgres: u32,
    organizations: &[Uuid],
) -> anyhow::Result<Figure> {
    let fetch = i64::from(page::DEFAULT_LIMIT) + 1;
    let mut lists = Lists { sql: query()?, fetch, organizations, next: 0 };
    let (mut floor, mut ours) = (vec![], vec![]);
    let (mut floor_cpu, mut ours_cpu) = (vec![], vec![]);
    let used_by =
        |since: Duration| cpu::of_tree(postgres).saturating_sub(since).as_secs_f64() * 1e6 / options.lists as f64;
    // The first round warms both.
    for round in 0..=options.common.rounds {
        let before = cpu::of_tree(postgres);
        let (plain, plain_rows) = lists.freely(free, options.lists).await?;
        let plain_cpu = used_by(before);
        let before = cpu::of_tree(postgres);
        let (tenant, tenant_rows) = lists.through_tenant(db, options.lists).await?;
        let tenant_cpu = used_by(before);
        ensure!(plain_rows > 0 && plain_rows.abs_diff(tenant_rows) <= options.lists, "the two do not read the same");
        if round > 0 {
            floor.push(plain);
            ours.push(tenant);
            floor_cpu.push(plain_cpu);
            ours_cpu.push(tenant_cpu);
        }
    }
    let (floor, ours, floor_cpu, ours_cpu) = (median(floor), median(ours), median(floor_cpu), median(ours_cpu));
    say(&format!(
        "{} events of {} organizations, {} rounds of {} lists of {} rows, one connection",
        options.rows,
        organizations.len(),
        options.common.rounds,
        options.lists,
        fetch
    ));
    say(&format!("bypassing RLS, plain WHERE   {floor:>8.0} lists/s   PostgreSQL's CPU {floor_cpu:>5.0} µs each"));
    say(&format!(
        "Db::tenant, under RLS        {ours:>8.0} lists/s                    {ours_cpu:>5.0} µs       {:.3} ×",
        ours / floor
    ));
    let also = serde_json::Map::from_iter([("unit".to_owned(), json!("lists/s"))]);
    Ok(Figure { name: "tenancy", floor, ours, ratio: ours / floor, goal: GOAL, better: Better::Higher, also })
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_query_is_the_one_of_the_event_list() {
        let query = super::query().unwrap();
        assert!(
            query.contains("from events") && query.trim_end().ends_with("limit $4") && !query.contains('+'),
            "{query}"
        );
    }
}
