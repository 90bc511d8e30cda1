//! Proofs that can fail: every policy, table and key is broken one at a time, and each time the check must see it.

use sqlx::{AssertSqlSafe, PgConnection, Row};
use testkit::cluster::Database;

use super::check::{Rule, Table, tables, violations};

/// A way to break the schema, and the rule that must notice.
struct Mutant {
    sql: Vec<String>,
    rule: Rule,
}

impl Mutant {
    fn new(rule: Rule, sql: impl Into<String>) -> Self {
        Self { sql: vec![sql.into()], rule }
    }
}

async fn policies(conn: &mut PgConnection) -> Vec<Mutant> {
    let rows = sqlx::query(
        "select format('%I on %I.%I', polname, n.nspname, c.relname) as place, polqual is not null as has_using, polwithcheck is not null as has_check,
            pg_get_expr(polqual, polrelid) as qual, pg_get_expr(polwithcheck, polrelid) as check_
         from pg_policy p join pg_class c on c.oid = p.polrelid join pg_namespace n on n.oid = c.relnamespace",
    )
    .fetch_all(conn)
    .await
    .expect("policies");
    let mut mutants = vec![];
    for row in rows {
        let place: String = row.get("place");
        // Without its policy a grant is left over; a table that both are gone from is seen by the list.
        mutants.push(Mutant::new(Rule::Grants, format!("drop policy {place}")));
        mutants.push(Mutant::new(Rule::Policies, format!("alter policy {place} to public")));
        for (clause, column) in [("using", "qual"), ("with check", "check_")] {
            let Some(expression) = row.get::<Option<String>, _>(column) else { continue };
            let widened = if expression == "true" { "false" } else { "true" };
            mutants.push(Mutant::new(Rule::Policies, format!("alter policy {place} {clause} ({widened})")));
            mutants.push(Mutant::new(Rule::Policies, format!("alter policy {place} {clause} (not ({expression}))")));
            if expression != "true" {
                mutants.push(Mutant::new(
                    Rule::Policies,
                    format!("alter policy {place} {clause} (({expression}) or true)"),
                ));
                mutants.push(Mutant::new(
                    Rule::Policies,
                    format!("alter policy {place} {clause} (({expression}) or current_user = 'entrepot_app')"),
                ));
            }
            if expression.contains("app.can(") {
                let column = if expression.starts_with("((id") { "id" } else { "organization_id" };
                let tenant_only = format!("{column} = (select current_setting('app.organization_id')::uuid)");
                mutants.push(Mutant::new(Rule::Policies, format!("alter policy {place} {clause} ({tenant_only})")));
            }
        }
    }
    mutants
}

fn of_table(table: &Table) -> Vec<Mutant> {
    let name = &table.name;
    let mut mutants = vec![];
    if !super::lists::WITHOUT_RLS.contains(&name.as_str()) {
        mutants.push(Mutant::new(Rule::Rls, format!("alter table {name} disable row level security")));
        mutants.push(Mutant::new(Rule::Rls, format!("alter table {name} no force row level security")));
    }
    for login in super::check::SERVING {
        mutants.push(Mutant::new(Rule::Grants, format!("grant truncate on {name} to {login}")));
    }
    mutants.push(Mutant::new(Rule::Grants, format!("grant select on {name} to public")));
    if table.is_tenant() {
        let policy = format!("create policy another on {name} for select to entrepot_ingest using (true)");
        mutants.push(Mutant {
            sql: vec![policy, format!("grant select on {name} to entrepot_ingest")],
            rule: Rule::Policies,
        });
        let view = format!("create view public.around as select * from {name}");
        mutants.push(Mutant::new(Rule::Views, view));
        if !table.columns.is_empty() {
            let column = table.columns.keys().find(|column| *column != "organization_id").expect("a column");
            mutants.push(Mutant::new(
                Rule::Tables,
                format!("create table public.loose (id uuid primary key, {column} text)"),
            ));
        }
    }
    if table.is_partition {
        mutants.push(Mutant::new(Rule::Grants, format!("grant select on {name} to entrepot_app")));
    }
    mutants
}

/// Every composite key, replaced by a plain one to the same table.
async fn foreign_keys(conn: &mut PgConnection) -> Vec<Mutant> {
    let rows = sqlx::query(
        "select c.conname::text as name, c.conrelid::regclass::text as from_table, c.confrelid::regclass::text as to_table,
            (select attname::text from pg_attribute a where a.attrelid = c.conrelid and a.attnum = any(c.conkey) and attname <> 'organization_id') as column
         from pg_constraint c where c.contype = 'f' and cardinality(c.conkey) = 2",
    )
    .fetch_all(conn)
    .await
    .expect("keys");
    let replace = |row: &sqlx::postgres::PgRow| {
        let (name, from, to, column): (String, String, String, String) =
            (row.get("name"), row.get("from_table"), row.get("to_table"), row.get("column"));
        let sql = vec![
            format!("create unique index mutant on {to} (id)"),
            format!("alter table {from} drop constraint {name}"),
            format!("alter table {from} add constraint {name} foreign key ({column}) references {to} (id)"),
        ];
        Mutant { sql, rule: Rule::ForeignKeys }
    };
    rows.iter().map(replace).collect()
}

fn others() -> Vec<Mutant> {
    let one = Mutant::new;
    vec![
        one(Rule::UniqueKeys, "create unique index mutant on connections (external_account)"),
        one(Rule::Functions, "create function app.mutant() returns int language sql security definer as 'select 1'"),
        one(Rule::Functions, "alter function app.maintain_partitions(timestamptz) reset search_path"),
        one(Rule::Functions, "alter function app.maintain_partitions(timestamptz) set search_path = public"),
        one(Rule::Functions, "grant execute on function app.maintain_partitions(timestamptz) to public"),
        one(Rule::Time, "alter table connections alter column created_at set default now()"),
        one(Rule::Time, "create function app.mutant() returns timestamptz language sql as 'select current_timestamp'"),
        one(Rule::Time, "alter table events add check (created_at < now())"),
        one(Rule::Secrets, "alter table connections add column webhook_secret text"),
        one(Rule::Secrets, "alter table sessions alter column token_hash type text using ''"),
        one(Rule::Tables, "create table public.loose (id uuid primary key)"),
        one(Rule::Tables, "create table public.loose (id uuid primary key, organization_id uuid not null)"),
        one(Rule::Tables, "create table public.loose (id uuid, organization_id uuid, unique (organization_id, id))"),
        one(Rule::Logins, "alter role entrepot_app bypassrls"),
        one(Rule::Logins, "grant entrepot_system to entrepot_app"),
        one(Rule::Logins, "grant create on schema public to entrepot_app"),
        one(Rule::Logins, "grant entrepot_backup to pg_monitor"),
        one(Rule::Logins, "alter role entrepot_backup superuser"),
        one(Rule::Logins, "alter role entrepot_backup nobypassrls"),
        one(Rule::Logins, "grant pg_write_all_data to entrepot_backup"),
        one(Rule::Grants, "grant insert on connections to entrepot_backup"),
        one(Rule::Logins, "alter table events owner to entrepot_app"),
        one(Rule::Grants, "grant update (display_name) on connections to entrepot_system"),
        one(Rule::Grants, "revoke select on connections from entrepot_app"),
        one(Rule::Grants, "grant update on connections to entrepot_app"),
        one(Rule::Grants, "grant update (provider_key) on connections to entrepot_app"),
        one(Rule::Grants, "grant update (organization_id) on credentials to entrepot_app"),
        one(Rule::Grants, "grant update (connection_id) on credentials to public"),
        one(Rule::Grants, "revoke update (sealed) on credentials from entrepot_app"),
        one(Rule::Grants, "grant update (scope_id) on data_keys to entrepot_app"),
        one(Rule::Lists, "drop table schedules"),
    ]
}

#[tokio::test(flavor = "multi_thread")]
async fn every_way_to_break_the_schema_is_seen() {
    let database = Database::create().await;
    let clock = kernel::Clock::system();
    let db = db::Db::connect(&database.logins(), &db::PoolSizes::default()).await.expect("the logins connect");
    db.maintain_partitions(clock.now(), &[]).await.expect("partitions");
    let mut superuser = database.superuser().await;
    let mut mutants = policies(&mut superuser).await;
    let (of_policies, keys) = (mutants.len(), foreign_keys(&mut superuser).await);
    assert!(of_policies > 150 && keys.len() >= 4, "{of_policies} policies, {} keys", keys.len());
    mutants.extend(keys);
    let all = tables(&mut superuser).await;
    mutants.extend(all.iter().flat_map(of_table));
    mutants.extend(others());
    let total = mutants.len();

    let mut survivors = vec![];
    for Mutant { sql, rule } in mutants {
        run(&mut superuser, "begin").await;
        for statement in &sql {
            run(&mut superuser, statement).await;
        }
        let found = violations(&mut superuser).await;
        run(&mut superuser, "rollback").await;
        if !found.iter().any(|violation| violation.rule == rule) {
            survivors.push((sql, rule, found));
        }
    }
    assert!(survivors.is_empty(), "{} of {total} were not seen: {survivors:#?}", survivors.len());
    let found = violations(&mut superuser).await;
    assert!(found.is_empty(), "what was broken is whole again: {found:#?}");
    println!("{total} mutants, all seen");
}

async fn run(conn: &mut PgConnection, sql: &str) {
    sqlx::query(AssertSqlSafe(sql.to_owned())).execute(conn).await.unwrap_or_else(|error| panic!("{sql}: {error}"));
}
