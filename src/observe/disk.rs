//! The disk of the log: how much room there is, and how many segments.

use std::fs;
use std::path::Path;

use rustix::fs::statvfs;

/// Room on a file system, in octets.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Room {
    /// All of it.
    pub size: u64,
    /// What is free for this process.
    pub available: u64,
}

/// The room on the file system of a folder; `None` when it cannot be asked.
pub(super) fn room(folder: &Path) -> Option<Room> {
    let stat = statvfs(folder).ok()?;
    let unit = stat.f_frsize;
    Some(Room { size: stat.f_blocks * unit, available: stat.f_bavail * unit })
}

/// How many segments there are, whatever is in them. 0 when the folder cannot be read.
pub(super) fn segments(folder: &Path) -> u64 {
    let Ok(entries) = fs::read_dir(folder) else { return 0 };
    let names = entries.flatten().map(|entry| entry.file_name());
    names.filter(|name| name.as_encoded_bytes().ends_with(b".seg")).count() as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_disk_has_room_and_a_folder_that_is_not_there_has_none() {
        let folder = tempfile::tempdir().unwrap();
        let room = room(folder.path()).unwrap();
        assert!(room.size >= room.available && room.size > 0);
        assert_eq!(super::room(&folder.path().join("nowhere")), None);
    }

    #[test]
    fn segments_are_told_from_other_files() {
        let folder = tempfile::tempdir().unwrap();
        for name in ["00000000000000000001.seg", "00000000000000000002.preparing", "seg"] {
            fs::write(folder.path().join(name), "").unwrap();
        }
        assert_eq!(segments(folder.path()), 1);
        assert_eq!(segments(&folder.path().join("nowhere")), 0);
    }
}
