-- External accounts, their secrets, what may be read of them, and who did.

-- One key per organization, connection or import. The shard without which `wrapped` opens nothing is kept outside
-- PostgreSQL; destroying a key deletes the shard and empties the row.
create table data_keys (
    organization_id uuid not null references organizations (id),
    id uuid not null,
    scope text not null check (scope in ('organization', 'connection', 'import')),
    scope_id uuid not null,
    key_version integer not null,
    wrapped bytea,
    -- Which master key wrapped it, so that a wrong one is named and not guessed at.
    master_fingerprint text not null,
    created_at timestamptz not null,
    destroyed_at timestamptz,
    primary key (organization_id, id),
    unique (organization_id, scope, scope_id, key_version),
    check ((wrapped is null) = (destroyed_at is not null))
);
alter table data_keys enable row level security;
alter table data_keys force row level security;
grant select, insert on data_keys to entrepot_app;
grant update (wrapped, destroyed_at) on data_keys to entrepot_app;
create policy app_select on data_keys for select to entrepot_app
    using (organization_id = (select current_setting('app.organization_id')::uuid));
create policy app_insert on data_keys for insert to entrepot_app
    with check (
        organization_id = (select current_setting('app.organization_id')::uuid)
        and ((select app.can('connections', 'create')) or (select app.can('connections', 'update')))
    );
create policy app_update on data_keys for update to entrepot_app
    using (organization_id = (select current_setting('app.organization_id')::uuid))
    with check (
        organization_id = (select current_setting('app.organization_id')::uuid)
        and (
            (select app.can('connections', 'update'))
            or (select app.can('connections', 'delete'))
            or (select app.can('organization', 'delete'))
        )
    );
-- Which shards of the key store belong to a row, for the sweep of those that belong to none.
grant select (id, destroyed_at) on data_keys to entrepot_system;
create policy system_select on data_keys for select to entrepot_system using (true);
create trigger invalidate after update of destroyed_at on data_keys
    for each row execute function app.invalidate();

create table connections (
    organization_id uuid not null references organizations (id),
    id uuid not null,
    provider_key text not null,
    external_account text,
    display_name text not null check (length(display_name) between 1 and 200),
    status text not null check (status in
        ('pending', 'connected', 'paused', 'disabled', 'needs_reauth', 'suspended', 'disconnected')),
    health text not null default 'ok' check (health in ('ok', 'degraded', 'failing')),
    health_cause text,
    health_since timestamptz,
    config jsonb not null default '{}',
    scopes text[] not null default '{}',
    enabled_capabilities text[] not null default '{}',
    data_access_permissions jsonb not null
        default '{"allow_customer_access": true, "allow_order_access": true, "allow_product_access": true}',
    last_synced_at timestamptz,
    created_by uuid references users (id),
    created_at timestamptz not null,
    updated_at timestamptz not null,
    deleted_at timestamptz,
    deleted_by uuid,
    primary key (organization_id, id)
);
-- connection_of_account
create unique index connections_by_account on connections (organization_id, provider_key, external_account)
    where deleted_at is null and status <> 'disconnected';
alter table connections enable row level security;
alter table connections force row level security;
grant select, insert, update on connections to entrepot_app;
create policy app_select on connections for select to entrepot_app
    using (organization_id = (select current_setting('app.organization_id')::uuid));
create policy app_insert on connections for insert to entrepot_app
    with check (
        organization_id = (select current_setting('app.organization_id')::uuid)
        and (select app.can('connections', 'create'))
    );
create policy app_update on connections for update to entrepot_app
    using (organization_id = (select current_setting('app.organization_id')::uuid))
    with check (
        organization_id = (select current_setting('app.organization_id')::uuid)
        and (select app.can('connections', 'update'))
    );
create trigger invalidate
    after update of status, health, config, scopes, enabled_capabilities, data_access_permissions, external_account,
        deleted_at
        or delete on connections
    for each row execute function app.invalidate();

create table credentials (
    organization_id uuid not null,
    id uuid not null,
    connection_id uuid not null,
    data_key_id uuid not null,
    kind text not null check (kind in ('keys', 'token')),
    -- The last characters of a pasted key, by which its owner knows it again; nothing of a token.
    hint text check (length(hint) <= 8),
    sealed bytea not null,
    key_version integer not null,
    scopes text[] not null default '{}',
    expires_at timestamptz,
    refresh_expires_at timestamptz,
    -- The one before, when a person replaced it.
    rotated_from uuid,
    revoked_at timestamptz,
    created_by uuid references users (id),
    created_at timestamptz not null,
    primary key (organization_id, id),
    foreign key (organization_id, connection_id) references connections (organization_id, id),
    foreign key (organization_id, data_key_id) references data_keys (organization_id, id),
    foreign key (organization_id, rotated_from) references credentials (organization_id, id)
);
-- active_credential
create unique index credentials_active on credentials (organization_id, connection_id) where revoked_at is null;
alter table credentials enable row level security;
alter table credentials force row level security;
grant select, insert, update on credentials to entrepot_app;
create policy app_select on credentials for select to entrepot_app
    using (organization_id = (select current_setting('app.organization_id')::uuid));
create policy app_insert on credentials for insert to entrepot_app
    with check (
        organization_id = (select current_setting('app.organization_id')::uuid)
        and ((select app.can('connections', 'create')) or (select app.can('connections', 'update')))
    );
create policy app_update on credentials for update to entrepot_app
    using (organization_id = (select current_setting('app.organization_id')::uuid))
    with check (
        organization_id = (select current_setting('app.organization_id')::uuid)
        and (select app.can('connections', 'update'))
    );
create trigger invalidate after insert or update of revoked_at, sealed on credentials
    for each row execute function app.invalidate();

-- A person on the way to a provider's consent page and back. Single use: consuming deletes the row.
create table oauth_states (
    -- SHA-256 of the state that travels.
    state_hash bytea primary key,
    organization_id uuid not null references organizations (id),
    user_id uuid not null references users (id),
    session_id uuid not null references sessions (id),
    provider_key text not null,
    -- What the way back must match: `pairing` until the provider names the account, then `authorize`.
    step text not null check (step in ('pairing', 'authorize')),
    external_account text,
    -- What the owner chose while connecting; null when they chose nothing.
    data_access_permissions jsonb,
    created_at timestamptz not null,
    expires_at timestamptz not null
);
alter table oauth_states enable row level security;
alter table oauth_states force row level security;
grant insert on oauth_states to entrepot_app;
create policy app_insert on oauth_states for insert to entrepot_app
    with check (
        organization_id = (select current_setting('app.organization_id')::uuid)
        and (select app.can('connections', 'create'))
    );
grant select, insert, delete on oauth_states to entrepot_system;
create policy system_select on oauth_states for select to entrepot_system using (true);
create policy system_insert on oauth_states for insert to entrepot_system with check (true);
create policy system_delete on oauth_states for delete to entrepot_system using (true);

create table store_permission_audit (
    organization_id uuid not null,
    id uuid not null,
    connection_id uuid not null,
    actor text not null,
    before jsonb not null,
    after jsonb not null,
    reason text check (length(reason) <= 500),
    created_at timestamptz not null,
    primary key (organization_id, id),
    foreign key (organization_id, connection_id) references connections (organization_id, id)
);
-- store_permission_history
create index store_permission_audit_by_connection on store_permission_audit (organization_id, connection_id, id);
alter table store_permission_audit enable row level security;
alter table store_permission_audit force row level security;
grant select, insert on store_permission_audit to entrepot_app;
create policy app_select on store_permission_audit for select to entrepot_app
    using (organization_id = (select current_setting('app.organization_id')::uuid));
create policy app_insert on store_permission_audit for insert to entrepot_app
    with check (
        organization_id = (select current_setting('app.organization_id')::uuid)
        and ((select app.can('connections', 'create')) or (select app.can('connections', 'update')))
    );

-- Every access to shop data, and every refusal: what kind, never what.
create table api_access_log (
    organization_id uuid not null,
    -- Shown to the caller as the answer's receipt.
    id uuid not null,
    actor text not null,
    key_id uuid,
    connection_id uuid,
    -- `customers`, `orders` or `products`.
    resource text not null,
    -- `list`, `one` or `search`.
    operation text not null,
    -- `ok`, or the problem's type.
    result text not null,
    records integer,
    fields_returned text[] not null default '{}',
    fields_withheld text[] not null default '{}',
    duration_ms integer not null,
    upstream_ms integer,
    request_id text,
    created_at timestamptz not null,
    primary key (organization_id, id)
) partition by range (id);
-- access_log_of_connection
create index api_access_log_by_connection on api_access_log (organization_id, connection_id, id);
alter table api_access_log enable row level security;
alter table api_access_log force row level security;
grant select on api_access_log to entrepot_app;
create policy app_select on api_access_log for select to entrepot_app
    using (
        organization_id = (select current_setting('app.organization_id')::uuid)
        and (select app.can('access_log', 'read'))
    );
grant insert on api_access_log to entrepot_ingest;
create policy ingest_insert on api_access_log for insert to entrepot_ingest with check (true);
insert into app.partitioned_tables values ('api_access_log', interval '180 days');
