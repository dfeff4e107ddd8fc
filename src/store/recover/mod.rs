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
mod medium;
mod plan;
mod search;
mod stop;
mod survey;
mod verdict;
mod visit;
mod walk;
mod window;

pub use self::error::{Damage, Lost, LostFrames, RecoveryError, VisitError};
pub use self::medium::{Medium, StoredSegments, is_whole};
use self::plan::Plan;
use self::survey::Survey;
use self::verdict::Judge;
pub use self::visit::{Change, Recovered, Replayed, Visitor};
use self::walk::{End, Walk};
use crate::limits::BLOCK;
use crate::store::format::{HeaderError, LogPosition, SegmentHeader, SegmentId};

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
