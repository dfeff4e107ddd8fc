//! The protocol extensions that a client has enabled.

use imap::protocol::response::Names;

/// Extensions enabled by ENABLE or by their use.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Enabled {
    /// MODSEQ is sent with flags (RFC 7162 section 3.1).
    pub condstore: bool,
    /// VANISHED replaces EXPUNGE, and responses have UIDs (RFC 7162 section 3.2).
    pub qresync: bool,
    /// Names and strings in UTF-8 (RFC 6855).
    pub utf8: bool,
    /// RFC 9051: mailbox names in UTF-8, ESEARCH, no `\Recent`.
    pub rev2: bool,
}

impl Enabled {
    /// Whether the client sends mailbox names in UTF-8.
    pub(super) fn utf8_names(self) -> bool {
        self.utf8 || self.rev2
    }

    /// Whether responses about changed messages have UIDs (RFC 7162 section 3.2.4, RFC 9051 section
    /// 6.1.2).
    pub(super) fn tells_uids(self) -> bool {
        self.qresync || self.rev2
    }

    /// The encoding of mailbox names in responses.
    pub(super) fn names(self) -> Names {
        if self.utf8_names() { Names::Utf8 } else { Names::Utf7 }
    }
}
