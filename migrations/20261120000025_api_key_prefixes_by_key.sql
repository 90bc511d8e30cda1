-- api_key_prefixes_organization_id_key_id_fkey
create index api_key_prefixes_by_key on api_key_prefixes (organization_id, key_id);
