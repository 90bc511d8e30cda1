//! What a migration may do while the version before it serves: add, and take nothing away (`migrations/README.md`).

use std::collections::BTreeSet;

use super::statement::{STRING, Statement, name_after, statements};

/// Tables that grow with use: nothing may look at all their rows while it holds up those who write.
const LARGE: [&str; 4] = ["events", "audit_log", "api_access_log", "jobs"];

/// The migration that programs must know to do without what this one takes away.
pub(super) fn contract_since(name: &str) -> Option<i64> {
    let (since, what) = name.strip_prefix("contract_since_")?.split_once('_')?;
    if what.is_empty() { None } else { since.parse().ok() }
}

/// What is against the rules in a file. What only takes something away is allowed in a contract.
pub(super) fn faults(sql: &str, is_contract: bool) -> Vec<String> {
    let statements = statements(sql);
    let file = File::of(&statements);
    let mut faults = vec![];
    for statement in &statements {
        let mut found = vec![];
        file.look_at(statement, &mut found);
        // A reason is for what takes something away; no reason makes a lock shorter.
        let is_allowed = is_contract || statement.reason.as_ref().is_some_and(|reason| !reason.is_empty());
        found.retain(|fault| fault.is_about_locks || !is_allowed);
        faults.extend(found.into_iter().map(|fault| format!("`{}`: {}", statement.shown(), fault.what)));
    }
    faults
}

struct Fault {
    what: String,
    is_about_locks: bool,
}

fn takes_away(what: impl Into<String>) -> Fault {
    Fault { what: what.into(), is_about_locks: false }
}

fn locks(what: impl Into<String>) -> Fault {
    Fault { what: what.into(), is_about_locks: true }
}

/// What else is in the file of a statement.
struct File {
    statements: usize,
    /// It validates constraints, and does nothing else.
    only_validates: bool,
    /// Tables that it makes, in which nobody can have anything yet.
    tables: BTreeSet<String>,
    /// Columns that it adds to tables that were there.
    columns: BTreeSet<String>,
    /// Constraints that it drops.
    dropped: BTreeSet<String>,
    /// Everything that it makes, as `kind name` or `kind name on table`.
    made: BTreeSet<String>,
}

impl File {
    fn of(statements: &[Statement]) -> Self {
        let mut file = Self {
            statements: statements.len(),
            only_validates: statements
                .iter()
                .all(|statement| statement.starts("alter table") && statement.actions().into_iter().all(is_validation)),
            tables: BTreeSet::new(),
            columns: BTreeSet::new(),
            dropped: BTreeSet::new(),
            made: BTreeSet::new(),
        };
        for statement in statements {
            if statement.starts("create table") {
                file.tables.extend(statement.name_after("table").map(str::to_owned));
            }
            if statement.starts("create") {
                // `create or replace function`, `create unique index`
                let words = statement.words.iter().skip(1);
                let kind = words.map(String::as_str).find(|word| !["or", "replace", "unique"].contains(word));
                file.made.extend(kind.map(|kind| identity(statement, kind)));
            }
            if statement.starts("alter table") {
                for action in statement.actions() {
                    match added(action) {
                        Some(Added::Column(name)) => drop(file.columns.insert(name.to_owned())),
                        Some(Added::Constraint(Some(name))) => drop(file.made.insert(format!("constraint {name}"))),
                        Some(Added::Constraint(None)) => {}
                        None => file.dropped.extend(dropped_constraint(action).map(str::to_owned)),
                    }
                }
            }
        }
        file
    }

    fn look_at(&self, statement: &Statement, faults: &mut Vec<Fault>) {
        let first = statement.words.first().map_or("", String::as_str);
        match first {
            "create" => self.create(statement, faults),
            "alter" if statement.starts("alter table") => {
                let table = statement.name_after("table").unwrap_or_default();
                if !self.tables.contains(table) {
                    statement.actions().into_iter().for_each(|action| self.alter(table, action, faults));
                }
            }
            "alter" if statement.starts("alter type") && statement.has("add") => {}
            "alter" if statement.starts("alter policy") => {}
            "drop" => self.drop(statement, faults),
            "revoke" if statement.words.last().is_some_and(|word| word == "public") => {}
            "grant" | "comment" | "select" | "insert" => {}
            "revoke" => faults.push(takes_away("the version before may need what is revoked")),
            // What the database itself goes by, and no organization's.
            "update" if statement.words.get(1).is_some_and(|table| table.starts_with("app.")) => {}
            "update" | "delete" | "truncate" => {
                faults
                    .push(takes_away("rows are changed by programs, organization by organization, not by migrations"));
            }
            "set" | "lock" | "begin" | "commit" | "reset" => {
                faults.push(locks("the migrator decides about transactions, locks and how long they are waited for"));
            }
            _ => faults.push(takes_away("this statement is not known here: say what the version before makes of it")),
        }
    }

    fn create(&self, statement: &Statement, faults: &mut Vec<Fault>) {
        if !statement.has("index") || statement.starts("create table") {
            return;
        }
        let table = statement.name_after("on").unwrap_or_default();
        if self.tables.contains(table) {
            return;
        }
        if statement.has("unique") && !statement.words.iter().any(|word| self.columns.contains(word)) {
            faults.push(takes_away("the version before may write what this unique index refuses"));
        }
        if LARGE.contains(&table) && self.statements > 1 && !statement.has("concurrently") {
            faults.push(locks("an index on a table that may be large stands in a file of its own"));
        }
    }

    fn alter(&self, table: &str, action: &[String], faults: &mut Vec<Fault>) {
        let words: Vec<&str> = action.iter().map(String::as_str).collect();
        let has = |phrase: &[&str]| words.windows(phrase.len()).any(|found| found == phrase);
        match (added(action), words.as_slice()) {
            (Some(Added::Column(_)), _) => {
                let default = words.iter().position(|word| *word == "default").map(|at| &words[at + 1..]);
                if has(&["not", "null"]) && default.is_none() {
                    faults.push(takes_away("the version before writes rows without this column: a default is needed"));
                }
                if default.is_some_and(|value| !is_constant(value)) {
                    faults.push(locks("a default that is not constant has every row written anew"));
                }
                if has(&["unique"]) || has(&["primary", "key"]) || has(&["generated"]) {
                    faults.push(locks("every row is looked at or written anew under the lock"));
                }
            }
            (Some(Added::Constraint(name)), _) => {
                let is_validated_later = has(&["not", "valid"]);
                let is_replaced = name.is_some_and(|name| self.dropped.contains(name));
                let is_about_new = words.iter().any(|word| self.columns.contains(*word));
                // What is unique cannot be validated later.
                let can_be_later = has(&["check"]) || has(&["foreign", "key"]);
                if (LARGE.contains(&table) || can_be_later) && !is_validated_later {
                    faults.push(locks(
                        "a constraint is added `not valid`, and validated in a later file: until then every row is looked at under the lock",
                    ));
                }
                if !is_about_new && !is_replaced {
                    faults.push(takes_away("the version before may write what this constraint refuses"));
                }
            }
            (None, ["drop", "constraint", ..]) => {
                let name = dropped_constraint(action).unwrap_or_default();
                // Only what is unique is named by an `on conflict`.
                let is_leant_on = !name.ends_with("_fkey") && !name.ends_with("_check");
                if is_leant_on && !self.made.contains(&format!("constraint {name}")) {
                    faults.push(takes_away("the version before may lean on this constraint (`on conflict`)"));
                }
            }
            (None, ["alter", ..]) if has(&["set", "default"]) => {}
            (None, ["validate", "constraint", ..]) if !self.only_validates => faults.push(locks(
                "constraints are validated in a file that does nothing else: what it did before keeps its locks while rows are looked at",
            )),
            (None, ["validate", "constraint", ..] | ["set", "(", ..] | ["attach", "partition", ..]) => {}
            (None, ["rename", ..]) => faults.push(takes_away("the version before knows the old name")),
            (None, ["drop", ..]) => faults.push(takes_away("the version before may read or write it")),
            (None, ["alter", ..]) => faults.push(takes_away("the version before knows the column as it was")),
            _ => faults.push(takes_away("this change is not known here: say what the version before makes of it")),
        }
    }

    /// What is made again in the same file is replaced.
    fn drop(&self, statement: &Statement, faults: &mut Vec<Fault>) {
        let kind = statement.words.get(1).map_or("", String::as_str);
        if !self.made.contains(&identity(statement, kind)) {
            faults.push(takes_away(format!("the version before may use this {kind}")));
        }
    }
}

fn identity(statement: &Statement, kind: &str) -> String {
    let name = statement.name_after(kind).unwrap_or_default();
    match kind {
        "policy" | "trigger" => format!("{kind} {name} on {}", statement.name_after("on").unwrap_or_default()),
        _ => format!("{kind} {name}"),
    }
}

enum Added<'a> {
    Column(&'a str),
    Constraint(Option<&'a str>),
}

fn added(action: &[String]) -> Option<Added<'_>> {
    let words: Vec<&str> = action.iter().map(String::as_str).collect();
    match words.as_slice() {
        ["add", "column", ..] => name_after(action, "column").map(Added::Column),
        ["add", "constraint", name, ..] => Some(Added::Constraint(Some(name))),
        ["add", "check" | "unique" | "primary" | "foreign" | "exclude", ..] => Some(Added::Constraint(None)),
        ["add", name, ..] => Some(Added::Column(name)),
        _ => None,
    }
}

fn dropped_constraint(action: &[String]) -> Option<&str> {
    let is_drop = action.first().is_some_and(|word| word == "drop");
    if is_drop { name_after(action, "constraint") } else { None }
}

fn is_validation(action: &[String]) -> bool {
    action.first().is_some_and(|word| word == "validate")
}

/// Literals, casts of them, and arrays of nothing.
fn is_constant(value: &[&str]) -> bool {
    match value {
        [STRING, ..] | ["true" | "false" | "null", ..] | ["interval", STRING, ..] => true,
        ["-", number, ..] | [number, ..] => number.starts_with(|char: char| char.is_ascii_digit()),
        [] => false,
    }
}

#[test]
fn what_adds_is_allowed() {
    for sql in [
        "create table notes (id uuid not null, body text not null); create unique index notes_body on notes (body);
         alter table notes enable row level security; alter table notes force row level security;",
        "alter table users add column nickname text; grant update (nickname) on users to entrepot_app;",
        "alter table users add column visits bigint not null default 0 check (visits >= 0), add column tags text[] not null default '{}';",
        "alter table users add column nickname text; create unique index users_nickname on users (nickname);",
        "alter table users add column a text, add column b text, add constraint one check (a is null or b is null) not valid;",
        "create index users_created on users (created_at);",
        "create index events_actor on events (actor);",
        "create or replace function app.f() returns int language sql as $$ select 1 $$; revoke all on function app.f() from public;",
        "drop policy app_select on notes; create policy app_select on notes for select to entrepot_app using (true);",
        "drop trigger invalidate on users; create trigger invalidate after update on users execute function app.invalidate('id');",
        "alter table notes drop constraint notes_user_id_fkey;",
        "update app.partitioned_tables set keep = '1 day' where table_name = 'events';",
        "alter table jobs drop constraint jobs_state_check, add constraint jobs_state_check check (state <> '') not valid;",
        "alter table jobs validate constraint jobs_state_check; alter table users validate constraint users_email_check;",
        "insert into role_permissions values ('owner', 'notes', 'read'); select app.maintain_partitions('2026-01-01');",
    ] {
        assert_eq!(faults(sql, false), [""; 0], "{sql}");
    }
}

#[test]
fn what_takes_away_needs_a_contract_or_a_reason() {
    for sql in [
        "drop table notes;",
        "drop policy app_select on notes;",
        "drop index users_created;",
        "drop function app.f();",
        "alter table users drop column name;",
        "alter table users rename column name to full_name;",
        "alter table users rename to people;",
        "alter table users alter column name type bigint;",
        "alter table users alter column name set not null;",
        "alter table users alter column name drop not null;",
        "alter table users add column nickname text not null;",
        "alter table users add constraint users_name_key unique (name);",
        "alter table users drop constraint users_email_key;",
        "alter table users enable row level security;",
        "create unique index users_name on users (name);",
        "revoke select on users from entrepot_app;",
        "update users set name = '';",
        "do $$ begin execute 'drop table users'; end $$;",
        "vacuum users;",
    ] {
        assert_eq!(faults(sql, false).len(), 1, "{sql}: {:?}", faults(sql, false));
        assert_eq!(faults(sql, true), [""; 0], "a contract may: {sql}");
        let reasoned = format!("-- expand: nothing reads it\n{sql}");
        assert_eq!(faults(&reasoned, false), [""; 0], "with a reason: {sql}");
        assert_eq!(faults(&format!("-- expand:\n{sql}"), false).len(), 1, "no reason is none: {sql}");
    }
}

#[test]
fn what_holds_a_lock_for_long_is_refused_whatever_is_said_about_it() {
    for sql in [
        "alter table users add column token uuid default gen_random_uuid();",
        "alter table users add column number int unique;",
        "create index events_actor on events (actor); grant select on events to entrepot_app;",
        "alter table events add column a text, add constraint a_short check (length(a) < 5);",
        "alter table users add column a text, add constraint a_short check (length(a) < 5);",
        "alter table users add column a uuid, add foreign key (a) references notes (id);",
        "alter table users drop constraint users_role_check, add constraint users_role_check check (role <> '');",
        "alter table users drop constraint users_role_check; alter table users validate constraint users_name_check;",
        "alter table users add column a text, add constraint a_short check (a <> '') not valid; alter table users validate constraint a_short;",
        "set lock_timeout = 0;",
        "lock table users;",
    ] {
        assert_eq!(faults(sql, false).len(), 1, "{sql}: {:?}", faults(sql, false));
        assert_eq!(faults(&format!("-- expand: it is quick\n{sql}"), true).len(), 1, "{sql}");
    }
}

#[test]
fn a_contract_says_since_when_nothing_needs_what_it_takes_away() {
    assert_eq!(contract_since("contract_since_20261120000015_drop_old"), Some(20_261_120_000_015));
    for name in
        ["contract_drop_old", "contract_since_20261120000015", "contract_since_x_y", "drop_old", "contract_since_1_"]
    {
        assert_eq!(contract_since(name), None, "{name}");
    }
}
