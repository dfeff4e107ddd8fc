//! The data folder, and the free space on its file system.

use std::fs::{self, Metadata};
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use rustix::fs::statvfs;
use rustix::io::Errno;

use super::finding::Finding;
use crate::server::{Config, exposed};
use crate::tools::show_size;

/// Facts about the data folder.
pub(super) struct Facts {
    /// Its name as given.
    pub data: PathBuf,
    /// The folder, or the nearest existing folder above it, in which it would be created.
    pub place: PathBuf,
    /// The folder, or the error of looking for it.
    pub folder: io::Result<Folder>,
    /// Free bytes for this user.
    pub room: io::Result<u64>,
    /// Number of reactors that a server would start.
    pub reactors: usize,
}

/// An existing folder.
pub(super) struct Folder {
    /// Permissions.
    pub mode: u32,
    /// Number of files and folders inside that other users may access, as far as they can be read.
    pub exposed: usize,
    /// Owner.
    pub owner: u32,
    /// The user who runs the check.
    pub user: u32,
}

impl Facts {
    /// Reads the facts.
    pub(super) fn here(data: &Path, reactors: usize) -> Facts {
        // Follows symbolic links, as the server does.
        let absolute = std::path::absolute(data).unwrap_or_else(|_| data.to_owned());
        let above = absolute.ancestors().find(|place| place.is_dir());
        let place = above.map_or_else(|| PathBuf::from("/"), Path::to_owned);
        let place = fs::canonicalize(&place).unwrap_or(place);
        let room = statvfs(&place).map_err(io::Error::from);
        Facts {
            data: data.to_owned(),
            folder: fs::metadata(data).and_then(|found| folder(data, &found)),
            room: room.map(|stat| stat.f_bavail.saturating_mul(stat.f_frsize)),
            place,
            reactors,
        }
    }
}

fn folder(data: &Path, found: &Metadata) -> io::Result<Folder> {
    if !found.is_dir() {
        return Err(Errno::NOTDIR.into());
    }
    let user = rustix::process::geteuid().as_raw();
    let others = exposed(data).unwrap_or_default().into_iter();
    let exposed = others.filter(|one| one.path != data).count();
    Ok(Folder { mode: found.mode() & 0o7777, exposed, owner: found.uid(), user })
}

/// All checks of the folder.
pub(super) fn check(facts: &Facts) -> Vec<Finding> {
    vec![data(facts), room(facts)]
}

fn data(facts: &Facts) -> Finding {
    let name = facts.data.display();
    let Folder { mode, exposed, owner, user } = match &facts.folder {
        Ok(folder) => folder,
        Err(error) if Errno::from_io_error(error) == Some(Errno::NOENT) => {
            let place = facts.place.display();
            return Finding::fine(
                "data folder",
                format!("{name} is not there yet and will be created; checked {place} instead"),
            );
        }
        Err(error) => {
            return Finding::to_do(
                "data folder",
                format!("{name}: {error}"),
                "the server cannot store its data there",
                "choose a folder with --data that this user can enter",
            );
        }
    };
    if mode & 0o077 != 0 {
        return Finding::to_do(
            "data folder",
            format!("{name} has the permissions {mode:04o}"),
            "other users of this machine can read the mail, or at least file names",
            format!("chmod -R go= {name}, or start the server, which does that and logs it"),
        );
    }
    if *exposed > 0 {
        return Finding::to_do(
            "data folder",
            format!("{exposed} files or folders in {name} are open to others"),
            "the folder keeps other users out, but a copy of it might not",
            format!("chmod -R go= {name}, or start the server, which does that and logs it"),
        );
    }
    let whose = match owner == user {
        true => String::new(),
        false => format!(" (owned by user {owner}, checked by user {user})"),
    };
    Finding::fine("data folder", format!("{name}{whose}"))
}

fn room(facts: &Facts) -> Finding {
    let room = match &facts.room {
        Ok(room) => *room,
        Err(error) => return Finding::unknown("room", error.to_string()),
    };
    let Config { segment_size, segments_ahead, .. } = Config::default();
    let wanted = u64::from(segment_size) * (segments_ahead + facts.reactors) as u64;
    let found = format!("{} free", show_size(room));
    if room >= wanted {
        return Finding::fine("room", found);
    }
    Finding::to_do(
        "room",
        found,
        format!(
            "segments of {} need {}: {segments_ahead} ahead, and one for each of {} reactors",
            show_size(segment_size.into()),
            show_size(wanted),
            facts.reactors
        ),
        "free some space, or use a smaller --segment-size or --segments-ahead",
    )
}

#[cfg(test)]
mod tests {
    use super::super::finding::Verdict;
    use super::*;

    fn facts(folder: io::Result<Folder>, room: io::Result<u64>) -> Facts {
        Facts { data: "data".into(), place: "/".into(), folder, room, reactors: 2 }
    }

    #[test]
    fn the_folder_is_the_owners_alone() {
        let with = |mode, exposed, user| Ok(Folder { mode, exposed, owner: 7, user });
        let folder = |mode, user| with(mode, 0, user);
        let data = |folder| data(&facts(folder, Ok(0)));
        assert_eq!(data(folder(0o700, 7)), Finding::fine("data folder", "data"));
        assert!(data(folder(0o700, 0)).found.contains("by user 7"));
        let open = data(folder(0o755, 7));
        assert!(open.remedy.unwrap().starts_with("chmod -R go= data, "), "{:?}", open.found);
        let within = data(with(0o700, 3, 7));
        assert!(within.verdict == Verdict::ToDo && within.found.starts_with("3 files"));
        assert_eq!(data(folder(0o710, 7)).verdict, Verdict::ToDo);
        let missing = data(Err(Errno::NOENT.into()));
        assert_eq!(missing.verdict, Verdict::Fine);
        assert!(missing.found.contains("checked /"));
        assert_eq!(data(Err(io::ErrorKind::PermissionDenied.into())).verdict, Verdict::ToDo);
    }

    #[test]
    fn room_is_compared_with_segments() {
        let room = |octets| room(&facts(Err(Errno::NOENT.into()), Ok(octets)));
        assert_eq!(room(4 << 30).verdict, Verdict::Fine);
        let little = room((4 << 30) - 1);
        assert_eq!(little.verdict, Verdict::ToDo);
        assert!(little.why.unwrap().contains("4 GiB"));
        let nothing = facts(Err(Errno::NOENT.into()), Err(io::ErrorKind::Other.into()));
        assert_eq!(super::room(&nothing).verdict, Verdict::Unknown);
    }

    #[test]
    fn a_folder_that_is_not_there_is_looked_for_above() {
        let place = tempfile::tempdir().unwrap();
        let there = Facts::here(place.path(), 1);
        assert!(there.folder.is_ok() && there.room.is_ok());
        let above = Facts::here(&place.path().join("a/b"), 1);
        assert_eq!(above.place, fs::canonicalize(place.path()).unwrap());
        assert_eq!(above.folder.err().unwrap().kind(), io::ErrorKind::NotFound);
        let file = place.path().join("file");
        fs::write(&file, "").unwrap();
        assert!(Facts::here(&file, 1).folder.is_err());
    }
}
