-- What the activity log is narrowed by.

-- events_by_type
create index events_by_type on events (organization_id, event_type, id);
-- events_by_actor
create index events_by_actor on events (organization_id, actor, id);
-- events_by_level: nearly all lines are `info`, which need no index of their own
create index events_by_level on events (organization_id, level, id) where level <> 'info';
