-- What the activity log is narrowed by.

-- events_by_type
create index events_by_type on events (organization_id, event_type, id);
-- events_by_actor
create index events_by_actor on events (organization_id, actor, id);
-- events_by_level: nearly all lines are `info`, which need no index of their own
create index events_by_level on events (organization_id, level, id) where level <> 'info';

-- Lines are sealed in the order of their commits.
-- next_lines
create index events_by_commit on events (organization_id, xid, id);
alter table audit_log add column xid xid8 not null default pg_current_xact_id();
-- next_lines
create index audit_log_by_commit on audit_log (organization_id, xid, id);

-- The hash chain over each log (docs/adr/0026-logs-are-sealed-in-batches.md): what the lines of a batch were, and the hash of the seal before. Seals
-- can only be added, and only by the job: no role has `audit:create`. They leave with their log.
create table event_seals (
    organization_id uuid not null,
    id uuid not null,
    -- Counted from 1, without gaps.
    number bigint not null check (number > 0),
    -- Where the batch ends, in the order of commits.
    last_xid xid8 not null,
    last_id uuid not null,
    -- For each line: xid (8 bytes), id (16 bytes), SHA-256 (32 bytes).
    lines bytea not null,
    previous bytea not null check (length(previous) = 32),
    hash bytea not null check (length(hash) = 32),
    created_at timestamptz not null,
    primary key (organization_id, id)
) partition by range (id);
-- last_seal, seals_after
create index event_seals_by_number on event_seals (organization_id, number);
alter table event_seals enable row level security;
alter table event_seals force row level security;
grant select, insert on event_seals to entrepot_app;
create policy app_select on event_seals for select to entrepot_app
    using (organization_id = (select current_setting('app.organization_id')::uuid));
create policy app_insert on event_seals for insert to entrepot_app
    with check (
        organization_id = (select current_setting('app.organization_id')::uuid)
        and (select app.can('audit', 'create'))
    );
insert into app.partitioned_tables values ('event_seals', interval '90 days');

create table audit_seals (
    organization_id uuid not null,
    id uuid not null,
    number bigint not null check (number > 0),
    last_xid xid8 not null,
    last_id uuid not null,
    lines bytea not null,
    previous bytea not null check (length(previous) = 32),
    hash bytea not null check (length(hash) = 32),
    created_at timestamptz not null,
    primary key (organization_id, id)
) partition by range (id);
-- last_seal, seals_after
create index audit_seals_by_number on audit_seals (organization_id, number);
alter table audit_seals enable row level security;
alter table audit_seals force row level security;
grant select, insert on audit_seals to entrepot_app;
create policy app_select on audit_seals for select to entrepot_app
    using (organization_id = (select current_setting('app.organization_id')::uuid));
create policy app_insert on audit_seals for insert to entrepot_app
    with check (
        organization_id = (select current_setting('app.organization_id')::uuid)
        and (select app.can('audit', 'create'))
    );
insert into app.partitioned_tables values ('audit_seals', interval '2 years');
