//! The reference of all settings, `docs/configuration.md`, made from the command line's own definitions.

use std::fmt::Write as _;

use clap::{Arg, ArgAction, Command, CommandFactory as _};
use kit::vault::{MASTER_KEY, MASTER_KEY_FILE, MASTER_KEY_PREVIOUS, MASTER_KEY_PREVIOUS_FILE};

use super::Cli;
use crate::telemetry::traces;

/// What is read from the environment and is no option, so that it stands in no process list.
const VARIABLES: &[(&str, &str)] = &[
    (
        MASTER_KEY_FILE,
        "A file of mode 0600 with the master key: 32 random bytes, in base64 or hexadecimal. `serve`, `restore` and `doctor` need it",
    ),
    (MASTER_KEY, "The master key itself, instead of the file; an environment is easier to read than a file"),
    (
        MASTER_KEY_PREVIOUS_FILE,
        "The same for the master key before it, while it is replaced ([keys.md](keys.md#another-master-key)): a file of mode 0600",
    ),
    (MASTER_KEY_PREVIOUS, "The key itself, instead of that file"),
    (
        db::cluster::BIN_DIR_VARIABLE,
        "The directory of PostgreSQL's programs; found by itself where they are Debian's or on `PATH`",
    ),
    ("RUST_LOG", "What is logged, to standard error: `info,sqlx=warn` for `serve`; as JSON where that is no terminal"),
];

/// The document, as it is checked in.
pub fn reference() -> String {
    let mut text = String::from(
        "# Configuration\n\n\
         Every setting, made by `entrepot configuration` from the definitions of the program; a test compares this page with them.\n\
         An option wins over its variable. A variable that is empty counts as not set where the setting may be left out.\n\n\
         ## The environment only\n\n| variable | |\n|---|---|\n",
    );
    for (name, help) in VARIABLES.iter().chain(traces::VARIABLES) {
        let _infallible = writeln!(text, "| `{name}` | {help} |");
    }
    let cli = Cli::command();
    for command in cli.get_subcommands().filter(|command| !command.is_hide_set()) {
        section(&mut text, "entrepot", command);
    }
    text
}

fn section(text: &mut String, before: &str, command: &Command) {
    let about = command.get_about().map(ToString::to_string).unwrap_or_default();
    let name = format!("{before} {}", command.get_name());
    let _infallible = writeln!(text, "\n## {name}\n\n{about}.");
    for part in command.get_subcommands().filter(|part| !part.is_hide_set()) {
        section(text, &name, part);
    }
    let arguments: Vec<&Arg> = command
        .get_arguments()
        .filter(|argument| !argument.is_hide_set())
        .filter(|argument| {
            !matches!(argument.get_action(), ArgAction::Help | ArgAction::HelpShort | ArgAction::HelpLong)
        })
        .collect();
    if arguments.is_empty() {
        return;
    }
    text.push_str("\n| option | variable | default | |\n|---|---|---|---|\n");
    for argument in arguments {
        let _infallible = writeln!(text, "{}", row(argument));
    }
}

fn row(argument: &Arg) -> String {
    let takes_value = argument.get_action().takes_values();
    let value = argument.get_value_names().and_then(|names| names.first()).map(ToString::to_string).unwrap_or_default();
    let name = match argument.get_long() {
        Some(long) if takes_value => format!("`--{long} <{value}>`"),
        Some(long) => format!("`--{long}`"),
        None => format!("`<{value}>`"),
    };
    let variable = argument.get_env().map(|name| format!("`{}`", name.to_string_lossy())).unwrap_or_default();
    let defaults: Vec<String> =
        argument.get_default_values().iter().map(|value| format!("`{}`", value.to_string_lossy())).collect();
    let default = match (argument.is_required_set(), takes_value) {
        (true, _) => "required".to_owned(),
        (false, true) => defaults.join(", "),
        (false, false) => String::new(),
    };
    let help = argument.get_help().map(ToString::to_string).unwrap_or_default().replace('|', "\\|");
    format!("| {name} | {variable} | {default} | {help} |")
}
