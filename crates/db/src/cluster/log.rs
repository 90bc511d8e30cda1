//! The server's own log: read from its stderr, and repeated to ours without anything a client sent.
//!
//! PostgreSQL quotes values in the messages themselves (`invalid input syntax for type uuid: "…"`), and a function can
//! `raise log` what it likes. So the text is repeated only where the server speaks of itself; of a client's errors the
//! severity and the SQLSTATE remain, and the client has the rest anyway.

use std::{
    collections::VecDeque,
    io::{BufRead, BufReader, Read},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
};

/// Kind of process and SQLSTATE before each message: <https://www.postgresql.org/docs/15/runtime-config-logging.html>.
pub(super) const PREFIX: &str = "%b|%e|";

/// Processes that run no statement and call no function of a client.
const OF_ITSELF: &[&str] = &[
    "postmaster",
    "startup",
    "checkpointer",
    "background writer",
    "walwriter",
    "archiver",
    "autovacuum launcher",
    "logical replication launcher",
    "io worker",
];

/// Lines kept for an error message or for a person who asks how the server is.
const KEPT: usize = 30;
const LONGEST: usize = 500;

#[derive(Clone, Default)]
pub(super) struct Log(Arc<Inner>);

#[derive(Default)]
struct Inner {
    recent: Mutex<VecDeque<String>>,
    /// Said by the server that it takes connections. Until then nothing of a client can be in a line, and those of
    /// `setpriv`, the shell and the server's first steps have no prefix: all are kept.
    open: AtomicBool,
}

impl Log {
    pub(super) fn server_starts(&self) {
        self.0.open.store(false, Ordering::SeqCst);
        self.recent_mut().clear();
    }

    /// The last lines, oldest first.
    pub(super) fn recent(&self) -> Vec<String> {
        self.recent_mut().iter().cloned().collect()
    }

    fn recent_mut(&self) -> MutexGuard<'_, VecDeque<String>> {
        self.0.recent.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Reads until the last process that can write is gone.
    pub(super) fn follow(&self, stderr: impl Read) {
        let mut lines = BufReader::new(stderr);
        let mut line = Vec::new();
        // Bytes, because a message can be cut in the middle of a character.
        while lines.read_until(b'\n', &mut line).is_ok_and(|read| read > 0) {
            self.line(String::from_utf8_lossy(&line).trim_end());
            line.clear();
        }
    }

    fn line(&self, line: &str) {
        let entry = Entry::read(line);
        if entry.as_ref().is_some_and(Entry::opens) {
            self.0.open.store(true, Ordering::SeqCst);
        }
        let open = self.0.open.load(Ordering::SeqCst);
        let text = match &entry {
            Some(Entry { process, sqlstate, severity, .. }) if open && !OF_ITSELF.contains(process) => {
                format!("{severity} {sqlstate} ({process})")
            }
            Some(Entry { process, severity, text, .. }) => format!("{severity}: {text} ({process})"),
            None if open || line.is_empty() => return,
            None => line.into(),
        };
        match entry.map(|entry| entry.weight()) {
            Some(Weight::Broken) => tracing::error!(target: "postgres", "{text}"),
            Some(Weight::Odd) => tracing::warn!(target: "postgres", "{text}"),
            Some(Weight::Daily) | None => tracing::debug!(target: "postgres", "{text}"),
        }
        let mut recent = self.recent_mut();
        if recent.len() == KEPT {
            recent.pop_front();
        }
        recent.push_back(text.chars().take(LONGEST).collect());
    }
}

enum Weight {
    Broken,
    Odd,
    Daily,
}

/// The first line of a message. The lines that follow it begin with a tab and are not entries.
struct Entry<'a> {
    process: &'a str,
    sqlstate: &'a str,
    severity: &'a str,
    text: &'a str,
}

impl<'a> Entry<'a> {
    fn read(line: &'a str) -> Option<Self> {
        let (process, rest) = line.split_once('|')?;
        let (sqlstate, rest) = rest.split_once('|')?;
        let (severity, text) = rest.split_once(":  ")?;
        let is_prefix = !process.starts_with('\t') && sqlstate.len() == 5;
        let is_message = ["LOG", "INFO", "NOTICE", "WARNING", "ERROR", "FATAL", "PANIC"].contains(&severity);
        (is_prefix && is_message).then_some(Self { process, sqlstate, severity, text })
    }

    fn opens(&self) -> bool {
        self.text.starts_with("database system is ready to accept") || self.process == "client backend"
    }

    fn weight(&self) -> Weight {
        match self.severity {
            "PANIC" => Weight::Broken,
            "WARNING" | "ERROR" | "FATAL" if OF_ITSELF.contains(&self.process) => Weight::Odd,
            // Damaged data or a full disk matter whoever met them: classes XX and 53.
            _ if self.sqlstate.starts_with("XX") || self.sqlstate.starts_with("53") => Weight::Odd,
            _ => Weight::Daily,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const READY: &str = "postmaster|00000|LOG:  database system is ready to accept connections\n";

    fn recent(ready: bool, text: &str) -> Vec<String> {
        let log = Log::default();
        if ready {
            log.follow(READY.as_bytes());
        }
        log.follow(text.as_bytes());
        log.recent().split_off(usize::from(ready))
    }

    #[test]
    fn of_a_clients_errors_only_the_code_remains() {
        let text = "client backend|23505|ERROR:  duplicate key value violates unique constraint \"users_email_key\"\n\
                    client backend|23505|DETAIL:  Key (email)=(jane@example.com) already exists.\n\
                    client backend|22P02|ERROR:  invalid input syntax for type uuid: \"jane\n\tdoe\"\n\
                    client backend|00000|LOG:  jane said so\n";
        assert_eq!(
            recent(true, text),
            ["ERROR 23505 (client backend)", "ERROR 22P02 (client backend)", "LOG 00000 (client backend)"]
        );
    }

    #[test]
    fn what_the_server_says_of_itself_is_repeated() {
        assert_eq!(recent(false, READY), ["LOG: database system is ready to accept connections (postmaster)"]);
    }

    #[test]
    fn a_line_without_prefix_counts_only_before_the_server_is_ready() {
        let text = "postgres: could not access the server configuration file\n";
        assert_eq!(recent(false, text).len(), 1);
        assert_eq!(recent(true, text), [""; 0]);
        assert_eq!(recent(true, "rest of a value|and|LOG:  more of it\n"), [""; 0]);
    }

    #[test]
    fn only_the_last_lines_are_kept() {
        let text = (0..100).map(|n| format!("checkpointer|00000|LOG:  checkpoint {n}\n")).collect::<String>();
        let kept = recent(false, &text);
        assert_eq!(kept.len(), KEPT);
        assert_eq!(kept[KEPT - 1], "LOG: checkpoint 99 (checkpointer)");
    }
}
