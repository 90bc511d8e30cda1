//! What the rules of the data model except, each with its reason. A line more here is a decision, reviewed as one.

/// Tables without a tenant, and tables whose tenant is not their key. Everything else with or without `organization_id` is
/// held to the rules of tenant tables.
pub(super) const GLOBAL_TABLES: &[(&str, &str)] = &[
    ("public._sqlx_migrations", "which migrations have run; no serving login reads it"),
    ("app.partitioned_tables", "which tables are cut by time; read by the owner's own function only"),
    ("public.installation", "facts that all nodes share"),
    ("public.schedules", "when the house's schedules last ran"),
    ("public.users", "a person may belong to several organizations"),
    ("public.sessions", "a session is a person's, before any organization is chosen"),
    ("public.organizations", "its id is the tenant"),
    ("public.role_permissions", "the matrix of roles, the same for all, read only"),
    ("public.api_key_prefixes", "which organization a key belongs to is asked before any tenant is known"),
    ("public.user_links", "a link is a person's, before any organization is chosen"),
    ("public.user_identities", "a person of an issuer is a person's of ours, before any organization is chosen"),
    ("public.login_attempts", "counted before it is known who tries"),
    ("public.oauth_states", "consumed on the way back from a provider, before any tenant is known"),
    ("public.exclusive_accounts", "an account is one organization's at a time, of all organizations"),
];

/// Tables on which row level security is not even switched on: no serving login has any right to them.
pub(super) const WITHOUT_RLS: &[&str] = &["public._sqlx_migrations", "app.partitioned_tables"];

/// The policies that let a login see or write rows of all tenants: login, table, command.
pub(super) const OPEN_POLICIES: &[(&str, &str, &str)] = &[
    ("entrepot_app", "public.role_permissions", "select"),
    ("entrepot_ingest", "public.api_access_log", "insert"),
    ("entrepot_system", "public.api_key_prefixes", "select"),
    ("entrepot_system", "public.audit_log", "insert"),
    ("entrepot_system", "public.data_keys", "select"),
    ("entrepot_system", "public.events", "insert"),
    ("entrepot_system", "public.exclusive_accounts", "select"),
    ("entrepot_system", "public.idempotency_keys", "delete"),
    ("entrepot_system", "public.idempotency_keys", "select"),
    ("entrepot_system", "public.installation", "insert"),
    ("entrepot_system", "public.installation", "select"),
    ("entrepot_system", "public.invitations", "delete"),
    ("entrepot_system", "public.invitations", "select"),
    ("entrepot_system", "public.invitations", "update"),
    ("entrepot_system", "public.jobs", "insert"),
    ("entrepot_system", "public.jobs", "select"),
    ("entrepot_system", "public.jobs", "update"),
    ("entrepot_system", "public.login_attempts", "delete"),
    ("entrepot_system", "public.login_attempts", "insert"),
    ("entrepot_system", "public.login_attempts", "select"),
    ("entrepot_system", "public.login_attempts", "update"),
    ("entrepot_system", "public.mail_outbox", "delete"),
    ("entrepot_system", "public.mail_outbox", "insert"),
    ("entrepot_system", "public.mail_outbox", "select"),
    ("entrepot_system", "public.oauth_states", "delete"),
    ("entrepot_system", "public.oauth_states", "insert"),
    ("entrepot_system", "public.oauth_states", "select"),
    ("entrepot_system", "public.organization_members", "insert"),
    ("entrepot_system", "public.organization_members", "select"),
    ("entrepot_system", "public.organizations", "insert"),
    ("entrepot_system", "public.organizations", "select"),
    ("entrepot_system", "public.permission_grants", "select"),
    ("entrepot_system", "public.rate_windows", "delete"),
    ("entrepot_system", "public.rate_windows", "select"),
    ("entrepot_system", "public.role_permissions", "select"),
    ("entrepot_system", "public.schedules", "insert"),
    ("entrepot_system", "public.schedules", "select"),
    ("entrepot_system", "public.schedules", "update"),
    ("entrepot_system", "public.sessions", "delete"),
    ("entrepot_system", "public.sessions", "insert"),
    ("entrepot_system", "public.sessions", "select"),
    ("entrepot_system", "public.sessions", "update"),
    ("entrepot_system", "public.user_api_keys", "select"),
    ("entrepot_system", "public.user_api_keys", "update"),
    ("entrepot_system", "public.user_identities", "insert"),
    ("entrepot_system", "public.user_identities", "select"),
    ("entrepot_system", "public.user_identities", "update"),
    ("entrepot_system", "public.user_links", "delete"),
    ("entrepot_system", "public.user_links", "insert"),
    ("entrepot_system", "public.user_links", "select"),
    ("entrepot_system", "public.user_links", "update"),
    ("entrepot_system", "public.users", "insert"),
    ("entrepot_system", "public.users", "select"),
    ("entrepot_system", "public.users", "update"),
];

/// What policies of `entrepot_app` ask of the caller beyond the tenant: table, command, and the permissions of which one is
/// needed. What is not here asks for nothing but the tenant.
pub(super) const ASKED: &[(&str, &str, &[&str])] = &[
    ("public.api_access_log", "select", &["access_log:read"]),
    ("public.api_key_prefixes", "insert", &["api_keys:create"]),
    ("public.audit_log", "select", &["audit:read"]),
    ("public.audit_seals", "insert", &["audit:create"]),
    ("public.connections", "insert", &["connections:create"]),
    ("public.connections", "update", &["connections:update"]),
    ("public.credentials", "insert", &["connections:create", "connections:update"]),
    ("public.credentials", "update", &["connections:update"]),
    ("public.data_keys", "insert", &["connections:create", "connections:update", "members:create"]),
    ("public.data_keys", "update", &["connections:update", "connections:delete", "organization:delete"]),
    ("public.event_seals", "insert", &["audit:create"]),
    ("public.exclusive_accounts", "delete", &["connections:update", "organization:delete"]),
    ("public.exclusive_accounts", "insert", &["connections:create", "connections:update"]),
    ("public.invitations", "insert", &["members:create"]),
    ("public.invitations", "update", &["members:create", "members:delete"]),
    ("public.oauth_states", "delete", &["organization:delete"]),
    ("public.oauth_states", "insert", &["connections:create", "connections:update"]),
    ("public.organization_members", "delete", &["members:delete"]),
    ("public.organization_members", "insert", &["members:create"]),
    ("public.organization_members", "update", &["members:update"]),
    ("public.organizations", "update", &["organization:update", "organization:delete"]),
    ("public.permission_grants", "delete", &["members:delete"]),
    ("public.permission_grants", "insert", &["members:update"]),
    ("public.permission_grants", "update", &["members:update"]),
    ("public.store_permission_audit", "insert", &["connections:create", "connections:update"]),
    ("public.team_members", "delete", &["members:delete"]),
    ("public.team_members", "insert", &["members:create"]),
    ("public.team_members", "update", &["members:update", "members:delete"]),
    ("public.user_api_keys", "insert", &["api_keys:create"]),
    ("public.user_api_keys", "update", &["api_keys:update", "api_keys:delete"]),
];

/// Who is an owner is an owner's business.
const OWNERS: &str = " AND ((role <> 'owner'::text) OR ( SELECT app.can('organization'::text, 'delete'::text) AS can))";

/// A connection that was taken from whoever asks is not there for them, nor is what is written of it.
const HIDDEN_CONNECTION: &str =
    " AND (connection_id <> ALL (( SELECT app.hidden_connections() AS hidden_connections)::uuid[]))";
const HIDDEN_IF_ANY: &str = " AND ((connection_id IS NULL) OR (connection_id <> ALL (( SELECT app.hidden_connections() AS hidden_connections)::uuid[])))";

/// What a policy asks beside the permission of its command, as PostgreSQL prints it: table, command, whether it is asked of
/// the row that is there and of the row that is to be, and what.
pub(super) const NARROWED: &[(&str, &str, bool, bool, &str)] = &[
    ("public.api_access_log", "select", true, false, HIDDEN_IF_ANY),
    (
        "public.audit_log",
        "select",
        true,
        false,
        " AND ((resource_id IS NULL) OR (resource_id <> ALL (( SELECT app.hidden_connections() AS hidden_connections)::uuid[])))",
    ),
    (
        "public.connections",
        "select",
        true,
        false,
        " AND (id <> ALL (( SELECT app.hidden_connections() AS hidden_connections)::uuid[]))",
    ),
    ("public.credentials", "select", true, false, HIDDEN_CONNECTION),
    ("public.events", "select", true, false, HIDDEN_IF_ANY),
    ("public.store_permission_audit", "select", true, false, HIDDEN_CONNECTION),
    ("public.invitations", "insert", false, true, OWNERS),
    ("public.invitations", "update", true, true, OWNERS),
    ("public.organization_members", "delete", true, false, OWNERS),
    ("public.organization_members", "insert", false, true, OWNERS),
    ("public.organization_members", "update", true, true, OWNERS),
    (
        "public.organizations",
        "update",
        false,
        true,
        " AND ((deleted_at IS NULL) OR ( SELECT app.can('organization'::text, 'delete'::text) AS can))",
    ),
];

/// What `entrepot_app` may change of tables of which it may not change everything: exactly these columns. Whose a row is and
/// what it is of never change.
pub(super) const CHANGED: &[(&str, &[&str])] = &[
    (
        "public.connections",
        &[
            "config",
            "data_access_permissions",
            "display_name",
            "enabled_capabilities",
            "health",
            "health_cause",
            "health_since",
            "scopes",
            "status",
            "updated_at",
        ],
    ),
    (
        "public.credentials",
        &[
            "expires_at",
            "refresh_expires_at",
            "refresh_failure",
            "refresh_leased_until",
            "refresh_retry_at",
            "refresh_tries",
            "refresh_turn",
            "renewals",
            "revoked_at",
            "scopes",
            "sealed",
        ],
    ),
    ("public.data_keys", &["destroyed_at", "wrapped"]),
    (
        "public.invitations",
        &["expires_at", "invited_by", "revoked_at", "sealed_email", "sends", "sent_at", "token_hash"],
    ),
    ("public.mail_outbox", &["cause", "sealed", "settled_at", "state"]),
    ("public.permission_grants", &["deleted_at", "deleted_by"]),
    (
        "public.team_members",
        &[
            "commission_rate",
            "commission_type",
            "deleted_at",
            "deleted_by",
            "external_id",
            "member_type",
            "sealed_email",
            "sealed_name",
            "updated_at",
            "user_id",
        ],
    ),
];

/// Functions that run with their owner's rights, and who may call them.
pub(super) const DEFINERS: &[(&str, &str)] = &[("app.maintain_partitions", "entrepot_system")];

/// Columns that are named like secrets and are not sealed bytes.
pub(super) const NOT_SEALED: &[(&str, &str)] = &[
    ("public.users.password_hash", "Argon2id in PHC format: slow to guess"),
    ("public.user_api_keys.key_hash", "bcrypt, cost 12: slow to guess"),
    ("public.sessions.token_issued_at", "a time"),
    ("public.jobs.lease_token", "a counter that fences, no secret"),
];
