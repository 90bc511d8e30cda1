//! The server's settings. All of them go on its command line, which wins over its files and over `alter system`.

use std::path::Path;

use super::{PORT, error::ClusterError, log};

/// What an operator may change. Everything else is either irrelevant to a server of this size or a promise: that a
/// commit is on the disk, that nobody reaches the server but through its socket, that no value reaches a log.
pub const TUNABLE: &[&str] = &[
    // Memory and parallel work
    "shared_buffers",
    "huge_pages",
    "work_mem",
    "hash_mem_multiplier",
    "maintenance_work_mem",
    "autovacuum_work_mem",
    "temp_buffers",
    "temp_file_limit",
    "dynamic_shared_memory_type",
    "effective_cache_size",
    "effective_io_concurrency",
    "maintenance_io_concurrency",
    "random_page_cost",
    "default_statistics_target",
    "jit",
    "max_worker_processes",
    "max_parallel_workers",
    "max_parallel_workers_per_gather",
    "max_parallel_maintenance_workers",
    // Connections and time limits
    "max_connections",
    "superuser_reserved_connections",
    "max_locks_per_transaction",
    "deadlock_timeout",
    "lock_timeout",
    "statement_timeout",
    "idle_in_transaction_session_timeout",
    // Write-ahead log
    "wal_buffers",
    "wal_compression",
    "min_wal_size",
    "max_wal_size",
    "checkpoint_timeout",
    "checkpoint_completion_target",
    "commit_delay",
    "commit_siblings",
    // Backups by log shipping
    "wal_level",
    "wal_keep_size",
    "max_wal_senders",
    "max_replication_slots",
    "archive_mode",
    "archive_command",
    "archive_timeout",
    // Vacuum
    "autovacuum_max_workers",
    "autovacuum_naptime",
    "autovacuum_vacuum_cost_delay",
    "autovacuum_vacuum_cost_limit",
    "autovacuum_vacuum_scale_factor",
    "autovacuum_analyze_scale_factor",
    // Statistics
    "track_io_timing",
    "track_activity_query_size",
];

/// For a machine of two to eight cores and 2 to 16 GB that it shares with us; `TUNABLE` says what else may be changed.
const DEFAULTS: &[(&str, &str)] = &[
    ("max_connections", "100"),
    ("shared_buffers", "256MB"),
    ("effective_cache_size", "1GB"),
    ("work_mem", "8MB"),
    ("maintenance_work_mem", "128MB"),
    // With `try` a container whose limit on huge pages is below its host's dies of SIGBUS.
    ("huge_pages", "off"),
    // Compiling costs more than our longest query.
    ("jit", "off"),
    ("random_page_cost", "1.1"),
    ("min_wal_size", "128MB"),
    ("max_wal_size", "2GB"),
    ("wal_compression", "on"),
    ("checkpoint_timeout", "10min"),
    ("checkpoint_completion_target", "0.9"),
    ("max_wal_senders", "4"),
    ("deadlock_timeout", "1s"),
];

/// The promises.
const FIXED: &[(&str, &str)] = &[
    // What is acknowledged is on the disk, whole.
    ("fsync", "on"),
    ("synchronous_commit", "on"),
    ("full_page_writes", "on"),
    ("data_sync_retry", "off"),
    ("ignore_checksum_failure", "off"),
    ("zero_damaged_pages", "off"),
    // Only through the socket, only with a password.
    ("listen_addresses", ""),
    ("password_encryption", "scram-sha-256"),
    // Times mean the same everywhere.
    ("timezone", "UTC"),
    ("log_timezone", "UTC"),
    // No statement and no value in a log. `terse` leaves out the DETAIL line, which for a duplicate key holds the key;
    // the message itself may hold a value too, which is why `log` below repeats only what the server says of itself.
    ("log_destination", "stderr"),
    ("logging_collector", "off"),
    ("log_statement", "none"),
    ("log_duration", "off"),
    ("log_min_duration_statement", "-1"),
    ("log_min_duration_sample", "-1"),
    ("log_transaction_sample_rate", "0"),
    ("log_min_error_statement", "panic"),
    ("log_parameter_max_length", "0"),
    ("log_parameter_max_length_on_error", "0"),
    ("log_error_verbosity", "terse"),
    ("debug_print_parse", "off"),
    ("debug_print_rewritten", "off"),
    ("debug_print_plan", "off"),
];

/// The `-c name=value` arguments; of two for the same setting the later counts.
pub(super) fn arguments(socket_dir: &Path, extra: &[(String, String)]) -> Result<Vec<String>, ClusterError> {
    if let Some((name, _)) = extra.iter().find(|(name, _)| !TUNABLE.contains(&name.as_str())) {
        return Err(ClusterError::Setting(name.clone()));
    }
    let port = PORT.to_string();
    let socket_dir = socket_dir.display().to_string();
    let ours = [
        ("port", port.as_str()),
        ("unix_socket_directories", socket_dir.as_str()),
        ("cluster_name", super::server::MARK),
        ("log_line_prefix", log::PREFIX),
    ];
    let extra = extra.iter().map(|(name, value)| (name.as_str(), value.as_str()));
    let all = DEFAULTS.iter().copied().chain(extra).chain(FIXED.iter().copied()).chain(ours);
    Ok(all.flat_map(|(name, value)| ["-c".to_owned(), format!("{name}={value}")]).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durability_cannot_be_switched_off() {
        for name in ["fsync", "FSYNC", "f-sync", "synchronous_commit", "full_page_writes", "full-page-writes"] {
            let refused = arguments(Path::new("/run/x"), &[(name.into(), "off".into())]);
            assert!(matches!(refused, Err(ClusterError::Setting(refused)) if refused == name), "{name}");
        }
    }

    #[test]
    fn no_promise_is_tunable() {
        for (name, _) in FIXED {
            assert!(!TUNABLE.contains(name), "{name}");
        }
        for name in ["listen_addresses", "hba_file", "config_file", "data_directory", "log_statement", "port"] {
            assert!(!TUNABLE.contains(&name), "{name}");
        }
    }

    #[test]
    fn what_may_be_tuned_comes_after_our_default() {
        let all = arguments(Path::new("/run/x"), &[("work_mem".into(), "32MB".into())]).unwrap();
        let at = |text: &str| all.iter().position(|argument| argument == text).unwrap();
        assert!(at("work_mem=32MB") > at("work_mem=8MB"));
        assert!(all.contains(&"fsync=on".to_owned()) && all.contains(&"unix_socket_directories=/run/x".to_owned()));
    }
}
