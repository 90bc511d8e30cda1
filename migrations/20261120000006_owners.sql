-- Who stops working when a person goes.

-- A person may sit in any number of organizations, so the notification names the person alone: `users::<id>`.
create trigger invalidate after update of deleted_at or delete on users
    for each row execute function app.invalidate();
