//! `mailrace doctor`: whether this machine is as mailrace likes it.
//!
//! Each group of checks is a file: facts that are asked of the system, and functions from facts to
//! [`Finding`]s, which are tested with facts that are made up. It works for any user, and says what
//! it could not look at.

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
use std::path::PathBuf;

use clap::Args;

use self::finding::Finding;
use self::report::Report;

/// Check whether this machine is as mailrace likes it, and say what to do
#[derive(Args, Clone, Debug)]
pub struct DoctorArgs {
    /// Folder of the server's data, to look at the disk below it
    #[arg(long, value_name = "DIR", default_value = "./mailrace-data", env = "MAILRACE_DATA")]
    pub data: PathBuf,

    /// Print what was found as JSON
    #[arg(long)]
    pub json: bool,
}

/// Looks at everything and prints what it found. How many checks want something done.
pub fn run(args: &DoctorArgs) -> usize {
    let report = Report::new(args.data.display().to_string(), examine(args));
    let text = if args.json { report.json() + "\n" } else { report.text() };
    // Whoever has read enough may close it.
    let _ = std::io::stdout().write_all(text.as_bytes());
    report.to_do
}

fn examine(args: &DoctorArgs) -> Vec<Finding> {
    let reactors = std::thread::available_parallelism().map_or(1, usize::from);
    let kernel = kernel::Facts::here(reactors);
    let locked = kernel.uring.as_ref().ok().copied();
    let folder = folder::Facts::here(&args.data, reactors);
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
