use db::{DbError, TenantTx};
use kernel::{Time, UserId};

pub(super) struct OrganizationRow {
    pub(super) name: String,
    pub(super) slug: String,
    pub(super) trial_ends_at: Option<Time>,
    pub(super) created_at: Time,
}

pub(super) async fn find(tx: &mut TenantTx) -> Result<Option<OrganizationRow>, DbError> {
    let organization = tx.organization();
    let row = sqlx::query_as!(
        OrganizationRow,
        "
        -- find_organization
        select name, slug, trial_ends_at, created_at
        from organizations
        where id = $1 and deleted_at is null
        ",
        organization.uuid()
    )
    .fetch_optional(tx.conn())
    .await?;
    Ok(row)
}

/// The name, with the row locked until the transaction ends.
pub(super) async fn lock_name(tx: &mut TenantTx) -> Result<Option<String>, DbError> {
    let organization = tx.organization();
    let name = sqlx::query_scalar!(
        "
        -- lock_organization
        select name from organizations where id = $1 and deleted_at is null for update
        ",
        organization.uuid()
    )
    .fetch_optional(tx.conn())
    .await?;
    Ok(name)
}

pub(super) async fn mark_deleted(tx: &mut TenantTx, by: Option<UserId>, now: Time) -> Result<(), DbError> {
    let organization = tx.organization();
    sqlx::query!(
        "
        -- delete_organization
        update organizations set deleted_at = $2, deleted_by = $3 where id = $1
        ",
        organization.uuid(),
        now,
        by.map(UserId::uuid)
    )
    .execute(tx.conn())
    .await?;
    Ok(())
}
