//! Finding frames after the first invalid one, where none should be.

use super::error::RecoveryError;
use super::medium::Medium;
use super::window::Window;
use crate::limits::BLOCK;
use crate::store::format::{FrameHeader, HEADER, SegmentId};

/// From the place of the expected frame on, and after every frame that is found, this many bytes
/// are searched block by block. Frames follow each other without a gap, so this is the longest
/// damaged stretch that is searched whole.
const DENSE: u64 = 16 << 20;

/// The same in a segment that had another use before. There is no further on: between old frames
/// and old mail no sample tells anything, and reading all of them would take a second for each log.
const DENSE_IN_NOISE: u64 = 64 << 20;

/// Further on, one block in this many bytes shows whether there is anything but the zeros that the
/// segment was prepared with. Reading all of them would take a second for each log.
const SPARSE: u64 = 8 << 20;

/// Bytes read at a time.
const AHEAD: usize = 1 << 20;

/// What the caller makes of a header that was found.
pub(super) enum Found {
    /// A frame of the log: continue after it.
    Frame,
    /// The image of a frame in a message, or the remains of one: continue inside it.
    Image,
    /// The search is over.
    Enough,
}

/// Calls `found` with every frame header in `segment` from `offset` on, and with its offset.
/// Returns whether `found` has had enough. `reused` says that the file had another use before.
pub(super) fn frames(
    medium: &dyn Medium,
    segment: SegmentId,
    (length, reused): (u64, bool),
    offset: u64,
    mut found: impl FnMut(&FrameHeader, u64) -> Found,
) -> Result<bool, RecoveryError> {
    let mut window = Window::new(AHEAD);
    let stretch = if reused { DENSE_IN_NOISE } else { DENSE };
    let mut at = offset;
    let mut dense = at + stretch;
    while at < length {
        if at >= dense {
            if reused {
                break;
            }
            let Some(trace) = trace(medium, segment, length, at)? else { break };
            at = trace;
            dense = at + stretch;
        }
        let header = FrameHeader::decode(window.read(medium, segment, at, HEADER)?).ok();
        match header.filter(|header| header.segment == segment).map(|h| (found(&h, at), h.length)) {
            Some((Found::Enough, _)) => return Ok(true),
            Some((Found::Frame, length)) => {
                at += u64::from(length);
                dense = at + stretch;
            }
            Some((Found::Image, _)) | None => at += BLOCK as u64,
        }
    }
    Ok(false)
}

/// Whether there are only zeros from `offset` on, as far as samples show.
pub(super) fn is_blank(
    medium: &dyn Medium,
    segment: SegmentId,
    length: u64,
    offset: u64,
) -> Result<bool, RecoveryError> {
    let mut window = Window::new(AHEAD);
    let near = window.read(medium, segment, offset, AHEAD)?;
    Ok(near.iter().all(|&o| o == 0) && trace(medium, segment, length, offset)?.is_none())
}

/// The offset, not before `offset`, from which on there may be something other than zeros.
fn trace(
    medium: &dyn Medium,
    segment: SegmentId,
    length: u64,
    offset: u64,
) -> Result<Option<u64>, RecoveryError> {
    let mut block = [0; BLOCK];
    let mut at = offset;
    while at < length {
        let read = medium.read_at(segment, at, &mut block);
        let read = read.map_err(RecoveryError::io(segment, at))?;
        if block[..read].iter().any(|&o| o != 0) {
            // The sample before this one was blank. What lies between is unknown.
            return Ok(Some(at.saturating_sub(SPARSE - BLOCK as u64).max(offset)));
        }
        at += SPARSE;
    }
    Ok(None)
}
