//! The FETCH items that the index answers alone.

use bytes::BytesMut;

use crate::index::{Entry, KeywordSet, Keywords};
use crate::session::enabled::Enabled;
use crate::session::selected::Selected;
use imap::protocol::FetchItem;
use imap::protocol::response::{FetchResponse, message_flags};
use imap::types::{Flags, InternalDate, Keyword};

/// Writes the items of one message after another.
pub(super) struct Items {
    /// The client does not want `\Recent` (RFC 9051 appendix E).
    without_recent: bool,
    /// The flags of the previous message, and their text: most messages have the same flags.
    flags: Option<(Flags, KeywordSet, bool)>,
    written: BytesMut,
}

impl Items {
    /// Items for a client with these extensions enabled.
    pub(super) fn new(enabled: Enabled) -> Items {
        Items { without_recent: enabled.rev2, flags: None, written: BytesMut::new() }
    }

    /// Starts the response for a message, and writes the items that the index answers.
    pub(super) fn begin(
        &mut self,
        out: &mut BytesMut,
        number: u32,
        entry: Entry<'_>,
        items: &[FetchItem],
        (keywords, selected): (&Keywords, &Selected),
    ) -> FetchResponse {
        let mut answer = FetchResponse::begin(out, number);
        for item in items {
            match item {
                FetchItem::Uid => answer.uid(out, entry.uid()),
                FetchItem::Flags => {
                    let recent = !self.without_recent && selected.shown.is_recent(entry.uid());
                    let flags = self.flags(entry, recent, keywords);
                    answer.written(out, "FLAGS", flags);
                }
                FetchItem::InternalDate => answer.internal_date(out, entry.date()),
                FetchItem::Size => answer.size(out, entry.size()),
                FetchItem::ModSeq => {
                    selected.heard.tells(entry.modseq());
                    answer.modseq(out, entry.modseq());
                }
                FetchItem::EmailId => {
                    answer.email_id(out, &entry.email_id().to_string());
                }
                FetchItem::ThreadId => answer.thread_id(out, None),
                FetchItem::SaveDate => {
                    answer.save_date(out, Some(InternalDate::from_unix(entry.save_date())));
                }
                _ => {}
            }
        }
        answer
    }

    fn flags(&mut self, entry: Entry<'_>, recent: bool, keywords: &Keywords) -> &[u8] {
        let flags = (entry.flags(), entry.keywords(), recent);
        if self.flags != Some(flags) {
            self.flags = Some(flags);
            self.written.clear();
            let names = keywords.of(flags.1).map(Keyword::as_str);
            message_flags(&mut self.written, flags.0, names, recent);
        }
        &self.written
    }
}
