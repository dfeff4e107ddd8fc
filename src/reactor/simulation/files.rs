//! Files and folders: those of the machine, or real ones without a machine. Errors are those of the
//! disk.

use std::io;
use std::path::Path;
use std::rc::Rc;

use super::machine::{Machine, machine};
use super::ring::files as real;
use crate::reactor::Access;

/// An open file.
#[derive(Debug)]
pub enum File {
    /// A file of the operating system.
    Real(real::File),
    /// A file of the machine.
    Simulated(u64),
}

/// One step of the machine, which fails `fails` times in a million.
fn operate(machine: &Machine, fails: u32) -> io::Result<()> {
    machine.step()?;
    match machine.fails(fails) {
        true => Err(io::Error::from_raw_os_error(libc::EIO)),
        false => Ok(()),
    }
}

pub(super) fn full() -> io::Error {
    io::Error::from_raw_os_error(libc::ENOSPC)
}

/// One step of the machine that changes names or lengths. It may fail by a disk error, or for lack
/// of space.
fn change_names(machine: &Machine) -> io::Result<()> {
    let fails = machine.temper.borrow().names_fail;
    operate(machine, fails).map_err(|error| match machine.is_off() {
        false if machine.random(|random| random.one_in(3)) => full(),
        _ => error,
    })
}

fn the_machine() -> io::Result<Rc<Machine>> {
    machine().ok_or_else(|| io::Error::other("the machine of this file is gone"))
}

impl File {
    /// Length in bytes.
    pub fn length(&self) -> io::Result<u64> {
        match self {
            File::Real(file) => file.length(),
            File::Simulated(node) => Ok(the_machine()?.disk.borrow().node(*node).length()),
        }
    }

    /// Reads from `offset` until `out` is full or the file ends; returns the number of octets.
    #[allow(clippy::missing_errors_doc)]
    pub fn read_at(&self, out: &mut [u8], offset: u64) -> io::Result<usize> {
        match self {
            File::Real(file) => file.read_at(out, offset),
            File::Simulated(node) => {
                let machine = the_machine()?;
                let fails = machine.temper.borrow().read_fails;
                operate(&machine, fails)?;
                Ok(machine.disk.borrow().node(*node).read(offset, out))
            }
        }
    }

    /// Writes all of `octets` at `offset`. After an error, a part of them may be written.
    #[allow(clippy::missing_errors_doc)]
    pub fn write_all_at(&self, octets: &[u8], offset: u64) -> io::Result<()> {
        match self {
            File::Real(file) => file.write_all_at(octets, offset),
            File::Simulated(node) => {
                let machine = the_machine()?;
                let fails = machine.temper.borrow().write_fails;
                let result = operate(&machine, fails);
                let length = octets.len();
                machine.trace(format_args!("file {node}: {length} octets at {offset}: {result:?}"));
                let grows = {
                    let length = machine.disk.borrow().node(*node).length();
                    (offset + octets.len() as u64).saturating_sub(length)
                };
                if result.is_ok() && grows > 0 && !fits(&machine, grows) {
                    return Err(full());
                }
                // A failed write, or one during a power failure, is partial.
                let written = match &result {
                    Ok(()) => octets.len(),
                    Err(_) => machine.random(|random| random.below(octets.len())),
                };
                machine.disk.borrow_mut().write(*node, offset, &octets[..written]);
                result
            }
        }
    }

    /// Truncates the file, or extends it with zeros.
    #[allow(clippy::missing_errors_doc)]
    pub fn set_length(&self, length: u64) -> io::Result<()> {
        match self {
            File::Real(file) => file.set_length(length),
            File::Simulated(node) => {
                let machine = the_machine()?;
                let fails = machine.temper.borrow().names_fail;
                operate(&machine, fails)?;
                machine.trace(format_args!("file {node}: {length} octets long"));
                let mut disk = machine.disk.borrow_mut();
                // The kernel waits for the writes in flight before it changes a length.
                disk.land(*node);
                disk.set_length(*node, length);
                Ok(())
            }
        }
    }

    /// Allocates disk space for the whole length.
    #[allow(clippy::missing_errors_doc)]
    pub fn allocate(&self, length: u64) -> io::Result<bool> {
        match self {
            File::Real(file) => file.allocate(length),
            File::Simulated(node) => {
                let machine = the_machine()?;
                let (names_fail, room_fails) = {
                    let temper = machine.temper.borrow();
                    (temper.names_fail, temper.room_fails)
                };
                operate(&machine, names_fail)?;
                if !fits(&machine, length) || machine.fails(room_fails) {
                    return Err(full());
                }
                machine.disk.borrow_mut().set_length(*node, length);
                Ok(machine.random(|random| random.one_in(4)))
            }
        }
    }

    /// Device and inode.
    #[allow(clippy::missing_errors_doc)]
    pub fn identity(&self) -> io::Result<(u64, u64)> {
        match self {
            File::Real(file) => file.identity(),
            File::Simulated(node) => Ok((0, *node)),
        }
    }

    /// Number of hard links. On the machine, open files are never removed.
    #[allow(clippy::missing_errors_doc)]
    pub fn names(&self) -> io::Result<u64> {
        match self {
            File::Real(file) => file.names(),
            File::Simulated(_) => Ok(1),
        }
    }

    /// Marks the file as written to. On the machine, [`wait_for_writers`] needs no mark.
    #[allow(clippy::missing_errors_doc)]
    pub fn mark_written(&self) -> io::Result<()> {
        match self {
            File::Real(file) => file.mark_written(),
            File::Simulated(_) => Ok(()),
        }
    }

    /// Makes content and length durable.
    #[allow(clippy::missing_errors_doc)]
    pub fn sync_all(&self) -> io::Result<()> {
        match self {
            File::Real(file) => file.sync_all(),
            File::Simulated(node) => {
                let machine = the_machine()?;
                let fails = machine.temper.borrow().sync_fails;
                let result = operate(&machine, fails);
                machine.trace(format_args!("file {node}: fsync: {result:?}"));
                let mut disk = machine.disk.borrow_mut();
                let last = disk.last();
                // A failed sync may be retried here: files synced this way are written whole before
                // they count, and mail does not depend on the catalog.
                if result.is_ok() {
                    disk.synced(*node, last);
                }
                result
            }
        }
    }
}

impl From<std::fs::File> for File {
    fn from(file: std::fs::File) -> File {
        File::Real(file.into())
    }
}

fn fits(machine: &Machine, octets: u64) -> bool {
    machine.disk.borrow().used() + octets <= machine.temper.borrow().capacity
}

/// Opens a file.
pub fn open(path: &Path, access: Access) -> io::Result<File> {
    let Some(machine) = machine() else { return Ok(File::Real(real::open(path, access)?)) };
    machine.step()?;
    let fails = machine.temper.borrow().opens_fail;
    if machine.fails(fails) {
        machine.trace(format_args!("no descriptor for {}", path.display()));
        return Err(io::Error::from_raw_os_error(libc::EMFILE));
    }
    let mut disk = machine.disk.borrow_mut();
    let found = disk.find(path);
    let node = match access {
        Access::Create => found.unwrap_or_else(|_| disk.create(path)),
        Access::Read | Access::Write => found?,
    };
    machine.trace(format_args!("{} is file {node}", path.display()));
    Ok(File::Simulated(node))
}

/// Opens a file to read what the disk contains, which is all that the machine ever shows.
#[allow(clippy::missing_errors_doc)]
pub fn open_as_stored(path: &Path) -> io::Result<File> {
    match machine() {
        Some(_) => open(path, Access::Read),
        None => Ok(File::Real(real::open_as_stored(path)?)),
    }
}

/// Waits until no write to the file is in flight.
#[allow(clippy::missing_errors_doc)]
pub fn wait_for_writers(path: &Path, told: impl FnOnce()) -> io::Result<()> {
    let Some(machine) = machine() else { return real::wait_for_writers(path, told) };
    operate(&machine, 0)?;
    let mut disk = machine.disk.borrow_mut();
    let node = disk.find(path)?;
    disk.land(node);
    Ok(())
}

/// Opens a file with O_DIRECT, which the machine always supports.
#[allow(clippy::missing_errors_doc)]
pub fn open_direct(path: &Path, access: Access) -> io::Result<(File, bool)> {
    if machine().is_some() {
        return Ok((open(path, access)?, true));
    }
    let (file, direct) = real::open_direct(path, access)?;
    Ok((File::Real(file), direct))
}

/// Creates a folder. Until its name is durable, a power loss takes it with everything in it. Files
/// can be created in folders that were never created: those existed before the run.
#[allow(clippy::missing_errors_doc)]
pub fn create_folder(path: &Path) -> io::Result<()> {
    let Some(machine) = machine() else { return real::create_folder(path) };
    machine.step()?;
    machine.disk.borrow_mut().create_folder(path);
    Ok(())
}

/// The names in a folder with the length of each file.
#[allow(clippy::missing_errors_doc)]
pub fn list(folder: &Path) -> io::Result<Vec<(String, u64)>> {
    let Some(machine) = machine() else { return real::list(folder) };
    operate(&machine, 0)?;
    Ok(machine.disk.borrow().list(folder))
}

/// Whether the file exists.
#[allow(clippy::missing_errors_doc)]
pub fn exists(path: &Path) -> io::Result<bool> {
    let Some(machine) = machine() else { return real::exists(path) };
    operate(&machine, 0)?;
    Ok(machine.disk.borrow().find(path).is_ok())
}

/// Free bytes on the disk.
#[allow(clippy::missing_errors_doc)]
pub fn room(folder: &Path) -> io::Result<u64> {
    let Some(machine) = machine() else { return real::room(folder) };
    let capacity = machine.temper.borrow().capacity;
    Ok(capacity.saturating_sub(machine.disk.borrow().used()))
}

/// Size of the disk in bytes.
#[allow(clippy::missing_errors_doc)]
pub fn capacity(folder: &Path) -> io::Result<u64> {
    let Some(machine) = machine() else { return real::capacity(folder) };
    Ok(machine.temper.borrow().capacity)
}

/// Opens a folder, to check later whether its path still leads to it. Folders of the machine stay.
#[must_use]
pub fn hold_folder(path: &Path) -> Option<File> {
    if machine().is_some() {
        return None;
    }
    real::hold_folder(path).map(File::Real)
}

/// Device and inode of the folder that the path leads to now.
#[allow(clippy::missing_errors_doc)]
pub fn identity(folder: &Path) -> io::Result<(u64, u64)> {
    match machine() {
        Some(_) => Ok((0, 0)),
        None => real::identity(folder),
    }
}

/// Renames a file.
#[allow(clippy::missing_errors_doc)]
pub fn rename(from: &Path, to: &Path) -> io::Result<()> {
    let Some(machine) = machine() else { return real::rename(from, to) };
    change_names(&machine)?;
    machine.trace(format_args!("{} becomes {}", from.display(), to.display()));
    machine.disk.borrow_mut().rename(from, to)
}

/// Removes a file.
#[allow(clippy::missing_errors_doc)]
pub fn remove(path: &Path) -> io::Result<()> {
    let Some(machine) = machine() else { return real::remove(path) };
    operate(&machine, 0)?;
    machine.trace(format_args!("{} is removed", path.display()));
    machine.disk.borrow_mut().remove(path)
}

/// Makes the names in a folder durable.
#[allow(clippy::missing_errors_doc)]
pub fn sync_folder(folder: &Path) -> io::Result<()> {
    let Some(machine) = machine() else { return real::sync_folder(folder) };
    change_names(&machine)?;
    machine.disk.borrow_mut().sync_folder(folder);
    Ok(())
}

/// Makes the names of a folder and its parents durable. File contents are not affected.
#[allow(clippy::missing_errors_doc)]
pub fn sync_file_system(folder: &Path) -> io::Result<()> {
    let Some(machine) = machine() else { return real::sync_file_system(folder) };
    operate(&machine, 0)?;
    machine.disk.borrow_mut().sync_names_of(folder);
    Ok(())
}

/// Whether this thread's files are simulated.
#[must_use]
pub fn are_simulated() -> bool {
    machine().is_some()
}
