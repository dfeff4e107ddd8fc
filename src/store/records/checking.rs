//! Checking the records of sealed segments and record files while the server runs.

use std::io;

use super::RecordFile;
use super::ending::end_of;
use super::source::{Expected, Source, Unusable};
use crate::store::format::{HEADER, SegmentId};
use crate::store::segments::Segments;

/// What is wrong with a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Flaw {
    /// Byte offset in it.
    pub offset: u64,
    /// What kind of flaw it is.
    pub kind: FlawKind,
    /// The same in words.
    pub what: String,
}

/// The kinds of flaws.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FlawKind {
    /// The octets are not those that were written.
    Wrong,
    /// There is no such file.
    Missing,
    /// The disk does not read them.
    Unreadable,
}

impl Flaw {
    /// Octets that are not those that were written.
    pub(in crate::store) fn wrong(offset: u64, what: String) -> Flaw {
        Flaw { offset, kind: FlawKind::Wrong, what }
    }

    /// From an error of the disk.
    pub(in crate::store) fn of(offset: u64, error: &io::Error) -> Flaw {
        match error.kind() {
            io::ErrorKind::NotFound => {
                Flaw { offset, kind: FlawKind::Missing, what: "the file is missing".into() }
            }
            _ => {
                let what = format!("the disk cannot read this: {error}");
                Flaw { offset, kind: FlawKind::Unreadable, what }
            }
        }
    }
}

/// The result of a step of a check.
#[derive(Debug)]
pub struct Step<F = Flaw> {
    /// Bytes that were read.
    pub read: u64,
    /// What is wrong in them.
    pub flaws: Vec<F>,
    /// Whether that was all.
    pub done: bool,
}

/// The check of the headers and records of a sealed segment, in steps. The file is open only within
/// a step, so that it can be given back in between.
#[derive(Debug)]
pub struct FrameCheck {
    segments: Segments,
    segment: SegmentId,
    end: u32,
    next: Option<Expected>,
}

impl FrameCheck {
    /// `None` when there is no sealed segment of this number.
    #[must_use]
    pub fn new(segments: &Segments, segment: SegmentId) -> Option<FrameCheck> {
        let end = end_of(segments, segment)?;
        Some(FrameCheck { segments: segments.clone(), segment, end, next: None })
    }

    /// Checks the next frames, until this many bytes were read. The flaws are true only if the
    /// segment is still sealed afterwards. Blocks.
    #[must_use]
    pub fn step(&mut self, most: u64) -> Step {
        let mut step = Step { read: 0, flaws: Vec::new(), done: false };
        if let Err(flaw) = self.go_on(most, &mut step) {
            step.flaws.push(flaw);
            step.done = true;
        }
        step
    }

    fn go_on(&mut self, most: u64, step: &mut Step) -> Result<(), Flaw> {
        let source = Source::open(&self.segments, self.segment).map_err(|e| Flaw::of(0, &e))?;
        let mut next = match self.next {
            Some(next) => next,
            None => Expected::first(&source.head(self.end).map_err(of_unusable)?),
        };
        let (end, mut records) = (u64::from(self.end), Vec::new());
        while next.offset < end && step.read < most {
            let length = match source.frame(next, &mut records) {
                Ok((_, frame)) => frame.length,
                Err(Unusable::Damaged { offset, what, skips: Some(length) }) => {
                    step.flaws.push(Flaw::wrong(offset, what));
                    length
                }
                Err(other) => return Err(of_unusable(other)),
            };
            step.read += (HEADER + records.len()) as u64;
            next = next.after(length);
        }
        if next.offset > end {
            return Err(Flaw::wrong(end, format!("its last frame should end at {end}")));
        }
        step.done = next.offset == end;
        self.next = Some(next);
        Ok(())
    }
}

fn of_unusable(unusable: Unusable) -> Flaw {
    match unusable {
        Unusable::Disk(offset, error) => Flaw::of(offset, &error),
        Unusable::Damaged { offset, what, .. } => Flaw::wrong(offset, what),
    }
}

/// Checks the record file of a segment. A flaw is true only if the segment still has that file
/// afterwards. Blocks.
#[must_use]
pub fn check_record_file(segments: &Segments, segment: SegmentId) -> Option<Flaw> {
    let flaw = RecordFile::open(segments, segment).and_then(|opened| match opened {
        Ok(file) => file.flaw(),
        Err(error) => Ok(Some(error)),
    });
    match flaw {
        Ok(flaw) => flaw.map(|error| Flaw::wrong(0, error.to_string())),
        Err(error) => Some(Flaw::of(0, &error)),
    }
}
