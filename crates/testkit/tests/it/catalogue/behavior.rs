//! What each login sees and changes of whose rows, for every table, with a row that proves that there was something to see.

use db::Login;
use kernel::Clock;
use sqlx::{AssertSqlSafe, PgConnection};
use testkit::cluster::Database;
use uuid::Uuid;

use super::{
    check::{SERVING, Table, tables},
    lists::OPEN_POLICIES,
    rows::{self, Tenant, two_tenants},
};

const EVERYTHING: &str = ",organization:update,organization:delete,members:create,members:update,members:delete,\
    connections:create,connections:update,connections:delete,api_keys:create,api_keys:update,api_keys:delete,events:read,audit:create,audit:read,access_log:read,";

struct Scene {
    database: Database,
    clock: Clock,
    ours: Tenant,
    theirs: Tenant,
    tenant_tables: Vec<Table>,
}

impl Scene {
    async fn set() -> Self {
        let database = Database::create().await;
        let clock = Clock::system();
        let db = db::Db::connect(&database.logins(), &db::PoolSizes::default()).await.expect("the logins connect");
        db.maintain_partitions(clock.now(), &[]).await.expect("partitions");
        let mut superuser = database.superuser().await;
        let [ours, theirs] = two_tenants(&mut superuser, &clock).await;
        let tenant_tables: Vec<Table> = tables(&mut superuser).await.into_iter().filter(Table::is_tenant).collect();
        Self { database, clock, ours, theirs, tenant_tables }
    }

    /// Tables whose rows belong to one organization, those that are found or written before any tenant is known among them.
    fn names(&self) -> impl Iterator<Item = &str> {
        self.tenant_tables.iter().map(|table| table.name.as_str()).chain([
            "public.api_key_prefixes",
            "public.error_reports",
            "public.oauth_states",
        ])
    }

    fn own(&self, tenant: Tenant, table: &str) -> String {
        format!("{table} where organization_id = '{}'", tenant.organization)
    }
}

/// In a transaction that is rolled back; the affected or counted rows, or the code of the refusal.
async fn attempt(conn: &mut PgConnection, before: &str, sql: &str) -> Result<u64, String> {
    let run = async |conn: &mut PgConnection, sql: &str| sqlx::query(AssertSqlSafe(sql.to_owned())).execute(conn).await;
    run(conn, "begin").await.expect("begins");
    let mut outcome = Ok(0);
    for statement in before.split(';').map(str::trim).filter(|statement| !statement.is_empty()).chain([sql]) {
        match run(conn, statement).await {
            Ok(done) => outcome = Ok(done.rows_affected()),
            Err(sqlx::Error::Database(error)) => {
                outcome = Err(error.code().unwrap_or_default().into_owned());
                break;
            }
            Err(error) => panic!("{statement}: {error}"),
        }
    }
    run(conn, "rollback").await.expect("rolls back");
    outcome
}

fn within(tenant: Tenant, permissions: &str) -> String {
    format!("set local app.organization_id = '{}'; set local app.permissions = '{permissions}'", tenant.organization)
}

async fn column(conn: &mut PgConnection, login: &str, table: &str, privilege: &str) -> Option<String> {
    sqlx::query_scalar(
        "select attname::text from pg_attribute where attrelid = $2::text::regclass and attnum > 0 and not attisdropped
           and has_column_privilege($1, attrelid, attnum, $3) order by attname = 'organization_id', attnum limit 1",
    )
    .bind(login)
    .bind(table)
    .bind(privilege)
    .fetch_optional(conn)
    .await
    .expect("privileges")
}

async fn may(conn: &mut PgConnection, login: &str, table: &str, privilege: &str) -> bool {
    sqlx::query_scalar("select has_table_privilege($1, $2, $3)")
        .bind(login)
        .bind(table)
        .bind(privilege)
        .fetch_one(conn)
        .await
        .expect("privileges")
}

fn login_of(name: &str) -> Login {
    Login::ALL.iter().copied().find(|login| login.as_str() == name).expect("a login")
}

/// All four commands on the rows of one tenant, as far as the login may try them.
async fn commands(
    scene: &Scene,
    superuser: &mut PgConnection,
    login: &str,
    table: &str,
    whose: Tenant,
) -> Vec<(&'static str, String)> {
    let mut all = vec![];
    let own = scene.own(whose, table);
    if may(superuser, login, table, "select").await {
        all.push(("select", format!("select 1 from {own}")));
    }
    if may(superuser, login, table, "insert").await {
        all.push(("insert", rows::insert(table, whose, &scene.clock).expect("a row")));
    }
    if let Some(column) = column(superuser, login, table, "update").await
        && may(superuser, login, table, "select").await
    {
        all.push((
            "update",
            format!("update {table} set {column} = {column} where organization_id = '{}'", whose.organization),
        ));
    }
    if may(superuser, login, table, "delete").await && may(superuser, login, table, "select").await {
        all.push(("delete", format!("delete from {own}")));
    }
    all
}

#[tokio::test(flavor = "multi_thread")]
async fn every_tenant_table_has_a_row_in_these_proofs() {
    let scene = Scene::set().await;
    let with_rows: Vec<&str> = rows::tables().collect();
    for table in scene.names() {
        assert!(with_rows.contains(&table), "{table} has no row in rows.rs");
    }
    let mut superuser = scene.database.superuser().await;
    for table in scene.names() {
        for tenant in [scene.ours, scene.theirs] {
            let seen = attempt(&mut superuser, "", &format!("select 1 from {}", scene.own(tenant, table))).await;
            assert_eq!(seen, Ok(1), "{table}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tenant_reaches_its_own_rows_and_nobody_elses() {
    let scene = Scene::set().await;
    let mut superuser = scene.database.superuser().await;
    let mut app = scene.database.login(Login::App).await;
    let mut proven = 0;
    for table in scene.names() {
        for (command, sql) in commands(&scene, &mut superuser, "entrepot_app", table, scene.theirs).await {
            let own = match command {
                "insert" => rows::insert(table, scene.ours, &scene.clock).expect("a row"),
                _ => sql.replace(&scene.theirs.organization.to_string(), &scene.ours.organization.to_string()),
            };
            let here = within(scene.ours, EVERYTHING);
            // A row that something else points at cannot be deleted by anybody; reaching it is what counts.
            let reached = attempt(&mut app, &here, &own).await;
            // Neither can the last owner.
            let is_ours = matches!(&reached, Ok(1))
                || ["23503", "23505", "23514"].iter().any(|code| reached == Err((*code).to_owned()));
            assert!(is_ours, "{command} {table}, own: {reached:?}");
            let foreign = attempt(&mut app, &here, &sql).await;
            let expected = match command {
                "insert" => foreign == Err("42501".into()) || foreign == Ok(0),
                _ => foreign == Ok(0),
            };
            assert!(expected, "{command} {table}, another's: {foreign:?}");
            proven += 1;
        }
        if let Some(moved) = column(&mut superuser, "entrepot_app", table, "update").await
            && sqlx::query_scalar("select has_column_privilege('entrepot_app', $1, 'organization_id', 'update')")
                .bind(table)
                .fetch_one(&mut superuser)
                .await
                .expect("a privilege")
        {
            let sql = format!(
                "update {table} set organization_id = '{}' where organization_id = '{}'",
                scene.theirs.organization, scene.ours.organization
            );
            let given_away = attempt(&mut app, &within(scene.ours, EVERYTHING), &sql).await;
            assert_eq!(given_away, Err("42501".into()), "{table} ({moved}): a row cannot be given to another tenant");
        }
    }
    assert!(proven >= 30, "only {proven} commands were proven");
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_tenant_nothing_is_reached() {
    let scene = Scene::set().await;
    let mut superuser = scene.database.superuser().await;
    let unset = ["", "set local app.organization_id = ''", "set local app.permissions = ',members:create,'"];
    for login in SERVING {
        let mut conn = scene.database.login(login_of(login)).await;
        for table in scene.names() {
            for command in ["select", "insert", "update", "delete"] {
                let sql = match command {
                    "select" => format!("select 1 from {table}"),
                    "insert" => rows::insert(table, scene.ours, &scene.clock).expect("a row"),
                    "update" => match column(&mut superuser, login, table, "update").await {
                        Some(column) => format!("update {table} set {column} = {column}"),
                        None => format!("update {table} set organization_id = organization_id"),
                    },
                    _ => format!("delete from {table}"),
                };
                let is_open = OPEN_POLICIES.contains(&(login, table, command));
                for before in unset {
                    let reached = attempt(&mut conn, before, &sql).await;
                    // `insert … select` of a login that may not read what it selects from is refused for that.
                    let is_refused = matches!(reached, Err(_) | Ok(0));
                    assert!(is_open || is_refused, "{login} {command} {table} with {before:?}: {reached:?}");
                }
                if is_open && matches!(command, "select") {
                    assert_eq!(attempt(&mut conn, "", &sql).await, Ok(2), "{login} is meant to {command} {table}");
                }
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn writes_to_sensitive_tables_need_the_permission_in_the_database_too() {
    let scene = Scene::set().await;
    let mut superuser = scene.database.superuser().await;
    let mut app = scene.database.login(Login::App).await;
    let sensitive = [
        "connections",
        "credentials",
        "organization_members",
        "permission_grants",
        "team_members",
        "user_api_keys",
        "data_keys",
        "store_permission_audit",
    ];
    for table in sensitive.map(|name| format!("public.{name}")) {
        let mut tried = 0;
        for (command, sql) in commands(&scene, &mut superuser, "entrepot_app", &table, scene.ours).await {
            let reached = attempt(&mut app, &within(scene.ours, ",orders:read,"), &sql).await;
            match command {
                "select" => assert_eq!(reached, Ok(1), "{table}"),
                _ => {
                    assert!(
                        matches!(&reached, Ok(0)) || reached == Err("42501".into()),
                        "{command} {table}: {reached:?}"
                    );
                    tried += 1;
                }
            }
        }
        assert!(tried > 0, "{table}");
    }
}

/// What is written of a connection is as hidden as the connection, for whoever it was taken from, and for nobody else.
#[tokio::test(flavor = "multi_thread")]
async fn a_connection_that_was_taken_from_somebody_is_not_there_for_them() {
    let scene = Scene::set().await;
    let mut superuser = scene.database.superuser().await;
    let mut app = scene.database.login(Login::App).await;
    let organization = scene.ours.organization;
    let connection: Uuid = sqlx::query_scalar("select id from connections where organization_id = $1")
        .bind(organization)
        .fetch_one(&mut superuser)
        .await
        .expect("a connection");
    for (table, column) in
        [("events", "connection_id"), ("api_access_log", "connection_id"), ("audit_log", "resource_id")]
    {
        let sql = format!("update {table} set {column} = '{connection}' where organization_id = '{organization}'");
        sqlx::query(AssertSqlSafe(sql)).execute(&mut superuser).await.expect("a line about it");
    }
    let named: Vec<String> = sqlx::query_scalar(
        "select c.relname::text from pg_attribute a join pg_class c on c.oid = a.attrelid
         where a.attname = 'connection_id' and c.relkind in ('r', 'p') and not c.relispartition
           and has_table_privilege('entrepot_app', c.oid, 'select') and c.relname <> all ($1)",
    )
    // A claim is shown to nobody, and whoever deletes the organization releases all of its claims.
    .bind(["exclusive_accounts"])
    .fetch_all(&mut superuser)
    .await
    .expect("tables");
    // What decides about a person is told by the program, which leaves out what they do not know.
    let tables: Vec<String> = named.into_iter().chain(["connections".into(), "audit_log".into()]).collect();
    assert!(tables.len() >= 6, "{tables:?}");
    let other = kernel::JobId::new(&scene.clock).uuid();
    for table in tables {
        let sql = format!("select 1 from {table} where organization_id = '{organization}'");
        for (hidden, seen) in [(String::new(), 1), (format!("!{other},"), 1), (format!("!{other},!{connection},"), 0)] {
            let reached = attempt(&mut app, &within(scene.ours, &format!("{EVERYTHING}{hidden}")), &sql).await;
            assert_eq!(reached, Ok(seen), "{table} with {hidden:?}");
        }
        let nulls = attempt(&mut app, &within(scene.ours, EVERYTHING), &sql).await;
        assert_eq!(nulls, Ok(1), "{table}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn partitions_cannot_be_read_around_their_parent() {
    let scene = Scene::set().await;
    let mut superuser = scene.database.superuser().await;
    let partitions: Vec<Table> = tables(&mut superuser).await.into_iter().filter(|table| table.is_partition).collect();
    assert!(!partitions.is_empty());
    for login in SERVING {
        let mut conn = scene.database.login(login_of(login)).await;
        for Table { name, .. } in &partitions {
            let reached = attempt(&mut conn, &within(scene.ours, EVERYTHING), &format!("select 1 from {name}")).await;
            assert_eq!(reached, Err("42501".into()), "{login} {name}");
        }
    }
}

/// A second member of ours, with this role.
async fn second_member(scene: &Scene, superuser: &mut PgConnection, role: &str) -> Uuid {
    let [user, member] = std::array::from_fn(|_| kernel::JobId::new(&scene.clock).uuid());
    let (organization, at) = (scene.ours.organization, scene.clock.now().to_rfc3339());
    for sql in [
        format!(
            "insert into users (id, email, name, password_hash, created_at) values ('{user}', '{user}@people.example', 'second', 'none', '{at}')"
        ),
        format!(
            "insert into organization_members (organization_id, id, user_id, role, status, created_at) values ('{organization}', '{member}', '{user}', '{role}', 'active', '{at}')"
        ),
    ] {
        sqlx::query(AssertSqlSafe(sql)).execute(&mut *superuser).await.expect("a row");
    }
    member
}

/// What those who manage members have, and no more: an administrator.
const ADMINISTRATION: &str =
    ",organization:read,organization:update,members:create,members:read,members:update,members:delete,";
const OWNERSHIP: &str = ",organization:delete,members:create,members:read,members:update,members:delete,";

#[tokio::test(flavor = "multi_thread")]
async fn who_is_an_owner_is_touched_by_owners_alone() {
    let scene = Scene::set().await;
    let mut superuser = scene.database.superuser().await;
    let mut app = scene.database.login(Login::App).await;
    let second = second_member(&scene, &mut superuser, "viewer").await;
    let organization = scene.ours.organization;
    let owners = format!("organization_members where organization_id = '{organization}' and role = 'owner'");
    let (administrator, owner) = (within(scene.ours, ADMINISTRATION), within(scene.ours, OWNERSHIP));
    let demote = "update organization_members set role = 'viewer' where role = 'owner'";
    let suspend = "update organization_members set status = 'suspended' where role = 'owner'";
    let give_away = format!("update organization_members set user_id = '{second}' where role = 'owner'");
    let delete = format!("delete from {owners}");
    for sql in [demote, suspend, &give_away, &delete] {
        assert_eq!(attempt(&mut app, &administrator, sql).await, Ok(0), "{sql}");
    }
    let promote = format!("update organization_members set role = 'owner' where id = '{second}'");
    assert_eq!(attempt(&mut app, &administrator, &promote).await, Err("42501".into()));
    // Whoever is no owner is theirs to manage.
    let manage = format!("update organization_members set role = 'manager' where id = '{second}'");
    let remove = format!("delete from organization_members where id = '{second}'");
    for sql in [&manage, &remove] {
        assert_eq!(attempt(&mut app, &administrator, sql).await, Ok(1), "{sql}");
    }
    assert_eq!(attempt(&mut app, &owner, &promote).await, Ok(1));
    for sql in [demote, suspend, &delete] {
        let after = format!("{owner}; {promote}");
        let first = sql.replace("role = 'owner'", &format!("role = 'owner' and id <> '{second}'"));
        assert_eq!(attempt(&mut app, &after, &first).await, Ok(1), "{first}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_last_owner_stays() {
    let scene = Scene::set().await;
    let mut superuser = scene.database.superuser().await;
    let mut app = scene.database.login(Login::App).await;
    let owner = within(scene.ours, OWNERSHIP);
    let ways = [
        "update organization_members set role = 'viewer' where role = 'owner'",
        "update organization_members set status = 'suspended' where role = 'owner'",
        "delete from organization_members where role = 'owner'",
    ];
    for sql in ways {
        assert_eq!(attempt(&mut app, &owner, sql).await, Err("23514".into()), "{sql}");
    }
    // One who may not act does not count.
    second_member(&scene, &mut superuser, "owner").await;
    let suspended =
        format!("{owner}; update organization_members set status = 'suspended' where user_id <> '{}'", scene.ours.user);
    for sql in ways {
        assert_eq!(attempt(&mut app, &suspended, sql).await, Err("23514".into()), "{sql}");
        assert_eq!(attempt(&mut app, &owner, sql).await, Err("23514".into()), "both at once: {sql}");
    }

    // Both go at the same time: the second is made to wait, and stays.
    let mut other = scene.database.login(Login::App).await;
    let (mine, theirs) = (
        format!("update organization_members set role = 'viewer' where user_id = '{}'", scene.ours.user),
        format!(
            "update organization_members set role = 'viewer' where user_id <> '{}' and role = 'owner'",
            scene.ours.user
        ),
    );
    for statement in ["begin".to_owned()].into_iter().chain(owner.split(';').map(str::to_owned)).chain([mine]) {
        sqlx::query(AssertSqlSafe(statement)).execute(&mut app).await.expect("the first goes");
    }
    let waits = tokio::spawn(async move { attempt(&mut other, &owner, &theirs).await });
    tokio::time::sleep(std::time::Duration::from_millis(200)).await;
    assert!(!waits.is_finished(), "the second waits for the first");
    sqlx::query("commit").execute(&mut app).await.expect("commits");
    assert_eq!(waits.await.expect("an outcome"), Err("23514".into()));
}
