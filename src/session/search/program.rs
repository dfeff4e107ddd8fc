//! What a message must be, made ready once to be asked of many messages.
//!
//! Keys are told apart by what it costs to answer them: what the index knows, what stands in the
//! header, what takes the whole message. Among keys that belong together the cheap ones come
//! first, and a message of which they decide is not read.

use crate::index::{Entry, KeywordSet, Keywords};
use crate::mime::{BadCharset, Needle, sent_date};
use crate::protocol::{DateField, DateOrder, SearchKey, SequenceSet};
use crate::session::selected::Selected;
use crate::types::{Date, EmailId, Flags, Keyword, ModSeq, SegmentId, UidRange};

/// What has to be read of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Cost {
    /// Nothing: the index knows.
    Index,
    /// Its header.
    Header,
    /// All of it.
    Whole,
}

/// See the head of this file.
#[derive(Debug)]
pub(super) struct Program {
    root: Node,
    leaves: Vec<Leaf>,
    keywords: Vec<Keyword>,
    /// MODSEQ is among the keys (RFC 7162 section 3.1.5).
    pub has_modseq: bool,
}

#[derive(Debug)]
enum Node {
    Always(bool),
    /// A key, by its place among all, and what it costs.
    Leaf(u32, Cost),
    /// All of these, the cheapest first.
    All(Box<[Node]>),
    /// One of these, the cheapest first.
    Any(Box<[Node]>),
    Not(Box<Node>),
}

#[derive(Debug)]
enum Leaf {
    Flags(Flags),
    /// A keyword, by its place in [`Program::keywords`].
    Keyword(u32),
    Recent,
    Internal(DateOrder, Date),
    Saved(DateOrder, Date),
    /// The internal date is not after this.
    Older(i64),
    /// The internal date is not before this.
    Younger(i64),
    Larger(u64),
    Smaller(u64),
    Uids(Box<[UidRange]>),
    ModSeq(ModSeq),
    EmailId(EmailId),
    Sent(DateOrder, Date),
    Field(Vec<u8>, Needle),
    Body(Needle),
    Text(Needle),
}

/// What is known of the keys of one message: answers, by the place of the key.
#[derive(Clone, Debug, Default)]
pub(super) struct Answers(Vec<Option<bool>>);

/// What keys that the index answers are asked of, besides the message itself.
pub(super) struct Known<'a> {
    table: &'a Keywords,
    numbers: Vec<Option<u16>>,
    selected: &'a Selected,
}

impl<'a> Known<'a> {
    /// As the mailbox is now.
    pub fn new(program: &Program, table: &'a Keywords, selected: &'a Selected) -> Known<'a> {
        let numbers = program.keywords.iter().map(|keyword| table.number(keyword)).collect();
        Known { table, numbers, selected }
    }

    fn has(&self, set: KeywordSet, keyword: u32) -> bool {
        self.numbers[keyword as usize].is_some_and(|number| self.table.has(set, number))
    }
}

impl Program {
    /// Makes keys ready. Strings are in `charset`; numbers of messages mean those of the moment,
    /// and so do ages: `now` is in seconds since 1970.
    ///
    /// # Errors
    /// When the charset is unknown.
    pub fn new(
        key: &SearchKey,
        charset: &str,
        selected: &Selected,
        now: i64,
    ) -> Result<Program, BadCharset> {
        // Even if no string is in it.
        Needle::new(b"", charset)?;
        let root = Node::Always(true);
        let mut program =
            Program { root, leaves: Vec::new(), keywords: Vec::new(), has_modseq: false };
        program.root = program.node(key, charset, selected, now)?;
        Ok(program)
    }

    fn node(
        &mut self,
        key: &SearchKey,
        charset: &str,
        selected: &Selected,
        now: i64,
    ) -> Result<Node, BadCharset> {
        let leaf = match key {
            SearchKey::All | SearchKey::SaveDateSupported => return Ok(Node::Always(true)),
            // No message has a thread's identifier (RFC 8474 section 5.2).
            SearchKey::Nothing | SearchKey::ThreadId(_) => return Ok(Node::Always(false)),
            SearchKey::And(keys) => {
                let nodes = keys.iter().map(|key| self.node(key, charset, selected, now));
                return Ok(Node::list(nodes.collect::<Result<_, BadCharset>>()?, true));
            }
            SearchKey::Or(keys) => {
                let nodes = keys.iter().map(|key| self.node(key, charset, selected, now));
                return Ok(Node::list(nodes.collect::<Result<_, BadCharset>>()?, false));
            }
            SearchKey::Not(key) => return Ok(self.node(key, charset, selected, now)?.not()),
            SearchKey::Flags(flags) => Leaf::Flags(*flags),
            SearchKey::Keyword(keyword) => {
                self.keywords.push(keyword.clone());
                Leaf::Keyword((self.keywords.len() - 1) as u32)
            }
            SearchKey::Recent => Leaf::Recent,
            SearchKey::Date { field, order, day } => match field {
                DateField::Internal => Leaf::Internal(*order, *day),
                DateField::Saved => Leaf::Saved(*order, *day),
                DateField::Sent => Leaf::Sent(*order, *day),
            },
            SearchKey::Older(seconds) => Leaf::Older(now - i64::from(*seconds)),
            SearchKey::Younger(seconds) => Leaf::Younger(now - i64::from(*seconds)),
            SearchKey::Larger(size) => Leaf::Larger(*size),
            SearchKey::Smaller(size) => Leaf::Smaller(*size),
            SearchKey::Header { name, text } => {
                Leaf::Field(name.clone(), Needle::new(text, charset)?)
            }
            SearchKey::Body(text) => Leaf::Body(Needle::new(text, charset)?),
            SearchKey::Text(text) => Leaf::Text(Needle::new(text, charset)?),
            SearchKey::Sequence(set) => Leaf::Uids(selected.named(set, false).into()),
            SearchKey::Uid(set) => Leaf::Uids(uids(set, selected).into()),
            SearchKey::ModSeq(modseq) => {
                self.has_modseq = true;
                Leaf::ModSeq(ModSeq(*modseq))
            }
            SearchKey::EmailId(text) => match email_id(text) {
                Some(id) => Leaf::EmailId(id),
                None => return Ok(Node::Always(false)),
            },
        };
        let cost = leaf.cost();
        self.leaves.push(leaf);
        Ok(Node::Leaf((self.leaves.len() - 1) as u32, cost))
    }

    /// What has to be read of a message of which the cheap keys do not decide.
    pub fn cost(&self) -> Cost {
        self.root.cost()
    }

    /// Whether a key that costs less than all of the message decides of many messages.
    pub fn has_header_first(&self) -> bool {
        match &self.root {
            Node::All(nodes) => nodes.iter().any(|node| node.cost() == Cost::Header),
            _ => false,
        }
    }

    /// How many keys there are: what it takes to ask them.
    pub fn keys(&self) -> usize {
        self.leaves.len()
    }

    /// Whether the answer may be another when flags of a message have changed.
    pub fn depends_on_flags(&self) -> bool {
        let depends =
            |leaf: &Leaf| matches!(leaf, Leaf::Flags(_) | Leaf::Keyword(_) | Leaf::ModSeq(_));
        self.leaves.iter().any(depends)
    }

    /// Of these messages, ascending, those that may fit for all that their UIDs say.
    pub fn within(&self, uids: Vec<UidRange>) -> Vec<UidRange> {
        let nodes = match &self.root {
            Node::Always(false) => return Vec::new(),
            Node::All(nodes) => nodes,
            node => std::slice::from_ref(node),
        };
        nodes.iter().fold(uids, |uids, node| match node {
            Node::Leaf(place, _) => match &self.leaves[*place as usize] {
                Leaf::Uids(named) => UidRange::intersection(&uids, named),
                _ => uids,
            },
            _ => uids,
        })
    }

    /// Above which mod-sequence all messages are that may fit.
    pub fn above(&self) -> Option<ModSeq> {
        let nodes = match &self.root {
            Node::All(nodes) => nodes,
            node => std::slice::from_ref(node),
        };
        let above = |node: &Node| match node {
            Node::Leaf(place, _) => match &self.leaves[*place as usize] {
                Leaf::ModSeq(modseq) => modseq.0.checked_sub(1).map(ModSeq),
                _ => None,
            },
            _ => None,
        };
        nodes.iter().filter_map(above).max()
    }

    /// Whether a message fits, if the index can say.
    pub fn by_index(&self, entry: Entry<'_>, known: &Known<'_>) -> Option<bool> {
        self.root.decide(&mut |place| self.leaves[place].by_index(entry, known))
    }

    /// All that the index can say.
    pub fn answers(&self, entry: Entry<'_>, known: &Known<'_>) -> Answers {
        Answers(self.leaves.iter().map(|leaf| leaf.by_index(entry, known)).collect())
    }

    /// Whether a message fits, if its header can say. `day` is that of its internal date.
    pub fn by_header(&self, header: &[u8], day: Date, answers: &mut Answers) -> Option<bool> {
        self.root.decide(&mut |place| {
            let answer = &mut answers.0[place];
            if answer.is_none() {
                *answer = self.leaves[place].by_header(header, day);
            }
            *answer
        })
    }

    /// Whether a message fits of which the header was asked.
    pub fn by_whole(&self, message: &[u8], day: Date, answers: &mut Answers) -> bool {
        let fits = self.root.decide(&mut |place| {
            let answer = &mut answers.0[place];
            if answer.is_none() {
                *answer = Some(self.leaves[place].by_whole(message, day));
            }
            *answer
        });
        fits.unwrap_or(false)
    }
}

impl Node {
    fn cost(&self) -> Cost {
        match self {
            Node::Always(_) => Cost::Index,
            Node::Leaf(_, cost) => *cost,
            Node::Not(node) => node.cost(),
            Node::All(nodes) | Node::Any(nodes) => {
                nodes.last().map_or(Cost::Index, |node| node.cost())
            }
        }
    }

    fn not(self) -> Node {
        match self {
            Node::Always(always) => Node::Always(!always),
            Node::Not(node) => *node,
            node => Node::Not(Box::new(node)),
        }
    }

    /// All of these nodes, or one of them.
    fn list(nodes: Vec<Node>, all: bool) -> Node {
        let mut kept = Vec::with_capacity(nodes.len());
        for node in nodes {
            match node {
                Node::Always(always) if always == all => {}
                Node::Always(always) => return Node::Always(always),
                node => kept.push(node),
            }
        }
        kept.sort_by_key(Node::cost);
        match (kept.len(), all) {
            (0, all) => Node::Always(all),
            (1, _) => kept.pop().unwrap_or(Node::Always(all)),
            (_, true) => Node::All(kept.into()),
            (_, false) => Node::Any(kept.into()),
        }
    }

    fn decide(&self, ask: &mut impl FnMut(usize) -> Option<bool>) -> Option<bool> {
        let (nodes, all) = match self {
            Node::Always(always) => return Some(*always),
            Node::Leaf(place, _) => return ask(*place as usize),
            Node::Not(node) => return node.decide(ask).map(|fits| !fits),
            Node::All(nodes) => (nodes, true),
            Node::Any(nodes) => (nodes, false),
        };
        let mut unsure = false;
        for node in nodes {
            match node.decide(ask) {
                Some(fits) if fits == all => {}
                Some(fits) => return Some(fits),
                None => unsure = true,
            }
        }
        (!unsure).then_some(all)
    }
}

impl Leaf {
    fn cost(&self) -> Cost {
        match self {
            Leaf::Sent(..) | Leaf::Field(..) => Cost::Header,
            Leaf::Body(_) | Leaf::Text(_) => Cost::Whole,
            _ => Cost::Index,
        }
    }

    fn by_index(&self, entry: Entry<'_>, known: &Known<'_>) -> Option<bool> {
        Some(match self {
            Leaf::Flags(flags) => entry.flags().contains(*flags),
            Leaf::Keyword(keyword) => known.has(entry.keywords(), *keyword),
            Leaf::Recent => known.selected.is_recent(entry.uid()),
            Leaf::Internal(order, day) => order.holds(entry.date().date(), *day),
            Leaf::Saved(order, day) => order.holds(Date::from_unix(entry.save_date()), *day),
            Leaf::Older(moment) => entry.date().to_unix() <= *moment,
            Leaf::Younger(moment) => entry.date().to_unix() >= *moment,
            Leaf::Larger(size) => entry.size() > *size,
            Leaf::Smaller(size) => entry.size() < *size,
            Leaf::Uids(uids) => UidRange::covers(uids, entry.uid()),
            Leaf::ModSeq(modseq) => entry.modseq() >= *modseq,
            Leaf::EmailId(id) => entry.email_id() == *id,
            Leaf::Sent(..) | Leaf::Field(..) | Leaf::Body(_) | Leaf::Text(_) => return None,
        })
    }

    fn by_header(&self, header: &[u8], day: Date) -> Option<bool> {
        Some(match self {
            // A message without a date that can be read was sent when it came.
            Leaf::Sent(order, sought) => {
                let sent = sent_date(header).map_or(day, |sent| Date(sent.day));
                order.holds(sent, *sought)
            }
            Leaf::Field(name, needle) => needle.in_header_field(header, name),
            _ => return None,
        })
    }

    fn by_whole(&self, message: &[u8], day: Date) -> bool {
        match self {
            Leaf::Body(needle) => needle.in_body(message),
            Leaf::Text(needle) => needle.in_text(message),
            leaf => leaf.by_header(message, day).unwrap_or(false),
        }
    }
}

/// The UIDs that a set names. A range to `*` names messages that are still to come as well.
fn uids(set: &SequenceSet, selected: &Selected) -> Vec<UidRange> {
    if set.is_saved() {
        return selected.saved.clone();
    }
    let last = selected.view.last().map_or(0, |uid| uid.0);
    let mut uids: Vec<_> = set.resolve(last).uids().collect();
    if set.has_star() {
        let later: Vec<_> = set.resolve(u32::MAX).uids().collect();
        uids = UidRange::union(&uids, &later);
    }
    uids
}

/// The inverse of what FETCH answers for EMAILID.
fn email_id(text: &[u8]) -> Option<EmailId> {
    let text = std::str::from_utf8(text).ok()?;
    let (segment, offset) = text.strip_prefix('M')?.split_once('-')?;
    let segment = SegmentId(u64::from_str_radix(segment, 16).ok()?);
    let id = EmailId { segment, offset: u32::from_str_radix(offset, 16).ok()? };
    (id.to_string() == text).then_some(id)
}
