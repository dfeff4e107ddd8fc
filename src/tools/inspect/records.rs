//! Records as lines. Names come from clients and are escaped; values of metadata are left out.

use std::fmt::Write;

use crate::stats::uid_set;
use crate::store::{MessageRecord, Record};
use imap::types::{Flags, Keyword};

/// Appends a record, one line or more.
pub(super) fn describe(record: &Record, text: &mut String) {
    let line = match record {
        Record::Messages { batch, messages } => {
            format!("{} messages of batch {batch}", messages.len())
        }
        Record::References { batch, messages } => {
            format!("{} copies of messages, batch {batch}", messages.len())
        }
        Record::Fragments { batch, fragments } => {
            format!("{} pieces of the next message of batch {batch}", fragments.len())
        }
        Record::Commit(commit) => format!(
            "commit of batch {}: user {:?}, mailbox {}, {} messages with {} bytes from UID {}{} \
             on, mod-sequence {}",
            commit.batch,
            commit.account,
            commit.mailbox,
            commit.messages,
            commit.octets,
            commit.first_uid,
            match commit.first_email.is_given() {
                true => format!(" and EMAILID {}", commit.first_email),
                false => String::new(),
            },
            commit.modseq,
        ),
        Record::SetFlags { account, mailbox, modseq, uids, change, flags, keywords } => format!(
            "{change:?} flags: user {account:?}, mailbox {mailbox}, UIDs {}, \
             mod-sequence {modseq}, {}",
            uid_set(uids),
            names(*flags, keywords.iter()),
        ),
        Record::Expunge { account, mailbox, modseq, uids } => format!(
            "expunge: user {account:?}, mailbox {mailbox}, UIDs {}, mod-sequence {modseq}",
            uid_set(uids),
        ),
        Record::SetMetadata { account, mailbox, uses, entries } => {
            let entries: Vec<_> = entries.iter().map(|entry| &entry.name).collect();
            format!(
                "metadata: user {account:?}, mailbox {mailbox}, special use {uses:?}, entries \
                 {entries:?}"
            )
        }
        // Debug escapes the names in it.
        other => format!("{other:?}"),
    };
    let _ = writeln!(text, "    {line}");
    if let Record::Messages { messages, .. } | Record::References { messages, .. } = record {
        messages.iter().for_each(|message| one(message, text));
    }
    if let Record::Fragments { fragments, .. } = record {
        for piece in fragments {
            let _ = writeln!(text, "      {}:{}+{}", piece.segment, piece.offset, piece.length);
        }
    }
}

fn one(message: &MessageRecord, text: &mut String) {
    let MessageRecord { size, date, flags, keywords, email, checksum, .. } = message;
    let names = names(*flags, keywords.iter());
    let email = if email.is_given() { format!("EMAILID {email}, ") } else { String::new() };
    let _ = write!(text, "      {email}{size} bytes, {date}, {names}, XXH3 {checksum:032x}, at");
    for piece in &message.fragments {
        let _ = write!(text, " {}:{}+{}", piece.segment, piece.offset, piece.length);
    }
    text.push('\n');
}

fn names<'k>(flags: Flags, keywords: impl Iterator<Item = &'k Keyword>) -> String {
    let known = Flags::NAMES.into_iter().filter(|(_, flag)| flags.contains(*flag));
    let names = known.map(|(name, _)| name.to_owned()).chain(keywords.map(|k| format!("{k}")));
    format!("({})", names.collect::<Vec<_>>().join(" "))
}
