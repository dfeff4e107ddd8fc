//! What a message must be, made ready once to be asked of many messages.
//!
//! Keys are told apart by what it costs to answer them: what the index knows, what stands in the
//! header, what takes the whole message. Among keys that belong together the cheap ones come
//! first, and a message of which they decide is not read.

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

/// See the head of this file.
#[derive(Debug)]
pub(super) struct Program {
    root: Node,
    leaves: Vec<Leaf>,
    fields: FieldKeys,
    strings: usize,
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

/// Sets that show at once where in the mailbox there is nothing to look for, at most.
const NARROWING: usize = 8;

/// Why keys cannot be made ready.
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

/// What keys are made ready with.
#[derive(Clone, Copy)]
struct Context<'a> {
    charset: &'a str,
    shown: &'a Shown,
    now: i64,
    /// `$`, of which there is one copy however often it is named.
    saved: &'a OnceCell<Arc<[UidRange]>>,
}

/// What is known of the keys of one message: answers, by the place of the key.
#[derive(Clone, Debug, Default)]
pub(super) struct Answers(Vec<Option<bool>>);

impl Program {
    /// Makes keys ready. Strings are in `charset`; numbers of messages mean those of the moment,
    /// and so do ages: `now` is in seconds since 1970.
    ///
    /// # Errors
    /// When the charset is unknown, or there are too many keys.
    pub fn new(
        key: &SearchKey,
        charset: &str,
        shown: &Shown,
        now: i64,
    ) -> Result<Program, NotReady> {
        // Even if no string is in it.
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
            // No message has a thread's identifier (RFC 8474 section 5.2).
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

    /// What the keys are asked of, as the mailbox is now.
    pub fn known<'a>(&self, table: &'a Keywords, shown: &'a Shown) -> Known<'a> {
        Known::new(&self.keywords, table, shown)
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

    /// How many strings are looked for, one at least: what each octet of a message costs.
    pub fn strings(&self) -> u64 {
        self.strings.max(1) as u64
    }

    /// How many of them are looked for in headers, one at least.
    pub fn field_strings(&self) -> u64 {
        self.fields.len().max(1) as u64
    }

    /// Memory that it takes, in bytes, about.
    pub fn memory(&self) -> usize {
        let sets = self.leaves.iter().map(|leaf| match leaf {
            Leaf::Uids(uids) => size_of_val(&**uids),
            leaf => leaf.needle().map_or(0, Needle::memory),
        });
        self.leaves.len() * (size_of::<Leaf>() + size_of::<Node>()) + sets.sum::<usize>()
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
        let asked = Asked::new(header, day);
        self.root.decide(&mut |place| {
            if answers.0[place].is_none() {
                self.ask_header(place, &asked, answers);
            }
            answers.0[place]
        })
    }

    /// Whether a message fits of which the header was asked. `None` when this would cost more than
    /// is left of `work`, in octets looked at: the answers found so far are kept, so it goes on
    /// there when it is called again.
    pub fn by_whole(
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

    /// The strings whose keys are not answered yet: BODY or, with `true`, TEXT. With the places of
    /// the keys.
    pub fn texts<'p>(
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

    /// Whether a message fits of which the header was asked, with the answers to these keys.
    pub fn by_texts(
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
