use db::{DbError, TenantTx};
use kernel::{MemberId, Role, Time, UserId};
use kit::page::Window;

pub struct MemberRow {
    pub id: MemberId,
    pub user_id: UserId,
    pub name: String,
    pub email: String,
    pub role: String,
    pub status: String,
    /// Where they work: tags for projects.
    pub stations: Vec<String>,
    pub created_at: Time,
}

pub(super) async fn newest(tx: &mut TenantTx, window: Window) -> Result<Vec<MemberRow>, DbError> {
    let organization = tx.organization();
    let rows = sqlx::query_as!(
        MemberRow,
        "
        -- newest_members
        select m.id, m.user_id, u.name, u.email, m.role, m.status, m.stations, m.created_at
        from organization_members m
        join users u on u.id = m.user_id
        where m.organization_id = $1 and m.id < $2
        order by m.id desc
        limit $3
        ",
        organization.uuid(),
        window.before,
        window.fetch
    )
    .fetch_all(tx.conn())
    .await?;
    Ok(rows)
}

pub(super) async fn find(tx: &mut TenantTx, id: MemberId) -> Result<Option<MemberRow>, DbError> {
    let organization = tx.organization();
    let row = sqlx::query_as!(
        MemberRow,
        "
        -- find_member
        select m.id, m.user_id, u.name, u.email, m.role, m.status, m.stations, m.created_at
        from organization_members m
        join users u on u.id = m.user_id
        where m.organization_id = $1 and m.id = $2
        ",
        organization.uuid(),
        id.uuid()
    )
    .fetch_optional(tx.conn())
    .await?;
    Ok(row)
}

/// The same, locked. One that the caller may not change is not found here, as PostgreSQL has it.
pub(super) async fn find_for_update(tx: &mut TenantTx, id: MemberId) -> Result<Option<MemberRow>, DbError> {
    let organization = tx.organization();
    let row = sqlx::query_as!(
        MemberRow,
        "
        -- lock_member
        select m.id, m.user_id, u.name, u.email, m.role, m.status, m.stations, m.created_at
        from organization_members m
        join users u on u.id = m.user_id
        where m.organization_id = $1 and m.id = $2
        for update of m
        ",
        organization.uuid(),
        id.uuid()
    )
    .fetch_optional(tx.conn())
    .await?;
    Ok(row)
}

pub(super) async fn update(
    tx: &mut TenantTx,
    id: MemberId,
    role: Role,
    status: &str,
    stations: &[String],
) -> Result<(), DbError> {
    let organization = tx.organization();
    sqlx::query!(
        "
        -- update_member
        update organization_members
        set role = $3, status = $4, stations = $5,
            plan_paused_at = case when $3 <> 'owner' and $4 = 'active' then plan_paused_at end
        where organization_id = $1 and id = $2
        ",
        organization.uuid(),
        id.uuid(),
        role.as_str(),
        status,
        stations
    )
    .execute(tx.conn())
    .await?;
    Ok(())
}

pub(super) async fn delete(tx: &mut TenantTx, id: MemberId) -> Result<(), DbError> {
    let organization = tx.organization();
    sqlx::query!(
        "
        -- delete_member
        delete from organization_members where organization_id = $1 and id = $2
        ",
        organization.uuid(),
        id.uuid()
    )
    .execute(tx.conn())
    .await?;
    Ok(())
}

/// Removes seats of an organization that was deleted; of one that was not, none.
pub(super) async fn purge(tx: &mut TenantTx, limit: i64) -> Result<u64, DbError> {
    let organization = tx.organization();
    let done = sqlx::query!(
        "
        -- purge_members
        delete from organization_members
        where organization_id = $1 and id in (
            select m.id from organization_members m
            join organizations o on o.id = m.organization_id
            where m.organization_id = $1 and o.deleted_at is not null
            limit $2
        )
        ",
        organization.uuid(),
        limit
    )
    .execute(tx.conn())
    .await?;
    Ok(done.rows_affected())
}
