//! The data of a message that threads are built from.

use xxhash_rust::xxh3::xxh3_128;

use crate::mime::casemap;
use crate::mime::facts::{Dates, Keys, MessageId, Threads};
use crate::mime::header::dates::sent_date;
use crate::mime::header::fields::Fields;
use crate::mime::header::subject::base_subject;

/// A non-empty base subject as the hash of its casemap.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct SubjectId(u128);

/// A message as the thread algorithms see it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    /// Sequence number or UID.
    pub number: u32,
    /// From the Message-ID field.
    pub id: Option<MessageId>,
    /// The ancestors, eldest first: all of References, else the first of In-Reply-To.
    pub references: Vec<MessageId>,
    /// `None` if the base subject is empty.
    pub subject: Option<SubjectId>,
    /// Whether the subject marks a reply or a forward.
    pub is_reply: bool,
    /// The sent date (RFC 5256 section 2.2), in seconds since 1970-01-01T00:00:00Z.
    pub date: i64,
    /// The internal date, in seconds since 1970-01-01T00:00:00Z. REFS sorts threads by it.
    pub arrival: i64,
}

impl Message {
    /// Reads a header. Without a sent date, the internal date replaces it.
    #[must_use]
    pub fn of_header(number: u32, header: &[u8], internal_date: i64) -> Message {
        let Threads { id, references } = Threads::of_header(header);
        let subject = Fields::find(header, b"Subject").map(|field| field.value);
        let subject = base_subject(subject.unwrap_or_default());
        Message {
            number,
            id,
            references,
            subject: SubjectId::of_base(&subject.text),
            is_reply: subject.is_reply,
            date: sent_date(header).map_or(internal_date, |date| date.instant),
            arrival: internal_date,
        }
    }

    /// The same message as [`Message::of_header`], from what was read from its header before. The
    /// default replaces what an algorithm does not look at: ORDEREDSUBJECT at `threads`, REFS at
    /// `keys`.
    #[must_use]
    pub fn of_facts(
        number: u32,
        internal_date: i64,
        dates: Dates,
        keys: &Keys<'_>,
        threads: Threads,
    ) -> Message {
        Message {
            number,
            id: threads.id,
            references: threads.references,
            subject: SubjectId::of_casemap(&keys.subject),
            is_reply: keys.is_reply,
            date: dates.0.map_or(internal_date, |date| date.instant),
            arrival: internal_date,
        }
    }
}

impl SubjectId {
    /// The identifier of this base subject.
    #[must_use]
    pub fn of_base(text: &str) -> Option<SubjectId> {
        SubjectId::of_casemap(casemap(text).as_bytes())
    }

    /// The identifier of a base subject that is mapped already.
    fn of_casemap(text: &[u8]) -> Option<SubjectId> {
        (!text.is_empty()).then(|| SubjectId(xxh3_128(text)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mime::facts::message_ids;

    #[test]
    fn a_header_gives_a_message() {
        let header = b"References: junk\r\nIn-Reply-To: bob <a@b> <c@d>\r\nMessage-ID: <e@f>\r\n\
            Subject: Re: Hello\r\nDate: 2 Jan 1970 00:00:00 +0000\r\n\r\n";
        let message = Message::of_header(7, header, 1);
        let expected = Message {
            number: 7,
            id: message_ids(b"<e@f>").pop(),
            references: message_ids(b"<a@b>"),
            subject: SubjectId::of_base("hello"),
            is_reply: true,
            date: 86_400,
            arrival: 1,
        };
        assert_eq!(message, expected);
        let bare = Message::of_header(8, b"Subject: Re:\r\n", 5);
        assert_eq!((bare.id, bare.subject, bare.is_reply, bare.date), (None, None, true, 5));
    }
}
