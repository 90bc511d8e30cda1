-- How people prove who they are beside their password, and when they last did.

alter table sessions
    -- When the person last proved who they are in this session, and by what. Null, as an older program leaves it: when it
    -- began, by password, unless tokens of an issuer stand for it, which prove nothing here.
    add column proved_at timestamptz,
    add column proved_by text check (proved_by in ('password', 'totp', 'recovery_code', 'passkey')),
    -- When they last did so by a second factor.
    add column second_factor_at timestamptz;

-- Authenticator apps (RFC 6238): one of a person that counts, and one at most that waits for its first code.
create table login_totps (
    id uuid primary key,
    user_id uuid not null references users (id) on delete cascade,
    -- Under a key of the installation, bound to the person and to this row.
    sealed_secret bytea not null,
    -- The session that may confirm it.
    session_id uuid references sessions (id) on delete set null,
    created_at timestamptz not null,
    confirmed_at timestamptz,
    -- The time step of the last code that was taken: no code works twice.
    last_step bigint
);
-- totp_of_user
create unique index login_totps_confirmed on login_totps (user_id) where confirmed_at is not null;
-- pending_totp
create unique index login_totps_pending on login_totps (user_id) where confirmed_at is null;
alter table login_totps enable row level security;
alter table login_totps force row level security;
grant select, insert, update, delete on login_totps to entrepot_system;
create policy system_select on login_totps for select to entrepot_system using (true);
create policy system_insert on login_totps for insert to entrepot_system with check (true);
create policy system_update on login_totps for update to entrepot_system using (true) with check (true);
create policy system_delete on login_totps for delete to entrepot_system using (true);

-- Codes for whoever has lost their factors. Each works once.
create table login_recovery_codes (
    user_id uuid not null references users (id) on delete cascade,
    -- SHA-256 of the person and the code, which has 80 bits and needs no slow hash.
    code_hash bytea not null check (length(code_hash) = 32),
    created_at timestamptz not null,
    used_at timestamptz,
    primary key (user_id, code_hash)
);
alter table login_recovery_codes enable row level security;
alter table login_recovery_codes force row level security;
grant select, insert, update, delete on login_recovery_codes to entrepot_system;
create policy system_select on login_recovery_codes for select to entrepot_system using (true);
create policy system_insert on login_recovery_codes for insert to entrepot_system with check (true);
create policy system_update on login_recovery_codes for update to entrepot_system using (true) with check (true);
create policy system_delete on login_recovery_codes for delete to entrepot_system using (true);

create table login_passkeys (
    id uuid primary key,
    user_id uuid not null references users (id) on delete cascade,
    -- What the authenticator calls it (WebAuthn Level 3, section 4).
    credential_id bytea not null unique check (length(credential_id) between 1 and 1023),
    -- A COSE key (RFC 9053).
    public_key bytea not null,
    -- Signatures so far, as far as the authenticator counts them.
    sign_count bigint not null check (sign_count >= 0),
    -- Whether it is kept somewhere else too, and how it is reached, as the authenticator says.
    is_backed_up boolean not null,
    transports text[] not null default '{}',
    name text not null check (length(name) between 1 and 100),
    created_at timestamptz not null,
    last_used_at timestamptz
);
-- passkeys_of_user
create index login_passkeys_by_user on login_passkeys (user_id);
alter table login_passkeys enable row level security;
alter table login_passkeys force row level security;
grant select, insert, update, delete on login_passkeys to entrepot_system;
create policy system_select on login_passkeys for select to entrepot_system using (true);
create policy system_insert on login_passkeys for insert to entrepot_system with check (true);
create policy system_update on login_passkeys for update to entrepot_system using (true) with check (true);
create policy system_delete on login_passkeys for delete to entrepot_system using (true);

-- Challenges that were answered. They are carried by whoever was asked, sealed and for minutes; here it is kept that one
-- was used, on all nodes.
create table spent_challenges (
    challenge_hash bytea primary key check (length(challenge_hash) = 32),
    expires_at timestamptz not null
);
-- purge_spent_challenges
create index spent_challenges_by_expiry on spent_challenges (expires_at);
alter table spent_challenges enable row level security;
alter table spent_challenges force row level security;
grant select, insert, delete on spent_challenges to entrepot_system;
create policy system_select on spent_challenges for select to entrepot_system using (true);
create policy system_insert on spent_challenges for insert to entrepot_system with check (true);
create policy system_delete on spent_challenges for delete to entrepot_system using (true);
