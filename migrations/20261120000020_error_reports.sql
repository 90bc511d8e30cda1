-- What broke, once for each way to break, in an organization or, where none was known, outside all of them. Words of the program only:
-- no value of a row, of a request or of a provider (docs/adr/0041-what-breaks-is-counted-by-fingerprint.md).
create table error_reports (
    id uuid primary key,
    organization_id uuid references organizations (id) on delete cascade,
    -- Of kind, place, code and message.
    fingerprint text not null check (fingerprint ~ '^[0-9a-f]{32}$'),
    kind text not null check (kind in ('answer', 'panic', 'job', 'task', 'setting')),
    -- A route, a line of the source, the name of a job or a task.
    place text not null check (length(place) <= 200),
    code text not null check (length(code) <= 200),
    message text not null check (length(message) <= 500),
    occurrences bigint not null check (occurrences > 0),
    first_seen_at timestamptz not null,
    last_seen_at timestamptz not null,
    last_request_id text check (length(last_request_id) <= 100),
    -- The version of the program that it happened in last.
    release text not null check (length(release) <= 100)
);
-- upsert_error_reports
create unique index error_reports_by_fingerprint
    on error_reports (organization_id, fingerprint) nulls not distinct;
-- newest_error_reports, house_error_reports
create index error_reports_newest on error_reports (organization_id, id);
alter table error_reports enable row level security;
alter table error_reports force row level security;
grant select on error_reports to entrepot_app;
create policy app_select on error_reports for select to entrepot_app
    using (
        organization_id = (select current_setting('app.organization_id')::uuid)
        and (select app.can('events', 'read'))
    );
-- What breaks is often what would have known the organization.
grant select, insert, update, delete on error_reports to entrepot_system;
create policy system_select on error_reports for select to entrepot_system using (true);
create policy system_insert on error_reports for insert to entrepot_system with check (true);
create policy system_update on error_reports for update to entrepot_system using (true) with check (true);
create policy system_delete on error_reports for delete to entrepot_system using (true);

-- The newest migration that has run, for nodes that say whether they are ready: no login that serves reads sqlx's own table.
create function app.schema_version() returns bigint
    language plpgsql stable security definer set search_path = pg_catalog, pg_temp
    as $$
begin
    return (select coalesce(max(version), 0) from public._sqlx_migrations where success);
end $$;
revoke all on function app.schema_version() from public;
grant execute on function app.schema_version() to entrepot_system;
