//! `mailrace inspect`: prints segments, frames and records for a person. Never mail.

mod records;

use std::collections::BTreeMap;
use std::fmt::Write;
use std::io;
use std::path::PathBuf;

use super::error::{ToolError, say};
use crate::index::check_snapshot;
use crate::limits::BLOCK;
use crate::store::{
    FrameHeader, HEADER, HeaderError, Medium, SegmentHeader, SegmentId, StoredSegments,
    decode_records, frame,
};
use imap::types::InternalDate;

/// Bytes that are searched for the next frame at a time.
const SEARCHED: usize = 1 << 20;

/// What `inspect` prints.
#[derive(Clone, Debug)]
pub struct InspectOptions {
    /// The data folder.
    pub data: PathBuf,
    /// One segment, by number or file name; all without it.
    pub segment: Option<String>,
    /// Also the frames.
    pub frames: bool,
    /// Also the records.
    pub records: bool,
}

struct Inspected<'o> {
    medium: StoredSegments,
    lengths: BTreeMap<SegmentId, u64>,
    headers: BTreeMap<SegmentId, SegmentHeader>,
    options: &'o InspectOptions,
}

/// Prints what the options ask for.
///
/// # Errors
/// When the folder cannot be read, or has no such segment. Damage is printed.
pub fn run(options: &InspectOptions) -> Result<(), ToolError> {
    let folder = options.data.join("segments");
    let medium = StoredSegments::at(&folder);
    let listed = medium.segments().map_err(|error| ToolError::Io {
        doing: format!("cannot read {}", folder.display()),
        error,
    })?;
    // A record file that cannot be read is shown below.
    let end = |(segment, length)| (segment, medium.end(segment, length).unwrap_or(length));
    let lengths: BTreeMap<_, _> = listed.into_iter().map(end).collect();
    let wanted = options.segment.as_deref().map(|text| number(text, &lengths)).transpose()?;
    let mut all = Inspected { medium, lengths, headers: BTreeMap::new(), options };
    for &segment in all.lengths.keys() {
        if let Ok(Ok(header)) = all.header(segment) {
            all.headers.insert(segment, header);
        }
    }
    for &segment in all.lengths.keys().filter(|one| wanted.is_none_or(|wanted| wanted == **one)) {
        say(&all.segment(segment))?;
        if options.frames {
            all.frames(segment)?;
        }
    }
    if wanted.is_none() {
        match check_snapshot(&options.data) {
            Ok(None) => {}
            Ok(Some(number)) => say(&format!("snapshot {number} of the catalog: whole\n"))?,
            Err(error) => say(&format!("snapshot of the catalog: DAMAGED: {error}\n"))?,
        }
    }
    Ok(())
}

/// The segment that an argument names.
fn number(text: &str, lengths: &BTreeMap<SegmentId, u64>) -> Result<SegmentId, ToolError> {
    let name = text.rsplit('/').next().unwrap_or(text);
    let stem = name.strip_suffix(".seg").or_else(|| name.strip_suffix(".rec"));
    let number = stem.unwrap_or(name).parse().map(SegmentId);
    number.ok().filter(|segment| lengths.contains_key(segment)).ok_or_else(|| {
        ToolError::Usage(format!(
            "no segment {text}; `mailrace inspect` without a segment lists all"
        ))
    })
}

impl Inspected<'_> {
    fn header(&self, segment: SegmentId) -> io::Result<Result<SegmentHeader, HeaderError>> {
        let mut block = [0; BLOCK];
        let read = self.medium.read_at(segment, 0, &mut block)?;
        let flaw = if read == 0 { self.medium.flaw(segment)? } else { None };
        Ok(flaw.map_or_else(|| SegmentHeader::decode(&block[..read]), Err))
    }

    /// What the header of a segment says, in one line.
    fn segment(&self, segment: SegmentId) -> String {
        let length = self.lengths.get(&segment).copied().unwrap_or_default();
        let stripped = self.medium.is_stripped(segment);
        let mut line = match stripped {
            true => format!("{}: of {length} bytes", segment.record_file_name()),
            false => format!("{}: {length} bytes", segment.file_name()),
        };
        let header = match self.header(segment) {
            Ok(Ok(header)) => header,
            Ok(Err(HeaderError::Ready(ready))) => {
                let behind = if ready.reused { "an earlier use" } else { "zeros" };
                return line + &format!(", ready, {behind} behind its header\n");
            }
            Ok(Err(error)) => return line + &format!(", DAMAGED header: {error}\n"),
            Err(error) => return line + &format!(", UNREADABLE: {error}\n"),
        };
        let next = self
            .headers
            .values()
            .find(|next| next.previous.is_some_and(|(previous, _)| previous == segment));
        let newest = self.headers.values().map(|header| header.epoch).max();
        let state = match next {
            _ if stripped => "stripped",
            None if Some(header.epoch) == newest => "last of its log",
            _ => "sealed",
        };
        let last = next.map_or_else(|| self.last(segment, &header), |next| next.first_lsn.0 - 1);
        let SegmentHeader { epoch, log, logs, first_lsn, watermark, size, .. } = header;
        let _ = write!(line, ", epoch {epoch}, log {log} of {logs}, {state}");
        let _ = match last < first_lsn.0 {
            true => write!(line, ", no frames"),
            false => write!(line, ", frames {first_lsn} to {last}"),
        };
        let _ = write!(line, ", watermark {watermark}");
        let _ = match header.previous {
            Some((previous, end)) => write!(line, ", after segment {previous} up to byte {end}"),
            None => write!(line, ", first of its log"),
        };
        let created = InternalDate::from_unix(header.created.try_into().unwrap_or_default());
        let _ = write!(line, ", prepared with {size} bytes, in use since {created}");
        if header.segment != segment {
            let _ = write!(line, ", DAMAGED: the header is that of segment {}", header.segment);
        }
        line.push('\n');
        line
    }

    /// The last frame that can be reached from the beginning of a segment.
    fn last(&self, segment: SegmentId, header: &SegmentHeader) -> u64 {
        let (mut at, mut last) = (BLOCK as u64, header.first_lsn.0.saturating_sub(1));
        while let Ok(Ok(frame)) = self.frame(segment, at)
            && frame.salt == header.salt
        {
            last = frame.lsn.0;
            at += u64::from(frame.length);
        }
        last
    }

    /// The header of the frame at this offset, if it belongs to this segment.
    fn frame(&self, segment: SegmentId, at: u64) -> io::Result<Result<FrameHeader, HeaderError>> {
        let mut octets = [0; HEADER];
        let read = self.medium.read_at(segment, at, &mut octets)?;
        Ok(frame_of(segment, &octets[..read]))
    }

    /// Prints the frames of a segment, and names the places where there should be some.
    fn frames(&self, segment: SegmentId) -> Result<(), ToolError> {
        let length = self.lengths.get(&segment).copied().unwrap_or_default();
        let mut at = BLOCK as u64;
        while at < length {
            let why = match self.frame(segment, at) {
                Ok(Ok(frame)) => {
                    say(&self.describe(segment, at, &frame))?;
                    at += u64::from(frame.length);
                    continue;
                }
                Ok(Err(why)) => why.to_string(),
                Err(error) => error.to_string(),
            };
            let (next, blank) = self.search(segment, at, length);
            if let Some(next) = next {
                say(&format!("  {at}: DAMAGED up to byte {next}: {why}\n"))?;
                at = next;
                continue;
            }
            let rest = length - at;
            return say(&match blank {
                true => format!("  {at}: unused, {rest} bytes of zeros\n"),
                false => format!("  {at}: no frame up to the end, {rest} bytes: {why}\n"),
            });
        }
        Ok(())
    }

    /// The next frame after an invalid one, and whether there are only zeros before it.
    fn search(&self, segment: SegmentId, from: u64, length: u64) -> (Option<u64>, bool) {
        let (mut octets, mut blank) = (vec![0; SEARCHED], true);
        let mut at = from;
        while at < length {
            // Blocks that cannot be read have no frame.
            let Ok(read) = self.medium.read_at(segment, at, &mut octets) else {
                (blank, at) = (false, at + BLOCK as u64);
                continue;
            };
            for (number, block) in octets[..read].chunks(BLOCK).enumerate() {
                let here = at + (number * BLOCK) as u64;
                if here > from && frame_of(segment, block).is_ok() {
                    return (Some(here), blank);
                }
                blank &= block.iter().all(|&octet| octet == 0);
            }
            at += SEARCHED as u64;
        }
        (None, blank)
    }

    /// A frame in one line, and its records in further ones.
    fn describe(&self, segment: SegmentId, at: u64, frame: &FrameHeader) -> String {
        let FrameHeader { lsn, watermark, stream, position, length, payload, count, .. } = frame;
        let mut text = format!(
            "  {at}: frame {lsn}, {length} bytes, {payload} of them payload, {count} records, \
             watermark {watermark}, batch {stream} frame {position}"
        );
        let ours = self.headers.get(&segment);
        if ours.is_some_and(|ours| (ours.salt, ours.log) != (frame.salt, frame.log)) {
            text.push_str(", DAMAGED: a frame of another log");
        }
        text.push('\n');
        if self.options.records && frame.count > 0 {
            let start = at + frame::records_at(frame.payload as usize) as u64;
            let mut region = vec![0; frame.records as usize];
            let read = self.medium.read_at(segment, start, &mut region);
            match read.map(|read| decode_records(&region[..read], frame.count)) {
                Ok(Ok(all)) => all.iter().for_each(|record| records::describe(record, &mut text)),
                Ok(Err(error)) => drop(writeln!(text, "    DAMAGED records: {error}")),
                Err(error) => drop(writeln!(text, "    UNREADABLE records: {error}")),
            }
        }
        text
    }
}

fn frame_of(segment: SegmentId, octets: &[u8]) -> Result<FrameHeader, HeaderError> {
    let frame = FrameHeader::decode(octets)?;
    if frame.segment != segment {
        return Err(HeaderError::Field("segment"));
    }
    Ok(frame)
}
