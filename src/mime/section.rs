//! Sections of a message (RFC 3501 section 6.4.5).

use std::ops::Range;

use super::Message;
use crate::protocol::SectionText;

pub(super) fn section(
    message: &Message,
    part: &[u32],
    text: Option<&SectionText>,
) -> Option<Range<u64>> {
    (part.is_empty() && text.is_none()).then_some(0..message.size)
}
