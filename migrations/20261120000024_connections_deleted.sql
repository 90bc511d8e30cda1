-- purge_connections, deleted_connections
create index connections_deleted on connections (organization_id, deleted_at) where deleted_at is not null;
