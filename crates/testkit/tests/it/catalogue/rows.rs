//! A row of every table that belongs to a tenant, so that no proof passes on an empty table.

use uuid::Uuid;

/// The statements that give an organization one row in every table; `{org}` is the organization, `{user}` its user, and
/// `{n}` a fresh UUIDv7 of the current partition. Each statement needs those before it only.
const ROWS: &[(&str, &str)] = &[
    (
        "public.organization_members",
        "insert into organization_members (organization_id, id, user_id, role, status, created_at) values ('{org}', '{n}', '{user}', 'owner', 'active', '{at}')",
    ),
    (
        "public.user_api_keys",
        "insert into user_api_keys (organization_id, id, user_id, key_name, lookup, key_hash, expires_at, created_at, updated_at) values ('{org}', '{n}', '{user}', 'key', substr(md5('{n}'), 1, 8), 'hash', '{at}', '{at}', '{at}')",
    ),
    (
        "public.api_key_prefixes",
        "insert into api_key_prefixes (lookup, organization_id, key_id) select substr(md5('{n}'), 1, 8), '{org}', k.id from user_api_keys k where k.organization_id = '{org}' limit 1",
    ),
    (
        "public.rate_windows",
        "insert into rate_windows (organization_id, subject, window_minute, used) values ('{org}', '{n}', 1, 1)",
    ),
    (
        "public.idempotency_keys",
        "insert into idempotency_keys (organization_id, key_digest, request_digest, created_at) values ('{org}', sha256('{n}'), sha256('{n}'), '{at}')",
    ),
    (
        "public.invitations",
        "insert into invitations (organization_id, id, role, email_digest, sealed_email, token_hash, invited_by, sent_at, expires_at, created_at) values ('{org}', '{n}', 'viewer', sha256('{n}'), '\\x00', sha256('{n}'), '{user}', '{at}', '{at}', '{at}')",
    ),
    (
        "public.mail_outbox",
        "insert into mail_outbox (organization_id, id, kind, sealed, state, created_at) values ('{org}', '{n}', 'test', '\\x00', 'waiting', '{at}')",
    ),
    (
        "public.audit_log",
        "insert into audit_log (organization_id, id, actor, action, resource, created_at) values ('{org}', '{n}', 'system:test', 'test', 'test', '{at}')",
    ),
    (
        "public.events",
        "insert into events (organization_id, id, level, event_type, message, actor, created_at) values ('{org}', '{n}', 'info', 'test', 'test', 'system:test', '{at}')",
    ),
    (
        "public.error_reports",
        "insert into error_reports (id, organization_id, fingerprint, kind, place, code, message, occurrences, first_seen_at, last_seen_at, release) values ('{n}', '{org}', md5('{n}'), 'task', 'test', 'failed', 'test', 1, '{at}', '{at}', 'test')",
    ),
    (
        "public.event_seals",
        "insert into event_seals (organization_id, id, number, last_xid, last_id, lines, previous, hash, created_at) values ('{org}', '{n}', 1, '1', '{n}', '\\x00', sha256('a'), sha256('b'), '{at}')",
    ),
    (
        "public.audit_seals",
        "insert into audit_seals (organization_id, id, number, last_xid, last_id, lines, previous, hash, created_at) values ('{org}', '{n}', 1, '1', '{n}', '\\x00', sha256('a'), sha256('b'), '{at}')",
    ),
    (
        "public.jobs",
        "insert into jobs (organization_id, id, name, payload, run_at, due_at, state, created_at) values ('{org}', '{n}', 'test', '{}', '{at}', '{at}', 'dead', '{at}')",
    ),
    (
        "public.data_keys",
        "insert into data_keys (organization_id, id, scope, scope_id, key_version, wrapped, master_fingerprint, created_at) values ('{org}', '{n}', 'connection', '{n}', 1, '\\x00', 'test', '{at}')",
    ),
    (
        "public.connections",
        "insert into connections (organization_id, id, provider_key, external_account, display_name, status, created_at, updated_at) values ('{org}', '{n}', 'woocommerce', '{n}', 'test', 'connected', '{at}', '{at}')",
    ),
    (
        "public.exclusive_accounts",
        "insert into exclusive_accounts (provider_key, external_account, organization_id, connection_id, claimed_at) select 'shopify', '{n}', '{org}', c.id, '{at}' from connections c where c.organization_id = '{org}' and not exists (select from exclusive_accounts a where a.connection_id = c.id) limit 1",
    ),
    (
        "public.credentials",
        "insert into credentials (organization_id, id, connection_id, data_key_id, kind, sealed, key_version, revoked_at, created_at) select '{org}', '{n}', c.id, k.id, 'keys', '\\x00', 1, '{at}', '{at}' from connections c, data_keys k where c.organization_id = '{org}' and k.organization_id = '{org}' limit 1",
    ),
    (
        "public.store_permission_audit",
        "insert into store_permission_audit (organization_id, id, connection_id, actor, before, after, created_at) select '{org}', '{n}', c.id, 'system:test', '{}', '{}', '{at}' from connections c where c.organization_id = '{org}' limit 1",
    ),
    (
        "public.api_access_log",
        "insert into api_access_log (organization_id, id, actor, resource, operation, result, duration_ms, created_at) values ('{org}', '{n}', 'system:test', 'orders', 'list', 'ok', 1, '{at}')",
    ),
    (
        "public.permission_grants",
        "insert into permission_grants (organization_id, id, member_id, effect, resource, action, resource_id, created_at) select '{org}', '{n}', m.id, 'allow', 'orders', 'x' || translate('{n}', '0123456789-', 'ghijklmnop_'), c.id, '{at}' from organization_members m, connections c where m.organization_id = '{org}' and c.organization_id = '{org}' limit 1",
    ),
    (
        "public.team_members",
        "insert into team_members (organization_id, id, external_id, data_key_id, sealed_name, member_type, created_at, updated_at) select '{org}', '{n}', '{n}', k.id, '\\x00', 'sales', '{at}', '{at}' from data_keys k where k.organization_id = '{org}' limit 1",
    ),
    (
        "public.usage_counters",
        "insert into usage_counters (organization_id, counter, day, used, leased) values ('{org}', 'x' || translate('{n}', '0123456789-', 'ghijklmnop_'), '2026-11-20', 1, 1)",
    ),
    (
        "public.notifications",
        "insert into notifications (organization_id, id, user_id, kind, severity, connection_id, created_at) select '{org}', '{n}', '{user}', 'test', 'info', c.id, '{at}' from connections c where c.organization_id = '{org}' limit 1",
    ),
    (
        "public.oauth_states",
        "insert into oauth_states (state_hash, organization_id, user_id, session_id, provider_key, step, data_access_permissions, created_at, expires_at) values (decode(md5('{n}'), 'hex'), '{org}', '{user}', '{session}', 'shopify', 'pairing', '{}', '{at}', '{at}')",
    ),
];

/// Who a row is for.
#[derive(Clone, Copy)]
pub(super) struct Tenant {
    pub(super) organization: Uuid,
    pub(super) user: Uuid,
    pub(super) session: Uuid,
}

pub(super) fn tables() -> impl Iterator<Item = &'static str> {
    ROWS.iter().map(|(table, _)| *table)
}

/// The statement that makes a new row of a tenant.
pub(super) fn insert(table: &str, tenant: Tenant, clock: &kernel::Clock) -> Option<String> {
    let (_, sql) = ROWS.iter().find(|(listed, _)| *listed == table)?;
    let id = kernel::JobId::new(clock);
    Some(
        sql.replace("{org}", &tenant.organization.to_string())
            .replace("{user}", &tenant.user.to_string())
            .replace("{session}", &tenant.session.to_string())
            .replace("{n}", &id.to_string())
            .replace("{at}", &clock.now().to_rfc3339()),
    )
}

/// Two tenants with a row of every table each.
pub(super) async fn two_tenants(superuser: &mut sqlx::PgConnection, clock: &kernel::Clock) -> [Tenant; 2] {
    let mut tenants = vec![];
    for name in ["ours", "theirs"] {
        let [organization, user, session] = std::array::from_fn(|_| kernel::JobId::new(clock).uuid());
        let tenant = Tenant { organization, user, session };
        let at = clock.now().to_rfc3339();
        let mut statements = vec![
            format!(
                "insert into organizations (id, name, slug, subscription_status, subscription_plan, created_at) values ('{organization}', '{name}', '{name}', 'trial', 'free', '{at}')"
            ),
            format!(
                "insert into users (id, email, name, password_hash, created_at) values ('{user}', '{name}@people.example', '{name}', 'none', '{at}')"
            ),
            format!(
                "insert into sessions (id, user_id, token_hash, created_at, last_seen_at, expires_at) values ('{session}', '{user}', '\\x{}', '{at}', '{at}', '{at}')",
                session.simple()
            ),
        ];
        statements.extend(tables().filter_map(|table| insert(table, tenant, clock)));
        for sql in statements {
            sqlx::query(sqlx::AssertSqlSafe(sql.clone()))
                .execute(&mut *superuser)
                .await
                .unwrap_or_else(|error| panic!("{sql}: {error}"));
        }
        tenants.push(tenant);
    }
    [tenants[0], tenants[1]]
}
