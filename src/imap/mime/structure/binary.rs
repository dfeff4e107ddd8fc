//! Parts without their transfer encoding (RFC 3516).

use std::borrow::Cow;
use std::ops::Range;

use super::section::find;
use crate::mime::message::Message;
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

impl<'a> Message<'a> {
    /// The octets of a part without its transfer encoding, for BINARY (RFC 3516). The message must
    /// be in memory. Without part numbers, the whole message.
    ///
    /// # Errors
    /// If there is no such part, or its encoding is unknown.
    pub fn binary(&self, part: &[u32]) -> Result<Cow<'a, [u8]>, BinaryError> {
        let (range, transfer) = self.encoded(part)?;
        Ok(transfer.decode(&self.octets[range.start as usize..range.end as usize]))
    }

    /// The range of a part, and how BINARY decodes it.
    ///
    /// # Errors
    /// If there is no such part, or its encoding is unknown.
    pub fn encoded(&self, numbers: &[u32]) -> Result<(Range<u64>, Transfer), BinaryError> {
        let (_, part) = find(self, numbers).ok_or(BinaryError::NoSuchPart)?;
        if numbers.is_empty() {
            return Ok((0..self.size, Transfer::Identity));
        }
        match (part.kind, part.transfer) {
            (Kind::Multipart | Kind::Message, _) => Ok((part.body.clone(), Transfer::Identity)),
            (_, Transfer::Unknown) => Err(BinaryError::UnknownEncoding),
            (_, known) => Ok((part.body.clone(), known)),
        }
    }
}
