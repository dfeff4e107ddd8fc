//! How far the scrub has come. It is kept in a small file in the data folder, so that a restart
//! goes on where the last run was. The file is not synced: if it is lost or damaged, a pass begins
//! again.

use std::io;
use std::path::Path;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::reactor::Access;
use crate::reactor::files;
use crate::store::SegmentId;

/// Name of the file in the data folder.
const FILE: &str = "scrub.json";

/// The same while it is written.
const WRITING: &str = "scrub.json.new";

/// The longest file that is read.
const LONGEST: u64 = 64 << 10;

/// How far the scrub has come. Times are in seconds since 1970 UTC.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Progress {
    /// When the pass under way began.
    pub begun: Option<u64>,
    /// The file to go on with.
    #[serde(with = "number")]
    pub(super) next: SegmentId,
    /// The last file of the pass.
    #[serde(with = "number")]
    pub(super) until: SegmentId,
    /// Bytes read in this pass.
    pub(super) bytes: u64,
    /// What this pass has found so far.
    pub findings: u64,
    /// The last complete pass.
    pub last: Option<Pass>,
}

/// A complete pass.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Pass {
    /// When it began.
    pub(super) begun: u64,
    /// When it was complete.
    pub ended: u64,
    /// Bytes read.
    pub(super) bytes: u64,
    /// What it found.
    pub findings: u64,
}

impl Progress {
    /// How long to wait for the next pass; `None` when it is time, or one is under way.
    pub(super) fn wait(&self, now: u64, period: Duration) -> Option<Duration> {
        let last = self.last.filter(|_| self.begun.is_none())?;
        // A clock that was ahead does not delay it.
        let passed = Duration::from_secs(now.checked_sub(last.begun)?);
        period.checked_sub(passed).filter(|wait| !wait.is_zero())
    }

    pub(super) fn begin(&mut self, now: u64, until: SegmentId) {
        *self = Progress { begun: Some(now), until, last: self.last, ..Progress::default() };
    }

    pub(super) fn end(&mut self, now: u64) {
        let Progress { begun, bytes, findings, .. } = *self;
        let last = Some(Pass { begun: begun.unwrap_or(now), ended: now, bytes, findings });
        *self = Progress { last, ..Progress::default() };
    }
}

/// Reads the file; `None` when there is none, or it cannot be used.
pub(crate) fn read(data: &Path) -> Option<Progress> {
    let file = files::open(&data.join(FILE), Access::Read).ok()?;
    let mut octets = vec![0; file.length().ok()?.min(LONGEST) as usize];
    let read = file.read_at(&mut octets, 0).ok()?;
    serde_json::from_slice(&octets[..read]).ok()
}

/// Replaces the file.
pub(super) fn write(data: &Path, progress: &Progress) -> io::Result<()> {
    let (path, writing) = (data.join(FILE), data.join(WRITING));
    let octets = serde_json::to_vec(progress)?;
    let file = files::open(&writing, Access::Create)?;
    file.set_length(0)?;
    file.write_all_at(&octets, 0)?;
    drop(file);
    files::rename(&writing, &path)
}

/// A segment as its number.
mod number {
    use serde::{Deserialize, Deserializer, Serializer};

    use crate::store::SegmentId;

    pub(super) fn serialize<S: Serializer>(
        segment: &SegmentId,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        serializer.serialize_u64(segment.0)
    }

    pub(super) fn deserialize<'a, D: Deserializer<'a>>(
        deserializer: D,
    ) -> Result<SegmentId, D::Error> {
        u64::deserialize(deserializer).map(SegmentId)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pass_begins_once_in_a_period() {
        let period = Duration::from_secs(100);
        let mut progress = Progress::default();
        assert_eq!(progress.wait(1_000, period), None, "the first begins at once");
        progress.begin(1_000, SegmentId(7));
        assert_eq!(progress.wait(1_010, period), None, "it goes on");
        progress.end(1_020);
        assert_eq!(progress.wait(1_030, period), Some(Duration::from_secs(70)));
        assert_eq!(progress.wait(1_100, period), None);
        assert_eq!(progress.wait(900, period), None, "the clock was set back");
    }

    #[test]
    fn the_file_says_what_was_written_and_nonsense_says_nothing() {
        let data = tempfile::tempdir().unwrap();
        assert_eq!(read(data.path()), None);
        let mut progress = Progress::default();
        progress.begin(5, SegmentId(9));
        progress.end(8);
        progress.begin(20, SegmentId(u64::MAX));
        write(data.path(), &progress).unwrap();
        assert_eq!(read(data.path()), Some(progress));
        for nonsense in ["", "{}", "[1]", "\0\0\0", &"x".repeat(100_000)] {
            std::fs::write(data.path().join(FILE), nonsense).unwrap();
            assert_eq!(read(data.path()), None, "{nonsense:.10}");
        }
    }
}
