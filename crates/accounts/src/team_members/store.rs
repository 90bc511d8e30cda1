use db::{DbError, TenantTx};
use kernel::{DataKeyId, TeamMemberId, Time, UserId};
use kit::{page::Window, retention::Due};
use rust_decimal::Decimal;
use uuid::Uuid;

use super::model::{self, Commission, SealedPerson, Work};

pub struct TeamMemberRow {
    pub id: TeamMemberId,
    pub external_id: String,
    pub data_key_id: DataKeyId,
    pub sealed_name: Vec<u8>,
    pub sealed_email: Option<Vec<u8>>,
    pub user_id: Option<Uuid>,
    pub member_type: String,
    pub commission_rate: Option<Decimal>,
    pub commission_type: Option<String>,
    pub created_at: Time,
    pub updated_at: Time,
    pub deleted_at: Option<Time>,
}

impl TeamMemberRow {
    pub fn work(&self) -> Work {
        let commission = self.commission_type.clone().zip(self.commission_rate);
        Work {
            user_id: self.user_id.map(UserId::from),
            member_type: self.member_type.clone(),
            commission: commission.map(|(kind, rate)| Commission { kind, rate }),
        }
    }
}

/// Newest first, below an id: those that are there, or those that were deleted.
pub(super) async fn newest(tx: &mut TenantTx, window: Window, deleted: bool) -> Result<Vec<TeamMemberRow>, DbError> {
    let organization = tx.organization();
    let rows = sqlx::query_as!(
        TeamMemberRow,
        "
        -- newest_team_members
        select id, external_id, data_key_id, sealed_name, sealed_email, user_id, member_type, commission_rate, commission_type,
            created_at, updated_at, deleted_at
        from team_members
        where organization_id = $1 and id < $2 and (deleted_at is not null) = $3
        order by id desc
        limit $4
        ",
        organization.uuid(),
        window.before,
        deleted,
        window.fetch
    )
    .fetch_all(tx.conn())
    .await?;
    Ok(rows)
}

/// One of them, whether or not it was deleted.
pub(super) async fn find(tx: &mut TenantTx, id: TeamMemberId) -> Result<Option<TeamMemberRow>, DbError> {
    let organization = tx.organization();
    let row = sqlx::query_as!(
        TeamMemberRow,
        "
        -- find_team_member
        select id, external_id, data_key_id, sealed_name, sealed_email, user_id, member_type, commission_rate, commission_type,
            created_at, updated_at, deleted_at
        from team_members
        where organization_id = $1 and id = $2
        ",
        organization.uuid(),
        id.uuid()
    )
    .fetch_optional(tx.conn())
    .await?;
    Ok(row)
}

/// The same, locked.
pub(super) async fn find_for_update(tx: &mut TenantTx, id: TeamMemberId) -> Result<Option<TeamMemberRow>, DbError> {
    let organization = tx.organization();
    let row = sqlx::query_as!(
        TeamMemberRow,
        "
        -- lock_team_member
        select id, external_id, data_key_id, sealed_name, sealed_email, user_id, member_type, commission_rate, commission_type,
            created_at, updated_at, deleted_at
        from team_members
        where organization_id = $1 and id = $2
        for update
        ",
        organization.uuid(),
        id.uuid()
    )
    .fetch_optional(tx.conn())
    .await?;
    Ok(row)
}

/// The number for the next external id of ours: one more than the largest, or the smallest that is free once somebody has taken the
/// last one for an id of their own. Whoever takes one waits for whoever took the one before.
pub(super) async fn next_number(tx: &mut TenantTx) -> Result<i64, DbError> {
    let organization = tx.organization();
    sqlx::query!(
        "
        -- lock_team_member_numbers
        select pg_advisory_xact_lock(hashtextextended($1, 23))
        ",
        organization.to_string()
    )
    .fetch_one(tx.conn())
    .await?;
    let number = sqlx::query_scalar!(
        r#"
        -- next_team_member_number
        with taken as (
            select substring(external_id from '^TM-([0-9]{4,6})$')::bigint as number from team_members where organization_id = $1
        )
        select case
            when coalesce(max(number), 0) < $2 then coalesce(max(number), 0) + 1
            else (
                select min(free) from generate_series(1, (select count(*) + 1 from taken)) free
                where not exists (select 1 from taken t where t.number = free)
            )
        end as "number!"
        from taken
        "#,
        organization.uuid(),
        model::NUMBER_MAX
    )
    .fetch_one(tx.conn())
    .await?;
    Ok(number)
}

pub(super) struct NewRow<'a> {
    pub(super) id: TeamMemberId,
    pub(super) external_id: &'a str,
    pub(super) data_key: DataKeyId,
    pub(super) person: &'a SealedPerson,
    pub(super) work: &'a Work,
    pub(super) created_by: Option<UserId>,
    pub(super) now: Time,
}

pub(super) async fn insert(tx: &mut TenantTx, new: &NewRow<'_>) -> Result<(), DbError> {
    let organization = tx.organization();
    sqlx::query!(
        "
        -- insert_team_member
        insert into team_members (
            organization_id, id, external_id, data_key_id, sealed_name, sealed_email, user_id, member_type, commission_rate,
            commission_type, created_by, created_at, updated_at
        )
        values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $12)
        ",
        organization.uuid(),
        new.id.uuid(),
        new.external_id,
        new.data_key.uuid(),
        new.person.name,
        new.person.email.as_deref(),
        new.work.user_id.map(UserId::uuid),
        new.work.member_type,
        new.work.commission.as_ref().map(|commission| commission.rate),
        new.work.commission.as_ref().map(|commission| commission.kind.as_str()),
        new.created_by.map(UserId::uuid),
        new.now
    )
    .execute(tx.conn())
    .await?;
    Ok(())
}

pub(super) async fn update(
    tx: &mut TenantTx,
    id: TeamMemberId,
    external_id: &str,
    person: &SealedPerson,
    work: &Work,
    now: Time,
) -> Result<(), DbError> {
    let organization = tx.organization();
    sqlx::query!(
        "
        -- update_team_member
        update team_members
        set external_id = $3, sealed_name = $4, sealed_email = $5, user_id = $6, member_type = $7, commission_rate = $8,
            commission_type = $9, updated_at = $10
        where organization_id = $1 and id = $2
        ",
        organization.uuid(),
        id.uuid(),
        external_id,
        person.name,
        person.email.as_deref(),
        work.user_id.map(UserId::uuid),
        work.member_type,
        work.commission.as_ref().map(|commission| commission.rate),
        work.commission.as_ref().map(|commission| commission.kind.as_str()),
        now
    )
    .execute(tx.conn())
    .await?;
    Ok(())
}

/// Deletes it for the time being, or takes that back.
pub(super) async fn set_deleted(
    tx: &mut TenantTx,
    id: TeamMemberId,
    deleted_at: Option<Time>,
    by: Option<UserId>,
    now: Time,
) -> Result<(), DbError> {
    let organization = tx.organization();
    sqlx::query!(
        "
        -- set_team_member_deleted
        update team_members set deleted_at = $3, deleted_by = $4, updated_at = $5 where organization_id = $1 and id = $2
        ",
        organization.uuid(),
        id.uuid(),
        deleted_at,
        by.map(UserId::uuid),
        now
    )
    .execute(tx.conn())
    .await?;
    Ok(())
}

/// Removes those that were deleted before then.
pub(super) async fn purge(tx: &mut TenantTx, due: Due, limit: i64) -> Result<Vec<Uuid>, DbError> {
    let organization = tx.organization();
    let ids = sqlx::query_scalar!(
        "
        -- purge_team_members
        delete from team_members
        where organization_id = $1 and id in (
            select id from team_members where organization_id = $1 and ($3 or deleted_at < $2) limit $4
        ) and ($3 or deleted_at < $2)
        returning id
        ",
        organization.uuid(),
        due.before,
        due.all,
        limit
    )
    .fetch_all(tx.conn())
    .await?;
    Ok(ids)
}
