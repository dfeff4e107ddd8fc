//! Parts without their transfer encoding (RFC 3516).

use std::ops::Range;

use super::section::find;
use crate::mime::Message;
use crate::mime::parts::Kind;
use crate::mime::transfer::Transfer;

/// Why a part cannot be decoded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BinaryError {
    /// There is no such part; answered as a missing section.
    NoSuchPart,
    /// Unknown Content-Transfer-Encoding: `NO [UNKNOWN-CTE]`.
    UnknownEncoding,
}

/// The range of a part, and how to decode it.
pub(in crate::mime) fn encoded(
    message: &Message<'_>,
    numbers: &[u32],
) -> Result<(Range<u64>, Transfer), BinaryError> {
    let (_, part) = find(message, numbers).ok_or(BinaryError::NoSuchPart)?;
    if numbers.is_empty() {
        return Ok((0..message.size, Transfer::Identity));
    }
    match (part.kind, part.transfer) {
        (Kind::Multipart | Kind::Message, _) => Ok((part.body.clone(), Transfer::Identity)),
        (_, Transfer::Unknown) => Err(BinaryError::UnknownEncoding),
        (_, known) => Ok((part.body.clone(), known)),
    }
}
