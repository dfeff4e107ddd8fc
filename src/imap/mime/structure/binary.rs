//! Parts without their transfer encoding (RFC 3516).

use std::ops::Range;

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
}

/// Where the octets stand, and how they are to be decoded.
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
