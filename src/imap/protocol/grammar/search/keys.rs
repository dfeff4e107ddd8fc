//! What SEARCH looks for.

use crate::limits::SEARCH_DEPTH;
use crate::protocol::SequenceSet;
use crate::protocol::grammar::{Cursor, Expected, Parsed};
use crate::types::{Date, DateError, Flags, Keyword};

/// A condition on a message (RFC 3501 section 6.4.4). The keys that say the same in other words
/// are put in terms of these: UNSEEN is not SEEN, OLD is not RECENT, NEW is RECENT and UNSEEN,
/// FROM is the header field From. Order among keys does not matter and is not kept. Strings are
/// octets as they were sent, in the charset of the command. Nesting is bounded by
/// [`SEARCH_DEPTH`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SearchKey {
    /// Every message.
    All,
    /// No message: a keyword that no message can have.
    Nothing,
    /// All of these; two at least, none of them such a list again.
    And(Vec<SearchKey>),
    /// One of these at least; two at least, none of them such a list again.
    Or(Vec<SearchKey>),
    /// Not this, which is no such negation itself.
    Not(Box<SearchKey>),
    /// All of these system flags.
    Flags(Flags),
    /// This keyword.
    Keyword(Keyword),
    /// `\Recent` in this session.
    Recent,
    /// Before, on or since a day.
    Date {
        /// Which date of the message.
        field: DateField,
        /// On which side of the day.
        order: DateOrder,
        /// The day.
        day: Date,
    },
    /// The mailbox keeps save dates (RFC 8514): all messages or none.
    SaveDateSupported,
    /// The internal date is so many seconds in the past at least (RFC 5032).
    Older(u32),
    /// The internal date is so many seconds in the past at most (RFC 5032).
    Younger(u32),
    /// More octets than this.
    Larger(u64),
    /// Fewer octets than this.
    Smaller(u64),
    /// A header field of this name whose text holds this; with an empty text: that is there.
    /// BCC, CC, FROM, SUBJECT and TO are such fields, spelt `Bcc` and so on.
    Header {
        /// Name of the field, as written.
        name: Vec<u8>,
        /// What it holds.
        text: Vec<u8>,
    },
    /// The body holds this.
    Body(Vec<u8>),
    /// Header or body hold this.
    Text(Vec<u8>),
    /// The message has one of these numbers; [`SequenceSet::is_saved`] asks for `$`.
    Sequence(SequenceSet),
    /// The message has one of these UIDs; [`SequenceSet::is_saved`] asks for `$`.
    Uid(SequenceSet),
    /// The mod-sequence is this or greater (RFC 7162). The metadata entry that clients may name is
    /// passed over, as section 3.1.5 asks of servers that keep one mod-sequence for a message.
    ModSeq(u64),
    /// The message's identifier (RFC 8474).
    EmailId(Vec<u8>),
    /// The thread's identifier (RFC 8474).
    ThreadId(Vec<u8>),
}

/// One of the dates of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum DateField {
    /// `BEFORE`, `ON`, `SINCE`: the internal date.
    Internal,
    /// `SENTBEFORE`, `SENTON`, `SENTSINCE`: that of the header field Date.
    Sent,
    /// `SAVEDBEFORE`, `SAVEDON`, `SAVEDSINCE`: when it came into the mailbox (RFC 8514).
    Saved,
}

/// On which side of a day a date lies.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum DateOrder {
    /// Earlier.
    Before,
    /// On it.
    On,
    /// On it or later.
    Since,
}

impl DateOrder {
    /// Whether `date` lies on this side of `day`.
    #[must_use]
    pub fn holds(self, date: Date, day: Date) -> bool {
        match self {
            DateOrder::Before => date < day,
            DateOrder::On => date == day,
            DateOrder::Since => date >= day,
        }
    }
}

/// A key with what is open around it.
enum Open {
    /// After NOT.
    Not,
    /// After OR, and after its first key.
    Or(Option<Node>),
    /// After an opening parenthesis: the keys so far.
    Group(Vec<Node>),
}

/// A key, and how many And, Or and Not lie within each other in it.
struct Node {
    key: SearchKey,
    depth: usize,
}

impl From<SearchKey> for Node {
    fn from(key: SearchKey) -> Node {
        let depth = match key {
            // NEW has another within.
            SearchKey::And(_) => 2,
            // UNSEEN and the like.
            SearchKey::Not(_) => 1,
            _ => 0,
        };
        Node { key, depth }
    }
}

/// Reads the keys at the end of a command.
///
/// ```abnf
/// search-key *(SP search-key)
/// search-key =/ "NOT" SP search-key / "OR" SP search-key SP search-key /
///               "(" search-key *(SP search-key) ")"
/// ```
/// Iterative: what is open costs no stack. What is built is bounded in depth, because those who
/// evaluate it and drop it do so by recursion; parentheses and chains of OR that say nothing more
/// than a list are lists.
pub(super) fn program(cursor: &mut Cursor) -> Parsed<SearchKey> {
    let (mut keys, mut open) = (Vec::new(), Vec::new());
    loop {
        if cursor.accept(b'(') {
            cursor.spaces();
            open.push(Open::Group(Vec::new()));
            continue;
        }
        let start = cursor.clone();
        let node = match word(cursor)? {
            Word::Not => {
                cursor.sp()?;
                open.push(Open::Not);
                continue;
            }
            Word::Or => {
                cursor.sp()?;
                open.push(Open::Or(None));
                continue;
            }
            Word::Key(key) => Node::from(key),
        };
        if !close(cursor, &start, node, &mut open, &mut keys)? {
            return all_of(keys, &start).map(|node| node.key);
        }
    }
}

/// Puts a key that is complete where it belongs, and with it what it completes. `false` when the
/// command has ended.
fn close(
    cursor: &mut Cursor,
    start: &Cursor,
    mut node: Node,
    open: &mut Vec<Open>,
    keys: &mut Vec<Node>,
) -> Parsed<bool> {
    loop {
        node = match open.pop() {
            Some(Open::Not) => not(node, start)?,
            Some(Open::Or(None)) => {
                open.push(Open::Or(Some(node)));
                between(cursor, "a space")?;
                return Ok(true);
            }
            Some(Open::Or(Some(first))) => one_of(first, node, start)?,
            Some(Open::Group(mut group)) => {
                group.push(node);
                let mut ahead = cursor.clone();
                ahead.spaces();
                if !ahead.accept(b')') {
                    open.push(Open::Group(group));
                    between(cursor, "a space or a closing parenthesis")?;
                    return Ok(true);
                }
                *cursor = ahead;
                all_of(group, start)?
            }
            None => {
                keys.push(node);
                let mut ahead = cursor.clone();
                ahead.spaces();
                if ahead.at_end() {
                    *cursor = ahead;
                    return Ok(false);
                }
                between(cursor, "a space")?;
                return Ok(true);
            }
        }
    }
}

/// Between two keys a space is wanted, unless parentheses keep them apart.
fn between(cursor: &mut Cursor, what: &'static str) -> Parsed<()> {
    if cursor.peek() != Some(b'(') {
        cursor.require(b' ', what)?;
        cursor.spaces();
    }
    Ok(())
}

fn deeper(depth: usize, start: &Cursor) -> Parsed<usize> {
    if depth < SEARCH_DEPTH { Ok(depth + 1) } else { start.expected("less nesting of search keys") }
}

fn not(node: Node, start: &Cursor) -> Parsed<Node> {
    match node.key {
        SearchKey::Not(key) => Ok(Node { key: *key, depth: node.depth - 1 }),
        SearchKey::All => Ok(SearchKey::Nothing.into()),
        SearchKey::Nothing => Ok(SearchKey::All.into()),
        key => Ok(Node { depth: deeper(node.depth, start)?, key: SearchKey::Not(Box::new(key)) }),
    }
}

fn one_of(first: Node, second: Node, start: &Cursor) -> Parsed<Node> {
    let (mut keys, mut within) = (Vec::new(), 0);
    for node in [first, second] {
        match node.key {
            SearchKey::Or(more) => {
                within = within.max(node.depth - 1);
                merge(&mut keys, more);
            }
            key => {
                within = within.max(node.depth);
                keys.push(key);
            }
        }
    }
    Ok(Node { key: SearchKey::Or(keys), depth: deeper(within, start)? })
}

fn all_of(nodes: Vec<Node>, start: &Cursor) -> Parsed<Node> {
    if nodes.len() == 1 {
        return nodes.into_iter().next().map_or_else(|| start.expected("a search key"), Ok);
    }
    let (mut keys, mut within) = (Vec::new(), 0);
    for node in nodes {
        match node.key {
            SearchKey::And(more) => {
                within = within.max(node.depth - 1);
                merge(&mut keys, more);
            }
            key => {
                within = within.max(node.depth);
                keys.push(key);
            }
        }
    }
    Ok(Node { key: SearchKey::And(keys), depth: deeper(within, start)? })
}

/// Puts the shorter list behind the longer one: however lists are nested, no key is moved more
/// often than their number has binary digits.
fn merge(keys: &mut Vec<SearchKey>, mut more: Vec<SearchKey>) {
    if keys.len() < more.len() {
        std::mem::swap(keys, &mut more);
    }
    keys.append(&mut more);
}

enum Word {
    Not,
    Or,
    Key(SearchKey),
}

/// ```abnf
/// search-key = "ALL" / "ANSWERED" / "BCC" SP astring / "BEFORE" SP date / "BODY" SP astring /
///              "CC" SP astring / "DELETED" / "DRAFT" / "FLAGGED" / "FROM" SP astring /
///              "HEADER" SP header-fld-name SP astring / "KEYWORD" SP flag-keyword /
///              "LARGER" SP number / "NEW" / "OLD" / "ON" SP date / "RECENT" / "SEEN" /
///              "SENTBEFORE" SP date / "SENTON" SP date / "SENTSINCE" SP date /
///              "SINCE" SP date / "SMALLER" SP number / "SUBJECT" SP astring /
///              "TEXT" SP astring / "TO" SP astring / "UID" SP sequence-set / "UNANSWERED" /
///              "UNDELETED" / "UNDRAFT" / "UNFLAGGED" / "UNKEYWORD" SP flag-keyword /
///              "UNSEEN" / sequence-set
/// search-key =/ ("OLDER" / "YOUNGER") SP nz-number                              ; RFC 5032
/// search-key =/ "EMAILID" SP objectid / "THREADID" SP objectid                  ; RFC 8474
/// search-key =/ ("SAVEDBEFORE" / "SAVEDON" / "SAVEDSINCE") SP date / "SAVEDATESUPPORTED"
/// ```
/// the last of RFC 8514.
fn word(cursor: &mut Cursor) -> Parsed<Word> {
    use DateField::{Internal, Saved, Sent};
    use DateOrder::{Before, On, Since};
    if let Some(b'0'..=b'9' | b'*' | b'$') = cursor.peek() {
        return Ok(Word::Key(SearchKey::Sequence(cursor.sequence_set()?)));
    }
    let start = cursor.clone();
    let unset = |flag| SearchKey::Not(Box::new(SearchKey::Flags(flag)));
    let key = match cursor.atom("a search key")?.to_ascii_uppercase().as_str() {
        "NOT" => return Ok(Word::Not),
        "OR" => return Ok(Word::Or),
        "ALL" => SearchKey::All,
        "ANSWERED" => SearchKey::Flags(Flags::ANSWERED),
        "DELETED" => SearchKey::Flags(Flags::DELETED),
        "DRAFT" => SearchKey::Flags(Flags::DRAFT),
        "FLAGGED" => SearchKey::Flags(Flags::FLAGGED),
        "SEEN" => SearchKey::Flags(Flags::SEEN),
        "UNANSWERED" => unset(Flags::ANSWERED),
        "UNDELETED" => unset(Flags::DELETED),
        "UNDRAFT" => unset(Flags::DRAFT),
        "UNFLAGGED" => unset(Flags::FLAGGED),
        "UNSEEN" => unset(Flags::SEEN),
        "NEW" => SearchKey::And(vec![SearchKey::Recent, unset(Flags::SEEN)]),
        "OLD" => SearchKey::Not(Box::new(SearchKey::Recent)),
        "RECENT" => SearchKey::Recent,
        "KEYWORD" => keyword(cursor)?,
        "UNKEYWORD" => match keyword(cursor)? {
            SearchKey::Nothing => SearchKey::All,
            key => SearchKey::Not(Box::new(key)),
        },
        "BEFORE" => date(cursor, Internal, Before)?,
        "ON" => date(cursor, Internal, On)?,
        "SINCE" => date(cursor, Internal, Since)?,
        "SENTBEFORE" => date(cursor, Sent, Before)?,
        "SENTON" => date(cursor, Sent, On)?,
        "SENTSINCE" => date(cursor, Sent, Since)?,
        "SAVEDBEFORE" => date(cursor, Saved, Before)?,
        "SAVEDON" => date(cursor, Saved, On)?,
        "SAVEDSINCE" => date(cursor, Saved, Since)?,
        "SAVEDATESUPPORTED" => SearchKey::SaveDateSupported,
        "OLDER" => SearchKey::Older(seconds(cursor)?),
        "YOUNGER" => SearchKey::Younger(seconds(cursor)?),
        "LARGER" => SearchKey::Larger(size(cursor)?),
        "SMALLER" => SearchKey::Smaller(size(cursor)?),
        "BCC" => header(cursor, "Bcc")?,
        "CC" => header(cursor, "Cc")?,
        "FROM" => header(cursor, "From")?,
        "SUBJECT" => header(cursor, "Subject")?,
        "TO" => header(cursor, "To")?,
        "HEADER" => SearchKey::Header {
            name: string(cursor, "the name of a header field")?,
            text: string(cursor, "a string")?,
        },
        "BODY" => SearchKey::Body(string(cursor, "a string")?),
        "TEXT" => SearchKey::Text(string(cursor, "a string")?),
        "UID" => {
            cursor.sp()?;
            SearchKey::Uid(cursor.sequence_set()?)
        }
        "MODSEQ" => modseq(cursor)?,
        "EMAILID" => SearchKey::EmailId(string(cursor, "an object identifier")?),
        "THREADID" => SearchKey::ThreadId(string(cursor, "an object identifier")?),
        _ => return start.expected("a search key"),
    };
    Ok(Word::Key(key))
}

fn string(cursor: &mut Cursor, what: &'static str) -> Parsed<Vec<u8>> {
    cursor.sp()?;
    cursor.astring(what)
}

fn header(cursor: &mut Cursor, name: &str) -> Parsed<SearchKey> {
    Ok(SearchKey::Header { name: name.into(), text: string(cursor, "a string")? })
}

/// ```abnf
/// date = date-text / DQUOTE date-text DQUOTE
/// ```
fn date(cursor: &mut Cursor, field: DateField, order: DateOrder) -> Parsed<SearchKey> {
    cursor.sp()?;
    let at = cursor.at();
    let text = cursor.astring("a date")?;
    let day = Date::parse(text.trim_ascii()).map_err(|error| match error {
        DateError::Malformed => Expected { what: "a date", at },
        DateError::OutOfRange => Expected { what: "a date that exists", at },
    })?;
    Ok(SearchKey::Date { field, order, day })
}

/// ```abnf
/// nz-number = digit-nz *DIGIT
/// ```
/// More seconds than fit are an age that no message has.
fn seconds(cursor: &mut Cursor) -> Parsed<u32> {
    cursor.sp()?;
    let start = cursor.clone();
    match cursor.number("a number of seconds")? {
        0 => start.expected("a number of seconds over 0"),
        seconds => Ok(u32::try_from(seconds).unwrap_or(u32::MAX)),
    }
}

fn size(cursor: &mut Cursor) -> Parsed<u64> {
    cursor.sp()?;
    cursor.number("a number of octets")
}

/// ```abnf
/// flag-keyword = atom
/// ```
/// Strings and the names of system flags are taken too; what no message can have matches none.
fn keyword(cursor: &mut Cursor) -> Parsed<SearchKey> {
    cursor.sp()?;
    let name = match cursor.peek() {
        Some(b'"' | b'{') => cursor.string("a keyword")?,
        _ => {
            let plain = |o: u8| !matches!(o, b'(' | b')') && o > b' ' && o != 0x7f;
            cursor.run("a keyword", plain)?.to_vec()
        }
    };
    if let Some(flag) = Flags::by_name(&name) {
        return Ok(SearchKey::Flags(flag));
    }
    Ok(Keyword::new(&name).map_or(SearchKey::Nothing, SearchKey::Keyword))
}

/// ```abnf
/// search-modsequence   = "MODSEQ" [search-modseq-ext] SP mod-sequence-valzer    ; RFC 7162
/// search-modseq-ext    = SP entry-name SP entry-type-req
/// entry-name           = DQUOTE "/flags/" attr-flag DQUOTE
/// entry-type-req       = "priv" / "shared" / "all"
/// mod-sequence-valzer  = "0" / mod-sequence-value
/// ```
fn modseq(cursor: &mut Cursor) -> Parsed<SearchKey> {
    cursor.sp()?;
    if !cursor.peek().is_some_and(|o| o.is_ascii_digit()) {
        cursor.astring("a mod-sequence or a metadata entry")?;
        cursor.sp()?;
        let kind = ["PRIV", "SHARED", "ALL"].into_iter().any(|kind| cursor.accept_word(kind));
        if !kind {
            return cursor.expected("priv, shared or all");
        }
        cursor.sp()?;
    }
    Ok(SearchKey::ModSeq(cursor.number("a mod-sequence")?))
}
