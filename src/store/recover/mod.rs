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
//!
//! What to do about damage is for the [`Visitor`] to say: stop, or go on without what is lost. Then
//! the walk looks for the next frame of its log that is whole, in the same segment or the next one,
//! and goes on there. LSNs tell how many frames are gone.

mod batches;
mod error;
mod search;
mod survey;
mod verdict;
mod walk;
mod window;

use std::io;

use xxhash_rust::xxh3::Xxh3Default;

pub use self::error::{Damage, Lost, LostFrames, RecoveryError, VisitError};
use self::survey::Survey;
use self::verdict::{Judge, Plan};
use self::walk::{End, Walk};
use crate::limits::BLOCK;
use crate::store::format::record::{Commit, MessageRecord, Record};
use crate::store::format::segment::{HeaderError, SegmentHeader};
use crate::store::{Epoch, Fragment, LogId, Lsn, SegmentId};

/// Reads all logs from the positions `from` on, visits every change in order of epoch, log and
/// LSN, and cuts off what was never acknowledged. Any damage ends it.
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
    struct Strict<'v>(&'v mut dyn FnMut(Replayed) -> Result<(), VisitError>);
    impl Visitor for Strict<'_> {
        fn change(&mut self, replayed: Replayed) -> Result<(), VisitError> {
            (self.0)(replayed)
        }

        fn damage(&mut self, damage: Damage) -> Result<(), RecoveryError> {
            Err(damage.into())
        }
    }
    recover_with(medium, from, &mut Strict(visit))
}

/// Whoever is told what recovery finds.
pub trait Visitor {
    /// A change, in the order of the logs.
    ///
    /// # Errors
    /// Ends recovery.
    fn change(&mut self, replayed: Replayed) -> Result<(), VisitError>;

    /// Acknowledged data is damaged. With `Ok` recovery goes on without it: behind lost frames
    /// where the log can be found again, with messages as their records have them. Nothing that is
    /// damaged is ever cut, removed or written over.
    ///
    /// # Errors
    /// Ends recovery; the damage itself, where it is not to be put up with.
    fn damage(&mut self, damage: Damage) -> Result<(), RecoveryError>;

    /// All is read, and nothing cut yet.
    ///
    /// # Errors
    /// Ends recovery.
    fn end(&mut self, _medium: &dyn Medium) -> Result<(), RecoveryError> {
        Ok(())
    }
}

/// Whether the octets of a message are what was received. What cannot be read is not.
pub fn is_whole(
    medium: &dyn Medium,
    fragments: impl Iterator<Item = Fragment>,
    checksum: u128,
) -> bool {
    let (mut hash, mut octets) = (Xxh3Default::new(), vec![0; 256 << 10]);
    for Fragment { segment, offset, length } in fragments {
        let (mut at, end) = (u64::from(offset), u64::from(offset) + u64::from(length));
        while at < end {
            let part = (octets.len() as u64).min(end - at) as usize;
            match medium.read_at(segment, at, &mut octets[..part]) {
                Ok(read) if read > 0 => {
                    hash.update(&octets[..read]);
                    at += read as u64;
                }
                Ok(_) | Err(_) => return false,
            }
        }
    }
    hash.digest128() == checksum
}

/// Notes whether there is damage.
struct Noting<'v> {
    visitor: &'v mut dyn Visitor,
    damaged: bool,
}

impl Visitor for Noting<'_> {
    fn change(&mut self, replayed: Replayed) -> Result<(), VisitError> {
        self.visitor.change(replayed)
    }

    fn damage(&mut self, damage: Damage) -> Result<(), RecoveryError> {
        self.damaged = true;
        self.visitor.damage(damage)
    }

    fn end(&mut self, medium: &dyn Medium) -> Result<(), RecoveryError> {
        self.visitor.end(medium)
    }
}

/// The same as [`recover`], for whoever decides about damage.
///
/// # Errors
/// See [`RecoveryError`], and those of the visitor.
pub fn recover_with(
    medium: &mut dyn Medium,
    from: &[LogPosition],
    visitor: &mut dyn Visitor,
) -> Result<Recovered, RecoveryError> {
    let visitor = &mut Noting { visitor, damaged: false };
    let mut survey = Survey::take(medium)?;
    survey.check_chains(visitor)?;
    survey.check_positions(from).into_iter().try_for_each(|damage| visitor.damage(damage))?;
    let mut plan = Plan::default();
    let strays = survey.judge_strays(medium, from, &mut plan, visitor)?;
    let survey = survey;
    // Some may have come back with segments that have no header.
    let astray: Vec<_> = survey.check_positions(from).iter().map(|d| (d.epoch, d.log)).collect();
    let judge = Judge { medium, survey: &survey, strays: &strays };
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
        let mut begun = match astray.contains(&(epoch, id)) {
            true => None,
            false => Walk::begin(medium, &survey, log, position),
        };
        if begun.is_none() {
            if position.is_none() {
                let Some(damage) = plan.remove_rootless(&judge, log)? else { continue };
                visitor.damage(damage)?;
            }
            begun = Walk::begin_behind(medium, &survey, log, position);
        }
        let Some(mut walk) = begun else { continue };
        match walk.run(&judge, visitor.damaged, visitor)? {
            End::Torn(stop) => plan.cut(&survey, &walk, &stop),
            End::Damaged => plan.keep(&survey, &walk),
        }
        // Also above files that are gone: what is left of a message must not lead into a new one.
        let highest = SegmentId(walk.highest().0.saturating_add(1));
        if walk.has_holes && highest.0 < u64::MAX {
            recovered.next_segment = recovered.next_segment.max(highest);
        }
        recovered.frames += walk.frames;
        recovered.octets += walk.octets;
        recovered.ends.push(walk.position());
    }
    plan.settle(visitor.damaged);
    if visitor.damaged {
        // One that seems never to have been used may be what is left of one that was.
        recovered.ready.clear();
    }
    visitor.end(medium)?;
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
