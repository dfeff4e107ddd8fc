//! The machine of a measurement, without which its figures mean nothing.

use std::path::Path;
use std::process::Command;

use serde::Serialize;

/// Hardware, kernel and build of a measurement.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Environment {
    /// Model name of the processor.
    pub cpu: String,
    /// Number of cores this process may run on.
    pub cores: usize,
    /// Name and release of the kernel.
    pub kernel: String,
    /// File system of the temporary data folders.
    pub file_system: String,
    /// Commit of the source tree, if the working directory is mailrace's.
    pub commit: Option<String>,
    /// Arguments of this process.
    pub command: Vec<String>,
}

impl Environment {
    /// Reads the current environment.
    pub(super) fn here(temp: &Path) -> Environment {
        let uname = rustix::system::uname();
        let (name, release) =
            (uname.sysname().to_string_lossy(), uname.release().to_string_lossy());
        Environment {
            cpu: cpu().unwrap_or_else(|| uname.machine().to_string_lossy().into_owned()),
            cores: std::thread::available_parallelism().map_or(1, usize::from),
            kernel: format!("{name} {release}"),
            file_system: file_system(temp),
            commit: commit(),
            command: std::env::args().collect(),
        }
    }
}

fn cpu() -> Option<String> {
    let info = std::fs::read_to_string("/proc/cpuinfo").ok()?;
    let line = info.lines().find(|line| line.starts_with("model name"))?;
    Some(line.split_once(':')?.1.trim().to_owned())
}

/// Name of the file system, from the magic number of statfs(2).
fn file_system(path: &Path) -> String {
    let Ok(found) = rustix::fs::statfs(path) else { return "unknown".into() };
    let name = match found.f_type as u32 {
        0xef53 => "ext4",
        0x5846_5342 => "xfs",
        0x9123_683e => "btrfs",
        0x0102_1994 => "tmpfs",
        0x794c_7630 => "overlayfs",
        0x2fc1_2fc1 => "zfs",
        0xf2f5_2010 => "f2fs",
        other => return format!("{other:#x}"),
    };
    name.into()
}

fn commit() -> Option<String> {
    let manifest = std::fs::read_to_string("Cargo.toml").ok()?;
    if !manifest.contains("name = \"mailrace\"") {
        return None;
    }
    let git = Command::new("git").args(["describe", "--always", "--dirty"]).output().ok()?;
    let text = String::from_utf8(git.stdout).ok()?;
    (git.status.success() && !text.trim().is_empty()).then(|| text.trim().to_owned())
}
