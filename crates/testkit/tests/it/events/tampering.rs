//! Whatever is done to a sealed line is found, and named.

use entrepot::verify::{Finding, verify};
use kernel::{Action, OrganizationId, Resource, TenantScope, scope::InternalTask};
use kit::trail::chain::{self, Log, Wrong};
use sqlx::{AssertSqlSafe, PgConnection, Row};
use testkit::{Member, TestApp};
use uuid::Uuid;

use super::fill;

enum Sealing {}
impl InternalTask for Sealing {
    const NAME: &'static str = "sealing";
    const PERMISSIONS: &'static [(Resource, Action)] =
        &[(Resource::Audit, Action::Create), (Resource::Audit, Action::Read)];
}

/// Seals everything that can be sealed; how many seals that took. Transactions of other tests hold up what is newer.
async fn seal(app: &TestApp, organization: Uuid, log: Log) -> usize {
    let scope = TenantScope::internal::<Sealing>(organization.into());
    let mut seals = 0;
    loop {
        let mut tx = app.app().db.tenant(&scope).await.expect("a transaction");
        let is_sealed = chain::seal(&mut tx, app.clock(), log).await.expect("a seal");
        tx.commit().await.expect("committed");
        seals += usize::from(is_sealed);
        let found = state(app, organization, log).await;
        if !is_sealed && found.unsealed == 0 && left(app, organization, log).await == 0 {
            return seals;
        }
    }
}

/// Lines that are in no seal.
async fn left(app: &TestApp, organization: Uuid, log: Log) -> i64 {
    let (lines, seals) = tables(log);
    // Sums would not do: a seal also holds lines of the month before, which leave earlier.
    let sql = format!(
        "select count(*) from {lines} where organization_id = $1 and (xid, id) > (
            select last.xid, last.id from (
                select last_xid as xid, last_id as id, number from {seals} where organization_id = $1
                union all
                select '0'::xid8, '00000000-0000-0000-0000-000000000000'::uuid, 0
            ) last order by last.number desc limit 1)"
    );
    sqlx::query_scalar(AssertSqlSafe(sql))
        .bind(organization)
        .fetch_one(&mut app.superuser().await)
        .await
        .expect("a count")
}

const fn tables(log: Log) -> (&'static str, &'static str) {
    match log {
        Log::Events => ("events", "event_seals"),
        Log::Audit => ("audit_log", "audit_seals"),
    }
}

async fn state(app: &TestApp, organization: Uuid, log: Log) -> chain::Verified {
    let scope = TenantScope::internal::<Sealing>(organization.into());
    let mut tx = app.app().db.tenant(&scope).await.expect("a transaction");
    chain::verify(&mut tx, log).await.expect("verified")
}

async fn fault(app: &TestApp, organization: Uuid, log: Log) -> Option<(Wrong, Option<Uuid>)> {
    state(app, organization, log).await.fault.map(|fault| (fault.wrong, fault.line))
}

async fn execute(conn: &mut PgConnection, sql: &str) -> u64 {
    let done = sqlx::raw_sql(AssertSqlSafe(sql.to_owned())).execute(conn).await;
    done.unwrap_or_else(|error| panic!("{sql}: {error}")).rows_affected()
}

/// An organization whose logs are sealed, in several seals.
async fn sealed() -> (TestApp, Member) {
    let app = TestApp::start().await;
    let kata = app.sign_up("Kata").await;
    let mut superuser = app.superuser().await;
    fill(&mut superuser, kata.organization, 2_500, app.clock().now()).await;
    execute(
        &mut superuser,
        &format!(
            "insert into audit_log (organization_id, id, actor, action, resource, resource_id, before, after, request_id, created_at)
             select organization_id, id, actor, event_type, 'connection', connection_id, null, meta, 'r' || id, created_at
             from events where organization_id = '{}'",
            kata.organization
        ),
    )
    .await;
    assert!(seal(&app, kata.organization, Log::Events).await >= 3);
    assert!(seal(&app, kata.organization, Log::Audit).await >= 3);
    for log in Log::ALL {
        assert_eq!(fault(&app, kata.organization, log).await, None);
    }
    (app, kata)
}

/// The ids of a log's lines in the order of their commits.
async fn ids(conn: &mut PgConnection, table: &str, organization: Uuid) -> Vec<Uuid> {
    let sql = format!("select id from {table} where organization_id = '{organization}' order by xid, id");
    sqlx::query_scalar(AssertSqlSafe(sql)).fetch_all(conn).await.expect("ids")
}

#[tokio::test(flavor = "multi_thread")]
async fn any_column_of_any_line_that_is_altered_is_found() {
    let (app, kata) = sealed().await;
    let mut superuser = app.superuser().await;
    for log in Log::ALL {
        let (table, _) = tables(log);
        let lines = ids(&mut superuser, table, kata.organization).await;
        let columns = sqlx::query("select attname::text as name, format_type(atttypid, null) as kind from pg_attribute where attrelid = $1::text::regclass and attnum > 0 and not attisdropped")
            .bind(table)
            .fetch_all(&mut superuser)
            .await
            .expect("columns");
        assert!(columns.len() >= 10);
        for (index, column) in columns.iter().enumerate() {
            let (name, kind): (String, String) = (column.get("name"), column.get("kind"));
            let line = lines[(index * 211 + 7) % lines.len()];
            let other = match (name.as_str(), kind.as_str()) {
                ("level", _) => "case level when 'error' then 'info' else 'error' end".to_owned(),
                (_, "uuid") if name == "id" => "(substr(id::text, 1, 35) || translate(substr(id::text, 36), '0123456789abcdef', '123456789abcdef0'))::uuid".to_owned(),
                (_, "uuid") => format!("'{}'", kernel::JobId::new(app.clock())),
                (_, "text") => format!("coalesce({name}, '') || '!'"),
                (_, "jsonb") => format!("coalesce({name}, '{{}}') || '{{\"x\": 1}}'"),
                (_, "xid8") => "(xid::text::bigint - 1)::text::xid8".to_owned(),
                (_, "timestamp with time zone") => format!("{name} + interval '1 microsecond'"),
                other => panic!("{other:?}: how is it altered?"),
            };
            let place = format!("where organization_id = '{}' and id = '{line}'", kata.organization);
            execute(&mut superuser, &format!("create temp table kept as select * from {table} {place}")).await;
            assert_eq!(execute(&mut superuser, &format!("update {table} set {name} = {other} {place}")).await, 1);
            let found = fault(&app, kata.organization, log).await;
            assert!(found.is_some(), "{table}.{name}");
            match name.as_str() {
                // As if it were another line, or none.
                "id" | "organization_id" => {}
                // In another place of the order it is one too many there.
                "xid" => assert_eq!(found.and_then(|(_, line)| line), Some(line), "{table}.{name}"),
                _ => assert_eq!(found, Some((Wrong::Altered, Some(line))), "{table}.{name}"),
            }
            let sql = format!(
                "delete from {table} where (organization_id = '{}' and xid = (select xid from kept) and id not in (select unnest($1::uuid[]))) or id = '{line}'",
                kata.organization
            );
            sqlx::query(AssertSqlSafe(sql)).bind(&lines).execute(&mut superuser).await.expect("taken out");
            execute(&mut superuser, &format!("insert into {table} select * from kept")).await;
            execute(&mut superuser, "drop table kept").await;
            assert_eq!(fault(&app, kata.organization, log).await, None, "{table}.{name} was put back");
        }
    }
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_line_that_is_removed_put_in_between_or_swapped_is_named() {
    let (app, kata) = sealed().await;
    let mut superuser = app.superuser().await;
    let organization = kata.organization;
    for log in Log::ALL {
        let (table, _) = tables(log);
        let lines = ids(&mut superuser, table, organization).await;
        execute(&mut superuser, &format!("drop table if exists whole; create temp table whole as select * from {table} where organization_id = '{organization}'")).await;
        let mid = lines[lines.len() / 2];
        let foreign = Uuid::from_u128(mid.as_u128() + 1);
        let (first, second, last) = (lines[10], lines[20], lines[lines.len() - 1]);
        let columns: String = sqlx::query_scalar("select string_agg(attname, ', ') from pg_attribute where attrelid = $1::text::regclass and attnum > 0 and attname not in ('id', 'organization_id', 'xid')")
            .bind(table).fetch_one(&mut superuser).await.expect("columns");
        let cases = [
            ("removed", format!("delete from {table} where id = '{mid}'"), Wrong::Removed, mid),
            (
                "the first removed",
                format!("delete from {table} where id = '{}' and organization_id = '{organization}'", lines[0]),
                Wrong::Removed,
                lines[0],
            ),
            (
                "put in between",
                format!(
                    "insert into {table} (organization_id, id, xid, {columns}) select organization_id, '{foreign}', xid, {columns} from {table} where id = '{mid}'"
                ),
                Wrong::Inserted,
                foreign,
            ),
            (
                "swapped",
                format!(
                    "update {table} t set ({columns}) = (select {columns} from whole w where w.id = case t.id when '{first}' then '{second}'::uuid else '{first}' end) where id in ('{first}', '{second}')"
                ),
                Wrong::Altered,
                first,
            ),
            ("the end cut off", format!("delete from {table} where id = '{last}'"), Wrong::Removed, last),
        ];
        for (what, sql, wrong, line) in cases {
            assert!(execute(&mut superuser, &sql).await > 0, "{what}");
            assert_eq!(fault(&app, organization, log).await, Some((wrong, Some(line))), "{table}: {what}");
            execute(&mut superuser, &format!("delete from {table} where organization_id = '{organization}'; ")).await;
            execute(&mut superuser, &format!("insert into {table} select * from whole")).await;
            assert_eq!(fault(&app, organization, log).await, None, "{table}: put back");
        }
    }
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_seal_that_is_altered_removed_or_doubled_is_named() {
    let (app, kata) = sealed().await;
    let mut superuser = app.superuser().await;
    let organization = kata.organization;
    execute(&mut superuser, "create temp table whole as select * from event_seals").await;
    let cases = [
        (
            "update event_seals set lines = set_byte(lines, 30, get_byte(lines, 30) # 1) where number = 2",
            Wrong::SealAltered,
        ),
        ("update event_seals set created_at = created_at + interval '1 second' where number = 2", Wrong::SealAltered),
        ("update event_seals set hash = sha256(hash) where number = 2", Wrong::SealAltered),
        ("delete from event_seals where number = 2", Wrong::SealBroken),
        (
            "insert into event_seals (organization_id, id, number, last_xid, last_id, lines, previous, hash, created_at) select organization_id, (substr(id::text, 1, 24) || '00000000000f')::uuid, number, last_xid, last_id, lines, previous, hash, created_at from event_seals where number = 2",
            Wrong::SealBroken,
        ),
    ];
    for (sql, wrong) in cases {
        assert_eq!(execute(&mut superuser, sql).await, 1, "{sql}");
        assert_eq!(fault(&app, organization, Log::Events).await, Some((wrong, None)), "{sql}");
        execute(&mut superuser, "delete from event_seals").await;
        execute(&mut superuser, "insert into event_seals select * from whole").await;
        assert_eq!(fault(&app, organization, Log::Events).await, None);
    }
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_program_can_neither_change_seals_nor_add_one_for_a_person() {
    let (app, kata) = sealed().await;
    let mut login = app.installation.database.login(db::Login::App).await;
    for table in ["event_seals", "audit_seals", "events", "audit_log"] {
        for sql in [format!("update {table} set created_at = created_at"), format!("delete from {table}")] {
            let refused = sqlx::query(AssertSqlSafe(sql.clone())).execute(&mut login).await.expect_err(&sql);
            assert_eq!(refused.as_database_error().and_then(|error| error.code()).as_deref(), Some("42501"), "{sql}");
        }
    }
    enum Owner {}
    impl InternalTask for Owner {
        const NAME: &'static str = "owner";
        const PERMISSIONS: &'static [(Resource, Action)] =
            &[(Resource::Audit, Action::Read), (Resource::Events, Action::Read)];
    }
    fill(&mut app.superuser().await, kata.organization, 3, app.clock().now() - chrono::TimeDelta::hours(5)).await;
    let scope = TenantScope::internal::<Owner>(OrganizationId::from(kata.organization));
    app.eventually("there is a line to seal", || async {
        state(&app, kata.organization, Log::Events).await.unsealed == 3
    })
    .await;
    let mut tx = app.app().db.tenant(&scope).await.expect("a transaction");
    let refused = chain::seal(&mut tx, app.clock(), Log::Events).await.expect_err("no role may seal");
    assert!(matches!(refused, db::DbError::Refused { .. }), "{refused}");
    tx.rollback().await.expect("rolled back");
    app.finish().await;
}

/// A seal that went past a line that is not there yet would never hold it.
#[tokio::test(flavor = "multi_thread")]
async fn a_line_that_is_committed_late_is_sealed_with_those_that_waited_for_it() {
    let app = TestApp::start().await;
    let kata = app.sign_up("Kata").await;
    seal(&app, kata.organization, Log::Events).await;
    let (mut slow, mut quick, now) = (app.superuser().await, app.superuser().await, app.clock().now());
    execute(&mut slow, "begin").await;
    fill(&mut slow, kata.organization, 3, now).await;
    fill(&mut quick, kata.organization, 2, now - chrono::TimeDelta::hours(1)).await;
    let scope = TenantScope::internal::<Sealing>(kata.organization.into());
    let mut tx = app.app().db.tenant(&scope).await.expect("a transaction");
    assert!(!chain::seal(&mut tx, app.clock(), Log::Events).await.expect("no seal"), "what came later waits");
    tx.commit().await.expect("committed");
    execute(&mut slow, "commit").await;
    assert!(seal(&app, kata.organization, Log::Events).await > 0);
    let found = state(&app, kata.organization, Log::Events).await;
    assert_eq!((found.fault, found.lines, found.unsealed), (None, 1 + 3 + 2, 0));
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_leaves_with_its_month_is_no_fault_and_the_chain_goes_on() {
    let (app, kata) = sealed().await;
    for months in 1..=5 {
        app.advance(chrono::TimeDelta::days(31)).await;
        fill(&mut app.superuser().await, kata.organization, 40 + months, app.clock().now()).await;
        seal(&app, kata.organization, Log::Events).await;
        let found = state(&app, kata.organization, Log::Events).await;
        assert_eq!(found.fault, None, "after {months} months");
    }
    let found = state(&app, kata.organization, Log::Events).await;
    let (number, _) = found.head.clone().expect("seals");
    assert!(found.seals < u64::try_from(number).expect("a count"), "the oldest seals have left: {found:?}");
    assert!(found.lines > 0);
    // What is left is held as before.
    let mut superuser = app.superuser().await;
    let lines = ids(&mut superuser, "events", kata.organization).await;
    let victim = lines[lines.len() / 2];
    execute(&mut superuser, &format!("delete from events where id = '{victim}'")).await;
    assert_eq!(fault(&app, kata.organization, Log::Events).await, Some((Wrong::Removed, Some(victim))));
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_command_tells_of_every_organization_and_the_job_seals_them() {
    let app = TestApp::start().await;
    let (kata, bela) = (app.sign_up("Kata").await, app.sign_up("Bela").await);
    app.advance(chrono::TimeDelta::minutes(16)).await;
    for member in [&kata, &bela] {
        for log in Log::ALL {
            app.eventually("the job has sealed the sign-up", || async {
                state(&app, member.organization, log).await.seals > 0
            })
            .await;
        }
    }
    let told = std::sync::Mutex::new(vec![]);
    let tell = |line: &str| told.lock().unwrap().push(line.to_owned());
    let findings: Vec<Finding> = verify(&app.app().db, None, tell).await.expect("verified");
    assert!(findings.is_empty());
    assert_eq!(told.lock().unwrap().len(), 4, "two organizations with two logs each: {told:?}");
    let mut superuser = app.superuser().await;
    execute(
        &mut superuser,
        &format!("update events set message = 'nothing' where organization_id = '{}'", bela.organization),
    )
    .await;
    let findings = verify(&app.app().db, None, |_| ()).await.expect("verified");
    let [finding] = &findings[..] else { panic!("one log was altered: {}", findings.len()) };
    assert_eq!((finding.organization.uuid(), finding.log), (bela.organization, Log::Events));
    assert_eq!(verify(&app.app().db, Some(kata.organization.into()), |_| ()).await.expect("verified").len(), 0);
    app.finish().await;
}
