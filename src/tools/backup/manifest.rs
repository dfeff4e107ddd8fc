//! `backup.json`: what a backup consists of. It is written last. A backup is what its manifest
//! says, so an interrupted one leaves the one before it as it was.

use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use serde::{Deserialize, Serialize};
use xxhash_rust::xxh3::xxh3_64;

use crate::index::{SNAPSHOTS, snapshot_name};
use crate::reactor::files;
use crate::server::MANIFEST;
use crate::store::{RECORDS, SegmentId};

/// The same while it is written.
const WRITING: &str = "backup.json.new";

const VERSION: u32 = 1;

/// Largest manifest that is read, in bytes: a million segments. A larger one is not ours.
const LENGTH: u64 = 256 << 20;

/// Files of the data folder beside the log, in the order in which they are copied. Without the
/// users file nobody could log in; without `losses`, damage that was accepted would stop a start.
pub(super) const OTHERS: [&str; 4] = ["users", "users.secret", "losses", "restored"];

/// Folders of a backup: those of the data folder that it needs.
pub(super) const FOLDERS: [&str; 3] = ["segments", RECORDS, SNAPSHOTS];

/// The note that record files were dropped: without the snapshot, the log lacks its beginning.
pub(super) const NOTE: &str = "records/dropped";

/// What a backup consists of.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Manifest {
    pub(super) version: u32,
    /// Everything acknowledged before this time is in it: seconds since 1970 UTC.
    pub(super) taken: u64,
    /// The data folder.
    pub(super) data: String,
    /// The highest epoch.
    pub(super) epoch: u32,
    /// Where the logs of that epoch end.
    pub(super) logs: Vec<End>,
    pub(super) segments: Vec<Segment>,
    /// The snapshot of the catalog, if there was one.
    pub(super) snapshot: Option<Snapshot>,
    /// The log may lack its beginning, which is in the snapshot.
    pub(super) dropped: bool,
    pub(super) others: Vec<Other>,
}

/// The last frame of a log.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct End {
    pub(super) epoch: u32,
    pub(super) log: u16,
    pub(super) lsn: u64,
    pub(super) segment: u64,
    pub(super) offset: u64,
}

/// A segment or its record file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Segment {
    pub(super) segment: u64,
    /// Only its record file is there.
    pub(super) stripped: bool,
    /// The bytes that belong to the backup. The file may be longer.
    pub(super) bytes: u64,
    /// Up to here, the file never changes.
    pub(super) durable: u64,
}

/// A snapshot of the catalog.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Snapshot {
    pub(super) number: u64,
    pub(super) bytes: u64,
}

/// A file beside the log.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Other {
    pub(super) name: String,
    pub(super) bytes: u64,
    /// XXH3-64 of its content.
    pub(super) checksum: String,
}

#[derive(Serialize, Deserialize)]
struct Sealed<T> {
    backup: T,
    /// XXH3-64 of the member `backup` without white space.
    checksum: String,
}

impl Manifest {
    pub(super) fn new(data: &Path, taken: u64) -> Manifest {
        Manifest {
            version: VERSION,
            taken,
            data: data.display().to_string(),
            epoch: 0,
            logs: Vec::new(),
            segments: Vec::new(),
            snapshot: None,
            dropped: false,
            others: Vec::new(),
        }
    }

    /// Reads the manifest in this folder; `None` if there is none.
    pub(super) fn read(folder: &Path) -> io::Result<Option<Manifest>> {
        let file = match File::open(folder.join(MANIFEST)) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            file => file?,
        };
        let mut octets = Vec::new();
        file.take(LENGTH).read_to_end(&mut octets)?;
        let wrong = |what: String| io::Error::new(io::ErrorKind::InvalidData, what);
        let sealed: Sealed<serde_json::Value> =
            serde_json::from_slice(&octets).map_err(|error| wrong(error.to_string()))?;
        let version = sealed.backup.get("version").and_then(serde_json::Value::as_u64);
        if version.is_some_and(|version| version > VERSION.into()) {
            return Err(wrong("a newer mailrace wrote it".into()));
        }
        let manifest: Manifest =
            serde_json::from_value(sealed.backup).map_err(|error| wrong(error.to_string()))?;
        if manifest.checksum()? != sealed.checksum {
            return Err(wrong("its checksum is wrong".into()));
        }
        if manifest.dropped && manifest.snapshot.is_none() {
            return Err(wrong("it names no snapshot".into()));
        }
        if manifest.others.iter().any(|other| !OTHERS.contains(&&*other.name)) {
            return Err(wrong("it names a file that is not part of a backup".into()));
        }
        Ok(Some(manifest))
    }

    fn checksum(&self) -> io::Result<String> {
        Ok(format!("{:016x}", xxh3_64(&serde_json::to_vec(self)?)))
    }

    /// Replaces the manifest. Durable on return.
    pub(super) fn write(&self, folder: &Path) -> io::Result<()> {
        let sealed = Sealed { backup: self, checksum: self.checksum()? };
        replace(folder, MANIFEST, WRITING, &(serde_json::to_vec_pretty(&sealed)?))
    }

    pub(super) fn bytes(&self) -> u64 {
        self.files().map(|(_, bytes)| bytes).sum()
    }

    /// The files of the log and the snapshot, within the data folder, and their lengths.
    pub(super) fn files(&self) -> impl Iterator<Item = (String, u64)> {
        let segments = self.segments.iter().map(|segment| (segment.path(), segment.bytes));
        let snapshot = self.snapshot.iter().map(|one| (snapshot_path(one.number), one.bytes));
        segments.chain(snapshot)
    }
}

impl Segment {
    /// The file, within the data folder.
    pub(super) fn path(&self) -> String {
        path(SegmentId(self.segment), self.stripped)
    }
}

/// The file of a segment, within the data folder.
pub(super) fn path(segment: SegmentId, stripped: bool) -> String {
    match stripped {
        true => format!("records/{}", segment.record_file_name()),
        false => format!("segments/{}", segment.file_name()),
    }
}

/// The file of a snapshot, within the data folder.
pub(super) fn snapshot_path(number: u64) -> String {
    format!("{SNAPSHOTS}/{}", snapshot_name(number))
}

/// Writes a file under another name, renames it, and makes both durable.
pub(super) fn replace(folder: &Path, name: &str, writing: &str, octets: &[u8]) -> io::Result<()> {
    let unfinished = folder.join(writing);
    let mut options = File::options();
    let mut file = options.write(true).create(true).truncate(true).mode(0o600).open(&unfinished)?;
    file.write_all(octets)?;
    file.sync_all()?;
    let path = folder.join(name);
    fs::rename(&unfinished, &path)?;
    files::sync_folder(path.parent().unwrap_or(folder))
}
