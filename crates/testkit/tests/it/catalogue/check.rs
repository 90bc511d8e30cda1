//! The rules of the data model, asked of the catalogue of a database.

use std::collections::{BTreeMap, BTreeSet};

use sqlx::{PgConnection, Row, postgres::PgRow};

use super::lists::{ASKED, CHANGED, DEFINERS, GLOBAL_TABLES, NARROWED, NOT_SEALED, OPEN_POLICIES, WITHOUT_RLS};

/// A broken rule.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Violation {
    pub(super) rule: Rule,
    pub(super) what: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Rule {
    Tables,
    Rls,
    Policies,
    Grants,
    ForeignKeys,
    UniqueKeys,
    Views,
    Functions,
    Time,
    Secrets,
    Logins,
    Lists,
}

pub(super) const SERVING: [&str; 3] = ["entrepot_app", "entrepot_system", "entrepot_ingest"];
/// The one way to read the tenant: evaluated once per query, and loud when none is set.
const TENANT: &str = "( SELECT (current_setting('app.organization_id'::text))::uuid AS current_setting)";

#[derive(Debug)]
pub(super) struct Table {
    pub(super) name: String,
    pub(super) is_partition: bool,
    enabled: bool,
    forced: bool,
    pub(super) columns: BTreeMap<String, (String, bool)>,
    primary_key: Vec<String>,
}

impl Table {
    pub(super) fn is_global(&self) -> bool {
        GLOBAL_TABLES.iter().any(|(name, _)| *name == self.name)
    }

    /// Rows belong to one organization each.
    pub(super) fn is_tenant(&self) -> bool {
        !self.is_global() && !self.is_partition
    }
}

/// Every table, partitions included.
pub(super) async fn tables(conn: &mut PgConnection) -> Vec<Table> {
    let rows = all(
        conn,
        "select n.nspname || '.' || c.relname as name, c.relispartition, c.relrowsecurity, c.relforcerowsecurity,
            coalesce((
                select jsonb_object_agg(a.attname, jsonb_build_array(format_type(a.atttypid, null), a.attnotnull))
                from pg_attribute a where a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped
            ), '{}') as columns,
            coalesce((
                select array_agg(a.attname::text order by k.place)
                from pg_index i
                cross join unnest(i.indkey::int2[]) with ordinality k (attnum, place)
                join pg_attribute a on a.attrelid = c.oid and a.attnum = k.attnum
                where i.indrelid = c.oid and i.indisprimary
            ), '{}') as primary_key
         from pg_class c join pg_namespace n on n.oid = c.relnamespace
         where c.relkind in ('r', 'p', 'f', 'm') and n.nspname not in ('pg_catalog', 'information_schema', 'pg_toast')
         order by 1",
    )
    .await;
    let table = |row: &PgRow| Table {
        name: row.get("name"),
        is_partition: row.get("relispartition"),
        enabled: row.get("relrowsecurity"),
        forced: row.get("relforcerowsecurity"),
        columns: serde_json::from_value(row.get("columns")).expect("columns"),
        primary_key: row.get("primary_key"),
    };
    rows.iter().map(table).collect()
}

async fn all(conn: &mut PgConnection, sql: &'static str) -> Vec<PgRow> {
    sqlx::query(sql).fetch_all(conn).await.expect("the catalogue answers")
}

/// Everything that is wrong.
pub(super) async fn violations(conn: &mut PgConnection) -> BTreeSet<Violation> {
    let tables = tables(conn).await;
    let mut found = Found(BTreeSet::new());
    found.shape(&tables);
    let policies = found.policies(conn, &tables).await;
    found.grants(conn, &tables, &policies).await;
    found.columns(conn).await;
    found.keys(conn, &tables).await;
    found.programs(conn).await;
    found.logins(conn).await;
    found.0
}

struct Found(BTreeSet<Violation>);

/// Login, table, command.
type Triple = (String, String, String);

impl Found {
    fn add(&mut self, rule: Rule, what: impl Into<String>) {
        self.0.insert(Violation { rule, what: what.into() });
    }

    fn shape(&mut self, tables: &[Table]) {
        for table in tables {
            let name = &table.name;
            if !WITHOUT_RLS.contains(&name.as_str()) && (!table.enabled || !table.forced) {
                self.add(Rule::Rls, format!("{name}: row level security is not enabled and forced"));
            }
            for (column, (kind, _)) in &table.columns {
                let whole = format!("{name}.{column}");
                let is_secret = ["secret", "token", "sealed", "wrapped", "password", "private", "_hash", "cipher"]
                    .iter()
                    .any(|word| column.contains(word));
                if is_secret && kind != "bytea" && !NOT_SEALED.iter().any(|(listed, _)| *listed == whole) {
                    self.add(Rule::Secrets, format!("{whole} is named like a secret and is {kind}"));
                }
            }
            if table.is_global() {
                continue;
            }
            if table.columns.get("organization_id") != Some(&("uuid".to_owned(), true)) {
                self.add(
                    Rule::Tables,
                    format!("{name}: no organization_id uuid not null, and not a listed global table"),
                );
            }
            if table.primary_key.first().map(String::as_str) != Some("organization_id") {
                self.add(Rule::Tables, format!("{name}: the primary key does not begin with organization_id"));
            }
        }
        for (listed, _) in GLOBAL_TABLES {
            if !tables.iter().any(|table| table.name == *listed) {
                self.add(Rule::Lists, format!("{listed} is listed and not there"));
            }
        }
    }

    /// The policies, as far as they are sound: login, table, command.
    async fn policies(&mut self, conn: &mut PgConnection, tables: &[Table]) -> BTreeSet<Triple> {
        let rows = all(
            conn,
            "select n.nspname || '.' || c.relname as table_name, p.polname::text as name, p.polpermissive as permissive,
                case p.polcmd when 'r' then 'select' when 'a' then 'insert' when 'w' then 'update' when 'd' then 'delete' else 'all' end as command,
                array(select case r when 0 then 'public' else pg_get_userbyid(r)::text end from unnest(p.polroles) r) as roles,
                pg_get_expr(p.polqual, p.polrelid) as qual, pg_get_expr(p.polwithcheck, p.polrelid) as check_
             from pg_policy p join pg_class c on c.oid = p.polrelid join pg_namespace n on n.oid = c.relnamespace
             order by 1, 2",
        )
        .await;
        let mut triples = BTreeSet::new();
        let mut open = BTreeSet::new();
        let mut asked = BTreeSet::new();
        for row in &rows {
            let (table, name): (String, String) = (row.get("table_name"), row.get("name"));
            let (command, roles): (String, Vec<String>) = (row.get("command"), row.get("roles"));
            let place = format!("{table}: policy {name}");
            let [role] = roles.as_slice() else {
                self.add(Rule::Policies, format!("{place} names {roles:?} and not one login"));
                continue;
            };
            if !SERVING.contains(&role.as_str()) || !row.get::<bool, _>("permissive") || command == "all" {
                self.add(Rule::Policies, format!("{place} is for {role}, {command}"));
                continue;
            }
            if tables.iter().any(|known| known.name == table && known.is_partition) {
                self.add(Rule::Policies, format!("{place}: a partition has a policy"));
            }
            let triple = (role.clone(), table.clone(), command.clone());
            if !triples.insert(triple.clone()) {
                self.add(Rule::Policies, format!("{place} is a second one for {role}, {command}"));
            }
            let (qual, check): (Option<String>, Option<String>) = (row.get("qual"), row.get("check_"));
            let needed = match command.as_str() {
                "select" | "delete" => (true, false),
                "insert" => (false, true),
                _ => (true, true),
            };
            if (qual.is_some(), check.is_some()) != needed {
                self.add(Rule::Policies, format!("{place}: using and with check are not those of {command}"));
            }
            let listed = OPEN_POLICIES.iter().any(|(l, t, c)| (*l, *t, *c) == (role, &table, &command));
            if role != "entrepot_app" || listed {
                open.insert(triple);
                if !listed {
                    self.add(
                        Rule::Policies,
                        format!("{place}: {role} may {command} rows of all tenants, and is not listed"),
                    );
                }
                if [&qual, &check].into_iter().flatten().any(|text| text != "true") {
                    self.add(Rule::Policies, format!("{place} is listed as open and is not `true`"));
                }
                continue;
            }
            let tenant = match table.as_str() {
                "public.organizations" => format!("(id = {TENANT})"),
                _ => format!("(organization_id = {TENANT})"),
            };
            if table == "public.users" {
                let expected = format!(
                    "(EXISTS ( SELECT 1 FROM organization_members m WHERE ((m.organization_id = {TENANT}) AND (m.user_id = users.id))))"
                );
                if qual.as_deref().map(one_line) != Some(expected) {
                    self.add(Rule::Policies, format!("{place} is not: those who sit in the tenant"));
                }
                continue;
            }
            let mut permissions = BTreeSet::new();
            let narrowed = NARROWED.iter().find(|(t, c, ..)| (*t, *c) == (&table, &command));
            let clauses = [
                (&qual, narrowed.filter(|(_, _, is_asked, ..)| *is_asked)),
                (&check, narrowed.filter(|(_, _, _, is_asked, _)| *is_asked)),
            ];
            for (text, narrowed) in clauses.iter().filter_map(|(text, narrowed)| Some((text.as_deref()?, narrowed))) {
                let mut text = one_line(text);
                if let Some((.., narrowed)) = narrowed {
                    if !text.contains(narrowed) {
                        self.add(Rule::Policies, format!("{place} does not ask:{narrowed}"));
                    }
                    text = text.replace(narrowed, "");
                }
                match asks(&text, &tenant) {
                    Some(found) => permissions.extend(found),
                    None => self.add(Rule::Policies, format!("{place} is not the tenant and permissions: {text}")),
                }
            }
            let expected =
                ASKED.iter().find(|(t, c, _)| (*t, *c) == (&table, &command)).map_or(&[][..], |(_, _, all)| *all);
            if permissions != expected.iter().map(|word| (*word).to_owned()).collect() {
                self.add(Rule::Policies, format!("{place} asks for {permissions:?}, listed is {expected:?}"));
            }
            asked.insert((table, command));
        }
        for (login, table, command) in OPEN_POLICIES {
            if !open.contains(&((*login).into(), (*table).into(), (*command).into())) {
                self.add(Rule::Lists, format!("{login}, {table}, {command} is listed and not there"));
            }
        }
        for (table, command, _) in ASKED {
            if !asked.contains(&((*table).into(), (*command).into())) {
                self.add(Rule::Lists, format!("{table}, {command} is listed and has no policy"));
            }
        }
        triples
    }

    async fn grants(&mut self, conn: &mut PgConnection, tables: &[Table], policies: &BTreeSet<Triple>) {
        let rows = all(
            conn,
            "with granted as (
                select c.oid, c.relnamespace, c.relname, c.relowner, a.grantee, a.privilege_type
                from pg_class c cross join aclexplode(c.relacl) a
                where c.relkind in ('r', 'p', 'v', 'm', 'f', 'S')
                union
                select c.oid, c.relnamespace, c.relname, c.relowner, a.grantee, a.privilege_type
                from pg_attribute t join pg_class c on c.oid = t.attrelid cross join aclexplode(t.attacl) a
             )
             select n.nspname || '.' || g.relname as table_name, lower(g.privilege_type) as privilege,
                case g.grantee when 0 then 'public' else pg_get_userbyid(g.grantee)::text end as login
             from granted g join pg_namespace n on n.oid = g.relnamespace
             where n.nspname not in ('pg_catalog', 'information_schema', 'pg_toast') and g.grantee <> g.relowner
             order by 1, 2, 3",
        )
        .await;
        let granted: BTreeSet<Triple> =
            rows.iter().map(|row| (row.get("login"), row.get("table_name"), row.get("privilege"))).collect();
        for (login, table, privilege) in &granted {
            if tables.iter().any(|known| known.name == *table && known.is_partition) {
                self.add(
                    Rule::Grants,
                    format!("{login} may {privilege} the partition {table} around its parent's policy"),
                );
            } else if !policies.contains(&(login.clone(), table.clone(), privilege.clone())) {
                self.add(Rule::Grants, format!("{login} may {privilege} {table}, and there is no policy for it"));
            }
        }
        for (login, table, command) in policies.difference(&granted) {
            self.add(Rule::Grants, format!("{login} has a policy to {command} {table} and no grant"));
        }
    }

    /// The columns that may be changed, where not all may.
    async fn columns(&mut self, conn: &mut PgConnection) {
        let rows = all(
            conn,
            "select n.nspname || '.' || c.relname as table_name,
                array(
                    select a.attname::text from pg_attribute a
                    where a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped
                      and has_column_privilege('entrepot_app', c.oid, a.attnum, 'update')
                    order by 1
                ) as columns
             from pg_class c join pg_namespace n on n.oid = c.relnamespace where c.relkind in ('r', 'p') order by 1",
        )
        .await;
        for (table, columns) in CHANGED {
            let row = rows.iter().find(|row| row.get::<String, _>("table_name") == *table);
            let granted: Vec<String> = row.map(|row| row.get("columns")).unwrap_or_default();
            if granted != *columns {
                self.add(
                    Rule::Grants,
                    format!("entrepot_app may change {granted:?} of {table}, listed is {columns:?}"),
                );
            }
        }
    }

    async fn keys(&mut self, conn: &mut PgConnection, tables: &[Table]) {
        let tenants: BTreeSet<&str> =
            tables.iter().filter(|table| table.is_tenant()).map(|table| table.name.as_str()).collect();
        let rows = all(
            conn,
            "select c.conname::text as name, n.nspname || '.' || t.relname as from_table, fn.nspname || '.' || f.relname as to_table,
                f.relkind = 'p' as to_partitioned,
                array(select (select attname::text from pg_attribute where attrelid = c.conrelid and attnum = k) from unnest(c.conkey) k) as from_columns,
                array(select (select attname::text from pg_attribute where attrelid = c.confrelid and attnum = k) from unnest(c.confkey) k) as to_columns
             from pg_constraint c
             join pg_class t on t.oid = c.conrelid join pg_namespace n on n.oid = t.relnamespace
             join pg_class f on f.oid = c.confrelid join pg_namespace fn on fn.oid = f.relnamespace
             where c.contype = 'f' order by 1",
        )
        .await;
        for row in &rows {
            let (name, from, to): (String, String, String) =
                (row.get("name"), row.get("from_table"), row.get("to_table"));
            let columns: Vec<(String, String)> =
                std::iter::zip(row.get::<Vec<String>, _>("from_columns"), row.get::<Vec<String>, _>("to_columns"))
                    .collect();
            let pairs = |from: &str, to: &str| columns.iter().any(|(f, t)| f == from && t == to);
            if row.get("to_partitioned") {
                self.add(Rule::ForeignKeys, format!("{name} of {from} points at the partitioned {to}"));
            }
            let carries = match (tenants.contains(from.as_str()), to.as_str()) {
                (true, "public.organizations") => pairs("organization_id", "id"),
                (_, to) if tenants.contains(to) => pairs("organization_id", "organization_id"),
                _ => true,
            };
            if !carries {
                self.add(Rule::ForeignKeys, format!("{name} of {from} can point into another tenant's {to}"));
            }
        }
        let rows = all(
            conn,
            "select n.nspname || '.' || t.relname as table_name, i.relname::text as name,
                array(select a.attname::text from pg_attribute a where a.attrelid = t.oid and a.attnum = any(x.indkey::int2[])) as columns
             from pg_index x join pg_class i on i.oid = x.indexrelid join pg_class t on t.oid = x.indrelid
             join pg_namespace n on n.oid = t.relnamespace
             where (x.indisunique or x.indisexclusion) and n.nspname not in ('pg_catalog', 'information_schema', 'pg_toast') order by 1, 2",
        )
        .await;
        for row in &rows {
            let (table, name): (String, String) = (row.get("table_name"), row.get("name"));
            if tenants.contains(table.as_str())
                && !row.get::<Vec<String>, _>("columns").contains(&"organization_id".to_owned())
            {
                self.add(Rule::UniqueKeys, format!("{name} of {table} is unique across tenants"));
            }
        }
    }

    /// Views and functions, and what runs inside statements.
    async fn programs(&mut self, conn: &mut PgConnection) {
        let rows = all(
            conn,
            "select n.nspname || '.' || c.relname as name, c.relkind::text as kind, coalesce(c.reloptions, '{}') as options
             from pg_class c join pg_namespace n on n.oid = c.relnamespace
             where c.relkind in ('v', 'm', 'f') and n.nspname not in ('pg_catalog', 'information_schema')",
        )
        .await;
        for row in &rows {
            let (name, kind): (String, String) = (row.get("name"), row.get("kind"));
            let options: Vec<String> = row.get("options");
            if kind != "v" || !options.iter().any(|option| option == "security_invoker=true") {
                self.add(Rule::Views, format!("{name} is no view with security_invoker"));
            }
        }
        let rows = all(
            conn,
            "select n.nspname || '.' || p.proname as name, p.prosecdef as definer, coalesce(p.proconfig, '{}') as config,
                p.prosrc as source, pg_get_userbyid(p.proowner)::text as owner,
                array(
                    select distinct case a.grantee when 0 then 'public' else pg_get_userbyid(a.grantee)::text end
                    from aclexplode(coalesce(p.proacl, acldefault('f', p.proowner))) a where a.grantee <> p.proowner
                ) as callers
             from pg_proc p join pg_namespace n on n.oid = p.pronamespace
             where n.nspname not in ('pg_catalog', 'information_schema') order by 1",
        )
        .await;
        let mut definers = BTreeSet::new();
        for row in &rows {
            let (name, config): (String, Vec<String>) = (row.get("name"), row.get("config"));
            self.no_time_of_its_own(&name, row.get("source"));
            if !row.get::<bool, _>("definer") {
                continue;
            }
            let callers: Vec<String> = row.get("callers");
            match DEFINERS.iter().find(|(listed, _)| *listed == name) {
                None => self.add(
                    Rule::Functions,
                    format!("{name} runs with the rights of {} and is not listed", row.get::<String, _>("owner")),
                ),
                Some((_, caller)) if callers != [*caller] => {
                    self.add(Rule::Functions, format!("{name} may be called by {callers:?}, listed is {caller}"));
                }
                Some(_) => {}
            }
            if !config.iter().any(|setting| setting == "search_path=pg_catalog, pg_temp") {
                self.add(Rule::Functions, format!("{name}: search_path is not pinned: {config:?}"));
            }
            definers.insert(name);
        }
        for (listed, _) in DEFINERS {
            if !definers.contains(*listed) {
                self.add(Rule::Lists, format!("{listed} is listed and no definer"));
            }
        }
        let rows = all(
            conn,
            "select 'default of ' || d.adrelid::regclass || '.' || a.attname as place, pg_get_expr(d.adbin, d.adrelid) as source
             from pg_attrdef d join pg_attribute a on a.attrelid = d.adrelid and a.attnum = d.adnum
             join pg_class c on c.oid = d.adrelid join pg_namespace n on n.oid = c.relnamespace
             where n.nspname not in ('pg_catalog', 'information_schema') and c.relname <> '_sqlx_migrations'
             union all
             select 'policy ' || polname, coalesce(pg_get_expr(polqual, polrelid), '') || ' ' || coalesce(pg_get_expr(polwithcheck, polrelid), '') from pg_policy
             union all
             select 'trigger ' || tgname, pg_get_triggerdef(oid) from pg_trigger where not tgisinternal
             union all
             select 'constraint ' || conname, pg_get_constraintdef(oid) from pg_constraint where contype = 'c' and conrelid <> 0
             union all
             select 'index ' || indexrelid::regclass, pg_get_indexdef(indexrelid) from pg_index x
             join pg_class c on c.oid = x.indrelid join pg_namespace n on n.oid = c.relnamespace
             where n.nspname not in ('pg_catalog', 'information_schema', 'pg_toast')",
        )
        .await;
        for row in &rows {
            self.no_time_of_its_own(row.get("place"), row.get("source"));
        }
    }

    fn no_time_of_its_own(&mut self, place: &str, source: &str) {
        let source = source.to_lowercase();
        let clocks = [
            "now()",
            "current_timestamp",
            "current_time",
            "current_date",
            "localtime",
            "clock_timestamp",
            "statement_timestamp",
            "transaction_timestamp",
            "timeofday",
            "'now'",
            "'today'",
        ];
        if let Some(clock) = clocks.into_iter().find(|clock| source.contains(clock)) {
            self.add(Rule::Time, format!("{place} uses {clock}: tests could not move its clock"));
        }
    }

    async fn logins(&mut self, conn: &mut PgConnection) {
        let rows = all(
            conn,
            "select rolname::text as name, rolsuper or rolbypassrls or rolcreaterole or rolcreatedb or rolreplication as mighty,
                exists (select 1 from pg_auth_members m where m.member = r.oid) as inherits,
                exists (select 1 from pg_class c where c.relowner = r.oid) as owns
             from pg_roles r where rolname like 'entrepot\\_%' and rolname <> 'entrepot_backup'",
        )
        .await;
        let mut seen = BTreeSet::new();
        for row in &rows {
            let name: String = row.get("name");
            let is_owner = name == "entrepot_owner";
            if row.get("mighty") || row.get("inherits") || (row.get("owns") && !is_owner) {
                self.add(Rule::Logins, format!("{name} can do more than its grants"));
            }
            seen.insert(name);
        }
        // The login of backups sees all rows, and that is all: it writes nothing, and nobody else is it.
        let backups: i64 = sqlx::query_scalar(
            "select count(*) from pg_roles r
             where rolname = 'entrepot_backup' and rolbypassrls and not (rolsuper or rolcreaterole or rolcreatedb or rolreplication)
                and array(select m.roleid::regrole::text from pg_auth_members m where m.member = r.oid) = '{pg_read_all_data}'
                and not exists (select 1 from pg_auth_members m where m.roleid = r.oid)
                and not exists (select 1 from pg_class c where c.relowner = r.oid)",
        )
        .fetch_one(&mut *conn)
        .await
        .expect("a count");
        if backups != 1 {
            self.add(Rule::Logins, "entrepot_backup can do more, or less, than read".to_owned());
        }
        for login in SERVING.into_iter().chain(["entrepot_owner"]) {
            if !seen.contains(login) {
                self.add(Rule::Logins, format!("{login} is not there"));
            }
        }
        let rows = all(
            conn,
            "select n.nspname::text as name, case a.grantee when 0 then 'public' else pg_get_userbyid(a.grantee)::text end as login
             from pg_namespace n cross join aclexplode(coalesce(n.nspacl, acldefault('n', n.nspowner))) a
             where a.privilege_type = 'CREATE' and n.nspname !~ '^pg_' and n.nspname <> 'information_schema'",
        )
        .await;
        for row in &rows {
            let (schema, login): (String, String) = (row.get("name"), row.get("login"));
            if login == "public" || SERVING.contains(&login.as_str()) {
                self.add(Rule::Logins, format!("{login} may create in the schema {schema}"));
            }
        }
    }
}

fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// The permissions of which a policy asks for one; None when it is anything but the tenant, or the tenant and those.
fn asks(text: &str, tenant: &str) -> Option<Vec<String>> {
    if text == tenant || text == format!("({tenant})") {
        return Some(vec![]);
    }
    let rest = text.strip_prefix(&format!("({tenant} AND "))?.strip_suffix(')')?;
    let alternatives = match rest.contains(" OR ") {
        true => rest.strip_prefix('(')?.strip_suffix(')')?,
        false => rest,
    };
    let asked = |one: &str| {
        let (resource, action) =
            one.strip_prefix("( SELECT app.can('")?.strip_suffix("'::text) AS can)")?.split_once("'::text, '")?;
        let is_word = |word: &str| !word.is_empty() && word.bytes().all(|b| b.is_ascii_lowercase() || b == b'_');
        (is_word(resource) && is_word(action)).then(|| format!("{resource}:{action}"))
    };
    alternatives.split(" OR ").map(asked).collect()
}
