//! Reading the log after a start.
//!
//! A power loss leaves the log with a torn tail: frames that were being written, some there, some
//! not, some in part. Nothing of that was acknowledged, so it is cut off, and the log ends with
//! its last valid frame. Rot looks just the same at first: a frame that is not valid. What tells
//! them apart are the *durable watermarks* in later frames. A watermark at or above the missing
//! LSN proves that this frame had been on the disk, whole, and that clients may have been told so.
//! Then recovery stops, says what is gone, and changes nothing.
//!
//! Four more facts are proofs of the same kind: the catalog says that it has the frame; the log
//! is one of an older epoch (no epoch begins before all older logs are cut clean); the octets of a
//! committed message do not have their checksum, and their commit is proven by one of the others,
//! or they lie in frames that were durable before their commit was written.
//!
//! The steps: [`survey`] reads the headers of all segments, [`walk`] reads each log along its
//! chain of segments, [`batches`] puts committed messages together and checks them, [`verdict`]
//! decides between torn and damaged with what [`search`] finds behind the first invalid frame.
//! Only when all logs are read is anything cut.

mod batches;
mod error;
mod search;
mod survey;
mod verdict;
mod walk;
mod window;

use std::io;

pub use self::error::{Damage, RecoveryError, VisitError};
use self::survey::Survey;
use self::verdict::Plan;
use self::walk::Walk;
use super::record::{Commit, MessageRecord, Record};
use super::segment::{HeaderError, SegmentHeader};
use crate::limits::BLOCK;
use crate::types::{Epoch, LogId, Lsn, SegmentId};

/// Reads all logs from the positions `from` on, visits every change in order of epoch, log and
/// LSN, and cuts off what was never acknowledged.
///
/// A log that `from` does not name is read from its beginning, unless its epoch lies below all
/// that are named: then the catalog has all of it. With `from` empty, everything is read.
///
/// # Errors
/// See [`RecoveryError`]. After an error nothing on the medium has changed, except after one of
/// the medium itself while it was cut; then the next recovery goes on with that.
pub fn recover(
    medium: &mut dyn Medium,
    from: &[LogPosition],
    visit: &mut dyn FnMut(Replayed) -> Result<(), VisitError>,
) -> Result<Recovered, RecoveryError> {
    let survey = Survey::take(medium)?;
    survey.check_chains()?;
    survey.check_positions(from)?;
    let mut plan = Plan::default();
    let strays = survey.judge_strays(medium, from, &mut plan)?;
    let mut recovered = Recovered {
        next_epoch: survey.next_epoch(from, &strays)?,
        next_segment: survey.next_segment(from)?,
        ready: survey.ready.clone(),
        ..Recovered::default()
    };
    let lowest = from.iter().map(|position| position.epoch).min();
    for (&(epoch, id), log) in &survey.logs {
        if lowest.is_some_and(|lowest| epoch < lowest) {
            recovered.closed.push((epoch, id));
            continue;
        }
        let position = from.iter().find(|position| (position.epoch, position.log) == (epoch, id));
        let Some(mut walk) = Walk::new(medium, &survey, log, position) else {
            plan.remove_rootless(medium, &survey, log, &strays)?;
            continue;
        };
        let stop = walk.run(visit)?;
        plan.judge(medium, &survey, &strays, &walk, stop)?;
        recovered.frames += walk.frames;
        recovered.octets += walk.octets;
        recovered.ends.push(walk.position());
    }
    recovered.cut = plan.apply(medium)?;
    Ok(recovered)
}

/// Looks at the headers of all segments, before anything at all is changed.
///
/// # Errors
/// [`RecoveryError::OtherVersion`] when one was written by a mailrace of another format; those of
/// the medium.
pub fn check_versions(medium: &dyn Medium) -> Result<(), RecoveryError> {
    let mut block = [0; BLOCK];
    for (file, _) in medium.segments().map_err(RecoveryError::io(None, 0))? {
        let read = medium.read_at(file, 0, &mut block).map_err(RecoveryError::io(file, 0))?;
        if let Err(HeaderError::OtherVersion { version }) = SegmentHeader::decode(&block[..read]) {
            return Err(RecoveryError::OtherVersion { file, version });
        }
    }
    Ok(())
}

/// Where segments are kept: a folder, or memory in tests.
pub trait Medium {
    /// All segments with their lengths in octets, in any order.
    ///
    /// # Errors
    /// Those of the medium; likewise below.
    fn segments(&self) -> io::Result<Vec<(SegmentId, u64)>>;

    /// Reads into `out` from `offset` on. Less than asked for only at the end of the file.
    #[allow(clippy::missing_errors_doc)]
    fn read_at(&self, segment: SegmentId, offset: u64, out: &mut [u8]) -> io::Result<usize>;

    /// Shortens a segment, or leaves it as long as it is; if some of the zeros that end its last
    /// frame are missing, they are put back. All of it is durable on return, also what was written
    /// long before: after a process was killed the disk may hold octets, and
    /// recovery build on them, that a power loss would still take away.
    #[allow(clippy::missing_errors_doc)]
    fn truncate(&mut self, segment: SegmentId, length: u64) -> io::Result<()>;

    /// Deletes a segment. Durable on return.
    #[allow(clippy::missing_errors_doc)]
    fn remove(&mut self, segment: SegmentId) -> io::Result<()>;
}

/// A point in a log between two frames.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LogPosition {
    /// The epoch of the log.
    pub epoch: Epoch,
    /// The log.
    pub log: LogId,
    /// The segment the next frame is expected in.
    pub segment: SegmentId,
    /// Where in it.
    pub offset: u32,
    /// LSN of that frame.
    pub lsn: Lsn,
    /// Changes up to this LSN are in the catalog already. Not below `lsn - 1`; above it when a
    /// batch was open at the checkpoint and its first frame has to be read again. All of it was
    /// durable.
    pub applied: Lsn,
}

/// A change that recovery found in the log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Replayed {
    /// The epoch of the log.
    pub epoch: Epoch,
    /// The log.
    pub log: LogId,
    /// The frame that made the change valid.
    pub lsn: Lsn,
    /// What changed.
    pub change: Change,
}

/// See [`Replayed`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// A committed batch; the octets of every message that came with it have been checked.
    Append {
        /// The footer.
        commit: Commit,
        /// The messages, as many as the footer says.
        messages: Vec<MessageRecord>,
    },
    /// Any other change: never `Messages`, `References`, `Fragments`, `Commit` or `Cancel`.
    Other(Record),
}

/// What recovery leaves behind: the log is cut clean, a new epoch may begin.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Recovered {
    /// Above all epochs there have been.
    pub next_epoch: Epoch,
    /// Above all segments there have been.
    pub next_segment: SegmentId,
    /// Segments that were prepared and not used, with their lengths.
    pub ready: Vec<(SegmentId, u64)>,
    /// The end of every log that was read. Once the catalog holds all that was visited, these
    /// are its positions.
    pub ends: Vec<LogPosition>,
    /// Logs that were not read, because their epoch lies below all positions given.
    pub closed: Vec<(Epoch, LogId)>,
    /// What was cut off, in words, one sentence each.
    pub cut: Vec<String>,
    /// Frames read.
    pub frames: u64,
    /// Octets of those frames.
    pub octets: u64,
}
