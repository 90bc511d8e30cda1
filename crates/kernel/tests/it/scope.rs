use kernel::{
    Action, Actor, Clock, Denied, Effect, Grant, PermissionSet, Principal, Resource, Rights, Role, Standing,
    SubscriptionStatus, TenantScope,
    id::{ApiKeyId, ConnectionId, OrganizationId, SessionId, UserId},
    permissions,
    plan::ReadOnly,
    scope::{InternalTask, Refused},
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
    let principal = Principal::authenticated(actor, organization, granted, Standing::Writable);

    let scope = principal.allow::<ReadOrders>().unwrap();
    assert_eq!((scope.organization(), scope.actor()), (organization, actor));
    assert_eq!(scope.permissions_text(), ",orders:read,members:read,");

    let denied = principal.allow::<UpdateMembers>().unwrap_err();
    assert_eq!(denied, Refused::Denied(Denied { resource: Resource::Members, action: Action::Update }));
    assert_eq!(denied.to_string(), "members:update is not granted");
    let nobody = Principal::authenticated(actor, organization, PermissionSet::EMPTY, Standing::Writable);
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

permissions! {
    UpdateConnections = (Connections, Update);
}

#[test]
fn at_a_connection_the_scope_says_what_may_be_done_there() {
    let Ids { organization, user, session, .. } = ids();
    let connection = || ConnectionId::new(&Clock::manual(start()));
    let (allowed, hidden, other) = (connection(), connection(), connection());
    let grant = |effect, resource, action, at| Grant { effect, resource, action, connection: Some(at), ends_at: None };
    let grants = [
        grant(Effect::Allow, Resource::Connections, Action::Update, allowed),
        grant(Effect::Allow, Resource::Orders, Action::Read, allowed),
        grant(Effect::Deny, Resource::Connections, Action::Read, hidden),
    ];
    let actor = Actor::Person { user, session };
    let principal =
        Principal::authenticated(actor, organization, Rights::of(Role::Employee, &grants, start()), Standing::Writable);

    let scope = principal.allow_at::<ReadOrders>(allowed).unwrap();
    let here = format!(",orders:read,products:read,connections:read,connections:update,!{hidden},");
    assert_eq!(scope.permissions_text(), here);
    let denied = Denied { resource: Resource::Orders, action: Action::Read };
    // The same for one that is hidden and one that nobody has: the permission is missing at both.
    for elsewhere in [hidden, other] {
        assert_eq!(principal.allow_at::<ReadOrders>(elsewhere).unwrap_err(), Refused::Denied(denied));
    }
    let (scope, reach) = principal.allow_across::<UpdateConnections>().unwrap();
    assert_eq!(scope.permissions_text(), format!(",products:read,connections:read,!{hidden},"));
    assert_eq!(reach.only, Some(vec![allowed]));
    assert!(principal.allow::<ReadOrders>().is_err() && principal.allow_across::<UpdateMembers>().is_err());

    let seeing =
        Principal::authenticated(actor, organization, Rights::of(Role::Manager, &grants, start()), Standing::Writable);
    assert_eq!(seeing.allow_at::<ReadOrders>(hidden).unwrap_err(), Refused::Unknown);
    assert!(seeing.allow_at::<ReadOrders>(other).is_ok());
}

permissions! {
    CreateConnections = (Connections, Create);
    EndConnections = (Connections, Update, WHILE_READ_ONLY);
}

#[test]
fn while_an_organization_is_read_only_a_scope_writes_nothing_but_what_takes_access_away() {
    let Ids { organization, user, session, .. } = ids();
    let actor = Actor::Person { user, session };
    let connection = ConnectionId::new(&Clock::manual(start()));
    let rights = Role::ShopManager.permissions();
    for why in [ReadOnly::Organization(SubscriptionStatus::Cancelled), ReadOnly::Seat] {
        let principal = Principal::authenticated(actor, organization, rights, Standing::ReadOnly(why));
        assert_eq!(principal.allow::<CreateConnections>().unwrap_err(), Refused::ReadOnly(why));
        assert_eq!(principal.allow_at::<UpdateConnections>(connection).unwrap_err(), Refused::ReadOnly(why));
        assert_eq!(principal.allow_across::<UpdateConnections>().unwrap_err(), Refused::ReadOnly(why));
        // Who may not is told so first: it would not change with the plan.
        assert!(matches!(principal.allow::<UpdateMembers>().unwrap_err(), Refused::Denied(_)));
        // Reading goes on, in a scope that policies let write nothing.
        let (across, _) = principal.allow_across::<ReadOrders>().unwrap();
        for scope in
            [principal.allow::<ReadOrders>().unwrap(), principal.allow_at::<ReadOrders>(connection).unwrap(), across]
        {
            assert!(scope.permissions_text().contains(",orders:read,"));
            assert!(!scope.permissions_text().contains(":update") && !scope.permissions_text().contains(":create"));
        }
        let ending = principal.allow_at::<EndConnections>(connection).unwrap();
        assert!(ending.permissions_text().contains(",connections:update,"));
    }
}
