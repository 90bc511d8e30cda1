//! What can be called in an organization whose subscription is inactive or cancelled, for every operation of the document.

use std::collections::BTreeSet;

use accounts::plans::operator::{self, Wanted};
use kernel::{OrganizationId, SubscriptionStatus};
use testkit::Client;

use super::{
    operations::{Needs, call, guarded, operations},
    scene::Scene,
};

/// The operations that write and can be called all the same, each with its reason: they take access away.
const EXCEPTIONS: &[(&str, &str)] = &[
    ("DELETE /api/integrations/connections/{id}/", "our access to a shop is to end"),
    ("DELETE /api/members/{id}", "whoever leaves is to have no access any more"),
    ("DELETE /api/organizations/{id}", "whoever pays no more may take their data away"),
    ("POST /api-key-management/revoke", "a key that was lost is to open nothing"),
    ("POST /api/integrations/connections/{id}/disable/", "a shop is to be asked no more"),
    ("POST /api/integrations/connections/{id}/disconnect/", "our access to a shop is to end"),
    ("POST /api/integrations/connections/{id}/revoke/", "our access to a shop is to end"),
    ("POST /api/invitations/{id}/revoke", "nobody is to join"),
];

fn writes(needs: &Needs) -> bool {
    matches!(needs, Needs::Permission(permission) if !permission.ends_with(":read"))
}

#[test]
fn what_can_be_written_while_an_organization_is_read_only_is_listed_with_a_reason() {
    let found: BTreeSet<String> =
        operations().iter().filter(|operation| operation.is_exception).map(|operation| operation.name()).collect();
    let listed: BTreeSet<String> = EXCEPTIONS.iter().map(|(name, _)| (*name).to_owned()).collect();
    assert_eq!(found, listed);
    assert!(operations().iter().filter(|operation| operation.is_exception).all(|operation| writes(&operation.needs)));
}

#[tokio::test(flavor = "multi_thread")]
async fn while_an_organization_is_read_only_every_read_is_answered_and_every_write_refused() {
    let scene = Scene::set().await;
    let organization = OrganizationId::from(scene.ours.owner.organization);
    let wanted = Wanted { status: Some(SubscriptionStatus::Cancelled), ..Wanted::default() };
    operator::set(&scene.app.app().db, scene.app.clock(), organization, wanted).await.expect("a plan");
    let (mut refused, mut answered) = (0, 0);
    for (operation, recipe) in guarded() {
        let caller: &Client = if operation.needs == Needs::Key { &scene.ours.key } else { &scene.ours.owner };
        let answer = call(caller, &operation, recipe, &scene.ours.ids).await;
        let place = format!("{}: {}", operation.name(), answer.short());
        if writes(&operation.needs) && !operation.is_exception {
            assert_eq!((answer.status.as_u16(), answer.problem().as_str()), (402, "organization_read_only"), "{place}");
            refused += 1;
        } else {
            assert_eq!(answer.status.as_u16(), recipe.answers, "{place}");
            answered += 1;
        }
    }
    assert!(refused > 15 && answered > 30, "{refused} {answered}");
    scene.app.finish().await;
}
