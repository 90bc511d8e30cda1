//! Every parser is fuzzed, or it is said why it need not be (`script/fuzz-parsers`). What can be told from a name is looked for
//! in the source; what is found and is not in the list is new.

use std::collections::{BTreeMap, BTreeSet};

use crate::repository::{Source, files, product};

/// What reads a text or bytes, by its file and name.
enum Read {
    /// The tests of a module `fuzz`: its file and their names.
    Fuzzed(&'static str, &'static [&'static str]),
    /// It is given nothing from outside, or is somebody else's parser.
    Ours(&'static str),
}
use Read::{Fuzzed, Ours};

const OPERATORS: Read = Ours("read from the machine that we run on, at the start, by whoever runs it");
const DATABASE: Read = Ours("what we wrote into our own database");

const PARSERS: &[(&str, &str, Read)] = &[
    ("crates/accounts/src/api_keys/model.rs", "parse", Fuzzed("crates/accounts/src/fuzz.rs", &["api_keys_as_sent"])),
    ("crates/accounts/src/members/api.rs", "parse_role", Fuzzed("crates/accounts/src/fuzz.rs", &["roles"])),
    ("crates/accounts/src/oidc/keys.rs", "parse", Fuzzed("crates/accounts/src/oidc/fuzz.rs", &["key_sets"])),
    ("crates/accounts/src/oidc/token.rs", "parse", Fuzzed("crates/accounts/src/oidc/fuzz.rs", &["tokens"])),
    ("crates/accounts/src/notifications/model.rs", "parse", DATABASE),
    ("crates/accounts/src/plans/model.rs", "parse", DATABASE),
    ("crates/accounts/src/sessions/password.rs", "verify", Ours("argon2's parser of a hash that we keep")),
    ("crates/accounts/src/user_links/api.rs", "verify", Ours("a handler; the body is kit::input's")),
    ("crates/accounts/src/user_links/mod.rs", "verify", Ours("looks for the hash of a text, whatever the text")),
    (
        "crates/connector/src/http/guard.rs",
        "parse_url",
        Fuzzed("crates/connector/src/http/tests/fuzz.rs", &["addresses_of_shops"]),
    ),
    ("crates/connector/src/http/hosts.rs", "parse", Ours("patterns of hosts that the source names")),
    ("crates/connector/src/http/hosts.rs", "parse_origin", Ours("origins that the source names")),
    ("crates/connector/src/json.rs", "deserialize", Fuzzed("crates/connector/src/http/tests/fuzz.rs", &["bodies"])),
    ("crates/connector/src/model.rs", "parse", Fuzzed("crates/integrations/src/live/model/fuzz.rs", &["searches"])),
    ("crates/connector/src/provider.rs", "verify_callback", Ours("the trait; its implementations are here")),
    ("crates/connector/src/provider.rs", "verify_install", Ours("the trait; its implementations are here")),
    (
        "crates/connector/src/signature/mod.rs",
        "verify_hex",
        Fuzzed("crates/connector/src/signature/fuzz.rs", &["signatures"]),
    ),
    (
        "crates/connector/src/signature/mod.rs",
        "verify_base64",
        Fuzzed("crates/connector/src/signature/fuzz.rs", &["signatures"]),
    ),
    (
        "crates/connector/src/signature/query.rs",
        "verify",
        Fuzzed("crates/connector/src/signature/fuzz.rs", &["signed_queries"]),
    ),
    ("crates/db/src/cluster/account.rs", "parse_passwd", OPERATORS),
    ("crates/db/src/cluster/binaries.rs", "parse_version", OPERATORS),
    ("crates/db/src/cluster/logins.rs", "parse", OPERATORS),
    ("crates/db/src/cluster/target.rs", "parse", OPERATORS),
    ("crates/db/src/listener.rs", "parse", DATABASE),
    ("crates/db/src/key_database/mod.rs", "parse", DATABASE),
    ("crates/entrepot/src/cli/plan.rs", "from_str", OPERATORS),
    ("crates/entrepot/src/telemetry/sentry.rs", "parse", OPERATORS),
    ("crates/entrepot/src/telemetry/traces/sampler.rs", "parse", OPERATORS),
    (
        "crates/entrepot/src/telemetry/traces/span.rs",
        "parse",
        Fuzzed("crates/entrepot/src/telemetry/traces/fuzz.rs", &["headers_of_traces"]),
    ),
    ("crates/entrepot/src/verify.rs", "verify", DATABASE),
    ("crates/entrepot/src/verify.rs", "verify_some", DATABASE),
    (
        "crates/integrations/src/connections/model/mod.rs",
        "parse",
        Fuzzed("crates/integrations/src/connections/fuzz.rs", &["words_of_the_database"]),
    ),
    ("crates/jobs/src/queue.rs", "from_str", DATABASE),
    ("crates/kernel/src/id.rs", "deserialize", Fuzzed("crates/kernel/tests/it/fuzz.rs", &["ids"])),
    ("crates/kernel/src/id.rs", "from_str", Fuzzed("crates/kernel/tests/it/fuzz.rs", &["ids"])),
    ("crates/kernel/src/permission.rs", "from_str", Fuzzed("crates/kernel/tests/it/fuzz.rs", &["permissions"])),
    ("crates/kernel/src/personal.rs", "deserialize", Ours("puts what another parser read behind a lock")),
    ("crates/kernel/src/secret.rs", "deserialize", Ours("any text")),
    ("crates/kit/src/app.rs", "from_str", Fuzzed("crates/kit/src/fuzz.rs", &["prefixes_of_keys"])),
    (
        "crates/kit/src/input.rs",
        "deserialize",
        Fuzzed("crates/kit/src/fuzz.rs", &["json_bodies", "query_strings", "short_texts"]),
    ),
    ("crates/kit/src/network.rs", "from_str", OPERATORS),
    ("crates/kit/src/retention/mod.rs", "from_str", OPERATORS),
    ("crates/kit/src/trail/chain/verify.rs", "verify", DATABASE),
    ("crates/kit/src/vault/directory.rs", "parse_content", Ours("what we wrote into our own key store")),
    ("crates/kit/src/vault/installation_key.rs", "from_str", DATABASE),
    ("crates/kit/src/vault/master_key.rs", "from_str", OPERATORS),
    ("crates/kit/src/vault/master_key.rs", "parse", Fuzzed("crates/kit/src/vault/tests/fuzz.rs", &["master_keys"])),
    (
        "crates/providers/src/shopify/auth.rs",
        "verify",
        Fuzzed("crates/providers/src/shopify/tests/fuzz.rs", &["shops", "lives_of_tokens"]),
    ),
    (
        "crates/providers/src/shopify/auth.rs",
        "verify_callback",
        Fuzzed("crates/connector/src/signature/fuzz.rs", &["signed_queries"]),
    ),
    (
        "crates/providers/src/shopify/auth.rs",
        "verify_install",
        Fuzzed("crates/connector/src/signature/fuzz.rs", &["signed_queries"]),
    ),
    (
        "crates/providers/src/shopify/convert/wire/mod.rs",
        "deserialize",
        Fuzzed("crates/providers/src/shopify/tests/fuzz.rs", &["records", "numbers"]),
    ),
    (
        "crates/providers/src/shopify/convert/wire/mod.rs",
        "parse",
        Fuzzed("crates/providers/src/shopify/tests/fuzz.rs", &["global_ids"]),
    ),
    (
        "crates/providers/src/woocommerce/convert/entities.rs",
        "decode",
        Fuzzed("crates/providers/src/woocommerce/tests/fuzz.rs", &["entities"]),
    ),
    (
        "crates/providers/src/woocommerce/convert/sent.rs",
        "parse_time",
        Fuzzed("crates/providers/src/woocommerce/tests/fuzz.rs", &["times", "amounts", "records"]),
    ),
    (
        "crates/providers/src/woocommerce/mod.rs",
        "deserialize",
        Fuzzed("crates/providers/src/woocommerce/tests/fuzz.rs", &["kept_facts"]),
    ),
];

/// Targets for what has no name that tells: headers, cursors, filters, CSV, answers.
const BESIDES: &[(&str, &[&str])] = &[
    (
        "crates/accounts/src/fuzz.rs",
        &[
            "answers_of_authenticators",
            "binary_objects",
            "cookies",
            "credentials",
            "links_of_invitations",
            "mail_addresses",
            "an_origin_has_a_host_and_nothing_behind_it",
            "origins",
        ],
    ),
    ("crates/accounts/src/oidc/fuzz.rs", &["files_of_issuers"]),
    ("crates/connector/src/http/tests/fuzz.rs", &["targets_of_redirects", "waits"]),
    ("crates/integrations/src/connections/fuzz.rs", &["forms", "seen_versions"]),
    ("crates/entrepot/src/server/fuzz.rs", &["canonical_paths"]),
    ("crates/integrations/src/events/fuzz.rs", &["csv", "filters"]),
    ("crates/integrations/src/oauth/fuzz.rs", &["pairing_cookies"]),
    ("crates/kit/src/fuzz.rs", &["forwarded_hops", "idempotency_keys"]),
    ("crates/kit/src/vault/tests/fuzz.rs", &["cursors", "sealed_bytes"]),
    ("crates/providers/src/shopify/tests/fuzz.rs", &["answers", "times_of_filters"]),
    ("crates/providers/src/woocommerce/tests/fuzz.rs", &["announced_roots", "refusals"]),
];

/// Names that parsers have.
fn is_parser(name: &str) -> bool {
    ["parse", "decode", "verify"].iter().any(|start| name == *start || name.starts_with(&format!("{start}_")))
        || matches!(name, "from_str" | "deserialize")
}

/// Names of functions that begin a line of the source.
fn functions(source: &Source) -> impl Iterator<Item = &str> {
    source.text.lines().filter_map(|line| {
        let at = line
            .find("fn ")
            .filter(|at| line[..*at].trim_start().chars().all(|c| c.is_alphanumeric() || " ():_".contains(c)))?;
        line[at + 3..].split(|c: char| !c.is_alphanumeric() && c != '_').next()
    })
}

#[test]
fn every_parser_is_fuzzed_or_need_not_be() {
    let listed: BTreeSet<(String, String)> =
        PARSERS.iter().map(|(path, name, _)| ((*path).to_owned(), (*name).to_owned())).collect();
    let sources = product();
    let there: BTreeSet<(String, String)> = sources
        .iter()
        .flat_map(|source| {
            functions(source).filter(|name| is_parser(name)).map(|name| (source.path.clone(), name.to_owned()))
        })
        .collect();
    let new: Vec<_> = there.difference(&listed).collect();
    assert!(new.is_empty(), "new parsers: fuzz them, or say in PARSERS why that is not needed: {new:?}");
    let gone: Vec<_> = listed.difference(&there).collect();
    assert!(gone.is_empty(), "PARSERS names what is not there: {gone:?}");
    assert!(PARSERS.iter().all(|(.., read)| !matches!(read, Ours(why) if why.is_empty())));
}

#[test]
fn every_target_is_there_and_is_for_something() {
    let mut wanted = BTreeMap::<&str, BTreeSet<&str>>::new();
    for (.., read) in PARSERS {
        if let Fuzzed(file, tests) = read {
            wanted.entry(file).or_default().extend(*tests);
        }
    }
    for (file, tests) in BESIDES {
        wanted.entry(file).or_default().extend(*tests);
    }
    let sources = files();
    let mut found = BTreeMap::<&str, BTreeSet<&str>>::new();
    for source in sources.iter().filter(|source| source.path.ends_with("/fuzz.rs")) {
        let lines: Vec<&str> = source.text.lines().map(str::trim).collect();
        let tests = lines.windows(2).filter(|pair| pair[0] == "#[test]");
        let names = tests.filter_map(|pair| pair[1].strip_prefix("fn ")?.split('(').next());
        found.insert(&source.path, names.collect());
    }
    assert_eq!(found, wanted, "the targets that there are, and those that are listed here");
}
