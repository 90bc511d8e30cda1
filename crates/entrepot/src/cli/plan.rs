//! `entrepot plan` and `entrepot organizations`: what the operator decides of plans, as the system login.

use std::{path::PathBuf, str::FromStr};

use accounts::plans::operator::{self, ListedOrganization, Wanted};
use anyhow::Context;
use chrono::{DateTime, NaiveDate, NaiveTime, SecondsFormat, Utc};
use clap::{Args, Subcommand};
use db::{
    Db, PoolSizes,
    cluster::{Borrowed, ClusterOptions},
};
use kernel::{Clock, Limit, Subscription, SubscriptionStatus};
use kit::Problem;

use super::{database::Database, say};

#[derive(Args)]
pub(super) struct Plan {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Show the plan of an organization
    Show(Show),
    /// Set the plan of an organization. It holds on every node within a second
    Set(Set),
}

#[derive(Args)]
struct Place {
    /// Where the embedded PostgreSQL lives
    #[arg(long, env = "ENTREPOT_DATA_DIR", default_value = "data")]
    data_dir: PathBuf,
    #[command(flatten)]
    database: Database,
}

#[derive(Args)]
struct Show {
    /// Its id or its slug
    organization: String,
    #[command(flatten)]
    place: Place,
}

#[derive(Args)]
struct Set {
    /// Its id or its slug
    organization: String,
    /// free, starter, professional or enterprise. Another plan is active, and drops what was agreed for the one before
    #[arg(long)]
    plan: Option<kernel::Plan>,
    /// A number in place of the plan's, such as members=200; members= takes it back. Any number of times
    #[arg(long = "limit", value_name = "NAME=NUMBER")]
    limits: Vec<Agreed>,
    /// trial, active, inactive or cancelled. The last two are read-only
    #[arg(long)]
    status: Option<SubscriptionStatus>,
    /// When it ends, as a date (its midnight, UTC) or a time, and is free from then on; never: it goes on
    #[arg(long)]
    until: Option<Until>,
    #[command(flatten)]
    place: Place,
}

#[derive(Args)]
pub(super) struct Organizations {
    #[command(flatten)]
    place: Place,
}

/// `--limit`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Agreed(Limit, Option<u64>);

impl FromStr for Agreed {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let names = || Limit::ALL.iter().map(|limit| limit.as_str()).collect::<Vec<_>>().join(", ");
        let (name, number) = text.split_once('=').ok_or("is not NAME=NUMBER")?;
        let limit = name.parse().map_err(|_| format!("there is no limit {name}; there are {}", names()))?;
        let number = match number {
            "" => None,
            number => Some(number.parse().map_err(|_| format!("{number} is not a number"))?),
        };
        Ok(Self(limit, number))
    }
}

/// `--until`. None: never.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Until(Option<DateTime<Utc>>);

impl FromStr for Until {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if text == "never" {
            return Ok(Self(None));
        }
        if let Ok(date) = text.parse::<NaiveDate>() {
            return Ok(Self(Some(date.and_time(NaiveTime::MIN).and_utc())));
        }
        let time = DateTime::parse_from_rfc3339(text);
        time.map(|time| Self(Some(time.to_utc())))
            .map_err(|_| "is neither 2027-01-31, nor a time, nor never".to_owned())
    }
}

pub(super) async fn run(options: Plan) -> anyhow::Result<()> {
    match options.command {
        Command::Show(Show { organization, place }) => {
            at(place, async |db, clock| {
                let id = operator::find(db, &organization).await.map_err(told)?;
                say(&described(&operator::show(db, clock, id).await.map_err(told)?));
                Ok(())
            })
            .await
        }
        Command::Set(Set { organization, plan, limits, status, until, place }) => {
            let limits = limits.into_iter().map(|Agreed(limit, number)| (limit, number)).collect();
            let wanted = Wanted { plan, status, limits, ends_at: until.map(|Until(end)| end) };
            at(place, async |db, clock| {
                let id = operator::find(db, &organization).await.map_err(told)?;
                say(&described(&operator::set(db, clock, id, wanted).await.map_err(told)?));
                Ok(())
            })
            .await
        }
    }
}

pub(super) async fn list(options: Organizations) -> anyhow::Result<()> {
    at(options.place, async |db, clock| {
        say("id                                    plan          status     members  live reads today  slug");
        operator::list(db, clock, |row, subscription| say(&line(row, subscription))).await.map_err(told)
    })
    .await
}

fn line(row: &ListedOrganization, subscription: &Subscription) -> String {
    let (plan, status) = (subscription.plan.as_str(), subscription.status.as_str());
    let ListedOrganization { id, slug, members, live_reads_today, .. } = row;
    format!("{id}  {plan:<12}  {status:<9}  {members:>7}  {live_reads_today:>16}  {slug}")
}

/// The plan and each of its limits, with those that were agreed marked.
fn described(subscription: &Subscription) -> String {
    let mut text = format!("{}, {}", subscription.plan, subscription.status);
    if let Some(end) = subscription.ends_at {
        text.push_str(&format!(", until {}", end.to_rfc3339_opts(SecondsFormat::Secs, true)));
    }
    for limit in Limit::ALL {
        let agreed = if subscription.contract.0.contains_key(limit) { "  (agreed)" } else { "" };
        text.push_str(&format!("\n  {:<26}{:>10}{agreed}", limit.as_str(), subscription.limit(*limit)));
    }
    text
}

fn told(problem: Problem) -> anyhow::Error {
    match problem.code() {
        kit::Code::NotFound => anyhow::anyhow!("there is no such organization; `entrepot organizations` lists them"),
        _ => anyhow::anyhow!("{}", problem.detail()),
    }
}

/// With the database of the place, also while it is served from.
async fn at(place: Place, work: impl AsyncFnOnce(&Db, &Clock) -> anyhow::Result<()>) -> anyhow::Result<()> {
    let (logins, cluster) = match place.database.logins()? {
        Some(logins) => (logins, None),
        None => {
            let cluster = Borrowed::of(ClusterOptions::new(place.data_dir.join("postgres"))).await?;
            (cluster.logins(), Some(cluster))
        }
    };
    let db = Db::connect(&logins, &PoolSizes::default()).await.context("the database cannot be used")?;
    let done = work(&db, &Clock::system()).await;
    db.close().await;
    if let Some(cluster) = cluster {
        cluster.give_back().await?;
    }
    done
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_limit_is_a_name_and_a_number_or_nothing() {
        assert_eq!("members=200".parse(), Ok(Agreed(Limit::Members, Some(200))));
        assert_eq!("members=".parse(), Ok(Agreed(Limit::Members, None)));
        for bad in ["members", "member=3", "members=-1", "members=many", "=3"] {
            assert!(bad.parse::<Agreed>().is_err(), "{bad}");
        }
    }

    #[test]
    fn an_end_is_a_date_a_time_or_never() {
        let midnight = DateTime::parse_from_rfc3339("2027-01-31T00:00:00Z").unwrap().to_utc();
        assert_eq!("2027-01-31".parse(), Ok(Until(Some(midnight))));
        assert_eq!("2027-01-31T01:00:00+01:00".parse(), Ok(Until(Some(midnight))));
        assert_eq!("never".parse(), Ok(Until(None)));
        for bad in ["", "tomorrow", "2027-02-30"] {
            assert!(bad.parse::<Until>().is_err(), "{bad}");
        }
    }
}
