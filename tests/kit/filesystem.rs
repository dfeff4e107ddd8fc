//! A file system of its own for a test: an image in a file in the scratch folder, on a loop device
//! that is released with its mount.
//!
//! It needs root, loop devices and the tools of the file system. Where something is missing the
//! test is skipped and says so; with MAILRACE_FILESYSTEMS=required it fails.

use std::fs::{self, File};
use std::io::{Write, stderr};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

use rustix::fs::{FallocateFlags, fallocate, statvfs};

use super::{Folder, scratch};

/// Longer than the kernel takes to release a file. A test that waits this long fails.
const PATIENCE: Duration = Duration::from_secs(60);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Ext4,
    Xfs,
}

/// A mounted image. Nothing of it stays, however the test ends.
pub struct Image {
    kind: Kind,
    file: PathBuf,
    mount: PathBuf,
    /// Makes a second run in the same build folder wait.
    _lock: File,
}

impl Image {
    /// Makes an image of `mib` MiB and mounts it. `None` where that is not possible. `name` is that
    /// of the test: what a killed run left under it is removed.
    pub fn new(kind: Kind, name: &str, mib: u64) -> Option<Image> {
        let made = Image::make(kind, name, mib);
        if let Err(why) = &made {
            let why = format!("no {kind:?} for {name}: {why}");
            let required =
                std::env::var("MAILRACE_FILESYSTEMS").is_ok_and(|value| value == "required");
            assert!(!required, "{why}");
            // Not captured, so that it is seen when all tests pass.
            let _ = writeln!(stderr(), "skipped: {why}");
        }
        made.ok()
    }

    fn make(kind: Kind, name: &str, mib: u64) -> Result<Image, String> {
        if !rustix::process::geteuid().is_root() {
            return Err("only root mounts file systems".into());
        }
        let place = scratch().join(format!("{name}.{kind:?}"));
        let lock = File::create(place.with_added_extension("lock")).unwrap();
        lock.lock().unwrap();
        let file = place.with_added_extension("image");
        let mount = place.with_added_extension("mount");
        // From here on the drop removes it, whatever happens.
        let image = Image { kind, file, mount, _lock: lock };
        image.clear();
        File::create(&image.file).unwrap().set_len(mib << 20).unwrap();
        fs::create_dir(&image.mount).unwrap();
        let make: &[&str] = match kind {
            Kind::Ext4 => &["mkfs.ext4", "-q", "-F", "-m", "0"],
            Kind::Xfs => &["mkfs.xfs", "-q", "-f"],
        };
        run(make, &[&image.file])?;
        image.try_mount()?;
        Ok(image)
    }

    /// A data folder on it, with a user and nothing else. An earlier one is removed.
    pub fn folder(&self) -> Folder {
        let data = self.mount.join("data");
        if data.exists() {
            fs::remove_dir_all(&data).unwrap();
        }
        Folder::at(data)
    }

    fn try_mount(&self) -> Result<(), String> {
        run(&["mount", "-o", "loop"], &[&self.file, &self.mount])
    }

    /// Unmounts it, repairs it and mounts it again. No server may run on it.
    pub fn remount(&self) {
        self.unmount();
        if self.kind == Kind::Ext4 {
            // 1 means that something was repaired. XFS repairs itself when it is mounted.
            let status = Command::new("e2fsck").arg("-fp").arg(&self.file).output().unwrap();
            assert!(matches!(status.status.code(), Some(0 | 1)), "{status:?}");
        }
        self.try_mount().unwrap();
    }

    /// The kernel closes the files of a killed process a moment after its end: operations of its
    /// io_uring hold them.
    fn unmount(&self) {
        let begun = Instant::now();
        while let Err(why) = run(&["umount"], &[&self.mount]) {
            assert!(why.contains("busy") && begun.elapsed() < PATIENCE, "{why}");
            thread::sleep(Duration::from_millis(10));
        }
    }

    /// Nothing more reaches the device, not even from the journal of the file system: what a power
    /// loss leaves.
    pub fn lose_power(&self) {
        run(&["xfs_io", "-x", "-c", "shutdown"], &[&self.mount]).unwrap();
    }

    /// The file system finds its device broken and refuses every operation from now on. What it had
    /// promised is on the device.
    ///
    /// Not `mount -o remount,abort`: while ext4 aborts its journal, it answers fdatasync with
    /// success for a few milliseconds, and what it said was durable is gone (Linux 6.18).
    pub fn fail(&self) {
        run(&["xfs_io", "-x", "-c", "shutdown -f"], &[&self.mount]).unwrap();
    }

    /// No write completes until the guard is dropped, as on a disk that hangs.
    pub fn freeze(&self) -> Frozen<'_> {
        run(&["fsfreeze", "-f"], &[&self.mount]).unwrap();
        Frozen(self)
    }

    /// Free bytes.
    pub fn room(&self) -> u64 {
        let stat = statvfs(&self.mount).unwrap();
        stat.f_bavail * stat.f_frsize
    }

    /// Fills it with another file that leaves `leave` bytes free; with 0, not even a block.
    pub fn fill(&self, leave: u64) {
        let file = File::options().create(true).append(true).open(self.ballast()).unwrap();
        let mut step = self.room().saturating_sub(leave).next_multiple_of(4096);
        while step >= 4096 {
            let length = file.metadata().unwrap().len();
            let take = step.min(self.room().saturating_sub(leave) / 4096 * 4096);
            if take == 0 || fallocate(&file, FallocateFlags::empty(), length, take).is_err() {
                step = (step / 2) / 4096 * 4096;
            }
        }
    }

    /// Removes that file.
    pub fn empty(&self) {
        fs::remove_file(self.ballast()).unwrap();
    }

    fn ballast(&self) -> PathBuf {
        self.mount.join("ballast")
    }

    /// Removes the mount, loop device and image of this run or an earlier one.
    fn clear(&self) {
        // A mount that is still in use loses its name at least, and goes with its last user.
        while run(&["umount"], &[&self.mount]).is_ok()
            || run(&["umount", "-l"], &[&self.mount]).is_ok()
        {}
        let _ = fs::remove_dir(&self.mount);
        let _ = fs::remove_file(&self.file);
    }
}

/// See [`Image::freeze`].
pub struct Frozen<'a>(&'a Image);

impl Drop for Frozen<'_> {
    fn drop(&mut self) {
        let thawed = run(&["fsfreeze", "-u"], &[&self.0.mount]);
        assert!(thawed.is_ok() || thread::panicking(), "{thawed:?}");
    }
}

impl Drop for Image {
    fn drop(&mut self) {
        self.clear();
    }
}

/// Runs a program to its end. The error says why it failed.
fn run(words: &[&str], paths: &[&Path]) -> Result<(), String> {
    let output = Command::new(words[0]).args(&words[1..]).args(paths).output();
    let output = output.map_err(|error| format!("{}: {error}", words[0]))?;
    if output.status.success() {
        return Ok(());
    }
    Err(format!("{words:?}: {}", String::from_utf8_lossy(&output.stderr).trim()))
}
