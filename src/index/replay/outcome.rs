//! What a replay leaves: its line for the operator, the positions, a catalog set aside.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

use super::Replay;
use crate::reactor::files;
use crate::store::{LogPosition, SegmentId};

impl fmt::Display for Replay {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (changes, messages) = (self.changes, self.messages);
        write!(f, "replayed {changes} changes with {messages} messages")?;
        let (frames, octets) = (self.recovered.frames, self.recovered.octets);
        write!(f, " from {frames} frames, {octets} bytes")?;
        self.recovered.cut.iter().try_for_each(|cut| write!(f, "; {cut}"))
    }
}

/// Renames the catalog to an unused name.
pub(in crate::index) fn set_aside(catalog: &Path) -> io::Result<PathBuf> {
    let mut number = 1_u32;
    loop {
        let aside = catalog.with_extension(format!("redb.damaged-{number}"));
        if !files::exists(&aside)? {
            files::rename(catalog, &aside)?;
            files::sync_folder(catalog.parent().unwrap_or(Path::new(".")))?;
            return Ok(aside);
        }
        number += 1;
    }
}

/// The segments from which on the log may have octets that nothing names: those of batches that a
/// crash has left. Without frames after its position, a log has none but those that the catalog
/// knows of.
pub(super) fn tails(ends: &[LogPosition], before: &[LogPosition]) -> Vec<SegmentId> {
    let last = before.iter().map(|at| at.epoch).max();
    let tail = |end: &LogPosition| {
        let position = before.iter().find(|at| (at.epoch, at.log) == (end.epoch, end.log));
        match position {
            Some(at) => (at.lsn != end.lsn).then_some(at.segment),
            None => (Some(end.epoch) >= last).then(|| SegmentId::first_of(end.epoch)),
        }
    };
    ends.iter().filter_map(tail).collect()
}

/// The positions after a replay. All logs are applied to their ends, so the positions of the last
/// epoch imply those of earlier epochs. A log whose files are gone keeps its position: with no
/// position at all, the next start would read everything.
pub(super) fn ends(ends: &[LogPosition], before: &[LogPosition]) -> Vec<LogPosition> {
    let log = |at: &LogPosition| (at.epoch, at.log);
    let vanished = before.iter().filter(|old| ends.iter().all(|end| log(end) != log(old)));
    let mut all: Vec<LogPosition> = ends.iter().chain(vanished).copied().collect();
    let last = all.iter().map(|at| at.epoch).max();
    all.retain(|at| Some(at.epoch) == last);
    all.sort_by_key(log);
    all
}
