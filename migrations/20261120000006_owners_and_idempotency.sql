-- Who stops working when a person goes, who may touch an owner, and creations that are sent again.

-- A person may sit in any number of organizations, so the notification names the person alone: `users::<id>`.
create trigger invalidate after update of deleted_at or delete on users
    for each row execute function app.invalidate();

-- Who is an owner is touched by owners alone: before, whoever may change or remove members could do it to their owner.
alter policy app_update on organization_members
    using (
        organization_id = (select current_setting('app.organization_id')::uuid)
        and (role <> 'owner' or (select app.can('organization', 'delete')))
    );
alter policy app_delete on organization_members
    using (
        organization_id = (select current_setting('app.organization_id')::uuid)
        and (select app.can('members', 'delete'))
        and (role <> 'owner' or (select app.can('organization', 'delete')))
    );

-- An organization without an owner could be administered, and deleted, by nobody. Owners who leave queue up, so that the last
-- two cannot both go.
create function app.keep_an_owner() returns trigger
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
    ) then
        raise exception 'an organization keeps an owner'
            using errcode = 'check_violation', constraint = 'organization_members_owner_kept', table = 'organization_members';
    end if;
    return null;
end $$;
create trigger keep_an_owner after update or delete on organization_members
    for each row execute function app.keep_an_owner();

-- Creations that may be sent again, and what they were answered.
create table idempotency_keys (
    organization_id uuid not null references organizations (id),
    -- Keyed digest of who asks and of the key that they chose, which may say anything.
    key_digest bytea not null check (length(key_digest) = 32),
    -- Keyed digest of the operation and its body.
    request_digest bytea not null check (length(request_digest) = 32),
    -- What is answered from then on, without what is shown once. Null while the first request runs.
    sealed_answer bytea,
    created_at timestamptz not null,
    primary key (organization_id, key_digest)
);
-- purge_idempotency_keys
create index idempotency_keys_by_age on idempotency_keys (created_at);
alter table idempotency_keys enable row level security;
alter table idempotency_keys force row level security;
grant select, insert, delete on idempotency_keys to entrepot_app;
grant update (request_digest, sealed_answer, created_at) on idempotency_keys to entrepot_app;
create policy app_select on idempotency_keys for select to entrepot_app
    using (organization_id = (select current_setting('app.organization_id')::uuid));
create policy app_insert on idempotency_keys for insert to entrepot_app
    with check (organization_id = (select current_setting('app.organization_id')::uuid));
create policy app_update on idempotency_keys for update to entrepot_app
    using (organization_id = (select current_setting('app.organization_id')::uuid))
    with check (organization_id = (select current_setting('app.organization_id')::uuid));
create policy app_delete on idempotency_keys for delete to entrepot_app
    using (organization_id = (select current_setting('app.organization_id')::uuid));
-- What is kept no longer is cleared away for all organizations at once.
grant select (created_at), delete on idempotency_keys to entrepot_system;
create policy system_select on idempotency_keys for select to entrepot_system using (true);
create policy system_delete on idempotency_keys for delete to entrepot_system using (true);
