//! Reading the log after a start.
//!
//! A power loss leaves a log with a torn tail: of the frames that were being written some are
//! there, some are not, some are there in part. None of them was acknowledged, so they are cut off,
//! and the log ends with its last valid frame. Damage looks the same at first: a frame that is not
//! valid. The *durable watermarks* in later frames tell the two apart. A watermark at or above the
//! LSN of the invalid frame proves that this frame was on the disk, whole, and that clients may
//! have been told so. Then recovery stops, says what is gone, and changes nothing.
//!
//! For example, frames 1 to 4 were written, and frame 3 is invalid:
//!
//! ```text
//!  1  watermark 0      1  watermark 0
//!  2  watermark 1      2  watermark 1
//!  3  invalid          3  invalid
//!  4  watermark 2      4  watermark 3
//!  torn: cut at 3      damaged: 3 was durable when 4 was composed
//! ```
//!
//! Four other facts prove the same: the catalog has read the frame; the log belongs to an older
//! epoch (no epoch begins before all older logs are cut clean); the octets of a committed message
//! do not have their checksum, and one of the other facts proves its commit; or those octets lie in
//! frames that were durable before the commit was written.
//!
//! The steps: [`survey`] reads the headers of all segments. [`walk`] reads each log along its chain
//! of segments. [`batches`] puts committed messages together and checks them. [`verdict`] decides
//! between torn and damaged, by what [`search`] finds after the first invalid frame. [`plan`]
//! collects what to cut, and nothing is cut before all logs were read.
//!
//! A segment may be *stripped*: only its records are left ([`records`](super::records)). It is read
//! like any other, except that octets in it are not checked, and that nothing in it was ever torn:
//! its log had left it, and all of it was durable, when it was stripped.
//!
//! The [`Visitor`] decides about damage: stop, or go on without what is lost. If it goes on, the
//! walk looks for the next valid frame of its log, in the same segment or the next one, and
//! continues there. LSNs tell how many frames are lost.

mod ahead;
mod batches;
mod error;
mod image;
mod medium;
mod plan;
mod search;
mod stop;
mod survey;
mod verdict;
mod visit;
mod walk;
mod window;

pub use self::ahead::ReadAhead;
pub use self::error::{Damage, Lost, LostFrames, RecoveryError, VisitError};
pub use self::image::{ImageEnd, ImageFile, ImagePart, LogImage, image};
pub use self::medium::{Medium, StoredSegments, is_whole};
use self::plan::Plan;
use self::survey::{Survey, lowest};
use self::verdict::Judge;
pub use self::visit::{Change, Recovered, Replayed, Visitor};
use self::walk::{End, Walk};
use crate::store::format::{Epoch, HeaderError, LogPosition, SegmentId};

/// Reads all logs from the positions `from` on, visits every change in the order of epoch, log and
/// LSN, and cuts off what was never acknowledged. Any damage ends it with an error.
///
/// A log that `from` does not name is read from its beginning, unless its epoch is below all that
/// are named: then the catalog has all of it, and its files are not opened. With `from` empty,
/// everything is read.
///
/// # Errors
/// See [`RecoveryError`]. After an error nothing on the medium has changed, unless the medium
/// failed while it was being cut; then the next recovery continues that.
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

/// Passes everything on to a visitor, and remembers whether there was damage.
struct Noting<'v> {
    visitor: &'v mut dyn Visitor,
    medium: &'v dyn Medium,
    damaged: bool,
}

impl Visitor for Noting<'_> {
    fn change(&mut self, replayed: Replayed) -> Result<(), VisitError> {
        self.visitor.change(replayed)
    }

    fn damage(&mut self, damage: Damage) -> Result<(), RecoveryError> {
        self.damaged = true;
        let stripped = self.medium.is_stripped(damage.file);
        self.visitor.damage(Damage { stripped, ..damage })
    }

    fn knows_damage(&self) -> bool {
        self.damaged || self.visitor.knows_damage()
    }

    fn end(&mut self, medium: &dyn Medium) -> Result<(), RecoveryError> {
        self.visitor.end(medium)
    }
}

/// The same as [`recover`], with a visitor that decides about damage.
///
/// # Errors
/// See [`RecoveryError`], and those of the visitor.
pub fn recover_with(
    medium: &mut dyn Medium,
    from: &[LogPosition],
    visitor: &mut dyn Visitor,
) -> Result<Recovered, RecoveryError> {
    let (mut recovered, plan, damaged) = read(medium, from, visitor)?;
    recovered.cut = plan.apply(medium)?;
    if !damaged {
        for segment in medium.remove_superseded().map_err(RecoveryError::io(None, 0))? {
            recovered.cut.push(format!("segment {segment} was removed: its records are kept"));
        }
    }
    Ok(recovered)
}

/// Reads all logs. Returns what is to be cut, and whether there is damage.
fn read(
    medium: &dyn Medium,
    from: &[LogPosition],
    visitor: &mut dyn Visitor,
) -> Result<(Recovered, Plan, bool), RecoveryError> {
    let visitor = &mut Noting { visitor, medium, damaged: false };
    let mut survey = Survey::take(medium, from)?;
    survey.check_chains(visitor)?;
    survey.check_positions(from).into_iter().try_for_each(|damage| visitor.damage(damage))?;
    let mut plan = Plan::default();
    let strays = survey.judge_strays(medium, from, &mut plan, visitor)?;
    let survey = survey;
    // Segments without a header may have brought some of the missing positions back.
    let astray: Vec<_> = survey.check_positions(from).iter().map(|d| (d.epoch, d.log)).collect();
    let judge = Judge { medium, survey: &survey, strays: &strays };
    let mut recovered = Recovered { ready: survey.ready.clone(), ..Recovered::default() };
    let (lowest, mut highest) = (lowest(from), SegmentId(0));
    for (&(epoch, id), log) in &survey.logs {
        if epoch < lowest {
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
            End::Torn(stop) => {
                plan.cut(&survey, &walk, &stop);
                if !walk.has_holes {
                    let left = walk.frameless().into_iter();
                    recovered.stale.extend(left.take_while(|one| !medium.is_stripped(*one)));
                }
            }
            End::Damaged => plan.keep(&survey, &walk),
        }
        // Also above missing files: a fragment of an old message must not lead into a new one.
        if walk.has_holes {
            highest = highest.max(walk.highest());
        }
        recovered.frames += walk.frames;
        recovered.octets += walk.octets;
        recovered.ends.extend(walk.position());
    }
    recovered.next_epoch = survey.next_epoch(from, &strays, highest)?;
    plan.settle(visitor.knows_damage());
    if visitor.damaged {
        // What looks unused or empty may be the remains of something that was used.
        recovered.ready = survey::without_frames(medium, &recovered.ready)?;
        recovered.stale.clear();
    }
    visitor.end(medium)?;
    Ok((recovered, plan, visitor.knows_damage()))
}

/// Checks the version in the headers of the newest epoch's segments, and of those that older
/// versions numbered, before anything is changed. Between them there are only segments that a
/// mailrace of this version has read before.
///
/// # Errors
/// [`RecoveryError::OtherVersion`] when one has another version of the format; those of the medium.
pub fn check_versions(medium: &dyn Medium) -> Result<(), RecoveryError> {
    let files = medium.segments().map_err(RecoveryError::io(None, 0))?;
    let newest = files.iter().map(|(file, _)| file.epoch()).max().unwrap_or_default();
    let checked = |file: &SegmentId| [Epoch(0), newest].contains(&file.epoch());
    for file in files.into_iter().map(|(file, _)| file).filter(checked) {
        if let Err(HeaderError::OtherVersion { version }) = survey::header_of(medium, file)? {
            return Err(RecoveryError::OtherVersion { file, version });
        }
    }
    Ok(())
}
