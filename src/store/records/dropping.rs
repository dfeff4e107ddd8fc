//! Which record files may go, once a snapshot of the catalog is durable.

use std::io;
use std::path::Path;

use super::RecordFile;
use crate::reactor::fault::{Fault, made};
use crate::store::format::{LogPosition, SegmentId};
use crate::store::segments::{self, Segments};

/// What was dropped.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Dropped {
    /// Number of record files.
    pub files: u64,
    /// Their lengths in bytes.
    pub octets: u64,
}

/// Whether the log in this data folder may lack its beginning, because record files were dropped.
///
/// # Errors
/// Those of the disk.
pub fn was_dropped(data: &Path) -> io::Result<bool> {
    segments::was_dropped(data)
}

/// Removes those of these record files that lie wholly before the positions of a durable snapshot.
/// They are of segments that were stripped before the snapshot was begun: so nothing behind the
/// positions refers to their octets. Damaged ones stay, and so do those whose segment still has its
/// file. Blocks.
///
/// # Errors
/// Those of the disk. Some may be gone then.
pub fn drop_records(
    segments: &Segments,
    stripped: &[(SegmentId, u64)],
    positions: &[LogPosition],
) -> io::Result<Dropped> {
    let (mut covered, mut dropped) = (Vec::new(), Dropped::default());
    for &(segment, length) in stripped {
        if is_covered(segments, segment, positions)? && !segments.has_file(segment)? {
            covered.push(segment);
            dropped.files += 1;
            dropped.octets += length;
        }
    }
    if !covered.is_empty() {
        segments.remove_record_files(&covered)?;
    }
    Ok(dropped)
}

/// Whether all records of a stripped segment lie before the positions. These are all of one epoch,
/// and imply the ends of all earlier logs.
fn is_covered(
    segments: &Segments,
    segment: SegmentId,
    positions: &[LogPosition],
) -> io::Result<bool> {
    let Some(epoch) = positions.iter().map(|at| at.epoch).min() else { return Ok(false) };
    let file = match RecordFile::open(segments, segment)? {
        Ok(file) => file,
        Err(_) => return Ok(false),
    };
    let header = file.header();
    if file.flaw()?.is_some() || segment.epoch() > epoch {
        return Ok(false);
    }
    let position = positions.iter().find(|at| (at.epoch, at.log) == (header.epoch, header.log));
    Ok(header.epoch < epoch
        || made(Fault::TailDropped)
        || position.is_some_and(|at| at.segment != segment && header.first_lsn < at.lsn))
}
