-- The ground: who may log in, what a policy reads, and how append-only tables are cut by time.
--
-- The four logins exist before the first migration (docs/TENANCY.md): entrepot_owner runs this, entrepot_app serves inside
-- one tenant, entrepot_system and entrepot_ingest have the few grants that are named below.

create schema app;
grant usage on schema app to entrepot_app, entrepot_system, entrepot_ingest;
grant usage on schema public to entrepot_app, entrepot_system, entrepot_ingest;

-- The permissions of the running transaction, set by `db::TenantTx`. Loud when no tenant is set.
create function app.can(resource text, action text) returns boolean
    language sql stable parallel safe
    as $$ select position(',' || resource || ':' || action || ',' in current_setting('app.permissions')) > 0 $$;

-- Tells every node what its caches must forget. The payload names rows, never values.
create function app.invalidate() returns trigger
    language plpgsql
    as $$
declare
    changed jsonb := to_jsonb(coalesce(new, old));
begin
    perform pg_notify(
        'entrepot_invalidate',
        tg_table_name || ':' || coalesce(changed ->> 'organization_id', '') || ':' || coalesce(changed ->> 'id', '')
    );
    return null;
end $$;

-- The smallest UUIDv7 (RFC 9562) of a moment: where a partition begins.
create function app.uuid_floor(moment timestamptz) returns uuid
    language sql immutable parallel safe
    as $$ select rpad(lpad(to_hex((extract(epoch from moment) * 1000)::bigint), 12, '0'), 32, '0')::uuid $$;

-- Append-only tables: one partition a month, made ahead, dropped after their retention.
create table app.partitioned_tables (
    table_name text primary key,
    retention interval not null
);

-- Makes the partitions around a moment and drops those past their retention. Runs as the owner for entrepot_system, which
-- could otherwise make no table. A partition is born with forced row level security and no grants, so that nobody reads
-- it around its parent's policy, and is attached rather than created in place, which would lock out every insert. Nodes
-- queue up; whoever holds a lock for long is not waited for. A moment whose partition was not made ahead comes from a clock
-- that jumped, or after a long sleep: such a call drops nothing.
create function app.maintain_partitions(moment timestamptz) returns integer
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
    for parent in select table_name, retention from app.partitioned_tables order by table_name loop
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
            exception when lock_not_available then
                raise notice '% is in use and is dropped the next time', child.relname;
            end;
        end loop;
    end loop;
    return made;
end $$;
revoke all on function app.maintain_partitions(timestamptz) from public;
grant execute on function app.maintain_partitions(timestamptz) to entrepot_system;

-- Facts about this installation that all nodes share, such as the fingerprint of its master key.
create table installation (
    name text primary key,
    value text not null
);
alter table installation enable row level security;
alter table installation force row level security;
grant select, insert on installation to entrepot_system;
create policy system_select on installation for select to entrepot_system using (true);
create policy system_insert on installation for insert to entrepot_system with check (true);
