//! Parts without their transfer encoding (RFC 3516).

use std::borrow::Cow;

use super::Message;

/// Why there are no octets to give.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BinaryError {
    /// There is no such part: the answer is NIL.
    NoSuchPart,
    /// Its Content-Transfer-Encoding is not known: `NO [UNKNOWN-CTE]`.
    UnknownEncoding,
    /// It reaches beyond the octets that were parsed (see `Message::parse_prefix`).
    TooLarge,
}

pub(super) fn binary<'a>(
    message: &Message<'a>,
    part: &[u32],
) -> Result<Cow<'a, [u8]>, BinaryError> {
    if part.is_empty() { Ok(message.octets.into()) } else { Err(BinaryError::NoSuchPart) }
}
