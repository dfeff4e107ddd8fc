//! `mailrace restore`: makes a data folder of a backup.

use std::fs;
use std::io::{self, ErrorKind};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::Instant;

use super::at;
use super::copy::{Copied, copy};
use super::files::remove_if_there;
use super::manifest::{FOLDERS, Manifest, NOTE, replace};
use crate::index::{self, Restored};
use crate::reactor::{files, unix_seconds};
use crate::server::{MANIFEST, RESTORING, StartError};
use crate::store::{DataLock, Epoch, LockError};
use crate::tools::error::{ToolError, say};

/// What `restore` does.
#[derive(Clone, Debug)]
pub struct RestoreOptions {
    /// The folder of the backup.
    pub from: PathBuf,
    /// The data folder, which is empty or does not exist.
    pub data: PathBuf,
}

/// Restores a backup, and prints a line on standard output. All of it is durable on return.
///
/// # Errors
/// When the backup is not complete, the data folder is not empty, or a disk fails. After an error
/// of the disk, the same command begins again.
pub fn run(options: &RestoreOptions) -> Result<(), ToolError> {
    let RestoreOptions { from, data } = options;
    let begun = Instant::now();
    let refused = |what: &str| {
        let error = io::Error::new(ErrorKind::InvalidData, what);
        at(&from.join(MANIFEST))(error)
    };
    // No backup may change the folder meanwhile. It may be on a disk that cannot be written to.
    let _from = match DataLock::acquire(from) {
        Err(LockError::Io { .. }) => None,
        lock => Some(lock.map_err(StartError::Lock)?),
    };
    let manifest = Manifest::read(from).map_err(at(&from.join(MANIFEST)))?;
    let manifest = manifest.ok_or_else(|| refused("there is no complete backup"))?;
    for (name, bytes) in manifest.files() {
        let path = from.join(&name);
        let length = fs::metadata(&path).map_err(at(&path))?.len();
        if length < bytes {
            return Err(refused(&format!("{name} has {length} bytes of {bytes}")));
        }
    }
    files::create_folder(data).map_err(at(data))?;
    check_empty(data)?;
    let _lock = DataLock::acquire(data).map_err(StartError::Lock)?;
    replace(data, RESTORING, RESTORING, b"").map_err(at(data))?;
    files::sync_file_system(data).map_err(at(data))?;
    for folder in FOLDERS {
        // What an interrupted restore has left.
        match fs::remove_dir_all(data.join(folder)) {
            Err(error) if error.kind() != ErrorKind::NotFound => return Err(at(data)(error)),
            _ => files::create_folder(&data.join(folder)).map_err(at(data))?,
        }
    }
    if manifest.dropped {
        let (source, target) = (from.join(NOTE), data.join(NOTE));
        let octets = fs::read(&source).map_err(at(&source))?;
        replace(data, NOTE, "restoring.new", &octets).map_err(at(&target))?;
    }
    for (name, bytes) in manifest.files() {
        let (source, target) = (from.join(&name), data.join(&name));
        let copied = copy(&source, &target, 0, bytes).map_err(at(&target))?;
        if copied == Copied::Vanished {
            return Err(refused("a file of it was removed meanwhile"));
        }
    }
    for other in &manifest.others {
        let (source, target) = (from.join(&other.name), data.join(&other.name));
        let octets = fs::read(&source).map_err(at(&source))?;
        let mode = fs::metadata(&source).map_err(at(&source))?.permissions().mode() & 0o777;
        replace(data, &other.name, "restoring.new", &octets).map_err(at(&target))?;
        let mode = fs::Permissions::from_mode(mode);
        fs::set_permissions(&target, mode).map_err(at(&target))?;
    }
    let restored = Restored { epoch: Epoch(manifest.epoch), at: unix_seconds() };
    index::note_restored(data, restored).map_err(at(data))?;
    for folder in FOLDERS {
        files::sync_folder(&data.join(folder)).map_err(at(data))?;
    }
    remove_if_there(&data.join(RESTORING)).map_err(at(data))?;
    files::sync_folder(data).map_err(at(data))?;
    let (count, bytes) = (manifest.files().count(), manifest.bytes() as f64 / 1e6);
    let seconds = begun.elapsed().as_secs_f64();
    say(&format!(
        "{count} files, {bytes:.1} MB restored in {seconds:.1} s. The first start makes the \
         catalog and gives every mailbox a new UIDVALIDITY\n"
    ))
}

/// Refuses a folder with anything in it, unless an interrupted restore has left it.
fn check_empty(data: &Path) -> Result<(), ToolError> {
    if data.join(RESTORING).exists() {
        return Ok(());
    }
    for entry in fs::read_dir(data).map_err(at(data))? {
        let name = entry.map_err(at(data))?.file_name();
        if name != "lock" && name != "lost+found" {
            return Err(ToolError::Usage(format!(
                "{} is not empty (there is {}): choose an empty folder with --data",
                data.display(),
                name.display()
            )));
        }
    }
    Ok(())
}
