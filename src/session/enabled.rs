//! What of the protocol a client has asked for.

use imap::protocol::response::Names;

/// What a client has enabled, by ENABLE or by using it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Enabled {
    /// Mod-sequences are told along with flags (RFC 7162 section 3.1).
    pub condstore: bool,
    /// VANISHED instead of EXPUNGE, UIDs with all that is told (RFC 7162 section 3.2).
    pub qresync: bool,
    /// Names and strings in UTF-8 (RFC 6855).
    pub utf8: bool,
    /// RFC 9051: names in UTF-8, ESEARCH, nothing of `\Recent`.
    pub rev2: bool,
}

impl Enabled {
    /// Whether the client sends mailbox names in UTF-8.
    pub fn utf8_names(self) -> bool {
        self.utf8 || self.rev2
    }

    /// Whether news of a message come with its UID (RFC 7162 section 3.2.4, RFC 9051 section
    /// 6.1.2).
    pub fn tells_uids(self) -> bool {
        self.qresync || self.rev2
    }

    /// How mailbox names are told.
    pub fn names(self) -> Names {
        if self.utf8_names() { Names::Utf8 } else { Names::Utf7 }
    }
}
