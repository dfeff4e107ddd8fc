//! `mailrace doctor`: checks whether this machine suits mailrace.
//!
//! Each group of checks is a file: facts read from the system, and functions from facts to
//! [`Finding`]s, which are tested with invented facts. The doctor works for any user, and reports
//! what it could not check.

mod device;
mod finding;
mod folder;
mod kernel;
mod latency;
mod mount;
mod network;
mod process;
mod report;

use std::io::Write;
use std::path::Path;

use self::finding::Finding;
use self::report::Report;

/// Runs all checks for a server with this data folder and prints the report, as JSON or as text.
/// Returns how many checks found something to fix.
pub fn run(data: &Path, json: bool) -> usize {
    let report = Report::new(data.display().to_string(), examine(data));
    let text = if json { report.json() + "\n" } else { report.text() };
    // The reader may have closed the pipe.
    let _ = std::io::stdout().write_all(text.as_bytes());
    report.to_do
}

fn examine(data: &Path) -> Vec<Finding> {
    let reactors = std::thread::available_parallelism().map_or(1, usize::from);
    let kernel = kernel::Facts::here(reactors);
    let locked = kernel.uring.as_ref().ok().copied();
    let folder = folder::Facts::here(data, reactors);
    let mount = mount::Mount::of(&folder.place);
    let device = mount.as_ref().and_then(device::Facts::of);
    [
        kernel::check(&kernel),
        process::check(&process::Facts::here(reactors, locked)),
        network::check(&network::Facts::here()),
        folder::check(&folder),
        mount::check(mount.as_ref()),
        device::check(device.as_ref()),
        latency::check(&latency::Facts::measure(&folder.place)),
    ]
    .concat()
}
