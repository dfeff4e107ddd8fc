//! Permissions of the data folder: only the user that mailrace runs as can read it.
//!
//! New files are created that way. Each start also changes the permissions of existing files (a
//! folder made by hand, files of an older version or from an archive), and logs the previous ones.

use std::fs::{self, Metadata, Permissions};
use std::io;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

use rustix::io::Errno;

use super::StartError;
use super::folder::SEGMENTS;
use crate::index::SNAPSHOTS;
use crate::store::RECORDS;

/// Permission bits of group and others.
const OTHERS: u32 = 0o077;

/// The permission bit that lets everybody write.
const WORLD_WRITABLE: u32 = 0o002;

/// The sticky bit: many users share the folder, like /tmp.
const STICKY: u32 = 0o1000;

/// A file or folder of the data that others than its owner can use.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Exposed {
    /// Its path.
    pub path: PathBuf,
    /// Its permissions, twelve bits.
    pub mode: u32,
    /// Whether it is a folder.
    pub folder: bool,
}

/// Lists what others can use in a data folder, the folder itself first. Looks only at files that
/// mailrace creates.
///
/// # Errors
/// If a folder cannot be read.
pub fn exposed(data: &Path) -> io::Result<Vec<Exposed>> {
    let mut found = Vec::new();
    let folders = ["", SEGMENTS, RECORDS, SNAPSHOTS].map(|name| data.join(name));
    for folder in folders {
        // Follows links to folders, because the log may be on a disk of its own.
        match fs::metadata(&folder) {
            Ok(metadata) => found.extend(Exposed::of(&folder, &metadata)),
            Err(error) if Errno::from_io_error(&error) == Some(Errno::NOENT) => continue,
            Err(error) => return Err(error),
        }
        for entry in fs::read_dir(&folder)? {
            let entry = entry?;
            if is_ours(&entry.file_name().to_string_lossy()) {
                // The file may have been removed in the meantime.
                let metadata = entry.metadata().ok().filter(Metadata::is_file);
                found.extend(metadata.and_then(|metadata| Exposed::of(&entry.path(), &metadata)));
            }
        }
    }
    Ok(found)
}

/// Whether mailrace has used a folder before, or nothing else is in it. The permissions of any
/// other folder must not be changed: it could be `/srv`, or `/`.
fn belongs_to_us(data: &Path) -> io::Result<bool> {
    let entries = fs::read_dir(data)?.map(|entry| Ok(entry?.file_name()));
    let names = entries.collect::<io::Result<Vec<_>>>()?;
    let used = names.iter().any(|name| name == SEGMENTS || name == "users");
    // `lost+found` is at the root of most file systems.
    Ok(used || names.iter().all(|name| name == "lost+found" || name == "lock"))
}

fn is_ours(name: &str) -> bool {
    let end = name.rsplit_once('.').map_or("", |(_, end)| end);
    matches!(
        name,
        "lock"
            | "spare"
            | "users"
            | "users.lock"
            | "users.secret"
            | "users.new"
            | "losses"
            | "restored"
            | "dropped"
            | "scrub.json"
    ) || name.starts_with("catalog.")
        || matches!(end, "seg" | "preparing" | "rec" | "writing" | "snap")
}

impl Exposed {
    fn of(path: &Path, metadata: &Metadata) -> Option<Exposed> {
        let mode = metadata.mode() & 0o7777;
        let folder = metadata.is_dir();
        (mode & OTHERS != 0).then(|| Exposed { path: path.into(), mode, folder })
    }

    /// The permissions that it should have, without set-user-ID and set-group-ID, which services
    /// are often forbidden to set.
    fn wanted(&self) -> u32 {
        if self.folder { 0o700 } else { 0o600 }
    }

    /// Removes the permissions of others. Some file systems report success and keep their own.
    fn close(&self) -> io::Result<()> {
        fs::set_permissions(&self.path, Permissions::from_mode(self.wanted()))?;
        match fs::metadata(&self.path)?.mode() & OTHERS {
            0 => Ok(()),
            _ => Err(io::Error::other("the file system does not change permissions")),
        }
    }
}

/// Makes the data folder and mailrace's files in it private. If that fails, a folder that anybody
/// can write to is refused: anybody could add a user or remove mail.
pub(super) fn make_private(data: &Path) -> Result<(), StartError> {
    let refused = |error| StartError::Data(data.to_owned(), error);
    let mode = fs::metadata(data).map_err(refused)?.mode() & 0o7777;
    if mode & STICKY != 0 || (mode & OTHERS != 0 && !belongs_to_us(data).map_err(refused)?) {
        return Err(refused(io::Error::other(format!(
            "others on this machine can use it (permissions {mode:04o}), and it is not mailrace's \
             alone; choose a folder with nothing else in it, or chmod 0700 this one"
        ))));
    }
    let (mut closed, mut files) = (0, 0);
    for one in exposed(data).map_err(refused)? {
        let Exposed { path, mode, folder } = &one;
        let name = path.display();
        match one.close() {
            Ok(()) if *folder => {
                closed += 1;
                let now = one.wanted();
                tracing::warn!(
                    "{name} had the permissions {mode:04o}, so that others on this machine could \
                     use it; it has {now:04o} now"
                );
            }
            Ok(()) => files += 1,
            Err(error) if *folder && mode & WORLD_WRITABLE != 0 => {
                return Err(refused(io::Error::other(format!(
                    "any user may write to {name} (permissions {mode:04o}), and that cannot be \
                     changed: {error}; chmod 700 it as its owner, or mount its file system with \
                     such permissions"
                ))));
            }
            Err(error) => tracing::warn!(
                "other users may access {name} (permissions {mode:04o}), and that cannot be \
                 changed: {error}; chmod go= it as its owner"
            ),
        }
    }
    // If no folder was open, other users could not reach the files.
    match (files, closed) {
        (0, _) => {}
        (_, 0) => tracing::info!("removed other users' permissions on {files} files of the data"),
        _ => tracing::warn!("other users could access {files} files of the data; changed"),
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mode(path: &Path) -> u32 {
        fs::metadata(path).unwrap().mode() & 0o7777
    }

    fn put(path: &Path, mode: u32) {
        fs::write(path, "x").unwrap();
        fs::set_permissions(path, Permissions::from_mode(mode)).unwrap();
    }

    #[test]
    fn what_is_ours_becomes_private_and_the_rest_stays() {
        let place = tempfile::tempdir().unwrap();
        let data = place.path();
        let folders = ["", SEGMENTS, RECORDS, SNAPSHOTS].map(|name| data.join(name));
        for folder in &folders {
            fs::create_dir_all(folder).unwrap();
            fs::set_permissions(folder, Permissions::from_mode(0o2775)).unwrap();
        }
        let ours = [
            "users",
            "lock",
            "catalog.redb",
            "segments/7.seg",
            "segments/8.preparing",
            "records/5.rec",
            "records/dropped",
            "snapshot/3.snap",
        ];
        ours.iter().for_each(|name| put(&data.join(name), 0o664));
        put(&data.join("notes.txt"), 0o664);
        std::os::unix::fs::symlink("notes.txt", data.join("users.new")).unwrap();
        assert_eq!(exposed(data).unwrap().len(), folders.len() + ours.len());
        make_private(data).unwrap();
        assert_eq!(exposed(data).unwrap(), []);
        assert!(folders.iter().all(|folder| mode(folder) == 0o700));
        assert!(ours.iter().all(|name| mode(&data.join(name)) == 0o600));
        assert_eq!(mode(&data.join("notes.txt")), 0o664);
    }

    #[test]
    fn a_folder_that_others_use_is_refused_and_left_alone() {
        let place = tempfile::tempdir().unwrap();
        for (name, foreign, before) in [("srv", true, 0o755), ("tmp", false, 0o1777)] {
            let data = place.path().join(name);
            fs::create_dir(&data).unwrap();
            if foreign {
                put(&data.join("index.html"), 0o644);
            }
            fs::set_permissions(&data, Permissions::from_mode(before)).unwrap();
            let why = make_private(&data).unwrap_err().to_string();
            assert!(why.contains(&format!("{before:04o}")), "{why}");
            assert_eq!(mode(&data), before);
        }
        // A folder that mailrace has used is its own, even with foreign files in it.
        let data = place.path().join("srv");
        put(&data.join("users"), 0o644);
        make_private(&data).unwrap();
        assert_eq!((mode(&data), mode(&data.join("index.html"))), (0o700, 0o644));
    }

    #[test]
    fn a_folder_that_is_not_there_is_open_to_nobody() {
        let place = tempfile::tempdir().unwrap();
        assert_eq!(exposed(&place.path().join("nowhere")).unwrap(), []);
    }
}
