//! Responses to LIST and LSUB.

use bytes::BytesMut;

use crate::protocol::MailboxName;

use super::{Names, mailbox, put, separated};

/// One mailbox in the response to LIST or LSUB (RFC 3501 section 7.2.2, RFC 5258 section 6, RFC
/// 9051 section 7.3.1).
#[derive(Clone, Copy, Debug)]
pub struct ListEntry<'a> {
    /// `\HasChildren`, `\Noselect`, `\Drafts` and so on.
    pub attributes: &'a [&'a str],
    /// The mailbox name.
    pub name: &'a MailboxName,
    /// CHILDINFO for RECURSIVEMATCH: the selection options, `SUBSCRIBED` or `SPECIAL-USE`, that
    /// children meet.
    pub child_info: &'a [&'a str],
    /// OLDNAME: the name in the command, or the name before a RENAME.
    pub old_name: Option<&'a MailboxName>,
}

impl<'a> ListEntry<'a> {
    /// An entry without extended data.
    #[must_use]
    pub fn new(name: &'a MailboxName, attributes: &'a [&'a str]) -> ListEntry<'a> {
        ListEntry { attributes, name, child_info: &[], old_name: None }
    }
}

/// Writes one mailbox in the response to `command`, which is LIST or LSUB.
///
/// ```abnf
/// mailbox-list         = "(" [mbx-list-flags] ")" SP (DQUOTE QUOTED-CHAR DQUOTE / nil)
///                        SP mailbox [SP mbox-list-extended]
/// mbox-list-extended   = "(" [mbox-list-extended-item *(SP mbox-list-extended-item)] ")"
/// childinfo-extended-item = "CHILDINFO" SP "(" list-select-base-opt-quoted
///                        *(SP list-select-base-opt-quoted) ")"
/// oldname-extended-item   = "OLDNAME" SP "(" mailbox ")"
/// ```
pub fn list(out: &mut BytesMut, command: &str, entry: &ListEntry, names: Names) {
    start(out, command, entry.attributes);
    mailbox(out, entry.name, names);
    let mut between: &[u8] = b" (";
    if !entry.child_info.is_empty() {
        out.extend_from_slice(between);
        out.extend_from_slice(b"\"CHILDINFO\" (\"");
        for (n, option) in entry.child_info.iter().enumerate() {
            out.extend_from_slice(if n == 0 { b"" } else { b"\" \"" });
            out.extend_from_slice(option.as_bytes());
        }
        out.extend_from_slice(b"\")");
        between = b" ";
    }
    if let Some(old) = entry.old_name {
        out.extend_from_slice(between);
        out.extend_from_slice(b"\"OLDNAME\" (");
        mailbox(out, old, names);
        out.extend_from_slice(b")");
        between = b" ";
    }
    out.extend_from_slice(if between == b" " { b")\r\n" } else { b"\r\n" });
}

/// The response to `LIST "" ""`, which asks for the separator (RFC 3501 section 6.3.8).
pub fn list_separator(out: &mut BytesMut, command: &str) {
    start(out, command, &["\\Noselect"]);
    out.extend_from_slice(b"\"\"\r\n");
}

fn start(out: &mut BytesMut, command: &str, attributes: &[&str]) {
    put(out, format_args!("* {command} ("));
    separated(out, attributes);
    put(out, format_args!(") \"{}\" ", MailboxName::SEPARATOR));
}

#[cfg(test)]
mod tests {
    use super::super::written;
    use super::*;

    #[test]
    fn mailboxes() {
        let name = MailboxName::from_utf8("Entwürfe/a b").unwrap();
        let entry = ListEntry::new(&name, &["\\HasNoChildren", "\\Drafts"]);
        assert_eq!(
            written(|o| list(o, "LIST", &entry, Names::Utf7)),
            "* LIST (\\HasNoChildren \\Drafts) \"/\" \"Entw&APw-rfe/a b\"\r\n"
        );
        assert_eq!(
            written(|o| list(o, "LSUB", &ListEntry::new(&name, &[]), Names::Utf8)),
            "* LSUB () \"/\" \"Entwürfe/a b\"\r\n"
        );
        assert_eq!(written(|o| list_separator(o, "LIST")), "* LIST (\\Noselect) \"/\" \"\"\r\n");
    }

    /// RFC 5258 section 5, RFC 9051 section 6.3.9.7.
    #[test]
    fn extended_data() {
        let (foo, old) = (MailboxName::from_utf8("Foo"), MailboxName::from_utf8("Bar x"));
        let (foo, old) = (foo.unwrap(), old.unwrap());
        let both = ["SUBSCRIBED", "SPECIAL-USE"];
        for (child_info, old_name, expected) in [
            (&both[..1], None, " (\"CHILDINFO\" (\"SUBSCRIBED\"))"),
            (&both[..], None, " (\"CHILDINFO\" (\"SUBSCRIBED\" \"SPECIAL-USE\"))"),
            (&[], Some(&old), " (\"OLDNAME\" (\"Bar x\"))"),
            (&both[..1], Some(&foo), " (\"CHILDINFO\" (\"SUBSCRIBED\") \"OLDNAME\" (Foo))"),
        ] {
            let entry = ListEntry { child_info, old_name, ..ListEntry::new(&foo, &[]) };
            let line = written(|o| list(o, "LIST", &entry, Names::Utf7));
            assert_eq!(line, format!("* LIST () \"/\" Foo{expected}\r\n"));
        }
    }
}
