//! Messages and headers too long to hold in memory.

use super::program::Answers;
use super::scan::{Rests, Scan};
use crate::index::Found;
use crate::limits::{LARGE_LEASE, LARGE_MESSAGE as LARGE, MIME_HEADER, SEARCH_PIECE};
use crate::reactor::breathe;
use crate::session::fetch::head::Reader;
use crate::session::fetch::head::header_length;
use crate::session::fetch::section::{FieldNames, Filter};
use crate::session::session::Session;
use crate::session::trouble::Trouble;
use imap::mime::{TextSearch, TooLong};

/// The fields that SORT and THREAD read of a long header, how many bytes of each are kept, and
/// whether a longer field is an error. For fields that are compared, or whose first address counts,
/// the beginning is enough. References are needed completely; over [`LARGE`] they are refused.
const FIELDS: [(&str, usize, bool); 8] = [
    ("Date", 16 << 10, false),
    ("From", 64 << 10, false),
    ("To", 64 << 10, false),
    ("Cc", 64 << 10, false),
    ("Subject", 64 << 10, false),
    ("Message-ID", 16 << 10, false),
    ("References", LARGE as usize, true),
    ("In-Reply-To", 16 << 10, false),
];

/// Smallest piece of a message, in bytes, in which many strings are searched.
const PIECE: u64 = 64 << 10;

/// Buffers reused for every header.
#[derive(Default)]
pub(super) struct Headers {
    octets: Vec<u8>,
    names: Vec<FieldNames>,
}

impl Session {
    /// Evaluates the header keys on a header over [`LARGE`].
    pub(super) async fn ask_endless_header(
        &self,
        scan: &mut Scan<'_>,
        message: &Found,
        length: u64,
        answers: &mut Answers,
    ) -> Result<Option<bool>, Trouble> {
        if length > MIME_HEADER as u64 {
            return Err(TooLong.into());
        }
        // Release the lease before waiting for a turn.
        scan.reader.rest();
        let turn = self.home.offload.turn(self.user_name());
        let _turn = self.watch(&mut scan.rests.vigil, turn).await?;
        let mut header = Vec::new();
        scan.reader.copy(message, 0..length, &mut header).await?;
        let day = message.entry().date().date();
        self.ask_long_header(scan, header, day, answers).await
    }

    /// Searches a message over [`LARGE`] for the remaining strings, in one pass.
    pub(super) async fn ask_stream(
        &self,
        scan: &mut Scan<'_>,
        message: &Found,
        answers: &mut Answers,
    ) -> Result<bool, Trouble> {
        let (places, needles): (Vec<_>, Vec<_>) = scan.program.texts(answers).unzip();
        let piece = (SEARCH_PIECE / needles.len().max(1) as u64).clamp(PIECE, LARGE);
        let search = TextSearch::new(needles);
        let with = (&mut scan.reader, &mut scan.rests.vigil);
        let size = message.entry().size();
        let (search, _turn) = self.look_at(message, (size, piece), with, search).await?;
        Ok(scan.program.by_texts(places.into_iter().zip(search.found()), answers))
    }

    /// The header of a message. Of a header longer than a lease, only the fields that SORT and
    /// THREAD read.
    pub(super) async fn digest<'o>(
        &self,
        reader: &'o mut Reader<'_>,
        message: &Found,
        headers: &'o mut Headers,
        rests: &mut Rests,
    ) -> Result<&'o [u8], Trouble> {
        let Headers { octets, names } = headers;
        let length = header_length(reader, message, message.entry().size()).await?;
        if length <= LARGE_LEASE as u64 {
            return Ok(reader.start(message, length, octets).await?);
        }
        if names.is_empty() {
            let name = |(name, ..): (&str, usize, bool)| FieldNames::new(false, &[name.into()]);
            names.extend(FIELDS.map(name));
        }
        let mut filters: Vec<_> =
            names.iter().map(|name| (Filter::new(name), Vec::new())).collect();
        let mut at = 0;
        while at < length {
            let piece = reader.piece(message, at..length).await?;
            at += piece.len() as u64;
            for ((filter, kept), (_, most, whole)) in filters.iter_mut().zip(FIELDS) {
                let mut room = true;
                filter.feed(piece, |octets| {
                    let fits = octets.len().min(most - kept.len());
                    kept.extend_from_slice(&octets[..fits]);
                    room &= fits == octets.len();
                });
                if whole && !room {
                    return Err(TooLong.into());
                }
            }
            breathe().await;
            self.still_there(&mut rests.vigil)?;
        }
        octets.clear();
        for (_, mut kept) in filters {
            // The filter returns the final empty line too, if there was room for it.
            let ends: [&[u8]; 3] = [b"\n\r\r\n", b"\n\r\n", b"\n\n"];
            let end = ends.iter().find(|end| kept.ends_with(end)).map_or(0, |end| end.len() - 1);
            kept.truncate(kept.len() - end);
            if !kept.contains(&b':') {
                continue;
            }
            octets.extend(kept);
            if octets.last().is_some_and(|last| *last != b'\n') {
                octets.push(b'\n');
            }
        }
        Ok(octets)
    }
}
