//! Finds the end of a message's header.

use crate::index::Found;
use crate::store::{self, ReadError};
use imap::protocol::HeaderScanner;

/// Reads the octets of messages for one command.
pub(in crate::session) type Reader<'a> = store::Reader<'a, Found>;

/// Octets read of a message when only its header is needed. Nearly all headers are shorter.
pub(in crate::session) const HEAD: u64 = 8 << 10;

/// The length of the header of the current message, including the empty line; `limit` if the header
/// is longer.
pub(in crate::session) async fn header_length(
    reader: &mut Reader<'_>,
    message: &Found,
    limit: u64,
) -> Result<u64, ReadError> {
    let (mut scanner, mut at, reach) = (HeaderScanner::new(), 0, reader.reach());
    while at < limit {
        // Many headers end within the octets that are read ahead anyway.
        let to = if at < reach { reach.min(limit) } else { limit };
        let piece = reader.piece(message, at..to).await?;
        at += piece.len() as u64;
        if let Some(length) = scanner.feed(piece) {
            return Ok(length);
        }
    }
    Ok(at)
}
