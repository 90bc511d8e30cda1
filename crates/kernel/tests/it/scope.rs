use kernel::{
    Action, Actor, Clock, Denied, PermissionSet, Principal, Resource, TenantScope,
    id::{ApiKeyId, OrganizationId, SessionId, UserId},
    permissions,
    scope::InternalTask,
};

use crate::start;

permissions! {
    ReadOrders = (Orders, Read);
    UpdateMembers = (Members, Update);
}

struct ExpireKeys;

impl InternalTask for ExpireKeys {
    const NAME: &'static str = "expire_keys";
    const PERMISSIONS: &'static [(Resource, Action)] = &[(Resource::ApiKeys, Action::Update)];
}

struct Ids {
    organization: OrganizationId,
    user: UserId,
    session: SessionId,
    key: ApiKeyId,
}

fn ids() -> Ids {
    let clock = Clock::manual(start());
    Ids {
        organization: OrganizationId::new(&clock),
        user: UserId::new(&clock),
        session: SessionId::new(&clock),
        key: ApiKeyId::new(&clock),
    }
}

#[test]
fn a_scope_is_given_for_what_is_granted_and_nothing_else() {
    let Ids { organization, user, session, .. } = ids();
    let actor = Actor::Person { user, session };
    let granted = PermissionSet::of(&[(Resource::Orders, Action::Read), (Resource::Members, Action::Read)]);
    let principal = Principal::authenticated(actor, organization, granted);

    let scope = principal.allow::<ReadOrders>().unwrap();
    assert_eq!((scope.organization(), scope.actor()), (organization, actor));
    assert_eq!(scope.permissions_text(), ",orders:read,members:read,");

    let denied = principal.allow::<UpdateMembers>().unwrap_err();
    assert_eq!(denied, Denied { resource: Resource::Members, action: Action::Update });
    assert_eq!(denied.to_string(), "members:update is not granted");
    let nobody = Principal::authenticated(actor, organization, PermissionSet::EMPTY);
    assert!(nobody.allow::<ReadOrders>().is_err());
}

#[test]
fn a_task_has_its_own_permissions_and_no_person() {
    let organization = ids().organization;
    let scope = TenantScope::internal::<ExpireKeys>(organization);
    assert_eq!(scope.organization(), organization);
    assert_eq!(scope.permissions_text(), ",api_keys:update,");
    assert_eq!(scope.actor().user(), None);
    assert_eq!(scope.actor().label(), "system:expire_keys");
}

#[test]
fn an_actor_is_named_in_logs_by_what_it_is() {
    let Ids { user, session, key, .. } = ids();
    let (person, program) = (Actor::Person { user, session }, Actor::Key { key, user });
    assert_eq!(person.label(), format!("user:{user}"));
    assert_eq!(program.label(), format!("key:{key}"));
    assert_eq!((person.user(), program.user()), (Some(user), Some(user)));
}
