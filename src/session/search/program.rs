//! Search keys, compiled once and evaluated on many messages.
//!
//! Keys are ordered by cost: those the index can answer, those that need the header, those that
//! need the complete message. In each AND and OR the cheap keys come first, and a message is not
//! read if they decide.

use std::cell::OnceCell;
use std::sync::Arc;

use super::fields::FieldKeys;
use super::leaf::{Asked, Leaf, between, email_id, uids};
pub(super) use super::leaf::{Cost, Known};
use crate::index::{Entry, Keywords};
use crate::limits::{SEARCH_KEYS, SEARCH_STRINGS};
use crate::session::selected::Shown;
use imap::mime::{BadCharset, Needle};
use imap::protocol::{DateField, SearchKey};
use imap::types::{Date, Keyword, ModSeq, UidRange};

/// The compiled keys of a command.
#[derive(Debug)]
pub(super) struct Program {
    root: Node,
    leaves: Vec<Leaf>,
    fields: FieldKeys,
    strings: usize,
    keywords: Vec<Keyword>,
    /// Whether MODSEQ is among the keys (RFC 7162 section 3.1.5).
    pub has_modseq: bool,
}

#[derive(Debug)]
enum Node {
    Always(bool),
    /// A key, by its index, and its cost.
    Leaf(u32, Cost),
    /// All of these, the cheapest first.
    All(Box<[Node]>),
    /// One of these, the cheapest first.
    Any(Box<[Node]>),
    Not(Box<Node>),
}

/// At most this number of UID sets narrow the range of the scan.
const NARROWING: usize = 8;

/// Why keys cannot be compiled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum NotReady {
    /// The charset is unknown.
    BadCharset,
    /// There are more keys than [`SEARCH_KEYS`], or more strings than [`SEARCH_STRINGS`].
    TooMany,
}

impl From<BadCharset> for NotReady {
    fn from(_: BadCharset) -> NotReady {
        NotReady::BadCharset
    }
}

/// The inputs of compiling a key.
#[derive(Clone, Copy)]
struct Context<'a> {
    charset: &'a str,
    shown: &'a Shown,
    now: i64,
    /// A copy of `$`, shared by all keys that name it.
    saved: &'a OnceCell<Arc<[UidRange]>>,
}

/// The answers of the keys for one message, by the index of the key.
#[derive(Clone, Debug, Default)]
pub(super) struct Answers(Vec<Option<bool>>);

impl Program {
    /// Compiles keys. Strings are in `charset`. Message numbers refer to the current view, and ages
    /// to `now`, in seconds since 1970.
    ///
    /// # Errors
    /// When the charset is unknown, or there are too many keys or strings.
    pub(super) fn new(
        key: &SearchKey,
        charset: &str,
        shown: &Shown,
        now: i64,
    ) -> Result<Program, NotReady> {
        // Checks the charset even if no key has a string.
        Needle::new(b"", charset)?;
        let mut program = Program {
            root: Node::Always(true),
            leaves: Vec::new(),
            fields: FieldKeys::default(),
            strings: 0,
            keywords: Vec::new(),
            has_modseq: false,
        };
        let saved = &OnceCell::new();
        program.root = program.node(key, Context { charset, shown, now, saved })?;
        Ok(program)
    }

    fn node(&mut self, key: &SearchKey, context: Context<'_>) -> Result<Node, NotReady> {
        let Context { charset, shown, now, saved } = context;
        let leaf = match key {
            SearchKey::All | SearchKey::SaveDateSupported => return Ok(Node::Always(true)),
            // Threads have no identifiers, so no message matches (RFC 8474 section 5.2).
            SearchKey::Nothing | SearchKey::ThreadId(_) => return Ok(Node::Always(false)),
            SearchKey::And(keys) => {
                let nodes = keys.iter().map(|key| self.node(key, context));
                return Ok(Node::list(nodes.collect::<Result<_, NotReady>>()?, true));
            }
            SearchKey::Or(keys) => {
                let nodes = keys.iter().map(|key| self.node(key, context));
                return Ok(Node::list(nodes.collect::<Result<_, NotReady>>()?, false));
            }
            SearchKey::Not(key) => return Ok(self.node(key, context)?.not()),
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
            SearchKey::Sequence(set) | SearchKey::Uid(set) if set.is_saved() => {
                Leaf::Uids(saved.get_or_init(|| shown.saved.as_slice().into()).clone())
            }
            SearchKey::Sequence(set) => Leaf::Uids(between(set, shown)),
            SearchKey::Uid(set) => Leaf::Uids(uids(set, shown)),
            SearchKey::ModSeq(modseq) => {
                self.has_modseq = true;
                Leaf::ModSeq(ModSeq(*modseq))
            }
            SearchKey::EmailId(text) => match email_id(text) {
                Some(id) => Leaf::EmailId(id),
                None => return Ok(Node::Always(false)),
            },
        };
        let (cost, place) = (leaf.cost(), self.leaves.len() as u32);
        if let Leaf::Field(name, _) = &leaf {
            self.fields.add(name, place);
        }
        self.strings += usize::from(leaf.needle().is_some());
        self.leaves.push(leaf);
        if self.leaves.len() > SEARCH_KEYS || self.strings > SEARCH_STRINGS {
            return Err(NotReady::TooMany);
        }
        Ok(Node::Leaf(place, cost))
    }

    /// The inputs of keys answered by the index, for the current state of the mailbox.
    pub(super) fn known<'a>(&self, table: &'a Keywords, shown: &'a Shown) -> Known<'a> {
        Known::new(&self.keywords, table, shown)
    }

    /// How much of a message must be read if the cheaper keys do not decide.
    pub(super) fn cost(&self) -> Cost {
        self.root.cost()
    }

    /// Whether the header alone can rule messages out: a key of an AND needs only the header.
    pub(super) fn has_header_first(&self) -> bool {
        match &self.root {
            Node::All(nodes) => nodes.iter().any(|node| node.cost() == Cost::Header),
            _ => false,
        }
    }

    /// Number of keys: the cost of evaluating them.
    pub(super) fn keys(&self) -> usize {
        self.leaves.len()
    }

    /// Number of strings, at least 1: the cost per octet of a message.
    pub(super) fn strings(&self) -> u64 {
        self.strings.max(1) as u64
    }

    /// Number of strings searched for in headers, at least 1.
    pub(super) fn field_strings(&self) -> u64 {
        self.fields.len().max(1) as u64
    }

    /// Approximate memory in bytes.
    pub(super) fn memory(&self) -> usize {
        let sets = self.leaves.iter().map(|leaf| match leaf {
            Leaf::Uids(uids) => size_of_val(&**uids),
            leaf => leaf.needle().map_or(0, Needle::memory),
        });
        self.leaves.len() * (size_of::<Leaf>() + size_of::<Node>()) + sets.sum::<usize>()
    }

    /// Whether a change of flags can change the answer.
    pub(super) fn depends_on_flags(&self) -> bool {
        let depends =
            |leaf: &Leaf| matches!(leaf, Leaf::Flags(_) | Leaf::Keyword(_) | Leaf::ModSeq(_));
        self.leaves.iter().any(depends)
    }

    /// The messages among these, ascending, that the UID sets of the program do not exclude.
    pub(super) fn within(&self, uids: Vec<UidRange>) -> Vec<UidRange> {
        let nodes = match &self.root {
            Node::Always(false) => return Vec::new(),
            Node::All(nodes) => nodes,
            node => std::slice::from_ref(node),
        };
        let mut sets: Vec<_> = nodes.iter().filter_map(|node| self.set(node)).collect();
        sets.sort_unstable_by_key(|set| set.len());
        sets.truncate(NARROWING);
        sets.iter().fold(uids, |uids, set| UidRange::intersection(&uids, set))
    }

    fn set(&self, node: &Node) -> Option<&[UidRange]> {
        match node {
            Node::Leaf(place, _) => match &self.leaves[*place as usize] {
                Leaf::Uids(named) => Some(named),
                _ => None,
            },
            _ => None,
        }
    }

    /// All messages that match have a mod-sequence above this.
    pub(super) fn above(&self) -> Option<ModSeq> {
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

    /// Whether a message matches, if the index can decide.
    pub(super) fn by_index(&self, entry: Entry<'_>, known: &Known<'_>) -> Option<bool> {
        self.root.decide(&mut |place| self.leaves[place].by_index(entry, known))
    }

    /// All answers that the index has.
    pub(super) fn answers(&self, entry: Entry<'_>, known: &Known<'_>) -> Answers {
        Answers(self.leaves.iter().map(|leaf| leaf.by_index(entry, known)).collect())
    }

    /// Whether a message matches, if its header can decide. `day` is the day of the internal date.
    pub(super) fn by_header(
        &self,
        header: &[u8],
        day: Date,
        answers: &mut Answers,
    ) -> Option<bool> {
        let asked = Asked::new(header, day);
        self.root.decide(&mut |place| {
            if answers.0[place].is_none() {
                self.ask_header(place, &asked, answers);
            }
            answers.0[place]
        })
    }

    /// Whether a message matches, after `by_header`. `None` when `work`, in octets to look at, is
    /// used up: the answers found so far are kept, and another call continues from there.
    pub(super) fn by_whole(
        &self,
        message: &[u8],
        day: Date,
        answers: &mut Answers,
        work: &mut u64,
    ) -> Option<bool> {
        let asked = Asked::new(message, day);
        let mut given_up = false;
        let fits = self.root.decide(&mut |place| {
            if answers.0[place].is_none() {
                given_up |= *work == 0;
                if given_up {
                    return None;
                }
                *work = work.saturating_sub(message.len() as u64 + 1);
                self.ask_whole(place, &asked, answers);
            }
            answers.0[place]
        });
        if given_up { fits } else { Some(fits.unwrap_or(false)) }
    }

    /// The strings whose keys have no answer yet, with the index of the key and `false` for BODY,
    /// `true` for TEXT.
    pub(super) fn texts<'p>(
        &'p self,
        answers: &'p Answers,
    ) -> impl Iterator<Item = (usize, (Needle, bool))> + 'p {
        let open = |(place, _): &(usize, &Leaf)| answers.0[*place].is_none();
        self.leaves.iter().enumerate().filter(open).filter_map(|(place, leaf)| match leaf {
            Leaf::Body(needle) => Some((place, (needle.clone(), false))),
            Leaf::Text(needle) => Some((place, (needle.clone(), true))),
            _ => None,
        })
    }

    /// Whether a message matches, given the answers of the remaining keys.
    pub(super) fn by_texts(
        &self,
        found: impl Iterator<Item = (usize, bool)>,
        answers: &mut Answers,
    ) -> bool {
        found.for_each(|(place, found)| answers.0[place] = Some(found));
        self.root.decide(&mut |place| answers.0[place]).unwrap_or(false)
    }

    fn ask_header(&self, place: usize, asked: &Asked<'_>, answers: &mut Answers) {
        if self.fields.are_many() && matches!(self.leaves[place], Leaf::Field(..)) {
            let needle = |place: u32| self.leaves[place as usize].needle();
            return self.fields.answer(asked.octets, needle, &mut answers.0);
        }
        answers.0[place] = self.leaves[place].by_header(asked);
    }

    fn ask_whole(&self, place: usize, asked: &Asked<'_>, answers: &mut Answers) {
        match &self.leaves[place] {
            Leaf::Body(needle) => answers.0[place] = Some(needle.in_body(asked.octets)),
            Leaf::Text(needle) => answers.0[place] = Some(needle.in_text(asked.octets)),
            _ => {
                self.ask_header(place, asked, answers);
                answers.0[place].get_or_insert(false);
            }
        }
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

    /// An AND (`all`) or OR of these nodes.
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
