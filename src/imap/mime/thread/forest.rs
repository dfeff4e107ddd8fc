//! Step 1 of REFERENCES: links each message to its parent.
//!
//! Each message names its ancestors, eldest first, so `<a> <b>` in the References of `c` links `b`
//! under `a` and `c` under `b`. An ancestor that is not in the mailbox is a dummy node, until its
//! message comes. A link that would make a loop is not made (step 1A). To test for that, the new
//! parent's ancestors must be searched for the child, which for long chains would take quadratic
//! time. Three tests keep it near linear:
//!
//! ```text
//! the child has no children          no node is below it        most messages of real mail
//! `joined` leads to different nodes  the trees never met        union-find, as Kruskal's algorithm
//! walk up from the parent            at most STEPS per node     hostile mail: assume a loop
//! ```
//!
//! A link that is cut (step 1B) does not divide a union, so `joined` may only say "different" with
//! certainty; the walk decides the rest.

use std::collections::HashMap;
use std::ops::{Index, IndexMut};

use super::MessageId;

/// Stands for no node.
pub(super) const NONE: u32 = u32::MAX;

/// Steps up the tree per node, on average, that all loop searches together may take. Real mail
/// takes a handful; a million replies in random order about 15.
const STEPS: u64 = 256;

/// Memory in bytes per node while threads are gathered and sorted: a dozen lists of numbers, most
/// of them at the same time.
const GATHERED: usize = 48;

/// What a node keeps of its message.
#[derive(Clone, Copy, Debug)]
pub(super) struct Mail {
    pub number: u32,
    pub date: i64,
    pub arrival: i64,
    pub subject: Option<u32>,
    pub is_reply: bool,
}

/// Tables that Message-IDs are spread over: a growing table exists twice, and a small one costs
/// less.
const TABLES: usize = 256;

/// Nodes in one chunk of memory.
const PIECE: usize = 1 << 14;

/// Trees of messages and of Message-IDs that others refer to.
#[derive(Debug, Default)]
pub(super) struct Forest {
    ids: Ids,
    nodes: Nodes,
    /// Steps that loop searches took so far.
    steps: u64,
}

#[derive(Debug)]
struct Node {
    parent: u32,
    children: u32,
    /// Union-find link: a node of the same union, or the node itself at its root. Different roots
    /// mean that the trees share no node; after a cut, one root does not mean one tree.
    joined: u32,
    /// `None` for a dummy, which is known only from references.
    mail: Option<Mail>,
}

impl Forest {
    /// Adds a message and links it and its references (RFC 5256, REFERENCES, step 1).
    pub fn add(&mut self, mail: Mail, id: Option<MessageId>, references: &[MessageId]) {
        let current = self.place(mail, id);
        // Step 1A. An existing link stays.
        let mut last = NONE;
        for &reference in references {
            let node = self.node_of(reference);
            if last != NONE && self.parent(node) == NONE {
                self.link(last, node);
            }
            last = node;
        }
        // Step 1B. The last reference is the right parent.
        if self.parent(current) != last {
            self.cut(current);
            if last != NONE {
                self.link(last, current);
            }
        }
    }

    pub fn len(&self) -> usize {
        self.nodes.len()
    }

    /// Approximate memory in bytes, including the lists built from it at the end.
    pub fn memory(&self) -> usize {
        self.ids.memory + self.nodes.len() * (size_of::<Node>() + GATHERED)
    }

    pub fn parent(&self, node: u32) -> u32 {
        self.nodes[node].parent
    }

    /// The message of a node; `None` for a dummy.
    pub fn mail(&self, node: u32) -> Option<&Mail> {
        self.nodes.get(node)?.mail.as_ref()
    }

    /// Nodes with a message, by date and then by number.
    pub fn by_date(&self) -> Vec<u32> {
        let mut keyed: Vec<(i64, u32, u32)> = (0_u32..)
            .zip(self.nodes.iter())
            .filter_map(|(at, node)| node.mail.map(|mail| (mail.date, mail.number, at)))
            .collect();
        keyed.sort_unstable();
        keyed.into_iter().map(|(_, _, node)| node).collect()
    }

    /// The node of this Message-ID, or a new node if a message has it already.
    fn place(&mut self, mail: Mail, id: Option<MessageId>) -> u32 {
        let next = self.nodes.len() as u32;
        let known = id.map_or(next, |id| self.ids.of(id, next));
        let node = if known != next && self.nodes[known].mail.is_some() { next } else { known };
        if node == next {
            self.nodes.push(Node::new(next));
        }
        self.nodes[node].mail = Some(mail);
        node
    }

    fn node_of(&mut self, id: MessageId) -> u32 {
        let next = self.nodes.len() as u32;
        let node = self.ids.of(id, next);
        if node == next {
            self.nodes.push(Node::new(next));
        }
        node
    }

    /// Makes `parent` the parent of `child`, which has none, unless that makes a loop.
    fn link(&mut self, parent: u32, child: u32) {
        debug_assert_eq!(self.parent(child), NONE, "cut first");
        if self.search_up(parent, child) {
            return;
        }
        self.nodes[child].parent = parent;
        self.nodes[parent].children += 1;
        let (a, b) = (self.join_of(parent), self.join_of(child));
        self.nodes[a.max(b)].joined = a.min(b);
    }

    fn cut(&mut self, child: u32) {
        let parent = std::mem::replace(&mut self.nodes[child].parent, NONE);
        if parent != NONE {
            self.nodes[parent].children -= 1;
        }
    }

    /// Searches upwards from `node`: is it `ancestor` or below it? If the searches have used up
    /// their steps, which takes hostile mail, the answer is yes.
    fn search_up(&mut self, node: u32, ancestor: u32) -> bool {
        if node == ancestor {
            return true;
        }
        // Most children are new, and most of the others are in another tree.
        let childless = self.nodes[ancestor].children == 0;
        if childless || self.join_of(node) != self.join_of(ancestor) {
            return false;
        }
        let bound = STEPS * (self.nodes.len() as u64 + 1);
        let mut at = node;
        while at != NONE && self.steps < bound {
            at = self.parent(at);
            self.steps += 1;
            if at == ancestor {
                return true;
            }
        }
        at != NONE
    }

    fn join_of(&mut self, node: u32) -> u32 {
        let mut at = node;
        loop {
            let next = self.nodes[at].joined;
            if next == at {
                return at;
            }
            let over = self.nodes[next].joined;
            self.nodes[at].joined = over;
            at = over;
        }
    }
}

/// The node of each Message-ID.
#[derive(Debug, Default)]
struct Ids {
    /// Empty, or [`TABLES`] tables.
    tables: Vec<HashMap<MessageId, u32>>,
    /// Bytes that the tables take.
    memory: usize,
}

impl Ids {
    /// The node of this Message-ID; `next` if it is new.
    fn of(&mut self, id: MessageId, next: u32) -> u32 {
        if self.tables.is_empty() {
            self.tables.resize_with(TABLES, HashMap::new);
        }
        let table = &mut self.tables[id.spread(TABLES)];
        let before = table.capacity();
        let node = *table.entry(id).or_insert(next);
        // A hash table has one byte more per entry, and keeps an eighth free.
        let entry = (size_of::<(MessageId, u32)>() + 1) * 8 / 7;
        self.memory += (table.capacity() - before) * entry;
        node
    }
}

/// A list that grows without moving.
#[derive(Debug, Default)]
struct Nodes(Vec<Vec<Node>>);

impl Nodes {
    fn len(&self) -> usize {
        self.0.last().map_or(0, |last| (self.0.len() - 1) * PIECE + last.len())
    }

    fn get(&self, node: u32) -> Option<&Node> {
        self.0.get(node as usize / PIECE)?.get(node as usize % PIECE)
    }

    fn push(&mut self, node: Node) {
        match self.0.last_mut().filter(|last| last.len() < PIECE) {
            Some(last) => last.push(node),
            None => self.0.push(vec![node]),
        }
    }

    fn iter(&self) -> impl Iterator<Item = &Node> {
        self.0.iter().flatten()
    }
}

impl Index<u32> for Nodes {
    type Output = Node;

    fn index(&self, node: u32) -> &Node {
        &self.0[node as usize / PIECE][node as usize % PIECE]
    }
}

impl IndexMut<u32> for Nodes {
    fn index_mut(&mut self, node: u32) -> &mut Node {
        &mut self.0[node as usize / PIECE][node as usize % PIECE]
    }
}

impl Node {
    fn new(at: u32) -> Node {
        Node { parent: NONE, children: 0, joined: at, mail: None }
    }
}
