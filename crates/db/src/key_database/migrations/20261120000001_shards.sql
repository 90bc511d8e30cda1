-- Shards of data keys, in a database of their own: no dump and no copy of the other one holds them.

-- A removed row stays on its page until vacuum has been there: that is at once, however few they are.
create table shards (
    id uuid primary key,
    -- 32 bytes, and 8 that tell damage.
    shard bytea not null check (octet_length(shard) = 40)
) with (
    autovacuum_vacuum_threshold = 1, autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_cost_delay = 0,
    autovacuum_analyze_threshold = 10000
);

-- Which store this is, and whether shards are being moved in or out.
create table key_store (
    is_only boolean primary key default true check (is_only),
    fingerprint text not null,
    state text not null check (state in ('filling', 'in_use', 'emptying'))
);

revoke all on shards, key_store from public;
grant usage on schema public to entrepot_keys;
grant select, insert, delete on shards to entrepot_keys;
grant select, insert, update, delete on key_store to entrepot_keys;
