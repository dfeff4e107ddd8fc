//! A backup under way: which files are there, and how the others get there.

use std::collections::BTreeMap;
use std::fs::{self, File, Permissions};
use std::io::{self, ErrorKind, Read};
use std::os::unix::fs::{FileExt, MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

use xxhash_rust::xxh3::xxh3_64;

use super::copy::{Copied, copy};
use super::manifest::{
    End, FOLDERS, Manifest, NOTE, OTHERS, Other, Segment, Snapshot, path, replace, snapshot_path,
};
use super::{Report, UNFINISHED, at};
use crate::index::{self, ReplayError, SNAPSHOTS, SnapshotError};
use crate::limits::BLOCK;
use crate::reactor::{files, unix_seconds};
use crate::server::{MANIFEST, StartError};
use crate::store::{self, ImageFile, ImagePart, LogImage, RecoveryError, SegmentHeader, SegmentId};
use crate::tools::error::ToolError;

/// The end of a file's name while it is copied or linked.
const COPYING: &str = ".copying";

/// How often the files of a server may change faster than they are linked or copied.
const ROUNDS: usize = 100;

/// A backup under way.
pub(super) struct Backup<'o> {
    data: &'o Path,
    to: &'o Path,
    /// How far the segments of the previous backup never change.
    durable: BTreeMap<u64, u64>,
    pub(super) manifest: Manifest,
    pub(super) report: Report,
}

/// What became of a file.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Put {
    There,
    Vanished,
}

impl<'o> Backup<'o> {
    pub(super) fn begin(data: &'o Path, to: &'o Path) -> Result<Backup<'o>, ToolError> {
        let path = to.join(MANIFEST);
        let previous = Manifest::read(to).map_err(at(&path))?;
        if previous.is_none() {
            // The folder itself may be new.
            files::sync_file_system(to).map_err(at(to))?;
            replace(to, UNFINISHED, UNFINISHED, b"").map_err(at(to))?;
        }
        for folder in FOLDERS {
            files::create_folder(&to.join(folder)).map_err(at(to))?;
        }
        files::sync_folder(to).map_err(at(to))?;
        let before = previous.into_iter().flat_map(|manifest| manifest.segments);
        let open = before.filter(|segment| !segment.stripped);
        let durable = open.map(|segment| (segment.segment, segment.durable)).collect();
        let manifest = Manifest::new(data, unix_seconds());
        Ok(Backup { data, to, durable, manifest, report: Report::default() })
    }

    /// Links or copies the files of one image of the logs, with the snapshot that belongs to it.
    pub(super) fn take(&mut self) -> Result<LogImage, ToolError> {
        for _ in 0..ROUNDS {
            (self.report.linked, self.report.copied, self.report.kept) = (0, 0, 0);
            self.manifest.taken = unix_seconds();
            let snapshot = index::newest_snapshot(self.data).map_err(broken)?;
            if self.put_snapshot(snapshot)? == Put::Vanished {
                continue;
            }
            let Some((image, dropped)) = image_after(self.data, snapshot)? else { continue };
            if dropped && snapshot.is_none() {
                return Err(broken(SnapshotError::Missing(self.data.join(SNAPSHOTS))));
            }
            self.manifest.dropped = dropped;
            if self.put_all(&image)? == Put::There {
                return Ok(image);
            }
        }
        Err(ToolError::Refused(format!(
            "{} changes faster than it can be copied: run the backup again",
            self.data.display()
        )))
    }

    /// Makes sure that all files of an image are in the backup.
    fn put_all(&mut self, image: &LogImage) -> Result<Put, ToolError> {
        // A link takes no time, so the files that may go come first. If everything is copied, what
        // the server writes to comes first: it may be sealed, stripped and gone before the others
        // are copied, and would be copied in vain.
        let links = is_same_file_system(self.data, self.to).map_err(at(self.to))?;
        let mut files: Vec<_> = image.files.iter().collect();
        files.sort_by_key(|file| matches!(file.part, ImagePart::Open { .. }) == links);
        for file in files {
            if self.put(file)? == Put::Vanished {
                return Ok(Put::Vanished);
            }
        }
        Ok(Put::There)
    }

    /// Makes sure that a snapshot is in the backup, and whole: without it, record files that were
    /// dropped are missing.
    fn put_snapshot(&mut self, snapshot: Option<u64>) -> Result<Put, ToolError> {
        self.manifest.snapshot = None;
        let Some(number) = snapshot else { return Ok(Put::There) };
        let name = snapshot_path(number);
        let (source, target) = (self.data.join(&name), self.to.join(&name));
        let Some(found) = metadata(&source).map_err(at(&source))? else {
            return Ok(Put::Vanished);
        };
        let bytes = found.len();
        self.manifest.snapshot = Some(Snapshot { number, bytes });
        if is_same_snapshot(&source, &target).map_err(at(&target))? {
            self.report.kept += 1;
            return Ok(Put::There);
        }
        let linked = link(&source, &target, |_| Ok(true)).map_err(at(&target))?;
        let put = match linked {
            Linked::Not => {
                self.report.copied += 1;
                self.report.bytes_copied += bytes;
                self.copy_whole(&source, &target, bytes).map_err(at(&target))?
            }
            Linked::Yes => {
                self.report.linked += 1;
                Put::There
            }
            Linked::Vanished => Put::Vanished,
        };
        if put == Put::There {
            index::check_one_snapshot(self.to, number).map_err(broken)?;
        }
        Ok(put)
    }

    /// Copies a file under another name, and renames it.
    fn copy_whole(&mut self, source: &Path, target: &Path, length: u64) -> io::Result<Put> {
        let copying = with_end(target, COPYING);
        remove_if_there(&copying)?;
        if copy(source, &copying, 0, length)? == Copied::Vanished {
            return Ok(Put::Vanished);
        }
        fs::rename(&copying, target)?;
        Ok(Put::There)
    }

    /// Makes sure that a file is in the backup.
    fn put(&mut self, file: &ImageFile) -> Result<Put, ToolError> {
        let stripped = file.part == ImagePart::Records;
        let name = path(file.segment, stripped);
        let (source, target) = (self.data.join(&name), self.to.join(&name));
        self.put_at(file, &source, &target).map_err(at(&target))
    }

    fn put_at(&mut self, file: &ImageFile, source: &Path, target: &Path) -> io::Result<Put> {
        let length = file.length;
        let Some(found) = metadata(source)? else { return Ok(Put::Vanished) };
        let there = metadata(target)?;
        if let Some(there) = &there
            && (there.dev(), there.ino()) == (found.dev(), found.ino())
        {
            self.report.kept += 1;
            return Ok(Put::There);
        }
        let same = there.is_some() && same_beginning(source, target)?;
        let there = there.filter(|_| same);
        let is_complete = there.as_ref().is_some_and(|there| {
            there.mode() & 0o200 == 0 && there.len() >= length //
        });
        if is_complete && !matches!(file.part, ImagePart::Damaged) {
            self.report.kept += 1;
            return Ok(Put::There);
        }
        if matches!(file.part, ImagePart::Complete | ImagePart::Records) {
            let is_ours = |linked: &File| match file.part {
                ImagePart::Complete => is_of(linked, file.segment),
                _ => Ok(true),
            };
            match link(source, target, is_ours)? {
                Linked::Yes => {
                    self.report.linked += 1;
                    return Ok(Put::There);
                }
                Linked::Vanished => return Ok(Put::Vanished),
                Linked::Not => {}
            }
        }
        let durable = self.durable.get(&file.segment.0).copied();
        let own = |there: &fs::Metadata| there.nlink() == 1 && there.mode() & 0o200 != 0;
        let known = durable.filter(|_| there.as_ref().is_some_and(own) && !is_stripped(file));
        let put = match known {
            Some(from) if !matches!(file.part, ImagePart::Damaged) => {
                let from = from.min(length) / BLOCK as u64 * BLOCK as u64;
                self.report.bytes_copied += length - from;
                match copy(source, target, from, length)? {
                    Copied::Whole => Put::There,
                    Copied::Vanished => Put::Vanished,
                }
            }
            _ => {
                self.report.bytes_copied += length;
                self.copy_whole(source, target, length)?
            }
        };
        if put == Put::Vanished {
            return Ok(Put::Vanished);
        }
        if let ImagePart::Open { durable } = file.part {
            // If all of this is done again, it goes on from there.
            self.durable.insert(file.segment.0, durable);
        }
        self.report.copied += 1;
        let is_longer = metadata(target)?.is_some_and(|there| there.len() > length);
        if matches!(file.part, ImagePart::Complete | ImagePart::Records) && !is_longer {
            fs::set_permissions(target, Permissions::from_mode(0o400))?;
        }
        Ok(Put::There)
    }

    /// Copies the files beside the log.
    pub(super) fn copy_others(&mut self) -> Result<(), ToolError> {
        for name in OTHERS {
            let source = self.data.join(name);
            let mut octets = Vec::new();
            let mode = match File::open(&source) {
                Err(error) if error.kind() == ErrorKind::NotFound => {
                    remove_if_there(&self.to.join(name)).map_err(at(self.to))?;
                    continue;
                }
                Err(error) => return Err(at(&source)(error)),
                Ok(mut file) => {
                    file.read_to_end(&mut octets).map_err(at(&source))?;
                    file.metadata().map_err(at(&source))?.mode() & 0o777
                }
            };
            let target = self.to.join(name);
            let writing = format!("{name}{COPYING}");
            replace(self.to, name, &writing, &octets).map_err(at(&target))?;
            fs::set_permissions(&target, Permissions::from_mode(mode)).map_err(at(&target))?;
            let checksum = format!("{:016x}", xxh3_64(&octets));
            let bytes = octets.len() as u64;
            self.manifest.others.push(Other { name: name.into(), bytes, checksum });
        }
        Ok(())
    }

    /// Writes the manifest, and removes what it does not name.
    pub(super) fn finish(&mut self, image: &LogImage) -> Result<(), ToolError> {
        self.copy_note().map_err(at(self.to))?;
        for folder in FOLDERS {
            files::sync_folder(&self.to.join(folder)).map_err(at(self.to))?;
        }
        self.manifest.epoch = image.epoch.0;
        let ends = image.ends.iter().map(|end| End {
            epoch: end.epoch.0,
            log: end.log.0,
            lsn: end.lsn.0,
            segment: end.segment.0,
            offset: end.offset,
        });
        self.manifest.logs = ends.collect();
        let segments = image.files.iter().map(|file| Segment {
            segment: file.segment.0,
            stripped: is_stripped(file),
            bytes: file.length,
            durable: match file.part {
                ImagePart::Open { durable } => durable,
                ImagePart::Damaged => 0,
                ImagePart::Complete | ImagePart::Records => file.length,
            },
        });
        self.manifest.segments = segments.collect();
        self.manifest.write(self.to).map_err(at(&self.to.join(MANIFEST)))?;
        self.tidy().map_err(at(self.to))
    }

    /// Copies the note that the log may lack its beginning.
    fn copy_note(&self) -> io::Result<()> {
        let (source, target) = (self.data.join(NOTE), self.to.join(NOTE));
        match self.manifest.dropped && !target.exists() {
            true => replace(self.to, NOTE, &format!("{NOTE}{COPYING}"), &fs::read(source)?),
            // A note that is there too early only asks for a snapshot, which the backup then has.
            false => Ok(()),
        }
    }

    fn tidy(&mut self) -> io::Result<()> {
        remove_if_there(&self.to.join(UNFINISHED))?;
        let wanted = self.manifest.segments.iter().map(|one| (self.to.join(one.path()), one.bytes));
        let mut wanted: BTreeMap<_, _> = wanted.collect();
        if let Some(Snapshot { number, bytes }) = self.manifest.snapshot {
            wanted.insert(self.to.join(snapshot_path(number)), bytes);
        }
        for folder in FOLDERS {
            let folder = self.to.join(folder);
            for entry in fs::read_dir(&folder)? {
                let path = entry?.path();
                let name = path.to_string_lossy();
                let ours = [".seg", ".rec", ".snap", COPYING].iter().any(|end| name.ends_with(end));
                match wanted.get(&path) {
                    Some(&bytes) => shorten(&path, bytes)?,
                    None if ours => {
                        fs::remove_file(&path)?;
                        self.report.removed += 1;
                    }
                    None => {}
                }
            }
            files::sync_folder(&folder)?;
        }
        files::sync_folder(self.to)
    }
}

/// Cuts a copy that is longer than the backup needs: an earlier backup had frames that were never
/// acknowledged, and a start has cut them since. A linked file is left as it is.
fn shorten(path: &Path, bytes: u64) -> io::Result<()> {
    let found = fs::metadata(path)?;
    if found.nlink() > 1 || found.len() <= bytes || found.mode() & 0o200 == 0 {
        return Ok(());
    }
    let file = File::options().write(true).open(path)?;
    file.set_len(bytes)?;
    file.sync_all()
}

/// How a link ended.
enum Linked {
    Yes,
    /// The file system does not allow it, or the file is not what it should be.
    Not,
    Vanished,
}

/// Links a file that never changes as long as it has its name, if it `is_ours`.
///
/// A server that needs a segment no longer takes its name away first, and then writes to the file
/// only if it has no other: see `Segments::reuse`. So a link is good if the name is there after it.
fn link(
    source: &Path,
    target: &Path,
    is_ours: impl FnOnce(&File) -> io::Result<bool>,
) -> io::Result<Linked> {
    let linking = with_end(target, COPYING);
    remove_if_there(&linking)?;
    match fs::hard_link(source, &linking) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Linked::Vanished),
        // Another file system, one without links, too many links, or the file of another user.
        Err(_) => return Ok(Linked::Not),
        Ok(()) => {}
    }
    let linked = File::open(&linking)?;
    let (one, other) = (linked.metadata()?, metadata(source)?);
    let is_there = other.is_some_and(|other| (other.dev(), other.ino()) == (one.dev(), one.ino()));
    if !is_there || !is_ours(&linked)? {
        fs::remove_file(&linking)?;
        return Ok(if is_there { Linked::Not } else { Linked::Vanished });
    }
    linked.sync_all()?;
    fs::rename(&linking, target)?;
    Ok(Linked::Yes)
}

/// Whether a file has the header of this segment.
fn is_of(file: &File, segment: SegmentId) -> io::Result<bool> {
    let mut block = [0; BLOCK];
    let read = file.read_at(&mut block, 0)?;
    Ok(SegmentHeader::decode(&block[..read]).is_ok_and(|header| header.segment == segment))
}

/// The logs as they are after a look for the newest snapshot of the catalog, and whether they may
/// lack their beginning. `None` if files came and went meanwhile: then all is to be done again, the
/// look for the snapshot included. See the head of `store::image` for why the order matters.
pub(crate) fn image_after(
    data: &Path,
    snapshot: Option<u64>,
) -> Result<Option<(LogImage, bool)>, ToolError> {
    let image = match store::image(&data.join("segments")) {
        Err(error) if error.is_vanished() => return Ok(None),
        image => image.map_err(failed)?,
    };
    let dropped = store::was_dropped(data).map_err(at(data))?;
    let same = index::newest_snapshot(data).map_err(broken)? == snapshot;
    Ok(same.then_some((image, dropped)))
}

fn is_same_file_system(one: &Path, other: &Path) -> io::Result<bool> {
    Ok(fs::metadata(one)?.dev() == fs::metadata(other)?.dev())
}

/// Whether two files are the same snapshot: it ends with a checksum of all of it.
fn is_same_snapshot(one: &Path, other: &Path) -> io::Result<bool> {
    let end = |path: &Path| -> io::Result<(u64, Vec<u8>)> {
        let file = File::open(path)?;
        let length = file.metadata()?.len();
        let last = length.min(BLOCK as u64);
        let mut octets = vec![0; last as usize];
        file.read_exact_at(&mut octets, length - last)?;
        Ok((length, octets))
    };
    match (end(one), end(other)) {
        (Err(error), _) | (_, Err(error)) if error.kind() != ErrorKind::NotFound => Err(error),
        (Ok(one), Ok(other)) => Ok(one == other),
        _ => Ok(false),
    }
}

fn is_stripped(file: &ImageFile) -> bool {
    file.part == ImagePart::Records
}

fn metadata(path: &Path) -> io::Result<Option<fs::Metadata>> {
    match fs::symlink_metadata(path) {
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        found => found.map(Some),
    }
}

pub(super) fn remove_if_there(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
        removed => removed,
    }
}

fn with_end(path: &Path, end: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(end);
    name.into()
}

/// Whether two files begin with the same block. The header of a segment has a random number, and a
/// record file begins with that header.
fn same_beginning(one: &Path, other: &Path) -> io::Result<bool> {
    let begin = |path| -> io::Result<Vec<u8>> {
        let mut octets = Vec::new();
        File::open(path)?.take(BLOCK as u64).read_to_end(&mut octets)?;
        Ok(octets)
    };
    match begin(one) {
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(false),
        found => Ok(found? == begin(other)?),
    }
}

fn failed(error: RecoveryError) -> ToolError {
    StartError::Replay(ReplayError::Log(error)).into()
}

fn broken(error: SnapshotError) -> ToolError {
    StartError::Replay(ReplayError::Snapshot(error)).into()
}
