//! Searches as RFCs print them, as clients write them, and broken ones.

use super::*;
use crate::limits::SEARCH_DEPTH;
use crate::protocol::{Command, SequenceSet, parse};
use crate::types::{Date, Flags, Keyword};

fn search(text: &str) -> Search {
    match parse(format!("a SEARCH {text}\r\n").as_bytes(), false) {
        Ok(tagged) => match tagged.command {
            Command::Search(search) => search,
            other => panic!("{text}: {other:?}"),
        },
        Err(error) => panic!("{text}: {error}"),
    }
}

fn key(text: &str) -> SearchKey {
    search(text).key
}

fn refused(text: &str) -> String {
    parse(format!("a {text}").as_bytes(), false).expect_err(text).to_string()
}

fn set(text: &str) -> SequenceSet {
    SequenceSet::parse(text.as_bytes()).unwrap()
}

fn not(key: SearchKey) -> SearchKey {
    SearchKey::Not(Box::new(key))
}

fn header(name: &str, text: &str) -> SearchKey {
    SearchKey::Header { name: name.into(), text: text.into() }
}

fn day(field: DateField, order: DateOrder, text: &str) -> SearchKey {
    SearchKey::Date { field, order, day: Date::parse(text.as_bytes()).unwrap() }
}

/// RFC 3501 section 6.4.4, with the strings of RFC 9051's examples.
#[test]
fn the_examples_of_rfc_3501() {
    use SearchKey::{And, Text};
    assert_eq!(
        key("FLAGGED SINCE 1-Feb-1994 NOT FROM \"Smith\""),
        And(vec![
            SearchKey::Flags(Flags::FLAGGED),
            day(DateField::Internal, DateOrder::Since, "1-Feb-1994"),
            not(header("From", "Smith")),
        ])
    );
    assert_eq!(key("TEXT \"string not in mailbox\""), Text(b"string not in mailbox".to_vec()));
    let with_charset =
        search("CHARSET UTF-8 TEXT {12}\r\n\u{436}\u{436}\u{436}\u{436}\u{436}\u{436}");
    assert_eq!(with_charset.charset.as_deref(), Some("UTF-8"));
    assert_eq!(with_charset.key, Text("жжжжжж".into()));
    assert_eq!(search("CHARSET \"utf-8\" ALL").charset.as_deref(), Some("utf-8"));
    assert_eq!((search("ALL").returns, search("ALL").uid), (None, false));
}

#[test]
fn every_key() {
    use DateField::{Internal, Saved, Sent};
    use DateOrder::{Before, On, Since};
    let flag = |flag| SearchKey::Flags(flag);
    let date = |field, order| day(field, order, "1-Feb-1994");
    for (text, expected) in [
        ("all", SearchKey::All),
        ("ANSWERED", flag(Flags::ANSWERED)),
        ("DELETED", flag(Flags::DELETED)),
        ("DRAFT", flag(Flags::DRAFT)),
        ("FLAGGED", flag(Flags::FLAGGED)),
        ("SEEN", flag(Flags::SEEN)),
        ("UNANSWERED", not(flag(Flags::ANSWERED))),
        ("UNDELETED", not(flag(Flags::DELETED))),
        ("UNDRAFT", not(flag(Flags::DRAFT))),
        ("UNFLAGGED", not(flag(Flags::FLAGGED))),
        ("UnSeen", not(flag(Flags::SEEN))),
        ("RECENT", SearchKey::Recent),
        ("OLD", not(SearchKey::Recent)),
        ("NEW", SearchKey::And(vec![SearchKey::Recent, not(flag(Flags::SEEN))])),
        ("KEYWORD $Junk", SearchKey::Keyword(Keyword::new(b"$junk").unwrap())),
        ("KEYWORD \"a b\"", SearchKey::Nothing),
        ("KEYWORD \\Seen", flag(Flags::SEEN)),
        ("KEYWORD \\Odd", SearchKey::Nothing),
        ("UNKEYWORD a]b", SearchKey::All),
        ("UNKEYWORD a", not(SearchKey::Keyword(Keyword::new(b"a").unwrap()))),
        ("BEFORE 1-Feb-1994", date(Internal, Before)),
        ("ON 01-feb-1994", date(Internal, On)),
        ("SINCE \"1-Feb-1994\"", date(Internal, Since)),
        ("SENTBEFORE \" 1-Feb-1994\"", date(Sent, Before)),
        ("SENTON {10}\r\n1-Feb-1994", date(Sent, On)),
        ("SENTSINCE 1-Feb-1994", date(Sent, Since)),
        ("SAVEDBEFORE 1-Feb-1994", date(Saved, Before)),
        ("SAVEDON 1-Feb-1994", date(Saved, On)),
        ("SAVEDSINCE 1-Feb-1994", date(Saved, Since)),
        ("SAVEDATESUPPORTED", SearchKey::SaveDateSupported),
        ("OLDER 3600", SearchKey::Older(3600)),
        ("YOUNGER 99999999999", SearchKey::Younger(u32::MAX)),
        ("LARGER 0", SearchKey::Larger(0)),
        ("SMALLER 99999999999", SearchKey::Smaller(99_999_999_999)),
        ("BCC a", header("Bcc", "a")),
        ("CC \"\"", header("Cc", "")),
        ("FROM {3+}\r\na b", header("From", "a b")),
        ("SUBJECT Übung", header("Subject", "Übung")),
        ("TO \"\\\"\"", header("To", "\"")),
        ("HEADER Message-ID <a@b>", header("Message-ID", "<a@b>")),
        ("HEADER \"X-Y\" {0}\r\n", header("X-Y", "")),
        ("BODY x", SearchKey::Body(b"x".to_vec())),
        ("TEXT x", SearchKey::Text(b"x".to_vec())),
        ("1:*,9", SearchKey::Sequence(set("1:*,9"))),
        ("*", SearchKey::Sequence(set("*"))),
        ("$", SearchKey::Sequence(set("$"))),
        ("UID $", SearchKey::Uid(set("$"))),
        ("UID 4,7:*", SearchKey::Uid(set("4,7:*"))),
        ("MODSEQ 620162338", SearchKey::ModSeq(620_162_338)),
        ("MODSEQ \"/flags/\\\\draft\" all 620162338", SearchKey::ModSeq(620_162_338)),
        ("MODSEQ 0", SearchKey::ModSeq(0)),
        ("EMAILID M6d99ac3275bb4e", SearchKey::EmailId(b"M6d99ac3275bb4e".to_vec())),
        ("THREADID T64b478a75b7ea9", SearchKey::ThreadId(b"T64b478a75b7ea9".to_vec())),
    ] {
        assert_eq!(key(text), expected, "{text}");
    }
}

#[test]
fn keys_are_joined() {
    use SearchKey::{All, And, Or, Recent, SaveDateSupported as Saved};
    for (text, expected) in [
        ("(ALL)", All),
        ("  ( ( ALL ) )  ", All),
        ("NOT RECENT", not(Recent)),
        ("NOT NOT RECENT", Recent),
        ("NOT ( NOT (RECENT) )", Recent),
        ("NOT ALL", SearchKey::Nothing),
        ("OR ALL RECENT", Or(vec![All, Recent])),
        ("OR ALL OR RECENT SAVEDATESUPPORTED", Or(vec![Recent, Saved, All])),
        ("OR OR ALL RECENT SAVEDATESUPPORTED", Or(vec![All, Recent, Saved])),
        ("OR (ALL RECENT) NOT RECENT", Or(vec![And(vec![All, Recent]), not(Recent)])),
        ("OR (ALL)(RECENT)", Or(vec![All, Recent])),
        ("(ALL RECENT) SAVEDATESUPPORTED", And(vec![All, Recent, Saved])),
        ("ALL(RECENT)", And(vec![All, Recent])),
        ("NOT (ALL RECENT)", not(And(vec![All, Recent]))),
    ] {
        assert_eq!(key(text), expected, "{text}");
    }
}

#[test]
fn invalid_searches_are_refused() {
    for (text, expected) in [
        ("SEARCH", "expected a space at octet 8"),
        ("SEARCH ", "expected a search key at octet 9"),
        ("SEARCH XYZZY", "expected a search key at octet 9"),
        ("SEARCH ALL XYZZY", "expected a search key at octet 13"),
        ("SEARCH ()", "expected a search key at octet 10"),
        ("SEARCH (ALL", "expected a space or a closing parenthesis at octet 13"),
        ("SEARCH ALL)", "expected a space at octet 12"),
        ("SEARCH NOT", "expected a space at octet 12"),
        ("SEARCH OR ALL", "expected a space at octet 15"),
        ("SEARCH OR ALL ", "expected a search key at octet 16"),
        ("SEARCH FROM", "expected a space at octet 13"),
        ("SEARCH HEADER a", "expected a space at octet 17"),
        ("SEARCH ON 31-Feb-1994", "expected a date that exists at octet 12"),
        ("SEARCH ON yesterday", "expected a date at octet 12"),
        ("SEARCH OLDER 0", "expected a number of seconds over 0 at octet 15"),
        ("SEARCH OLDER -1", "expected a number of seconds at octet 15"),
        ("SEARCH 0", "expected a sequence set at octet 9"),
        ("SEARCH $,1", "expected a sequence set at octet 9"),
        ("SEARCH UID x", "expected a sequence set at octet 13"),
        ("SEARCH MODSEQ \"/flags/x\" 5", "expected priv, shared or all at octet 27"),
        ("SEARCH CHARSET UTF-8", "expected a space at octet 22"),
        ("SEARCH RETURN (ODD) ALL", "expected a result option at octet 17"),
        ("SEARCH RETURN ALL", "expected a list of result options at octet 16"),
        ("SEARCH RETURN (ALL)", "expected a space at octet 21"),
        ("SEARCH RETURN (ALL PARTIAL 1:2) ALL", "expected either ALL or PARTIAL at octet 21"),
        ("SEARCH RETURN (PARTIAL 1:2 PARTIAL 1:3) ALL", "expected one PARTIAL at octet 29"),
        ("SEARCH RETURN (PARTIAL 0:2) ALL", "expected a position from 1 to 4294967295"),
        ("SEARCH RETURN (PARTIAL 1:-2) ALL", "expected a position at octet 27"),
        ("SEARCH RETURN (PARTIAL -1:2) ALL", "expected two positions on the same side"),
        ("SEARCH RETURN (PARTIAL 1) ALL", "expected a colon at octet 26"),
        ("SEARCH RETURN (PARTIAL 1:2:3) ALL", "expected a range of two positions at octet 29"),
        ("SORT (ODD) UTF-8 ALL", "expected a sort key at octet 8"),
        ("SORT () UTF-8 ALL", "expected a sort key at octet 8"),
        ("SORT (REVERSE) UTF-8 ALL", "expected a sort key at octet 8"),
        ("SORT UTF-8 ALL", "expected a list of sort criteria at octet 7"),
        ("SORT (DATE) UTF-8", "expected a space at octet 19"),
        ("THREAD ODD UTF-8 ALL", "expected ORDEREDSUBJECT, REFERENCES or REFS at octet 9"),
        ("THREAD REFS UTF-8", "expected a space at octet 19"),
    ] {
        let error = refused(text);
        assert!(error.starts_with(expected), "{text}: {error}");
    }
}

/// RFC 4731 section 3.1, RFC 5182 section 2, RFC 5267 section 4, RFC 9394 section 3.
#[test]
fn result_options() {
    let none = Returns::default();
    let partial = |first, last, from_end| Some(PartialRange { first, last, from_end });
    for (text, expected) in [
        ("RETURN (MIN COUNT) ALL", Returns { min: true, count: true, ..none }),
        ("return ( max  all ) ALL", Returns { max: true, all: true, ..none }),
        ("RETURN () ALL", Returns { all: true, ..none }),
        ("RETURN() ALL", Returns { all: true, ..none }),
        ("RETURN (SAVE) ALL", Returns { save: true, ..none }),
        ("RETURN (UPDATE CONTEXT) ALL", Returns { update: true, context: true, ..none }),
        ("RETURN (PARTIAL 500:1) ALL", Returns { partial: partial(1, 500, false), ..none }),
        ("RETURN (PARTIAL -1:-100) ALL", Returns { partial: partial(1, 100, true), ..none }),
    ] {
        assert_eq!(search(text).returns, Some(expected), "{text}");
    }
}

/// RFC 5256 sections 3 and 4, RFC 5957 section 4.
#[test]
fn sort_and_thread() {
    let sort = |text: &str| match parse(text.as_bytes(), false).map(|t| t.command) {
        Ok(Command::Sort(sort)) => sort,
        other => panic!("{text}: {other:?}"),
    };
    let by = |reverse, key| SortCriterion { reverse, key };
    let first = sort("A282 SORT (SUBJECT) UTF-8 SINCE 1-Feb-1994");
    assert_eq!((first.uid, &*first.charset, first.returns), (false, "UTF-8", None));
    assert_eq!(first.criteria, [by(false, SortKey::Subject)]);
    let second = sort("a UID SORT (SUBJECT  REVERSE DATE)  \"us-ascii\" ALL");
    assert_eq!((second.uid, &*second.charset), (true, "us-ascii"));
    assert_eq!(second.criteria, [by(false, SortKey::Subject), by(true, SortKey::Date)]);
    let all = sort("a SORT (arrival cc displayfrom displayto from size to) x ALL");
    assert_eq!(all.criteria.len(), 7);
    // Without a charset, as UTF8=ACCEPT leads clients to send it.
    for (text, charset) in [
        ("a SORT (DATE) 1:2", "UTF-8"),
        ("a SORT (DATE) (ALL)", "UTF-8"),
        ("a SORT (DATE) $", "UTF-8"),
        ("a SORT (DATE) SUBJECT x UNSEEN", "UTF-8"),
        ("a SORT (DATE) ALL", "UTF-8"),
        ("a SORT (DATE) CHARSET us-ascii ALL", "us-ascii"),
        ("a SORT (DATE) us-ascii 1:2", "us-ascii"),
    ] {
        assert_eq!(&*sort(text).charset, charset, "{text}");
    }
    assert!(refused("SORT (DATE) 1:2 NONSENSE").contains("a search key"));
    assert!(refused("SORT (DATE) UTF-8 NONSENSE").contains("a search key"));
    assert!(refused("THREAD REFS UTF-8").contains("a space"));
    let esort = sort("E02 SORT RETURN (COUNT PARTIAL 1:3) (REVERSE DATE) UTF-8 UNDELETED");
    assert!(esort.returns.is_some_and(|returns| returns.count && returns.partial.is_some()));
    for (name, algorithm) in [
        ("ORDEREDSUBJECT", ThreadAlgorithm::OrderedSubject),
        ("references", ThreadAlgorithm::References),
        ("REFS", ThreadAlgorithm::Refs),
    ] {
        let text = format!("a UID THREAD {name} UTF-8 (SINCE 5-MAR-2000 TEXT \"gewp\")\r\n");
        let Ok(Command::Thread(thread)) = parse(text.as_bytes(), false).map(|t| t.command) else {
            panic!("{text}");
        };
        assert_eq!((thread.uid, thread.algorithm, &*thread.charset), (true, algorithm, "UTF-8"));
        assert!(matches!(thread.key, SearchKey::And(keys) if keys.len() == 2));
    }
}

/// Nested keys cost no stack, and time in proportion to their number.
#[test]
fn hostile_nesting() {
    let deep = |open: &str, close: &str, n| open.repeat(n) + "ALL" + &close.repeat(n);
    assert_eq!(key(&deep("(", ")", 100_000)), SearchKey::All);
    assert_eq!(key(&deep("NOT ", "", 100_000)), SearchKey::All);
    assert!(refused(&format!("SEARCH {}", "(".repeat(100_000))).contains("a search key"));
    assert!(refused(&format!("SEARCH {}", "OR ".repeat(100_000))).contains("a search key"));
    for chain in [deep("OR 1 ", "", 50_000), deep("OR ", " 1", 50_000)] {
        assert!(matches!(key(&chain), SearchKey::Or(keys) if keys.len() == 50_001));
    }
    for group in [deep("(1 ", ")", 50_000), deep("(", " 1)", 50_000)] {
        assert!(matches!(key(&group), SearchKey::And(keys) if keys.len() == 50_001));
    }
    let alternating = |n| deep("OR 1 (2 ", ")", n);
    assert!(matches!(key(&alternating(SEARCH_DEPTH / 2)), SearchKey::Or(_)));
    let error = refused(&format!("SEARCH {}", alternating(SEARCH_DEPTH / 2 + 1)));
    assert!(error.contains("less nesting of search keys"), "{error}");
    assert!(refused(&format!("SEARCH {}", alternating(50_000))).contains("less nesting"));
}
