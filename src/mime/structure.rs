//! BODY and BODYSTRUCTURE (RFC 3501 section 7.4.2).

use bytes::BytesMut;

use super::Message;

pub(super) fn body_structure(_: &Message, _extended: bool, out: &mut BytesMut) {
    out.extend_from_slice(b"(\"text\" \"plain\" NIL NIL NIL \"7bit\" 0 0)");
}
