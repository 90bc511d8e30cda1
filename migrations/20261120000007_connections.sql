-- What a change names, what the app may change, and how often a token that is not renewed is asked for again.

-- The second part of the name is the row's own id, unless the trigger says of which column: caches are kept by what is
-- looked up, which need not be the row that changed.
create or replace function app.invalidate() returns trigger
    language plpgsql
    as $$
declare
    changed jsonb := to_jsonb(coalesce(new, old));
begin
    perform pg_notify(
        'entrepot_invalidate',
        tg_table_name || ':' || coalesce(changed ->> 'organization_id', '') || ':'
            || coalesce(changed ->> coalesce(tg_argv[0], 'id'), '')
    );
    return null;
end $$;
-- A store is remembered by its connection.
create or replace trigger invalidate after insert or update of revoked_at, sealed on credentials
    for each row execute function app.invalidate('connection_id');
-- Equal notifications of a transaction are delivered once: an organization that loses all its keys is told of once.
create or replace trigger invalidate after update of destroyed_at on data_keys
    for each row execute function app.invalidate('organization_id');

-- A refresh that failed in passing is not tried again before then, by any node; `refresh_failure` is the code of the problem
-- that callers are told meanwhile.
alter table credentials
    add column refresh_retry_at timestamptz,
    add column refresh_failure text;

-- What a connection is, and whose, is settled when it is made: the program may change the rest, column by column.
revoke update on connections from entrepot_app;
grant update (
    display_name, status, health, health_cause, health_since, config, scopes, enabled_capabilities, data_access_permissions,
    updated_at
) on connections to entrepot_app;
revoke update on credentials from entrepot_app;
grant update (
    sealed, scopes, expires_at, refresh_expires_at, revoked_at, refresh_leased_until, refresh_retry_at, refresh_failure
) on credentials to entrepot_app;
