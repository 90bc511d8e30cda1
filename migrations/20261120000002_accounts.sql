-- Who there is: users, organizations, members, sessions, roles, API keys, and the trail of what they changed.

create table users (
    id uuid primary key,
    email text not null check (email = lower(email) and length(email) <= 254),
    name text not null check (length(name) between 1 and 200),
    -- Argon2id in PHC format.
    password_hash text not null,
    created_at timestamptz not null,
    deleted_at timestamptz
);
create unique index users_by_email on users (email);
alter table users enable row level security;
alter table users force row level security;

create table organizations (
    id uuid primary key,
    name text not null check (length(name) between 1 and 200),
    slug text not null unique check (slug ~ '^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$'),
    subscription_status text not null check (subscription_status in ('trial', 'active', 'inactive', 'cancelled')),
    subscription_plan text not null check (subscription_plan in ('free', 'starter', 'professional', 'enterprise')),
    trial_ends_at timestamptz,
    settings jsonb not null default '{}',
    created_at timestamptz not null,
    deleted_at timestamptz,
    deleted_by uuid
);
alter table organizations enable row level security;
alter table organizations force row level security;
grant select on organizations to entrepot_app;
grant update (name, settings, deleted_at, deleted_by) on organizations to entrepot_app;
create policy app_select on organizations for select to entrepot_app
    using (id = (select current_setting('app.organization_id')::uuid));
create policy app_update on organizations for update to entrepot_app
    using (id = (select current_setting('app.organization_id')::uuid))
    with check (
        id = (select current_setting('app.organization_id')::uuid)
        and ((select app.can('organization', 'update')) or (select app.can('organization', 'delete')))
        and (deleted_at is null or (select app.can('organization', 'delete')))
    );
grant select, insert on organizations to entrepot_system;
create policy system_select on organizations for select to entrepot_system using (true);
create policy system_insert on organizations for insert to entrepot_system with check (true);
create trigger invalidate after update of deleted_at, subscription_status, subscription_plan on organizations
    for each row execute function app.invalidate();

create table organization_members (
    organization_id uuid not null references organizations (id),
    id uuid not null,
    user_id uuid not null references users (id),
    role text not null,
    status text not null check (status in ('active', 'invited', 'suspended')),
    stations text[] not null default '{}',
    created_at timestamptz not null,
    primary key (organization_id, id),
    unique (organization_id, user_id)
);
-- members_of_user
create index organization_members_by_user on organization_members (user_id);
alter table organization_members enable row level security;
alter table organization_members force row level security;
grant select, insert, update, delete on organization_members to entrepot_app;
create policy app_select on organization_members for select to entrepot_app
    using (organization_id = (select current_setting('app.organization_id')::uuid));
create policy app_insert on organization_members for insert to entrepot_app
    with check (
        organization_id = (select current_setting('app.organization_id')::uuid)
        and (select app.can('members', 'create'))
        and (role <> 'owner' or (select app.can('organization', 'delete')))
    );
create policy app_update on organization_members for update to entrepot_app
    using (organization_id = (select current_setting('app.organization_id')::uuid))
    with check (
        organization_id = (select current_setting('app.organization_id')::uuid)
        and (select app.can('members', 'update'))
        and (role <> 'owner' or (select app.can('organization', 'delete')))
    );
create policy app_delete on organization_members for delete to entrepot_app
    using (
        organization_id = (select current_setting('app.organization_id')::uuid)
        and (select app.can('members', 'delete'))
    );
grant select, insert on organization_members to entrepot_system;
create policy system_select on organization_members for select to entrepot_system using (true);
create policy system_insert on organization_members for insert to entrepot_system with check (true);
create trigger invalidate after insert or update or delete on organization_members
    for each row execute function app.invalidate();

-- A tenant sees the users that sit in it, and changes none.
grant select (id, email, name, created_at) on users to entrepot_app;
create policy app_select on users for select to entrepot_app
    using (
        exists (
            select 1
            from organization_members m
            where m.organization_id = (select current_setting('app.organization_id')::uuid) and m.user_id = users.id
        )
    );
grant select, insert on users to entrepot_system;
create policy system_select on users for select to entrepot_system using (true);
create policy system_insert on users for insert to entrepot_system with check (true);

create table sessions (
    id uuid primary key,
    user_id uuid not null references users (id) on delete cascade,
    -- SHA-256 of the token; the token itself has 256 bits and needs no slow hash.
    token_hash bytea not null unique,
    created_at timestamptz not null,
    last_seen_at timestamptz not null,
    expires_at timestamptz not null,
    revoked_at timestamptz
);
-- sessions_of_user
create index sessions_by_user on sessions (user_id);
alter table sessions enable row level security;
alter table sessions force row level security;
grant select, insert, update, delete on sessions to entrepot_system;
create policy system_select on sessions for select to entrepot_system using (true);
create policy system_insert on sessions for insert to entrepot_system with check (true);
create policy system_update on sessions for update to entrepot_system using (true) with check (true);
create policy system_delete on sessions for delete to entrepot_system using (true);
create trigger invalidate after update of revoked_at on sessions
    for each row execute function app.invalidate();

create table role_permissions (
    role text not null,
    resource text not null,
    action text not null,
    primary key (role, resource, action)
);
alter table role_permissions enable row level security;
alter table role_permissions force row level security;
grant select on role_permissions to entrepot_app, entrepot_system;
create policy app_select on role_permissions for select to entrepot_app using (true);
create policy system_select on role_permissions for select to entrepot_system using (true);

-- Under force, the owner writes what a policy lets it write: the matrix, and nothing else.
create policy owner_insert on role_permissions for insert to entrepot_owner with check (true);
insert into role_permissions (role, resource, action)
select role, resource, unnest(string_to_array(actions, ' '))
from (values
    ('owner', 'customers', 'read'),
    ('owner', 'orders', 'read'),
    ('owner', 'products', 'read'),
    ('owner', 'organization', 'create read update delete approve run'),
    ('owner', 'members', 'create read update delete approve run'),
    ('owner', 'connections', 'create read update delete approve run'),
    ('owner', 'api_keys', 'create read update delete approve run'),
    ('owner', 'events', 'read'),
    ('owner', 'audit', 'read'),
    ('owner', 'access_log', 'read'),
    ('administrator', 'customers', 'read'),
    ('administrator', 'orders', 'read'),
    ('administrator', 'products', 'read'),
    ('administrator', 'organization', 'read update'),
    ('administrator', 'members', 'create read update delete approve run'),
    ('administrator', 'connections', 'read'),
    ('administrator', 'api_keys', 'create read update delete approve run'),
    ('administrator', 'events', 'read'),
    ('administrator', 'audit', 'read'),
    ('administrator', 'access_log', 'read'),
    ('shop_manager', 'customers', 'read'),
    ('shop_manager', 'orders', 'read'),
    ('shop_manager', 'products', 'read'),
    ('shop_manager', 'organization', 'read'),
    ('shop_manager', 'members', 'read'),
    ('shop_manager', 'connections', 'create read update delete approve run'),
    ('shop_manager', 'api_keys', 'create read update delete approve run'),
    ('shop_manager', 'events', 'read'),
    ('shop_manager', 'access_log', 'read'),
    ('manager', 'customers', 'read'),
    ('manager', 'orders', 'read'),
    ('manager', 'products', 'read'),
    ('manager', 'organization', 'read'),
    ('manager', 'members', 'read'),
    ('manager', 'connections', 'read'),
    ('manager', 'api_keys', 'read'),
    ('manager', 'events', 'read'),
    ('employee', 'products', 'read'),
    ('employee', 'connections', 'read'),
    ('sales', 'customers', 'read'),
    ('sales', 'products', 'read'),
    ('bot_trainer', 'products', 'read'),
    ('viewer', 'organization', 'read'),
    ('viewer', 'members', 'read'),
    ('viewer', 'connections', 'read'),
    ('viewer', 'events', 'read')
) as matrix (role, resource, actions);
drop policy owner_insert on role_permissions;

create table user_api_keys (
    organization_id uuid not null references organizations (id),
    id uuid not null,
    user_id uuid not null references users (id) on delete cascade,
    key_name text not null check (length(key_name) between 1 and 100),
    -- The public part by which the key is found.
    lookup text not null check (length(lookup) = 8),
    -- bcrypt, cost 12.
    key_hash text not null,
    permissions jsonb not null default '{"webshop_data": true}',
    -- Null: every store of the organization.
    stores uuid[],
    allowed_origins text[],
    state text not null default 'active' check (state in ('active', 'suspended', 'revoked', 'expired')),
    state_reason text,
    state_changed_at timestamptz,
    last_used_at timestamptz,
    expires_at timestamptz not null,
    rotated_from uuid,
    created_at timestamptz not null,
    updated_at timestamptz not null,
    primary key (organization_id, id),
    unique (organization_id, lookup),
    foreign key (organization_id, rotated_from) references user_api_keys (organization_id, id)
);
-- keys_of_user
create index user_api_keys_by_user on user_api_keys (organization_id, user_id);
-- expired_keys
create index user_api_keys_by_expiry on user_api_keys (organization_id, expires_at) where state in ('active', 'suspended');
alter table user_api_keys enable row level security;
alter table user_api_keys force row level security;
-- Not the hash: whoever checks keys is the system login. Not whose key it is, nor what opens it.
grant select (
    organization_id, id, user_id, key_name, lookup, permissions, stores, allowed_origins, state, state_reason,
    state_changed_at, last_used_at, expires_at, rotated_from, created_at, updated_at
) on user_api_keys to entrepot_app;
grant insert on user_api_keys to entrepot_app;
grant update (state, state_reason, state_changed_at, expires_at, updated_at) on user_api_keys to entrepot_app;
create policy app_select on user_api_keys for select to entrepot_app
    using (organization_id = (select current_setting('app.organization_id')::uuid));
create policy app_insert on user_api_keys for insert to entrepot_app
    with check (
        organization_id = (select current_setting('app.organization_id')::uuid)
        and (select app.can('api_keys', 'create'))
    );
create policy app_update on user_api_keys for update to entrepot_app
    using (organization_id = (select current_setting('app.organization_id')::uuid))
    with check (
        organization_id = (select current_setting('app.organization_id')::uuid)
        and ((select app.can('api_keys', 'update')) or (select app.can('api_keys', 'delete')))
    );
grant select on user_api_keys to entrepot_system;
grant update (last_used_at) on user_api_keys to entrepot_system;
create policy system_select on user_api_keys for select to entrepot_system using (true);
create policy system_update on user_api_keys for update to entrepot_system using (true) with check (true);
create trigger invalidate
    after update of state, expires_at, permissions, stores, allowed_origins or delete on user_api_keys
    for each row execute function app.invalidate();

-- Which organization a key belongs to: asked before any tenant is known.
create table api_key_prefixes (
    lookup text primary key,
    organization_id uuid not null references organizations (id),
    key_id uuid not null
);
alter table api_key_prefixes enable row level security;
alter table api_key_prefixes force row level security;
grant insert on api_key_prefixes to entrepot_app;
create policy app_insert on api_key_prefixes for insert to entrepot_app
    with check (
        organization_id = (select current_setting('app.organization_id')::uuid)
        and (select app.can('api_keys', 'create'))
    );
grant select on api_key_prefixes to entrepot_system;
create policy system_select on api_key_prefixes for select to entrepot_system using (true);

-- How much of its minute a caller has used, leased to nodes in chunks.
create table rate_windows (
    organization_id uuid not null references organizations (id),
    -- An API key or a session.
    subject uuid not null,
    -- The minute since the epoch.
    window_minute bigint not null,
    used integer not null,
    primary key (organization_id, subject)
) with (fillfactor = 70);
alter table rate_windows enable row level security;
alter table rate_windows force row level security;
grant select, insert, update on rate_windows to entrepot_app;
create policy app_select on rate_windows for select to entrepot_app
    using (organization_id = (select current_setting('app.organization_id')::uuid));
create policy app_insert on rate_windows for insert to entrepot_app
    with check (organization_id = (select current_setting('app.organization_id')::uuid));
create policy app_update on rate_windows for update to entrepot_app
    using (organization_id = (select current_setting('app.organization_id')::uuid))
    with check (organization_id = (select current_setting('app.organization_id')::uuid));
-- Minutes that are over are cleared away for all organizations at once.
grant select (window_minute), delete on rate_windows to entrepot_system;
create policy system_select on rate_windows for select to entrepot_system using (true);
create policy system_delete on rate_windows for delete to entrepot_system using (true);

create table audit_log (
    organization_id uuid not null,
    id uuid not null,
    -- `user:…`, `key:…` or `system:task`.
    actor text not null,
    -- `api_key.create`, `connection.update`, …
    action text not null,
    resource text not null,
    resource_id uuid,
    -- Masked: names of fields and values that are neither secret nor personal.
    before jsonb,
    after jsonb,
    request_id text,
    created_at timestamptz not null,
    primary key (organization_id, id)
) partition by range (id);
alter table audit_log enable row level security;
alter table audit_log force row level security;
grant select, insert on audit_log to entrepot_app;
create policy app_select on audit_log for select to entrepot_app
    using (
        organization_id = (select current_setting('app.organization_id')::uuid)
        and (select app.can('audit', 'read'))
    );
create policy app_insert on audit_log for insert to entrepot_app
    with check (organization_id = (select current_setting('app.organization_id')::uuid));
grant insert on audit_log to entrepot_system;
create policy system_insert on audit_log for insert to entrepot_system with check (true);
insert into app.partitioned_tables values ('audit_log', interval '2 years');

create table events (
    organization_id uuid not null,
    id uuid not null,
    connection_id uuid,
    level text not null check (level in ('info', 'warning', 'error')),
    event_type text not null,
    message text not null,
    meta jsonb not null default '{}',
    actor text not null,
    created_at timestamptz not null,
    -- Ids are not in commit order; what follows the log stops below the oldest running transaction.
    xid xid8 not null default pg_current_xact_id(),
    primary key (organization_id, id)
) partition by range (id);
-- events_of_connection
create index events_by_connection on events (organization_id, connection_id, id);
alter table events enable row level security;
alter table events force row level security;
grant select, insert on events to entrepot_app;
create policy app_select on events for select to entrepot_app
    using (organization_id = (select current_setting('app.organization_id')::uuid));
create policy app_insert on events for insert to entrepot_app
    with check (organization_id = (select current_setting('app.organization_id')::uuid));
grant insert on events to entrepot_system;
create policy system_insert on events for insert to entrepot_system with check (true);
insert into app.partitioned_tables values ('events', interval '90 days');

-- Durable work of the machine, of one organization each. Removed when it is done.
create table jobs (
    organization_id uuid not null,
    id uuid not null,
    name text not null,
    -- What to do, by ids: never data about people.
    payload jsonb not null check (pg_column_size(payload) <= 65536),
    -- The order of enqueueing, which the ids of one millisecond do not tell.
    sequence bigint generated always as identity,
    -- Jobs of the organization with the same key run one after the other, in the order of `sequence`.
    ordering_key text check (length(ordering_key) <= 200),
    -- At most one waiting job of a name with the same key.
    dedupe_key text check (length(dedupe_key) <= 200),
    -- When it was asked to run. Kept through retries, so that it tells how old the work is.
    run_at timestamptz not null,
    -- When a job that waits for a time becomes ready; when a running job's lease ends.
    due_at timestamptz not null,
    attempts integer not null default 0 check (attempts >= 0),
    -- Waiting for a time (`scheduled` for its first attempt, `retrying` for its next, `throttled` for a limit or a person),
    -- `ready` to be claimed, `running` under a lease, `dead` after its last attempt.
    state text not null check (state in ('scheduled', 'retrying', 'throttled', 'ready', 'running', 'dead')),
    -- Grows with every claim; what is written with an older token changes nothing.
    lease_token bigint not null default 0,
    -- In our own words: never a provider's text or a value.
    last_error text,
    created_at timestamptz not null,
    primary key (organization_id, id)
) with (fillfactor = 70, autovacuum_vacuum_scale_factor = 0.02, autovacuum_vacuum_threshold = 500);
-- claim_jobs: the organizations that have something ready, and the next of each
create index jobs_ready on jobs (organization_id, sequence) where state = 'ready';
-- wake_jobs
create index jobs_due on jobs (due_at) where state in ('scheduled', 'retrying', 'throttled', 'running');
-- enqueue_job, enqueue_scheduled_jobs
create unique index jobs_dedupe on jobs (organization_id, name, dedupe_key)
    where dedupe_key is not null and state in ('scheduled', 'retrying', 'throttled', 'ready');
-- claim_jobs: the head of each ordering key
create index jobs_ordering on jobs (organization_id, ordering_key, sequence)
    where ordering_key is not null and state <> 'dead';
-- claim_jobs: whoever claims two jobs of one ordering key at the same moment, on any node, is refused here
create unique index jobs_ordering_running on jobs (organization_id, ordering_key)
    where ordering_key is not null and state = 'running';
alter table jobs enable row level security;
alter table jobs force row level security;
-- The lease's token is the system's alone.
grant select, insert, delete on jobs to entrepot_app;
grant update (run_at, due_at, attempts, state, last_error) on jobs to entrepot_app;
create policy app_select on jobs for select to entrepot_app
    using (organization_id = (select current_setting('app.organization_id')::uuid));
create policy app_insert on jobs for insert to entrepot_app
    with check (organization_id = (select current_setting('app.organization_id')::uuid));
create policy app_update on jobs for update to entrepot_app
    using (organization_id = (select current_setting('app.organization_id')::uuid))
    with check (organization_id = (select current_setting('app.organization_id')::uuid));
create policy app_delete on jobs for delete to entrepot_app
    using (organization_id = (select current_setting('app.organization_id')::uuid));
grant select, insert on jobs to entrepot_system;
grant update (dedupe_key, due_at, attempts, state, lease_token) on jobs to entrepot_system;
create policy system_select on jobs for select to entrepot_system using (true);
create policy system_insert on jobs for insert to entrepot_system with check (true);
create policy system_update on jobs for update to entrepot_system using (true) with check (true);
