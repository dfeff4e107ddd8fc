//! The answer to GETMETADATA.

use bytes::BytesMut;

use crate::protocol::MailboxName;

use super::{Names, astring, mailbox, nstring, put};

/// Writes entries of a mailbox with their values, `None` for those that have none; without a
/// mailbox, entries of the server (RFC 5464 section 4.4.1). At least one.
///
/// ```abnf
/// metadata-resp = "METADATA" SP mailbox SP (entry-values / entry-list)
/// entry-values  = "(" entry-value *(SP entry-value) ")"
/// entry-value   = entry SP value
/// value         = nstring / literal8
/// ```
pub fn metadata<'a>(
    out: &mut BytesMut,
    name: Option<&MailboxName>,
    names: Names,
    entries: impl IntoIterator<Item = (&'a str, Option<&'a [u8]>)>,
) {
    out.extend_from_slice(b"* METADATA ");
    match name {
        Some(name) => mailbox(out, name, names),
        None => out.extend_from_slice(b"\"\""),
    }
    let mut before: &[u8] = b" (";
    for (entry, value) in entries {
        out.extend_from_slice(before);
        before = b" ";
        astring(out, entry.as_bytes());
        out.extend_from_slice(b" ");
        match value {
            Some(octets) if octets.contains(&0) => {
                put(out, format_args!("~{{{}}}\r\n", octets.len()));
                out.extend_from_slice(octets);
            }
            value => nstring(out, value),
        }
    }
    out.extend_from_slice(b")\r\n");
}

#[cfg(test)]
mod tests {
    use super::super::written;
    use super::*;

    #[test]
    fn entries_with_values_and_without() {
        let name = MailboxName::from_utf8("Entwürfe").unwrap();
        let entries = [
            ("/private/specialuse", Some(&b"\\Drafts"[..])),
            ("/shared/a b", None),
            ("/shared/c", Some(&b"two\r\nlines"[..])),
            ("/shared/d", Some(&b"\0"[..])),
        ];
        assert_eq!(
            written(|out| metadata(out, Some(&name), Names::Utf7, entries)),
            "* METADATA Entw&APw-rfe (/private/specialuse \"\\\\Drafts\" \"/shared/a b\" NIL \
             /shared/c {10}\r\ntwo\r\nlines /shared/d ~{1}\r\n\0)\r\n"
        );
        assert_eq!(
            written(|out| metadata(out, None, Names::Utf7, [("/shared/admin", None)])),
            "* METADATA \"\" (/shared/admin NIL)\r\n"
        );
    }
}
