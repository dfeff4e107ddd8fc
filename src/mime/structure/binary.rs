//! Parts without their transfer encoding (RFC 3516).

use std::borrow::Cow;

use super::section::find;
use crate::mime::Message;
use crate::mime::parts::Kind;
use crate::mime::transfer::Transfer;

/// Why there are no octets to give.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BinaryError {
    /// There is no such part: the answer is that of a section that is not there.
    NoSuchPart,
    /// Its Content-Transfer-Encoding is not known: `NO [UNKNOWN-CTE]`.
    UnknownEncoding,
    /// It reaches beyond the octets that were parsed (see `Message::parse_prefix`).
    TooLarge,
}

pub(in crate::mime) fn binary<'a>(
    message: &Message<'a>,
    numbers: &[u32],
) -> Result<Cow<'a, [u8]>, BinaryError> {
    let (_, part) = find(message, numbers).ok_or(BinaryError::NoSuchPart)?;
    let range = if numbers.is_empty() { 0..message.size } else { part.body.clone() };
    if range.end > message.octets.len() as u64 {
        return Err(BinaryError::TooLarge);
    }
    let body = message.slice(&range);
    if numbers.is_empty() || matches!(part.kind, Kind::Multipart | Kind::Message) {
        return Ok(body.into());
    }
    match part.transfer {
        Transfer::Unknown => Err(BinaryError::UnknownEncoding),
        known => Ok(known.decode(body)),
    }
}
