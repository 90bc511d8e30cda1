use db::{DbError, SystemTx, TenantTx};
use kernel::{OrganizationId, Time, UserId};

pub(super) struct OrganizationRow {
    pub(super) name: String,
    pub(super) slug: String,
    pub(super) trial_ends_at: Option<Time>,
    pub(super) second_factor_required_of: Option<String>,
    pub(super) created_at: Time,
}

pub(super) async fn find(tx: &mut TenantTx) -> Result<Option<OrganizationRow>, DbError> {
    let organization = tx.organization();
    let row = sqlx::query_as!(
        OrganizationRow,
        "
        -- find_organization
        select name, slug, trial_ends_at, settings ->> 'second_factor_required_of' as second_factor_required_of, created_at
        from organizations
        where id = $1 and deleted_at is null
        ",
        organization.uuid()
    )
    .fetch_optional(tx.conn())
    .await?;
    Ok(row)
}

/// The name, with the row locked until the transaction ends: against who holds the organization, and not against rows that refer to
/// it, whose writers hold others that a deletion waits for.
pub(super) async fn lock_name(tx: &mut TenantTx) -> Result<Option<String>, DbError> {
    let organization = tx.organization();
    let name = sqlx::query_scalar!(
        "
        -- lock_organization
        select name from organizations where id = $1 and deleted_at is null for no key update
        ",
        organization.uuid()
    )
    .fetch_optional(tx.conn())
    .await?;
    Ok(name)
}

pub(super) struct SecondFactorRow {
    pub(super) required_of: Option<String>,
}

/// Who is asked for a second factor, with the row locked until the transaction ends, as [`lock_name`] does.
pub(super) async fn lock_second_factor(tx: &mut TenantTx) -> Result<Option<SecondFactorRow>, DbError> {
    let organization = tx.organization();
    let row = sqlx::query_as!(
        SecondFactorRow,
        "
        -- lock_second_factor
        select settings ->> 'second_factor_required_of' as required_of
        from organizations
        where id = $1 and deleted_at is null
        for no key update
        ",
        organization.uuid()
    )
    .fetch_optional(tx.conn())
    .await?;
    Ok(row)
}

pub(super) async fn set_second_factor(tx: &mut TenantTx, required_of: &str) -> Result<(), DbError> {
    let organization = tx.organization();
    sqlx::query!(
        "
        -- set_second_factor
        update organizations
        set settings = settings || jsonb_build_object('second_factor_required_of', $2::text)
        where id = $1
        ",
        organization.uuid(),
        required_of
    )
    .execute(tx.conn())
    .await?;
    Ok(())
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

pub(super) async fn was_deleted(tx: &mut TenantTx, before: Time) -> Result<bool, DbError> {
    let organization = tx.organization();
    let was = sqlx::query_scalar!(
        r#"
        -- was_organization_deleted
        select exists (select 1 from organizations where id = $1 and deleted_at < $2) as "was!"
        "#,
        organization.uuid(),
        before
    )
    .fetch_one(tx.conn())
    .await?;
    Ok(was)
}

/// Seats are the last to go.
pub(super) async fn left_of(tx: &mut SystemTx, before: Time, limit: i64) -> Result<Vec<OrganizationId>, DbError> {
    let ids = sqlx::query_scalar!(
        "
        -- left_of_organizations
        select o.id from organizations o
        where o.deleted_at < $1 and exists (select 1 from organization_members m where m.organization_id = o.id)
        order by o.id
        limit $2
        ",
        before,
        limit
    )
    .fetch_all(tx.conn())
    .await?;
    Ok(ids.into_iter().map(OrganizationId::from).collect())
}
