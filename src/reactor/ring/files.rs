//! Blocking access to files and folders, for the start and for threads beside the reactors. Errors
//! are those of the operating system.

use std::fs::{self, DirBuilder, OpenOptions};
use std::io;
use std::os::fd::{AsRawFd, RawFd};
use std::os::unix::fs::{DirBuilderExt, FileExt, MetadataExt, OpenOptionsExt};
use std::path::Path;

use rustix::fs::{FallocateFlags, FlockOperation, OFlags, flock};
use rustix::io::Errno;

use crate::reactor::Access;

/// `FALLOC_FL_WRITE_ZEROES` (Linux 6.17): the device itself writes the zeros.
const WRITE_ZEROES: FallocateFlags = FallocateFlags::from_bits_retain(0x80);

/// An open file, closed on drop.
#[derive(Debug)]
pub struct File(fs::File);

impl File {
    pub(super) fn descriptor(&self) -> RawFd {
        self.0.as_raw_fd()
    }

    /// Length in bytes.
    pub fn length(&self) -> io::Result<u64> {
        Ok(self.0.metadata()?.len())
    }

    /// Reads from `offset` until `out` is full or the file ends; returns the number of octets.
    #[allow(clippy::missing_errors_doc)]
    pub fn read_at(&self, out: &mut [u8], offset: u64) -> io::Result<usize> {
        let mut read = 0;
        while read < out.len() {
            match self.0.read_at(&mut out[read..], offset + read as u64) {
                Ok(0) => break,
                Ok(count) => read += count,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(read)
    }

    /// Writes all of `octets` at `offset`. After an error, a part of them may be written.
    #[allow(clippy::missing_errors_doc)]
    pub fn write_all_at(&self, octets: &[u8], offset: u64) -> io::Result<()> {
        self.0.write_all_at(octets, offset)
    }

    /// Truncates the file, or extends it with zeros.
    #[allow(clippy::missing_errors_doc)]
    pub fn set_length(&self, length: u64) -> io::Result<()> {
        self.0.set_len(length)
    }

    /// Allocates disk space for the whole length. Returns whether it is also overwritten with
    /// zeros.
    #[allow(clippy::missing_errors_doc)]
    pub fn allocate(&self, length: u64) -> io::Result<bool> {
        if rustix::fs::fallocate(&self.0, WRITE_ZEROES, 0, length).is_ok() {
            return Ok(true);
        }
        match rustix::fs::fallocate(&self.0, FallocateFlags::empty(), 0, length) {
            // The file system cannot allocate: setting the length has to suffice.
            Err(rustix::io::Errno::OPNOTSUPP) => self.0.set_len(length)?,
            other => other?,
        }
        Ok(false)
    }

    /// Device and inode.
    #[allow(clippy::missing_errors_doc)]
    pub fn identity(&self) -> io::Result<(u64, u64)> {
        let found = self.0.metadata()?;
        Ok((found.dev(), found.ino()))
    }

    /// Number of hard links; 0 if the file was removed.
    #[allow(clippy::missing_errors_doc)]
    pub fn names(&self) -> io::Result<u64> {
        Ok(self.0.metadata()?.nlink())
    }

    /// Makes content and length durable.
    #[allow(clippy::missing_errors_doc)]
    pub fn sync_all(&self) -> io::Result<()> {
        self.0.sync_all()
    }

    /// Marks the file as written to for as long as it is open. Each operation that the kernel works
    /// on keeps it open, even when the process was killed: see [`wait_for_writers`].
    ///
    /// # Errors
    /// When it is marked already, and those of the system.
    pub fn mark_written(&self) -> io::Result<()> {
        supported(flock(&self.0, FlockOperation::NonBlockingLockExclusive)).map(drop)
    }
}

/// Whether the lock was taken. A file system without locks has none to wait for.
fn supported(locked: Result<(), Errno>) -> io::Result<bool> {
    match locked {
        Ok(()) => Ok(true),
        Err(Errno::NOLCK | Errno::NOSYS | Errno::OPNOTSUPP) => Ok(false),
        Err(error) => Err(error.into()),
    }
}

impl From<fs::File> for File {
    fn from(file: fs::File) -> File {
        File(file)
    }
}

/// Opens a file.
pub fn open(path: &Path, access: Access) -> io::Result<File> {
    Ok(File(options(access).open(path)?))
}

/// Opens a file to read what the disk contains. After a failed fdatasync, the kernel may keep
/// showing octets that never reached the disk, until it drops their pages.
#[allow(clippy::missing_errors_doc)]
pub fn open_as_stored(path: &Path) -> io::Result<File> {
    let file = open(path, Access::Read)?;
    // A hint. Where it is ignored, O_DIRECT has left no pages behind.
    let _ = rustix::fs::fadvise(&file.0, 0, None, rustix::fs::Advice::DontNeed);
    Ok(file)
}

/// Waits until no write to the file is in flight. With O_DIRECT the kernel goes on with the writes
/// of a killed process for a moment after its end, and of another file system call that reads or
/// writes the same file none waits for them. `told` is called before a wait.
#[allow(clippy::missing_errors_doc)]
pub fn wait_for_writers(path: &Path, told: impl FnOnce()) -> io::Result<()> {
    let file = fs::File::open(path)?;
    match flock(&file, FlockOperation::NonBlockingLockShared) {
        Err(Errno::WOULDBLOCK) => {
            told();
            supported(flock(&file, FlockOperation::LockShared)).map(drop)
        }
        other => supported(other).map(drop),
    }
}

/// Opens a file with O_DIRECT if the file system supports it; the second value tells whether it
/// does.
#[allow(clippy::missing_errors_doc)]
pub fn open_direct(path: &Path, access: Access) -> io::Result<(File, bool)> {
    let flags = OFlags::DIRECT.bits().cast_signed();
    match options(access).custom_flags(flags).open(path) {
        Ok(file) => Ok((File(file), true)),
        Err(error) if error.raw_os_error() == Some(libc::EINVAL) => {
            Ok((open(path, access)?, false))
        }
        Err(error) => Err(error),
    }
}

fn options(access: Access) -> OpenOptions {
    let mut options = OpenOptions::new();
    options.read(true).write(access != Access::Read).create(access == Access::Create);
    // Other users must not read mail.
    options.mode(0o600);
    options
}

/// Creates a folder and its missing parents, for this user only. The names are not durable yet: see
/// [`sync_folder`] and [`sync_file_system`].
#[allow(clippy::missing_errors_doc)]
pub fn create_folder(path: &Path) -> io::Result<()> {
    DirBuilder::new().recursive(true).mode(0o700).create(path)
}

/// The names in a folder, in any order, with the length of each file. Names that are not UTF-8 are
/// not ours, and are skipped.
#[allow(clippy::missing_errors_doc)]
pub fn list(folder: &Path) -> io::Result<Vec<(String, u64)>> {
    let mut names = Vec::new();
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        if let Ok(name) = entry.file_name().into_string() {
            names.push((name, entry.metadata()?.len()));
        }
    }
    Ok(names)
}

/// Whether the file exists.
#[allow(clippy::missing_errors_doc)]
pub fn exists(path: &Path) -> io::Result<bool> {
    path.try_exists()
}

/// Free bytes on the folder's file system.
#[allow(clippy::missing_errors_doc)]
pub fn room(folder: &Path) -> io::Result<u64> {
    let stat = rustix::fs::statvfs(folder)?;
    Ok(stat.f_bavail.saturating_mul(stat.f_frsize))
}

/// Size in bytes of the folder's file system.
#[allow(clippy::missing_errors_doc)]
pub fn capacity(folder: &Path) -> io::Result<u64> {
    let stat = rustix::fs::statvfs(folder)?;
    Ok(stat.f_blocks.saturating_mul(stat.f_frsize))
}

/// Opens a folder, to check later whether its path still leads to it: while it is open, no file
/// system reuses its inode number. `None` if it cannot be opened.
#[must_use]
pub fn hold_folder(path: &Path) -> Option<File> {
    fs::File::open(path).ok().map(File)
}

/// Device and inode of the folder that the path leads to now.
#[allow(clippy::missing_errors_doc)]
pub fn identity(folder: &Path) -> io::Result<(u64, u64)> {
    let found = fs::metadata(folder)?;
    Ok((found.dev(), found.ino()))
}

/// Renames a file; an existing file with the new name is replaced.
#[allow(clippy::missing_errors_doc)]
pub fn rename(from: &Path, to: &Path) -> io::Result<()> {
    fs::rename(from, to)
}

/// Removes a file. The removal is durable after [`sync_folder`].
#[allow(clippy::missing_errors_doc)]
pub fn remove(path: &Path) -> io::Result<()> {
    fs::remove_file(path)
}

/// Makes the names in a folder durable: files created, renamed or removed.
#[allow(clippy::missing_errors_doc)]
pub fn sync_folder(folder: &Path) -> io::Result<()> {
    fs::File::open(folder)?.sync_all()
}

/// Makes the whole file system of a folder durable, including the names of the folder and its
/// parents. An fsync of each parent is not enough: some may not be readable for this user, and
/// after a crash it is not known which names are new.
#[allow(clippy::missing_errors_doc)]
pub fn sync_file_system(folder: &Path) -> io::Result<()> {
    Ok(rustix::fs::syncfs(fs::File::open(folder)?)?)
}
