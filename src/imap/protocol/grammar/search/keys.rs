//! Search keys.

use crate::limits::SEARCH_DEPTH;
use crate::protocol::SequenceSet;
use crate::protocol::grammar::{Cursor, Expected, Parsed};
use crate::types::{Date, DateError, Flags, Keyword};

/// A condition on a message (RFC 3501 section 6.4.4). Keys that are shorthand are spelt out: UNSEEN
/// is NOT SEEN, OLD is NOT RECENT, NEW is RECENT and UNSEEN, FROM is the header field From. The
/// order of keys does not matter and is not kept. Strings are octets as sent, in the charset of the
/// command. [`SEARCH_DEPTH`] bounds the nesting.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SearchKey {
    /// Every message.
    All,
    /// No message: the key names a keyword that no message can have.
    Nothing,
    /// All of these: at least two, and none of them an `And`.
    And(Vec<SearchKey>),
    /// Any of these: at least two, and none of them an `Or`.
    Or(Vec<SearchKey>),
    /// Not this, which is not a `Not` itself.
    Not(Box<SearchKey>),
    /// All of these system flags are set.
    Flags(Flags),
    /// This keyword is set.
    Keyword(Keyword),
    /// `\Recent` is set in this session.
    Recent,
    /// Before, on or since a day.
    Date {
        /// Which date of the message to compare.
        field: DateField,
        /// On which side of the day.
        order: DateOrder,
        /// The day.
        day: Date,
    },
    /// Whether the mailbox keeps save dates (RFC 8514): matches all messages or none.
    SaveDateSupported,
    /// The internal date is at least this many seconds ago (RFC 5032).
    Older(u32),
    /// The internal date is at most this many seconds ago (RFC 5032).
    Younger(u32),
    /// More octets than this.
    Larger(u64),
    /// Fewer octets than this.
    Smaller(u64),
    /// A header field with this name contains this text; an empty text matches if the field exists.
    /// BCC, CC, FROM, SUBJECT and TO become such keys, spelt `Bcc` and so on.
    Header {
        /// Field name, as written.
        name: Vec<u8>,
        /// The text to find.
        text: Vec<u8>,
    },
    /// The body contains this.
    Body(Vec<u8>),
    /// The header or the body contains this.
    Text(Vec<u8>),
    /// The message has one of these numbers. [`SequenceSet::is_saved`] tells whether the set is
    /// `$`.
    Sequence(SequenceSet),
    /// The message has one of these UIDs. [`SequenceSet::is_saved`] tells whether the set is `$`.
    Uid(SequenceSet),
    /// The mod-sequence is this or greater (RFC 7162). A metadata entry in the key is ignored, as
    /// section 3.1.5 asks of servers with one mod-sequence per message.
    ModSeq(u64),
    /// The message's identifier (RFC 8474).
    EmailId(Vec<u8>),
    /// The thread's identifier (RFC 8474).
    ThreadId(Vec<u8>),
}

/// A date of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum DateField {
    /// `BEFORE`, `ON`, `SINCE`: the internal date.
    Internal,
    /// `SENTBEFORE`, `SENTON`, `SENTSINCE`: the date in the header field Date.
    Sent,
    /// `SAVEDBEFORE`, `SAVEDON`, `SAVEDSINCE`: when the message entered the mailbox (RFC 8514).
    Saved,
}

/// On which side of a day a date lies.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum DateOrder {
    /// Earlier.
    Before,
    /// That day.
    On,
    /// That day or later.
    Since,
}

impl DateOrder {
    /// Whether `date` stands in this relation to `day`.
    #[must_use]
    pub fn holds(self, date: Date, day: Date) -> bool {
        match self {
            DateOrder::Before => date < day,
            DateOrder::On => date == day,
            DateOrder::Since => date >= day,
        }
    }
}

/// A key that waits for its operands.
enum Waiting {
    /// After NOT.
    Not,
    /// OR, with its first operand once that is complete.
    Or(Option<Node>),
    /// An opening parenthesis, with the keys read after it.
    Group(Vec<Node>),
}

/// A complete key, and how deep And, Or and Not nest in it.
struct Node {
    key: SearchKey,
    depth: usize,
}

impl From<SearchKey> for Node {
    fn from(key: SearchKey) -> Node {
        let depth = match key {
            // NEW contains a Not.
            SearchKey::And(_) => 2,
            // UNSEEN and similar.
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
/// Recursion would let a client choose the depth of the stack, so incomplete keys wait on a stack
/// of their own. For `OR NOT SEEN (DRAFT DELETED)`:
///
/// ```text
/// read       waiting                    complete
/// OR         Or()
/// NOT        Or() Not
/// SEEN       Or()                       Not(SEEN), which completes NOT
///            Or(Not(SEEN))              OR now has its first operand
/// (          Or(Not(SEEN)) Group()
/// DRAFT      Or(Not(SEEN)) Group(DRAFT)
/// DELETED    Or(Not(SEEN)) Group(DRAFT DELETED)
/// )                                     And(DRAFT DELETED), which completes OR
/// ```
///
/// The result is evaluated and dropped by recursion, so its depth is bounded. Redundant parentheses
/// and chains of OR become flat lists and do not count.
pub(super) fn program(cursor: &mut Cursor) -> Parsed<SearchKey> {
    let (mut keys, mut waiting) = (Vec::new(), Vec::new());
    loop {
        if cursor.accept(b'(') {
            cursor.spaces();
            waiting.push(Waiting::Group(Vec::new()));
            continue;
        }
        let start = cursor.clone();
        let node = match word(cursor)? {
            Word::Not => {
                cursor.sp()?;
                waiting.push(Waiting::Not);
                continue;
            }
            Word::Or => {
                cursor.sp()?;
                waiting.push(Waiting::Or(None));
                continue;
            }
            Word::Key(key) => Node::from(key),
        };
        if !close(cursor, &start, node, &mut waiting, &mut keys)? {
            return all_of(keys, &start).map(|node| node.key);
        }
    }
}

/// Gives a complete key to the key that waits for it, and so on for each key this completes.
/// `false` when the command has ended.
fn close(
    cursor: &mut Cursor,
    start: &Cursor,
    mut node: Node,
    waiting: &mut Vec<Waiting>,
    keys: &mut Vec<Node>,
) -> Parsed<bool> {
    loop {
        node = match waiting.pop() {
            Some(Waiting::Not) => not(node, start)?,
            Some(Waiting::Or(None)) => {
                waiting.push(Waiting::Or(Some(node)));
                between(cursor, "a space")?;
                return Ok(true);
            }
            Some(Waiting::Or(Some(first))) => one_of(first, node, start)?,
            Some(Waiting::Group(mut group)) => {
                group.push(node);
                let mut ahead = cursor.clone();
                ahead.spaces();
                if !ahead.accept(b')') {
                    waiting.push(Waiting::Group(group));
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

/// Two keys are separated by a space, optional next to a parenthesis.
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

/// Appends the shorter list to the longer one. However lists are nested, no key is moved more than
/// log2(n) times.
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
/// The last line is from RFC 8514.
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
/// More seconds than fit in 32 bits exceed the age of any message.
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
/// Strings and names of system flags are accepted; a keyword that cannot exist matches no message.
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
