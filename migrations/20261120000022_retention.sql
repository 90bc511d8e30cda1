-- What is deleted goes once its time is over, and how long each kind is kept is the installation's to say
-- (docs/retention.md, docs/adr/0044-one-registry-of-what-is-kept.md). The constraints that are made here are validated by the next migration.

-- No installation keeps the lines of a log for less than this.
alter table app.partitioned_tables add column least interval not null default interval '1 day';
update app.partitioned_tables set least = interval '90 days' where table_name in ('events', 'event_seals');
update app.partitioned_tables set least = interval '180 days' where table_name = 'api_access_log';
update app.partitioned_tables set least = interval '731 days' where table_name in ('audit_log', 'audit_seals');

-- The same as the one that takes the moment alone, of these tables or of all where none is named, with the days that this
-- installation keeps their lines. Called for one table at a time, it waits for none while it holds another.
create function app.maintain_partitions(moment timestamptz, tables text[], days integer[]) returns integer
    language plpgsql security definer set search_path = pg_catalog, pg_temp
    as $$
declare
    parent record;
    child record;
    month timestamptz;
    made integer := 0;
    name text;
    was_expected boolean;
begin
    perform pg_advisory_xact_lock(hashtextextended('entrepot maintain_partitions', 0));
    perform set_config('lock_timeout', '2s', true);
    for parent in
        select t.table_name,
            greatest(t.least, coalesce(make_interval(days => days[array_position(tables, t.table_name)]), t.retention)) as retention
        from app.partitioned_tables t
        where cardinality(tables) = 0 or t.table_name = any (tables)
        order by t.table_name
    loop
        name := parent.table_name || '_' || to_char(moment at time zone 'UTC', 'YYYY_MM');
        was_expected := to_regclass('public.' || quote_ident(name)) is not null;
        for offset_months in -1..3 loop
            month := date_trunc('month', moment, 'UTC') + make_interval(months => offset_months);
            name := parent.table_name || '_' || to_char(month at time zone 'UTC', 'YYYY_MM');
            if to_regclass('public.' || quote_ident(name)) is null then
                execute format(
                    'create table public.%I (like public.%I including defaults including constraints)', name, parent.table_name
                );
                execute format('alter table public.%I enable row level security', name);
                execute format('alter table public.%I force row level security', name);
                execute format(
                    'alter table public.%I attach partition public.%I for values from (%L) to (%L)',
                    parent.table_name, name, app.uuid_floor(month), app.uuid_floor(month + interval '1 month')
                );
                made := made + 1;
            end if;
        end loop;
        for child in
            select c.relname
            from pg_inherits i
            join pg_class c on c.oid = i.inhrelid
            where i.inhparent = to_regclass('public.' || quote_ident(parent.table_name))
              and c.relname ~ '_[0-9]{4}_[0-9]{2}$'
              and (to_date(right(c.relname, 7), 'YYYY_MM') + interval '1 month') at time zone 'UTC'
                  < moment - parent.retention and was_expected
        loop
            begin
                execute format('drop table public.%I', child.relname);
            exception when lock_not_available or deadlock_detected then
                raise notice '% is in use and is dropped the next time', child.relname;
            end;
        end loop;
    end loop;
    return made;
end $$;
revoke all on function app.maintain_partitions(timestamptz, text[], integer[]) from public;
grant execute on function app.maintain_partitions(timestamptz, text[], integer[]) to entrepot_system;

-- For the program before this one, while an upgrade rolls.
create or replace function app.maintain_partitions(moment timestamptz) returns integer
    language sql security definer set search_path = pg_catalog, pg_temp
    as $$ select app.maintain_partitions(moment, '{}', '{}') $$;

-- Connections: who deletes one, restores it and removes it for good. What belongs to one goes with it, but for what tells who
-- changed what may be read of it.
grant update (deleted_at, deleted_by) on connections to entrepot_app;
grant delete on connections to entrepot_app;
alter policy app_update on connections
    with check (
        organization_id = (select current_setting('app.organization_id')::uuid)
        and (select app.can('connections', 'update'))
        and (deleted_at is null or (select app.can('connections', 'delete')))
    );
create policy app_delete on connections for delete to entrepot_app
    using (
        organization_id = (select current_setting('app.organization_id')::uuid)
        and (select app.can('connections', 'delete'))
    );
alter table store_permission_audit drop constraint store_permission_audit_organization_id_connection_id_fkey;
alter table credentials drop constraint credentials_organization_id_connection_id_fkey;
alter table credentials add constraint credentials_organization_id_connection_id_fkey
    foreign key (organization_id, connection_id) references connections (organization_id, id) on delete cascade not valid;
alter table oauth_states drop constraint oauth_states_organization_id_connection_id_fkey;
alter table oauth_states add constraint oauth_states_organization_id_connection_id_fkey
    foreign key (organization_id, connection_id) references connections (organization_id, id) on delete cascade not valid;
alter table permission_grants drop constraint permission_grants_organization_id_resource_id_fkey;
alter table permission_grants add constraint permission_grants_organization_id_resource_id_fkey
    foreign key (organization_id, resource_id) references connections (organization_id, id) on delete cascade not valid;
alter table exclusive_accounts drop constraint exclusive_accounts_organization_id_connection_id_fkey;
alter table exclusive_accounts add constraint exclusive_accounts_organization_id_connection_id_fkey
    foreign key (organization_id, connection_id) references connections (organization_id, id) on delete cascade not valid;

-- The history of what may be read of stores leaves with the audit log.
grant delete on store_permission_audit to entrepot_app;
create policy app_delete on store_permission_audit for delete to entrepot_app
    using (
        organization_id = (select current_setting('app.organization_id')::uuid)
        and (select app.can('connections', 'delete'))
    );

-- API keys that ended leave with the access log, whose lines name them.
grant delete on user_api_keys to entrepot_app;
create policy app_delete on user_api_keys for delete to entrepot_app
    using (
        organization_id = (select current_setting('app.organization_id')::uuid)
        and (select app.can('api_keys', 'delete'))
    );
alter table user_api_keys drop constraint user_api_keys_organization_id_rotated_from_fkey;
alter table user_api_keys add constraint user_api_keys_organization_id_rotated_from_fkey
    foreign key (organization_id, rotated_from) references user_api_keys (organization_id, id)
    on delete set null (rotated_from) not valid;
-- expand: the version before makes a prefix and its key in one transaction, and removes neither.
alter table api_key_prefixes add constraint api_key_prefixes_organization_id_key_id_fkey
    foreign key (organization_id, key_id) references user_api_keys (organization_id, id) on delete cascade not valid;

-- What a grant's reason says may be about a person: it is sealed. The column in clear is read until the program before this one is
-- gone, and its values are sealed by the daily purge.
alter table permission_grants
    add column sealed_reason bytea,
    add column data_key_id uuid,
    add foreign key (organization_id, data_key_id) references data_keys (organization_id, id) not valid,
    add constraint permission_grants_sealed_check check (sealed_reason is null or (data_key_id is not null and reason is null)) not valid;
grant update (reason, sealed_reason, data_key_id) on permission_grants to entrepot_app;
alter policy app_insert on data_keys
    with check (
        organization_id = (select current_setting('app.organization_id')::uuid)
        and (
            (select app.can('connections', 'create'))
            or (select app.can('connections', 'update'))
            or (select app.can('members', 'create'))
            or (select app.can('members', 'update'))
        )
    );

-- What has run out is cleared away a thousand rows at a time, which takes the keys of the rows.
grant select (organization_id, key_digest) on idempotency_keys to entrepot_system;
grant select (organization_id, id) on mail_outbox to entrepot_system;
grant select (organization_id, subject) on rate_windows to entrepot_system;

-- Of an organization that was deleted nobody stays, and so no owner.
create or replace function app.keep_an_owner() returns trigger
    language plpgsql
    as $$
begin
    if old.role <> 'owner' or old.status <> 'active' then
        return null;
    end if;
    if tg_op = 'UPDATE' and new.organization_id = old.organization_id and new.role = 'owner' and new.status = 'active' then
        return null;
    end if;
    perform pg_advisory_xact_lock(hashtextextended(old.organization_id::text, 21));
    if not exists (
        select 1
        from public.organization_members m
        where m.organization_id = old.organization_id and m.role = 'owner' and m.status = 'active'
    ) and not exists (
        select 1 from public.organizations o where o.id = old.organization_id and o.deleted_at is not null
    ) then
        raise exception 'an organization keeps an owner'
            using errcode = 'check_violation', constraint = 'organization_members_owner_kept', table = 'organization_members';
    end if;
    return null;
end $$;
