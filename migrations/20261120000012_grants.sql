-- What is allowed and denied to members beside their role, and the people of an organization, with or without a login.

create table permission_grants (
    organization_id uuid not null references organizations (id),
    id uuid not null,
    member_id uuid not null,
    effect text not null check (effect in ('allow', 'deny')),
    resource text not null check (resource ~ '^[a-z_]{1,40}$'),
    action text not null check (action ~ '^[a-z_]{1,40}$'),
    -- A connection; null: the organization as a whole.
    resource_id uuid,
    reason text check (length(reason) <= 500),
    ends_at timestamptz,
    created_by uuid references users (id),
    created_at timestamptz not null,
    deleted_at timestamptz,
    deleted_by uuid references users (id),
    primary key (organization_id, id),
    foreign key (organization_id, member_id) references organization_members (organization_id, id) on delete cascade,
    foreign key (organization_id, resource_id) references connections (organization_id, id)
);
-- grants_of, and no grant twice
create unique index permission_grants_active
    on permission_grants (organization_id, member_id, resource, action, effect, resource_id) nulls not distinct
    where deleted_at is null;
alter table permission_grants enable row level security;
alter table permission_grants force row level security;
grant select, insert, delete on permission_grants to entrepot_app;
grant update (deleted_at, deleted_by) on permission_grants to entrepot_app;
create policy app_select on permission_grants for select to entrepot_app
    using (organization_id = (select current_setting('app.organization_id')::uuid));
create policy app_insert on permission_grants for insert to entrepot_app
    with check (
        organization_id = (select current_setting('app.organization_id')::uuid)
        and (select app.can('members', 'update'))
    );
create policy app_update on permission_grants for update to entrepot_app
    using (organization_id = (select current_setting('app.organization_id')::uuid))
    with check (
        organization_id = (select current_setting('app.organization_id')::uuid)
        and (select app.can('members', 'update'))
    );
create policy app_delete on permission_grants for delete to entrepot_app
    using (
        organization_id = (select current_setting('app.organization_id')::uuid)
        and (select app.can('members', 'delete'))
    );
-- Who is calling is found out before any tenant is known.
grant select on permission_grants to entrepot_system;
create policy system_select on permission_grants for select to entrepot_system using (true);
create trigger invalidate after insert or update or delete on permission_grants
    for each row execute function app.invalidate();

-- What is granted to a member, also what has ended: whoever reads it knows the time.
create function app.grants_of(organization uuid, member uuid) returns jsonb
    language sql stable parallel safe
    as $$
        select coalesce(
            jsonb_agg(jsonb_build_object(
                'effect', g.effect, 'resource', g.resource, 'action', g.action, 'resource_id', g.resource_id,
                'ends_at', g.ends_at
            )),
            '[]'
        )
        from public.permission_grants g
        where g.organization_id = organization and g.member_id = member and g.deleted_at is null
    $$;

-- The connections that were taken from whoever is calling, set by `db::TenantTx` together with the permissions.
create function app.hidden_connections_in(permissions text) returns uuid[]
    language sql stable parallel safe
    as $$
        select coalesce(array_agg(substr(word, 2)::uuid), '{}')
        from unnest(string_to_array(permissions, ',')) word
        where word like '!%'
    $$;

-- Hardly anybody was denied a connection: PostgreSQL puts this expression in place of its calls, and reads no list for them.
create function app.hidden_connections() returns uuid[]
    language sql stable parallel safe
    as $$
        select case
            when position('!' in current_setting('app.permissions')) = 0 then '{}'::uuid[]
            else app.hidden_connections_in(current_setting('app.permissions'))
        end
    $$;

-- A connection that somebody was denied is not there for them, and neither is what is written of it.
alter policy app_select on connections
    using (
        organization_id = (select current_setting('app.organization_id')::uuid)
        and id <> all ((select app.hidden_connections())::uuid[])
    );
alter policy app_select on credentials
    using (
        organization_id = (select current_setting('app.organization_id')::uuid)
        and connection_id <> all ((select app.hidden_connections())::uuid[])
    );
alter policy app_select on store_permission_audit
    using (
        organization_id = (select current_setting('app.organization_id')::uuid)
        and connection_id <> all ((select app.hidden_connections())::uuid[])
    );
alter policy app_select on events
    using (
        organization_id = (select current_setting('app.organization_id')::uuid)
        and (connection_id is null or connection_id <> all ((select app.hidden_connections())::uuid[]))
    );
alter policy app_select on api_access_log
    using (
        organization_id = (select current_setting('app.organization_id')::uuid)
        and (select app.can('access_log', 'read'))
        and (connection_id is null or connection_id <> all ((select app.hidden_connections())::uuid[]))
    );
alter policy app_select on audit_log
    using (
        organization_id = (select current_setting('app.organization_id')::uuid)
        and (select app.can('audit', 'read'))
        and (resource_id is null or resource_id <> all ((select app.hidden_connections())::uuid[]))
    );

-- People of an organization: who sells, supports and runs things there, with or without a login.
create table team_members (
    organization_id uuid not null references organizations (id),
    id uuid not null,
    -- For people to read, and what another system calls them: `TM-0007`.
    external_id text not null check (external_id ~ '^[A-Za-z0-9][A-Za-z0-9._:-]{0,63}$'),
    data_key_id uuid not null,
    sealed_name bytea not null,
    sealed_email bytea,
    -- Their login, if they have a seat here.
    user_id uuid,
    member_type text not null check (member_type in ('sales', 'support', 'operations')),
    -- A percentage of each sale, or an amount for each in the currency of the sale; tiers begin with it.
    commission_rate numeric(20, 4) check (commission_rate >= 0),
    commission_type text check (commission_type in ('percentage', 'flat', 'tiered')),
    created_by uuid references users (id),
    created_at timestamptz not null,
    updated_at timestamptz not null,
    deleted_at timestamptz,
    deleted_by uuid references users (id),
    primary key (organization_id, id),
    unique (organization_id, external_id),
    foreign key (organization_id, data_key_id) references data_keys (organization_id, id),
    foreign key (organization_id, user_id) references organization_members (organization_id, user_id)
        on delete set null (user_id),
    check ((commission_rate is null) = (commission_type is null)),
    check (commission_type <> 'percentage' or commission_rate <= 100)
);
-- team_member_of_user: one person is one team member
create unique index team_members_by_user on team_members (organization_id, user_id) where user_id is not null and deleted_at is null;
alter table team_members enable row level security;
alter table team_members force row level security;
grant select, insert, delete on team_members to entrepot_app;
grant update (
    external_id, sealed_name, sealed_email, user_id, member_type, commission_rate, commission_type, updated_at, deleted_at,
    deleted_by
) on team_members to entrepot_app;
create policy app_select on team_members for select to entrepot_app
    using (organization_id = (select current_setting('app.organization_id')::uuid));
create policy app_insert on team_members for insert to entrepot_app
    with check (
        organization_id = (select current_setting('app.organization_id')::uuid)
        and (select app.can('members', 'create'))
    );
create policy app_update on team_members for update to entrepot_app
    using (organization_id = (select current_setting('app.organization_id')::uuid))
    with check (
        organization_id = (select current_setting('app.organization_id')::uuid)
        and ((select app.can('members', 'update')) or (select app.can('members', 'delete')))
    );
create policy app_delete on team_members for delete to entrepot_app
    using (
        organization_id = (select current_setting('app.organization_id')::uuid)
        and (select app.can('members', 'delete'))
    );

-- Their names and addresses are sealed with a key of the organization, which comes into being with the first of them.
alter policy app_insert on data_keys
    with check (
        organization_id = (select current_setting('app.organization_id')::uuid)
        and (
            (select app.can('connections', 'create'))
            or (select app.can('connections', 'update'))
            or (select app.can('members', 'create'))
        )
    );
