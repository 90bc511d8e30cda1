//! Documents are held to what there is: what they name exists, and what they list is complete.

use std::{
    collections::BTreeSet,
    path::{Path, PathBuf},
};

use kernel::{Action, Limit, Plan, Resource, Role};

use crate::repository::{Source, file, files, product, root};

fn documents() -> Vec<Source> {
    files().into_iter().filter(|file| file.path.ends_with(".md")).collect()
}

#[test]
fn links_lead_somewhere() {
    for document in documents() {
        for target in document.text.split("](").skip(1).filter_map(|rest| rest.split(')').next()) {
            // What begins with a slash is an address of the server, which shows these pages; its own test follows them.
            if target.contains("://") || target.starts_with('#') || target.starts_with('/') {
                continue;
            }
            let path = target.split('#').next().unwrap();
            let folder = root().join(&document.path);
            let place = folder.parent().unwrap().join(path);
            assert!(place.exists(), "{} links to {target}, which is not there", document.path);
        }
    }
}

#[test]
fn paths_in_documents_and_comments_exist() {
    let starts = ["crates/", "docs/", "migrations/", "script/", "bench/", "e2e/"];
    for source in files().iter().filter(|file| file.path.ends_with(".md") || file.path.ends_with(".rs")) {
        for quoted in source.text.lines().flat_map(|line| line.split('`').skip(1).step_by(2)) {
            // `<key>`, `*` and `{a,b}` stand for something else; a space begins a command's arguments.
            let is_pattern = quoted.contains(['<', '*', '{', '…', '(', ';', '$']);
            let path = quoted.split([' ', ':']).next().unwrap_or_default();
            if is_pattern || !starts.iter().any(|start| path.starts_with(start)) || path.contains("NNNN") {
                continue;
            }
            assert!(root().join(path).exists(), "{} names `{quoted}`, which is not there", source.path);
        }
    }
}

#[test]
fn decisions_are_short_and_of_one_form() {
    let sources = files();
    let decisions: Vec<&Source> = sources.iter().filter(|file| file.path.starts_with("docs/adr/0")).collect();
    assert!(!decisions.is_empty());
    for (index, decision) in decisions.iter().enumerate() {
        let number = format!("docs/adr/{:04}-", index + 1);
        assert!(decision.path.starts_with(&number), "{}: the next decision is {number}", decision.path);
        let lines = decision.text.lines().count();
        assert!(lines <= 40, "{} has {lines} lines, of 40 at most", decision.path);
        let headings: Vec<&str> = decision.text.lines().filter(|line| line.starts_with("## ")).collect();
        assert_eq!(headings, ["## Context", "## Decision", "## Rejected", "## Consequences"], "{}", decision.path);
        let name = Path::new(&decision.path).file_name().unwrap().to_str().unwrap();
        let list = &file(&sources, "docs/adr/README.md").text;
        assert!(list.contains(&format!("({name})")), "docs/adr/README.md does not list {name}");
    }
}

/// `docs/ARCHITECTURE.md` shows who may do what; the program decides it.
#[test]
fn the_table_of_roles_is_the_programs() {
    let sources = files();
    let text = &file(&sources, "docs/ARCHITECTURE.md").text;
    let cells = |line: &str| line.trim_matches('|').split('|').map(|cell| cell.trim().to_owned()).collect::<Vec<_>>();
    let mut rows = text.lines().skip_while(|line| !line.starts_with("| role |"));
    let resources: Vec<Resource> = cells(rows.next().unwrap())[1..].iter().map(|name| name.parse().unwrap()).collect();
    assert_eq!(resources, Resource::ALL, "the columns are the resources");
    let rows: Vec<Vec<String>> = rows.skip(1).take_while(|line| line.starts_with('|')).map(cells).collect();
    let roles: Vec<Role> = rows.iter().map(|row| row[0].parse().unwrap()).collect();
    assert_eq!(roles, Role::ALL, "the rows are the roles");
    for (role, row) in roles.iter().zip(&rows) {
        let may = role.permissions();
        for (resource, shown) in resources.iter().zip(&row[1..]) {
            let held: Vec<&str> = Action::ALL
                .iter()
                .filter(|action| may.contains(*resource, **action))
                .map(|action| action.as_str())
                .collect();
            let expected = match held.len() {
                0 => "–".to_owned(),
                all if all == Action::ALL.len() => "all".to_owned(),
                _ => held.join(", "),
            };
            assert_eq!(*shown, expected, "{role} on {resource}");
        }
    }
}

/// The product's own table, where its folder is at hand: the columns that the program has, of each role.
#[test]
fn the_table_of_roles_is_the_products() {
    let folder = std::env::var("ENTREPOT_SHARED").map_or_else(|_| root().join("../shared"), PathBuf::from);
    let Ok(text) = std::fs::read_to_string(folder.join("design/product.md")) else {
        println!("skipped: there is no design/product.md in {}", folder.display());
        return;
    };
    // By the first words of the column's head. A cell with other words in it is about what is not there yet.
    let columns: [(&str, &[Resource]); 7] = [
        ("live customers", &[Resource::Customers, Resource::Orders, Resource::Products]),
        ("organization", &[Resource::Organization]),
        ("members", &[Resource::Members]),
        ("connections", &[Resource::Connections]),
        ("API keys", &[Resource::ApiKeys]),
        ("events", &[Resource::Events]),
        ("audit", &[Resource::Audit]),
    ];
    let cells = |line: &str| line.trim_matches('|').split('|').map(|cell| cell.trim().to_owned()).collect::<Vec<_>>();
    let mut lines = text.lines().skip_while(|line| !line.starts_with("| |"));
    let head = cells(lines.next().expect("the table of roles"));
    let rows: Vec<Vec<String>> = lines.skip(1).take_while(|line| line.starts_with('|')).map(cells).collect();
    assert_eq!(rows.iter().map(|row| row[0].parse().unwrap()).collect::<Vec<Role>>(), Role::ALL);
    for row in &rows {
        let role: Role = row[0].parse().unwrap();
        for (column, resources) in columns {
            let place = head.iter().position(|head| head.starts_with(column)).unwrap_or_else(|| panic!("{column}"));
            let cell = row[place].split(" (").next().unwrap();
            let is_live = resources.len() > 1;
            let expected = resources.iter().flat_map(|resource| {
                let actions: Vec<Action> = match cell {
                    "–" => vec![],
                    _ if is_live && (cell == "all" || cell.split(", ").any(|word| word == resource.as_str())) => {
                        vec![Action::Read]
                    }
                    _ if is_live => vec![],
                    "all" => Action::ALL.to_vec(),
                    words => words.split(", ").map(|word| word.parse().unwrap()).collect(),
                };
                actions.into_iter().map(move |action| (*resource, action))
            });
            let expected: BTreeSet<_> = expected.collect();
            let held: BTreeSet<_> =
                role.permissions().iter().filter(|(resource, _)| resources.contains(resource)).collect();
            assert_eq!(held, expected, "{role}, {column}: {cell}");
        }
        let reads_the_access_log = role.permissions().contains(Resource::AccessLog, Action::Read);
        let sentence =
            text.lines().find_map(|line| line.strip_prefix("Access log: ")).expect("who reads the access log");
        let readers = sentence.split(" read.").next().unwrap();
        assert_eq!(
            reads_the_access_log,
            readers.split([' ', ',']).any(|word| word == role.as_str()),
            "{role}: {readers}"
        );
    }
}

/// `docs/plans.md` shows the table of the code.
#[test]
fn the_table_of_plans_is_the_codes() {
    let text = file(&files(), "docs/plans.md").text.clone();
    table_of_plans(&text);
    let folder = std::env::var("ENTREPOT_SHARED").map_or_else(|_| root().join("../shared"), PathBuf::from);
    let Ok(text) = std::fs::read_to_string(folder.join("design/product.md")) else {
        println!("skipped: there is no design/product.md in {}", folder.display());
        return;
    };
    // The product's own table has both numbers of the last two limits, and minutes, in one cell.
    let text =
        text.replace("| shortest sync interval |", "| shortest sync interval, minutes |").replace(" min |", " |");
    let halves: String = text
        .lines()
        .map(|line| match line.strip_prefix("| workflows / bots |") {
            Some(cells) => {
                let half = |number: usize| {
                    let cells = cells.trim_matches('|').split('|');
                    let half = cells.map(|cell| cell.trim().split(" / ").nth(number).unwrap_or(cell.trim()).to_owned());
                    half.collect::<Vec<_>>().join(" | ")
                };
                format!("| workflows | {} |\n| bots | {} |\n", half(0), half(1))
            }
            None => format!("{line}\n"),
        })
        .collect();
    table_of_plans(&halves);
}

fn table_of_plans(text: &str) {
    let cells = |line: &str| line.trim_matches('|').split('|').map(|cell| cell.trim().to_owned()).collect::<Vec<_>>();
    let mut lines = text.lines().skip_while(|line| !line.starts_with("| limit |"));
    let head = cells(lines.next().expect("the table of plans"));
    assert_eq!(head[1..].iter().map(|plan| plan.parse().unwrap()).collect::<Vec<Plan>>(), Plan::ALL);
    let rows: Vec<Vec<String>> = lines.skip(1).take_while(|line| line.starts_with('|')).map(cells).collect();
    assert_eq!(rows.len(), Limit::ALL.len());
    for (limit, row) in Limit::ALL.iter().zip(&rows) {
        assert_eq!(row[0], limit.label());
        for (plan, cell) in Plan::ALL.iter().zip(&row[1..]) {
            let expected = (cell != "by contract").then(|| cell.replace(',', "").parse::<u64>().unwrap());
            assert_eq!(plan.limit(*limit), expected, "{limit} of {plan}");
        }
    }
}

/// `docs/configuration.md` is made from the definitions of the command line.
#[test]
fn the_reference_of_settings_is_the_programs() {
    let written = file(&files(), "docs/configuration.md").text.clone();
    let made = entrepot::cli::reference();
    assert!(written == made, "run `entrepot configuration > docs/configuration.md`");
    for setting in ["ENTREPOT_LISTEN", "DATABASE_BACKUP_URL", "ENTREPOT_BACKUP_KEEP", "--accept-lost-keys"] {
        assert!(made.contains(setting), "{setting} is not in the reference");
    }
}

/// `docs/retention.md` is made from the list of what is kept.
#[test]
fn the_page_of_what_is_kept_is_the_programs() {
    let written = file(&files(), "docs/retention.md").text.clone();
    assert!(written == kit::retention::reference(), "run `entrepot retention > docs/retention.md`");
}

/// What the operator does to organizations from the command line is told to them, or there is a reason why there is nothing to tell.
#[test]
fn every_command_says_what_it_tells_organizations() {
    const COMMANDS: &[(&str, &str)] = &[
        ("serve", "what it does for somebody is told as theirs, what it does by itself as system:…"),
        ("migrate", "changes tables and no organization's rows"),
        ("verify", "reads"),
        ("backup", "reads; docs/TENANCY.md has the login"),
        (
            "restore",
            "makes an installation where there was none: its audit log is that of the backup, sealed as it was",
        ),
        ("upgrade-cluster", "copies all rows, and changes none"),
        ("doctor", "reads"),
        ("errors", "reads what belongs to no organization"),
        ("keys", "wraps data keys anew; nothing that they seal changes"),
        ("plan", "a line as system:operator, in the audit log and the activity log"),
        ("organizations", "reads"),
        ("demo", "what it does, it does over HTTP as its owner"),
        ("sandbox", "knows no organization"),
        ("openapi", "prints"),
        ("configuration", "prints"),
        ("retention", "prints"),
        ("master-key", "knows no organization"),
    ];
    let there: BTreeSet<String> = entrepot::cli::commands().into_iter().collect();
    let listed: BTreeSet<String> = COMMANDS.iter().map(|(name, _)| (*name).to_owned()).collect();
    assert_eq!(
        there, listed,
        "a command that changes something of an organization leaves a line in its audit log (kit::trail)"
    );
}

/// `deploy/entrepot.service` keeps what a service of its kind can do to what it needs, and systemd understands it.
#[test]
fn the_unit_of_systemd_is_hardened_and_understood() {
    let path = root().join("deploy/entrepot.service");
    let unit = std::fs::read_to_string(&path).unwrap();
    for line in [
        "ExecStart=/usr/bin/entrepot serve",
        "User=entrepot",
        "KillSignal=SIGTERM",
        "KillMode=mixed",
        "NoNewPrivileges=yes",
        "ProtectSystem=strict",
        "ProtectHome=yes",
        "PrivateTmp=yes",
        "PrivateDevices=yes",
        "ProtectKernelTunables=yes",
        "ProtectControlGroups=yes",
        "RestrictSUIDSGID=yes",
        "LimitCORE=0",
        "StateDirectory=entrepot",
        "Restart=on-failure",
    ] {
        assert!(unit.lines().any(|found| found == line), "{} has no {line}", path.display());
    }
    // Longer than open requests and renewals of tokens may take, and the database after them.
    let seconds = unit.lines().find_map(|line| line.strip_prefix("TimeoutStopSec=")).unwrap();
    assert!(seconds.parse::<u64>().unwrap() >= 35 + 35 + 60, "{seconds}");
    assert!(!unit.contains("ENTREPOT_MASTER_KEY="), "a unit is readable by everybody: the key is in a file");
    let Ok(verified) = std::process::Command::new("systemd-analyze").arg("verify").arg(&path).output() else {
        println!("skipped: there is no systemd-analyze here");
        return;
    };
    let said = String::from_utf8_lossy(&verified.stderr);
    // The program and its user are not installed where it is built.
    let about_us = said.lines().filter(|line| line.contains("entrepot.service"));
    let faults: Vec<&str> = about_us.filter(|line| !line.contains("is not executable")).collect();
    assert!(faults.is_empty(), "{faults:?}");
}

/// `Containerfile` runs as nobody in particular, keeps its data in a volume, and carries no secret.
#[test]
fn the_container_is_one_to_run_without_root() {
    let sources = files();
    let text = &file(&sources, "Containerfile").text;
    let lines: Vec<&str> = text.lines().filter(|line| !line.starts_with('#')).collect();
    let of = |word: &str| lines.iter().filter(|line| line.starts_with(word)).copied().collect::<Vec<_>>();
    let bases = of("FROM ");
    assert!(bases.len() == 2 && bases.iter().all(|base| base.contains("bookworm")), "{bases:?}");
    assert_eq!(of("USER ").last(), Some(&"USER entrepot"));
    assert_eq!(of("VOLUME "), ["VOLUME /var/lib/entrepot"]);
    assert_eq!(of("ENTRYPOINT "), ["ENTRYPOINT [\"/usr/bin/entrepot\"]"], "the program gets the signals itself");
    assert_eq!(of("CMD "), ["CMD [\"serve\"]"]);
    assert!(of("HEALTHCHECK ").iter().any(|line| line.contains("/healthz")));
    assert!(!text.contains("MASTER_KEY="), "no secret is baked in");
    let rust = &file(&sources, "Cargo.toml").text;
    let version = rust.lines().find_map(|line| line.strip_prefix("rust-version = ")).unwrap().trim_matches('"');
    assert!(bases[0].contains(&format!("rust:{version}")), "{} is not of Rust {version}", bases[0]);
    let packages = lines.iter().find(|line| line.contains("apt-get install") && line.contains("postgresql"));
    assert!(packages.is_some_and(|line| line.contains("--no-install-recommends")), "{packages:?}");
}

/// `README.md` lists the settings of the program; the program says which there are.
#[test]
fn the_table_of_settings_is_complete() {
    let readme = &file(&files(), "README.md").text.clone();
    let sources = product();
    let literals = sources.iter().flat_map(|source| source.text.split('"').skip(1).step_by(2));
    let is_name = |text: &&str| {
        (text.starts_with("ENTREPOT_") || (text.starts_with("DATABASE_") && text.ends_with("URL")))
            && text.bytes().all(|byte| byte.is_ascii_uppercase() || byte == b'_')
    };
    let names: BTreeSet<&str> = literals.filter(is_name).collect();
    assert!(names.len() > 10, "only {names:?} were found: the search is broken");
    for name in names {
        assert!(readme.contains(&format!("`{name}`")), "README.md does not explain {name}");
    }
}
