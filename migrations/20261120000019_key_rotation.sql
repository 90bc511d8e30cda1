-- The master key is replaced while the program serves: every data key is wrapped anew, in batches.

-- One row for each time; the newest names the master key that counts. Whoever wraps holds its lock for a batch, so that two that do it
-- take turns. A fingerprint tells keys apart and says nothing about them.
create table key_rotations (
    id uuid primary key,
    from_key text not null,
    to_key text not null,
    began_at timestamptz not null,
    -- How many data keys there were to wrap, how many are, and the last one that was looked at: the next batch begins behind it.
    total bigint not null,
    done bigint not null default 0,
    reached_organization uuid,
    reached_data_key uuid,
    -- From then on nothing is left under the key before.
    finished_at timestamptz,
    check (from_key <> to_key),
    check ((reached_organization is null) = (reached_data_key is null))
);
create unique index key_rotations_unfinished on key_rotations ((true)) where finished_at is null;
alter table key_rotations enable row level security;
alter table key_rotations force row level security;
grant select, insert on key_rotations to entrepot_system;
grant update (total, done, reached_organization, reached_data_key, finished_at) on key_rotations to entrepot_system;
create policy system_select on key_rotations for select to entrepot_system using (true);
create policy system_insert on key_rotations for insert to entrepot_system with check (true);
create policy system_update on key_rotations for update to entrepot_system using (true) with check (true);
-- Under which master key a new data key is to be wrapped.
grant select (id, to_key) on key_rotations to entrepot_app;
create policy app_select on key_rotations for select to entrepot_app using (true);

-- Wrapping anew needs the row, which opens nothing without master key and shard. What a key is of never changes, and one that was
-- destroyed stays so.
grant select (organization_id, scope, scope_id, key_version, wrapped, master_fingerprint) on data_keys to entrepot_system;
grant update (wrapped, master_fingerprint) on data_keys to entrepot_system;
create policy system_update on data_keys for update to entrepot_system using (true) with check (true);

-- The master key that counts, and the installation's own key under it.
grant update (value) on installation to entrepot_system;
create policy system_update on installation for update to entrepot_system using (true) with check (true);
