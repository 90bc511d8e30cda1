use std::collections::BTreeSet;

use kernel::{
    Action::{self, Read, Update},
    Resource, Role,
};

/// The roles table of the product description, as far as its columns are resources: a cell is read by [`permissions`].
const TABLE: &str = "
|               | live                        | organization | members | connections | api_keys | events | audit | access_log |
| owner         | customers, orders, products | all          | all     | all         | all      | read   | read  | read       |
| administrator | customers, orders, products | read, update | all     | read        | all      | read   | read  | read       |
| shop_manager  | customers, orders, products | read         | read    | all         | all      | read   | -     | read       |
| manager       | customers, orders, products | read         | read    | read        | read     | read   | -     | -          |
| employee      | products                    | -            | -       | read        | -        | -      | -     | -          |
| sales         | customers, products         | -            | -       | -           | -        | -      | -     | -          |
| bot_trainer   | products                    | -            | -       | -           | -        | -      | -     | -          |
| viewer        | -                           | read         | read    | read        | -        | read   | -     | -          |
";

fn cells(line: &str) -> Vec<&str> {
    line.trim_matches('|').split('|').map(str::trim).collect()
}

/// `live` names resources that can only be read; the other columns are a resource each and name actions.
fn permissions(column: &str, cell: &str) -> Vec<(Resource, Action)> {
    let words = cell.split(", ").filter(|word| *word != "-");
    if column == "live" {
        return words.map(|resource| (resource.parse().expect("a known resource"), Read)).collect();
    }
    let resource = column.parse().expect("a known resource");
    words
        .flat_map(|word| match word {
            "all" => Action::ALL.to_vec(),
            "read" => vec![Read],
            "update" => vec![Update],
            other => panic!("{other} is no cell"),
        })
        .map(|action| (resource, action))
        .collect()
}

#[test]
fn every_role_may_do_what_the_table_says_and_nothing_else() {
    let mut lines = TABLE.lines().filter(|line| !line.is_empty());
    let columns = cells(lines.next().unwrap());
    let mut roles = vec![];
    for line in lines {
        let row = cells(line);
        assert_eq!(row.len(), columns.len());
        let role: Role = row[0].parse().unwrap();
        let expected: BTreeSet<_> =
            columns.iter().zip(&row).skip(1).flat_map(|(column, cell)| permissions(column, cell)).collect();
        assert_eq!(role.permissions().iter().collect::<BTreeSet<_>>(), expected, "{role}");
        roles.push(role);
    }
    assert_eq!(roles, Role::ALL);
}

#[test]
fn every_resource_has_a_column() {
    let header = cells(TABLE.lines().nth(1).unwrap());
    let live = [Resource::Customers, Resource::Orders, Resource::Products];
    for resource in Resource::ALL {
        assert!(live.contains(resource) || header.contains(&resource.as_str()), "{resource} is in no column");
    }
}

#[test]
fn no_role_may_do_what_the_owner_may_not() {
    for role in Role::ALL {
        assert_eq!(role.permissions().intersection(Role::Owner.permissions()), role.permissions(), "{role}");
    }
}
