-- When each schedule of the house last put its jobs into the queue: the memory that all nodes share, and, by its row lock,
-- the election of the one node that does it.
create table schedules (
    -- The name of the job.
    name text primary key,
    last_run_at timestamptz not null
);
alter table schedules enable row level security;
alter table schedules force row level security;
grant select, insert, update on schedules to entrepot_system;
create policy system_select on schedules for select to entrepot_system using (true);
create policy system_insert on schedules for insert to entrepot_system with check (true);
create policy system_update on schedules for update to entrepot_system using (true) with check (true);
