//! What a copy of the logs consists of at one moment, also while a server writes them.
//!
//! Only the newest epoch is written to. In each of its logs the copy takes a *prefix*: the frames
//! from the beginning up to the first one that is not there yet. A frame that is acknowledged is on
//! the disk before its OK is sent, and so is every frame before it. So the prefix has everything
//! that was acknowledged before it was looked for.
//!
//! The end of the prefix is found first, and the octets are copied afterwards, up to that end and
//! not beyond. The order matters, because the payload of a frame has no checksum of its own:
//!
//! ```text
//! look      ... 7 8 9 │            9 is being written: its header is there, its payload in part
//! server        ... 9 10           10 has watermark 9: 9 is durable
//! copy      ... 7 8 9 │            10 is left out, although it is there by now
//! ```
//!
//! If a frame in the prefix has a watermark, what that covers was durable before the end was found,
//! and is whole when it is copied. All else in the prefix may be torn, as after a power loss, and
//! recovery cuts it off. With frame 10 and an older image of frame 9, recovery would rightly call
//! frame 9 damaged.
//!
//! Record files are listed before the segments, and once more after them:
//!
//! ```text
//! server   octets of N to M ── N.rec gets its name ── N.seg is used again ── N.rec is dropped
//! copy            │ N.rec is listed: M was there before, so it is among the segments
//!                 │ N.rec is listed only after the segments: M may be missing, all is done again
//!                 │ N.rec is in neither list: N.seg is there, or gone when it is to be copied
//! ```
//!
//! So octets that were moved out of a stripped segment lie in the prefix of their log. If a file is
//! gone when it is to be copied, all of this is done again.
//!
//! What a snapshot of the catalog covers may be dropped at any time. The caller looks for the
//! newest snapshot before this, and again afterwards. If it is the same one, then what is missing
//! here is in it; and its positions lie within the prefixes, because it was there before them.

use std::collections::{BTreeMap, VecDeque};
use std::io;
use std::path::Path;
use std::thread;
use std::time::Duration;

use super::error::RecoveryError;
use super::medium::{Medium, StoredSegments};
use super::search::{self, Found};
use super::survey::{first_frame, header_of};
use super::window::Window;
use super::{check_versions, verdict::proves};
use crate::limits::BLOCK;
use crate::reactor::fault::{Fault, made};
use crate::store::format::{
    Epoch, FrameHeader, HEADER, HeaderError, LogId, Lsn, SegmentHeader, SegmentId, decode_records,
    records_at,
};
use crate::store::segments::Segments;

/// Bytes read at a time.
const AHEAD: usize = 64 << 10;

/// How often, and with what pause, an invalid header is read again. A server writes frames before
/// the header of their segment, and a read amid a write may see a part of it.
const TRIES: u32 = if cfg!(test) { 1 } else { 20 };
const PAUSE: Duration = Duration::from_millis(10);

/// The files of a consistent copy.
#[derive(Debug, Default)]
pub struct LogImage {
    /// In the order of their numbers.
    pub files: Vec<ImageFile>,
    /// Where the logs of the newest epoch end in the copy.
    pub ends: Vec<ImageEnd>,
    /// The newest epoch; 0 if there is no log.
    pub epoch: Epoch,
    /// What is damaged. Such files are copied as they are.
    pub damaged: Vec<String>,
}

/// A file of the copy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ImageFile {
    /// Its segment.
    pub segment: SegmentId,
    /// What it is.
    pub part: ImagePart,
    /// How many bytes of it are needed.
    pub length: u64,
}

/// How much of a segment there is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ImagePart {
    /// Its record file.
    Records,
    /// All of it is durable and never changes.
    Complete,
    /// A server may write behind the bytes that are needed. Recovery may cut the file there, so it
    /// must not be linked.
    Open {
        /// Up to here, the file never changes.
        durable: u64,
    },
    /// It is damaged.
    Damaged,
}

/// The last frame of a log in the copy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ImageEnd {
    /// The log's epoch.
    pub epoch: Epoch,
    /// Its number.
    pub log: LogId,
    /// The last frame; 0 if there is none.
    pub lsn: Lsn,
    /// The segment in which the log ends, and the offset.
    pub segment: SegmentId,
    /// See `segment`.
    pub offset: u64,
}

/// Looks at the logs in this folder of segments.
///
/// # Errors
/// Those of the disk; with [`io::ErrorKind::NotFound`] if a file went meanwhile: try again. And
/// [`RecoveryError::OtherVersion`].
pub fn image(folder: &Path) -> Result<LogImage, RecoveryError> {
    let segments = Segments::at(folder);
    let medium = StoredSegments::new(segments.clone());
    check_versions(&medium)?;
    let list_records = || -> Result<BTreeMap<_, _>, RecoveryError> {
        let listed = segments.list_record_files().map_err(RecoveryError::io(None, 0))?;
        Ok(listed.into_iter().collect())
    };
    let records = list_records()?;
    let lengths = medium.segments().map_err(RecoveryError::io(None, 0))?;
    if list_records()? != records {
        return Err(RecoveryError::io(None, 0)(io::ErrorKind::NotFound.into()));
    }
    let record_length = |segment| records.get(&segment).copied().unwrap_or_default();
    let mut image = LogImage::default();
    let mut headers = Vec::new();
    for (segment, length) in lengths {
        match look(&medium, segment)? {
            Looked::Ready => {}
            Looked::Header(header) => headers.push((header, length)),
            Looked::Nothing(why) => {
                image.damaged.push(format!("{}: {why}", name(&medium, segment)));
                let stripped = medium.is_stripped(segment);
                let part = if stripped { ImagePart::Records } else { ImagePart::Damaged };
                let length = if stripped { record_length(segment) } else { length };
                image.files.push(ImageFile { segment, part, length });
            }
        }
    }
    image.epoch = headers.iter().map(|(header, _)| header.epoch).max().unwrap_or_default();
    let mut logs: BTreeMap<LogId, Vec<(SegmentHeader, u64)>> = BTreeMap::new();
    for (header, length) in headers {
        let segment = header.segment;
        if medium.is_stripped(segment) {
            let length = record_length(segment);
            image.files.push(ImageFile { segment, part: ImagePart::Records, length });
        }
        if header.epoch == image.epoch {
            logs.entry(header.log).or_default().push((header, length));
        } else if !medium.is_stripped(segment) {
            image.files.push(ImageFile { segment, part: ImagePart::Complete, length });
        }
    }
    for mut log in logs.into_values() {
        log.sort_by_key(|(header, _)| (header.first_lsn, header.segment));
        Prefix { medium: &medium, image: &mut image }.of(&log)?;
    }
    image.files.sort_by_key(|file| file.segment);
    if made(Fault::BackupWithoutRecords) {
        let newest = image.files.iter().rposition(|file| file.part == ImagePart::Records);
        newest.map(|newest| image.files.remove(newest));
    }
    Ok(image)
}

fn name(medium: &StoredSegments, segment: SegmentId) -> String {
    match medium.is_stripped(segment) {
        true => segment.record_file_name(),
        false => segment.file_name(),
    }
}

enum Looked {
    Header(SegmentHeader),
    Ready,
    Nothing(HeaderError),
}

/// The header of a segment, read again if a server may be about to write it.
fn look(medium: &StoredSegments, segment: SegmentId) -> Result<Looked, RecoveryError> {
    let mut tried = 0;
    loop {
        let why = match header_of(medium, segment)? {
            Ok(header) if header.segment == segment => return Ok(Looked::Header(header)),
            Ok(_) => HeaderError::Field("segment"),
            Err(HeaderError::Ready(_)) if first_frame(medium, segment)? != Some(segment) => {
                return Ok(Looked::Ready);
            }
            Err(why) => why,
        };
        tried += 1;
        if medium.is_stripped(segment) || tried == TRIES {
            return Ok(Looked::Nothing(why));
        }
        thread::sleep(PAUSE);
    }
}

/// Finds the prefix of a log.
struct Prefix<'a> {
    medium: &'a StoredSegments,
    image: &'a mut LogImage,
}

/// How far a walk through one segment has come.
struct Walked {
    offset: u64,
    /// The next frame.
    lsn: Lsn,
    /// Up to here, frames are known to be durable.
    durable: u64,
    /// The highest watermark seen.
    watermark: Lsn,
}

impl Prefix<'_> {
    /// The segments of a log in order, each with the length of its file.
    fn of(&mut self, log: &[(SegmentHeader, u64)]) -> Result<(), RecoveryError> {
        let headers = log.iter().map(|(header, _)| header);
        let proven = headers.map(|header| header.watermark).max().unwrap_or_default();
        // A segment is stripped only when everything before it is durable. One that is missing was
        // stripped, and its records were dropped.
        let was_left = |at: usize| {
            let (header, before) =
                (&log[at].0, at.checked_sub(1).map(|before| log[before].0.segment));
            let follows = header.previous.map(|(segment, _)| segment) == before;
            self.medium.is_stripped(header.segment) || before.is_some() && !follows
        };
        let settled = (0..log.len()).rev().find(|&at| was_left(at)).unwrap_or_default();
        for (at, &(header, length)) in log.iter().enumerate() {
            let segment = header.segment;
            let next = log.get(at + 1).map(|(next, _)| next);
            let left = next.and_then(|next| next.previous.filter(|left| left.0 == segment));
            let stripped = self.medium.is_stripped(segment);
            let durable = at < settled || next.is_some_and(|next| next.first_lsn.0 <= proven.0 + 1);
            if stripped || durable {
                if !stripped {
                    let length = left.map_or(length, |left| length.min(left.1.into()));
                    self.add(segment, ImagePart::Complete, length);
                }
                if next.is_none() {
                    self.end(&header, length, header.first_lsn);
                }
                continue;
            }
            let end = left.map_or(length, |left| length.min(left.1.into()));
            let walked = self.walk(&header, end, proven)?;
            let goes_on = left.is_some() && walked.offset == end;
            if !goes_on && self.is_damaged(&header, length, &walked)? {
                let at = walked.offset;
                let what = format!("{} is damaged at byte {at}", segment.file_name());
                self.image.damaged.push(what);
                self.add(segment, ImagePart::Damaged, length);
                self.end(&header, walked.offset, walked.lsn);
                continue;
            }
            let durable = walked.durable;
            self.add(segment, ImagePart::Open { durable }, walked.offset);
            if !goes_on {
                self.end(&header, walked.offset, walked.lsn);
                // What follows was not acknowledged when this began.
                break;
            }
        }
        Ok(())
    }

    fn add(&mut self, segment: SegmentId, part: ImagePart, length: u64) {
        self.image.files.push(ImageFile { segment, part, length });
    }

    fn end(&mut self, header: &SegmentHeader, offset: u64, next: Lsn) {
        let SegmentHeader { epoch, log, segment, .. } = *header;
        let lsn = Lsn(next.0.saturating_sub(1));
        self.image.ends.retain(|end| end.log != log);
        self.image.ends.push(ImageEnd { epoch, log, lsn, segment, offset });
    }

    /// Reads frames up to `end`, or to the first that is not there.
    fn walk(&self, header: &SegmentHeader, end: u64, proven: Lsn) -> Result<Walked, RecoveryError> {
        let start = BLOCK as u64;
        let mut walked =
            Walked { offset: start, lsn: header.first_lsn, durable: start, watermark: proven };
        let (mut window, mut uncovered) = (Window::new(AHEAD), VecDeque::new());
        while walked.offset < end
            && let Some(frame) = self.frame(&mut window, header, &walked, end)?
        {
            walked.offset += u64::from(frame.length);
            uncovered.push_back((walked.lsn, walked.offset));
            walked.lsn = walked.lsn.next();
            walked.watermark = walked.watermark.max(frame.watermark);
            while let Some((_, offset)) =
                uncovered.pop_front_if(|(lsn, _)| proves(walked.watermark, *lsn))
            {
                walked.durable = offset;
            }
        }
        Ok(walked)
    }

    /// The frame that belongs here, if it is there.
    fn frame(
        &self,
        window: &mut Window,
        header: &SegmentHeader,
        walked: &Walked,
        end: u64,
    ) -> Result<Option<FrameHeader>, RecoveryError> {
        let (segment, offset) = (header.segment, walked.offset);
        let octets = window.read(self.medium, segment, offset, HEADER)?;
        let Ok(frame) = FrameHeader::decode(octets) else { return Ok(None) };
        let ours = frame.epoch == header.epoch
            && frame.log == header.log
            && frame.salt == header.salt
            && frame.segment == segment
            && frame.lsn == walked.lsn
            && offset + u64::from(frame.length) <= end;
        if !ours {
            return Ok(None);
        }
        let at = offset + records_at(frame.payload as usize) as u64;
        let records = window.read(self.medium, segment, at, frame.records as usize)?;
        Ok(decode_records(records, frame.count).is_ok().then_some(frame))
    }

    /// Whether the frame at which a walk has ended was durable, and is still invalid.
    fn is_damaged(
        &self,
        header: &SegmentHeader,
        length: u64,
        walked: &Walked,
    ) -> Result<bool, RecoveryError> {
        let mut proven = proves(walked.watermark, walked.lsn);
        let (segment, from) = (header.segment, walked.offset);
        search::frames(self.medium, segment, (length, header.reused), from, |frame, _| {
            if frame.salt != header.salt {
                return Found::Image;
            }
            proven |= proves(frame.watermark, walked.lsn);
            if proven { Found::Enough } else { Found::Frame }
        })?;
        // A server may have written it in the meantime.
        let there = || self.frame(&mut Window::new(AHEAD), header, walked, length);
        Ok(proven && there()?.is_none())
    }
}

impl RecoveryError {
    /// Whether a file that was listed was gone when it was read.
    #[must_use]
    pub fn is_vanished(&self) -> bool {
        matches!(self, RecoveryError::Io { error, .. } if error.kind() == io::ErrorKind::NotFound)
    }
}
