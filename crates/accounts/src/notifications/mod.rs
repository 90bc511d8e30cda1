//! Notifications: what one person is told in one organization, beside the mails. Written in the transaction of what it tells of.

pub mod api;
pub(crate) mod model;
pub(crate) mod store;

use db::{DbError, PgConnection, SystemTx, TenantTx};
use kernel::{Clock, NotificationId, OrganizationId, Time, UserId};
use kit::retention::BATCH;

pub use model::{About, Kind, Notice};
pub use store::Owner;

/// Tells people of the transaction's organization; those who were not told of this before (`Notice::dedupe_key`), and have a
/// seat there.
///
/// # Errors
/// When the database refuses or is gone.
pub async fn tell(
    tx: &mut TenantTx,
    clock: &Clock,
    people: &[UserId],
    notice: &Notice,
) -> Result<Vec<UserId>, DbError> {
    let organization = tx.organization();
    write(tx.conn(), clock, organization, people, notice).await
}

/// The same where no organization acts.
///
/// # Errors
/// When the database refuses or is gone.
pub async fn tell_as_system(
    tx: &mut SystemTx,
    clock: &Clock,
    organization: OrganizationId,
    people: &[UserId],
    notice: &Notice,
) -> Result<Vec<UserId>, DbError> {
    write(tx.conn(), clock, organization, people, notice).await
}

async fn write(
    conn: &mut PgConnection,
    clock: &Clock,
    organization: OrganizationId,
    people: &[UserId],
    notice: &Notice,
) -> Result<Vec<UserId>, DbError> {
    let mut told: Vec<UserId> = vec![];
    for user in people.iter().copied() {
        // Somebody may be an owner and have made what it is about.
        if told.contains(&user) {
            continue;
        }
        let id = NotificationId::new(clock);
        if store::insert(conn, organization, id, user, notice, clock.now()).await? {
            told.push(user);
        }
    }
    Ok(told)
}

/// The owners of an organization who can act, at most fifty.
///
/// # Errors
/// When the database refuses or is gone.
pub async fn owners(conn: &mut PgConnection, organization: OrganizationId) -> Result<Vec<Owner>, DbError> {
    store::owners(conn, organization).await
}

/// Whose ids they are.
pub fn ids(owners: &[Owner]) -> Vec<UserId> {
    owners.iter().map(|owner| owner.user_id).collect()
}

/// Removes notifications of before then, a batch of them. How many there were.
///
/// # Errors
/// When the database refuses or is gone.
pub async fn purge(tx: &mut SystemTx, before: Time) -> Result<u64, DbError> {
    store::purge(tx, before, BATCH).await
}
