//! What takes space in a data folder, and what cleaning would give back.

use std::collections::BTreeSet;
use std::fs::{self, File, Metadata};
use std::io;
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::Path;
use std::sync::atomic::Ordering;

use serde::{Deserialize, Serialize};

use super::scrub::{Progress, read_progress};
use super::survey::{LEAST, Survey, gain};
use crate::index::Live;
use crate::limits::BLOCK;
use crate::server::config::CleaningConfig;
use crate::server::folder::SEGMENTS;
use crate::server::shared::Shared;
use crate::store::{HeaderError, RECORDS, SegmentHeader, SegmentId, SegmentState};

/// Version of [`Space`]. Members may be added; if one is removed or changes its meaning, this is
/// raised.
const VERSION: u32 = 1;

/// Folders within the data folder that are searched for files. Deeper ones are not ours.
const DEPTH: usize = 16;

/// What takes space. Sizes are in bytes. Those of files are what they take on the disk.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Space {
    pub version: u32,
    /// The data folder.
    pub data: String,
    /// Whether a server uses it.
    pub running: bool,
    /// Messages in mailboxes, copies included, as of the last checkpoints; `null` without a usable
    /// catalog, as for the next three.
    pub live: Option<u64>,
    /// Bytes of sealed segments that are not messages in mailboxes.
    pub dead: Option<u64>,
    /// What cleaning all sealed segments would give back.
    pub reclaimable: Option<u64>,
    /// Whether that is enough for the server to clean by itself.
    pub due: Option<bool>,
    /// Segments that are complete. While no server runs, all that have been used.
    pub sealed: Files,
    /// Segments that are written to.
    pub active: Files,
    /// Segments that are prepared for mail and changes.
    pub ready: Files,
    /// How many of these are held back for changes on a full disk; `null` while no server runs.
    pub reserve: Option<u64>,
    /// Segments that are being prepared.
    pub preparing: Files,
    /// Record files: what is left of segments that were cleaned.
    pub records: Files,
    /// The catalog.
    pub catalog: Files,
    /// The room held for the catalog.
    pub spare: Files,
    /// Everything else in the folder, and the folders themselves.
    pub other: Files,
    /// The sum of all these files.
    pub total: u64,
    /// Size of the file system.
    pub disk_size: u64,
    /// Free space on it.
    pub disk_free: u64,
    /// What cleaning would begin with; `null` if no segment is worth it.
    pub next: Option<NextCleaning>,
    /// What the scrub has done; `null` if it has not checked any file yet.
    #[serde(default)]
    pub scrub: Option<Scrubbed>,
    /// How long octets of expunged mail stay; `null` without a server that limits it.
    #[serde(default)]
    pub purge: Option<Purging>,
}

/// How long octets of expunged mail stay on the disk, in seconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Purging {
    /// How long they may: `--purge-within`.
    pub within: u64,
    /// For how long the oldest of them may have been there; 0 if there are none.
    pub oldest: u64,
}

/// What the scrub has done. Times are in seconds since 1970 UTC.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Scrubbed {
    /// When the last complete pass ended; `null` before the first.
    pub last: Option<u64>,
    /// When the pass under way began.
    pub begun: Option<u64>,
    /// Damaged places found in the last complete pass or in this one, whichever has more.
    pub findings: u64,
}

/// Some files.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Files {
    /// How many.
    pub files: u64,
    /// Bytes that they take on the disk.
    pub bytes: u64,
}

/// The segment that cleaning would begin with.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct NextCleaning {
    /// Its number.
    pub segment: u64,
    /// Name of its file.
    pub file: String,
    /// Its length.
    pub bytes: u64,
    /// Messages in it that live.
    pub live: u64,
    /// What comes back.
    pub reclaimable: u64,
}

impl Scrubbed {
    fn of(progress: Progress) -> Scrubbed {
        let Progress { last, begun, findings, .. } = progress;
        let findings = findings.max(last.map_or(0, |last| last.findings));
        Scrubbed { last: last.map(|last| last.ended), begun, findings }
    }
}

impl Files {
    fn add(&mut self, bytes: u64) {
        self.files += 1;
        self.bytes += bytes;
    }
}

/// What takes space in the folder of a running server.
pub(in crate::server) fn of_running(
    data: &Path,
    live: Vec<(SegmentId, Live)>,
    shared: &Shared,
) -> Space {
    let state = |segment| shared.segments.state(segment);
    let mut space = Space::of_files(data, |segment, _| match state(segment) {
        Some(SegmentState::Active) => Kind::Active,
        Some(SegmentState::Ready) => Kind::Ready,
        _ => Kind::Sealed,
    });
    space.running = true;
    space.reserve = Some(shared.pool.counts().reserve.load(Ordering::Relaxed));
    let oldest = shared.space.oldest_dead.load(Ordering::Relaxed) / 1_000_000;
    let within = shared.cleaning.purge_within;
    space.purge = within.map(|within| Purging { within: within.as_secs(), oldest });
    space.survey(live, shared.segments.sealed(), &shared.cleaning);
    space
}

/// What takes space in a folder that no server uses. Nothing in it is changed. `live` is what the
/// catalog says.
///
/// # Errors
/// When there is no such folder.
pub(crate) fn of_stopped(data: &Path, live: Option<Vec<(SegmentId, Live)>>) -> io::Result<Space> {
    fs::read_dir(data.join(SEGMENTS))?;
    let mut sealed = Vec::new();
    let mut space = Space::of_files(data, |segment, length| {
        match is_ready(&data.join(SEGMENTS).join(segment.file_name())) {
            Ok(true) => Kind::Ready,
            _ => {
                sealed.push((segment, length));
                Kind::Sealed
            }
        }
    });
    if let Some(live) = live {
        sealed.sort_unstable();
        space.survey(live, sealed, &CleaningConfig::default());
    }
    Ok(space)
}

fn is_ready(path: &Path) -> io::Result<bool> {
    let mut block = [0; BLOCK];
    File::open(path)?.read_exact_at(&mut block, 0)?;
    let header = SegmentHeader::decode(&block);
    Ok(matches!(header, Err(HeaderError::Ready(_) | HeaderError::Zeros)))
}

/// What a segment's file counts as.
enum Kind {
    Sealed,
    Active,
    Ready,
}

impl Space {
    /// The files of a folder. `kind` is given the number and the length of each segment.
    fn of_files(data: &Path, mut kind: impl FnMut(SegmentId, u64) -> Kind) -> Space {
        let mut space = Space::empty(data);
        if let Ok(stat) = rustix::fs::statvfs(data.join(SEGMENTS)) {
            space.disk_size = stat.f_blocks * stat.f_frsize;
            space.disk_free = stat.f_bavail * stat.f_frsize;
        }
        each_file(data, DEPTH, &mut |path, file| {
            // As `du` counts: blocks are of 512 bytes, whatever the file system has.
            let taken = file.blocks() * 512;
            space.total += taken;
            let inside = path.strip_prefix(data).unwrap_or(path).to_string_lossy();
            let files = match &*inside {
                "catalog.redb" => &mut space.catalog,
                "spare" => &mut space.spare,
                _ if file.is_dir() => {
                    // A folder is not counted as a file.
                    space.other.bytes += taken;
                    return;
                }
                name => match name.split_once('/') {
                    Some(("segments", name)) if name.ends_with(".preparing") => {
                        &mut space.preparing
                    }
                    Some(("segments", name)) => match number(name) {
                        Some(segment) => match kind(segment, file.len()) {
                            Kind::Sealed => &mut space.sealed,
                            Kind::Active => &mut space.active,
                            Kind::Ready => &mut space.ready,
                        },
                        None => &mut space.other,
                    },
                    Some((RECORDS, name)) if name.ends_with(".rec") => &mut space.records,
                    _ => &mut space.other,
                },
            };
            files.add(taken);
        });
        space
    }

    fn empty(data: &Path) -> Space {
        let none = Files::default();
        Space {
            version: VERSION,
            data: data.display().to_string(),
            running: false,
            live: None,
            dead: None,
            reclaimable: None,
            due: None,
            sealed: none,
            active: none,
            ready: none,
            reserve: None,
            preparing: none,
            records: none,
            catalog: none,
            spare: none,
            other: none,
            total: 0,
            disk_size: 0,
            disk_free: 0,
            next: None,
            scrub: read_progress(data).map(Scrubbed::of),
            purge: None,
        }
    }

    /// Fills in what cleaning depends on.
    fn survey(
        &mut self,
        live: Vec<(SegmentId, Live)>,
        sealed: Vec<(SegmentId, u64)>,
        how: &CleaningConfig,
    ) {
        let survey = Survey::of(live, sealed);
        let dead = survey.segments.iter().map(|(_, length, live)| {
            // Copies may make a segment seem to hold more than it does.
            length.saturating_sub(live.octets)
        });
        self.dead = Some(dead.sum());
        self.live = Some(survey.live);
        self.reclaimable = Some(survey.dead);
        self.due = Some(survey.is_due(how));
        let next = survey.next(&BTreeSet::new(), LEAST, 1.0, 0);
        self.next = next.first().map(|&(segment, bytes, live)| NextCleaning {
            segment: segment.0,
            file: segment.file_name(),
            bytes,
            live: live.octets,
            reclaimable: gain(bytes, live),
        });
    }
}

/// The number in a segment's file name.
fn number(name: &str) -> Option<SegmentId> {
    let segment = SegmentId(name.strip_suffix(".seg")?.parse().ok()?);
    (name == segment.file_name()).then_some(segment)
}

/// Calls `visit` for a folder, and for every file and folder in it, except those that vanish
/// meanwhile. The data folder and those of the log may be links to other disks.
fn each_file(path: &Path, depth: usize, visit: &mut impl FnMut(&Path, &Metadata)) {
    let name = path.file_name().unwrap_or_default();
    let may_be_link = match DEPTH - depth {
        0 => true,
        1 => name == SEGMENTS || name == RECORDS,
        _ => false,
    };
    let metadata = if may_be_link { fs::metadata(path) } else { fs::symlink_metadata(path) };
    let Ok(metadata) = metadata else { return };
    visit(path, &metadata);
    if !metadata.is_dir() || depth == 0 {
        return;
    }
    let Ok(entries) = fs::read_dir(path) else { return };
    entries.flatten().for_each(|entry| each_file(&entry.path(), depth - 1, visit));
}
