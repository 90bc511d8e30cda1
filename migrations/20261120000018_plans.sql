-- Plans: what was agreed with an organization, what it uses, what is paused beyond that, and what its people are told.

alter table organizations
    -- Numbers that count in place of the plan's, by the name of the limit.
    add column plan_limits jsonb not null default '{}' check (jsonb_typeof(plan_limits) = 'object'),
    -- When a plan that is no trial ends; null: it goes on.
    add column plan_ends_at timestamptz,
    -- When the status became what it is; null: with the organization.
    add column subscription_status_since timestamptz,
    -- When the owners were told that the trial ends soon.
    add column trial_reminded_at timestamptz;
-- A plan is the operator's and the clock's: no login that serves inside an organization may change one, whoever is calling.
grant update (
    subscription_status, subscription_plan, plan_limits, trial_ends_at, plan_ends_at, subscription_status_since, trial_reminded_at
) on organizations to entrepot_system;
create policy system_update on organizations for update to entrepot_system using (true) with check (true);
create or replace trigger invalidate
    after update of deleted_at, subscription_status, subscription_plan, plan_limits, trial_ends_at, plan_ends_at on organizations
    for each row execute function app.invalidate();

-- Since when it is beyond what the plan allows. Apart from the status, which says what people and the provider did.
alter table connections add column plan_paused_at timestamptz;
grant update (plan_paused_at) on connections to entrepot_app;
create or replace trigger invalidate
    after update of status, health, config, scopes, enabled_capabilities, data_access_permissions, external_account,
        deleted_at, plan_paused_at
        or delete on connections
    for each row execute function app.invalidate();
alter table organization_members add column plan_paused_at timestamptz;

-- What an organization has used of a daily limit, leased to nodes in chunks.
create table usage_counters (
    organization_id uuid not null references organizations (id),
    -- The name of the limit.
    counter text not null check (counter ~ '^[a-z_]{1,40}$'),
    -- Of UTC.
    day date not null,
    -- What nodes have taken, less what they gave back.
    used bigint not null check (used >= 0),
    -- What the latest lease was given.
    leased bigint not null check (leased >= 0),
    primary key (organization_id, counter, day)
) with (fillfactor = 70);
-- purge_usage
create index usage_counters_by_day on usage_counters (day);
alter table usage_counters enable row level security;
alter table usage_counters force row level security;
grant select, insert on usage_counters to entrepot_app;
grant update (used, leased) on usage_counters to entrepot_app;
create policy app_select on usage_counters for select to entrepot_app
    using (organization_id = (select current_setting('app.organization_id')::uuid));
create policy app_insert on usage_counters for insert to entrepot_app
    with check (organization_id = (select current_setting('app.organization_id')::uuid));
create policy app_update on usage_counters for update to entrepot_app
    using (organization_id = (select current_setting('app.organization_id')::uuid))
    with check (organization_id = (select current_setting('app.organization_id')::uuid));
-- Days that are long over are cleared away for all organizations at once; the operator's list shows today.
grant select, delete on usage_counters to entrepot_system;
create policy system_select on usage_counters for select to entrepot_system using (true);
create policy system_delete on usage_counters for delete to entrepot_system using (true);

-- What one person is told in one organization. It leaves with their seat.
create table notifications (
    organization_id uuid not null references organizations (id),
    id uuid not null,
    user_id uuid not null,
    -- `trial_ending`, `connection_needs_reauth`, …
    kind text not null check (kind ~ '^[a-z_]{1,40}$'),
    severity text not null check (severity in ('info', 'warning', 'error')),
    -- What its sentence is made with: names of things, dates and numbers, nothing about persons.
    params jsonb not null default '{}' check (pg_column_size(params) <= 4096),
    -- The connection that it is about.
    connection_id uuid,
    -- Anything else that it is about: `api_key`, `member`.
    resource text check (resource ~ '^[a-z_]{1,40}$'),
    resource_id uuid,
    -- What is told once is told once.
    dedupe_key text check (length(dedupe_key) <= 200),
    created_at timestamptz not null,
    read_at timestamptz,
    primary key (organization_id, id),
    foreign key (organization_id, user_id) references organization_members (organization_id, user_id) on delete cascade,
    foreign key (organization_id, connection_id) references connections (organization_id, id) on delete cascade,
    check ((resource is null) = (resource_id is null))
);
create unique index notifications_once on notifications (organization_id, user_id, dedupe_key) where dedupe_key is not null;
-- newest_notifications
create index notifications_of_user on notifications (organization_id, user_id, id);
-- count_unread_notifications, read_notifications
create index notifications_unread on notifications (organization_id, user_id) where read_at is null;
-- purge_notifications
create index notifications_by_age on notifications (created_at);
alter table notifications enable row level security;
alter table notifications force row level security;
grant select, insert on notifications to entrepot_app;
grant update (read_at) on notifications to entrepot_app;
create policy app_select on notifications for select to entrepot_app
    using (
        organization_id = (select current_setting('app.organization_id')::uuid)
        and (connection_id is null or connection_id <> all ((select app.hidden_connections())::uuid[]))
    );
create policy app_insert on notifications for insert to entrepot_app
    with check (organization_id = (select current_setting('app.organization_id')::uuid));
create policy app_update on notifications for update to entrepot_app
    using (organization_id = (select current_setting('app.organization_id')::uuid))
    with check (organization_id = (select current_setting('app.organization_id')::uuid));
-- Who tells of the plan is in no organization.
grant select (organization_id, id, created_at), insert, delete on notifications to entrepot_system;
create policy system_select on notifications for select to entrepot_system using (true);
create policy system_insert on notifications for insert to entrepot_system with check (true);
create policy system_delete on notifications for delete to entrepot_system using (true);
