-- Rings for those who follow the activity log (docs/adr/0028-the-tail-asks-the-database.md): once for each statement and organization, heard when it commits. The
-- payload names the organization and no line: who may read it, and what of it, is asked with each reading.
create function app.ring_followers() returns trigger
    language plpgsql
    as $$
declare
    organization uuid;
begin
    for organization in select distinct organization_id from added loop
        perform pg_notify('entrepot_events', organization::text);
    end loop;
    return null;
end $$;

-- A statement trigger is the parent's alone: lines are written through it, and partitions come and go without one.
create trigger ring_followers after insert on events referencing new table as added
    for each statement execute function app.ring_followers();
