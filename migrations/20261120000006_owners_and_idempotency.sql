-- Who stops working when a person goes, and who may touch an owner.

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
