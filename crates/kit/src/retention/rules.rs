//! The list itself, and the document that is made of it.

use std::fmt::Write as _;

use super::{Days, Kind, Of, Removal, Rule};

const LOG_MOST: u16 = 3_650;

/// One rule of each kind, in the order of [`Kind::ALL`].
pub const RULES: &[Rule] = &[
    Rule {
        kind: Kind::Events,
        name: "events",
        tables: &["events", "event_seals"],
        what: "The activity log, with its seals",
        of: Of::Organization,
        days: Days { usual: 90, least: 90, most: LOG_MOST },
        counted_from: "when it happened",
        removal: Removal::Partitions,
        restored_by: None,
        exported_by: Some("GET /api/integrations/events/export.csv"),
    },
    Rule {
        kind: Kind::AccessLog,
        name: "access_log",
        tables: &["api_access_log"],
        what: "Who read which kind of data of which store",
        of: Of::Organization,
        days: Days { usual: 180, least: 180, most: LOG_MOST },
        counted_from: "when it was read",
        removal: Removal::Partitions,
        restored_by: None,
        exported_by: Some("GET /api/access-log"),
    },
    Rule {
        kind: Kind::AuditLog,
        name: "audit_log",
        tables: &["audit_log", "audit_seals"],
        what: "Who changed what, with its seals",
        of: Of::Organization,
        days: Days { usual: 731, least: 731, most: LOG_MOST },
        counted_from: "when it was changed",
        removal: Removal::Partitions,
        restored_by: None,
        exported_by: Some("GET /api/audit"),
    },
    Rule {
        kind: Kind::StorePermissions,
        name: "store_permissions",
        tables: &["store_permission_audit"],
        what: "Who changed what may be read of a store",
        of: Of::Organization,
        days: Days { usual: 731, least: 731, most: LOG_MOST },
        counted_from: "when it was changed",
        removal: Removal::Job,
        restored_by: None,
        exported_by: Some("GET /api/stores/{id}/permissions/history"),
    },
    Rule {
        kind: Kind::Connections,
        name: "connections",
        tables: &["connections", "credentials", "exclusive_accounts"],
        what: "Connections that were deleted: their names and settings. Credential and data key are destroyed at once",
        of: Of::Organization,
        days: Days { usual: 30, least: 7, most: 365 },
        counted_from: "when it was deleted",
        removal: Removal::Job,
        restored_by: Some("POST /api/integrations/connections/{id}/restore/"),
        exported_by: Some("GET /api/integrations/connections/?deleted=true"),
    },
    Rule {
        kind: Kind::TeamMembers,
        name: "team_members",
        tables: &["team_members"],
        what: "Team members who were deleted, sealed",
        of: Of::Organization,
        days: Days { usual: 30, least: 7, most: 365 },
        counted_from: "when they were deleted",
        removal: Removal::Job,
        restored_by: Some("POST /api/team-members/{id}/restore"),
        exported_by: Some("GET /api/team-members?deleted=true"),
    },
    Rule {
        kind: Kind::Grants,
        name: "grants",
        tables: &["permission_grants"],
        what: "What was allowed or denied to a member, and is over",
        of: Of::Organization,
        days: Days { usual: 90, least: 7, most: LOG_MOST },
        counted_from: "when it was taken back, or ended",
        removal: Removal::Job,
        restored_by: None,
        exported_by: Some("GET /api/audit"),
    },
    Rule {
        kind: Kind::ApiKeys,
        name: "api_keys",
        tables: &["user_api_keys", "api_key_prefixes"],
        what: "API keys that were revoked or have expired: as long as the access log names them",
        of: Of::Organization,
        days: Days { usual: 180, least: 180, most: LOG_MOST },
        counted_from: "when it ended",
        removal: Removal::Job,
        restored_by: None,
        exported_by: Some("GET /api-key-management/list"),
    },
    Rule {
        kind: Kind::Organizations,
        name: "organizations",
        tables: &["organization_members"],
        what: "What is left of an organization that was deleted, but for its logs. Its data keys are destroyed at once",
        of: Of::Organization,
        days: Days { usual: 30, least: 7, most: 365 },
        counted_from: "when it was deleted",
        removal: Removal::Job,
        restored_by: None,
        exported_by: None,
    },
    Rule {
        kind: Kind::DeadJobs,
        name: "dead_jobs",
        tables: &["jobs"],
        what: "Work of the machine that failed for good: names and ids",
        of: Of::Organization,
        days: Days { usual: 90, least: 30, most: 365 },
        counted_from: "when it was tried for the last time",
        removal: Removal::Job,
        restored_by: None,
        exported_by: None,
    },
    Rule {
        kind: Kind::Invitations,
        name: "invitations",
        tables: &["invitations"],
        what: "That somebody was invited. The address goes when the invitation is accepted, taken back or runs out",
        of: Of::Organization,
        days: Days { usual: 90, least: 7, most: 365 },
        counted_from: "when it runs out",
        removal: Removal::House,
        restored_by: None,
        exported_by: Some("GET /api/invitations"),
    },
    Rule {
        kind: Kind::Sessions,
        name: "sessions",
        tables: &["sessions"],
        what: "That somebody was signed in, with which browser",
        of: Of::Person,
        days: Days { usual: 30, least: 1, most: 90 },
        counted_from: "when it ended",
        removal: Removal::House,
        restored_by: None,
        exported_by: Some("GET /api/sessions"),
    },
    Rule {
        kind: Kind::Links,
        name: "links",
        tables: &["user_links"],
        what: "That a link to confirm an address or to choose a password was mailed",
        of: Of::Person,
        days: Days { usual: 7, least: 1, most: 30 },
        counted_from: "when it runs out",
        removal: Removal::House,
        restored_by: None,
        exported_by: None,
    },
    Rule {
        kind: Kind::Mail,
        name: "mail",
        tables: &["mail_outbox"],
        what: "That a mail was sent, or was not. Recipient and text go at once when it is",
        of: Of::Organization,
        days: Days { usual: 30, least: 7, most: 90 },
        counted_from: "when it was written",
        removal: Removal::House,
        restored_by: None,
        exported_by: None,
    },
    Rule {
        kind: Kind::IdempotencyKeys,
        name: "idempotency_keys",
        tables: &["idempotency_keys"],
        what: "Answers that are given again to whoever sends the same once more, sealed",
        of: Of::Organization,
        days: Days::fixed(3),
        counted_from: "when it was answered",
        removal: Removal::House,
        restored_by: None,
        exported_by: None,
    },
    Rule {
        kind: Kind::LoginAttempts,
        name: "login_attempts",
        tables: &["login_attempts"],
        what: "How often somebody tried to get in: digests and counts",
        of: Of::Caller,
        days: Days::fixed(1),
        counted_from: "the last attempt",
        removal: Removal::House,
        restored_by: None,
        exported_by: None,
    },
    Rule {
        kind: Kind::OauthStates,
        name: "oauth_states",
        tables: &["oauth_states"],
        what: "That somebody was on the way to a consent page",
        of: Of::Person,
        days: Days::fixed(0),
        counted_from: "when it runs out",
        removal: Removal::Minutely,
        restored_by: None,
        exported_by: None,
    },
    Rule {
        kind: Kind::RateWindows,
        name: "rate_windows",
        tables: &["rate_windows"],
        what: "How many requests somebody made in a minute",
        of: Of::Caller,
        days: Days::fixed(1),
        counted_from: "the minute",
        removal: Removal::House,
        restored_by: None,
        exported_by: None,
    },
    Rule {
        kind: Kind::Notifications,
        name: "notifications",
        tables: &["notifications"],
        what: "What somebody was told in an organization",
        of: Of::Person,
        days: Days { usual: 90, least: 7, most: 365 },
        counted_from: "when they were told",
        removal: Removal::House,
        restored_by: None,
        exported_by: Some("GET /api/notifications"),
    },
    Rule {
        kind: Kind::UsageCounters,
        name: "usage_counters",
        tables: &["usage_counters"],
        what: "How much of its daily limits an organization used",
        of: Of::Organization,
        days: Days { usual: 90, least: 7, most: LOG_MOST },
        counted_from: "the day",
        removal: Removal::House,
        restored_by: None,
        exported_by: Some("GET /api/organizations/{id}/usage"),
    },
    Rule {
        kind: Kind::ErrorReports,
        name: "error_reports",
        tables: &["error_reports"],
        what: "What broke, once for each way to break, in words of the program",
        of: Of::Organization,
        days: Days { usual: 30, least: 7, most: 365 },
        counted_from: "when it broke last",
        removal: Removal::House,
        restored_by: None,
        exported_by: Some("GET /api/errors"),
    },
    Rule {
        kind: Kind::Challenges,
        name: "challenges",
        tables: &["spent_challenges"],
        what: "That a proof was used, so that it is not used again; and authenticator apps that never gave a code",
        of: Of::Person,
        days: Days::fixed(0),
        counted_from: "when it runs out",
        removal: Removal::House,
        restored_by: None,
        exported_by: None,
    },
];

/// A table whose rows stay.
pub struct Stays {
    pub table: &'static str,
    pub why: &'static str,
}

/// What nothing removes.
pub const STAYS: &[Stays] = &[
    Stays { table: "_sqlx_migrations", why: "which migrations have run" },
    Stays {
        table: "data_keys",
        why: "that a key was destroyed is what a restored backup is compared with; the row is empty",
    },
    Stays { table: "installation", why: "facts of this installation" },
    Stays { table: "key_rotations", why: "when the master key was replaced; a handful of rows, which open nothing" },
    Stays { table: "login_passkeys", why: "what people sign in with, until they remove it" },
    Stays { table: "login_recovery_codes", why: "what people sign in with: digests, until they make new ones" },
    Stays { table: "login_totps", why: "what people sign in with, sealed, until they remove it" },
    Stays { table: "organizations", why: "the name of one that was deleted, for its logs; what belongs to it goes" },
    Stays { table: "partitioned_tables", why: "which tables are cut by time" },
    Stays { table: "role_permissions", why: "what the roles may do" },
    Stays { table: "schedules", why: "when each schedule ran" },
    Stays {
        table: "user_identities",
        why: "whom of ours a person of an issuer is; what was unlinked stays, so that an e-mail alone does not link it again",
    },
    Stays { table: "users", why: "people with an account, until there is a way to delete it" },
];

/// What a person can end or delete, and what becomes of it.
pub struct Deletion {
    pub operation: &'static str,
    /// The table whose row is meant.
    pub table: &'static str,
    pub becomes: &'static str,
    pub kept_as: Option<Kind>,
    pub why: &'static str,
}

/// Every operation that deletes, and those that end something for good.
pub const DELETIONS: &[Deletion] = &[
    Deletion {
        operation: "DELETE /api/integrations/connections/{id}/",
        table: "connections",
        becomes: "disconnected, then out of every list; its account is free, and can be connected anew",
        kept_as: Some(Kind::Connections),
        why: "restored, it keeps its id, settings and logs, and needs a new credential",
    },
    Deletion {
        operation: "DELETE /api/team-members/{id}",
        table: "team_members",
        becomes: "out of every list; the login that they had is free for another, their external id is not",
        kept_as: Some(Kind::TeamMembers),
        why: "commissions and other systems go by the external id, which must not become somebody else's while they can come back",
    },
    Deletion {
        operation: "DELETE /api/factors/passkeys/{id}",
        table: "login_passkeys",
        becomes: "gone at once; the person's other sessions end",
        kept_as: None,
        why: "what somebody may have lost must not sign in again. That it was removed stands in the audit log",
    },
    Deletion {
        operation: "DELETE /api/factors/totp",
        table: "login_totps",
        becomes: "gone at once; the person's other sessions end",
        kept_as: None,
        why: "as a passkey: another is set up instead",
    },
    Deletion {
        operation: "DELETE /api/identities/{id}",
        table: "user_identities",
        becomes: "taken back: its tokens open nothing from now on",
        kept_as: None,
        why: "the row stays, so that an e-mail alone does not link it again",
    },
    Deletion {
        operation: "DELETE /api/members/{id}/grants/{grant_id}",
        table: "permission_grants",
        becomes: "of no effect; the same can be granted anew",
        kept_as: Some(Kind::Grants),
        why: "rights do not come back by themselves",
    },
    Deletion {
        operation: "DELETE /api/members/{id}",
        table: "organization_members",
        becomes: "gone at once, with grants; the API keys that they made end",
        kept_as: None,
        why: "rights do not come back by themselves: they are invited again. Who they were stands in the audit log",
    },
    Deletion {
        operation: "DELETE /api/organizations/{id}",
        table: "organizations",
        becomes: "out of every list, its keys ended, its data keys destroyed",
        kept_as: Some(Kind::Organizations),
        why: "whoever deletes by name means it (docs/adr/0021-deleting-an-organization-destroys-shards.md)",
    },
    Deletion {
        operation: "DELETE /api/sessions/{id}",
        table: "sessions",
        becomes: "ended",
        kept_as: Some(Kind::Sessions),
        why: "who was signed in can be looked at for a while",
    },
    Deletion {
        operation: "POST /api-key-management/revoke",
        table: "user_api_keys",
        becomes: "revoked; it stays in the list with the reason",
        kept_as: Some(Kind::ApiKeys),
        why: "lines of the access log name it. A key that somebody may have is never restored",
    },
    Deletion {
        operation: "POST /api/invitations/{id}/revoke",
        table: "invitations",
        becomes: "revoked, its address gone; the address can be invited anew",
        kept_as: Some(Kind::Invitations),
        why: "an offer that was taken back is made anew",
    },
];

/// The document.
pub(super) fn reference() -> String {
    let mut text = String::from(
        "# What is kept, and for how long\n\n\
         Made by `entrepot retention` from `crates/kit/src/retention/rules.rs`; a test compares this page with it, and the tables of the\n\
         database with both. `GET /api/retention` shows what an installation has chosen.\n\n\
         The operator chooses by `ENTREPOT_RETENTION`, the same on every node: `events=365,access_log=365`. What is not named is kept as\n\
         usual. What leaves in the end can be had before: by the operation that gives it out, or from a backup.\n\n\
         ## Kept for a time\n\n\
         | what | tables | days | may be chosen | counted from | removed | restored by | given out by |\n|---|---|---|---|---|---|---|---|\n",
    );
    let code = |text: &str| format!("`{text}`");
    for rule in RULES {
        let tables = rule.tables.iter().map(|table| code(table)).collect::<Vec<_>>().join(", ");
        let Days { usual, least, most } = rule.days;
        let chosen = if rule.days.is_fixed() { "no".to_owned() } else { format!("`{}`: {least} to {most}", rule.name) };
        let operation = |operation: Option<&str>| operation.map_or_else(|| "–".to_owned(), code);
        let _infallible = writeln!(
            text,
            "| {} | {tables} | {usual} | {chosen} | {} | {} | {} | {} |",
            rule.what,
            rule.counted_from,
            rule.removal.sentence(),
            operation(rule.restored_by),
            operation(rule.exported_by),
        );
    }
    text.push_str(
        "\nLines of logs leave by whole months, so a line lives up to a month longer. What a person deletes leaves every list at once;\n\
         that it was deleted, by whom and when, stays in the audit log, which nothing but its own time removes.\n\n\
         ## Deleted and ended by people\n\n| operation | table | becomes | kept as | why |\n|---|---|---|---|---|\n",
    );
    for deletion in DELETIONS {
        let kept = deletion.kept_as.map_or_else(|| "–".to_owned(), |kind| code(kind.rule().name));
        let Deletion { operation, table, becomes, why, .. } = deletion;
        let _infallible = writeln!(text, "| `{operation}` | `{table}` | {becomes} | {kept} | {why} |");
    }
    text.push_str("\n## Stays\n\n| table | why |\n|---|---|\n");
    for Stays { table, why } in STAYS {
        let _infallible = writeln!(text, "| `{table}` | {why} |");
    }
    text
}
