-- People: mail that waits to be sent, links that are used once, invitations, devices, and logins that are slowed down.

alter table users
    -- When a link that was sent to the address came back.
    add column email_verified_at timestamptz,
    -- Where a person began: jobs about the person alone, such as their mail, run there.
    add column home_organization_id uuid references organizations (id);
grant select (email_verified_at) on users to entrepot_app;
grant update (name, password_hash, email_verified_at) on users to entrepot_system;
create policy system_update on users for update to entrepot_system using (true) with check (true);

-- What a person tells their sessions apart by, in our own words: `Firefox on Linux`.
alter table sessions add column device text check (length(device) <= 60);

-- Links that prove that somebody reads an address. Single use; the token itself is in the mail only.
create table user_links (
    id uuid primary key,
    user_id uuid not null references users (id) on delete cascade,
    purpose text not null check (purpose in ('verify', 'reset')),
    -- SHA-256 of the token, which has 256 bits and needs no slow hash.
    token_hash bytea not null unique,
    created_at timestamptz not null,
    expires_at timestamptz not null,
    used_at timestamptz
);
-- end_links
create index user_links_by_user on user_links (user_id, purpose);
-- purge_links
create index user_links_by_expiry on user_links (expires_at);
alter table user_links enable row level security;
alter table user_links force row level security;
grant select, insert, update, delete on user_links to entrepot_system;
create policy system_select on user_links for select to entrepot_system using (true);
create policy system_insert on user_links for insert to entrepot_system with check (true);
create policy system_update on user_links for update to entrepot_system using (true) with check (true);
create policy system_delete on user_links for delete to entrepot_system using (true);

-- Attempts that are slowed down, by account, by device and by network address: on all nodes together.
create table login_attempts (
    -- Keyed digest of what is counted, so that neither an address nor a network can be read here.
    subject bytea primary key check (length(subject) = 32),
    failures integer not null check (failures >= 0),
    last_at timestamptz not null,
    blocked_until timestamptz not null
);
-- purge_attempts
create index login_attempts_by_age on login_attempts (last_at);
alter table login_attempts enable row level security;
alter table login_attempts force row level security;
grant select, insert, update, delete on login_attempts to entrepot_system;
create policy system_select on login_attempts for select to entrepot_system using (true);
create policy system_insert on login_attempts for insert to entrepot_system with check (true);
create policy system_update on login_attempts for update to entrepot_system using (true) with check (true);
create policy system_delete on login_attempts for delete to entrepot_system using (true);

create table invitations (
    organization_id uuid not null references organizations (id),
    id uuid not null,
    role text not null,
    -- Keyed digest of the address, so that nobody is invited twice at once.
    email_digest bytea not null check (length(email_digest) = 32),
    -- The address, for those who may read members; gone once the invitation is over.
    sealed_email bytea,
    -- SHA-256 of the token.
    token_hash bytea not null,
    invited_by uuid not null references users (id),
    sends integer not null default 1,
    sent_at timestamptz not null,
    expires_at timestamptz not null,
    accepted_at timestamptz,
    accepted_by uuid references users (id),
    revoked_at timestamptz,
    created_at timestamptz not null,
    primary key (organization_id, id),
    -- invitation_by_token
    unique (organization_id, token_hash)
);
-- open_invitation
create unique index invitations_open on invitations (organization_id, email_digest)
    where accepted_at is null and revoked_at is null;
-- purge_invitations
create index invitations_by_expiry on invitations (expires_at);
alter table invitations enable row level security;
alter table invitations force row level security;
grant select, insert on invitations to entrepot_app;
grant update (sealed_email, token_hash, invited_by, sends, sent_at, expires_at, revoked_at) on invitations to entrepot_app;
create policy app_select on invitations for select to entrepot_app
    using (organization_id = (select current_setting('app.organization_id')::uuid));
create policy app_insert on invitations for insert to entrepot_app
    with check (
        organization_id = (select current_setting('app.organization_id')::uuid)
        and (select app.can('members', 'create'))
        and (role <> 'owner' or (select app.can('organization', 'delete')))
    );
create policy app_update on invitations for update to entrepot_app
    using (
        organization_id = (select current_setting('app.organization_id')::uuid)
        and (role <> 'owner' or (select app.can('organization', 'delete')))
    )
    with check (
        organization_id = (select current_setting('app.organization_id')::uuid)
        and ((select app.can('members', 'create')) or (select app.can('members', 'delete')))
        and (role <> 'owner' or (select app.can('organization', 'delete')))
    );
-- Who accepts is in no organization yet, or in another.
grant select, delete on invitations to entrepot_system;
grant update (sealed_email, accepted_at, accepted_by) on invitations to entrepot_system;
create policy system_select on invitations for select to entrepot_system using (true);
create policy system_update on invitations for update to entrepot_system using (true) with check (true);
create policy system_delete on invitations for delete to entrepot_system using (true);

-- Mail that waits to be sent: written with the change that it tells of, sent by a job, empty once it is sent or given up.
create table mail_outbox (
    organization_id uuid not null references organizations (id),
    id uuid not null,
    -- `invitation`, `password_reset`, …
    kind text not null,
    -- The recipient and the texts with their links.
    sealed bytea,
    state text not null check (state in ('waiting', 'sent', 'failed')),
    -- In our own words: never what a mail server said.
    cause text,
    created_at timestamptz not null,
    settled_at timestamptz,
    primary key (organization_id, id),
    check ((state = 'waiting') = (sealed is not null))
);
-- purge_mail
create index mail_outbox_by_age on mail_outbox (created_at);
alter table mail_outbox enable row level security;
alter table mail_outbox force row level security;
grant select, insert on mail_outbox to entrepot_app;
grant update (sealed, state, cause, settled_at) on mail_outbox to entrepot_app;
create policy app_select on mail_outbox for select to entrepot_app
    using (organization_id = (select current_setting('app.organization_id')::uuid));
create policy app_insert on mail_outbox for insert to entrepot_app
    with check (organization_id = (select current_setting('app.organization_id')::uuid));
create policy app_update on mail_outbox for update to entrepot_app
    using (organization_id = (select current_setting('app.organization_id')::uuid))
    with check (organization_id = (select current_setting('app.organization_id')::uuid));
grant select (created_at), insert, delete on mail_outbox to entrepot_system;
create policy system_select on mail_outbox for select to entrepot_system using (true);
create policy system_insert on mail_outbox for insert to entrepot_system with check (true);
create policy system_delete on mail_outbox for delete to entrepot_system using (true);
