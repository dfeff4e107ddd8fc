//! Response codes.

use bytes::BytesMut;

use crate::types::{Keyword, ModSeq, Uid, UidRange, UidValidity};

use super::{all_flags, flag_list, put, separated, sequence_set, uid_set};

/// The machine-readable part of a status response, in brackets before the text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Code<'a> {
    /// The client must show the text to the user (RFC 3501).
    Alert,
    /// The mailbox already exists (RFC 5530).
    AlreadyExists,
    /// UIDs of the appended messages, in the order sent (RFC 4315).
    AppendUid {
        /// UIDVALIDITY of the mailbox.
        validity: UidValidity,
        /// The UIDs.
        uids: &'a [UidRange],
    },
    /// User name or password is wrong (RFC 5530).
    AuthenticationFailed,
    /// The credentials are right, but this login is not allowed (RFC 5530).
    AuthorizationFailed,
    /// Unknown charset; these are known (RFC 3501).
    BadCharset(&'a [&'a str]),
    /// The capabilities, as in the response to CAPABILITY (RFC 3501).
    Capability(&'a str),
    /// The operation can never succeed (RFC 5530).
    Cannot,
    /// The client misbehaves (RFC 5530).
    ClientBug,
    /// The previous mailbox is closed; what follows concerns the new one, if any (RFC 7162).
    Closed,
    /// UIDs of the copied messages and of their copies (RFC 4315).
    CopyUid {
        /// UIDVALIDITY of the target.
        validity: UidValidity,
        /// Source UIDs.
        from: &'a [UidRange],
        /// Target UIDs.
        to: &'a [UidRange],
    },
    /// Stored data is damaged (RFC 5530).
    Corruption,
    /// Some of the messages were expunged (RFC 5530).
    ExpungeIssued,
    /// The mailbox has children (RFC 9051).
    HasChildren,
    /// The highest mod-sequence of the mailbox (RFC 7162).
    HighestModSeq(ModSeq),
    /// The resource is in use (RFC 5530).
    InUse,
    /// A server limit was reached (RFC 5530).
    Limit,
    /// The mailbox's identifier, which survives RENAME (RFC 8474).
    MailboxId(&'a str),
    /// Size in octets of the largest value over the client's MAXSIZE, left out of the answer
    /// (RFC 5464).
    MetadataLongEntries(u64),
    /// Largest value that the server accepts, in octets (RFC 5464).
    MetadataMaxSize(u64),
    /// No room for more entries (RFC 5464).
    MetadataTooMany,
    /// These messages changed in the meantime and were not updated. Numbers, or UIDs if the command
    /// used UIDs (RFC 7162).
    Modified(&'a [(u32, u32)]),
    /// The mailbox has no mod-sequences (RFC 7162).
    NoModSeq,
    /// There is no such mailbox (RFC 5530).
    NonExistent,
    /// The search result was not saved (RFC 5182).
    NotSaved,
    /// Changes to the result of the command with this tag will not be reported (RFC 5267).
    NoUpdate(&'a str),
    /// The quota would be exceeded (RFC 5530).
    OverQuota,
    /// Flags that can be changed permanently: all system flags, these keywords and, if `more`, any
    /// new keyword (RFC 3501). Keywords are `None` in a mailbox opened with EXAMINE: no flag can be
    /// changed.
    PermanentFlags {
        /// Keywords in use.
        keywords: Option<&'a [Keyword]>,
        /// Whether clients can create keywords.
        more: bool,
    },
    /// Refused on an unencrypted connection (RFC 5530).
    PrivacyRequired,
    /// Opened read-only (RFC 3501).
    ReadOnly,
    /// Opened read-write (RFC 3501).
    ReadWrite,
    /// A bug in this server (RFC 5530).
    ServerBug,
    /// The message is too large for APPEND (RFC 4469).
    TooBig,
    /// The command would succeed after CREATE (RFC 3501).
    TryCreate,
    /// The next UID will be at least this (RFC 3501).
    UidNext(Uid),
    /// UIDs do not survive the session (RFC 4315).
    UidNotSticky,
    /// UIDVALIDITY of the selected mailbox (RFC 3501).
    UidValidity(UidValidity),
    /// Temporarily unavailable (RFC 5530).
    Unavailable,
    /// Unknown content transfer encoding (RFC 3516).
    UnknownCte,
    /// Number of the first message without `\Seen` (RFC 3501).
    Unseen(u32),
    /// The special use is unknown or not possible (RFC 6154).
    UseAttr,
}

impl Code<'_> {
    /// Writes the text between the brackets.
    pub(super) fn write(&self, out: &mut BytesMut) {
        match *self {
            Code::AppendUid { validity, uids } => {
                put(out, format_args!("APPENDUID {validity} "));
                uid_set(out, uids.iter().copied());
            }
            Code::CopyUid { validity, from, to } => {
                put(out, format_args!("COPYUID {validity} "));
                uid_set(out, from.iter().copied());
                out.extend_from_slice(b" ");
                uid_set(out, to.iter().copied());
            }
            Code::PermanentFlags { keywords: None, .. } => {
                out.extend_from_slice(b"PERMANENTFLAGS ()")
            }
            Code::PermanentFlags { keywords: Some(keywords), more } => {
                out.extend_from_slice(b"PERMANENTFLAGS ");
                let others: &[&str] = if more { &["\\*"] } else { &[] };
                flag_list(out, all_flags(), keywords.iter().map(Keyword::as_str), others);
            }
            Code::BadCharset(known) => {
                out.extend_from_slice(b"BADCHARSET (");
                separated(out, known);
                out.extend_from_slice(b")");
            }
            Code::Modified(ranges) => {
                out.extend_from_slice(b"MODIFIED ");
                sequence_set(out, ranges.iter().copied());
            }
            Code::NoUpdate(tag) => put(out, format_args!("NOUPDATE \"{tag}\"")),
            Code::Capability(list) => put(out, format_args!("CAPABILITY {list}")),
            Code::HighestModSeq(modseq) => put(out, format_args!("HIGHESTMODSEQ {modseq}")),
            Code::MailboxId(id) => put(out, format_args!("MAILBOXID ({id})")),
            Code::MetadataLongEntries(octets) => {
                put(out, format_args!("METADATA LONGENTRIES {octets}"));
            }
            Code::MetadataMaxSize(octets) => put(out, format_args!("METADATA MAXSIZE {octets}")),
            Code::UidNext(uid) => put(out, format_args!("UIDNEXT {uid}")),
            Code::UidValidity(validity) => put(out, format_args!("UIDVALIDITY {validity}")),
            Code::Unseen(number) => put(out, format_args!("UNSEEN {number}")),
            ref word => out.extend_from_slice(word.word().as_bytes()),
        }
    }

    /// The codes that are a single word.
    fn word(&self) -> &'static str {
        match self {
            Code::Alert => "ALERT",
            Code::AlreadyExists => "ALREADYEXISTS",
            Code::AuthenticationFailed => "AUTHENTICATIONFAILED",
            Code::AuthorizationFailed => "AUTHORIZATIONFAILED",
            Code::BadCharset(_) => "BADCHARSET",
            Code::Cannot => "CANNOT",
            Code::ClientBug => "CLIENTBUG",
            Code::Closed => "CLOSED",
            Code::Corruption => "CORRUPTION",
            Code::ExpungeIssued => "EXPUNGEISSUED",
            Code::HasChildren => "HASCHILDREN",
            Code::InUse => "INUSE",
            Code::Limit => "LIMIT",
            Code::MetadataTooMany => "METADATA TOOMANY",
            Code::NoModSeq => "NOMODSEQ",
            Code::NonExistent => "NONEXISTENT",
            Code::NotSaved => "NOTSAVED",
            Code::OverQuota => "OVERQUOTA",
            Code::PrivacyRequired => "PRIVACYREQUIRED",
            Code::ReadOnly => "READ-ONLY",
            Code::ReadWrite => "READ-WRITE",
            Code::ServerBug => "SERVERBUG",
            Code::TooBig => "TOOBIG",
            Code::TryCreate => "TRYCREATE",
            Code::Unavailable => "UNAVAILABLE",
            Code::UidNotSticky => "UIDNOTSTICKY",
            Code::UnknownCte => "UNKNOWN-CTE",
            Code::UseAttr => "USEATTR",
            Code::AppendUid { .. } => "APPENDUID",
            Code::Capability(_) => "CAPABILITY",
            Code::CopyUid { .. } => "COPYUID",
            Code::HighestModSeq(_) => "HIGHESTMODSEQ",
            Code::MailboxId(_) => "MAILBOXID",
            Code::MetadataLongEntries(_) | Code::MetadataMaxSize(_) => "METADATA",
            Code::Modified(_) => "MODIFIED",
            Code::NoUpdate(_) => "NOUPDATE",
            Code::PermanentFlags { .. } => "PERMANENTFLAGS",
            Code::UidNext(_) => "UIDNEXT",
            Code::UidValidity(_) => "UIDVALIDITY",
            Code::Unseen(_) => "UNSEEN",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(code: Code) -> String {
        let mut out = BytesMut::new();
        code.write(&mut out);
        String::from_utf8(out.to_vec()).unwrap()
    }

    #[test]
    fn codes() {
        let range = |first, last| UidRange { first: Uid(first), last: Uid(last) };
        let (validity, from, to) =
            (UidValidity(38505), [range(304, 304), range(319, 320)], [range(3956, 3958)]);
        for (code, expected) in [
            (Code::TryCreate, "TRYCREATE"),
            (Code::AppendUid { validity, uids: &to }, "APPENDUID 38505 3956:3958"),
            (
                Code::CopyUid { validity, from: &from, to: &to },
                "COPYUID 38505 304,319:320 3956:3958",
            ),
            (
                Code::PermanentFlags { keywords: Some(&[]), more: true },
                "PERMANENTFLAGS (\\Answered \\Flagged \\Deleted \\Seen \\Draft \\*)",
            ),
            (
                Code::PermanentFlags { keywords: Some(&[]), more: false },
                "PERMANENTFLAGS (\\Answered \\Flagged \\Deleted \\Seen \\Draft)",
            ),
            (Code::HighestModSeq(ModSeq(7)), "HIGHESTMODSEQ 7"),
            (Code::BadCharset(&["UTF-8", "US-ASCII"]), "BADCHARSET (UTF-8 US-ASCII)"),
            (Code::Modified(&[(7, 7), (9, 9), (10, 12)]), "MODIFIED 7,9:12"),
            (Code::MetadataLongEntries(2199), "METADATA LONGENTRIES 2199"),
            (Code::MetadataMaxSize(1024), "METADATA MAXSIZE 1024"),
            (Code::MetadataTooMany, "METADATA TOOMANY"),
            (Code::NoUpdate("B01"), "NOUPDATE \"B01\""),
            (Code::NoModSeq, "NOMODSEQ"),
            (Code::UidNotSticky, "UIDNOTSTICKY"),
            (Code::Capability("IMAP4rev1 IDLE"), "CAPABILITY IMAP4rev1 IDLE"),
        ] {
            assert_eq!(written(code), expected);
        }
    }
}
