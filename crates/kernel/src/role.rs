//! The eight roles and what each may do. `role_permissions` in the database holds the same matrix; a test compares them.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};

use crate::permission::{
    Action::{self, Approve, Create, Delete, Read, Run, Update},
    PermissionSet,
    Resource::{
        self, AccessLog, ApiKeys, Audit, Connections, Customers, Events, Members, Orders, Organization, Products,
    },
    Unknown, words,
};

words! {
    /// A member's role. Owners have all permissions; the others do not include one another.
    Role {
        Owner = "owner",
        Administrator = "administrator",
        ShopManager = "shop_manager",
        Manager = "manager",
        Employee = "employee",
        Sales = "sales",
        BotTrainer = "bot_trainer",
        Viewer = "viewer",
    }
}

const ALL: &[Action] = &[Create, Read, Update, Delete, Approve, Run];
const READ: &[Action] = &[Read];
const EDIT: &[Action] = &[Read, Update];

impl Role {
    /// For people.
    pub const fn label(self) -> &'static str {
        match self {
            Self::Owner => "Owner",
            Self::Administrator => "Administrator",
            Self::ShopManager => "Shop manager",
            Self::Manager => "Manager",
            Self::Employee => "Employee",
            Self::Sales => "Sales",
            Self::BotTrainer => "Bot trainer",
            Self::Viewer => "Viewer",
        }
    }

    /// The row of this role.
    pub fn permissions(self) -> PermissionSet {
        let row: &[(Resource, &[Action])] = match self {
            Self::Owner => &[
                (Customers, READ),
                (Orders, READ),
                (Products, READ),
                (Organization, ALL),
                (Members, ALL),
                (Connections, ALL),
                (ApiKeys, ALL),
                (Events, READ),
                (Audit, READ),
                (AccessLog, READ),
            ],
            Self::Administrator => &[
                (Customers, READ),
                (Orders, READ),
                (Products, READ),
                (Organization, EDIT),
                (Members, ALL),
                (Connections, READ),
                (ApiKeys, ALL),
                (Events, READ),
                (Audit, READ),
                (AccessLog, READ),
            ],
            Self::ShopManager => &[
                (Customers, READ),
                (Orders, READ),
                (Products, READ),
                (Organization, READ),
                (Members, READ),
                (Connections, ALL),
                (ApiKeys, ALL),
                (Events, READ),
                (AccessLog, READ),
            ],
            Self::Manager => &[
                (Customers, READ),
                (Orders, READ),
                (Products, READ),
                (Organization, READ),
                (Members, READ),
                (Connections, READ),
                (ApiKeys, READ),
                (Events, READ),
            ],
            Self::Employee => &[(Products, READ), (Connections, READ)],
            Self::Sales => &[(Customers, READ), (Products, READ)],
            Self::BotTrainer => &[(Products, READ)],
            Self::Viewer => &[(Organization, READ), (Members, READ), (Connections, READ), (Events, READ)],
        };
        row.iter().flat_map(|(resource, actions)| actions.iter().map(move |action| (*resource, *action))).collect()
    }
}
