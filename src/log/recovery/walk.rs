//! Reading one log, frame by frame, along its chain of segments.

use std::collections::{BTreeSet, VecDeque};

use super::batches::Batches;
use super::survey::{Log, Survey};
use super::verdict::proves;
use super::window::Window;
use super::{Change, LogPosition, Medium, RecoveryError, Replayed, VisitError};
use crate::limits::BLOCK;
use crate::log::decode::{RecordError, decode_records};
use crate::log::frame::{FrameHeader, HEADER, records_at};
use crate::log::segment::{HeaderError, SegmentHeader};
use crate::types::{Fragment, Lsn, MailboxId, SegmentId};

/// How much is read at a time: many small frames, or the header of a large one and no more.
const AHEAD: usize = 64 << 10;

/// Frames, with segment and offset, in their order.
type Uncovered = VecDeque<(Lsn, SegmentId, u32)>;

/// See the [module](self).
pub(super) struct Walk<'a> {
    medium: &'a dyn Medium,
    pub(super) log: &'a Log,
    window: Window,
    batches: Batches<'a>,
    /// Frames that were read, and that no watermark has covered yet.
    uncovered: Uncovered,
    /// The catalog has all up to here.
    pub(super) applied: Lsn,
    /// Where the walk began.
    pub(super) start: SegmentId,
    /// The segments that it came through, this one included.
    pub(super) reached: BTreeSet<SegmentId>,
    /// Where the next frame is expected, and its number.
    pub(super) segment: SegmentId,
    pub(super) offset: u32,
    pub(super) lsn: Lsn,
    /// The segment after this one, and where this one ends.
    next: Option<(SegmentHeader, u32)>,
    pub(super) frames: u64,
    pub(super) octets: u64,
}

/// Why the walk goes no further: the first invalid frame.
pub(super) struct Stop {
    pub(super) what: String,
    /// Nothing stands there at all.
    pub(super) blank: bool,
    /// It is the octets of a message that are wrong: they lie in frames up to this one, so that it
    /// is damage if this one was durable.
    pub(super) held_by: Option<Lsn>,
    pub(super) messages: Vec<(MailboxId, u32)>,
}

/// What can go wrong with a frame: it is not valid, or reading it failed.
pub(super) enum Broken {
    Stop(Stop),
    Failed(RecoveryError),
}

impl<'a> Walk<'a> {
    /// From the position of the catalog, or else from the beginning of the log; `None` when the
    /// segment it began in is not there.
    pub(super) fn new(
        medium: &'a dyn Medium,
        survey: &'a Survey,
        log: &'a Log,
        position: Option<&LogPosition>,
    ) -> Option<Walk<'a>> {
        let (segment, offset, lsn, applied) = match position {
            Some(at) => (at.segment, at.offset, at.lsn, at.applied),
            None => (log.root()?, BLOCK as u32, Lsn(1), Lsn(0)),
        };
        Some(Walk {
            medium,
            log,
            window: Window::new(AHEAD),
            batches: Batches::new(medium, &survey.lengths),
            uncovered: VecDeque::new(),
            applied,
            start: segment,
            reached: BTreeSet::from([segment]),
            segment,
            offset,
            lsn,
            next: log.successor(segment),
            frames: 0,
            octets: 0,
        })
    }

    /// Visits every change up to the first invalid frame.
    pub(super) fn run(
        &mut self,
        visit: &mut dyn FnMut(Replayed) -> Result<(), VisitError>,
    ) -> Result<Stop, RecoveryError> {
        let (epoch, log) = (self.log.epoch, self.log.id);
        loop {
            match self.step() {
                Ok(changes) => {
                    let lsn = Lsn(self.lsn.0 - 1);
                    for change in changes {
                        visit(Replayed { epoch, log, lsn, change })
                            .map_err(RecoveryError::Visit)?;
                    }
                }
                Err(Broken::Stop(stop)) => return Ok(stop),
                Err(Broken::Failed(error)) => return Err(error),
            }
        }
    }

    /// The end of the log, once the walk has stopped.
    pub(super) fn position(&self) -> LogPosition {
        LogPosition {
            epoch: self.log.epoch,
            log: self.log.id,
            segment: self.segment,
            offset: self.offset,
            lsn: self.lsn,
            applied: Lsn(self.lsn.0 - 1),
        }
    }

    /// One frame, or on to the next segment.
    fn step(&mut self) -> Result<Vec<Change>, Broken> {
        let Some((header, end)) = self.next else {
            return self.frame(u32::MAX);
        };
        if self.offset < end {
            return self.frame(end);
        }
        if header.first_lsn != self.lsn || self.offset > end {
            let next = header.segment;
            let what = format!("segment {next} goes on with frame {}", header.first_lsn);
            return Err(Stop::new(what).into());
        }
        if !self.reached.insert(header.segment) {
            let what = format!("segment {} comes twice", header.segment);
            return Err(Stop::new(what).into());
        }
        (self.segment, self.offset) = (header.segment, BLOCK as u32);
        self.next = self.log.successor(header.segment);
        Ok(Vec::new())
    }

    /// Reads, checks and passes a frame that ends by `end` at the latest.
    fn frame(&mut self, end: u32) -> Result<Vec<Change>, Broken> {
        let start = u64::from(self.offset);
        let octets = self.window.read(self.medium, self.segment, start, HEADER)?;
        let header = match FrameHeader::decode(octets) {
            Ok(header) => header,
            Err(HeaderError::OtherVersion { version }) => {
                let file = self.segment;
                return Err(Broken::Failed(RecoveryError::OtherVersion { file, version }));
            }
            Err(_) if octets.is_empty() => {
                let what = "the file ends here".into();
                return Err(Stop { blank: true, ..Stop::new(what) }.into());
            }
            Err(error) => {
                let blank = error == HeaderError::Zeros;
                return Err(Stop { blank, ..Stop::new(error.to_string()) }.into());
            }
        };
        self.check_place(&header, end)?;
        let at = start + records_at(header.payload as usize) as u64;
        let wanted = header.records as usize;
        // A frame without records has a payload all the same.
        if at + wanted as u64 > self.log.segments[&self.segment].length {
            return Err(Stop::new("the file ends within this frame".into()).into());
        }
        let region = self.window.read(self.medium, self.segment, at, wanted)?;
        let records = decode_records(region, header.count).map_err(|error| match error {
            // Its checksum is right: somebody meant it.
            RecordError::Unknown { kind, version } => {
                let file = self.segment;
                Broken::Failed(RecoveryError::UnknownRecord { file, kind, version })
            }
            error => Stop::new(error.to_string()).into(),
        })?;
        self.uncovered.push_back((self.lsn, self.segment, self.offset));
        while self.uncovered.pop_front_if(|(lsn, ..)| proves(header.watermark, *lsn)).is_some() {}
        let (log, uncovered) = (self.log, &self.uncovered);
        let frame_of = |fragment: &Fragment| frame_of(log, uncovered, fragment);
        let changes = self.batches.take(records, self.lsn <= self.applied, &frame_of)?;
        self.offset += header.length;
        self.lsn = self.lsn.next();
        self.frames += 1;
        self.octets += u64::from(header.length);
        Ok(changes)
    }

    /// Whether the frame is the one that belongs here.
    fn check_place(&self, header: &FrameHeader, end: u32) -> Result<(), Stop> {
        let ours = header.epoch == self.log.epoch
            && header.log == self.log.id
            && header.salt == self.log.salt()
            && header.segment == self.segment;
        let what = if !ours {
            format!("a frame of another log or segment ({}) stands here", header.segment)
        } else if header.lsn != self.lsn {
            format!("frame {} stands here", header.lsn)
        } else if self.offset.checked_add(header.length).is_none_or(|after| after > end) {
            "the frame runs over the end of the segment".into()
        } else {
            return Ok(());
        };
        Err(Stop::new(what))
    }
}

/// The frame in which a fragment lies; `Lsn(0)` when it lies before all that are not covered.
fn frame_of(log: &Log, uncovered: &Uncovered, fragment: &Fragment) -> Lsn {
    let Some(&(_, segment, offset)) = uncovered.front() else { return Lsn(0) };
    let before = match fragment.segment == segment {
        true => fragment.offset < offset,
        false => log.ancestors(segment).contains_key(&fragment.segment),
    };
    let holds = |(_, own, offset): &&(Lsn, SegmentId, u32)| {
        *own == fragment.segment && *offset <= fragment.offset //
    };
    match before {
        true => Lsn(0),
        // One that lies nowhere proves nothing.
        false => uncovered.iter().rev().find(holds).map_or(Lsn(u64::MAX), |(lsn, ..)| *lsn),
    }
}

impl Stop {
    pub(super) fn new(what: String) -> Stop {
        Stop { what, blank: false, held_by: None, messages: Vec::new() }
    }

    pub(super) fn affecting(mut self, mailbox: MailboxId, messages: u32) -> Stop {
        self.messages.push((mailbox, messages));
        self
    }
}

impl From<Stop> for Broken {
    fn from(stop: Stop) -> Broken {
        Broken::Stop(stop)
    }
}

impl From<RecoveryError> for Broken {
    fn from(error: RecoveryError) -> Broken {
        Broken::Failed(error)
    }
}
