//! File systems of their own: an image in a file below the build folder, on a loop device that
//! goes with its mount.
//!
//! That takes root, loop devices and the tools of the file system. Where something is missing the
//! tests are left out with a word about it, unless MAILRACE_FILESYSTEMS=required.

use std::fs::{self, File};
use std::io::{Write, stderr};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

use rustix::fs::{FallocateFlags, fallocate, statvfs};

use super::{Folder, scratch};

/// Longer than the kernel takes to let go of a file; what waits so long has failed.
const PATIENCE: Duration = Duration::from_secs(60);

/// Which file system.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Ext4,
    Xfs,
}

/// A mounted image. However the test ends, nothing of it stays.
pub struct Image {
    kind: Kind,
    file: PathBuf,
    mount: PathBuf,
    /// Of two runs on one build folder one waits.
    _lock: File,
}

impl Image {
    /// Makes an image of so many MiB and mounts it; `None` where that cannot be done. `name` is the
    /// test's: what a run that was killed has left under it is cleared away.
    pub fn new(kind: Kind, name: &str, mib: u64) -> Option<Image> {
        let made = Image::make(kind, name, mib);
        if let Err(why) = &made {
            let why = format!("no {kind:?} for {name}: {why}");
            let required =
                std::env::var("MAILRACE_FILESYSTEMS").is_ok_and(|value| value == "required");
            assert!(!required, "{why}");
            // Past the capture of output: it must be seen where all tests pass.
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
        // From here on dropped, and so cleared away, whatever happens.
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

    /// A data folder on it, with nothing in it but a user; the one there was before is gone.
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

    /// Takes it off and on again, and lets it mend itself. No server may run on it.
    pub fn remount(&self) {
        self.unmount();
        if self.kind == Kind::Ext4 {
            // 1 says that it has mended something. XFS mends itself when it is mounted.
            let status = Command::new("e2fsck").arg("-fp").arg(&self.file).output().unwrap();
            assert!(matches!(status.status.code(), Some(0 | 1)), "{status:?}");
        }
        self.try_mount().unwrap();
    }

    /// The kernel closes the files of a process that was killed a moment after its end: what an
    /// io_uring has under way holds them.
    fn unmount(&self) {
        let begun = Instant::now();
        while let Err(why) = run(&["umount"], &[&self.mount]) {
            assert!(why.contains("busy") && begun.elapsed() < PATIENCE, "{why}");
            thread::sleep(Duration::from_millis(10));
        }
    }

    /// From now on nothing that is not yet on the device gets there, not even what the file
    /// system has in its journal: what a power loss leaves.
    pub fn lose_power(&self) {
        run(&["xfs_io", "-x", "-c", "shutdown"], &[&self.mount]).unwrap();
    }

    /// The file system finds that its device is broken, as it does by itself when it is: ext4
    /// turns read-only, XFS shuts down.
    pub fn fail(&self) {
        match self.kind {
            Kind::Ext4 => {
                // That it is read-only now is what mount complains about.
                let _ = run(&["mount", "-o", "remount,abort,errors=remount-ro"], &[&self.mount]);
                assert!(File::create(self.mount.join("probe")).is_err(), "it can be written to");
            }
            Kind::Xfs => run(&["xfs_io", "-x", "-c", "shutdown -f"], &[&self.mount]).unwrap(),
        }
    }

    /// Nothing that is written comes to an end until the guard is dropped, as on a disk that hangs.
    pub fn freeze(&self) -> Frozen<'_> {
        run(&["fsfreeze", "-f"], &[&self.mount]).unwrap();
        Frozen(self)
    }

    /// Octets that there is room for.
    pub fn room(&self) -> u64 {
        let stat = statvfs(&self.mount).unwrap();
        stat.f_bavail * stat.f_frsize
    }

    /// Somebody else's file that leaves room for so many octets; for none, the last block too.
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

    /// Makes room again.
    pub fn empty(&self) {
        fs::remove_file(self.ballast()).unwrap();
    }

    fn ballast(&self) -> PathBuf {
        self.mount.join("ballast")
    }

    /// Removes mount, loop device and image of this run or an earlier one.
    fn clear(&self) {
        // Of a mount that somebody still uses, the name at least; the rest goes with its user.
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

/// Runs a program to its end; why it failed, if it did.
fn run(words: &[&str], paths: &[&Path]) -> Result<(), String> {
    let output = Command::new(words[0]).args(&words[1..]).args(paths).output();
    let output = output.map_err(|error| format!("{}: {error}", words[0]))?;
    if output.status.success() {
        return Ok(());
    }
    Err(format!("{words:?}: {}", String::from_utf8_lossy(&output.stderr).trim()))
}
