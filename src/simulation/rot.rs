//! Damage that the server must notice: to frames that other frames prove durable.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use crate::limits::BLOCK;
use crate::reactor::simulation::{Disk, Random};
use crate::store::{Epoch, FrameHeader, HEADER, LogId, Lsn, SegmentHeader, frame};

/// A frame or the header of a segment.
struct Piece {
    path: PathBuf,
    offset: u64,
    length: u64,
    records_at: u64,
    records: u64,
    lsn: Lsn,
    watermark: Lsn,
}

type Logs = BTreeMap<(Epoch, LogId), Vec<Piece>>;

/// Damages a sector of a provably durable frame or header. Returns a description, or `None` if
/// there is none.
pub fn spoil(disk: &mut Disk, segments: &Path, random: &mut Random) -> Option<String> {
    let logs = logs(disk, segments);
    let newest = logs.keys().map(|(epoch, _)| *epoch).max()?;
    let mut choices = Vec::new();
    for ((epoch, _), pieces) in &logs {
        for (at, piece) in pieces.iter().enumerate() {
            let others = pieces.iter().enumerate().filter(|(other, _)| *other != at);
            let durable = others.map(|(_, other)| other.watermark).max().unwrap_or_default();
            if *epoch < newest || durable >= piece.lsn {
                choices.push((piece, durable, *epoch, newest));
            }
        }
    }
    let (piece, durable, epoch, newest) = *choices.get(random.below(choices.len()))?;
    // Octets of mail only in logs of older epochs, which are known to be complete. In the newest
    // epoch, a message may continue in an unproven frame, and could just as well be torn there.
    let offset = match random.below(4) {
        0 => piece.offset,
        1 if piece.records > 0 => piece.records_at + random.below(piece.records as usize) as u64,
        _ if epoch < newest => piece.offset + random.below(piece.length as usize) as u64,
        _ => piece.offset + random.below(HEADER.min(piece.length as usize)) as u64,
    };
    let spoiled = disk.rot(&piece.path, offset, random).ok()?;
    let Piece { path, lsn, .. } = piece;
    spoiled.then(|| {
        format!(
            "{} at {offset}, frame {lsn} of epoch {epoch}; frames up to {durable} are proven, \
             the newest epoch is {newest}",
            path.display()
        )
    })
}

/// All readable frames and headers, by log.
fn logs(disk: &Disk, segments: &Path) -> Logs {
    let mut logs = Logs::new();
    for (name, _) in disk.list(segments) {
        let path = segments.join(name);
        let Ok(octets) = disk.read(&path) else { continue };
        let Some(Ok(header)) = octets.get(..BLOCK).map(SegmentHeader::decode) else { continue };
        let log = logs.entry((header.epoch, header.log)).or_default();
        let (lsn, watermark, salt) = (header.first_lsn, header.watermark, header.salt);
        let (offset, length, records_at, records) = (0, 96, 0, 0);
        log.push(Piece { path: path.clone(), offset, length, records_at, records, lsn, watermark });
        let mut offset = BLOCK;
        while let Some(Ok(header)) = octets.get(offset..).map(FrameHeader::decode) {
            if header.salt != salt {
                break;
            }
            let length = u64::from(header.length);
            let (lsn, watermark) = (header.lsn, header.watermark);
            let (path, at) = (path.clone(), offset as u64);
            let records_at = at + frame::records_at(header.payload as usize) as u64;
            let records = u64::from(header.records);
            log.push(Piece { path, offset: at, length, records_at, records, lsn, watermark });
            offset += header.length as usize;
        }
    }
    logs
}
