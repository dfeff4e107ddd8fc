//! Processor time of processes.

use std::fs;
use std::time::Duration;

use super::ToolError;

/// Unit of processor times in /proc: USER_HZ is always 100 there.
const TICK: Duration = Duration::from_millis(10);

/// Processor time of this process: all its threads, including the kernel's io_uring workers.
pub(super) fn of_this_process() -> Duration {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ProcessCPUTime);
    Duration::new(time.tv_sec.unsigned_abs(), u32::try_from(time.tv_nsec).unwrap_or(0))
}

/// Processor time of process `root` and all its descendants, including those that have ended and
/// been waited for.
pub(super) fn of_tree(root: u32) -> Result<Duration, ToolError> {
    let failed = |error| ToolError::Io { doing: "cannot read /proc".into(), error };
    let mut processes = Vec::new();
    for entry in fs::read_dir("/proc").map_err(failed)? {
        let name = entry.map_err(failed)?.file_name();
        let Some(pid) = name.to_str().and_then(|name| name.parse().ok()) else { continue };
        // A process that ends during the loop is counted by its parent.
        let Ok(stat) = fs::read_to_string(format!("/proc/{pid}/stat")) else { continue };
        processes.extend(Process::parse(pid, &stat));
    }
    if !processes.iter().any(|process| process.pid == root) {
        return Err(ToolError::Usage(format!("there is no process {root}")));
    }
    let mut tree = vec![root];
    let mut at = 0;
    while at < tree.len() {
        let parent = tree[at];
        tree.extend(processes.iter().filter(|p| p.parent == parent).map(|p| p.pid));
        at += 1;
    }
    let ticks = processes.iter().filter(|p| tree.contains(&p.pid)).map(|p| p.ticks).sum::<u64>();
    Ok(TICK * u32::try_from(ticks).unwrap_or(u32::MAX))
}

struct Process {
    pid: u32,
    parent: u32,
    ticks: u64,
}

impl Process {
    /// Parses /proc/PID/stat. The name, in parentheses, may contain anything. After it come state
    /// and parent. Fields 14 to 17 of the line are the times in user space and in the kernel, of
    /// the process and of its children.
    fn parse(pid: u32, stat: &str) -> Option<Process> {
        let fields: Vec<&str> = stat.rsplit_once(')')?.1.split_ascii_whitespace().collect();
        let parent = fields.get(1)?.parse().ok()?;
        let times = fields.get(11..15)?.iter().map(|field| field.parse::<u64>());
        Some(Process { pid, parent, ticks: times.sum::<Result<u64, _>>().ok()? })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stat_lines_with_hostile_names() {
        let stat = "7 (a) b (c) S 3 7 7 0 -1 4194304 1 2 3 4 100 20 5 1 20 0 1 0 9 9 9";
        let process = Process::parse(7, stat).unwrap();
        assert_eq!((process.parent, process.ticks), (3, 126));
        assert!(Process::parse(7, "7 (x) S 3").is_none());
        assert!(Process::parse(7, "").is_none());
    }

    #[test]
    fn this_process_is_found() {
        assert!(of_tree(std::process::id()).is_ok());
        assert!(matches!(of_tree(u32::MAX), Err(ToolError::Usage(_))));
    }
}
