//! Each bench for a moment: what is tested is that it works and says what it must, never how fast anything is.

#![expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a test fails where it stands, and shows the figures it got"
)]

use std::process::Command;

use serde_json::Value;

/// Runs a bench and gives its last line.
fn last_line(arguments: &[&str]) -> Value {
    let results = tempfile::tempdir().unwrap();
    let output = Command::new(env!("CARGO_BIN_EXE_bench"))
        .args(arguments)
        .arg("--results")
        .arg(results.path())
        .output()
        .unwrap();
    let told = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{told}\n{}", String::from_utf8_lossy(&output.stderr));
    println!("{told}");
    let last = told.lines().last().unwrap();
    let written = std::fs::read_to_string(results.path().join(format!("{}.json", arguments[0]))).unwrap();
    assert_eq!(written.trim_end(), last, "the file holds the last line");
    serde_json::from_str(last).unwrap()
}

fn assert_figure(figure: &Value, name: &str, better: &str) {
    assert_eq!(figure["name"], name);
    assert_eq!(figure["better"], better);
    let number = |member: &str| {
        figure[member].as_f64().filter(|value| *value > 0.0).unwrap_or_else(|| panic!("{member}: {figure}"))
    };
    let off = number("ours") / number("floor") / number("ratio");
    assert!((0.99..1.01).contains(&off), "ratio is ours / floor: {figure}");
    number("goal");
}

#[test]
fn live_measures_ours_nginx_and_a_naive_proxy() {
    let figure = last_line(&["live", "--rounds", "1", "--seconds", "0.3", "--stores", "3", "--connections", "2,4"]);
    assert_figure(&figure, "live", "higher");
    assert!(figure["also"]["of_naive"].as_f64().unwrap() > 0.0);
    assert_eq!(figure["also"]["runs"].as_object().unwrap().len(), 2);
}

#[test]
fn key_measures_a_check_and_a_hash() {
    assert_figure(&last_line(&["key", "--rounds", "1", "--checks", "200", "--keys", "2"]), "key", "lower");
}

#[test]
fn tenancy_measures_lists_with_and_without_rls() {
    let arguments = ["tenancy", "--rounds", "1", "--rows", "2000", "--organizations", "10", "--lists", "20"];
    assert_figure(&last_line(&arguments), "tenancy", "higher");
}

#[test]
fn start_measures_a_start_and_the_memory_of_the_program() {
    let program = env!("CARGO_BIN_EXE_bench");
    let figure = last_line(&["start", "--rounds", "1", "--idle", "0.1", "--program", program]);
    assert_figure(&figure, "start", "lower");
    assert!(figure["also"]["resident_mb"].as_f64().unwrap() > 1.0);
    assert!(figure["also"]["postgres_mb"].as_f64().unwrap() > 1.0);
}

/// The test of a million lines, at a hundredth. Its times are generous: how fast it is, is for `script/bench events` to say.
#[test]
fn events_holds_what_the_activity_log_promises() {
    let arguments =
        ["events", "--rows", "10000", "--lists", "5", "--list-ms", "5000", "--followers", "8", "--seconds", "2"];
    let figure = last_line(&arguments);
    assert_figure(&figure, "events", "lower");
    assert_eq!(figure["also"]["lists_ms"].as_object().unwrap().len(), 12);
    assert_eq!(figure["also"]["chain"]["altered_and_named"], 3);
    assert!(figure["also"]["tail"]["lines"].as_u64().unwrap() > 10);
}
