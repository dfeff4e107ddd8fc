//! What may be spoiled so that it has to be noticed: frames of which others say that they were
//! durable.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use crate::limits::BLOCK;
use crate::log::{FrameHeader, SegmentHeader};
use crate::reactor::simulation::{Disk, Random};
use crate::types::{Epoch, LogId, Lsn};

/// A frame or the header of a segment.
struct Piece {
    path: PathBuf,
    offset: u64,
    length: u64,
    lsn: Lsn,
    watermark: Lsn,
}

type Logs = BTreeMap<(Epoch, LogId), Vec<Piece>>;

/// Spoils a sector of something that is provably durable; says which, or `None` when there was
/// nothing.
pub fn spoil(disk: &mut Disk, segments: &Path, random: &mut Random) -> Option<String> {
    let logs = logs(disk, segments);
    let newest = logs.keys().map(|(epoch, _)| *epoch).max()?;
    let mut choices = Vec::new();
    for ((epoch, _), pieces) in &logs {
        for (at, piece) in pieces.iter().enumerate() {
            let others = pieces.iter().enumerate().filter(|(other, _)| *other != at);
            let durable = others.map(|(_, other)| other.watermark).max().unwrap_or_default();
            if *epoch < newest || durable >= piece.lsn {
                choices.push(piece);
            }
        }
    }
    let piece = *choices.get(random.below(choices.len() as u64) as usize)?;
    // Half of the time where it hurts most: its header, or the records at its end.
    let offset = match random.below(4) {
        0 => piece.offset,
        1 => piece.offset + piece.length.saturating_sub(random.within(1, BLOCK as u64)),
        _ => piece.offset + random.below(piece.length),
    };
    let spoiled = disk.rot(&piece.path, offset, random).ok()?;
    spoiled.then(|| format!("{} at {offset}, frame {}", piece.path.display(), piece.lsn))
}

/// All frames that can be read, by their logs.
fn logs(disk: &Disk, segments: &Path) -> Logs {
    let mut logs = Logs::new();
    for (name, _) in disk.list(segments) {
        let path = segments.join(name);
        let Ok(octets) = disk.read(&path) else { continue };
        let Some(Ok(header)) = octets.get(..BLOCK).map(SegmentHeader::decode) else { continue };
        let log = logs.entry((header.epoch, header.log)).or_default();
        let (lsn, watermark) = (header.first_lsn, header.watermark);
        log.push(Piece { path: path.clone(), offset: 0, length: 512, lsn, watermark });
        let mut offset = BLOCK;
        while let Some(Ok(frame)) = octets.get(offset..).map(FrameHeader::decode) {
            if frame.salt != header.salt {
                break;
            }
            let length = u64::from(frame.length);
            let (lsn, watermark) = (frame.lsn, frame.watermark);
            log.push(Piece { path: path.clone(), offset: offset as u64, length, lsn, watermark });
            offset += frame.length as usize;
        }
    }
    logs
}
