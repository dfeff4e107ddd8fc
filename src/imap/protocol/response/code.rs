//! Response codes.

use bytes::BytesMut;

use crate::types::{Keyword, ModSeq, Uid, UidRange, UidValidity};

use super::{all_flags, flag_list, put, separated, sequence_set, uid_set};

/// What a status response tells the program, in brackets before the text for people.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Code<'a> {
    /// Show the text to the user (RFC 3501).
    Alert,
    /// The mailbox exists already (RFC 5530).
    AlreadyExists,
    /// UIDs of what was appended, in the order in which it was sent (RFC 4315).
    AppendUid {
        /// UIDVALIDITY of the mailbox.
        validity: UidValidity,
        /// The UIDs.
        uids: &'a [UidRange],
    },
    /// The name and password are wrong (RFC 5530).
    AuthenticationFailed,
    /// The name and password are right, the login is not allowed (RFC 5530).
    AuthorizationFailed,
    /// The charset is not known; these are (RFC 3501).
    BadCharset(&'a [&'a str]),
    /// What we offer, as in the answer to CAPABILITY (RFC 3501).
    Capability(&'a str),
    /// It can never be done (RFC 5530).
    Cannot,
    /// The client does something that it should not (RFC 5530).
    ClientBug,
    /// What follows belongs to no mailbox or to another (RFC 7162).
    Closed,
    /// UIDs of what was copied, and of the copies (RFC 4315).
    CopyUid {
        /// UIDVALIDITY of the target.
        validity: UidValidity,
        /// The UIDs there were.
        from: &'a [UidRange],
        /// The UIDs there are.
        to: &'a [UidRange],
    },
    /// What is stored was found damaged (RFC 5530).
    Corruption,
    /// Some of the messages have been expunged (RFC 5530).
    ExpungeIssued,
    /// There are mailboxes below (RFC 9051).
    HasChildren,
    /// The highest mod-sequence of the mailbox (RFC 7162).
    HighestModSeq(ModSeq),
    /// Something else has it in use (RFC 5530).
    InUse,
    /// A limit of the server (RFC 5530).
    Limit,
    /// The identifier that outlives renaming (RFC 8474).
    MailboxId(&'a str),
    /// These messages were changed meanwhile and were left alone: numbers, or UIDs if the command
    /// had them (RFC 7162).
    Modified(&'a [(u32, u32)]),
    /// The mailbox has no mod-sequences (RFC 7162).
    NoModSeq,
    /// There is no such mailbox (RFC 5530).
    NonExistent,
    /// The result was not saved (RFC 5182).
    NotSaved,
    /// What changes in the result of the command with this tag will not be told (RFC 5267).
    NoUpdate(&'a str),
    /// The quota would be exceeded (RFC 5530).
    OverQuota,
    /// Flags that can be changed for good: all system flags, these keywords, and, if `more`, such
    /// as clients make up; `None` in a mailbox that was opened with EXAMINE (RFC 3501).
    PermanentFlags {
        /// Keywords that messages have.
        keywords: Option<&'a [Keyword]>,
        /// Whether others can be made.
        more: bool,
    },
    /// Not over a connection that anybody can read (RFC 5530).
    PrivacyRequired,
    /// EXAMINE (RFC 3501).
    ReadOnly,
    /// SELECT (RFC 3501).
    ReadWrite,
    /// The fault is ours (RFC 5530).
    ServerBug,
    /// Too large to be appended (RFC 4469).
    TooBig,
    /// After a CREATE it would work (RFC 3501).
    TryCreate,
    /// UID that the next message gets at least (RFC 3501).
    UidNext(Uid),
    /// UIDs do not outlive the session (RFC 4315).
    UidNotSticky,
    /// UIDVALIDITY of the selected mailbox (RFC 3501).
    UidValidity(UidValidity),
    /// Not now, perhaps later (RFC 5530).
    Unavailable,
    /// A transfer encoding that cannot be undone (RFC 3516).
    UnknownCte,
    /// Number of the first message without `\Seen` (RFC 3501).
    Unseen(u32),
    /// The special use is not known or not possible (RFC 6154).
    UseAttr,
}

impl Code<'_> {
    /// Writes what stands between the brackets.
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
            Code::UidNext(uid) => put(out, format_args!("UIDNEXT {uid}")),
            Code::UidValidity(validity) => put(out, format_args!("UIDVALIDITY {validity}")),
            Code::Unseen(number) => put(out, format_args!("UNSEEN {number}")),
            ref word => out.extend_from_slice(word.word().as_bytes()),
        }
    }

    /// The codes that are but a word.
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
            (Code::NoUpdate("B01"), "NOUPDATE \"B01\""),
            (Code::NoModSeq, "NOMODSEQ"),
            (Code::UidNotSticky, "UIDNOTSTICKY"),
            (Code::Capability("IMAP4rev1 IDLE"), "CAPABILITY IMAP4rev1 IDLE"),
        ] {
            assert_eq!(written(code), expected);
        }
    }
}
