-- Suspicions that a person has cleared for a key: they are not raised for it again.
alter table user_api_keys add column suspicions_cleared text[] not null default '{}'
    check (cardinality(suspicions_cleared) <= 16);
grant select (suspicions_cleared) on user_api_keys to entrepot_app;
grant update (suspicions_cleared) on user_api_keys to entrepot_app;
