//! Files and folders for those who may block: threads beside the reactors, and the start.

use std::fs::{self, DirBuilder, OpenOptions};
use std::io;
use std::os::fd::{AsRawFd, RawFd};
use std::os::unix::fs::{DirBuilderExt, FileExt, MetadataExt, OpenOptionsExt};
use std::path::Path;

use rustix::fs::{FallocateFlags, OFlags};

use crate::reactor::Access;

/// `FALLOC_FL_WRITE_ZEROES` (Linux 6.17): the device writes the zeros itself.
const WRITE_ZEROES: FallocateFlags = FallocateFlags::from_bits_retain(0x80);

/// An open file.
#[derive(Debug)]
pub struct File(fs::File);

impl File {
    pub(super) fn descriptor(&self) -> RawFd {
        self.0.as_raw_fd()
    }

    /// Octets in it.
    ///
    /// # Errors
    /// What the disk says; likewise below.
    pub fn length(&self) -> io::Result<u64> {
        Ok(self.0.metadata()?.len())
    }

    /// Reads from `offset` on until `out` is full or the file ends; how much that was.
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

    /// Writes all of `octets` at `offset`.
    #[allow(clippy::missing_errors_doc)]
    pub fn write_all_at(&self, octets: &[u8], offset: u64) -> io::Result<()> {
        self.0.write_all_at(octets, offset)
    }

    /// Gives the file this length.
    #[allow(clippy::missing_errors_doc)]
    pub fn set_length(&self, length: u64) -> io::Result<()> {
        self.0.set_len(length)
    }

    /// Takes room on the disk for the whole length; `true` when it has been written over with
    /// zeros as well.
    #[allow(clippy::missing_errors_doc)]
    pub fn allocate(&self, length: u64) -> io::Result<bool> {
        if rustix::fs::fallocate(&self.0, WRITE_ZEROES, 0, length).is_ok() {
            return Ok(true);
        }
        match rustix::fs::fallocate(&self.0, FallocateFlags::empty(), 0, length) {
            // The file system cannot allocate: the length alone has to do.
            Err(rustix::io::Errno::OPNOTSUPP) => self.0.set_len(length)?,
            other => other?,
        }
        Ok(false)
    }

    /// Its device and inode.
    #[allow(clippy::missing_errors_doc)]
    pub fn identity(&self) -> io::Result<(u64, u64)> {
        let found = self.0.metadata()?;
        Ok((found.dev(), found.ino()))
    }

    /// How many names the file has; none when somebody removed it.
    #[allow(clippy::missing_errors_doc)]
    pub fn names(&self) -> io::Result<u64> {
        Ok(self.0.metadata()?.nlink())
    }

    /// Makes octets and length durable.
    #[allow(clippy::missing_errors_doc)]
    pub fn sync_all(&self) -> io::Result<()> {
        self.0.sync_all()
    }
}

impl From<fs::File> for File {
    fn from(file: fs::File) -> File {
        File(file)
    }
}

/// Opens a file.
///
/// # Errors
/// What the disk says; likewise below.
pub fn open(path: &Path, access: Access) -> io::Result<File> {
    Ok(File(options(access).open(path)?))
}

/// Opens a file to read what the disk has. After an fdatasync that failed, the kernel may go on
/// showing octets that never reached it, until their pages are forgotten.
#[allow(clippy::missing_errors_doc)]
pub fn open_as_stored(path: &Path) -> io::Result<File> {
    let file = open(path, Access::Read)?;
    // A hint: where it is not taken, O_DIRECT has left no pages behind.
    let _ = rustix::fs::fadvise(&file.0, 0, None, rustix::fs::Advice::DontNeed);
    Ok(file)
}

/// Opens a file with O_DIRECT where the file system has it; the second value says whether it has.
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
    // Mail is nobody else's business.
    options.mode(0o600);
    options
}

/// Makes a folder and those above it, unless they are there, for this user alone. Their names are
/// not durable yet: see [`sync_folder`] and [`sync_file_system`].
#[allow(clippy::missing_errors_doc)]
pub fn create_folder(path: &Path) -> io::Result<()> {
    DirBuilder::new().recursive(true).mode(0o700).create(path)
}

/// Names in a folder, in any order, with the length of each file. What is no UTF-8 is not ours.
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

/// Whether there is a file of this name.
#[allow(clippy::missing_errors_doc)]
pub fn exists(path: &Path) -> io::Result<bool> {
    path.try_exists()
}

/// Bytes that the file system of a folder has room for.
#[allow(clippy::missing_errors_doc)]
pub fn room(folder: &Path) -> io::Result<u64> {
    let stat = rustix::fs::statvfs(folder)?;
    Ok(stat.f_bavail.saturating_mul(stat.f_frsize))
}

/// Opens a folder, to tell later whether its path still leads to it: while it is open, its inode
/// keeps its number on any file system. `None` where that cannot be done.
#[must_use]
pub fn hold_folder(path: &Path) -> Option<File> {
    fs::File::open(path).ok().map(File)
}

/// Device and inode of the folder that a path leads to now.
#[allow(clippy::missing_errors_doc)]
pub fn identity(folder: &Path) -> io::Result<(u64, u64)> {
    let found = fs::metadata(folder)?;
    Ok((found.dev(), found.ino()))
}

/// Gives a file another name; what had that name is gone.
#[allow(clippy::missing_errors_doc)]
pub fn rename(from: &Path, to: &Path) -> io::Result<()> {
    fs::rename(from, to)
}

/// Removes a file.
#[allow(clippy::missing_errors_doc)]
pub fn remove(path: &Path) -> io::Result<()> {
    fs::remove_file(path)
}

/// Makes names in the folder durable: files created, renamed or removed.
#[allow(clippy::missing_errors_doc)]
pub fn sync_folder(folder: &Path) -> io::Result<()> {
    fs::File::open(folder)?.sync_all()
}

/// Makes all of the file system durable that a folder is on, the folder's own name and those of the
/// folders above it included. An fsync of each would do, but not all of them can be opened by
/// everybody, and which are new is not known after a crash.
#[allow(clippy::missing_errors_doc)]
pub fn sync_file_system(folder: &Path) -> io::Result<()> {
    Ok(rustix::fs::syncfs(fs::File::open(folder)?)?)
}
