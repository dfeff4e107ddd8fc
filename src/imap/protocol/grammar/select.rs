//! SELECT and EXAMINE (RFC 3501 section 6.3.1, RFC 7162).

use super::parameters::{parameter_name, skip_value};
use super::{Cursor, Parsed};
use crate::protocol::{MailboxName, NameError, SequenceSet};
use crate::types::{ModSeq, UidValidity};

/// The arguments of SELECT and EXAMINE.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Select {
    /// The mailbox.
    pub mailbox: Result<MailboxName, NameError>,
    /// `CONDSTORE`: the client wants mod-sequences.
    pub condstore: bool,
    /// `QRESYNC (…)`: what the client knows of the mailbox from an earlier session.
    pub qresync: Option<QResync>,
    /// The first unknown parameter, in capitals.
    pub unknown: Option<Box<str>>,
}

/// What a client knows of a mailbox from an earlier session (RFC 7162 section 3.2.5).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct QResync {
    /// UIDVALIDITY.
    pub validity: UidValidity,
    /// The client knows all changes up to this mod-sequence.
    pub modseq: ModSeq,
    /// UIDs of the messages it knows, without `*`; `None` means all.
    pub known: Option<SequenceSet>,
    /// Some message numbers and the UIDs they have for the client, both ascending.
    pub matched: Option<(SequenceSet, SequenceSet)>,
}

/// ```abnf
/// select        = "SELECT" SP mailbox [select-params]                    ; RFC 4466
/// examine       = "EXAMINE" SP mailbox [select-params]
/// select-params = SP "(" select-param *(SP select-param) ")"
/// select-param  = "CONDSTORE" / select-param-qresync                     ; RFC 7162
/// ```
pub fn select(cursor: &mut Cursor) -> Parsed<Select> {
    cursor.sp()?;
    let mailbox = super::mailbox(cursor)?;
    let mut select = Select { mailbox, condstore: false, qresync: None, unknown: None };
    cursor.spaces();
    if cursor.peek() != Some(b'(') {
        return Ok(select);
    }
    cursor.list("a list of parameters", true, |c| {
        let name = parameter_name(c)?;
        match &*name {
            "CONDSTORE" => select.condstore = true,
            "QRESYNC" => {
                c.spaces();
                select.qresync = Some(qresync(c)?);
            }
            _ => {
                skip_value(c)?;
                select.unknown.get_or_insert(name);
            }
        }
        Ok(())
    })?;
    Ok(select)
}

/// ```abnf
/// select-param-qresync = "QRESYNC" SP "(" uidvalidity SP mod-sequence-value
///                        [SP known-uids] [SP seq-match-data] ")"
/// uidvalidity          = nz-number
/// known-uids           = sequence-set           ; without "*"
/// seq-match-data       = "(" known-sequence-set SP known-uid-set ")"
/// known-sequence-set   = sequence-set           ; without "*", ascending
/// known-uid-set        = sequence-set           ; without "*", ascending
/// ```
fn qresync(cursor: &mut Cursor) -> Parsed<QResync> {
    cursor.require(b'(', "the parameters of QRESYNC")?;
    cursor.spaces();
    let start = cursor.clone();
    let validity = match u32::try_from(cursor.number("a UIDVALIDITY")?) {
        Ok(validity) if validity > 0 => UidValidity(validity),
        _ => return start.expected("a UIDVALIDITY"),
    };
    cursor.sp()?;
    let modseq = ModSeq(cursor.number("a mod-sequence")?);
    let (mut known, mut matched) = (None, None);
    cursor.spaces();
    if cursor.peek().is_some_and(|o| o.is_ascii_digit()) {
        known = Some(known_set(cursor)?);
        cursor.spaces();
    }
    if cursor.accept(b'(') {
        cursor.spaces();
        let numbers = known_set(cursor)?;
        cursor.sp()?;
        matched = Some((numbers, known_set(cursor)?));
        cursor.spaces();
        cursor.require(b')', "a closing parenthesis")?;
        cursor.spaces();
    }
    cursor.require(b')', "a closing parenthesis")?;
    Ok(QResync { validity, modseq, known, matched })
}

fn known_set(cursor: &mut Cursor) -> Parsed<SequenceSet> {
    let start = cursor.clone();
    let set = cursor.sequence_set()?;
    if set.has_star() || set.is_saved() {
        return start.expected("a set of numbers");
    }
    Ok(set)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::{Command, parse};

    fn select(text: &str) -> Select {
        match parse(format!("a SELECT {text}\r\n").as_bytes(), false).map(|t| t.command) {
            Ok(Command::Select(select)) => select,
            other => panic!("{text}: {other:?}"),
        }
    }

    fn set(text: &str) -> SequenceSet {
        SequenceSet::parse(text.as_bytes()).unwrap()
    }

    #[test]
    fn plain() {
        let inbox = select("INBOX");
        assert_eq!(inbox.mailbox, Ok(MailboxName::inbox()));
        assert_eq!((inbox.condstore, inbox.qresync.clone(), &inbox.unknown), (false, None, &None));
        let examine = parse(b"A142 EXAMINE \"inbox\" ", false).unwrap().command;
        assert_eq!(examine, Command::Examine(inbox));
        assert!(select("INBOX (CONDSTORE)").condstore);
        assert!(select("INBOX( condstore )").condstore);
    }

    /// RFC 7162 section 3.2.5.
    #[test]
    fn qresync_parameters_are_read() {
        let (validity, modseq) = (UidValidity(67_890_007), ModSeq(20_050_715_194_045_000));
        let expected = |known, matched| Some(QResync { validity, modseq, known, matched });
        let known = "41,43:211,214:541";
        for (more, known, matched) in [
            ("", None, None),
            (" 41,43:211,214:541", Some(set(known)), None),
            (" 41,43:211,214:541 (1,3 2:4)", Some(set(known)), Some((set("1,3"), set("2:4")))),
            (" (1,3 2:4)", None, Some((set("1,3"), set("2:4")))),
            (
                "  41,43:211,214:541  ( 1,3  2:4 ) ",
                Some(set(known)),
                Some((set("1,3"), set("2:4"))),
            ),
        ] {
            let select = select(&format!("INBOX (QRESYNC (67890007 20050715194045000{more}))"));
            assert_eq!(select.qresync, expected(known, matched), "{more}");
        }
    }

    #[test]
    fn unknown_parameters_are_named() {
        let odd = select("b (condstore  X-Y (1 2 (\")\" 4)) QRESYNC (1 2)  Z.z 1:* )");
        assert!(odd.condstore && odd.qresync.is_some());
        assert_eq!(odd.unknown.as_deref(), Some("X-Y"));
        assert_eq!(select("b (X 5,7)").unknown.as_deref(), Some("X"));
    }

    #[test]
    fn broken_parameters() {
        for text in [
            "b (5)",
            "b (QRESYNC)",
            "b (QRESYNC ())",
            "b (QRESYNC (0 1))",
            "b (QRESYNC (4294967296 1))",
            "b (QRESYNC (1))",
            "b (QRESYNC (1 2 3:*))",
            "b (QRESYNC (1 2 $))",
            "b (QRESYNC (1 2 3 4))",
            "b (QRESYNC (1 2 (3)))",
            "b (QRESYNC (1 2 (3 *)))",
            "b (QRESYNC (1 2 (3 $)))",
            "b (QRESYNC (1 2",
            "b (CONDSTORE",
            "b CONDSTORE",
            "b (X (\"",
        ] {
            assert!(parse(format!("a SELECT {text}").as_bytes(), false).is_err(), "{text}");
        }
    }
}
