//! A scope, and a principal, come from the functions that a test counts, not from a literal.

use kernel::{Actor, Principal, TenantScope, id::OrganizationId};

fn made_up(organization: OrganizationId, actor: Actor, scope: TenantScope, principal: Principal) {
    let _ = TenantScope { organization, ..scope };
    let _ = Principal { actor, ..principal };
}

fn main() {}
