-- Connections to their end and back again: accounts that one organization holds at a time, consent for a connection that is
-- there, and keys that a shop hands over.

-- A connection that was ended keeps its row, and the account that comes back gets it again.
drop index connections_by_account;
-- connection_of_account
create unique index connections_by_account on connections (organization_id, provider_key, external_account)
    where deleted_at is null;

alter table oauth_states
    -- The connection that the consent is for; null for one that is to be made.
    add column connection_id uuid,
    -- Whether the account may be taken over from another organization.
    add column is_transfer boolean not null default false,
    -- The fields of the connect form that are not secret, where a person filled them in.
    add column config jsonb,
    -- The keys that a shop handed over, until whoever began comes back for them.
    add column sealed_keys bytea,
    add foreign key (organization_id, connection_id) references connections (organization_id, id),
    drop constraint oauth_states_step_check,
    -- `grant` until the shop hands its keys over, then `granted`.
    add constraint oauth_states_step_check check (step in ('pairing', 'authorize', 'grant', 'granted')),
    add constraint oauth_states_keys_check check ((step = 'granted') = (sealed_keys is not null));
alter policy app_insert on oauth_states
    with check (
        organization_id = (select current_setting('app.organization_id')::uuid)
        and ((select app.can('connections', 'create')) or (select app.can('connections', 'update')))
    );

-- Accounts of providers whose messages name only the account: one connection at a time, of whichever organization.
create table exclusive_accounts (
    provider_key text not null,
    external_account text not null,
    organization_id uuid not null references organizations (id),
    connection_id uuid not null,
    claimed_at timestamptz not null,
    -- holder_of_account
    primary key (provider_key, external_account),
    foreign key (organization_id, connection_id) references connections (organization_id, id)
);
-- release_account
create unique index exclusive_accounts_by_connection on exclusive_accounts (organization_id, connection_id);
alter table exclusive_accounts enable row level security;
alter table exclusive_accounts force row level security;
grant select, insert, delete on exclusive_accounts to entrepot_app;
create policy app_select on exclusive_accounts for select to entrepot_app
    using (organization_id = (select current_setting('app.organization_id')::uuid));
create policy app_insert on exclusive_accounts for insert to entrepot_app
    with check (
        organization_id = (select current_setting('app.organization_id')::uuid)
        and ((select app.can('connections', 'create')) or (select app.can('connections', 'update')))
    );
create policy app_delete on exclusive_accounts for delete to entrepot_app
    using (
        organization_id = (select current_setting('app.organization_id')::uuid)
        and ((select app.can('connections', 'update')) or (select app.can('organization', 'delete')))
    );
-- Whether another organization holds an account is asked only of whoever has just proved that it is theirs.
grant select (provider_key, external_account, organization_id, connection_id) on exclusive_accounts to entrepot_system;
create policy system_select on exclusive_accounts for select to entrepot_system using (true);

-- A deleted organization holds nothing.
create function app.release_accounts() returns trigger
    language plpgsql
    as $$
begin
    delete from public.exclusive_accounts where organization_id = new.id;
    return null;
end $$;
create trigger release_accounts after update of deleted_at on organizations
    for each row when (new.deleted_at is not null) execute function app.release_accounts();
