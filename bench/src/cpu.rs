//! Processor time by thread name and by process, from Linux' scheduler: on a shared machine it tells more than a clock.

use std::{fs, path::Path, time::Duration};

/// Time that this process' threads of a name have run. A runtime names its threads; ended threads are not counted.
pub(crate) fn of_threads(name: &str) -> Duration {
    let Ok(tasks) = fs::read_dir("/proc/self/task") else { return Duration::ZERO };
    let paths = tasks.flatten().map(|task| task.path());
    paths.filter(|path| comm(path).is_some_and(|comm| comm == name)).filter_map(|path| ran(&path)).sum()
}

/// Time that a process and the processes below it have run, those that still live.
pub(crate) fn of_tree(root: u32) -> Duration {
    tree(root).into_iter().map(|pid| ran_by_process(pid).unwrap_or_default()).sum()
}

/// A process and all below it.
pub(crate) fn tree(root: u32) -> Vec<u32> {
    let mut found = vec![root];
    let mut at = 0;
    while at < found.len() {
        let tasks = fs::read_dir(format!("/proc/{}/task", found[at])).into_iter().flatten().flatten();
        for task in tasks {
            let children = fs::read_to_string(task.path().join("children")).unwrap_or_default();
            found.extend(children.split_whitespace().filter_map(|pid| pid.parse::<u32>().ok()));
        }
        at += 1;
    }
    found
}

/// A line of `/proc/PID/status` or `smaps_rollup` in bytes: `VmRSS`, `Pss`.
pub(crate) fn memory_bytes(pid: u32, file: &str, line: &str) -> Option<u64> {
    let text = fs::read_to_string(format!("/proc/{pid}/{file}")).ok()?;
    let value = text.lines().find_map(|text| text.strip_prefix(line)?.strip_prefix(':'))?;
    value.trim().strip_suffix(" kB")?.trim().parse::<u64>().ok().map(|kib| kib * 1024)
}

fn ran_by_process(pid: u32) -> Option<Duration> {
    let tasks = fs::read_dir(format!("/proc/{pid}/task")).ok()?;
    Some(tasks.flatten().filter_map(|task| ran(&task.path())).sum())
}

fn comm(task: &Path) -> Option<String> {
    Some(fs::read_to_string(task.join("comm")).ok()?.trim_end().to_owned())
}

/// The first figure of `schedstat`: nanoseconds on a processor.
fn ran(task: &Path) -> Option<Duration> {
    let text = fs::read_to_string(task.join("schedstat")).ok()?;
    Some(Duration::from_nanos(text.split_whitespace().next()?.parse().ok()?))
}
