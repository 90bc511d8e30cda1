-- Persons of OpenID Connect issuers, and whom of ours they are.

create table user_identities (
    id uuid primary key,
    user_id uuid not null references users (id) on delete cascade,
    -- `iss` and `sub` of the tokens, which together name a person.
    issuer text not null check (length(issuer) between 1 and 500),
    subject text not null check (length(subject) between 1 and 255),
    -- What the link was proved by.
    linked_by text not null check (linked_by in ('session', 'email', 'sign_up')),
    created_at timestamptz not null,
    -- Taken back. It stays, so that it is not made again by an e-mail alone.
    unlinked_at timestamptz,
    -- Tokens that were issued until then are refused, also those that were never used here.
    not_before timestamptz,
    -- identity_of_token
    unique (issuer, subject)
);
-- identities_of_user
create index user_identities_by_user on user_identities (user_id);
alter table user_identities enable row level security;
alter table user_identities force row level security;
grant select, insert on user_identities to entrepot_system;
grant update (user_id, linked_by, created_at, unlinked_at, not_before) on user_identities to entrepot_system;
create policy system_select on user_identities for select to entrepot_system using (true);
create policy system_insert on user_identities for insert to entrepot_system with check (true);
create policy system_update on user_identities for update to entrepot_system using (true) with check (true);

alter table sessions
    -- Whose tokens stand for this session; null for one that has a token of ours.
    add column identity_id uuid references user_identities (id) on delete cascade,
    -- When the youngest of those tokens was issued.
    add column token_issued_at timestamptz;
-- open_identity_session: one at a time.
create unique index sessions_open_of_identity on sessions (identity_id) where revoked_at is null and identity_id is not null;
-- identity_of_token
create index sessions_of_identity on sessions (identity_id) where identity_id is not null;

-- What waits for a consent is gone with its organization, keys that a shop handed over among it.
grant select (organization_id), delete on oauth_states to entrepot_app;
create policy app_select on oauth_states for select to entrepot_app
    using (organization_id = (select current_setting('app.organization_id')::uuid));
create policy app_delete on oauth_states for delete to entrepot_app
    using (
        organization_id = (select current_setting('app.organization_id')::uuid)
        and (select app.can('organization', 'delete'))
    );
create function app.remove_oauth_states() returns trigger
    language plpgsql
    as $$
begin
    delete from public.oauth_states where organization_id = new.id;
    return null;
end $$;
create trigger remove_oauth_states after update of deleted_at on organizations
    for each row when (new.deleted_at is not null) execute function app.remove_oauth_states();
-- remove_oauth_states
create index oauth_states_by_organization on oauth_states (organization_id);
-- count_oauth_states
create index oauth_states_by_user on oauth_states (user_id);
